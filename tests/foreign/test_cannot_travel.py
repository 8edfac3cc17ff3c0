"""A result of a foreign worker that cannot travel: its body has run, so the step is undone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sagadsl.temporal.read.runs import Ended
from tests.conftest import Server
from tests.foreign.measured import serving_worker
from tests.temporal.play import Stage, stage

pytestmark = [pytest.mark.temporal, pytest.mark.timeout(1200)]  # the first build takes minutes


@pytest.mark.parametrize(
    ("language", "result"), [("python", "mixed_keys"), ("go", "nan"), ("node", "big_integer"), ("java", "opaque")]
)
def test_a_step_whose_result_cannot_travel_is_undone(server: Server, language: str, result: str) -> None:
    """R3, R5: after one attempt, and after three."""
    for ended in asyncio.run(_played(server.address, language, result)):
        assert (ended.status, (ended.report or {})["undone"]) == ("compensated", ["pay"])


async def _played(address: str, language: str, result: str) -> list[Ended]:
    """Run two sagas whose one step returns that; a worker of sagadsl undoes it."""
    async with serving_worker(address, language) as (queue, _, _), stage(address) as made:
        policies = ("none", {"maximum_attempts": 3, "initial_interval": "10ms"})
        ended = [await _pay(made, queue, result, retry) for retry in policies]
        assert made.begun == ["pay.compensation", "pay.compensation"]
        return ended


async def _pay(made: Stage, queue: str, result: str, retry: Any) -> Ended:
    step = {"id": "pay", "activity": f"measured.{result}", "task_queue": queue, "retry": retry}
    step |= {"timeouts": {"start_to_close": "20s"}, "compensation": {"activity": "undo.pay", "task_queue": made.queue}}
    return await made.end(await made.start({"sagadsl": 1, "name": "pays", "version": "1", "steps": [step]}))
