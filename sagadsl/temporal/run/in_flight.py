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
from sagadsl.language.expressions.secrets import Named
from sagadsl.language.paths import call_of_activity
from sagadsl.temporal.run.missing import UnservedCall
from sagadsl.temporal.run.room import LOCAL_RESULT_BYTES, WHOLE_MESSAGES
from sagadsl.temporal.run.scheduling import described


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

    def sizes(self, arguments: int, rules: int) -> tuple[int, int]:
        """Return the bytes that the call adds to the message of its workflow task, and those that its end may add to
        any message."""
        command = self.command
        if rules < WHOLE_MESSAGES:
            return arguments, 0
        if isinstance(command, StartActivity) and command.local:  # its input is not sent, its result is
            return 0, described(command) + self.room
        return described(command) + arguments, 0


class CallsInFlight(dict[str, CallInFlight]):
    """The calls that are in flight, by their ids."""

    def of_activity(self, activity_id: str | None) -> CallInFlight | None:
        """Return the call of an activity; ``None`` if the activity belongs to no step."""
        return self.get(call_of_activity(activity_id or ""))

    def of_child(self, workflow_id: str) -> str:
        """Return the id of the call that begins a child saga under this id; empty if there is none."""
        begins = (each.command for each in self.values())
        return next(
            (each.call_id for each in begins if isinstance(each, StartChild) and each.workflow_id == workflow_id), ""
        )

    def local_room(self, activity_id: str | None) -> int | None:
        """Return how large the result of a local activity may be; ``None`` if the activity belongs to no step."""
        call = self.of_activity(activity_id)
        return None if call is None else call.room

    def settles(self, activity_id: str | None) -> bool:
        """Return whether the saga wants to hear of an attempt of an activity that ends late."""
        call = self.of_activity(activity_id)
        return call is not None and isinstance(call.command, StartActivity) and call.command.settles

    def secrets_of(self, activity_id: str | None) -> Named | None:
        """Return the secrets that a step's activity may look up."""
        command = self.command_of(activity_id)
        return None if command is None else command.secrets

    def command_of(self, activity_id: str | None) -> StartActivity | None:
        """Return the command that has begun an activity; ``None`` if it belongs to no step."""
        call = self.of_activity(activity_id)
        command = None if call is None else call.command
        return command if isinstance(command, StartActivity) else None

    def unknown_activities(self) -> list[dict[str, Any]]:
        """Return the calls whose activity no worker knows yet."""
        return [
            call.missing.as_json(call.command, call.at)
            for call in self.values()
            if call.missing is not None and isinstance(call.command, StartActivity)
        ]
