"""A run told in sentences: from how it stands, and where that does not say enough, from its history."""

from __future__ import annotations

from temporalio.client import Client

from sagadsl.status.narrative import sentences
from sagadsl.temporal.read.following import Picture, picture
from sagadsl.temporal.read.trace import senders, trace


async def explain(client: Client, id: str) -> tuple[Picture, list[str]]:
    """Return how a saga stands, and what happened. Raises ``SagaNotFound``."""
    found = await picture(client, id)
    return found, await told(client, found)


async def told(client: Client, found: Picture) -> list[str]:
    """Return what happened in a saga, in sentences."""
    early = any(step.get("took_kept") for step in found.status.get("steps", ()))
    came = senders(found.status, await trace(client, str(found.status["id"]))) if early else {}
    return list(sentences(found.status, came=came))
