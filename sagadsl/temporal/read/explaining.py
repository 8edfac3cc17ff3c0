"""Tells a run in sentences: from its status, and from its history where the status does not say enough."""

from __future__ import annotations

from temporalio.client import Client

from sagadsl.status.narrative import sentences
from sagadsl.temporal.read.following import Picture, picture
from sagadsl.temporal.read.trace import senders, trace


async def explain(
    client: Client, id: str, *, run_id: str | None = None, options: str = ""
) -> tuple[Picture, list[str]]:
    """Return a picture of a saga, and sentences about what happened. Raises ``SagaNotFound``."""
    found = await picture(client, id, run_id=run_id)
    return found, await narrative(client, found, run_id=run_id, options=options)


async def narrative(client: Client, found: Picture, *, run_id: str | None = None, options: str = "") -> list[str]:
    """Return sentences about what happened in a saga; *options* (``--address …``) end each command."""
    early = any(step.get("took_kept") for step in found.status.get("steps", ()))
    came = senders(found.status, await trace(client, str(found.status["id"]), run_id=run_id)) if early else {}
    return list(sentences(found.status, options, came))
