"""The cases of the conformance suite as their files name them: to load them takes seconds, to list them does not."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import yaml

from sagadsl.trial.suite import Playable, Suite
from tests.trial.conformance_table import FILES, ROOT, suites

EVERY_BUILD = "every build"
"""Stands among the rules of the cases that every build plays on a real server."""


class Listed(NamedTuple):
    """A case, with the rules that it says it shows."""

    file: str
    case: str
    rules: tuple[str, ...]


@cache
def listed() -> tuple[Listed, ...]:
    """Return all cases, in the order of ``suites``."""
    texts = {name: (ROOT / "conformance" / f"{name}.saga-test.yaml").read_bytes() for name in FILES}
    read = {name: yaml.load(text, yaml.CSafeLoader) for name, text in texts.items()}
    return tuple(Listed(name, each["name"], tuple(each["rules"])) for name in FILES for each in read[name]["cases"])


def marked() -> tuple[Listed, ...]:
    """Return the cases that every build plays on a real server."""
    return tuple(each for each in listed() if EVERY_BUILD in each.rules)


def loaded(each: Listed) -> tuple[Suite, Playable]:
    """Return a case with its suite, ready to be played."""
    return _by_name()[each.case]


@cache
def _by_name() -> dict[str, tuple[Suite, Playable]]:
    return {each.case.name: (suite, each) for suite in suites() for each in suite.cases}
