"""Small sagas, every way they can go: all outcomes of all calls, in all orders, with a cancel at every moment or none.

Here is no world: whatever a host could tell next is told next, and from each state all ways
are followed to their ends, where the rules that hold for every saga are checked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import (
    Began,
    Cancel,
    CancelRequested,
    Close,
    Error,
    Fact,
    OperatorAsked,
    Outcome,
    Settled,
    StartActivity,
    TimerFired,
    Verb,
)
from sagadsl.engine.journal import State
from sagadsl.engine.snapshots import restore, snapshot
from sagadsl.language.build import build
from sagadsl.language.model import Saga
from sagadsl.virtual.runs import Event, VirtualRun
from tests.engine.invariants import check
from tests.engine.scenes import act, plain, saga

AT = 0.0


@dataclass(frozen=True)
class Way:
    """How far one way has come."""

    state: dict[str, Any]
    events: tuple[Event, ...]
    asked: frozenset[str] = frozenset()
    cancelled: bool = False
    close: Close | None = None


def _next(way: Way, state: State) -> Iterator[tuple[Fact, bool]]:
    """Yield everything that may happen now, and whether it is the cancel."""
    for call in state.calls:
        undo = ".compensation" in call
        for outcome in (Outcome.SUCCEEDED, Outcome.FAILED, *(() if undo else (Outcome.UNKNOWN, Outcome.NOT_STARTED))):
            error = None if outcome is Outcome.SUCCEEDED else Error("E", f"{call} is {outcome.value}")
            yield Settled(AT, call, outcome, error=error), False
            if call in way.asked and outcome in (Outcome.UNKNOWN, Outcome.NOT_STARTED):
                yield Settled(AT, call, outcome, error=error, cancelled=True), False
    for timer in state.timers:
        yield TimerFired(AT, timer), False
    for path in state.attention:
        for verb in (Verb.SKIP_STEP, Verb.ABORT):
            yield OperatorAsked(AT, verb, path), False
    if not way.cancelled:
        yield CancelRequested(AT), True


def _go(model: Saga, way: Way, fact: Fact, cancel: bool) -> Way:
    state = restore(way.state)
    events, asked, close = list(way.events), set(way.asked), None
    if isinstance(fact, Settled):
        events.append(Event(AT, "s", "end", fact.call_id, detail=fact.outcome.value))
    for command in decide(model, state, fact):
        match command:
            case StartActivity(call_id):
                events.append(Event(AT, "s", "start", call_id))
            case Cancel(call_id):
                asked.add(call_id)
            case Close():
                close = command
    return Way(snapshot(state), tuple(events), frozenset(asked), way.cancelled or cancel, close)


def _ends(definition: dict[str, Any]) -> Counter[str]:
    """Follow every way to its end, check it, and count the ends by status."""
    model, ends = build(definition), Counter[str]()
    ways = [_go(model, Way({}, ()), Began(AT, "s", "r", None), cancel=False)]
    while ways:
        way = ways.pop()
        state = restore(way.state)
        if way.close is not None:
            check(way.events, "s", VirtualRun(model, state, close=way.close))
            ends[way.close.status.value] += 1
            continue
        facts = list(_next(way, state))
        assert any(not cancel for _, cancel in facts), "it waits for nothing"
        ways += [_go(model, way, fact, cancel) for fact, cancel in facts]
    return ends


SHAPES: dict[str, dict[str, Any]] = {
    "a row": saga(act("a"), act("b"), compensation={"on_failure": "continue"}),
    "a row, undone with an operator": saga(act("a"), act("b")),
    "branches": saga({"id": "p", "parallel": [act("a"), act("b")]}, compensation={"on_failure": "stop"}),
    "branches that wait, undone at once": saga(
        {"id": "p", "parallel": [act("a"), act("b")], "on_branch_failure": "wait"},
        compensation={"order": "parallel", "on_failure": "continue"},
    ),
    "the first of two": saga(
        {"id": "p", "parallel": [act("a"), act("b")], "complete_when": "completed >= 1", "on_branch_failure": "wait"},
        compensation={"on_failure": "continue"},
    ),
    "a pivot": saga(act("a"), plain("p", pivot=True), plain("b")),
    "a pivot with a probe beside a branch": saga(
        act("a", compensation=...),
        {"id": "both", "parallel": [plain("p", pivot=True, probe={"activity": "ask"}), act("b", on_error="continue")]},
    ),
    "a handler": saga(
        act("a", on_error=[{"types": ["E"], "steps": [act("fix")], "then": "compensate"}]),
        timeout="1h",
        compensation={"on_failure": "continue"},
    ),
    "a loop": saga(
        {"id": "l", "for_each": {"items": "[1, 2]"}, "steps": [act("x")]}, compensation={"on_failure": "continue"}
    ),
}


@pytest.mark.parametrize("shape", list(SHAPES))
def test_every_way_ends_and_keeps_the_rules(shape: str) -> None:
    """R1, R2, R3, R9, R10, R12, R20, R25, R27, R30, R40, R43."""
    ends = _ends(SHAPES[shape])

    assert ends["completed"] > 0
    assert ends["failed"] + ends["compensated"] > 0
    assert ends.total() > 20
