"""Checks of values that may take seconds, where nothing may stand still for so long.

A check is bounded (see :mod:`sagadsl.language.schema.effort`), but its bound is some seconds: too long
for the event loop of a gateway, which would answer nobody, and for a workflow task, which the SDK
interrupts after two.
"""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any

from sagadsl.language.schema.conform import ValueCheck

_POOL = ThreadPoolExecutor(2, thread_name_prefix="sagadsl-check")
"""Few: each takes its share of the time in which the process can do something else."""
_KEPT = 16
_POLL_SECONDS = 0.01

Problems = tuple[str, ...]


async def aside(check: ValueCheck, value: Any) -> Problems:
    """Return what is wrong with *value*, and let the event loop go on meanwhile."""
    problems = check.at_once(value)
    return await asyncio.wrap_future(_POOL.submit(check, value)) if problems is None else problems


def patiently(check: ValueCheck, value: Any) -> Problems:
    """Return what is wrong with *value*, inside a workflow task. Replay-critical.

    What takes long goes on in a thread beside the task: the task may fail, and the next one finds it done.
    """
    problems = check.at_once(value)
    if problems is not None:
        return problems
    checking = _checking(check, json.dumps(value))
    while not checking.done():
        time.sleep(_POLL_SECONDS)  # in steps, since the SDK cannot interrupt a thread that waits for a lock
    return checking.result()


@lru_cache(maxsize=_KEPT)
def _checking(check: ValueCheck, text: str) -> Future[Problems]:
    return _POOL.submit(lambda: check(json.loads(text)))
