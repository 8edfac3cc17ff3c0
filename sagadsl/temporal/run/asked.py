"""The queries that a definition declares, answered by name to any Temporal client. Replay-critical."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from sagadsl.engine.hiding import hidden
from sagadsl.engine.known_secrets import KnownSecrets
from sagadsl.engine.queries import answer_to
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.own_errors import EXPRESSION_ERROR, NOT_POSSIBLE
from sagadsl.language.schema.secrecy import NOTHING, Hiding
from sagadsl.language.suggest import listed
from sagadsl.temporal.run.answering import AnsweringRun


class AskedRun(AnsweringRun):
    """A run that answers the queries of its definition, in every phase of it."""

    @workflow.query(dynamic=True, description="A query that the definition declares")
    def on_query(self, name: str, _args: Sequence[RawValue]) -> Any:
        """Return the value of a query. Raises an error for an unknown one, and for one that cannot be computed now."""
        if self._package is None:
            raise ApplicationError(self._not_begun() or "the saga has not begun yet", type=NOT_POSSIBLE)
        saga = self._package.saga
        if name not in saga.queries:
            known = f"its queries are {listed(saga.queries)}" if saga.queries else "it declares no queries"
            message = f"query handler for `{name[:200]}` expected but not found; {known}"
            raise ApplicationError(message, type=NOT_POSSIBLE)
        try:
            return self.hides().data(answer_to(saga, self._state, name))
        except ExpressionError as mistake:
            why = self.hides().text(str(mistake))
            raise ApplicationError(f"query `{name}` cannot be computed now: {why}", type=EXPRESSION_ERROR) from None

    def __init__(self) -> None:
        super().__init__()
        self._known: KnownSecrets | None = None

    def _learn_secrets(self) -> None:
        """Follow from now on which values the run does not show."""
        package = self._package
        if package is not None and package.marked.is_any:
            self._known = KnownSecrets(package.saga, package.marked)
            self._host.learns = partial(self._known.learn, self._state)

    def hides(self) -> Hiding:
        """Return what takes the secrets of the run out of what it shows."""
        package = self._package
        if self._known is not None:
            return self._known.hides
        return NOTHING if package is None else hidden(package.saga, self._state, package.marked)
