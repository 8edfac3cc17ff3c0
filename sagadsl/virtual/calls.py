"""Activities in virtual time: attempts and back-off, the four timeouts, heartbeats, cancels, lost workers.

It does what a Temporal server does with each activity. A participant decides what an attempt
itself does. This module knows nothing of sagas.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from math import inf
from typing import Any

from sagadsl.engine.call_errors import SECOND_TRY, Causes, queue_limit, stops_retries, timed_out, unmeasured
from sagadsl.engine.facts import Error, LateEnd, Outcome, Settled, StartActivity
from sagadsl.immutable import Immutable
from sagadsl.language.own_errors import CANCELLED, TIMEOUT
from sagadsl.virtual.clock import Clock

WORKFLOW_TASK_TIMEOUT = 10.0
"""Seconds after which Temporal gives the task of a lost worker, with its local activities, to another worker."""


class Late(Immutable):
    """How an attempt ends that a timeout has ended before.

    Attributes:
        after: Seconds from the timeout to this end.
        error: Type of the error that it reports, which says that nothing happened; ``None``: it returns ``output``.
    """

    after: float
    output: Any = None
    error: str | None = None


class Attempt(Immutable):
    """How one attempt of an activity goes, if nothing stops it.

    Attributes:
        output: The output that it returns when ``error`` is ``None``.
        error: Type of the error that it reports.
        retryable: The error may go away; otherwise it ends the attempts.
        takes: Seconds until it ends; if that is longer than its timeout, it times out.
        starts: A worker takes it; otherwise it waits in the queue.
        clean: A reported error says that nothing happened.
        beats: It heartbeats as it should, so that a cancel can reach it, and no heartbeat timeout passes.
        retry_after: Seconds until the next attempt, instead of the pause of the retry policy.
        late: How it ends at last, if it times out and somebody hears of its end.
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
    late: Late | None = None


LOST = Attempt(takes=inf, beats=False)
"""The attempt of a worker that has died: nobody hears of this attempt again."""

Participant = Callable[[str, StartActivity, int], Attempt]
"""It is called when an attempt begins, with the saga's id, the command and the number of the attempt."""


@dataclass(slots=True)
class _Call:
    """A call that has begun and has not ended.

    Attributes:
        is_operation: It is a Nexus operation. The server tries it again by itself, and nobody hears how often.
    """

    command: StartActivity
    scheduled: float
    is_operation: bool
    attempt: int = 0
    began: float = 0.0
    beats: bool = True
    clean: bool = True
    running: bool = False
    cancelled: bool = False
    last: Causes = ()
    token: int = 0
    late: Late | None = None
    silent: bool = False


