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
