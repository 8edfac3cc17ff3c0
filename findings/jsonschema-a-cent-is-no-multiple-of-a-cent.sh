#!/usr/bin/env bash
# jsonschema 4.26.0 divides in binary floating point and wants a whole result, so that "a price in cents" (multipleOf: 0.01)
# refuses one price in six, and raises OverflowError for a large whole number; jsonschema-rs 0.60.3, for the same
# specification, takes all of them, and refuses what has a tenth of a cent.
#
# Seen, of the prices 0.01 to 10.00:
#   jsonschema: 159 refused, 0.07 first; 10**400: OverflowError
#   jsonschema-rs: 0 refused; 10**400: accepted
#   0.075: refused by both
#
# Expected: none. Exits with 1 if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check jsonschema==4.26.0 jsonschema-rs==0.60.3
"$work/venv/bin/python" - <<'PY' | tee "$work/seen"
import json

import jsonschema
import jsonschema_rs

CENTS = {"multipleOf": 0.01}
checks = {"jsonschema": jsonschema.Draft202012Validator(CENTS), "jsonschema-rs": jsonschema_rs.Draft202012Validator(CENTS)}
prices = [json.loads(f"{cents // 100}.{cents % 100:02}") for cents in range(1, 1001)]


def large(check):
    try:
        return "accepted" if check.is_valid(json.loads("1" + 400 * "0")) else "refused"
    except OverflowError as error:
        return type(error).__name__


for name, check in checks.items():
    refused = [price for price in prices if not check.is_valid(price)]
    print(f"{name}: {len(refused)} refused{f', {refused[0]} first' if refused else ''}; 10**400: {large(check)}")
print(f"0.075: {'accepted by one' if any(check.is_valid(0.075) for check in checks.values()) else 'refused by both'}")
PY
diff - "$work/seen" <<'SEEN'
jsonschema: 159 refused, 0.07 first; 10**400: OverflowError
jsonschema-rs: 0 refused; 10**400: accepted
0.075: refused by both
SEEN
