#!/usr/bin/env bash
# google-re2 1.1.20251105: a repetition without its smaller number is no mistake, and not the repetition that Python's re reads
# in it, but the very characters. A pattern that is taken over from one to the other is valid in both, and lets through in
# one only what it keeps out in the other. jsonschema-rs 0.60.3, which reads ECMA 262 with Unicode, refuses it.
#
# Seen, for the pattern ^a{,3}$:
#   re: aaa matches, a{,3} does not
#   re2: aaa does not, a{,3} matches
#   jsonschema-rs: no pattern
#
# Expected: a refusal, or one reading. Exits with 1 if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check google-re2==1.1.20251105 jsonschema-rs==0.60.3
"$work/venv/bin/python" - <<'PY' | tee "$work/seen"
import re

import jsonschema_rs
import re2

PATTERN = "^a{,3}$"
for library in (re, re2):
    found = [f"{text} {'matches' if library.search(PATTERN, text) else 'does not'}" for text in ("aaa", "a{,3}")]
    print(f"{library.__name__}: {', '.join(found)}")
try:
    jsonschema_rs.Draft202012Validator({"pattern": PATTERN})
    print("jsonschema-rs: a pattern")
except jsonschema_rs.ValidationError:
    print("jsonschema-rs: no pattern")
PY
diff - "$work/seen" <<'SEEN'
re: aaa matches, a{,3} does not
re2: aaa does not, a{,3} matches
jsonschema-rs: no pattern
SEEN
