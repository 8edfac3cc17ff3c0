"""A rolling update under load; ``python -m tests.crash.rolling`` goes on for as long as one likes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.crash.rolling import Rolled, roll
from tests.crash.stage import stage

pytestmark = pytest.mark.temporal


def test_transfers_that_begin_while_each_worker_is_replaced_all_end_as_told(server: Server, tmp_path: Path) -> None:
    """R53: nothing is lost, nothing done twice, and both generations of workers have had a part in it."""

    async def play() -> Rolled:
        async with stage(server.address, tmp_path) as made:
            return await roll(made, over=lambda updates, _: updates >= 2)

    found = asyncio.run(play())
    assert found.wrong == ()
    assert found.ends.keys() == {"completed", "compensated"}
    assert found.by.keys() == {"before", "now"}
