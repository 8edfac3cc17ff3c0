"""Scenes on a real Temporal server: the same definitions and scripts as in virtual time (``tests.engine.scenes``).

One worker a stage, on a task queue of its own. Its activities are one dynamic function that acts
out the script: what an attempt returns, reports, how long it takes. Nothing waits for the clock:
who interferes waits until a call has begun.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.common import RawValue
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.worker import Replayer

from sagadsl.authoring import Permanent, Transient, Unknown
from sagadsl.language.document import parse
from sagadsl.language.paths import call_of_activity, key_of_activity_id
from sagadsl.temporal import client as sagas
from sagadsl.temporal.client import Started
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.runs import Ended
from sagadsl.temporal.run.in_order import InOrder
from sagadsl.temporal.run.sending import IN_TRIAL
from sagadsl.temporal.run.workflow import SagaWorkflow
from sagadsl.temporal.trial.worker import ActsOut, take
from sagadsl.temporal.wire.codec_growth import LONGEST, PLAIN, Stretch
from sagadsl.temporal.worker import SagaInterceptor, build_worker
from sagadsl.virtual.calls import Attempt
from tests.engine.scenes import names_of
from tests.patience import PATIENCE

Definition = Mapping[str, Any] | str
Script = Mapping[str, Attempt | Sequence[Attempt]]
Act = Callable[["Stage", Started], Awaitable[None]]

SDK_RACE = "ignore:Cannot find activity to cancel"
"""The SDK warns when a cancel reaches an activity that has just ended; as an error it would end the worker."""


class ByAnyName(dict[str, Attempt | Sequence[Attempt]]):
    """A script whose calls may be spoken of as in virtual time, by the last part of their ids too."""

    def get(self, call: str, default: Any = None) -> Any:
        return next((self[name] for name in names_of(call) if name in self), default)


def data(definition: Definition) -> dict[str, Any]:
    """Return a definition, given as data or as YAML, as data."""
    if not isinstance(definition, str):
        return dict(definition)
    document, findings = parse(definition)
    assert not findings
    return dict(document.data)


@dataclass
class Stage:
    """A worker and what its activities have done.

    Attributes:
        begun: Every attempt of a call, as ``call id`` or ``call id@attempt`` from the second on, in order.
        sent: The argument of each call.
        keys: The idempotency keys of each call, as its worker sees them, one an attempt.
    """

    client: Client
    queue: str
    script: Script
    begun: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    sent: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def start(self, definition: Definition, input_: Any = None, **more: Any) -> Started:
        """Start a saga with an id of its own."""
        more.setdefault("id", f"t-{uuid.uuid4().hex[:12]}")
        saga = data(definition)
        return await sagas.start(self.client, saga, input_, task_queue=self.queue, **more)

    async def end(self, started: Started) -> Ended:
        """Wait for the end of a saga, as long as its history grows."""
        handle = self.client.get_workflow_handle(started.id)
        ending = asyncio.ensure_future(runs.result(self.client, started.id))
        seen: tuple[Any, ...] = ()
        try:
            while not (await asyncio.wait([ending], timeout=PATIENCE))[0]:
                described = await handle.describe()
                now = (described.run_id, described.history_length)
                if now == seen:
                    raise TimeoutError(f"{started.id}: nothing has happened for {PATIENCE:.0f} s")
                seen = now
            return await ending
        finally:
            ending.cancel()

    async def until(self, *calls: str) -> None:
        """Wait until all these attempts have begun."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: all(call in self.begun for call in calls))

    async def until_status(self, started: Started, wanted: Callable[[Mapping[str, Any]], bool]) -> dict[str, Any]:
        """Ask for the status until it is what is *wanted*; what the history tells when no worker answers is no answer.

        A worker on a busy machine may take longer to answer than anybody is asked to wait for it.
        """
        async with asyncio.timeout(PATIENCE):
            while (found := await runs.status(self.client, started.id)).get("source") == "history" or not wanted(found):
                await asyncio.sleep(0.05)
            return found

    async def attempt(self, args: Sequence[RawValue]) -> Any:
        """Act out one attempt of whatever is called."""
        info = activity.info()
        call = call_of_activity(info.activity_id)
        self.keys.setdefault(call, []).append(key_of_activity_id(info.workflow_id or "", info.activity_id))
        name = call if info.attempt == 1 else f"{call}@{info.attempt}"
        self.sent[call] = activity.payload_converter().from_payload(args[0].payload) if args else ...
        how = self.script.get(call, self.script.get(info.activity_type, Attempt(takes=0)))
        chosen = how if isinstance(how, Attempt) else how[min(info.attempt, len(how)) - 1]
        async with self._news:
            self.begun.append(name)
            self._news.notify_all()
        try:
            await take(chosen.takes, info.heartbeat_timeout)
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        self.ended.append(name)
        if chosen.error is None:
            return chosen.output
        kind = Unknown if not chosen.clean else Transient if chosen.retryable else Permanent
        after = None if chosen.retry_after is None else timedelta(seconds=chosen.retry_after)
        raise kind(chosen.message or "no reason", type=chosen.error, retry_after=after)


