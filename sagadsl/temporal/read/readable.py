"""Decodes what a user's codec has encoded: errors (``encode_common_attributes``), and the calls that began children.

The SDK decodes what it reads for us. It does not decode what we read as the server sends it: a history, or the
attempts under way.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterator, MutableSequence
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.converter import DataConverter

from sagadsl.temporal.link.codec import of_workflow
from sagadsl.temporal.wire.child_memo import CALL


async def events_of(
    client: Client, id: str, run_id: str | None, *, wait_new_event: bool = False
) -> AsyncIterator[HistoryEvent]:
    """Yield the events of a run, with their errors decoded, and the names of calls in memos."""
    converter = of_workflow(client, id)
    handle = client.get_workflow_handle(id, run_id=run_id)
    async for event in handle.fetch_history_events(wait_new_event=wait_new_event):
        for failure in _failures(event):
            await read(converter, failure)
        await _read_call(converter, event)
        yield event


async def _read_call(converter: DataConverter, event: HistoryEvent) -> None:
    """Decode, in place, what the memo of a child says of the call that begins it."""
    if event.WhichOneof("attributes") != "start_child_workflow_execution_initiated_event_attributes":
        return
    fields = event.start_child_workflow_execution_initiated_event_attributes.memo.fields
    if CALL in fields:
        with contextlib.suppress(Exception):  # a key that is not here
            fields[CALL].data = json.dumps((await converter.decode([fields[CALL]]))[0]).encode()


async def read(converter: DataConverter, failure: Failure) -> None:
    """Decode the message of a failure, and those of its causes, in place, and what our worker says of each at the
    end of its details; what cannot be decoded stays as it is."""
    while True:
        await _read_last(converter, failure.application_failure_info.details.payloads)
        if failure.HasField("encoded_attributes"):
            try:
                (decoded,) = await converter.decode([failure.encoded_attributes])
            except Exception:  # noqa: BLE001 # a key that is not here, or what a foreign worker has sent
                decoded = None
            if isinstance(decoded, dict) and isinstance(decoded.get("message"), str):
                failure.message = decoded["message"]
                failure.stack_trace = str(decoded.get("stack_trace", ""))
                failure.ClearField("encoded_attributes")
        if not failure.HasField("cause"):
            return
        failure = failure.cause


async def _read_last(converter: DataConverter, details: MutableSequence[Payload]) -> None:
    if details and converter.payload_codec is not None and details[-1].metadata.get("encoding") != b"json/plain":
        with contextlib.suppress(Exception):  # as above
            (plain,) = await converter.payload_codec.decode([details[-1]])
            details[-1].CopyFrom(plain)


def _failures(event: HistoryEvent) -> Iterator[Failure]:
    name = event.WhichOneof("attributes")
    about: Any = getattr(event, name) if name else None
    if about is not None and "failure" in about.DESCRIPTOR.fields_by_name and about.HasField("failure"):
        yield about.failure
