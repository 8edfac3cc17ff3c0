"""A run that others watch, and the spans to which its calls belong. Replay-critical: nothing may follow from it."""

from __future__ import annotations

from functools import partial

from sagadsl.engine.facts import Began, Fact, Resumed
from sagadsl.temporal.run.migrated import MigratableRun
from sagadsl.temporal.run.observed import Observed
from sagadsl.temporal.wire.trace_context import TraceContext


class ObservedRun(MigratableRun):
    """A run that tells those who watch it what happens.

    Attributes:
        observed: The run as it shows itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.observed = Observed()

    def _show_to_observers(self, first: Fact) -> None:
        """Show the run from now on; *first* is the fact with which it begins."""
        assert self._package is not None
        saga, state = self._package.saga, self._state
        self.observed.begin(saga, state, is_new=isinstance(first, Began), goes_on=isinstance(first, Resumed))
        self._host.watched = partial(self.observed.note, saga, state)

    def context_of(self, call_id: str) -> TraceContext | None:
        """Return the span to which a call belongs, or ``None``."""
        return self.observed.context_of(self._state, call_id)

    def context_of_child(self, workflow_id: str) -> TraceContext | None:
        """Return the span of the call that begins a child saga, or ``None``."""
        return self.context_of(self._host.calls.of_child(workflow_id))
