"""What is costly and seldom needed is imported when it is first used, and does then what it always did."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.patience import PATIENCE

CHECKS = """
import sys
from sagadsl.language.schema.validator import validator

assert next(validator({"type": "string", "format": "date"}).iter_errors("tomorrow"), None)
print("rfc3987_syntax" in sys.modules)

import jsonschema
checker = jsonschema.FormatChecker()
print(checker.conforms("https://grüße.example/", "iri"), checker.conforms("no address", "iri"))
print(sys.modules["rfc3987_syntax"].is_valid_syntax("iri", "https://grüße.example/"))
"""
GRAMMAR = """
print("compiles a grammar")

def is_valid_syntax(rule, text):
    return (rule, text[:6]) == ("iri", "https:")
"""


def test_a_check_of_values_compiles_no_grammar_of_addresses_but_others_can(tmp_path: Path) -> None:
    """The package that has it comes with tools that are installed beside sagadsl; it took 1.4 s of each worker."""
    (tmp_path / "rfc3987_syntax.py").write_text(GRAMMAR, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-c", CHECKS],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert ran.stdout.splitlines() == ["False", "compiles a grammar", "True False", "True"], ran.stderr


COLLECTED = """
import gc, sys
from sagadsl.later import OWN_THRESHOLD, uncollected

with uncollected():
    print(gc.isenabled(), gc.get_freeze_count() > 0)
gc.set_threshold(OWN_THRESHOLD)
try:
    with uncollected():
        print(gc.isenabled())
        import no_such_module
except ImportError:
    print(gc.isenabled(), gc.get_freeze_count() > 0)
"""


def test_nobody_looks_for_garbage_while_a_command_imports_and_afterwards_somebody_does_again() -> None:
    """Only in a process of ours: what another one holds is not ours to keep for ever."""
    ran = subprocess.run(
        [sys.executable, "-c", COLLECTED], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert ran.stdout.splitlines() == ["True False", "False", "True True"]
