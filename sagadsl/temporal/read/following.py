"""Follows a running saga as a series of pictures: its status, and what the server knows about attempts under way.

The saga itself gives its status, by query. Its history says when something has happened, so that nobody
polls the saga. Only the server knows the attempts that wait for their next try. This module decides
nothing and prints nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from temporalio.api.enums.v1 import PendingActivityState, PendingWorkflowTaskState
from temporalio.client import Client

from sagadsl.immutable import Immutable, field, replace
from sagadsl.language.paths import call_of_activity
from sagadsl.status.lines import OPEN, PendingAttempt, paused, said
from sagadsl.status.parts import Part
from sagadsl.temporal.link.codec import of_workflow
from sagadsl.temporal.read.children import Room, children_status
from sagadsl.temporal.read.described import Described, describe
from sagadsl.temporal.read.history import state_of, watch
from sagadsl.temporal.read.lineage import links
from sagadsl.temporal.read.operations import pending_operations
from sagadsl.temporal.read.pollers import NO_WORKER_SECONDS, unserved
from sagadsl.temporal.read.readable import read
from sagadsl.temporal.read.recorded_errors import error_in, place_in_failure
from sagadsl.temporal.read.resets import reset_of
from sagadsl.temporal.read.runs import Ended, of_part, part_of, result, status_of
from sagadsl.temporal.read.secrets import attempts_shown, status_without
from sagadsl.temporal.read.stuck import stuck

TICK_SECONDS = 1.0
"""Seconds between two looks at the attempts while nothing else happens."""

_ENDS_SECONDS = 3.0
"""Seconds that the end of a saga may take to reach the server."""

GAP_SECONDS = 0.1
"""Seconds between two pictures, at least: a saga of thousands of steps is not asked after each step."""

_FIRST_LOOK_SECONDS, _LAST_LOOK_SECONDS = 0.5, 10.0
"""Seconds between two looks while a caller waits for the end: a saga that needs an operator does not say so itself."""

StatusOf = Callable[[Client, Described], Awaitable[Mapping[str, Any]]]
"""Returns the status of a run that has been described, as ``runs.status_of`` does."""


class Picture(Immutable):
    """A saga at one moment.

    Attributes:
        status: The answer to the ``status`` query; without a worker, what the server knows.
        attempts: The attempts of calls under way, by call id.
        tried: How many attempts each call took that has ended, by call id.
        has_worker: A worker takes the saga's work.
        is_open: The run has not ended.
        is_saga: The run says itself that it is a saga; another workflow has no steps.
    """

    status: Mapping[str, Any] = field(default_factory=dict)
    attempts: Mapping[str, PendingAttempt] = field(default_factory=dict)
    tried: Mapping[str, int] = field(default_factory=dict)
    has_worker: bool = True
    is_open: bool = True
    is_saga: bool = True

    def as_json(self) -> dict[str, Any]:
        """Return what ``status`` tells programs."""
        return {
            **self.status,
            "attempts": [{"call": call, **each.as_json()} for call, each in self.attempts.items()],
        }


async def follow(client: Client, id: str, *, run_id: str | None = None) -> AsyncGenerator[Picture]:
    """Yield pictures of a saga until it has ended; the last one has ``is_open`` false."""
    happened, over = asyncio.Event(), asyncio.Event()
    tried: dict[str, int] = {}

    async def listen() -> None:
        try:
            while True:
                async for event in watch(client, id, run_id=run_id):
                    if event.attempt and event.what != "retrying":
                        tried[event.path] = event.attempt
                    happened.set()
                if not (await describe(client, id, run_id=run_id)).is_open:
                    return
                await asyncio.sleep(TICK_SECONDS)  # a run that Temporal's pause holds sends nothing by itself
        finally:
            over.set()
            happened.set()

    listening = asyncio.create_task(listen())
    try:
        while not over.is_set():
            began = time.monotonic()
            happened.clear()
            yield replace(await picture(client, id, run_id=run_id), tried=tried)
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await happened.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(max(0.0, GAP_SECONDS - (time.monotonic() - began)))
        await listening  # whoever follows gets the error of a lost connection
        yield replace(await picture(client, id, run_id=run_id), tried=tried)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def until_over(client: Client, id: str, see: Callable[[Picture], None] | None = None) -> Ended | Picture:
    """Wait until a saga has ended or needs an operator; return its end, or a picture of it. Raises ``SagaNotFound``.

    Args:
        see: Gets each picture on the way.
    """
    ending = asyncio.create_task(result(client, id))
    pause = _FIRST_LOOK_SECONDS
    try:
        while True:
            done, _ = await asyncio.wait([ending], timeout=pause)
            if done:
                return ending.result()
            found = await picture(client, id)
            if found.is_open and paused(found.status):
                return found
            if see is not None:
                see(found)
            pause = min(2 * pause, _LAST_LOOK_SECONDS)
    finally:
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)


async def picture(client: Client, id: str, *, run_id: str | None = None, part: Part | None = None) -> Picture:
    """Return a picture of a saga as it is now, with a part of its steps. Raises as ``runs.status`` does."""
    return await picture_of(client, await describe(client, id, run_id=run_id), part=part)


async def picture_of(
    client: Client,
    described: Described,
    room: Room | None = None,
    *,
    status_of: StatusOf = status_of,
    part: Part | None = None,
) -> Picture:
    """Return a picture of a described saga and of its children; *room* says how many children may be asked.

    A saga that has come to its end says so some moments before the server does. A picture never mixes the two views.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _ENDS_SECONDS
    while True:
        found = await _picture_of(client, described, room, status_of, part)
        if not found.is_open or found.status["status"] in OPEN:
            return found
        if loop.time() > deadline:
            word = "running" if found.status["status"] == "completed" else "compensating"
            return replace(found, status={**found.status, "status": word})
        await asyncio.sleep(GAP_SECONDS)
        described = await describe(client, described.id, run_id=described.run_id)


