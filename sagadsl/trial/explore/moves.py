"""What may happen next to a saga: every end of every call, every timer, signal, decision, cancel.

Facts as any host could tell them. Knows nothing of searching, and judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sagadsl.engine import operator
from sagadsl.engine.facts import (
    CancelRequested,
    Error,
    Fact,
    OperatorAsked,
    Outcome,
    Settled,
    SignalReceived,
    StartActivity,
    StartChild,
    TimerFired,
    Verb,
)
from sagadsl.engine.journal import State
from sagadsl.engine.keys import is_compensation
from sagadsl.engine.run import TIMEOUT_TIMER
from sagadsl.language.model import Saga, Step, WaitFor
from sagadsl.trial.explore.world import Surroundings

TICK = 0.1
"""Seconds between two things that happen, unless a timer makes it more."""


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that happens.

    Attributes:
        what: In words, e.g. ``withdraw fails with Refused``.
        kind: ``ok``, ``error``, ``unknown``, ``not started``, ``timer``, ``signal``, ``operator``, ``cancel`` or
            ``timeout``.
        target: The call, timer, signal or path that it is about.
        cost: How many faults it counts as.
        effect: Of a call: it has happened in the world, whatever is reported.
        detail: Type of the error, the verb, or the number of the output.
    """

    what: str
    kind: str
    target: str
    fact: Fact
    cost: int = 0
    effect: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Flight:
    """A call that runs.

    Attributes:
        ends: The latest instant at which it can still run; infinite where nothing bounds it.
        asked: It has been asked to stop.
    """

    command: StartActivity | StartChild
    began: float
    ends: float
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What has happened so far that the state does not tell.

    Attributes:
        cancelled: Somebody has cancelled it, and ``late``: the saga's timeout has passed.
        again: Paths that an operator has had repeated: once is enough.
    """

    now: float
    flights: Mapping[str, Flight] = field(default_factory=dict)
    cancelled: bool = False
    late: bool = False
    again: frozenset[str] = frozenset()


def moves(saga: Saga, state: State, here: Circumstances, around: Surroundings) -> Iterator[Move]:
    """Yield everything that may happen next, the usual first."""
    at = here.now + TICK
    for call_id, flight in here.flights.items():
        step = saga.places[state.records[state.calls[call_id]].step].step
        yield from _ends(step, call_id, flight, at, around)
    yield from _timers(saga, state, here, at)
    for signal in state.waiting:
        for number, payload in enumerate(around.payloads(signal)):
            came = SignalReceived(at, signal, payload)
            other = " with another payload" if number else ""
            yield Move(f"signal `{signal}` comes{other}", "signal", signal, came, min(number, 1), detail=str(number))
    for path in state.attention:
        for verb in (Verb.RETRY_STEP, Verb.SKIP_STEP, Verb.ABORT):
            if (verb is Verb.RETRY_STEP and path in here.again) or operator.refusal(state, verb, path) is not None:
                continue
            word = verb.value.partition("_")[0]
            asked = OperatorAsked(at, verb, path, "operator", "explored")
            yield Move(f"an operator says {word} to `{path}`", "operator", path, asked, detail=word)
    if not here.cancelled:
        yield Move("somebody cancels the saga", "cancel", "", CancelRequested(at), 1)
    if TIMEOUT_TIMER in state.timers and not here.late:
        yield Move("the saga's timeout passes", "timeout", "", TimerFired(at, TIMEOUT_TIMER), 1)


def _ends(step: Step, call_id: str, flight: Flight, at: float, around: Surroundings) -> Iterator[Move]:
    if isinstance(flight.command, StartChild):
        yield from _child_ends(call_id, flight.command, flight.asked, at, around)
        return
    activity = flight.command.activity
    if call_id.partition("#")[0].endswith(".probe"):
        for answer in (True, False):
            fact = Settled(at, call_id, Outcome.SUCCEEDED, answer, attempts=1)
            yield Move(f"`{call_id}` answers {str(answer).lower()}", "ok", call_id, fact, detail=str(int(not answer)))
        yield _failed(at, call_id, "ProbeFailed")
        return
    undo = is_compensation(call_id)
    outputs = (None,) if undo else around.outputs(activity)
    for number, output in enumerate(outputs):
        fact = Settled(at, call_id, Outcome.SUCCEEDED, output, attempts=1)
        other = " with another output" if number else ""
        yield Move(f"`{call_id}` succeeds{other}", "ok", call_id, fact, min(number, 1), True, str(number))
    if undo:
        for type_ in around.undo_errors(step):
            yield _failed(at, call_id, type_)
        return
    if flight.asked:  # R37: the cancel has reached it, nobody knows how far it had got
        for effect in (False, True):
            yield _unknown(at, call_id, "cancelled", effect=effect, cost=0)
    for type_ in around.errors(step, activity):
        yield _failed(at, call_id, type_)
    for effect in (True, False):
        yield _unknown(at, call_id, "timeout", effect=effect, cost=1)
    if flight.command.schedule_to_start is not None:
        error = Error("timeout", "schedule_to_start timeout")
        fact = Settled(at, call_id, Outcome.NOT_STARTED, error=error, attempts=1)
        yield Move(f"no worker takes `{call_id}`", "not started", call_id, fact, 1)


def _failed(at: float, call_id: str, type_: str) -> Move:
    fact = Settled(at, call_id, Outcome.FAILED, error=Error(type_, f"{type_} (explored)"), attempts=1)
    return Move(f"`{call_id}` fails with {type_}", "error", call_id, fact, 1, detail=type_)


def _unknown(at: float, call_id: str, type_: str, *, effect: bool, cost: int) -> Move:
    error = Error(type_, "start_to_close timeout" if type_ == "timeout" else "it was cancelled")
    fact = Settled(at, call_id, Outcome.UNKNOWN, error=error, cancelled=type_ == "cancelled", attempts=1)
    happened = "and has happened" if effect else "and has not happened"
    word = "is cancelled" if type_ == "cancelled" else "is never heard of again"
    return Move(f"`{call_id}` {word} {happened}", "unknown", call_id, fact, cost, effect, type_)


def _child_ends(call_id: str, command: StartChild, asked: bool, at: float, around: Surroundings) -> Iterator[Move]:
    """A child saga is one call here; inside, it is explored by itself."""
    undoes = command.journal is not None
    child = around.child(command)
    if child is None:
        error = Error("DefinitionNotFound", f"there is no saga `{command.saga}`")
        yield Move(
            f"`{call_id}` does not begin", "error", call_id, Settled(at, call_id, Outcome.NOT_STARTED, error=error)
        )
        return
    output, journal = child
    fact = Settled(at, call_id, Outcome.SUCCEEDED, output, journal=journal if command.wants_journal else None)
    what = "has undone itself" if undoes else "completes"
    yield Move(f"child saga `{call_id}` {what}", "ok", call_id, fact, effect=True, detail="0")
    if not undoes:
        type_ = "cancelled" if asked else "ChildFailed"
        error = Error(type_, "it failed and has undone itself (explored)")
        fact = Settled(at, call_id, Outcome.FAILED, error=error, cancelled=asked)
        yield Move(
            f"child saga `{call_id}` fails and undoes itself", "error", call_id, fact, 0 if asked else 1, detail=type_
        )
    error = Error("ChildFailed", "it failed, and something of it is not undone (explored)")
    fact = Settled(at, call_id, Outcome.UNKNOWN, error=error)
    yield Move(f"child saga `{call_id}` fails and is not undone", "unknown", call_id, fact, 1, True, "ChildFailed")


def _timers(saga: Saga, state: State, here: Circumstances, at: float) -> Iterator[Move]:
    """Timers fire in the order of their instants, and not before a call must have ended that cannot live so long."""
    due = [(instant, timer) for timer, instant in state.timers.items() if timer != TIMEOUT_TIMER]
    if not due:
        return
    earliest = min(due)
    if any(flight.ends < earliest[0] for flight in here.flights.values()):
        return
    for instant, timer in due:
        if instant > earliest[0]:
            continue
        body = saga.places[state.records[timer].step].step.body
        waits = isinstance(body, WaitFor)
        fact = TimerFired(max(at, instant), timer)
        what = f"nobody sends `{timer}` its signal" if waits else f"the time of `{timer}` has come"
        yield Move(what, "timer", timer, fact, int(waits))
