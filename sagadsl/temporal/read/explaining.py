"""Tells a run in sentences: from its status, and from its history where the status does not say enough."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from temporalio.client import Client

from sagadsl.engine.verbs import DECISIONS
from sagadsl.language.paths import parse_call
from sagadsl.status.lines import error_text, moment
from sagadsl.status.narrative import sentences
from sagadsl.temporal.read.following import Picture, picture
from sagadsl.temporal.read.trace import Trace, senders, trace

_DECIDED = frozenset(verb.value for verb in DECISIONS)
_ROUNDED = timedelta(milliseconds=1)
"""How exactly a status tells a time."""


async def explain(
    client: Client, id: str, *, run_id: str | None = None, options: str = ""
) -> tuple[Picture, list[str]]:
    """Return a picture of a saga, and sentences about what happened. Raises ``SagaNotFound``."""
    found = await picture(client, id, run_id=run_id)
    return found, await narrative(client, found, run_id=run_id, options=options)


async def narrative(client: Client, found: Picture, *, run_id: str | None = None, options: str = "") -> list[str]:
    """Return sentences about what happened in a saga; *options* (``--address …``) end each command."""
    early = any(step.get("took_kept") for step in found.status.get("steps", ()))
    decided = any(action["verb"] in _DECIDED for action in found.status.get("actions", ()))
    if not early and not decided:
        return list(sentences(found.status, options))
    traced = await trace(client, str(found.status["id"]), run_id=run_id)
    came = senders(found.status, traced) if early else {}
    return list(sentences(found.status, options, came, _failures(found.status, traced)))


def _failures(status: Mapping[str, Any], traced: Trace) -> dict[int, str]:
    """Return about which error operators decided, by the number of the action: the state forgets it with the decision.

    What has failed without a call, such as a block or an expression, is left out.
    """
    found = {}
    for number, action in enumerate(status.get("actions", ())):
        if action["verb"] not in _DECIDED:
            continue
        until = moment(action["at"]) + _ROUNDED
        for call in traced.calls:
            told = call.told()
            if told and call.ended_at and call.ended_at <= until and parse_call(call.path).path == action["path"]:
                found[number] = error_text(told)  # of several times, the last one before the decision counts
    return found