async def _picture_of(
    client: Client, described: Described, room: Room | None, status_of: StatusOf, part: Part | None
) -> Picture:
    async def look(client: Client, child: Described, room: Room) -> Mapping[str, Any]:
        return _seen_by_parent(await picture_of(client, child, room, status_of=status_of))

    is_open, is_saga = described.is_open, "saga" in described.memo
    children = await children_status(client, described, room or Room(), look) if is_open else []
    why = await stuck(client, described) if is_open else None
    if why is not None or (is_open and _waits_for_worker(described)):  # nobody would answer a query either
        state = of_part(described, await state_of(client, described), part)
        state |= {"children": children, "task_queue": described.task_queue}
        state |= {} if why is None else {"stuck": why}
        state |= await links(client, described) | _workers(described)
        state = await status_without(client, described, state)
        return Picture(state, await _attempts(client, described), has_worker=why is not None, is_saga=is_saga)
    reset = await reset_of(client, described)
    answer = await (status_of(client, described) if part is None else part_of(client, described, part))
    status = {**answer} | ({} if reset is None else {"reset": reset})
    status |= await links(client, described) | _workers(described)
    has_worker = status.get("source") != "history" or described.held is not None
    if is_open and not has_worker:
        status |= {"task_queue": described.task_queue}
    return Picture(
        status | {"children": children},
        await _attempts(client, described),
        has_worker=has_worker,
        is_open=is_open,
        is_saga=is_saga,
    )


def _workers(described: Described) -> dict[str, Any]:
    return {} if described.workers is None else {"workers": dict(described.workers)}


def _seen_by_parent(found: Picture) -> Mapping[str, Any]:
    """Return the status of a child. When nobody answers for the child, return only the status of its own children."""
    paused_calls = {call: attempt.activity_id for call, attempt in found.attempts.items() if attempt.paused}
    status = found.status if found.has_worker else {"children": found.status["children"]}
    return {**status, "paused_calls": paused_calls}


def _waits_for_worker(described: Described) -> bool:
    """Whether a workflow task has waited for so long that no worker seems to take it."""
    task = described.raw.pending_workflow_task
    if task.state != PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED:
        return False
    waited = datetime.now(UTC) - task.scheduled_time.ToDatetime(UTC)
    return waited.total_seconds() > NO_WORKER_SECONDS


async def _attempts(client: Client, described: Described) -> dict[str, PendingAttempt]:
    found = {}
    alone = await unserved(client, described) if described.is_open else {}
    for each in described.raw.pending_activities:
        await read(of_workflow(client, described.id), each.last_failure)
        error = error_in(each.last_failure) if each.HasField("last_failure") else None
        place = place_in_failure(each.last_failure)
        waits = each.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED and each.attempt > 1
        found[call_of_activity(each.activity_id)] = PendingAttempt(
            each.attempt,
            failure=said({"type": error[0], "message": error[1], "place": place}) if error else "",
            next_at=each.next_attempt_schedule_time.ToDatetime(UTC) if waits else None,
            paused=each.paused,
            activity_id=each.activity_id,
            unserved=alone.get(each.activity_id, ""),
        )
    return await attempts_shown(client, described, {**found, **await pending_operations(client, described)})
