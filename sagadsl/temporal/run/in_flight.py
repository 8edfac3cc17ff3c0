"""The calls that a run has in flight, as its host knows them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from temporalio import workflow
from temporalio.common import TypedSearchAttributes

from sagadsl.engine.facts import SendSignal, StartActivity, StartChild
from sagadsl.immutable import Immutable
from sagadsl.temporal.run.missing import UnservedCall
from sagadsl.temporal.run.room import LOCAL_RESULT_BYTES


class ChildStart(Immutable):
    """The start arguments and the memo of a child saga."""

    arguments: list[Any]
    memo: Mapping[str, Any] | None = None
    search_attributes: TypedSearchAttributes | None = None


@dataclass(slots=True)
class CallInFlight:
    """A call in flight.

    Attributes:
        turn: The turn of the run in which the engine asked for it; until the next turn it has not left the worker.
        handle: The task that ends with the call; ``None`` while the call waits to be sent, or the child to start.
        room: Bytes that are kept for the result of a local activity.
        has_happened: The call is a local activity that has ended well, and its result waits for room.
        taken: Tells whether a worker had taken the call when it was asked to stop; ``None`` where that proves nothing.
        never_left: The call was asked to stop before it had left the worker.
        abandoned: Nobody waits for the child saga any more; as long as it starts, the call is not over.
        missing: What is known since a worker did not know the activity.
        waits: It is a Nexus operation that has not been sent yet, ``operation`` one that has started.
    """

    command: StartActivity | StartChild | SendSignal
    at: float
    turn: int
    handle: asyncio.Task[Any] | None = None
    cancelled: bool = False
    taken: asyncio.Task[Any] | None = None
    never_left: bool = False
    room: int = LOCAL_RESULT_BYTES
    has_happened: bool = False
    abandoned: bool = False
    missing: UnservedCall | None = None
    waits: bool = False
    operation: workflow.NexusOperationHandle[Any] | None = None
