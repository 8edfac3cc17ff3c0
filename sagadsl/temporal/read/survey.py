"""Asks runs for their status: for lists, where the server's index does not know it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError

from sagadsl.errors import SagadslError
from sagadsl.status.lines import OPEN
from sagadsl.temporal.link.codec import CodecFailed, DataUnreadable, reading
from sagadsl.temporal.read.runs import result

_AT_ONCE = 10
_PATIENCE = timedelta(seconds=2)
_REMEMBERED = 10_000
UNKNOWN = "unknown"


@dataclass(slots=True)
class Asking:
    """The questions that one list may ask.

    Attributes:
        left: How many runs may still be asked.
    """

    client: Client
    left: int

    async def all(self, runs: list[tuple[str, str, bool]]) -> list[str]:
        """Return the status of runs, given as id, run id and whether each is open; ``unknown`` if nobody answers."""
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(id_: str, run_id: str, is_open: bool) -> str:
            if run_id in _ENDED:
                return _ENDED[run_id]
            if self.left <= 0:
                return UNKNOWN
            self.left -= 1
            async with turn:
                return await (_status(self.client, id_, run_id) if is_open else _end(self.client, id_, run_id))

        return list(await asyncio.gather(*(one(*each) for each in runs)))


_ENDED: OrderedDict[str, str] = OrderedDict()
"""How each run ended that was asked once, by run id: that does not change any more."""


async def _status(client: Client, id_: str, run_id: str) -> str:
    try:
        with reading():
            answer = await client.get_workflow_handle(id_, run_id=run_id).query("status", rpc_timeout=_PATIENCE)
        word = str(answer["status"])
    except (RPCError, WorkflowQueryFailedError, CodecFailed, DataUnreadable, ValueError, TypeError, KeyError):
        # no worker, no codec, or an answer that does not come from a saga
        return UNKNOWN
    return word if word in OPEN else "running"  # it says that it has ended, but the server has not recorded it yet


async def _end(client: Client, id_: str, run_id: str) -> str:
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            word = (await result(client, id_, run_id=run_id)).status
    except (RPCError, SagadslError, TimeoutError):
        return UNKNOWN
    _ENDED[run_id] = word
    if len(_ENDED) > _REMEMBERED:
        _ENDED.popitem(last=False)
    return word
