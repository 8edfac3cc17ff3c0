"""A world without clock and network: time jumps to whatever is next.

It performs the engine's commands as a Temporal server and its workers would: attempts and
back-off, the four timeouts, heartbeats that carry a cancel, child sagas, timers, signals.
What an attempt does is asked of a *participant*; everything else follows from the commands.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import (
    Began,
    BeganUndo,
    Cancel,
    CancelRequested,
    CancelTimer,
    Close,
    Command,
    ContinueAsNew,
    DrainRequested,
    Error,
    Fact,
    Outcome,
    Resumed,
    Settled,
    StartActivity,
    StartChild,
    StartTimer,
    Status,
    TimerFired,
)
from sagadsl.engine.journal import State
from sagadsl.engine.projection import report
from sagadsl.language.model import Saga


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt of an activity goes, if nothing stops it.

    Attributes:
        output: What it returns when ``error`` is ``None``.
        error: Type of the error that it reports.
        retryable: The error may go away; otherwise it ends the attempts.
        takes: Seconds until it ends; longer than its timeout means that it times out.
        starts: Some worker takes it up; otherwise it waits in the queue.
        clean: A reported error says that nothing happened.
    """

    output: Any = None
    error: str | None = None
    message: str = ""
    retryable: bool = True
    takes: float = 0.1
    starts: bool = True
    clean: bool = True


Participant = Callable[[str, StartActivity, int], Attempt]
"""Called with the saga's id, the command and the number of the attempt, when the attempt begins."""


@dataclass(slots=True)
class _Call:
    command: StartActivity
    scheduled: float
    attempt: int = 0
    clean: bool = True
    running: bool = False
    cancelled: bool = False
    last_error: Error | None = None
    token: int = 0


