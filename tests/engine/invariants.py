"""What holds for every saga, whatever its definition, its participants and the moment somebody cancels it.

Judged by the events of the world, that is by what the participants have seen; of the state
only the records are trusted for what no participant can see.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from sagadsl.engine.facts import Outcome, Status
from sagadsl.engine.journal import Record, State, UndoProgress
from sagadsl.engine.keys import is_compensation, step_of_activity_id
from sagadsl.engine.virtual import Event, VirtualRun
from sagadsl.language.model import ForEach, On, Order, Parallel, Step

_TRIED = (UndoProgress.DONE, UndoProgress.FAILED, UndoProgress.SKIPPED)


@dataclass(frozen=True, slots=True)
class Span:
    """When a call began and ended, as places in the list of events; ``end`` is ``None`` while it runs."""

    call: str
    path: str
    start: int
    end: int | None
    outcome: str

    @property
    def is_undo(self) -> bool:
        return is_compensation(self.call)


def spans(events: Sequence[Event], saga_id: str) -> list[Span]:
    """Return the calls of a saga in the order in which they began."""
    found: list[Span] = []
    for place, event in enumerate(events):
        if event.saga != saga_id:
            continue
        if event.what == "start":
            assert all(each.end is not None for each in found if each.call == event.call), f"{event.call} began twice"
            found.append(Span(event.call, step_of_activity_id(event.call), place, None, ""))
        elif event.what == "end":
            index = max(i for i, each in enumerate(found) if each.call == event.call)
            begun = found[index]
            assert begun.end is None, f"{event.call} ended twice"
            found[index] = Span(begun.call, begun.path, begun.start, place, event.detail)
    return found


def check(events: Sequence[Event], saga_id: str, run: VirtualRun) -> None:
    """Check everything that can be said of a saga at any moment, and more once it has closed."""
    state, calls = run.state, spans(events[run.since :], saga_id)
    assert State.restore(json.loads(json.dumps(state.snapshot(), sort_keys=True))) == state
    _nothing_is_undone_while_something_runs(run, calls)
    _what_began_later_is_undone_first(run, calls)
    for record in state.records.values():
        _undone_when_due(run, record, [each for each in calls if each.is_undo and each.path == record.path])
    if run.close is not None:
        _nothing_is_left(state, calls)
        _the_status_is_true(run)


def _nothing_is_undone_while_something_runs(run: VirtualRun, calls: Sequence[Span]) -> None:
    """R12; the losers of ``complete_when`` are undone while other branches go on."""
    for undo in calls:
        if not undo.is_undo or _may_lose(run, undo.path):
            continue
        for forward in calls:
            if not forward.is_undo and not forward.path.startswith("on_failure/"):
                assert forward.start < undo.start, f"{forward.call} began after {undo.call}"
                assert forward.end is not None, f"{undo.call} began while {forward.call} runs"
                assert forward.end < undo.start, f"{undo.call} began before {forward.call} had settled"


def _what_began_later_is_undone_first(run: VirtualRun, calls: Sequence[Span]) -> None:
    """R10, and for ``order: reverse`` one at a time."""
    undos = [each for each in calls if each.is_undo]
    if run.saga.order is Order.REVERSE:
        for first, second in pairwise(undos):
            if not (_may_lose(run, first.path) or _may_lose(run, second.path)):
                assert first.end is not None, f"{second.call} began beside {first.call}"
                assert first.end < second.start, f"{second.call} began beside {first.call}"
    forward = {each.path: each for each in calls if not each.is_undo}
    last = {each.path: each for each in undos}
    first_undo = {each.path: each for each in reversed(undos)}
    for one, other in combinations([path for path in last if path in forward], 2):
        for earlier, later in ((one, other), (other, one)):
            a, b = forward[earlier], forward[later]
            if a.end is None or b.start < a.end or _may_lose(run, earlier):
                continue
            end = last[later].end
            assert end is not None, f"{earlier} is undone while {later} is"
            assert end < first_undo[earlier].start, f"{earlier} is undone before {later}"


def _undone_when_due(run: VirtualRun, record: Record, undos: Sequence[Span]) -> None:
    """R1, R2, R3, R43."""
    compensation = run.saga.places[record.step].step.compensation
    if compensation is None or record.undo is None:
        assert not undos, f"{record.path} has nothing to undo"
        return
    outcome = record.outcome
    due = {
        On.AUTO: outcome in (Outcome.SUCCEEDED, Outcome.UNKNOWN),
        On.COMPLETED: outcome is Outcome.SUCCEEDED,
        On.ATTEMPTED: outcome is not Outcome.NOT_STARTED,
    }[compensation.on]
    state, progress = run.state, record.undo.progress
    assert due or not undos or record.repeats, f"{record.path} was undone although it is {outcome.value}"
    actions = max(1, len(compensation.actions)) * (record.repeats + 1)  # a block that was repeated lost again
    effective = [each for each in undos if each.outcome == "succeeded"]
    assert len(effective) <= actions, f"{record.path} was undone twice"
    # A child that undoes itself may have undone losers when it ran forward.
    if (
        progress is UndoProgress.DONE
        and not state.undo_only
        and not any(action.already_undone for action in compensation.actions)
    ):
        assert len(effective) >= len(compensation.actions), f"{record.path} says that it was undone"
    if run.close is None:
        return
    went_back = not (state.pivot_passed or state.stopped or state.aborted or run.close.status is Status.COMPLETED)
    if went_back and due:
        assert progress in (*_TRIED, UndoProgress.NOT_ATTEMPTED), f"{record.path} was forgotten"
    if not went_back and undos:
        assert _may_lose(run, record.path), f"{record.path} was undone although the saga did not go back"


def _nothing_is_left(state: State, calls: Sequence[Span]) -> None:
    assert all(each.end is not None for each in calls)
    assert not state.calls
    assert not state.timers
    assert not state.waiting
    assert not state.frames
    assert not state.unwinds
    assert not state.attention
    for record in state.records.values():
        assert record.ended, f"{record.path} has not ended"
        assert record.undo is None or record.undo.progress not in (UndoProgress.RUNNING, UndoProgress.PAUSED)


def _the_status_is_true(run: VirtualRun) -> None:
    """DESIGN.md §4: the table of final states."""
    state, close = run.state, run.close
    assert close is not None
    assert close.status is state.status
    left = [record.path for record in state.records.values() if record.undo and _is_left(record)]
    match close.status:
        case Status.COMPLETED:
            assert close.failure is None
        case Status.COMPENSATED | Status.CANCELLED:
            assert not left, f"{left} were not undone"
            assert state.undo_only or close.failure is not None
        case _:
            assert state.status is Status.FAILED
            assert close.failure is not None
            assert left or state.pivot_passed or state.stopped or state.aborted


def _is_left(record: Record) -> bool:
    assert record.undo is not None
    return record.undo.progress in (UndoProgress.FAILED, UndoProgress.SKIPPED, UndoProgress.NOT_ATTEMPTED)


def _may_lose(run: VirtualRun, path: str) -> bool:
    """Whether a step stands in a block that can be complete without it."""
    return any(
        isinstance(block.body, Parallel | ForEach) and block.body.complete_when is not None
        for block in _blocks(run, path)
    )


def _blocks(run: VirtualRun, path: str) -> Iterator[Step]:
    names = [re.sub(r"\[\d+\]|\.on_error", "", part) for part in path.split("/")]
    for name in names[:-1]:
        if name in run.saga.places:
            yield run.saga.places[name].step