class Calls:
    """The activities of one saga that have begun and have not ended.

    Args:
        note: Called for each event: kind of event, call id, number of the attempt, detail, type of an error.
        on_end: Called with the end of a call, and with the late end of an attempt.
    """

    def __init__(
        self,
        clock: Clock,
        saga_id: str,
        participant: Participant,
        note: Callable[[str, str, int, str, str], None],
        on_end: Callable[[Settled | LateEnd], None],
    ) -> None:
        self._clock = clock
        self._saga_id = saga_id
        self._participant = participant
        self._note, self._on_end = note, on_end
        self._open: dict[str, _Call] = {}
        self._late: set[int] = set()
        self._in_doubt = False

    def __bool__(self) -> bool:
        return bool(self._open)

    def start(self, command: StartActivity) -> None:
        """Schedule an activity; its first attempt begins at once."""
        call = self._open[command.call_id] = _Call(command, self._clock.now, command.operation is not None)
        what = f"{command.activity} (local)" if command.local else command.activity
        self._note("start", command.call_id, 0, what, "")
        self._begin(call)

    def cancel(self, call_id: str) -> None:
        """Ask a call to stop. It leaves a call alone that has ended, or has been asked already."""
        call = self._open.get(call_id)
        if call is None or call.cancelled:
            return
        call.cancelled = True
        self._note("cancel", call_id, call.attempt, "", "")
        if call.is_operation:  # the server tells it only when it has started, and then it ends as it likes
            return
        if not call.running:
            # The server can tell a call that waits for a worker from a call between two attempts only if there is no
            # second attempt.
            alone = call.command.retry.maximum_attempts == 1 and not call.command.local
            self._clock.later(0, lambda: self._stop(call, Outcome.NOT_STARTED if alone else Outcome.UNKNOWN))
        elif call.command.local or (call.command.heartbeat is not None and call.beats):
            # R37: a cancel comes with the answer to a heartbeat; the saga's own worker needs no heartbeat.
            self._clock.later(0, lambda: self._stop(call, Outcome.UNKNOWN))

    def take_up(self) -> None:
        """Note that the run takes up the work of a closed one, whose local activities left no trace (R130)."""
        self._in_doubt = True

    def lose(self, calls: Container[str]) -> list[str]:
        """Forget those of *calls* that are open: their run is over, so nobody hears of their ends. Return their ids."""
        lost = [call for call in self._open if call in calls]
        for call in lost:
            del self._open[call]
        return lost

    def crash(self, spared: Container[str] = ()) -> None:
        """Lose the worker: nobody hears of its running attempts again, until a timeout passes.

        Args:
            spared: Calls that run elsewhere.
        """
        self._late.clear()
        for call in self._open.values():
            elsewhere = call.is_operation or call.command.call_id in spared
            if not call.running or elsewhere:
                continue
            if not call.command.local:
                call.beats = False
                self._lives(call, LOST, self._clock.now - call.began)
                continue
            self._in_doubt = True
            if not call.cancelled:  # a cancelled call stops at this very moment anyway
                self._elsewhere(call.command)

    def _elsewhere(self, command: StartActivity) -> None:
        """Begin a local activity anew with another worker, which knows nothing of the earlier attempts."""
        call = self._open[command.call_id] = _Call(command, self._clock.now + WORKFLOW_TASK_TIMEOUT, False)
        self._clock.later(WORKFLOW_TASK_TIMEOUT, lambda: self._begin(call))

    def _begin(self, call: _Call) -> None:
        """Begin the first attempt, and the time for all attempts."""
        total = call.command.schedule_to_close
        if total is not None:
            self._clock.later(total.total_seconds(), lambda: self._time_out(call, "schedule_to_close"))
        to_start = call.command.schedule_to_start if call.is_operation else None
        if to_start is not None:
            self._clock.later(to_start.total_seconds(), lambda: self._time_out(call, "schedule_to_start"))
        self._begin_attempt(call)

    def _is_open(self, call: _Call, token: int | None = None) -> bool:
        return self._open.get(call.command.call_id) is call and (token is None or token == call.token)

    def _begin_attempt(self, call: _Call) -> None:
        if not self._is_open(call):
            return
        call.attempt += 1
        call.began = self._clock.now
        attempt = self._participant(self._saga_id, call.command, call.attempt)
        call.silent = attempt.takes == inf
        if attempt.starts:
            call.running, call.beats = True, attempt.beats
            self._note("attempt", call.command.call_id, call.attempt, call.command.activity, "")
            self._lives(call, attempt, 0.0)
            return
        limit = queue_limit(call.command)
        if limit is not None and not call.is_operation:
            self._clock.later(limit.total_seconds(), lambda: self._time_out(call, "schedule_to_start"))

    def _lives(self, call: _Call, attempt: Attempt, age: float) -> None:
        """Plan the end of an attempt that has run for *age* seconds: its own, or its timeout."""
        token = call.token = self._clock.unique()
        command, ends = call.command, attempt.takes
        kind = ""
        has_started = not call.is_operation or not call.silent
        if (
            has_started
            and command.start_to_close is not None
            and (limit := command.start_to_close.total_seconds()) < ends
        ):
            kind, ends = "start_to_close", limit
        if command.heartbeat is not None and not attempt.beats:
            silent = age + command.heartbeat.total_seconds()
            if silent < ends:
                kind, ends = "heartbeat", silent
        call.late = attempt.late if command.settles else None
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
        if call.is_operation and attempt.error == CANCELLED:
            self._settle(call, Outcome.UNKNOWN, error=error, cancelled=True)
            return
        call.clean = call.clean and attempt.clean
        retryable = attempt.retryable and attempt.error not in call.command.retry.non_retryable_error_types
        self._retry_or_settle(call, error, ((error.type, error.message),), retryable, attempt.retry_after)

    def _plan_late_end(self, call: _Call, late: Late) -> None:
        """Let an attempt go on that has timed out; its worker tells of its end, unless it has died or knows nothing."""
        if late.error is not None and not call.clean:
            return
        call_id, number, began = call.command.call_id, call.attempt, call.began
        token = self._clock.unique()
        self._late.add(token)

        def ends() -> None:
            if token in self._late:
                self._late.remove(token)
                outcome = Outcome.SUCCEEDED if late.error is None else Outcome.FAILED
                self._note("late", call_id, number, outcome.value, late.error or "")
                self._on_end(LateEnd(self._clock.now, call_id, outcome, number, began, late.output))

        self._clock.later(late.after, ends)

    def _time_out(self, call: _Call, kind: str, token: int | None = None) -> None:
        if not self._is_open(call, token):
            return
        if call.is_operation:
            if kind != "schedule_to_start" or not call.running or call.silent:
                self._settle(call, Outcome.UNKNOWN, error=timed_out(call.command, kind))
            return
        queued = not call.running
        if call.late is not None and not queued:
            self._plan_late_end(call, call.late)
        error = timed_out(call.command, kind, queued=queued, last=call.last)
        if kind in ("start_to_close", "heartbeat"):
            call.clean = False
            retryable = not stops_retries(kind, call.command.retry.non_retryable_error_types)
            self._retry_or_settle(call, error, ((TIMEOUT, unmeasured(kind)),), retryable, None)
            return
        if queued and call.attempt == 1:
            outcome = Outcome.NOT_STARTED
        elif queued:
            outcome = self._known(call)
        else:
            outcome = Outcome.UNKNOWN
        self._settle(call, outcome, error=error, began=None if queued else call.began)

    def _retry_or_settle(
        self, call: _Call, error: Error, causes: Causes, retryable: bool, retry_after: float | None
    ) -> None:
        """Handle the end of an attempt; *causes* is its error as the cause of a later error."""
        command, retry = call.command, call.command.retry
        call.running = False
        used_up = retry.maximum_attempts is not None and call.attempt >= retry.maximum_attempts
        pause = retry.pause(call.attempt) if retry_after is None else retry_after
        total = command.schedule_to_close
        too_late = total is not None and self._clock.now + pause >= call.scheduled + total.total_seconds()
        if call.is_operation:
            used_up = too_late = False  # it is tried until a limit passes, whoever asks it to stop
        if not retryable or used_up or (call.cancelled and not call.is_operation):
            self._settle(call, self._known(call), error=error, began=call.began)
            return
        if too_late:  # the total timeout is reported at once
            last = call.last if error.type == TIMEOUT else causes
            late = error if command.local else timed_out(command, "schedule_to_close", last=last)
            self._settle(call, self._known(call), error=late)
            return
        call.last = () if command.local else causes  # nobody keeps it for a local activity
        self._note("retry", call.command.call_id, call.attempt, f"{error.type} again in {pause:g}s", error.type)
        call.token = self._clock.unique()  # cancels all plans for this attempt
        self._clock.later(pause, lambda: self._begin_attempt(call))

    def _stop(self, call: _Call, outcome: Outcome) -> None:
        if self._is_open(call):
            self._settle(call, outcome, error=Error(CANCELLED, "it was cancelled"), cancelled=True)

    def _settle(
        self,
        call: _Call,
        outcome: Outcome,
        *,
        output: Any = None,
        error: Error | None = None,
        cancelled: bool = False,
        began: float | None = None,
    ) -> None:
        call_id, attempts = call.command.call_id, None if call.is_operation else call.attempt
        if (
            call.is_operation
            and outcome is Outcome.FAILED
            and (call.attempt > 1 or self._clock.now - call.scheduled >= SECOND_TRY)
        ):
            outcome = Outcome.UNKNOWN  # R118
        del self._open[call_id]
        self._note("end", call_id, call.attempt, outcome._value_, "" if error is None else error.type)
        self._on_end(
            Settled(self._clock.now, call_id, outcome, output, error, cancelled, attempts=attempts, began=began)
        )

    def _known(self, call: _Call) -> Outcome:
        """Return the outcome by R5: `failed` if every attempt ended with a reported error, otherwise unknown.

        Once a worker has died that ran local activities, it is unknown of every local activity (R130).
        """
        certain = call.clean and not (call.command.local and self._in_doubt)
        return Outcome.FAILED if certain else Outcome.UNKNOWN