@dataclass(slots=True)
class VirtualRun:
    """One saga in the world.

    Attributes:
        close: How it ended; ``None`` while it is open.
        parent: The run and the call that wait for it.
        since: How many events there were when it began; a child that undoes itself begins again under its id.
    """

    saga: Saga
    state: State
    close: Close | None = None
    parent: tuple[str, str] | None = None
    wants_journal: bool = False
    since: int = 0
    calls: dict[str, _Call] = field(default_factory=dict)
    children: dict[str, str] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in the world, for timelines and tests."""

    at: float
    saga: str
    what: str
    call: str
    attempt: int = 0
    detail: str = ""


class World:
    """Sagas that run in virtual time.

    Args:
        participant: What each attempt does; the default succeeds with null after 0.1 s.
        sagas: Definitions that child steps may name.
        replay: Serialise and restore every state after each fact, as the harshest continue-as-new would.
        drain: Ask for continue-as-new after each fact, so that nothing is ever begun beside something else.
        start: The instant at which time begins, in seconds since 1970.
    """

    def __init__(
        self,
        participant: Participant | None = None,
        *,
        sagas: Mapping[str, Saga] | None = None,
        replay: bool = False,
        drain: bool = False,
        start: float = 1_700_000_000.0,
    ) -> None:
        self.now = start
        self.begin = start
        self.runs: dict[str, VirtualRun] = {}
        self.events: list[Event] = []
        self._participant = participant or (lambda _saga, _command, _attempt: Attempt())
        self._sagas = dict(sagas or {})
        self._replay, self._drain = replay, drain
        self._order = count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def start(self, saga: Saga, input_: Any = None, saga_id: str = "saga-1") -> VirtualRun:
        """Begin a saga now."""
        run = VirtualRun(saga, State())
        self.runs[saga_id] = run
        self._tell(saga_id, Began(self.now, saga_id, f"run-{saga_id}", input_))
        return run

    def at(self, seconds: float, make: Callable[[float], Fact], saga_id: str = "saga-1") -> None:
        """Deliver the fact that ``make(instant)`` gives, *seconds* after the world began."""
        self._later(self.begin + seconds - self.now, lambda: self._tell(saga_id, make(self.now)))

    def cancel_at(self, seconds: float, saga_id: str = "saga-1") -> None:
        """Ask a saga to stop, *seconds* after the world began."""
        self.at(seconds, CancelRequested, saga_id)

    def run(self, until: float | None = None) -> None:
        """Let things happen, in order, until nothing more is due (or *until* seconds have passed)."""
        while self._due:
            at, _, act = self._due[0]
            if until is not None and at > self.begin + until:
                self.now = self.begin + until
                return
            heapq.heappop(self._due)
            self.now = max(self.now, at)
            act()

    def _later(self, delay: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now + max(0.0, delay), next(self._order), act))

    def _note(self, saga_id: str, what: str, call: str, attempt: int = 0, detail: str = "") -> None:
        self.events.append(Event(self.now, saga_id, what, call, attempt, detail))

    def _tell(self, saga_id: str, fact: Fact) -> None:
        run = self.runs[saga_id]
        if run.close is not None:
            return
        if self._replay and not isinstance(fact, Began | BeganUndo):
            run.state = State.restore(_sent(run.state.snapshot()))
        for command in decide(run.saga, run.state, fact):
            self._perform(saga_id, run, command)
        if self._drain and not isinstance(fact, DrainRequested | Resumed):
            self._tell(saga_id, DrainRequested(self.now))

    def _perform(self, saga_id: str, run: VirtualRun, command: Command) -> None:
        match command:
            case StartActivity(call_id=call_id):
                run.calls[call_id] = _Call(command, self.now)
                self._note(saga_id, "start", call_id, detail=command.activity)
                if command.schedule_to_close is not None:
                    limit, call = command.schedule_to_close.total_seconds(), run.calls[call_id]
                    self._later(limit, lambda: self._out_of_time(saga_id, call_id, call))
                self._begin_attempt(saga_id, call_id)
            case StartChild(call_id=call_id):
                self._start_child(saga_id, run, command)
            case StartTimer(timer_id=timer_id, due=due):
                token = run.timers[timer_id] = next(self._order)
                self._later(due - self.now, lambda: self._fire(saga_id, timer_id, token))
            case CancelTimer(timer_id=timer_id):
                run.timers.pop(timer_id, None)
            case Cancel(call_id=call_id):
                self._cancel(saga_id, run, call_id)
            case ContinueAsNew():
                assert not run.calls, "nobody would hear of them"
                assert not run.children, "nobody would hear of them"
                run.state = State.restore(_sent(run.state.snapshot()))
                run.timers.clear()
                self._note(saga_id, "continue_as_new", "")
                self._later(0, lambda: self._tell(saga_id, Resumed(self.now, f"run-{next(self._order)}")))
            case Close():
                self._close(saga_id, run, command)

    def _fire(self, saga_id: str, timer_id: str, token: int) -> None:
        if self.runs[saga_id].timers.get(timer_id) == token:
            del self.runs[saga_id].timers[timer_id]
            self._tell(saga_id, TimerFired(self.now, timer_id))

    def _begin_attempt(self, saga_id: str, call_id: str) -> None:
        call = self.runs[saga_id].calls.get(call_id)
        if call is None:
            return
        call.attempt += 1
        call.token = next(self._order)
        attempt = self._participant(saga_id, call.command, call.attempt)
        token, command = call.token, call.command
        if not attempt.starts:
            call.running = False
            if command.schedule_to_start is not None:
                wait = command.schedule_to_start.total_seconds()
                self._later(wait, lambda: self._time_out(saga_id, call_id, "schedule_to_start", token))
            return
        call.running = True
        self._note(saga_id, "attempt", call_id, call.attempt, command.activity)
        limit = command.start_to_close
        if limit is not None and attempt.takes > limit.total_seconds():
            self._later(limit.total_seconds(), lambda: self._time_out(saga_id, call_id, "start_to_close", token))
        else:
            self._later(attempt.takes, lambda: self._attempt_over(saga_id, call_id, token, attempt))

    def _attempt_over(self, saga_id: str, call_id: str, token: int, attempt: Attempt) -> None:
        call = self.runs[saga_id].calls.get(call_id)
        if call is None or call.token != token:
            return
        if attempt.error is None:
            self._settle(saga_id, call_id, Outcome.SUCCEEDED, output=attempt.output)
            return
        error = Error(attempt.error, attempt.message)
        call.clean = call.clean and attempt.clean
        retryable = attempt.retryable and attempt.error not in call.command.retry.non_retryable_error_types
        self._retry_or_settle(saga_id, call_id, call, error, retryable)

    def _out_of_time(self, saga_id: str, call_id: str, call: _Call) -> None:
        if self.runs[saga_id].calls.get(call_id) is call:
            self._time_out(saga_id, call_id, "schedule_to_close", call.token)

    def _time_out(self, saga_id: str, call_id: str, kind: str, token: int) -> None:
        call = self.runs[saga_id].calls.get(call_id)
        if call is None or call.token != token:
            return
        last = () if call.last_error is None else ((call.last_error.type, call.last_error.message),)
        error = Error("timeout", f"{kind} timeout", causes=last)
        if kind == "start_to_close":
            call.clean = False
            retryable = "timeout" not in call.command.retry.non_retryable_error_types
            self._retry_or_settle(saga_id, call_id, call, error, retryable)
            return
        if not call.running and call.attempt <= 1:
            outcome = Outcome.NOT_STARTED
        elif not call.running and call.clean:
            outcome = Outcome.FAILED  # between two attempts, and every one ended in a reported error
        else:
            outcome = Outcome.UNKNOWN
        self._settle(saga_id, call_id, outcome, error=error)

    def _retry_or_settle(self, saga_id: str, call_id: str, call: _Call, error: Error, retryable: bool) -> None:
        retry = call.command.retry
        call.running, call.last_error = False, error
        used_up = retry.maximum_attempts is not None and call.attempt >= retry.maximum_attempts
        pause = _back_off(call)
        total = call.command.schedule_to_close
        too_late = total is not None and self.now + pause >= call.scheduled + total.total_seconds()
        if call.cancelled or not retryable or used_up or too_late:
            self._settle(saga_id, call_id, _known(call), error=error)
        else:
            self._note(saga_id, "retry", call_id, call.attempt, f"{error.type} again in {pause:g}s")
            self._later(pause, lambda: self._begin_attempt(saga_id, call_id))

    def _settle(
        self,
        saga_id: str,
        call_id: str,
        outcome: Outcome,
        *,
        output: Any = None,
        error: Error | None = None,
        cancelled: bool = False,
    ) -> None:
        call = self.runs[saga_id].calls.pop(call_id)
        self._note(saga_id, "end", call_id, call.attempt, outcome.value)
        self._tell(
            saga_id,
            Settled(self.now, call_id, outcome, output, error, cancelled=cancelled, attempts=call.attempt),
        )

    def _cancel(self, saga_id: str, run: VirtualRun, call_id: str) -> None:
        child_id = run.children.get(call_id)
        if child_id is not None:
            self._note(saga_id, "cancel", call_id)
            self._later(0, lambda: self._tell(child_id, CancelRequested(self.now)))
            return
        call = run.calls.get(call_id)
        if call is None or call.cancelled:
            return
        call.cancelled = True
        self._note(saga_id, "cancel", call_id, call.attempt)
        error = Error("cancelled", "it was cancelled")
        if not call.running:
            outcome = Outcome.NOT_STARTED if call.attempt <= 1 and call.last_error is None else _known(call)
            self._later(0, lambda: self._stop_call(saga_id, call_id, call, outcome, error))
        elif call.command.heartbeat is not None:  # R37: a cancel reaches a running attempt only through heartbeats
            self._later(0, lambda: self._stop_call(saga_id, call_id, call, Outcome.UNKNOWN, error))

    def _stop_call(self, saga_id: str, call_id: str, call: _Call, outcome: Outcome, error: Error) -> None:
        if self.runs[saga_id].calls.get(call_id) is call:
            self._settle(saga_id, call_id, outcome, error=error, cancelled=True)

    def _start_child(self, saga_id: str, run: VirtualRun, command: StartChild) -> None:
        self._note(saga_id, "start", command.call_id, detail=command.saga)
        saga = self._sagas.get(command.saga)
        if saga is None:
            error = Error("DefinitionNotFound", f"there is no saga `{command.saga}`")
            fact = Settled(self.now, command.call_id, Outcome.NOT_STARTED, error=error)
            self._later(0, lambda: self._child_over(saga_id, fact))
            return
        child_id = command.workflow_id
        child = VirtualRun(
            saga,
            State(),
            parent=(saga_id, command.call_id),
            wants_journal=command.wants_journal,
            since=len(self.events),
        )
        self.runs[child_id] = child
        run.children[command.call_id] = child_id
        first: Fact
        if command.journal is None:
            first = Began(self.now, child_id, f"run-{child_id}", command.input)
        else:
            assert command.failure is not None
            first = BeganUndo(self.now, child_id, f"run-{child_id}", command.journal, command.failure)
        self._later(0, lambda: self._tell(child_id, first))

    def _close(self, saga_id: str, run: VirtualRun, command: Close) -> None:
        run.close = command
        self._note(saga_id, "close", "", detail=command.status.value)
        if run.parent is None:
            return
        parent_id, call_id = run.parent
        self.runs[parent_id].children.pop(call_id, None)
        error = command.failure
        outcome = {
            Status.COMPLETED: Outcome.SUCCEEDED,
            Status.COMPENSATED: Outcome.SUCCEEDED if error is None else Outcome.FAILED,
            Status.CANCELLED: Outcome.FAILED,
        }.get(command.status, Outcome.UNKNOWN)
        fact = Settled(
            self.now,
            call_id,
            outcome,
            output=command.output,
            error=error,
            cancelled=command.status is Status.CANCELLED,
            journal=_sent(run.state.snapshot()) if run.wants_journal and outcome is Outcome.SUCCEEDED else None,
        )
        self._later(0, lambda: self._child_over(parent_id, fact))

    def _child_over(self, parent_id: str, fact: Settled) -> None:
        self._note(parent_id, "end", fact.call_id, detail=fact.outcome.value)
        self._tell(parent_id, fact)

    def report(self, saga_id: str = "saga-1") -> dict[str, Any]:
        """Return the final report of a saga."""
        run = self.runs[saga_id]
        return report(run.saga, run.state)


def _sent(data: Any) -> Any:
    """Return *data* as it arrives elsewhere: Temporal's converter sorts the keys of objects."""
    return json.loads(json.dumps(data, sort_keys=True))


def _known(call: _Call) -> Outcome:
    """RULES R5: `failed` when every attempt ended in a reported error, else nobody knows."""
    return Outcome.FAILED if call.clean else Outcome.UNKNOWN


def _back_off(call: _Call) -> float:
    """Return the pause before the next attempt, as Temporal's server computes it."""
    retry = call.command.retry
    longest = retry.maximum_interval.total_seconds()
    try:
        growth = retry.backoff_coefficient ** (call.attempt - 1)
    except OverflowError:
        return longest
    return min(retry.initial_interval.total_seconds() * growth, longest)
