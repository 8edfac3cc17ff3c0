"""One run in virtual time: what it is, what happens in it, and what its parent hears of its end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sagadsl.engine.facts import Close, Error, Outcome, Settled, Status
from sagadsl.engine.journal import State
from sagadsl.engine.projection import summary
from sagadsl.language.model import Saga
from sagadsl.language.own_errors import CANCELLED
from sagadsl.virtual.calls import Calls

KILLED = Error("terminated", "the run was terminated")
"""The failure of a saga whose run was killed."""


@dataclass(slots=True)
class VirtualRun:
    """One saga in the world.

    Attributes:
        close: How it ended; ``None`` while it is open.
        parent: The run and the call in it that wait for this run.
        since: The number of events when it began; a child that undoes itself begins again under the same id.
        calls: Its activities that have not ended; ``None`` for a run that nobody plays.
        sends: Those of them that are signals to other workflows: no cancel and no crash reaches them.
        abandons: It goes on when its parent's run ends.
        killed: The server ended it, and no code of it ran; ``late`` are the ends of its child sagas since then.
        migrates_to: The definition to which it migrates when nothing is in flight, with its child sagas by name.
        sagas: The child sagas of each of its definitions, by digest: those of the world are those of any other.
    """

    saga: Saga
    state: State
    close: Close | None = None
    parent: tuple[str, str] | None = None
    since: int = 0
    calls: Calls | None = None
    migrates_to: tuple[Saga, Mapping[str, Saga]] | None = None
    sagas: dict[str, Mapping[str, Saga]] = field(default_factory=dict)
    children: dict[str, str] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)
    sends: set[str] = field(default_factory=set)
    abandons: bool = False
    killed: bool = False
    late: list[Settled] = field(default_factory=list)


class Event(NamedTuple):
    """Something that happened in the world, for timelines and tests.

    Attributes:
        saga: Id of the run; empty for an event that happens to all runs.
        error: With ``retry``, ``end`` and ``late``: the type of the error, if there is one.
        what: ``start``, ``attempt``, ``retry``, ``cancel`` and ``end`` of a call, ``late`` (the end of an attempt after
            that of its call); ``timer`` (detail ``set`` or
            ``fired``), ``signal`` (the call is its name), ``operator`` (detail: the verb), ``cancel_request``,
            ``went_back`` (the call is the step from which the saga goes on), ``tried_again`` (the call is the step),
            ``timeout`` of the saga,
            ``crash`` of its worker, ``kill`` of its run, ``taken_up`` by a new one
            (detail: the verb), ``continue_as_new``,
            ``close`` (detail: the status).
    """

    at: float
    saga: str
    what: str
    call: str
    attempt: int = 0
    detail: str = ""
    error: str = ""


def end_for_parent(run: VirtualRun, close: Close, call_id: str, at: float) -> Settled:
    """Return what the parent of a run hears of its end, as that of its call."""
    outcome = {
        Status.COMPLETED: Outcome.SUCCEEDED,
        Status.COMPENSATED: Outcome.SUCCEEDED if close.failure is None else Outcome.FAILED,
        Status.CANCELLED: Outcome.FAILED,
        Status.REJECTED: Outcome.FAILED,
    }.get(close.status, Outcome.UNKNOWN)
    return Settled(
        at,
        call_id,
        outcome,
        output=close.output,
        error=_error_for_parent(run, close),
        cancelled=close.status is Status.CANCELLED,
        journal=sent(close.journal),
    )


def _error_for_parent(run: VirtualRun, close: Close) -> Error | None:
    """Return the error of a child saga for its parent: how the child ended, with the child's own error as the cause."""
    error = close.failure
    if close.status is Status.CANCELLED:
        return Error(CANCELLED, f"child saga `{run.saga.name}` was cancelled")
    if error is None:
        return None
    return Error(
        error.type,
        summary(run.saga, run.state),
        causes=((error.type, error.message), *error.causes),
        result=error.result,
    )


def sent(data: Any) -> Any:
    """Return *data* as a receiver gets it: Temporal's converter sorts the keys of objects."""
    return json.loads(json.dumps(data, sort_keys=True))
