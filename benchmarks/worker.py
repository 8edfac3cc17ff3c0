"""A worker of the benchmark: one variant, one process, one queue; answers ``cpu`` on stdin, and ``starts``."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import yaml
from temporalio.client import Client
from temporalio.worker import Worker

from benchmarks.handwritten import HandLocal, HandSandboxed, HandUnsandboxed
from benchmarks.steps import refuse, step, undo
from sagadsl.engine.journal import RULES
from sagadsl.temporal.wire.arguments import RunOptions, envelope, open_envelope, to_bytes
from sagadsl.temporal.worker import build_worker

DEFINITION = yaml.safe_load(Path(__file__).with_name("order.saga.yaml").read_text(encoding="utf-8"))
INLINE = envelope(DEFINITION, {}, RunOptions(rules=RULES))
MEMO = open_envelope(to_bytes(INLINE)).memo()
LOCAL = envelope({**DEFINITION, "defaults": {"local": True}}, {}, RunOptions(rules=RULES))
LOCAL_MEMO = open_envelope(to_bytes(LOCAL)).memo()
ACTIVITIES = [step, refuse, undo]


def order_of(refuse: int) -> dict[str, Any]:
    """Return the input of one saga."""
    return {"item": "book", "count": 2, "amount": 30, "refuse": bool(refuse)}


def start_arguments(variant: str, order: dict[str, Any]) -> tuple[str, list[Any], dict[str, Any] | None]:
    """Return type, arguments and memo with which a variant starts; ours as ``client.start`` gives them."""
    name = DEFINITION["name"]
    match variant:
        case "saga-inline":
            return name, [order, INLINE], MEMO
        case "saga-local":
            return name, [order, LOCAL], LOCAL_MEMO
        case "saga-by-name":
            return name, [order], {"saga": name}
        case _:
            return variant, [order], None


def make(variant: str, client: Client, queue: str) -> Worker:
    """Return the worker of a variant; all serve the same activity functions."""
    match variant:
        case "hand-sandboxed":
            return Worker(client, task_queue=queue, workflows=[HandSandboxed], activities=ACTIVITIES)
        case "hand-local":
            return Worker(client, task_queue=queue, workflows=[HandLocal], activities=ACTIVITIES)
        case "hand-unsandboxed":
            return Worker(client, task_queue=queue, workflows=[HandUnsandboxed], activities=ACTIVITIES)
        case _:
            definitions = {DEFINITION["name"]: DEFINITION}
            return build_worker(client, task_queue=queue, definitions=definitions, activities=ACTIVITIES)


async def serve(variant: str, address: str, queue: str) -> None:
    client = await Client.connect(address)
    async with make(variant, client, queue):
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            if line.strip() == "cpu":
                print(time.process_time(), flush=True)
            if line.strip() == "starts":
                print(json.dumps({refuse: start_arguments(variant, order_of(refuse)) for refuse in (0, 1)}), flush=True)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run ours as `sagadsl worker` does, and those by hand as Temporal's documentation does."""
    try:
        from sagadsl.cli.event_loop import Loop, run_on  # noqa: PLC0415
    except ModuleNotFoundError:  # an older release, whose workers run on asyncio's loop
        asyncio.run(main)
    else:
        run_on(Loop.AUTO if sys.argv[1].startswith("saga") else Loop.ASYNCIO, main)


if __name__ == "__main__":
    logging.disable()  # the refusals are part of the measurement, their log lines are not
    run(serve(*sys.argv[1:]))
    sys.stdout.flush()
    os._exit(0)  # sdk-python#300: the SDK may abort a process that ends
