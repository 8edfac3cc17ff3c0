"""The early answer of a saga, for those who wait for it. Replay-critical.

A client may start the saga and wait in one request (update-with-start), so the update may come before the definition.
"""

from __future__ import annotations

from typing import Any

from temporalio import workflow

from sagadsl.engine.journal import Phase
from sagadsl.temporal.run.signalled import SignalledRun
from sagadsl.temporal.wire.requests import EARLY_ANSWER


class AnsweringRun(SignalledRun):
    """A run that answers early, if its definition says so."""

    @workflow.update(name=EARLY_ANSWER, description="Wait for the saga's early answer")
    async def early_answer(self, _request: Any = None) -> dict[str, Any]:
        """Return ``{"answer": X}``, ``{"ended": true}`` if the saga has ended without one, or ``{"ask_again": true}``.

        Ask again when the saga goes on in a new run: an update belongs to one run.
        """
        await workflow.wait_condition(lambda: bool(self._state.answer) or self._is_over or self._goes_over)
        if self._state.answer:
            return {"answer": self._state.answer[0]}
        return {"ended": True} if self._is_over else {"ask_again": True}

    @property
    def _is_over(self) -> bool:
        return self._state.phase is Phase.CLOSED or self._rejection is not None or self._stopped_early

    @property
    def _goes_over(self) -> bool:
        return (self._state.draining or bool(self._state.migrating)) and not self._state.calls
