"""Runs checks of values in threads, since a check may take seconds.

A check is bounded (see :mod:`sagadsl.language.schema.effort`), but the bound is some seconds. That is too
long for the event loop of a gateway, which would answer nobody meanwhile, and for a workflow task, which the
SDK interrupts after two seconds.
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
"""Only few threads: each takes time in which the process could do something else."""
_KEPT = 16
_POLL_SECONDS = 0.01

Problems = tuple[str, ...]


async def aside(check: ValueCheck, value: Any) -> Problems:
    """Return what is wrong with *value*; the event loop goes on meanwhile."""
    problems = check.at_once(value)
    return await asyncio.wrap_future(_POOL.submit(check, value)) if problems is None else problems


def patiently(check: ValueCheck, value: Any) -> Problems:
    """Return what is wrong with *value*, inside a workflow task. Replay-critical.

    A long check runs in a thread beside the task: the task may fail, and the next one finds the result.
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
