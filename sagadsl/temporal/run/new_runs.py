"""Decides when a run asks to continue as new, and when it has only room for undoing left. Replay-critical. R50, R51."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import workflow

from sagadsl.engine.facts import DrainRequested, Fact, HistoryFull, Resumed
from sagadsl.engine.journal import RULES
from sagadsl.temporal.run.room import WHOLE_MESSAGES, History
from sagadsl.temporal.run.upgrading import goes_over

_PATIENCE = timedelta(seconds=30)
"""How long a run that should continue as new waits for calls in flight before it goes on for a while."""


@dataclass(slots=True)
class NewRuns:
    """What a run knows about the run after it.

    Attributes:
        tell: Queues a fact for the engine.
        rules: Gives the version of the rules under which the run is.
        to_undo: Gives the number of steps that would be undone if the saga failed now.
        is_migrating: Says whether the run waits for its calls to end, to go on with another definition.
        goes_over: Says whether the run goes over to another version of its workers now.
        history: The length of this run's history.
    """

    tell: Callable[[Fact], None]
    rules: Callable[[], int] = lambda: RULES
    to_undo: Callable[[], int] = lambda: 0
    is_migrating: Callable[[], bool] = lambda: False
    goes_over: Callable[[], bool] = goes_over
    history: History = field(default_factory=History)
    _draining: bool = False
    _full: bool = False
    _has_waited: bool = False

    def wanted(self, in_flight: int) -> Fact | None:
        """Return the fact for the engine when the history has become long."""
        if self.rules() >= WHOLE_MESSAGES and self.history.is_stuck and not self._full:
            self._full = self.history.is_full(self.to_undo(), in_flight)
            if self._full:
                return HistoryFull(workflow.time())
        if self._draining or not (self.history.asks_to_continue() or self._upgrades(in_flight)):
            return None
        self._draining = True
        if in_flight and self.rules() >= WHOLE_MESSAGES and self.history.is_patient:
            asyncio.create_task(self._lose_patience())  # noqa: RUF006 # the workflow's loop keeps its tasks
        return DrainRequested(workflow.time())

    def before_fact(self, in_flight: int) -> Fact | None:
        """Return the fact for the engine that comes before the next one, when the run goes over before it does more."""
        if in_flight or self._draining or not self._upgrades(in_flight):
            return None
        self._draining = True
        return DrainRequested(workflow.time())

    def _upgrades(self, in_flight: int) -> bool:
        """Whether the run goes over to another version of its workers; it holds back its calls for that once alone."""
        if self.rules() < WHOLE_MESSAGES or self.history.is_stuck or (in_flight and self._has_waited):
            return False
        upgrades = self.goes_over()
        self._has_waited = self._has_waited or upgrades
        return upgrades

    async def _lose_patience(self) -> None:
        """Let the saga go on in this run for a while when the calls in flight do not end."""
        await workflow.sleep(_PATIENCE, summary="continue as new when nothing is in flight")
        if self._draining and not self.is_migrating():
            self.go_on()
            self.tell(Resumed(workflow.time(), workflow.info().run_id))

    def go_on(self, *, stuck: bool = False) -> None:
        """Note that the run does not continue as new for now; *stuck*: because its state is too large."""
        if self.rules() < WHOLE_MESSAGES:  # it was tried once
            return
        self._draining = False
        self.history.is_stuck = self.history.is_stuck or stuck
        self.history.goes_on()
