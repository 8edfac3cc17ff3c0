"""Makes a definition ready to be started: with what the server's index has, and what the runs of it have to know."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from temporalio.client import Client

from sagadsl.engine.hiding import NO_MARKS, Marks
from sagadsl.engine.journal import RULES
from sagadsl.temporal.link.settings import page_setting
from sagadsl.temporal.read.index import keeps_status, usable
from sagadsl.temporal.wire import attributes
from sagadsl.temporal.wire.arguments import Package, RunOptions, envelope, open_envelope, to_bytes
from sagadsl.trust.signatures import NO_SIGNATURES, Signatures

Data = Mapping[str, Any]


async def packed(
    client: Client,
    definition: Data,
    children: Mapping[str, Data],
    secrets: Marks = NO_MARKS,
    *,
    signatures: Signatures = NO_SIGNATURES,
    continue_after_events: int | None = None,
) -> Package:
    """Return a definition that is ready to be started on this server. Raises ``InvalidDefinition``.

    Args:
        secrets: Where its activities, and those of its children, have secrets; see ``Loaded.secrets``.
        signatures: Those of the definition and of its children, among others.
        continue_after_events: For tests: continue as new at this length of history.
    """
    index = await usable(client, attributes.used(definition, children))
    page, tells = page_setting(os.environ), await keeps_status(client)
    options = RunOptions(tells, continue_after_events, RULES, page=page, index=index, secrets=secrets)
    return open_envelope(to_bytes(envelope(definition, children, options, signatures)))
