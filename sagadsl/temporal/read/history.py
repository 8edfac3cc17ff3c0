"""Follows a run from outside: yields its events as they come, or adds them up to a state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from temporalio.client import Client, WorkflowHandle

from sagadsl.language.paths import call_of_activity, is_notice
from sagadsl.temporal.link.codec import of_workflow
from sagadsl.temporal.read.described import Described, describe
from sagadsl.temporal.read.readable import events_of, read
from sagadsl.temporal.read.recorded_errors import error_in, place_in_failure
from sagadsl.temporal.read.watching import StepEvent, StepEvents

_POLL_SECONDS = 1.0


async def watch(client: Client, id: str, *, run_id: str | None = None) -> AsyncIterator[StepEvent]:
    """Yield what happens in a saga, from its beginning to its end, across continue-as-new."""
    current = run_id or (await describe(client, id)).run_id
    while current:
        following = ""
        async for event in _watch_run(client, client.get_workflow_handle(id, run_id=current), StepEvents(id)):
            yield event
            if event.what == "continued":
                following = event.run_id
        current = following


async def _watch_run(client: Client, handle: WorkflowHandle[Any, Any], reader: StepEvents) -> AsyncIterator[StepEvent]:
    """Merge the history of a run, which comes by itself, with its pending attempts, for which we have to ask."""
    events: asyncio.Queue[list[StepEvent] | BaseException | None] = asyncio.Queue()

    async def follow() -> None:
        try:
            async for event in events_of(client, handle.id, handle.run_id, wait_new_event=True):
                events.put_nowait(list(reader.read(event)))
            events.put_nowait(None)
        except Exception as error:  # noqa: BLE001 # handed over to whoever watches
            events.put_nowait(error)

    following = asyncio.create_task(follow())
    attempts: dict[str, int] = {}
    try:
        while True:
            try:
                async with asyncio.timeout(_POLL_SECONDS):
                    found = await events.get()
            except TimeoutError:
                for event in await _attempts(client, handle, attempts):
                    yield event
                continue
            if isinstance(found, BaseException):
                raise found
            if found is None:
                return
            for event in found:
                yield event
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _attempts(client: Client, handle: WorkflowHandle[Any, Any], seen: dict[str, int]) -> list[StepEvent]:
    """Return the attempts that have failed since the last look; the history shows them only when the call has ended."""
    described = await describe(client, handle.id, run_id=handle.run_id)
    found = []
    for pending in described.raw.pending_activities:
        if pending.attempt > seen.get(pending.activity_id, 1):
            seen[pending.activity_id] = pending.attempt
            at = pending.last_attempt_complete_time.ToDatetime()
            await read(of_workflow(client, handle.id), pending.last_failure)
            failure, error = pending.last_failure, error_in(pending.last_failure)
            path = call_of_activity(pending.activity_id)
            name = pending.activity_type.name
            found.append(StepEvent(at, "retrying", path, name, pending.attempt - 1, error, failure))
    return found


async def state_of(client: Client, described: Described) -> dict[str, Any]:
    """Return the state of a run as far as the server knows it."""
    id_, run_id = described.id, described.run_id
    reader, ended = StepEvents(id_), None
    steps: dict[str, dict[str, Any]] = {}
    notices: dict[str, dict[str, Any]] = {}
    async for recorded in events_of(client, id_, run_id):
        for event in reader.read(recorded):
            if event.what == "ended":
                ended = event
            elif event.what == "started" or event.ends_call:
                told = is_notice(event.path)
                step = (notices if told else steps).setdefault(
                    event.path,
                    {
                        "call" if told else "path": event.path,
                        "activity": event.name,
                        "started_at": _iso(event),
                        "ended_at": None,
                        "error": None,
                    },
                )
                step["status"] = {"started": "running", "timed_out": "unknown" if told else "failed"}.get(
                    event.what, event.what
                )
                step["attempts"] = event.attempt
                if event.what != "started":
                    step["ended_at"] = _iso(event)
                if event.error:
                    place = place_in_failure(event.failure)
                    step["error"] = {"type": event.error[0], "message": event.error[1]}
                    step["error"] |= {"place": place} if place else {}
    error = ended.error if ended else None
    return {
        "schema_version": 1,
        "source": "history",
        "id": id_,
        "run_id": run_id,
        "name": described.workflow_type,
        "status": ended.name if ended else "running",
        "failure": None if error is None else {"type": error[0], "message": error[1], "step": ""},
        "steps": list(steps.values()),
        **({"notices": list(notices.values())} if notices else {}),
    }


def _iso(event: StepEvent) -> str:
    return event.at.isoformat(timespec="milliseconds") + "Z"
