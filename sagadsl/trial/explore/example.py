"""A way through a saga as a case of a suite, so that a violation can be played again, and stays mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from sagadsl.engine.facts import Outcome, Settled, SignalReceived
from sagadsl.trial.explore.moves import TICK, Move
from sagadsl.trial.explore.summary import Violation


def case(violation: Violation, start: float) -> dict[str, Any]:
    """Return the case in which a violation happens; *start* is the instant at which the saga began."""
    began = dict(violation.began)
    mocks = {
        move.target: _mock(move.fact, move.fact.at - began.get(move.target, move.fact.at))
        for move in violation.way
        if isinstance(move.fact, Settled) and not move.what.startswith("child saga")
    }
    when = [entry for move in violation.way if (entry := _when(move, start)) is not None]
    given = {} if violation.input is None else {"input": violation.input}
    return {
        "name": f"{violation.kind}: {violation.path or 'the saga'}"[:200],
        "rules": [violation.rule],
        "given": {**given, "mocks": mocks},
        **({"when": when} if when else {}),
        "then": {"status": violation.status},
    }


def as_yaml(data: Mapping[str, Any]) -> str:
    """Return a case as an entry of ``cases``."""
    return yaml.safe_dump([dict(data)], sort_keys=False, allow_unicode=True, width=110, default_flow_style=None).rstrip(
        "\n"
    )


def _mock(fact: Settled, took: float) -> dict[str, Any]:
    mock: dict[str, Any] = {}
    if fact.outcome is Outcome.SUCCEEDED:
        if fact.output is not None:
            mock["output"] = fact.output
    elif fact.outcome is Outcome.NOT_STARTED:
        return {"timeout": "schedule_to_start"}
    else:
        assert fact.error is not None
        mock = {"error": fact.error.type}
        if fact.outcome is Outcome.UNKNOWN:
            mock["unknown"] = True
    if abs(took - TICK) > 1e-6:
        mock["delay"] = _length(took)
    return mock


def _when(move: Move, start: float) -> dict[str, Any] | None:
    at = _length(move.fact.at - start)
    match move.kind:
        case "cancel" | "timeout":
            return {"at": at, move.kind: True}
        case "signal":
            assert isinstance(move.fact, SignalReceived)
            payload = {} if move.fact.payload is None else {"payload": move.fact.payload}
            return {"at": at, "signal": move.target, **payload}
        case "operator":
            return {"at": at, move.detail: move.target}
        case _:
            return None


def _length(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"


def timeline(way: Sequence[Move], start: float) -> list[str]:
    """Return what happens, one line each."""
    return [f"{move.fact.at - start:8.1f}s  {move.what}" for move in way]
