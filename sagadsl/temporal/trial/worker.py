"""A worker that acts out the mocks of a case: inside ``sagadsl test``, or in a process that can be killed.

``python -m sagadsl.temporal.trial.worker`` reads what it needs from its first line of input. It writes a line
of output for every attempt that begins, and lets the attempt go on when a line of input says so.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import os
import pickle
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, NoReturn, TextIO

from temporalio import activity
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.worker import Interceptor, Worker, WorkflowInboundInterceptor, WorkflowInterceptorClassInput

from sagadsl.authoring import Failure, Permanent, Transient, Unknown
from sagadsl.immutable import Immutable, field
from sagadsl.language.analysis.known import Signature
from sagadsl.language.build import build
from sagadsl.language.paths import call_of_activity, path_in
from sagadsl.temporal.run.sending import ACTS_OUT, IN_TRIAL
from sagadsl.temporal.trial.family import Family
from sagadsl.temporal.trial.operations import fail, handlers, operations_of
from sagadsl.temporal.worker import build_worker
from sagadsl.trial.mocks import Mock, Mocks
from sagadsl.trial.outputs import Outputs

CACHED = 1000
"""Sagas in memory: the SDK's default."""

FOR_EVER = 24 * 3600.0
"""Seconds that an attempt sleeps if nobody is to hear of it again."""

CANCEL_ARRIVES = 1.5
"""Seconds that an attempt with heartbeats waits for a cancel to reach it, before it does what its mock says.

In virtual time a cancel arrives at once (R37); a server needs a workflow task and a heartbeat to bring it.
"""


class Begun(NamedTuple):
    """An attempt that begins.

    Attributes:
        name: Name of the call, as suites spell it.
        argument: No value, or one.
        workflow: Workflow id of the saga that calls; ``id`` is the id of the activity in it.
    """

    name: str
    activity: str
    attempt: int
    argument: list[Any]
    workflow: str
    id: str


OnBegun = Callable[[Begun], Awaitable[bool]]
"""Hears of an attempt that begins, and makes it wait; returns whether somebody has made the saga stop."""


class Script(Immutable):
    """What a worker acts out.

    Attributes:
        root: Workflow id of the saga under test.
        definition: The saga as data; ``children`` are its child sagas. What they read of outputs says which to draw.
        later: Definitions that come while the saga runs.
        endpoints: The Nexus endpoints of the trial, each with its name in the original.
        cached: How many sagas a worker keeps in memory between their tasks; with 0, each task replays the history.
    """

    root: str
    mocks: Mocks
    definition: Mapping[str, Any]
    children: Mapping[str, Mapping[str, Any]]
    signatures: Mapping[str, Signature]
    cached: int = CACHED
    later: tuple[Mapping[str, Any], ...] = ()
    endpoints: Mapping[str, str] = field(default_factory=dict)


