"""A short fuzzing run, what has once broken something, and that it sees what breaks. See docs/fuzzing.md."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sagadsl.language.schema import definition
from tests.fuzz.fuzzing import again, drawn, fuzz
from tests.fuzz.kinds import Fault, corpus, kinds, tried

SEED = os.environ.get("SEED", "20261129")
SECONDS = float(os.environ.get("TIME", "10"))
KINDS = {kind.name: kind for kind in kinds()}
ONCE = [(kind, name) for kind in KINDS for name, _ in corpus(kind)]


@pytest.mark.parametrize(("kind", "name"), ONCE, ids=[f"{kind}/{name}" for kind, name in ONCE])
def test_what_has_once_broken_something_does_so_no_more(kind: str, name: str, tmp_path: Path) -> None:
    tried(KINDS[kind], tmp_path, dict(corpus(kind))[name])


def test_nothing_breaks_whatever_stands_in_a_file() -> None:
    """No mistake of ours, no traceback, no end that never comes; validate and run take the same."""
    done = fuzz(SEED, SECONDS)

    assert [(found.kind, found.case, found.why) for found in done.found] == []
    assert sum(done.cases.values()) > 10


def test_a_case_is_the_same_file_each_time() -> None:
    """A finding can be given to somebody else by its seed and number."""
    assert drawn(kinds(), "7/1234")[1] == drawn(kinds(), "7/1234")[1]
    assert len({drawn(kinds(), f"7/{number}")[1] for number in range(20)}) > 15


def test_what_breaks_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command's own last line of defence would hide it from a test that only looks for exceptions."""

    def broken(*_: object) -> None:
        raise KeyError("of a mistake")

    monkeypatch.setattr(definition, "_several", broken)
    data = b"sagadsl: 1\nname: a\nsteps:\n  - {id: s, sleep: 1s, set: {a: 1}}\n"

    with pytest.raises(Fault, match="of a mistake"):
        tried(KINDS["definitions"], tmp_path, data)
    assert again("7/1").cases.total() == 1
