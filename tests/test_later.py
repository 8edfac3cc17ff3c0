"""What is costly and seldom needed is imported when it is first used, and does then what it always did."""

from __future__ import annotations

import subprocess
import sys

from tests.patience import PATIENCE

CHECKS = """
import sys
from sagadsl.language.schema.validator import validator

assert next(validator({"type": "string", "format": "date"}).iter_errors("tomorrow"), None)
print("rfc3987_syntax" in sys.modules, "lark" in sys.modules)

import jsonschema
checker = jsonschema.FormatChecker()
print(checker.conforms("https://grüße.example/", "iri"), checker.conforms("no address", "iri"))
print(sys.modules["rfc3987_syntax"].is_valid_syntax("iri", "https://grüße.example/"))
"""


def test_a_check_of_values_compiles_no_grammar_of_addresses_but_others_can() -> None:
    """The package that has it comes with tools that are installed beside sagadsl; it took 1.4 s of each worker."""
    ran = subprocess.run([sys.executable, "-c", CHECKS], capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert ran.stdout.splitlines() == ["False False", "True False", "True"], ran.stderr
