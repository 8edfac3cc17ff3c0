"""Decodes errors that a user's failure converter has encoded (``encode_common_attributes``).

The SDK decodes what it reads for us. It does not decode what we read as the server sends it: a history, or the
attempts under way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.converter import DataConverter

from sagadsl.temporal.codec import of_workflow


async def events_of(
    client: Client, id: str, run_id: str | None, *, wait_new_event: bool = False
) -> AsyncIterator[HistoryEvent]:
    """Yield the events of a run, with their errors decoded."""
    converter = of_workflow(client, id)
    handle = client.get_workflow_handle(id, run_id=run_id)
    async for event in handle.fetch_history_events(wait_new_event=wait_new_event):
        for failure in _failures(event):
            await read(converter, failure)
        yield event


async def read(converter: DataConverter, failure: Failure) -> None:
    """Decode the message of a failure, and those of its causes, in place; what cannot be decoded stays as it is."""
    while True:
        if failure.HasField("encoded_attributes"):
            try:
                (told,) = await converter.decode([failure.encoded_attributes])
            except Exception:  # noqa: BLE001 # a key that is not here, or what a foreign worker has sent
                told = None
            if isinstance(told, dict) and isinstance(told.get("message"), str):
                failure.message = told["message"]
                failure.ClearField("encoded_attributes")
        if not failure.HasField("cause"):
            return
        failure = failure.cause


def _failures(event: HistoryEvent) -> Iterator[Failure]:
    name = event.WhichOneof("attributes")
    about: Any = getattr(event, name) if name else None
    if about is not None and "failure" in about.DESCRIPTOR.fields_by_name and about.HasField("failure"):
        yield about.failure
