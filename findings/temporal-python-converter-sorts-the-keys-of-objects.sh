#!/usr/bin/env bash
# temporalio 1.35.0: the default JSON converter of the Python SDK writes objects with sorted keys. A mapping whose order means
# something, such as the branches of a choice, arrives in another order when it goes through an argument, an update or the
# result of an activity; the same mapping as a RawValue, written by json.dumps, keeps it.
#
# Seen:
#   converted: {"approve":2,"stop":1}
#   back again: ['approve', 'stop']
#   as a raw value: ['stop', 'approve']
#
# Expected: an object is written in the order that it has. Exits with 1 if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0
"$work/venv/bin/python" - <<'PY' | tee "$work/seen"
import json

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import default

choice = {"stop": 1, "approve": 2}
converter = default().payload_converter
[payload] = converter.to_payloads([choice])
print("converted:", payload.data.decode())
print("back again:", list(converter.from_payloads([payload])[0]))

raw = RawValue(Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(choice).encode()))
[payload] = converter.to_payloads([raw])
print("as a raw value:", list(converter.from_payloads([payload])[0]))
PY
diff - "$work/seen" <<'SEEN'
converted: {"approve":2,"stop":1}
back again: ['approve', 'stop']
as a raw value: ['stop', 'approve']
SEEN
