"""Finds the moves: all that may happen next to a saga. Calls end, timers fire, signals, decisions and a cancel come.

Each move is a fact that a host could deliver. This module neither searches nor judges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import inf
from typing import Literal, assert_never

from sagadsl.engine import migration, operator, redriven, waits
from sagadsl.engine.call_errors import SECOND_TRY, never_sent, queue_limit
from sagadsl.engine.facts import (
    NOTHING_GIVEN,
    CancelRequested,
    DrainRequested,
    Error,
    Fact,
    Given,
    HistoryFull,
    How,
    Inherited,
    LateEnd,
    MigrationRequested,
    OperatorAsked,
    Outcome,
    SendSignal,
    Settled,
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
from sagadsl.immutable import Immutable, field, replace
from sagadsl.language.calls import ActivityCall, Send
from sagadsl.language.model import Saga, Step, WaitFor
from sagadsl.language.own_errors import (
    CANCELLED,
    DEFINITION_NOT_FOUND,
    INVALID_INPUT,
    SIGNAL_NOT_DELIVERED,
    TIMEOUT,
    WORKFLOW_ALREADY_STARTED,
)
from sagadsl.language.paths import CallId, Purpose, TimerKind, is_compensation, parse_call, parse_timer, path_in
from sagadsl.trial.explore.world import OTHER_ERROR, Surroundings, refusal, silence

TICK = 0.1
"""Seconds between two moves, unless a timer makes it more."""


SERVER_ENDED_IT = Error("terminated", "the run was terminated")
"""The failure of a saga whose run the server has ended."""

UNSENT = "unsent"
"""The detail of the end of a call that never left the worker."""

is_undo = lru_cache(maxsize=4096)(is_compensation)
"""``is_compensation`` with a cache, because the search asks it about the same few calls again and again."""


class Silence(Immutable):
    """Stands for something that happens while the saga hears nothing of it."""

    at: float


MoveKind = Literal[
    "ok", "error", "unknown", "not started", "child", "timer", "signal", "operator", "cancel", "timeout", "continued",
    "full", "held", "released", "migrated", "killed", "redriven", "late",
]  # fmt: skip


class Move(Immutable):
    """One thing that happens.

    Attributes:
        what: In words, e.g. ``withdraw fails with Refused``.
        kind: ``ok``, ``error``, ``unknown``, ``not started`` or ``child`` when a call ends; else ``timer``,
            ``signal``, ``operator``, ``cancel``, ``timeout``, ``continued``, ``full``, ``migrated``, ``killed``,
            ``redriven``, or ``late`` when an attempt ends after its call. The saga does not hear of ``held`` and
            ``released``.
        target: The call, timer, signal or path that the move is about.
        cost: How many faults the move counts as.
        effect: The call has had its effect in the world, whatever it reports.
        detail: Type of the error, the verb, the number of the output, or the call inside a child that fails.
        takes: Seconds that the call takes to end this way, if nothing else has to come before.
    """

    what: str
    kind: MoveKind
    target: str
    fact: Fact | Silence
    cost: int = 0
    effect: bool = False
    detail: str = ""
    takes: float = TICK


class Flight(Immutable):
    """A call that runs.

    Attributes:
        ends: The latest instant at which the call can still run; infinite if nothing bounds it.
        asked: The call has been asked to stop.
        sent: The call has left the worker: the saga did not ask it to stop in the same moment as it began it.
        abandoned: The child saga goes on, and the call is over at once.
        held: An operator has paused the activity, or the child saga waits for a person. ``released``: the call has
            gone on since, and may end later than its limits allow.
    """

    command: StartActivity | StartChild | SendSignal
    began: float
    ends: float
    asked: bool = False
    sent: bool = True
    abandoned: bool = False
    held: bool = False
    released: bool = False


class Circumstances(Immutable):
    """What has happened so far that the state does not tell.

    Attributes:
        effects: Paths of the steps whose effect stands in the world.
        cancelled: Somebody has cancelled the saga. ``late``: the saga's timeout has passed.
        again: What happens once at most. Paths that an operator has had repeated; ``PAUSE`` when an operator has
            paused the saga; ``HELD`` when one has paused an activity, or a child saga has waited for a person;
            ``CONTINUED`` when the saga is to go on in a new run; ``FULL`` when its history has only room for undoing.
    """

    now: float
    flights: Mapping[str, Flight] = field(default_factory=dict)
    effects: frozenset[str] = frozenset()
    cancelled: bool = False
    late: bool = False
    again: frozenset[str] = frozenset()


PAUSE, HELD, CONTINUED, FULL, MIGRATED, RESET = "@pause", "@held", "@continued", "@full", "@migrated", "@reset"
KILLED, REDRIVEN = "@killed", "@redriven"


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
        end = _End(call_id, flight, at, soonest if len(here.flights) == 1 else at, path in here.effects, left > 0)
        if not flight.held:
            yield from _ends(step, end, surroundings)
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
    return not (command.local or _is_operation(command) or flight.asked or is_undo(command.call_id))


def _held(call: str, flight: Flight, at: float) -> Iterator[Move]:
    """Operators pause an activity and release it, however long it takes; a child saga waits for a person by itself."""
    child = isinstance(flight.command, StartChild)
    if flight.held:
        what = f"somebody decides in child saga `{call}`" if child else f"an operator releases `{call}`"
        yield Move(what, "released", call, Silence(at))
    else:
        what = f"child saga `{call}` waits for a person" if child else f"an operator holds `{call}`"
        yield Move(what, "held", call, Silence(at), 1)


def _asked(at: float, verb: Verb) -> OperatorAsked:
    return OperatorAsked(at, verb, by="operator", why="explored", request=f"{verb.value} {at}")


class _End(Immutable):
    """A call that is about to end.

    Attributes:
        soon: The next instant. ``soonest``: the instant by which the call has to end, if that is possible.
        happened: The effect of the step stands in the world, from an earlier call.
        faulty: The call may end with a fault.
    """

    call: str
    flight: Flight
    soon: float
    soonest: float
    happened: bool
    faulty: bool

    def at(self, takes: float) -> float:
        """Return the instant at which the call ends if it takes so long, or sooner if it has to end sooner."""
        at = self.flight.began + takes
        return at if self.soon < at < self.soonest else self.soon

    def failed(self, type_: str, takes: float = TICK) -> Move:
        error = Error(type_, f"{type_} (explored)")
        at = self.at(takes)
        late = _is_operation(self.flight.command) and at - self.flight.began >= SECOND_TRY  # R118
        fact = Settled(at, self.call, Outcome.UNKNOWN if late else Outcome.FAILED, error=error, attempts=1)
        return Move(f"`{self.call}` fails with {type_}", "error", self.call, fact, 1, detail=type_, takes=takes)

    def doubtful(self, type_: str, *, effect: bool, takes: float = TICK) -> Move:
        """Return the end of a local call that a worker had begun before, which died."""
        error = Error(type_, f"{type_} (explored)")
        fact = Settled(self.at(takes), self.call, Outcome.UNKNOWN, error=error, attempts=1)
        what = f"`{self.call}` fails with {type_} after its first worker has died, and has"
        what = f"{what} {'' if effect else 'not '}happened"
        return Move(what, "unknown", self.call, fact, 1, effect, type_, takes)

    def unknown(self, type_: str, *, effect: bool, cost: int, takes: float = TICK) -> Move:
        error = Error(type_, _MESSAGES[type_])
        began = self.flight.began if type_ == TIMEOUT else None
        fact = Settled(
            self.at(takes), self.call, Outcome.UNKNOWN, None, error, type_ == CANCELLED, attempts=1, began=began
        )
        word = _WORDS[type_]
        what = f"`{self.call}` {word} and has {'' if effect else 'not '}happened"
        return Move(what, "unknown", self.call, fact, cost, effect, type_, takes)


CHILD_FAILED = "ChildFailed"
"""The error of a child saga that fails here, whichever of its steps fails."""

LOST = "ResultLost"
"""The error of a call that happened, but whose result nobody can read: it says nothing about what was done."""

_WORDS = {CANCELLED: "is cancelled", TIMEOUT: "is never heard of again", LOST: "loses its result"}
_MESSAGES = {
    CANCELLED: "it was cancelled",
    TIMEOUT: "start_to_close timeout",
    LOST: "its result was lost (explored)",
}


def _ends(step: Step, end: _End, surroundings: Surroundings) -> Iterator[Move]:
    """Yield how a call may end. Participants are honest: they do not report a failure while the effect stands."""
    command = end.flight.command
    if not end.flight.sent:
        what = f"`{end.call}` is cancelled before it is sent"
        yield Move(what, "not started", end.call, never_sent(end.call, end.soon), detail=UNSENT)
    elif isinstance(command, StartChild):
        yield from _child_ends(end, command, surroundings)
    elif isinstance(command, SendSignal):
        fact = Settled(end.soon, end.call, Outcome.SUCCEEDED, attempts=1)
        yield Move(f"`{end.call}` delivers its signal", "ok", end.call, fact, 0, True, "0")
        if end.faulty and (is_undo(end.call) or not end.happened):
            yield end.failed(SIGNAL_NOT_DELIVERED)
    elif parse_call(end.call).purpose is Purpose.PROBE:
        fact = Settled(end.soon, end.call, Outcome.SUCCEEDED, end.happened, attempts=1)
        what = f"`{end.call}` answers {str(end.happened).lower()}"
        yield Move(what, "ok", end.call, fact, detail=str(int(not end.happened)))
        if end.faulty:
            yield end.failed("ProbeFailed")
    elif is_undo(end.call):
        fact = Settled(end.soon, end.call, Outcome.SUCCEEDED, attempts=1)
        yield Move(f"`{end.call}` succeeds", "ok", end.call, fact, 0, True, "0")
        if end.faulty:
            yield end.failed(OTHER_ERROR, refusal(command, OTHER_ERROR, TICK))
            actions = step.compensation.actions if step.compensation is not None and not end.happened else ()
            for type_ in dict.fromkeys(each for action in actions for each in action.already_undone):
                yield end.failed(type_)
    else:
        yield from _forward_ends(step, end, command, surroundings)


def _forward_ends(step: Step, end: _End, command: StartActivity, surroundings: Surroundings) -> Iterator[Move]:
    always = surroundings.always.get(command.activity)
    for number, output in enumerate(surroundings.outputs(command.activity)):
        cost = 1 if number and always is None else 0
        if always in (None, number) and (end.faulty or not cost):
            fact = Settled(end.soon, end.call, Outcome.SUCCEEDED, output, attempts=1)
            other = " with another output" if number else ""
            yield Move(f"`{end.call}` succeeds{other}", "ok", end.call, fact, cost, True, str(number))
    once = command.retry.maximum_attempts == 1
    if end.flight.asked and once:
        error = Error(CANCELLED, "it was cancelled")
        fact = Settled(end.soon, end.call, Outcome.NOT_STARTED, error=error, cancelled=True, attempts=1)
        yield Move(f"`{end.call}` is cancelled before a worker takes it", "not started", end.call, fact)
    if end.flight.asked and not (once and command.heartbeat is None and not command.local):
        # R37: the cancel comes with the answer to a heartbeat, or between two attempts. Nobody knows what was done.
        for effect in (False, True):
            yield end.unknown(CANCELLED, effect=effect, cost=0)
    if not end.faulty:
        return
    if not end.happened:
        for type_ in surroundings.errors(step):
            takes = TICK if end.flight.asked else refusal(command, type_, TICK)
            yield end.failed(type_, takes)
            if command.local:
                yield from (end.doubtful(type_, effect=effect, takes=takes) for effect in (False, True))
    if _may_be_lost(command):
        for effect in (True,) if end.happened else (True, False):
            yield end.unknown(TIMEOUT, effect=effect, cost=1, takes=silence(command, once=end.flight.asked))
    yield end.unknown(LOST, effect=True, cost=1)
    queue = None if command.local or _is_operation(command) else queue_limit(command)
    if queue is not None:
        waits = queue.total_seconds()
        error = Error(TIMEOUT, "schedule_to_start timeout")
        fact = Settled(end.at(waits), end.call, Outcome.NOT_STARTED, error=error, attempts=1)
        yield Move(f"no worker takes `{end.call}`", "not started", end.call, fact, 1, takes=waits)


def _is_operation(command: StartActivity | StartChild | SendSignal) -> bool:
    return isinstance(command, StartActivity) and command.operation is not None


def _may_be_lost(command: StartActivity) -> bool:
    """Whether a call that is never heard of again is ever given up: not if it is tried without limit."""
    if _is_operation(command):
        return silence(command, once=False) < inf
    retry = command.retry
    endless = retry.maximum_attempts is None and TIMEOUT not in retry.non_retryable_error_types
    return not endless or command.schedule_to_close is not None


def _child_ends(end: _End, command: StartChild, surroundings: Surroundings) -> Iterator[Move]:
    """Yield how a child saga may end. Here it is one call; what happens inside is for an exploration of its own."""
    undoes, asked = command.journal is not None, end.flight.asked
    child = surroundings.child(command)
    name = f"child saga `{end.call}`"
    if command.chosen and not undoes and end.faulty:
        error = Error(WORKFLOW_ALREADY_STARTED, "its workflow id is in use (explored)")
        fact = Settled(end.soon, end.call, Outcome.NOT_STARTED, error=error)
        yield Move(f"{name} does not begin: its id is in use", "child", end.call, fact, 1, detail="?")
    if command.detached:
        fact = Settled(end.soon, end.call, Outcome.SUCCEEDED, command.workflow_id)
        yield Move(f"{name} has begun, and goes on by itself", "child", end.call, fact, effect=True)
        return
    if end.flight.abandoned:
        fact = Settled(end.soon, end.call, Outcome.UNKNOWN, abandoned=True)
        yield Move(f"{name} goes on by itself", "child", end.call, fact)
        return
    if child is None:
        error = Error(DEFINITION_NOT_FOUND, f"there is no saga `{command.saga}`")
        fact = Settled(end.soon, end.call, Outcome.NOT_STARTED, error=error)
        yield Move(f"`{end.call}` does not begin", "child", end.call, fact)
        return
    journal = child.journal if command.wants_journal else None
    fact = Settled(end.at(child.seconds), end.call, Outcome.SUCCEEDED, child.output, journal=journal)
    what = "has undone itself" if undoes else "completes"
    yield Move(f"{name} {what}", "child", end.call, fact, effect=True, takes=child.seconds)
    if not undoes and (end.faulty or asked):
        type_ = CANCELLED if asked else CHILD_FAILED
        fact = Settled(end.soon, end.call, Outcome.FAILED, error=Error(type_, "it has undone itself"), cancelled=asked)
        first = path_in(end.call, child.first)
        yield Move(f"{name} fails and undoes itself", "child", end.call, fact, 0 if asked else 1, detail=first)
    if end.faulty and not undoes:
        error = Error(INVALID_INPUT, "the input does not fit (explored)")
        fact = Settled(end.soon, end.call, Outcome.NOT_STARTED, error=error)
        yield Move(f"{name} refuses its input", "child", end.call, fact, 1, detail="?")
    if end.faulty:
        error = Error(CHILD_FAILED, "it failed, and something of it is not undone (explored)")
        fact = Settled(end.soon, end.call, Outcome.UNKNOWN, error=error)
        yield Move(f"{name} fails and is not undone", "child", end.call, fact, 1, not undoes, "?")


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
