"""What a new run would do with the work of a closed one: the plan that an operator sees first. R31, R45.

It plays the new run with the engine itself, on a copy of the state. Each call to undo something succeeds at once; a
step that would go forward is shown, and not played, because nobody knows its output.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, assert_never

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import (
    Close,
    Command,
    Error,
    How,
    Inherited,
    Outcome,
    SendSignal,
    Settled,
    StartActivity,
    StartChild,
    Status,
)
from sagadsl.engine.journal import State
from sagadsl.engine.records import Progress, UndoProgress
from sagadsl.engine.snapshots import restore, snapshot
from sagadsl.immutable import Immutable
from sagadsl.language.model import Saga
from sagadsl.language.paths import Purpose, parse_call

_MOST = 100_000
"""Calls that a plan follows at most."""


class PlannedCall(Immutable):
    """A call that the new run begins; ``what`` is ``undo``, ``do`` or ``probe``.

    Attributes:
        name: The activity, the saga or the signal.
    """

    call: str
    name: str
    what: str

    def as_json(self) -> dict[str, Any]:
        return {"call": self.call, "name": self.name, "what": self.what}


class RedrivePlan(Immutable):
    """What a new run would do.

    Attributes:
        calls: In the order in which they begin.
        then: Steps of the saga that follow.
        kept: Steps that are done and stay so.
        undone: Steps that are undone already.
        unknown: Calls with an outcome that nobody knows.
        out_of_order: Steps that are undone now although an older step was undone before: R10 asks for the reverse.
        status: How the saga ends if all goes well; ``None`` when that depends on what the steps give.
    """

    calls: tuple[PlannedCall, ...] = ()
    then: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    out_of_order: tuple[str, ...] = ()
    status: Status | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "calls": [each.as_json() for each in self.calls],
            "then": list(self.then),
            "kept": list(self.kept),
            "undone": list(self.undone),
            "unknown": list(self.unknown),
            "out_of_order": list(self.out_of_order),
            "ends_as": None if self.status is None else self.status.value,
        }


def plan(saga: Saga, state: State, first: Inherited, ends: Sequence[Settled], lost: Iterable[Settled]) -> RedrivePlan:
    """Return what follows from *first* and the ends of calls; *lost* are those with an unknown outcome."""
    copy, unknown = restore(snapshot(state)), list(lost)
    commands: deque[Command] = deque(decide(saga, copy, first))
    for end in (*ends, *unknown):
        commands.extend(decide(saga, copy, end))
    calls: list[PlannedCall] = []
    status: Status | None = None
    while commands and len(calls) < _MOST:
        command = commands.popleft()
        if isinstance(command, Close):
            status = command.status
        elif isinstance(command, StartActivity | StartChild | SendSignal):
            planned = _planned(command)
            calls.append(planned)
            if first.how is How.UNDO or planned.what == "undo":
                commands.extend(decide(saga, copy, _goes_well(planned, first.at)))
    return RedrivePlan(
        tuple(calls),
        _then(saga, copy) if first.how is How.FORWARD and status is None else (),
        _kept(copy) if first.how is How.FORWARD else (),
        _undone(state),
        tuple(each.call_id for each in unknown),
        _out_of_order(state, calls),
        status,
    )


_DONE = UndoProgress.DONE


def _undone(state: State) -> tuple[str, ...]:
    return tuple(path for path, record in state.records.items() if record.undo and record.undo.progress is _DONE)


def _out_of_order(state: State, calls: Sequence[PlannedCall]) -> tuple[str, ...]:
    """Return the steps to undo that began after a step had settled that is undone already. R10."""
    oldest = min((state.records[path].settled for path in _undone(state)), default=None)
    if oldest is None:
        return ()
    paths = dict.fromkeys(parse_call(each.call).step for each in calls if each.what == "undo")
    return tuple(path for path in paths if path in state.records and state.records[path].began >= oldest)


def _planned(command: StartActivity | StartChild | SendSignal) -> PlannedCall:
    match command:
        case StartActivity(activity=name) | StartChild(saga=name) | SendSignal(signal=name):
            pass
        case _:
            assert_never(command)
    purpose = parse_call(command.call_id).purpose
    what = {Purpose.DO: "do", Purpose.UNDO: "undo", Purpose.PROBE: "probe"}[purpose]
    return PlannedCall(command.call_id, name, what)


def _goes_well(call: PlannedCall, at: float) -> Settled:
    if call.what == "probe":  # the plan cannot know what it will say
        return Settled(
            at, call.call, Outcome.UNKNOWN, error=Error("unknown", "the probe has not been asked", call.call)
        )
    return Settled(at, call.call, Outcome.SUCCEEDED)


def _then(saga: Saga, state: State) -> tuple[str, ...]:
    return tuple(step.id for step in saga.steps if step.id not in state.records)


def _kept(state: State) -> tuple[str, ...]:
    return tuple(path for path, record in state.records.items() if record.progress is Progress.COMPLETED)
