#!/usr/bin/env bash
# jsonschema 4.26.0 with its extra `format-nongpl`: `import jsonschema` imports rfc3987-syntax, which imports lark and compiles the
# whole grammar of RFC 3987, though nobody has asked for a format. That is most of the time of the import (1.4 of 1.6 s of CPU
# here), in each process: in command lines and workers that share an environment with Jupyter, which brings the extra.
#
# Seen:
#   imported with jsonschema: lark True, grammar compiled True
#   most of the time of the import: True
#
# Expected: the grammar is compiled when the first `iri` is checked. Exits with 1 if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'jsonschema[format-nongpl]==4.26.0' rfc3987-syntax==1.1.0
"$work/venv/bin/python" - <<'PY' | tee "$work/seen"
import subprocess
import sys
import time

import jsonschema

grammar = sys.modules.get("rfc3987_syntax.syntax_helpers")
compiled = any(type(each).__name__ == "Lark" for each in vars(grammar).values()) if grammar else False
print(f"imported with jsonschema: lark {'lark' in sys.modules}, grammar compiled {compiled}")

TIMED = "import time; t = time.process_time(); import jsonschema; print(time.process_time() - t)"
WITHOUT = "import sys; sys.modules['rfc3987_syntax'] = None; "
took = [float(subprocess.check_output([sys.executable, "-c", each])) for each in (TIMED, WITHOUT + TIMED)]
print("most of the time of the import:", took[1] < took[0] / 2)
PY
diff - "$work/seen" <<'SEEN'
imported with jsonschema: lark True, grammar compiled True
most of the time of the import: True
SEEN
