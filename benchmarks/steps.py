"""The activities of the benchmark: as little work as possible, the same functions for every variant."""

from __future__ import annotations

from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError


@activity.defn(name="bench.step")
async def step(request: dict[str, Any]) -> dict[str, Any]:
    """Say yes."""
    return {"reference": "r-1", "of": len(request)}


@activity.defn(name="bench.refuse")
async def refuse(_request: dict[str, Any]) -> dict[str, Any]:
    """Say no, for good."""
    raise ApplicationError("sold out", type="Refused", non_retryable=True)


@activity.defn(name="bench.undo")
async def undo(_request: dict[str, Any]) -> None:
    """Undo it."""
