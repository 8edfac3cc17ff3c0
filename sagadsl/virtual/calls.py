"""Activities in virtual time: attempts and back-off, the four timeouts, heartbeats, cancels, lost workers.

Does what a Temporal server does with one activity after the other; what an attempt itself
does is asked of a participant. Knows nothing of sagas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

from sagadsl.engine.call_errors import Causes, queue_limit, stops_retries, timed_out, unmeasured
from sagadsl.engine.facts import Error, Outcome, Settled, StartActivity
from sagadsl.immutable import Immutable
from sagadsl.language.own_errors import CANCELLED, TIMEOUT
from sagadsl.virtual.clock import Clock

WORKFLOW_TASK_TIMEOUT = 10.0
"""Seconds after which Temporal gives the task of a lost worker, and so its local activities, to another one."""


class Attempt(Immutable):
    """How one attempt of an activity goes, if nothing stops it.

    Attributes:
        output: What it returns when ``error`` is ``None``.
        error: Type of the error that it reports.
        retryable: The error may go away; otherwise it ends the attempts.
        takes: Seconds until it ends; longer than its timeout means that it times out.
        starts: Some worker takes it up; otherwise it waits in the queue.
        clean: A reported error says that nothing happened.
        beats: It heartbeats as it should, so that a cancel reaches it and no heartbeat timeout does.
        retry_after: Seconds until the next attempt, instead of the retry policy's pause.
    """

    output: Any = None
    error: str | None = None
    message: str = ""
    retryable: bool = True
    takes: float = 0.1
    starts: bool = True
    clean: bool = True
    beats: bool = True
    retry_after: float | None = None


LOST = Attempt(takes=inf, beats=False)
"""The attempt of a worker that has died: nobody hears of it again."""

Participant = Callable[[str, StartActivity, int], Attempt]
"""Called with the saga's id, the command and the number of the attempt, when the attempt begins."""


@dataclass(slots=True)
class _Call:
    command: StartActivity
    scheduled: float
    attempt: int = 0
    began: float = 0.0
    beats: bool = True
    clean: bool = True
    running: bool = False
    cancelled: bool = False
    last: Causes = ()
    token: int = 0