def worker(
    client: Client, queue: str, script: Script, on_begun: OnBegun, mocks: Callable[[], Mocks] | None = None
) -> Worker:
    """Return a worker of sagas. One function serves all its activities, and does what the mocks say.

    Args:
        mocks: Gives the mocks of this moment, instead of those of the script.
    """
    IN_TRIAL.set(True)
    sagas = (build(script.definition), *map(build, script.children.values()), *map(build, script.later))
    mocks = mocks or (lambda: script.mocks)
    outputs = Outputs(sagas, script.signatures)

    family = Family(client, script.root)

    @activity.defn(dynamic=True)
    async def act(args: Sequence[RawValue]) -> Any:
        info = activity.info()
        around = await family.path_of(info.workflow_id or "", info.workflow_run_id or "")
        name = path_in(around, call_of_activity(info.activity_id))
        argument = [activity.payload_converter().from_payload(each.payload) for each in args]
        mock = mocks().find(name, info.activity_type, info.attempt)
        begun = Begun(name, info.activity_type, info.attempt, argument, info.workflow_id or "", info.activity_id)
        stopping = await on_begun(begun)
        if mock.late is not None and info.start_to_close_timeout:
            beats = info.heartbeat_timeout if mock.timeout == "start_to_close" else None
            await _whatever_comes(take(info.start_to_close_timeout.total_seconds() + mock.late.after, beats))
            if mock.late.error is not None:
                raise Permanent(f"{mock.late.error} (mock)", type=mock.late.error)
            return mock.late.output if mock.fixed else outputs.draw(name, info.activity_type, 0)
        if mock.timeout or mock.crash:
            await take(FOR_EVER, info.heartbeat_timeout if mock.timeout == "start_to_close" else None)
        if stopping and info.heartbeat_timeout:
            await take(CANCEL_ARRIVES, info.heartbeat_timeout)
        await take(mock.delay, info.heartbeat_timeout)
        if mock.error is not None:
            raise _failure(mock)
        return mock.output if mock.fixed else outputs.draw(name, info.activity_type, mock.drawn)

    async def operate(operation: str, call: str, attempt: int, given: Any, workflow: str) -> Any:
        name = path_in(await family.path_of(workflow), call)
        since = first.setdefault(name, asyncio.get_running_loop().time())
        mock = mocks().find(name, operation, attempt)
        await on_begun(Begun(name, operation, attempt, [given], workflow, call))
        await asyncio.sleep(FOR_EVER if mock.timeout or mock.crash else mock.delay)
        if mock.error is not None:
            await fail(mock, attempt, since)
        return mock.output if mock.fixed else outputs.draw(name, operation, mock.drawn)

    first: dict[str, float] = {}
    own = {each["name"]: each for each in (script.definition, *script.children.values())}
    return build_worker(
        client,
        task_queue=queue,
        definitions=own,
        activities=[act],
        drain=timedelta(0),
        patience=timedelta(0),  # its queue has no other worker
        interceptors=[ActsOut()],
        build_id="trial",  # else the SDK reads every module that is loaded, for each worker
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
        max_cached_workflows=script.cached,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        nexus_service_handlers=handlers(operations_of(sagas), script.endpoints, operate),
    )


class ActsOut(Interceptor):
    """Lets the mocks act out the signals to other workflows: a trial reaches nobody outside of it."""

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        input.unsafe_extern_functions[ACTS_OUT] = lambda: True
        return None


async def take(seconds: float, heartbeat: timedelta | None) -> None:
    """Let an attempt take so many seconds, and heartbeat as often as its timeout wants."""
    if not heartbeat:
        await asyncio.sleep(seconds)
        return
    pause, left = min(0.1, heartbeat.total_seconds() / 3), seconds
    while left > 0:
        activity.heartbeat()
        await asyncio.sleep(min(pause, left))
        left -= pause


async def _whatever_comes(end: Coroutine[Any, Any, None]) -> None:
    """Wait for *end*, also when the worker interrupts the attempt meanwhile, as it does some time after a timeout."""
    task = asyncio.ensure_future(end)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)


def _failure(mock: Mock) -> Failure:
    kind = Unknown if mock.unknown else Transient if mock.retryable else Permanent
    after = None if mock.retry_after is None else timedelta(seconds=mock.retry_after)
    failure = kind(mock.message or "no reason", type=mock.error, retry_after=after)
    failure.retryable = mock.retryable
    return failure


def packed(script: Script) -> str:
    """Return a script on one line. Only this program and its child process see it."""
    return base64.b64encode(pickle.dumps(script)).decode()


def quiet() -> None:
    """Keep the SDK's core from logging about attempts that a case has cancelled."""
    errors = TelemetryFilter(core_level="ERROR", other_level="ERROR")
    runtime = Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter=errors)))
    with contextlib.suppress(RuntimeError):  # somebody else has chosen before
        Runtime.set_default(runtime)


async def _serve(reports: TextIO) -> None:
    loop = asyncio.get_running_loop()
    address, namespace, queue, script = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    waiting: dict[int, asyncio.Future[bool]] = {}

    async def on_begun(begun: Begun) -> bool:
        number = len(waiting)
        waiting[number] = loop.create_future()
        print(json.dumps([number, *begun]), file=reports, flush=True)
        return await waiting[number]

    client = await Client.connect(address, namespace=namespace)
    async with worker(client, queue, pickle.loads(base64.b64decode(script)), on_begun):  # our own parent's
        print("at work", file=reports, flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            number, stopping = json.loads(line)
            if not waiting[number].done():  # else a cancel or its timeout has reached the attempt before
                waiting[number].set_result(stopping)


def main() -> NoReturn:
    """Be a worker: load everything, then wait for the first line."""
    reports = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the SDK's core writes there as well
    logging.disable()
    quiet()
    print("ready", file=reports, flush=True)
    asyncio.run(_serve(reports))
    os._exit(0)  # sdk-python#300


if __name__ == "__main__":
    main()
