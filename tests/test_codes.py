"""Codes and their pages agree, and each page's examples do what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import sagadsl
from sagadsl.diagnostics.codes import CODES
from sagadsl.diagnostics.findings import Severity
from sagadsl.errors import SagadslError
from sagadsl.language.document import parse
from sagadsl.language.load import load
from sagadsl.trial.explore.run import Task, explore
from sagadsl.trial.suite import read_suite
from tests.example_signatures import known_to

PAGES = Path(__file__).parents[1] / "docs" / "diagnostics"
EXAMPLE = re.compile(r"^## (Wrong|Right)\n+```yaml\n(.*?)^```", re.M | re.S)


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    """The table, the pages and `explain` hold the same codes."""
    assert sorted(CODES) == sorted(page.stem for page in PAGES.glob("*.md"))


@pytest.mark.parametrize("code", list(CODES))
def test_a_page_bears_the_title_of_its_code_and_a_bad_and_a_good_example(code: str) -> None:
    """What, why, bad, good."""
    text = (PAGES / f"{code}.md").read_text("utf-8")

    assert text.startswith(f"# {code}: {CODES[code].title}\n")
    assert text.index("## Wrong") < text.index("## Right")


def _examples() -> list[tuple[str, str, str]]:
    return [
        (page.stem, kind, example)
        for page in sorted(PAGES.glob("*.md"))
        for kind, example in EXAMPLE.findall(page.read_text("utf-8"))
        if not page.stem.startswith("SD9")  # those are about the machine, not about a file
    ]


@pytest.mark.parametrize(
    ("code", "kind", "example"), [pytest.param(*each, id="-".join(each[:2])) for each in _examples()]
)
def test_the_wrong_example_has_the_finding_and_the_right_one_has_not(code: str, kind: str, example: str) -> None:
    """The pages are executed, so that they cannot drift from the tool."""
    if code == "SD810":
        explored = explore(Task(parse(example)[0].data))
        assert bool(explored.summary.violations) == (kind == "Wrong")
        return
    loaded = (
        read_suite(example, Path("example.saga-test.yaml"), known_to(code).activities)
        if code.startswith("SD8")
        else load(example, known=known_to(code), folder=PAGES.parent / "examples")
    )
    codes = {finding.code for finding in loaded.findings}

    assert (code in codes) == (kind == "Wrong"), codes
    if kind == "Right":
        assert [finding for finding in loaded.findings if finding.severity is Severity.ERROR] == []


def _subclasses(kind: type[SagadslError]) -> Iterator[type[SagadslError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


def test_every_error_that_is_raised_on_purpose_has_a_code_of_its_own_in_the_table() -> None:
    """1.6: `error[SD911]` on the screen can be explained; two errors never share a code."""
    for module in walk_packages(sagadsl.__path__, "sagadsl."):
        if module.name not in ("sagadsl.__main__", "sagadsl.once.django.models"):  # that one wants a project of Django
            import_module(module.name)
    kinds = [kind for kind in _subclasses(SagadslError) if not kind.__subclasses__()]
    ours = [kind for kind in kinds if kind.__module__.startswith("sagadsl.")]
    codes = [kind.code for kind in ours]

    assert sorted(codes) == sorted(code for code in CODES if code.startswith("SD9") and code != SagadslError.code)
    assert SagadslError.code in CODES
