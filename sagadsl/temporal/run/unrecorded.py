"""Which local activities have to wait until the history has what came before them. Replay-critical.

The results of local activities stand in the history when their workflow task ends. If the worker dies before, the next
one makes the local activities of that task again. Were one of them to end in another way this time, something would
have been undone without a reason (R133). It does not come to that without a record when the saga as a whole goes back,

- and nothing but answers led back: results, and errors that say no for good. Whoever is asked again answers the same;
- and what is undone first was done in this task. Whoever makes it again is refused, and goes back as well.

Either of the last two is enough, and sagadsl asks activities for both: one that keeps only one of them is safe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from sagadsl.engine.facts import StartActivity
from sagadsl.language.paths import CallId, Purpose, parse_call
from sagadsl.temporal.run.scheduling import ended_well
from sagadsl.temporal.wire.marker import outcome_of

RECORDS_FIRST = 3
"""Since this version of the rules, what a local activity follows from is recorded before it begins."""

WHY = "a local call waits until the history has what came before"
"""What the timer is for that brings the next workflow task, for people."""

_Done = tuple[str, int]


@dataclass(slots=True)
class Unrecorded:
    """What the local activities of the current workflow task have led to, and the history does not have yet.

    Attributes:
        goes_back: Whether the saga as a whole undoes what it has done, and does not go on from somewhere.
        asked_at: Length of the history at the last workflow task that an update has caused.
    """

    goes_back: Callable[[], bool] = lambda: False
    asked_at: int = -1
    _task: int = -1
    _ended: bool = False
    _in_doubt: bool = False
    _done: set[_Done] = field(default_factory=set)
    _undone: bool = False

    def has_to_wait(self, command: StartActivity) -> bool:
        """Whether a local activity has to begin in the next workflow task."""
        self._look()
        if self._task == self.asked_at:
            return True
        call = parse_call(command.call_id)
        if not call.undoes or not self._ended:
            return False
        was_done_here = self._undone or _step(call) in self._done
        return self._in_doubt or not was_done_here or not self.goes_back()

    def ends(self, command: StartActivity, handle: asyncio.Task[Any]) -> None:
        """Note that a local activity has ended in this workflow task."""
        self._look()
        call = parse_call(command.call_id)
        if call.undoes:
            self._undone = self._undone or (ended_well(handle) and _step(call) in self._done)
            return
        self._ended = True
        self._in_doubt = self._in_doubt or not _is_answer(command, handle)
        if call.purpose is Purpose.DO:
            self._done.add(_step(call))

    def _look(self) -> None:
        """Forget what the history has by now."""
        task = workflow.info().get_current_history_length()
        if task != self._task:
            self._task, self._ended, self._in_doubt, self._undone = task, False, False, False
            self._done.clear()


def _step(call: CallId) -> _Done:
    return call.step, call.key


def _is_answer(command: StartActivity, handle: asyncio.Task[Any]) -> bool:
    """Whether an activity that is asked again under the same key ends like this again: it has a result, or has said no
    for good, and nothing is in doubt."""
    if handle.cancelled():
        return False
    error = handle.exception()
    if error is None:
        return True
    cause = error.__cause__ if isinstance(error, ActivityError) else error
    if not isinstance(cause, ApplicationError):
        return False
    _, clean = outcome_of(cause.details) or (None, False)
    return clean and (cause.non_retryable or cause.type in command.retry.non_retryable_error_types)
