"""The answers to the queries of a definition: values that are computed from a run as it stands. Replay-critical."""

from __future__ import annotations

from typing import Any

from sagadsl.engine.journal import Frame, FrameKind, State
from sagadsl.engine.scope import scope
from sagadsl.language.model import Saga
from sagadsl.language.paths import ROOT


def answer_to(saga: Saga, state: State, name: str) -> Any:
    """Return what the query *name* of the definition gives now; a step that has not run reads as null. R104.

    Raises ``ExpressionError`` if it cannot be computed now. Nothing changes, whatever happens.
    """
    whole = Frame(ROOT, FrameKind.SEQUENCE, "", "steps")
    return saga.queries[name].render(scope(saga, state, whole, lenient=True))
