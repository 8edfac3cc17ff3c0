"""Finds how a call that is under way may end: well, with an error, unheard, cancelled, or as a child saga ends."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from sagadsl.engine.call_errors import SECOND_TRY, never_sent, queue_limit
from sagadsl.engine.facts import Error, Outcome, SendSignal, Settled, StartActivity, StartChild
from sagadsl.immutable import Immutable
from sagadsl.language.model import Step
from sagadsl.language.own_errors import (
    CANCELLED,
    DEFINITION_NOT_FOUND,
    INVALID_INPUT,
    SIGNAL_NOT_DELIVERED,
    TIMEOUT,
    WORKFLOW_ALREADY_STARTED,
)
from sagadsl.language.paths import Purpose, parse_call, path_in
from sagadsl.trial.explore.circumstances import TICK, UNSENT, Flight, Move, is_undo
from sagadsl.trial.explore.world import OTHER_ERROR, Surroundings, refusal, silence


class End(Immutable):
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
        """Return the end with an error that the participant reports, after so many seconds."""
        error = Error(type_, f"{type_} (explored)")
        at = self.at(takes)
        late = is_operation(self.flight.command) and at - self.flight.began >= SECOND_TRY  # R118
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
        """Return the end of which nobody knows what it means: *effect* says whether the call has happened in truth."""
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


def ends(step: Step, end: End, surroundings: Surroundings) -> Iterator[Move]:
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


def _forward_ends(step: Step, end: End, command: StartActivity, surroundings: Surroundings) -> Iterator[Move]:
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
    queue = None if command.local or is_operation(command) else queue_limit(command)
    if queue is not None:
        waits = queue.total_seconds()
        error = Error(TIMEOUT, "schedule_to_start timeout")
        fact = Settled(end.at(waits), end.call, Outcome.NOT_STARTED, error=error, attempts=1)
        yield Move(f"no worker takes `{end.call}`", "not started", end.call, fact, 1, takes=waits)


def is_operation(command: StartActivity | StartChild | SendSignal) -> bool:
    """Whether a call is one of a Nexus operation."""
    return isinstance(command, StartActivity) and command.operation is not None


def _may_be_lost(command: StartActivity) -> bool:
    """Whether a call that is never heard of again is ever given up: not if it is tried without limit."""
    if is_operation(command):
        return silence(command, once=False) < inf
    retry = command.retry
    endless = retry.maximum_attempts is None and TIMEOUT not in retry.non_retryable_error_types
    return not endless or command.schedule_to_close is not None


def _child_ends(end: End, command: StartChild, surroundings: Surroundings) -> Iterator[Move]:
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