@contextlib.asynccontextmanager
async def stage(
    address: str,
    script: Script | None = None,
    *,
    definitions: Sequence[Definition] = (),
    queue: str | None = None,
    codec: PayloadCodec | DataConverter | None = None,
    **more: Any,
) -> AsyncIterator[Stage]:
    """Open a stage; *definitions* are its worker's own, *codec* is of client and worker, *more* goes to the worker."""
    client = await Client.connect(address, data_converter=converter(codec))
    made = Stage(client, queue or f"q-{uuid.uuid4().hex[:12]}", script or {})

    @activity.defn(dynamic=True)
    async def act(args: Sequence[RawValue]) -> Any:
        return await made.attempt(args)

    own = {each["name"]: each for each in map(data, definitions)}
    more.setdefault("activities", [act])
    more.setdefault("patience", timedelta(0))  # its queue has no other worker
    more.setdefault("max_heartbeat_throttle_interval", timedelta(milliseconds=100))
    worker = build_worker(client, task_queue=made.queue, definitions=own, drain=timedelta(0), **more)
    async with worker:
        yield made


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a scene."""

    ended: Ended
    started: Started
    stage: Stage
    status: Mapping[str, Any]
    events: tuple[str, ...]

    @property
    def begun(self) -> list[str]:
        return self.stage.begun

    @property
    def calls(self) -> list[str]:
        """The calls in the order in which they first began."""
        return list(dict.fromkeys(each.partition("@")[0] for each in self.stage.begun))

    @property
    def report(self) -> Mapping[str, Any]:
        return self.ended.report or {}


def play(address: str, definition: Definition, script: Script | None = None, **how: Any) -> Played:
    """Play a scene to its end; *how* is what ``playing`` takes."""
    return asyncio.run(playing(address, definition, script, **how))


async def playing(
    address: str,
    definition: Definition,
    script: Script | None = None,
    *,
    act: Act | None = None,
    input_: Any = None,
    children: Sequence[Definition] = (),
    options: Mapping[str, Any] | None = None,
    **more: Any,
) -> Played:
    """Start a saga, let *act* interfere, wait for its end, ask for its status afterwards, replay its history."""
    async with stage(address, script, **more) as made:
        known = {each["name"]: each for each in map(data, children)}
        started = await made.start(definition, input_, children=known, **(options or {}))
        if act is not None:
            await act(made, started)
        ended = await made.end(started)
        status = await runs.status(made.client, started.id)
        handle = made.client.get_workflow_handle(started.id)
        await replay(made.client, started.id)
        return Played(ended, started, made, status, await events(handle))


def converter(codec: PayloadCodec | DataConverter | None) -> DataConverter:
    """Return the data converter of a client with *codec*."""
    return codec if isinstance(codec, DataConverter) else replace(DataConverter.default, payload_codec=codec)


async def reset(client: Client, saga: str) -> None:
    """Go back to the first workflow task, as `temporal workflow reset --type FirstWorkflowTask` does."""
    handle = client.get_workflow_handle(saga)
    first = await anext(
        event.event_id
        async for event in handle.fetch_history_events()
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    )
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=saga, run_id=(await handle.describe()).run_id),
            workflow_task_finish_event_id=first,
            request_id=str(uuid.uuid4()),
            reason="for the test",
        )
    )


async def replay(client: Client, id_: str) -> None:
    """Run the histories of a saga again, the last run's first: the same commands have to come out.

    Where there is a codec, also on workers whose codecs make payloads as long as none else, or no longer at all.
    Keeps them when ``make histories`` asks.
    """
    stretches = (PLAIN,) if client.data_converter.payload_codec is None else (PLAIN, LONGEST)
    run_id, before = None, 0
    while run_id != "":
        history = await client.get_workflow_handle(id_, run_id=run_id).fetch_history()
        keep(history, f"_{before}_before" if before else "")
        for stretch in stretches:
            await replayer(client.data_converter, stretch).replay_workflow(history)
        run_id = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
        before += 1


def replayer(converter: DataConverter = DataConverter.default, stretch: Stretch = PLAIN) -> Replayer:
    """Return what replays the histories of sagas; in a trial, also those whose signals were acted out."""
    acts_out = [ActsOut()] if IN_TRIAL.get() else []
    return Replayer(
        workflows=[SagaWorkflow],
        interceptors=[SagaInterceptor(inline=False, stretch=lambda: stretch), *acts_out],  # what was taken stays taken
        unsandboxed_workflow_runner=InOrder(),
        data_converter=converter,
        debug_mode=True,  # the commands count, and not how fast a busy machine gives them
    )


def keep(history: WorkflowHistory, suffix: str) -> None:
    """Write a history into the folder that ``SAGADSL_RECORD`` names, under the name of the test that made it."""
    folder = os.environ.get("SAGADSL_RECORD")
    if folder:
        test = os.environ["PYTEST_CURRENT_TEST"].partition("::")[2].partition(" (")[0]
        name = re.sub(r"[^a-z0-9]+", "_", test.lower()).strip("_").removeprefix("test_")
        path = Path(folder) / f"{name}{suffix}.json.gz"
        recorded = {"id": history.workflow_id, "history": json.loads(history.to_json())}
        path.write_bytes(gzip.compress(json.dumps(recorded).encode(), mtime=0))


async def events(handle: WorkflowHandle[Any, Any]) -> tuple[str, ...]:
    """Return the types of a history's events, without their common prefix."""
    return tuple(
        [EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") async for event in handle.fetch_history_events()]
    )


def agreed(step: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what both hosts have to say alike of a step in the status: everything but times.

    Attempts are no part of it: of one that succeeded, Temporal does not tell a workflow how many it took.
    """
    undo = step.get("compensation") or {}
    error = step.get("error") or {}
    return (
        step["path"],
        step["status"],
        step.get("outcome"),
        (error.get("type"), error.get("message"), error.get("causes")),
        (undo.get("status"), [(each["type"], each["message"]) for each in undo.get("errors", ())]),
    )


def cancelling(*calls: str) -> Act:
    """Cancel the saga when these calls have begun."""

    async def act(made: Stage, started: Started) -> None:
        await made.until(*calls)
        await sagas.cancel(made.client, started.id)

    return act
