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


STOOD_IN = """
import re, sys
from sagadsl.later import LaterModule, compiled_later_in, standing_in

with standing_in(LaterModule("colorsys").later("rgb_to_hsv"), LaterModule("sys")):
    import colorsys, os, sys as same
    from colorsys import rgb_to_hsv
print(type(colorsys).__name__, same is sys, "colorsys" in sys.modules)
print(rgb_to_hsv(0, 0, 0), type(sys.modules["colorsys"]).__name__)
print(colorsys.ONE_THIRD == sys.modules["colorsys"].ONE_THIRD, *[hasattr(colorsys, x) for x in ("no", "__path__")])
with standing_in(LaterModule("quopri")):
    from quopri import encodestring
    print(type(sys.modules["quopri"]).__name__, encodestring(b"="))

with compiled_later_in("yaml"):
    import yaml
    print(type(re.compile("a")).__name__)
print(type(yaml.reader.Reader.NON_PRINTABLE).__name__, re.compile.__module__)
print(yaml.safe_load("{a: [1, 2026-12-01, 1_0, 0x1f, .5, yes, ~]}"))
"""


def test_a_module_that_is_stood_in_for_is_imported_when_somebody_uses_it() -> None:
    ran = subprocess.run([sys.executable, "-c", STOOD_IN], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert ran.stdout.splitlines() == [
        "LaterModule True False",
        "(0.0, 0.0, 0) module",
        "True False False",
        "module b'=3D'",
        "Pattern",
        "_Later re",
        "{'a': [1, datetime.date(2026, 12, 1), 10, 31, 0.5, True, None]}",
    ]


PACKAGES = """
import sys
from sagadsl.cli import packages

packages.load()
names = ("inspect", "platform", "textwrap", "typing_extensions", "urllib.parse")
loaded = [name for name in names if name in sys.modules]
import dataclasses, inspect, pathlib, platform, typing, uuid
import click, msgspec, typing_extensions, urllib.parse

print(loaded)
print(pathlib.Path("/a b").as_uri(), uuid.uuid4().version)
print(typing_extensions.Required is typing.Required, typing_extensions.NotRequired is typing.NotRequired)

@dataclasses.dataclass
class Point:
    x: int = 1

class Line(typing_extensions.TypedDict):
    a: typing_extensions.Required[int]
    b: typing_extensions.NotRequired[int]

print(Point.__doc__, sorted(msgspec.json.schema(Line)["$defs"]["Line"]["required"]), msgspec.inspect.type_info(int))
print(msgspec.convert({"a": 1}, Line))
for text in (" one line ", "one\\ttab", "  first\\n      second\\n    third\\n", "", " ", "caf\u00e9 \u2014 x"):
    assert click.core.inspect.cleandoc(text) == inspect.cleandoc(text), text
"""


def test_what_the_packages_of_every_command_leave_out_is_there_for_who_uses_it() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PACKAGES], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ran.stdout.splitlines() == [
        "[]",
        "file:///a%20b 4",
        "True True",
        "Point(x: int = 1) ['a'] IntType(gt=None, ge=None, lt=None, le=None, multiple_of=None)",
        "{'a': 1}",
    ], ran.stderr
