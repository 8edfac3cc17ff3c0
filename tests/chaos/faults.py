"""Faults with a name: each happens once in a run of the cluster, and is over when its function returns."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tests.chaos import disks

if TYPE_CHECKING:
    from tests.chaos.stage import Stage

PARTITION = 125
"""Seconds: longer than the SDK tries to deliver the end of an activity."""
HOUR = 3600
_CUTS = 10
_FULL = 15
_SLOW = 30
_OPERATIONS = 20
ON_A_DISK = {"disk", "slow"}
"""Those for which PostgreSQL has a disk of its own, in a mount namespace."""
_CUT_ALL = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname > ''"
)


async def connections(stage: Stage) -> str:
    """Cut all connections of PostgreSQL, several times: in the middle of transactions, too."""
    cut = 0
    for _ in range(_CUTS):
        cut += await asyncio.to_thread(_asked, stage, _CUT_ALL)
        await asyncio.sleep(1)
    return f"{cut} connections in {_CUTS} cuts"


async def partition(stage: Stage) -> str:
    """Let nothing through between all workers and the server."""
    assert stage.wire is not None
    stage.wire.cut()
    try:
        await asyncio.sleep(PARTITION)
    finally:
        stage.wire.mend()
    return f"{PARTITION} s"


async def slow(stage: Stage) -> str:
    """Let PostgreSQL's disk take few operations a second; where it cannot be slow, let each commit wait for it."""
    assert stage.official is not None
    assert stage.database is not None
    data = stage.official.cluster.data
    if disks.can_be_slow(data):
        with disks.slow(data, stage.database.pids, _OPERATIONS):
            await asyncio.sleep(_SLOW)
        return f"{_SLOW} s, {_OPERATIONS} operations of the disk a second"
    await asyncio.to_thread(_set, stage, ("commit_siblings = 0", "commit_delay = 100000"))
    try:
        await asyncio.sleep(_SLOW)
    finally:
        await asyncio.to_thread(_set, stage, ("commit_siblings = 5", "commit_delay = 0"))
    return f"{_SLOW} s, 100 ms a flush"


async def disk(stage: Stage) -> str:
    """Let PostgreSQL's disk have no byte left; what has ended by that is begun again when there is room."""
    assert stage.official is not None
    assert stage.database is not None
    data = stage.official.cluster.data
    filler = data / "filler"
    begun = time.monotonic()
    with filler.open("wb") as file:
        while (left := shutil.disk_usage(data).free) and time.monotonic() - begun < _FULL:
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), file.tell(), left)
                file.seek(0, os.SEEK_END)
            await asyncio.sleep(0.2)
        await asyncio.sleep(max(0.0, _FULL - (time.monotonic() - begun)))
    filler.unlink()
    refusals = stage.database.log.read_text(errors="replace").count("No space left on device")
    ended = not stage.database.is_alive
    if ended:
        await stage.database.begin()
    return f"{_FULL} s, {refusals} times no space left{', PostgreSQL had ended' if ended else ''}"


async def upgrade(stage: Stage) -> str:
    """Bring the server to its next minor release, by its own schema tool, under open sagas."""
    assert stage.official is not None
    before = stage.official.version
    await stage.official.upgrade()
    return f"{before} to {stage.official.version}"


async def clock(stage: Stage) -> str:
    """Say what the clocks of the workers are: they are off from the beginning."""
    return "one worker an hour ahead, one an hour behind, all the time"


async def server_clock(stage: Stage) -> str:
    """Let the clock of the role `history`, which has all timers, jump an hour ahead while it runs; it stays there."""
    assert stage.official is not None
    history = stage.official.role("history")
    async with stage.hands:
        await asyncio.to_thread(history.jump, HOUR)
    return "`history` jumped an hour ahead and stays there; `matching` is an hour behind, all the time"


FAULTS: dict[str, Callable[[Stage], Awaitable[str]]] = {
    "connections": connections,
    "partition": partition,
    "slow": slow,
    "disk": disk,
    "upgrade": upgrade,
    "clock": clock,
    "server-clock": server_clock,
}


def _set(stage: Stage, settings: tuple[str, ...]) -> None:
    for setting in settings:
        _asked(stage, f"ALTER SYSTEM SET {setting}")
    _asked(stage, "SELECT 1 FROM (SELECT pg_reload_conf()) AS reloaded")


def _asked(stage: Stage, statement: str) -> int:
    """Ask PostgreSQL as its operator; its answer may be lost with a connection."""
    assert stage.official is not None
    engine = sa.create_engine(stage.official.admin, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as db:
        answer = db.execute(sa.text(statement))
        return int(answer.scalar() or 0) if answer.returns_rows else 0