class Calls:
    """The activities of one saga that have begun and not ended.

    Args:
        note: Takes what happens: kind of event, call id, number of the attempt, detail, type of an error.
        told: Takes the end of a call.
    """

    def __init__(
        self,
        clock: Clock,
        saga_id: str,
        participant: Participant,
        note: Callable[[str, str, int, str, str], None],
        told: Callable[[Settled], None],
    ) -> None:
        self._clock = clock
        self._saga_id = saga_id
        self._participant = participant
        self._note, self._told = note, told
        self._open: dict[str, _Call] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    def start(self, command: StartActivity) -> None:
        """Schedule an activity; its first attempt begins at once."""
        call = self._open[command.call_id] = _Call(command, self._clock.now)
        self._note("start", command.call_id, 0, command.activity, "")
        self._begin(call)

    def cancel(self, call_id: str) -> None:
        """Ask a call to stop; one that has ended, or has been asked, is left alone."""
        call = self._open.get(call_id)
        if call is None or call.cancelled:
            return
        call.cancelled = True
        self._note("cancel", call_id, call.attempt, "", "")
        if not call.running:
            # The server tells a call that waits for a worker from one between two attempts only where there is one.
            alone = call.command.retry.maximum_attempts == 1 and not call.command.local
            self._clock.later(0, lambda: self._stop(call, Outcome.NOT_STARTED if alone else Outcome.UNKNOWN))
        elif call.command.local or (call.command.heartbeat is not None and call.beats):
            # R37: a cancel comes with the answer to a heartbeat; in the saga's own worker it needs none.
            self._clock.later(0, lambda: self._stop(call, Outcome.UNKNOWN))

    def crash(self) -> None:
        """Lose the worker: of what runs now nobody hears again, until a timeout says so."""
        for call in self._open.values():
            if not call.running:
                continue
            if not call.command.local:
                call.beats = False
                self._lives(call, LOST, self._clock.now - call.began)
            elif not call.cancelled:  # else it stops at this very moment
                self._elsewhere(call.command)

    def _elsewhere(self, command: StartActivity) -> None:
        """Begin a local activity anew with another worker, which knows nothing of its attempts."""
        call = self._open[command.call_id] = _Call(command, self._clock.now + WORKFLOW_TASK_TIMEOUT)
        self._clock.later(WORKFLOW_TASK_TIMEOUT, lambda: self._begin(call))

    def _begin(self, call: _Call) -> None:
        """Begin the first attempt, and the time for all of them."""
        total = call.command.schedule_to_close
        if total is not None:
            self._clock.later(total.total_seconds(), lambda: self._time_out(call, "schedule_to_close"))
        self._begin_attempt(call)

    def _is_open(self, call: _Call, token: int | None = None) -> bool:
        return self._open.get(call.command.call_id) is call and token in (None, call.token)

    def _begin_attempt(self, call: _Call) -> None:
        if not self._is_open(call):
            return
        call.attempt += 1
        call.began = self._clock.now
        attempt = self._participant(self._saga_id, call.command, call.attempt)
        if attempt.starts:
            call.running, call.beats = True, attempt.beats
            self._note("attempt", call.command.call_id, call.attempt, call.command.activity, "")
            self._lives(call, attempt, 0.0)
            return
        limit = queue_limit(call.command)
        if limit is not None:
            self._clock.later(limit.total_seconds(), lambda: self._time_out(call, "schedule_to_start"))

    def _lives(self, call: _Call, attempt: Attempt, age: float) -> None:
        """Plan the end of an attempt that has run for *age* seconds: its own, or its timeout."""
        token = call.token = self._clock.unique()
        command, ends = call.command, attempt.takes
        kind = ""
        if command.start_to_close is not None and (limit := command.start_to_close.total_seconds()) < ends:
            kind, ends = "start_to_close", limit
        if command.heartbeat is not None and not attempt.beats:
            silent = age + command.heartbeat.total_seconds()
            if silent < ends:
                kind, ends = "heartbeat", silent
        if kind:
            self._clock.later(ends - age, lambda: self._time_out(call, kind, token))
        elif ends < inf:
            self._clock.later(ends, lambda: self._attempt_over(call, token, attempt))

    def _attempt_over(self, call: _Call, token: int, attempt: Attempt) -> None:
        if not self._is_open(call, token):
            return
        if attempt.error is None:
            self._settle(call, Outcome.SUCCEEDED, output=attempt.output)
            return
        error = Error(attempt.error, attempt.message)
        call.clean = call.clean and attempt.clean
        retryable = attempt.retryable and attempt.error not in call.command.retry.non_retryable_error_types
        self._retry_or_settle(call, error, ((error.type, error.message),), retryable, attempt.retry_after)

    def _time_out(self, call: _Call, kind: str, token: int | None = None) -> None:
        if not self._is_open(call, token):
            return
        queued = not call.running
        error = timed_out(call.command, kind, queued=queued, last=call.last)
        if kind in ("start_to_close", "heartbeat"):
            call.clean = False
            retryable = not stops_retries(kind, call.command.retry.non_retryable_error_types)
            self._retry_or_settle(call, error, ((TIMEOUT, unmeasured(kind)),), retryable, None)
            return
        if queued and call.attempt == 1:
            outcome = Outcome.NOT_STARTED
        elif queued:
            outcome = _known(call)
        else:
            outcome = Outcome.UNKNOWN
        self._settle(call, outcome, error=error)

    def _retry_or_settle(
        self, call: _Call, error: Error, told: Causes, retryable: bool, retry_after: float | None
    ) -> None:
        """Take the end of an attempt; *told* is its error as it lies behind a later one."""
        command, retry = call.command, call.command.retry
        call.running = False
        used_up = retry.maximum_attempts is not None and call.attempt >= retry.maximum_attempts
        pause = retry.pause(call.attempt) if retry_after is None else retry_after
        total = command.schedule_to_close
        too_late = total is not None and self._clock.now + pause >= call.scheduled + total.total_seconds()
        if call.cancelled or not retryable or used_up:
            self._settle(call, _known(call), error=error)
            return
        if too_late:  # told as the total timeout, at once
            last = call.last if error.type == TIMEOUT else told
            late = error if command.local else timed_out(command, "schedule_to_close", last=last)
            self._settle(call, _known(call), error=late)
            return
        call.last = () if command.local else told  # of a local activity nobody keeps it
        self._note("retry", call.command.call_id, call.attempt, f"{error.type} again in {pause:g}s", error.type)
        call.token = self._clock.unique()  # what was planned for this attempt is over
        self._clock.later(pause, lambda: self._begin_attempt(call))

    def _stop(self, call: _Call, outcome: Outcome) -> None:
        if self._is_open(call):
            self._settle(call, outcome, error=Error(CANCELLED, "it was cancelled"), cancelled=True)

    def _settle(
        self, call: _Call, outcome: Outcome, *, output: Any = None, error: Error | None = None, cancelled: bool = False
    ) -> None:
        call_id = call.command.call_id
        del self._open[call_id]
        self._note("end", call_id, call.attempt, outcome.value, "" if error is None else error.type)
        self._told(
            Settled(self._clock.now, call_id, outcome, output, error, cancelled=cancelled, attempts=call.attempt)
        )


def _known(call: _Call) -> Outcome:
    """R5: `failed` when every attempt ended in a reported error, else nobody knows.

    Of a local activity nobody ever does: a worker that died may have made attempts of which no trace is left.
    """
    return Outcome.FAILED if call.clean and not call.command.local else Outcome.UNKNOWN
