#!/usr/bin/env bash
# jsonschema 4.26.0: a validator class that was extended with a keyword of its own forgets it below any subschema,
# or target of a $ref, that declares the dialect ("$schema"), though that dialect is the one it extends.
#
# Seen: the extended keyword refuses 3 at the top, and accepts it one level below, where "$schema" stands:
#   at the top: refused
#   below a declared dialect: accepted
#
# Expected by a reader of the docs: refused in both. Exits with 1 if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check jsonschema==4.26.0
"$work/venv/bin/python" - <<'PY' | tee "$work/seen"
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend


def even(validator, wanted, value, schema):
    if wanted and value % 2:
        yield ValidationError(f"{value} is odd")


Even = extend(Draft202012Validator, {"even": even})
plain = {"even": True}
declared = {"$schema": "https://json-schema.org/draft/2020-12/schema", "even": True}
for where, schema in (("at the top", plain), ("below a declared dialect", {"allOf": [declared]})):
    print(f"{where}: {'accepted' if Even(schema).is_valid(3) else 'refused'}")
PY
diff - "$work/seen" <<'SEEN'
at the top: refused
below a declared dialect: accepted
SEEN
