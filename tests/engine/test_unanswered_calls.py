"""How calls end that nobody answered: the words are those of both hosts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sagadsl.engine.call_errors import never_sent, queue_limit, spelled, timed_out
from sagadsl.engine.facts import Error, Outcome, Settled, StartActivity
from sagadsl.immutable import replace
from tests.engine.scenes import plain, play, saga


@pytest.fixture
def call() -> StartActivity:
    return play(saga(plain("a"))).commands["a"]


def test_a_call_that_was_never_sent_did_nothing() -> None:
    """R2."""
    error = Error("cancelled", "it was cancelled before it started", "a")

    assert never_sent("a", 7.0) == Settled(
        7.0, "a", Outcome.NOT_STARTED, None, error, cancelled=True, attempts=0, journal=None
    )


def test_a_limit_is_told_with_its_length(call: StartActivity) -> None:
    """R16, R17 of the cases."""
    assert spelled(call, "start_to_close") == "start_to_close timeout of 1m"
    assert spelled(call, "heartbeat") == "heartbeat timeout"
    assert spelled(call, "") == "activity timeout"
    assert timed_out(call, "start_to_close") == Error("timeout", "start_to_close timeout of 1m", "a")


def test_what_was_waited_for_is_told(call: StartActivity) -> None:
    """R54."""
    elsewhere = replace(call, task_queue="theirs")
    behind = (("Busy", "later"), ("OSError", "full"))

    assert timed_out(call, "schedule_to_start", queued=True).message == (
        "schedule_to_start timeout: no worker took `do.a` from the task queue"
    )
    assert timed_out(elsewhere, "schedule_to_start", queued=True, last=behind) == Error(
        "timeout",
        "schedule_to_start timeout of 10m: no worker took `do.a` from task queue `theirs`; "
        "the last error was Busy: later",
        "a",
        behind,
    )


@pytest.mark.parametrize(
    ("queue", "limits", "own", "expected"),
    [
        (None, (None, None), None, None),
        (None, (5, None), None, 5),
        ("theirs", (None, None), None, 600),
        ("theirs", (None, None), "ours", 600),
        ("ours", (None, None), "ours", None),
        ("theirs", (5, None), "ours", 5),
        ("theirs", (None, 900), "ours", None),
        ("theirs", (5, 900), "ours", 5),
    ],
)
def test_only_a_queue_of_somebody_else_s_that_nothing_bounds_is_bounded(
    call: StartActivity, queue: str | None, limits: tuple[int | None, int | None], own: str | None, expected: int | None
) -> None:
    """R54: in our own queue a worker polls, for it asks."""
    start, total = (None if each is None else timedelta(seconds=each) for each in limits)
    asked = replace(call, task_queue=queue, schedule_to_start=start, schedule_to_close=total)

    assert queue_limit(asked, own) == (None if expected is None else timedelta(seconds=expected))
