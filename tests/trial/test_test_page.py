"""The page about suites: its examples pass, its screens are real, and it names every key and word of the schema."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagadsl.language.bundled import schema_text
from sagadsl.trial.runner import run, virtual
from sagadsl.trial.suite import read_suite
from tests.cli.shell import SAGADSL, environment
from tests.patience import PATIENCE

PAGE = (Path(__file__).parents[2] / "docs" / "test.md").read_text("utf-8")
FENCES = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.M | re.S)
YAML = [text for kind, text in FENCES if kind == "yaml"]
SAGA, SUITE, *CASES = YAML
TIMES = re.compile(r"\d+ ms|time=\"[\d.]+\"")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "order.saga.yaml").write_text(SAGA, encoding="utf-8")
    (tmp_path / "order.saga-test.yaml").write_text(SUITE, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("cases", ["", *CASES], ids=lambda cases: cases[8:40] or "the first suite")
def test_every_example_passes(folder: Path, cases: str) -> None:
    """A block that is a list stands for the cases of the first suite."""
    text = SUITE if not cases else SUITE[: SUITE.index("cases:")] + "cases:\n" + cases
    suite = read_suite(text, folder / "order.saga-test.yaml")

    assert suite.findings == ()
    assert {result.name: result.misses for result in run([suite], virtual(None)) if not result.passed} == {}


def _sessions() -> list[tuple[str, str]]:
    return [
        (command, output)
        for kind, text in FENCES
        if kind == "console"
        for command, _, output in (part.partition("\n") for part in re.split(r"^\$ ", text, flags=re.M)[1:])
    ]


def test_every_screen_is_what_the_command_prints(folder: Path) -> None:
    """In the order of the page, in one folder."""
    code = 0
    for command, shown in _sessions():
        if command == "echo $?":
            assert shown.strip() == str(code)
            continue
        ran = subprocess.run(
            re.sub("^sagadsl", shlex.join(SAGADSL), command),
            shell=True,
            cwd=folder,
            env=environment(NO_COLOR="1"),
            text=True,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
        )
        code = ran.returncode
        assert TIMES.sub("N", ran.stdout) == TIMES.sub("N", shown)


def _words(schema: Any) -> Iterator[str]:
    """Every key that a suite may have, and every word of an enumeration."""
    if isinstance(schema, dict):
        yield from schema.get("properties", ())
        yield from (word for word in schema.get("enum", ()) if isinstance(word, str))
        for key, value in schema.items():
            if key not in ("examples", "default"):
                yield from _words(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _words(value)


@pytest.mark.parametrize("word", sorted(set(_words(json.loads(schema_text("suite"))))))
def test_the_page_names_every_key_and_word(word: str) -> None:
    """What has no documentation fails the build."""
    assert re.search(rf"`[^`\n]*\b{word}\b[^`\n]*`", PAGE)
