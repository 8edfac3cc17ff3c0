"""What arrives from a Python worker that is not sagadsl's: see ``measured``."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import datetime
import decimal
import enum
import logging
import sys
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import temporalio
from temporalio import activity
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker


class Declined(Exception):
    """A type of the author's own."""


class Colour(enum.StrEnum):
    RED = "red"


@dataclasses.dataclass
class Fields:
    text: str = "x"
    nothing: None = None


@dataclasses.dataclass
class Held:
    """``asdict`` copies what a field holds, and a lock cannot be copied."""

    lock: Any = dataclasses.field(default_factory=threading.Lock)


def _final() -> ApplicationError:
    return ApplicationError("no", type="Declined", non_retryable=True)


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


GIVES: dict[str, Callable[[], Any]] = {
    "integer": lambda: 2**53 + 1,
    "whole_float": lambda: 1.0,
    "minus_zero": lambda: -0.0,
    "large_float": lambda: 1e21,
    "big_integer": lambda: 10**21,
    "bytes": lambda: b"\x00\xff",
    "instant": lambda: datetime.datetime.fromtimestamp(1.5, datetime.UTC),
    "uuid": lambda: uuid.UUID(int=1),
    "enum": lambda: Colour.RED,
    "fields": Fields,
    "nothing": lambda: None,
    "nan": lambda: float("nan"),
    "infinity_inside": lambda: {"a": float("inf")},
    "decimal": lambda: decimal.Decimal("19.90"),
    "duration": lambda: datetime.timedelta(seconds=90),
    "bytes_inside": lambda: {"data": b"\x00"},
    "object": object,
    "mixed_keys": lambda: {1: "a", "b": 2},
    "tuple_key": lambda: {(1, 2): "a"},
    "held": Held,
    "too_large": lambda: "x" * 3_000_000,
}
FAILS: dict[str, Callable[[], Exception]] = {
    "plain": lambda: Exception("no"),
    "typed_error": lambda: Declined("no"),
    "retryable": lambda: ApplicationError("no", type="Declined"),
    "final": _final,
    "wrapped": lambda: _caused(RuntimeError("while charging"), _final()),
    "group": lambda: ExceptionGroup("two", [_final(), OSError("the log is full")]),
}


@activity.defn(dynamic=True)
async def anything(args: Sequence[RawValue]) -> Any:
    """Do what the name of the activity says."""
    case = activity.info().activity_type.removeprefix("measured.")
    match case:
        case "echo":
            return activity.payload_converter().from_payload(args[0].payload)
        case "heartbeat":
            activity.heartbeat("a", 2)
            await asyncio.sleep(3600)
    if case in FAILS:
        raise FAILS[case]()
    return GIVES[case]()


async def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address")
    parser.add_argument("--task-queue")
    options = parser.parse_args()
    logging.disable()
    client = await Client.connect(options.address)
    async with Worker(client, task_queue=options.task_queue, activities=[anything]):
        print(f"serves with Python SDK {temporalio.__version__}", file=sys.stderr, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
