"""A worker that acts out the mocks of a case: inside ``sagadsl test``, or in a process that can be killed.

``python -m sagadsl.temporal.trial_worker`` reads what it needs from its first line of input, tells of
every attempt on a line of output, and lets it go on when a line says so.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import pickle
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.worker import Worker

from sagadsl.authoring import Failure, Permanent, Transient, Unknown
from sagadsl.language.build import build
from sagadsl.language.checks.known import Signature
from sagadsl.temporal.worker import build_worker
from sagadsl.trial.mocks import Mock, Mocks, call_name
from sagadsl.trial.outputs import Outputs

FOR_EVER = 24 * 3600.0
"""Seconds that an attempt sleeps which is never heard of again."""

Told = Callable[[str, str, int, Any], Awaitable[None]]
"""Hears of an attempt that begins: name of the call, activity, number, argument; the attempt waits meanwhile."""


@dataclass(frozen=True, slots=True)
class Script:
    """What a worker acts out.

    Attributes:
        root: Workflow id of the saga under test.
        definition: As data, ``children`` those of its child sagas: outputs are drawn from what they read.
    """

    root: str
    mocks: Mocks
    definition: Mapping[str, Any]
    children: Mapping[str, Mapping[str, Any]]
    signatures: Mapping[str, Signature]


def worker(client: Client, queue: str, script: Script, told: Told) -> Worker:
    """Return a worker of sagas whose activities are all one function, which does what the mocks say."""
    sagas = (build(script.definition), *map(build, script.children.values()))
    outputs = Outputs(sagas, script.signatures)

    @activity.defn(dynamic=True)
    async def act(args: Sequence[RawValue]) -> Any:
        info = activity.info()
        name = call_name(info.workflow_id or "", script.root, info.activity_id)
        argument = [activity.payload_converter().from_payload(each.payload) for each in args]
        mock = script.mocks.find(name, info.activity_type, info.attempt)
        await told(name, info.activity_type, info.attempt, argument)
        if mock.timeout or mock.crash:
            await _take(FOR_EVER, info.heartbeat_timeout if mock.timeout == "start_to_close" else None)
        await _take(mock.delay, info.heartbeat_timeout)
        if mock.error is not None:
            raise _failure(mock)
        return mock.output if mock.fixed else outputs.draw(name, info.activity_type, mock.drawn)

    own = {each["name"]: each for each in (script.definition, *script.children.values())}
    return build_worker(
        client,
        task_queue=queue,
        definitions=own,
        activities=[act],
        drain=timedelta(0),
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    )


async def _take(seconds: float, heartbeat: timedelta | None) -> None:
    if not heartbeat:
        await asyncio.sleep(seconds)
        return
    pause, left = min(0.1, heartbeat.total_seconds() / 3), seconds
    while left > 0:
        activity.heartbeat()
        await asyncio.sleep(min(pause, left))
        left -= pause


def _failure(mock: Mock) -> Failure:
    kind = Unknown if mock.unknown else Transient if mock.retryable else Permanent
    after = None if mock.retry_after is None else timedelta(seconds=mock.retry_after)
    failure = kind(mock.message or "no reason", type=mock.error, retry_after=after)
    failure.retryable = mock.retryable
    return failure


def packed(script: Script) -> str:
    """Return a script on one line. It stays between this program and its child."""
    return base64.b64encode(pickle.dumps(script)).decode()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    address, namespace, queue, script = json.loads(sys.stdin.readline())
    waiting: dict[int, asyncio.Event] = {}

    async def told(name: str, activity_: str, attempt: int, argument: Any) -> None:
        number = len(waiting)
        waiting[number] = asyncio.Event()
        print(json.dumps([number, name, activity_, attempt, argument]), flush=True)
        await waiting[number].wait()

    client = await Client.connect(address, namespace=namespace)
    async with worker(client, queue, pickle.loads(base64.b64decode(script)), told):  # our own parent's
        print("ready", flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            waiting[int(line)].set()


if __name__ == "__main__":
    logging.disable()
    asyncio.run(_serve())
    os._exit(0)  # sdk-python#300
