"""Finds the moves: all that may happen next to a saga. Calls end, timers fire, signals, decisions and a cancel come.

Each move is a fact that a host could deliver. This module neither searches nor judges.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import assert_never

from sagadsl.engine import migration, operator, redriven, waits
from sagadsl.engine.facts import (
    NOTHING_GIVEN,
    CancelRequested,
    DrainRequested,
    Given,
    HistoryFull,
    How,
    Inherited,
    LateEnd,
    MigrationRequested,
    OperatorAsked,
    Outcome,
    SendSignal,
    SignalReceived,
    StartActivity,
    StartChild,
    Status,
    TimerFired,
)
from sagadsl.engine.given import find
from sagadsl.engine.journal import State
from sagadsl.engine.run import TIMEOUT_TIMER
from sagadsl.engine.verbs import DECISIONS, Verb
from sagadsl.immutable import replace
from sagadsl.language.calls import ActivityCall, Send
from sagadsl.language.model import Saga, WaitFor
from sagadsl.language.own_errors import CANCELLED
from sagadsl.language.paths import CallId, TimerKind, parse_timer
from sagadsl.trial.explore.call_ends import End, ends, is_operation
from sagadsl.trial.explore.circumstances import (
    CONTINUED,
    FULL,
    HELD,
    KILLED,
    MIGRATED,
    PAUSE,
    REDRIVEN,
    RESET,
    SERVER_ENDED_IT,
    TICK,
    Circumstances,
    Flight,
    Move,
    Silence,
    is_undo,
)
from sagadsl.trial.explore.world import Surroundings


def moves(saga: Saga, state: State, here: Circumstances, surroundings: Surroundings, left: int = 1) -> Iterator[Move]:
    """Yield everything that may happen next, the usual first; faults only as long as some are *left*."""
    at = here.now + TICK
    soonest = min(state.timers.values(), default=inf)
    for call_id, flight in here.flights.items():
        path = state.calls[call_id]
        if flight.held or (left and _may_be_held(flight, here)):
            yield from _held(call_id, flight, at)
        step = saga.places[state.records[path].step].step
        # Beside other calls it ends soon: in a trial, no call can wait for a worker until it is its turn.
        end = End(call_id, flight, at, soonest if len(here.flights) == 1 else at, path in here.effects, left > 0)
        if not flight.held:
            yield from ends(step, end, surroundings)
        elif flight.asked and isinstance(flight.command, StartActivity):
            yield from (end.unknown(CANCELLED, effect=effect, cost=0) for effect in (False, True))
    yield from (move for move in _timers(saga, state, here, at) if move.cost <= left)
    yield from _late_ends(state, here, at, surroundings)
    for signal in state.waiting:
        every = surroundings.payloads(signal, saga)
        taken = [each for each in every if waits.taker(saga, state, waits.Came(signal, each, at))[0] is not None]
        for number, payload in enumerate(taken[: None if left else 1]):
            came = SignalReceived(at, signal, payload, f"{signal} {at}")
            other = " with another payload" if number else ""
            yield Move(f"signal `{signal}` comes{other}", "signal", signal, came, min(number, 1), detail=str(number))
    yield from _decisions(saga, state, here, at, surroundings, pauses=surroundings.pauses and left > 0)
    if left and surroundings.resets and RESET not in here.again:
        yield from _resets(saga, state, at)
    if left and surroundings.kills and KILLED not in here.again:
        yield from _kills(saga, state, here, at)
    if left and surroundings.later is not None and MIGRATED not in here.again:
        yield from _migrations(saga, state, at, surroundings.later.saga)
    if left and CONTINUED not in here.again:
        yield Move("the saga goes on in a new run", "continued", "", DrainRequested(at), 1)
    if left and FULL not in here.again:
        yield Move("there is room in the history for undoing alone", "full", "", HistoryFull(at), 1)
    if not here.cancelled and left:
        yield Move("somebody cancels the saga", "cancel", "", CancelRequested(at), 1)
    if TIMEOUT_TIMER in state.timers and not here.late:
        certain = not (here.flights or state.waiting or state.attention or state.paused)
        certain = certain and soonest == state.timers[TIMEOUT_TIMER]
        fact = TimerFired(state.timers[TIMEOUT_TIMER] if certain else at, TIMEOUT_TIMER)
        if certain or left:
            yield Move("the saga's timeout passes", "timeout", "", fact, 0 if certain else 1)


def _late_ends(state: State, here: Circumstances, at: float, surroundings: Surroundings) -> Iterator[Move]:
    """Yield how attempts end late for which undos wait: with success if the effect stands, else without an effect."""
    for path, clock in map(parse_timer, state.timers):
        if clock is not TimerKind.SETTLE:
            continue
        record = state.records[path]
        happened, began = path in here.effects, None if record.unheard is None else record.unheard.began
        call = str(CallId(path, time=record.repeats + 1, key=record.key))
        output = surroundings.outputs(record.activity or surroundings.activity_of(record.step))[0] if happened else None
        outcome = Outcome.SUCCEEDED if happened else Outcome.FAILED
        fact = LateEnd(at, call, outcome, record.attempts or 1, began, output)
        yield Move(f"`{call}` {'succeeds' if happened else 'fails'} late", "late", call, fact, detail=outcome.value)


def _kills(saga: Saga, state: State, here: Circumstances, at: float) -> Iterator[Move]:
    """Yield the ways in which a run is killed and taken up at once; what is in flight has happened, or has not.

    A child saga goes on after a kill: only its own exploration knows how.
    """
    if any(isinstance(flight.command, StartChild) for flight in here.flights.values()):
        return
    for how in How:
        if redriven.refusal(saga, state, how, killed=True) is not None:
            continue
        words = "undoes it" if how is How.UNDO else "finishes it"
        fact = Inherited(at, "run-2", how, "recover", failure=SERVER_ENDED_IT)
        for effect in (False, True) if here.flights else (False,):
            happened = "; what is under way happens all the same" if effect else ""
            what = f"the server ends the run, and a new one {words}{happened}"
            yield Move(what, "killed", "", fact, 1, effect, how.value)


def redrives(saga: Saga, state: State, here: Circumstances, surroundings: Surroundings, left: int) -> Iterator[Move]:
    """Yield the ways in which a saga that has failed may go on in a new run."""
    if not left or not surroundings.kills or REDRIVEN in here.again or state.status is not Status.FAILED:
        return
    for how in How:
        if redriven.refusal(saga, state, how, killed=False) is None:
            words = "undo what it has left" if how is How.UNDO else "go on"
            fact = Inherited(here.now + TICK, "run-2", how, "redrive")
            yield Move(f"an operator lets the failed saga {words}", "redriven", "", fact, 1, detail=how.value)


def _resets(saga: Saga, state: State, at: float) -> Iterator[Move]:
    """Yield the steps to which an operator may let the saga go back."""
    for path in state.records:
        if operator.refusal(state, Verb.RESET, path, saga=saga) is None:
            what = f"an operator resets the saga to `{path}`"
            yield Move(what, "operator", path, replace(_asked(at, Verb.RESET), path=path), 1, detail="reset")


def _migrations(saga: Saga, state: State, at: float, later: Saga) -> Iterator[Move]:
    if not migration.refusal(saga, state, later.digest) and not migration.judge(saga, state, later).reasons:
        what = f"the saga goes on with {later.name} {later.version}".rstrip()
        yield Move(what, "migrated", "", MigrationRequested(at, later.digest, "operator", "explored"), 1)


def _decisions(
    saga: Saga, state: State, here: Circumstances, at: float, surroundings: Surroundings, *, pauses: bool
) -> Iterator[Move]:
    """Yield what operators may do. They are honest: they say of a pivot in doubt whether it really happened, and what
    they say that they have done by hand, they have done."""
    for path in state.attention:
        for verb in (*DECISIONS, Verb.ABORT):
            given = _by_hand(saga, state, path, surroundings) if verb is Verb.COMPLETE_STEP else NOTHING_GIVEN
            if verb is Verb.RETRY_STEP and path in here.again:
                continue
            if operator.refusal(state, verb, path, saga=saga, given=given) is not None:
                continue
            if path == state.pivot_at and verb is (Verb.ABORT if path in here.effects else Verb.SKIP_STEP):
                continue
            if verb is Verb.SKIP_STEP and path in here.effects and not state.pivot_passed and path != state.pivot_at:
                continue  # who looks, sees that it has happened: `complete` says so
            asked = replace(_asked(at, verb), path=path, occurrence=state.occurrences.get(path, 1), given=given)
            yield Move(f"an operator says {verb.word} to `{path}`", "operator", path, asked, detail=verb.word)
    if state.paused:
        yield Move("an operator resumes the saga", "operator", "", _asked(at, Verb.RESUME), detail="resume")
    elif pauses and PAUSE not in here.again and not state.attention:
        yield Move("an operator pauses the saga", "operator", PAUSE, _asked(at, Verb.PAUSE), 1, detail="pause")


def _by_hand(saga: Saga, state: State, path: str, surroundings: Surroundings) -> Given:
    """Return what an operator gives who has done by hand what waits at *path*: the usual output of a step."""
    record, is_undo = find(state, path)
    if is_undo:
        return NOTHING_GIVEN
    body = saga.places[record.step].step.body
    if isinstance(body, ActivityCall):
        return Given(output=(surroundings.outputs(record.activity or body.activity)[0],))
    if isinstance(body, WaitFor):
        signal = body.signals[0]
        return Given(output=(body.output_of(signal, surroundings.payloads(signal, saga)[0]),))
    return Given(output=(None if isinstance(body, Send) else {},))


def _may_be_held(flight: Flight, here: Circumstances) -> bool:
    """Whether a call may be held up: once in a run. An activity must go forward, and not have been asked to stop."""
    command = flight.command
    is_alone = flight.abandoned or (isinstance(command, StartChild) and command.detached)
    if HELD in here.again or not flight.sent or is_alone or isinstance(command, SendSignal):
        return False
    if isinstance(command, StartChild):
        return True
    return not (command.local or is_operation(command) or flight.asked or is_undo(command.call_id))


def _held(call: str, flight: Flight, at: float) -> Iterator[Move]:
    """Operators pause an activity and release it, however long it takes; a child saga waits for a person by itself."""
    child = isinstance(flight.command, StartChild)
    if flight.held:
        what = f"somebody decides in child saga `{call}`" if child else f"an operator lets the call `{call}` go on"
        yield Move(what, "released", call, Silence(at))
    else:
        what = f"child saga `{call}` waits for a person" if child else f"an operator pauses the call `{call}`"
        yield Move(what, "held", call, Silence(at), 1)


def _asked(at: float, verb: Verb) -> OperatorAsked:
    return OperatorAsked(at, verb, by="operator", why="explored", request=f"{verb.value} {at}")


def _timers(saga: Saga, state: State, here: Circumstances, at: float) -> Iterator[Move]:
    """Yield the timers that may fire next: the earliest, unless a call under way must have ended before."""
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
        path, clock = parse_timer(timer)
        fact = TimerFired(max(at, instant), timer)
        fault = int(instant > at)  # else its time has come already, with that of another one
        match clock:
            case TimerKind.PAUSE:
                yield Move(f"nobody decides about `{path}` in time", "timer", timer, fact)
            case TimerKind.LIMIT:
                yield Move(f"`{path}` does not end in time", "timer", timer, fact, fault)
            case TimerKind.AGAIN:
                yield Move(f"`{path}` is tried again", "timer", timer, fact)
            case TimerKind.SETTLE:
                yield Move(f"nobody hears of the late attempt of `{path}`", "timer", timer, fact)
            case None:
                waits = isinstance(saga.places[state.records[timer].step].step.body, WaitFor)
                what = f"nobody sends `{timer}` its signal" if waits else f"the time of `{timer}` has come"
                yield Move(what, "timer", timer, fact, fault if waits else 0)
            case _:
                assert_never(clock)
