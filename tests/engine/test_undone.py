"""What is undone, and what is not."""

from __future__ import annotations

import pytest

from tests.engine.scenes import act, flaky, gives, lost, no, plain, play, saga

FOUR = saga(act("a"), act("b"), act("c"), act("d"))


def test_when_all_four_steps_succeed_nothing_is_undone() -> None:
    """R1, a peer's suite: the happy path."""
    ran = play(FOUR)

    assert (ran.status, ran.calls) == ("completed", ["a", "b", "c", "d"])
    assert ran.report["undone"] == []


@pytest.mark.parametrize(
    ("fails", "undone"),
    [("a", []), ("b", ["a"]), ("c", ["b", "a"]), ("d", ["c", "b", "a"])],
)
def test_what_succeeded_before_the_failure_is_undone_newest_first(fails: str, undone: list[str]) -> None:
    """R1, R2, R10, a peer's suite: the first, third and fourth step fail."""
    ran = play(FOUR, {fails: no()})

    assert ran.status == "compensated"
    assert ran.calls == [*"abcd"[: len(undone) + 1], *(f"{path}.compensation" for path in undone)]
    assert ran.report["undone"] == undone
    assert ran.why == ("Refused", fails)
