"""Does long work in threads: checks of values, and the opening of large definitions.

Either is bounded (see :mod:`sagadsl.language.schema.effort` and :mod:`sagadsl.language.bounds`), but the bound is some
seconds. That is too long for the event loop of a gateway, which would answer nobody meanwhile, and for a workflow task,
which the SDK interrupts after two seconds.

A workflow task waits for such a thread in small steps. The task may fail meanwhile, and the next one finds the work
done. A local activity would not do instead: a worker that replays the run needs the definition, too, and no local
activity runs at a replay.
"""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

from sagadsl.language.schema.conform import ValueCheck
from sagadsl.temporal.run import near
from sagadsl.temporal.wire.arguments import Package, open_envelope

_POOL = ThreadPoolExecutor(2, thread_name_prefix="sagadsl-check")
"""Only few threads: each takes time in which the process could do something else."""
_KEPT = 16
_POLL_SECONDS = 0.01
_QUICK_BYTES = 50_000
"""A definition of at most this size is opened at once."""

Problems = tuple[str, ...]
_Found = TypeVar("_Found")


async def aside(check: ValueCheck, value: Any) -> Problems:
    """Return what is wrong with *value*; the event loop goes on meanwhile."""
    problems = check.at_once(value)
    return await asyncio.wrap_future(_POOL.submit(check, value)) if problems is None else problems


def patiently(check: ValueCheck, value: Any) -> Problems:
    """Return what is wrong with *value*, inside a workflow task. Replay-critical."""
    problems = check.at_once(value)
    return _waited(_checking(check, json.dumps(value))) if problems is None else problems


def opened(raw: bytes, *, trusted: bool = False) -> Package:
    """Do the same as ``open_envelope``, inside a workflow task. Replay-critical."""
    return open_envelope(raw, trusted=trusted) if len(raw) <= _QUICK_BYTES else _waited(_opening(raw, trusted))


def _waited(work: Future[_Found]) -> _Found:
    while not work.done():
        near.give_up()  # the next attempt of the task may wait, in a thread
        time.sleep(_POLL_SECONDS)  # in steps, since the SDK cannot interrupt a thread that waits for a lock
    return work.result()


@lru_cache(maxsize=_KEPT)
def _checking(check: ValueCheck, text: str) -> Future[Problems]:
    return _POOL.submit(lambda: check(json.loads(text)))


@lru_cache(maxsize=_KEPT)
def _opening(raw: bytes, trusted: bool) -> Future[Package]:
    return _POOL.submit(open_envelope, raw, trusted=trusted)
