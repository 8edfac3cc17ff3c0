"""The timers of a run that are set in its workflow. Replay-critical."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from temporalio import workflow

from sagadsl.engine.facts import StartTimer, TimerFired


@dataclass(slots=True)
class Timers:
    """The timers that are set, by their ids.

    Attributes:
        tell: Takes the fact that a timer has fired.
    """

    tell: Callable[[TimerFired], None]
    _set: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def start(self, command: StartTimer) -> bool:
        """Set a timer that is not set yet; return whether that takes a command of the server's.

        A timer whose time has come fires at once.
        """
        if command.timer_id in self._set:
            return False
        delay = command.due - workflow.time()
        if delay <= 0:
            self.tell(TimerFired(workflow.time(), command.timer_id))
            return False
        timer = asyncio.create_task(workflow.sleep(delay, summary=command.summary or None))
        self._set[command.timer_id] = timer
        timer.add_done_callback(partial(self._ended, command.timer_id))
        return True

    def cancel(self, timer_id: str) -> None:
        """Cancel a timer, if it is set."""
        if timer := self._set.pop(timer_id, None):
            timer.cancel()

    def _ended(self, timer_id: str, timer: asyncio.Task[None]) -> None:
        if not timer.cancelled():
            self._set.pop(timer_id, None)
            self.tell(TimerFired(workflow.time(), timer_id))
