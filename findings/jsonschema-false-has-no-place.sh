#!/usr/bin/env bash
# jsonschema 4.26.0: an error of the subschema `false` names neither the place in the value nor the place in the schema: it is
# told one level higher, and among alternatives (`anyOf`) its path is empty, where every other one begins with the number of its
# alternative. `{"not": {}}`, which means the same, has its place. jsonschema-rs 0.60.3 names it for both.
#
# Seen, of {"a": {"b": 1}}:
#   jsonschema, b is false: a, by properties/a/properties
#   jsonschema, b is {"not": {}}: a/b, by properties/a/properties/b/not
#   jsonschema, second alternative is false: [[0, 'type'], []]
#   jsonschema-rs, b is false: a/b
#
# Expected: a/b, and [1]. Exits with 1 if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check jsonschema==4.26.0 jsonschema-rs==0.60.3
"$work/venv/bin/python" - <<'PY' | tee "$work/seen"
import jsonschema
import jsonschema_rs


def below(last):
    return {"properties": {"a": {"properties": {"b": last}}}}


def joined(path):
    return "/".join(map(str, path))


VALUE = {"a": {"b": 1}}
for what, last in (("false", False), ('{"not": {}}', {"not": {}})):
    (error,) = jsonschema.Draft202012Validator(below(last)).iter_errors(VALUE)
    print(f"jsonschema, b is {what}: {joined(error.absolute_path)}, by {joined(error.absolute_schema_path)}")
either = {"anyOf": [{"type": "integer"}, False]}
(error,) = jsonschema.Draft202012Validator(either).iter_errors("x")
print(f"jsonschema, second alternative is false: {[list(each.relative_schema_path) for each in error.context]}")
(error,) = jsonschema_rs.Draft202012Validator(below(False)).iter_errors(VALUE)
print(f"jsonschema-rs, b is false: {joined(error.instance_path)}")
PY
diff - "$work/seen" <<'SEEN'
jsonschema, b is false: a, by properties/a/properties
jsonschema, b is {"not": {}}: a/b, by properties/a/properties/b/not
jsonschema, second alternative is false: [[0, 'type'], []]
jsonschema-rs, b is false: a/b
SEEN
