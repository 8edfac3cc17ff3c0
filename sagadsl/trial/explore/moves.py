"""What may happen next to a saga: every end of every call, every timer, signal, decision, cancel.

Facts as any host could tell them. Knows nothing of searching, and judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import inf

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
from sagadsl.trial.explore.world import OTHER_ERROR, Surroundings, refusal, silence

TICK = 0.1
"""Seconds between two things that happen, unless a timer makes it more."""


is_undo = lru_cache(maxsize=4096)(is_compensation)
"""``is_compensation``, which is asked of the same few calls over and over."""


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that happens.

    Attributes:
        what: In words, e.g. ``withdraw fails with Refused``.
        kind: ``ok``, ``error``, ``unknown``, ``not started``, ``child``, ``timer``, ``signal``, ``operator``, ``cancel``
            or ``timeout``.
        target: The call, timer, signal or path that it is about.
        cost: How many faults it counts as.
        effect: Of a call: it has happened in the world, whatever is reported.
        detail: Type of the error, the verb, the number of the output, or the call inside a child that fails.
        takes: Seconds from the beginning of the call, at least.
    """

    what: str
    kind: str
    target: str
    fact: Fact
    cost: int = 0
    effect: bool = False
    detail: str = ""
    takes: float = 0.0


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
        effects: Paths of the steps whose effect stands in the world.
        cancelled: Somebody has cancelled it, and ``late``: the saga's timeout has passed.
        again: Paths that an operator has had repeated: once is enough; ``PAUSE`` when one has paused it.
    """

    now: float
    flights: Mapping[str, Flight] = field(default_factory=dict)
    effects: frozenset[str] = frozenset()
    cancelled: bool = False
    late: bool = False
    again: frozenset[str] = frozenset()


PAUSE = "@pause"


def moves(saga: Saga, state: State, here: Circumstances, around: Surroundings) -> Iterator[Move]:
    """Yield everything that may happen next, the usual first."""
    at = here.now + TICK
    soonest = min(state.timers.values(), default=inf)
    for call_id, flight in here.flights.items():
        path = state.calls[call_id]
        step = saga.places[state.records[path].step].step
        happened = path in here.effects
        yield from (_later(move, flight, soonest) for move in _ends(step, call_id, flight, at, around, happened))
    yield from _timers(saga, state, here, at)
    for signal in state.waiting:
        for number, payload in enumerate(around.payloads(signal)):
            came = SignalReceived(at, signal, payload)
            other = " with another payload" if number else ""
            yield Move(f"signal `{signal}` comes{other}", "signal", signal, came, min(number, 1), detail=str(number))
    yield from _decisions(state, here, at, pauses=around.pauses)
    if not here.cancelled:
        yield Move("somebody cancels the saga", "cancel", "", CancelRequested(at), 1)
    if TIMEOUT_TIMER in state.timers and not here.late:
        certain = not (here.flights or state.waiting or state.attention or state.paused)
        certain = certain and soonest == state.timers[TIMEOUT_TIMER]
        fact = TimerFired(state.timers[TIMEOUT_TIMER] if certain else at, TIMEOUT_TIMER)
        yield Move("the saga's timeout passes", "timeout", "", fact, 0 if certain else 1)


def _later(move: Move, flight: Flight, soonest: float) -> Move:
    """Return a move at the instant at which its call ends so, unless a timer is due before."""
    at = flight.began + move.takes
    if move.takes and move.fact.at < at < soonest:
        return replace(move, fact=replace(move.fact, at=at))
    return move


def _decisions(state: State, here: Circumstances, at: float, *, pauses: bool) -> Iterator[Move]:
    """What operators do. They are honest: of a pivot in doubt they say what is so."""
    for path in state.attention:
        for verb in (Verb.RETRY_STEP, Verb.SKIP_STEP, Verb.ABORT):
            if (verb is Verb.RETRY_STEP and path in here.again) or operator.refusal(state, verb, path) is not None:
                continue
            if path == state.pivot_at and verb is (Verb.ABORT if path in here.effects else Verb.SKIP_STEP):
                continue
            word = verb.value.partition("_")[0]
            asked = OperatorAsked(at, verb, path, "operator", "explored")
            yield Move(f"an operator says {word} to `{path}`", "operator", path, asked, detail=word)
    if state.paused:
        yield Move("an operator resumes the saga", "operator", "", _asked(at, Verb.RESUME), detail="resume")
    elif pauses and PAUSE not in here.again and not state.attention:
        yield Move("an operator pauses the saga", "operator", PAUSE, _asked(at, Verb.PAUSE), 1, detail="pause")


def _asked(at: float, verb: Verb) -> OperatorAsked:
    return OperatorAsked(at, verb, by="operator", why="explored")


def _ends(
    step: Step, call_id: str, flight: Flight, at: float, around: Surroundings, happened: bool
) -> Iterator[Move]:
    """How a call may end. Participants are honest: one in whose books the effect stands does not say that it failed."""
    command = flight.command
    if isinstance(command, StartChild):
        yield from _child_ends(call_id, command, flight.asked, at, around)
    elif call_id.partition("#")[0].endswith(".probe"):
        fact = Settled(at, call_id, Outcome.SUCCEEDED, happened, attempts=1)
        yield Move(f"`{call_id}` answers {str(happened).lower()}", "ok", call_id, fact, detail=str(int(not happened)))
        yield _failed(at, call_id, "ProbeFailed")
    elif is_undo(call_id):
        fact = Settled(at, call_id, Outcome.SUCCEEDED, attempts=1)
        yield Move(f"`{call_id}` succeeds", "ok", call_id, fact, 0, True, "0")
        yield _failed(at, call_id, OTHER_ERROR, refusal(command, OTHER_ERROR, TICK))
        actions = step.compensation.actions if step.compensation is not None and not happened else ()
        for type_ in dict.fromkeys(each for action in actions for each in action.already_undone):
            yield _failed(at, call_id, type_)
    else:
        yield from _forward_ends(step, call_id, command, flight.asked, at, around, happened)


def _forward_ends(
    step: Step, call_id: str, command: StartActivity, asked: bool, at: float, around: Surroundings, happened: bool
) -> Iterator[Move]:
    always = around.always.get(command.activity)
    for number, output in enumerate(around.outputs(command.activity)):
        if always is None or number == always:
            fact = Settled(at, call_id, Outcome.SUCCEEDED, output, attempts=1)
            other = " with another output" if number else ""
            cost = 1 if number and always is None else 0
            yield Move(f"`{call_id}` succeeds{other}", "ok", call_id, fact, cost, True, str(number))
    once = command.retry.maximum_attempts == 1
    if asked and once:
        error = Error("cancelled", "it was cancelled")
        fact = Settled(at, call_id, Outcome.NOT_STARTED, error=error, cancelled=True, attempts=1)
        yield Move(f"`{call_id}` is cancelled before a worker takes it", "not started", call_id, fact)
    if asked and not (once and command.heartbeat is None):
        # R37: the cancel comes with the answer to a heartbeat, or between two attempts: nobody knows what was done.
        for effect in (False, True):
            yield _unknown(at, call_id, "cancelled", effect=effect, cost=0)
    if not happened:
        for type_ in around.errors(step):
            yield _failed(at, call_id, type_, refusal(command, type_, TICK))
    if _may_be_lost(command):
        for effect in (True,) if happened else (True, False):
            yield _unknown(at, call_id, "timeout", effect=effect, cost=1, takes=silence(command))
    if command.schedule_to_start is not None:
        waits = command.schedule_to_start.total_seconds()
        error = Error("timeout", "schedule_to_start timeout")
        fact = Settled(at, call_id, Outcome.NOT_STARTED, error=error, attempts=1)
        yield Move(f"no worker takes `{call_id}`", "not started", call_id, fact, 1, takes=waits)


def _may_be_lost(command: StartActivity) -> bool:
    """Whether a call of which nobody hears is ever given up: one that is tried without limit is not."""
    retry = command.retry
    endless = retry.maximum_attempts is None and "timeout" not in retry.non_retryable_error_types
    return not endless or command.schedule_to_close is not None


def _failed(at: float, call_id: str, type_: str, takes: float = 0.0) -> Move:
    fact = Settled(at, call_id, Outcome.FAILED, error=Error(type_, f"{type_} (explored)"), attempts=1)
    return Move(f"`{call_id}` fails with {type_}", "error", call_id, fact, 1, detail=type_, takes=takes)


def _unknown(at: float, call_id: str, type_: str, *, effect: bool, cost: int, takes: float = 0.0) -> Move:
    error = Error(type_, "start_to_close timeout" if type_ == "timeout" else "it was cancelled")
    fact = Settled(at, call_id, Outcome.UNKNOWN, error=error, cancelled=type_ == "cancelled", attempts=1)
    happened = "and has happened" if effect else "and has not happened"
    word = "is cancelled" if type_ == "cancelled" else "is never heard of again"
    return Move(f"`{call_id}` {word} {happened}", "unknown", call_id, fact, cost, effect, type_, takes)


def _child_ends(call_id: str, command: StartChild, asked: bool, at: float, around: Surroundings) -> Iterator[Move]:
    """A child saga is one call here; inside, it is explored by itself."""
    undoes = command.journal is not None
    child = around.child(command)
    name = f"child saga `{call_id}`"
    if child is None:
        error = Error("DefinitionNotFound", f"there is no saga `{command.saga}`")
        fact = Settled(at, call_id, Outcome.NOT_STARTED, error=error)
        yield Move(f"`{call_id}` does not begin", "child", call_id, fact)
        return
    journal = child.journal if command.wants_journal else None
    fact = Settled(at, call_id, Outcome.SUCCEEDED, child.output, journal=journal)
    what = "has undone itself" if undoes else "completes"
    yield Move(f"{name} {what}", "child", call_id, fact, effect=True, detail="", takes=child.seconds)
    if not undoes:
        type_ = "cancelled" if asked else "ChildFailed"
        fact = Settled(at, call_id, Outcome.FAILED, error=Error(type_, "it has undone itself"), cancelled=asked)
        first = f"{call_id}/{child.first}"
        yield Move(f"{name} fails and undoes itself", "child", call_id, fact, 0 if asked else 1, detail=first)
    error = Error("ChildFailed", "it failed, and something of it is not undone (explored)")
    fact = Settled(at, call_id, Outcome.UNKNOWN, error=error)
    yield Move(f"{name} fails and is not undone", "child", call_id, fact, 1, not undoes, "?")


def _timers(saga: Saga, state: State, here: Circumstances, at: float) -> Iterator[Move]:
    """Timers fire in the order of their instants, and not before a call must have ended that cannot live so long."""
    due = [(instant, timer) for timer, instant in state.timers.items() if timer != TIMEOUT_TIMER]
    if not due:
        return
    earliest = min(due)
    if earliest[0] > state.timers.get(TIMEOUT_TIMER, inf):
        return
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
