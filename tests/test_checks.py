"""Every chunk of tests/checks/*.saga.yaml: the findings that it expects on its lines are exactly those reported.

Chunks are separated by `---`. `#! SD602 "text"` behind a line expects a finding that begins there and whose
message holds the text. A line may expect several. To add a case, add a chunk: no Python is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from inspect import isfunction
from pathlib import Path
from pkgutil import iter_modules

import pytest

from sagadsl.diagnostics.codes import CODES
from sagadsl.language import checks
from sagadsl.language.checks.registry import ALL
from sagadsl.language.load import load
from tests.example_signatures import known_to

FOLDER = Path(__file__).with_name("checks")
EXPECTED = re.compile(r'#! (SD\d{3}) "((?:[^"\\]|\\.)*)"')


def _texts() -> Iterator[tuple[str, str]]:
    for path in sorted(FOLDER.glob("*.saga.yaml")):
        for text in re.split(r"^---\n", path.read_text("utf-8"), flags=re.M):
            name = re.search(r"^name: (\S+)", text, re.M)
            if name is not None:
                yield f"{path.name.removesuffix('.saga.yaml')}/{name[1]}", text


@pytest.mark.parametrize(("name", "text"), [pytest.param(name, text, id=name) for name, text in _texts()])
def test_exactly_the_expected_findings_are_reported(name: str, text: str) -> None:
    """Line, code and words of each."""
    loaded = load(text, name="chunk", known=known_to(name.partition("/")[0]))
    wanted = sorted(
        (number, code, words.replace('\\"', '"'))
        for number, line in enumerate(text.splitlines(), 1)
        for code, words in EXPECTED.findall(line)
    )
    got = sorted((loaded.document.span_of(finding).line, finding.code, finding.message) for finding in loaded.findings)

    assert [entry[:2] for entry in got] == [entry[:2] for entry in wanted]
    for (_, _, message), (_, _, words) in zip(got, wanted, strict=True):
        assert words in message


def test_every_check_names_its_code_and_has_a_chunk_that_provokes_it() -> None:
    """A check that no chunk provokes could say anything."""
    provoked = {code for _, text in _texts() for code, _ in EXPECTED.findall(text)}
    codes = {check.__name__: (check.__doc__ or "")[:5] for check in ALL}

    assert {name: code for name, code in codes.items() if code not in CODES} == {}
    assert {name: code for name, code in codes.items() if code not in provoked} == {}


def test_every_check_is_in_the_list_of_all() -> None:
    """One that is not never runs, and nothing else would say so."""
    modules = [import_module(f"{checks.__name__}.{each.name}") for each in iter_modules(checks.__path__)]
    written = [
        function
        for module in modules
        for name, function in vars(module).items()
        if isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
    ]
    named = [each for each in written if re.match(r"SD\d{3}: ", each.__doc__ or "")]

    assert [each.__name__ for each in named if each not in ALL] == []
    assert len(named) == len(ALL)


def test_findings_say_what_to_do() -> None:
    """House: errors are the interface."""
    silent = [
        (name, finding.code)
        for name, text in _texts()
        for finding in load(text, known=known_to(name.partition("/")[0])).findings
        if not finding.help and not finding.notes
    ]

    assert silent == []
