"""The child sagas of a run that are open, and how each of them stands: asked for from outside.

A parent hears of a child when it has ended, and not before; so whoever looks at a parent asks its
children too, as many and as deep as can be asked in a moment. Of the others nothing is known,
and it is said so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.immutable import Immutable, field
from sagadsl.language.paths import call_of_child, path_in
from sagadsl.temporal.read.described import Described, describe
from sagadsl.temporal.refusals import SagaNotFound

MOST = 50
"""Children, their children included, that are asked for one picture."""

DEEPEST = 10
_SECONDS = 3.0


class OpenChild(Immutable):
    """A child saga that is open.

    Attributes:
        path: The call that has begun it, as its parent's status writes it.
        id: Of the saga.
        name: Of its definition.
    """

    path: str
    id: str
    name: str


@dataclass(slots=True)
class Questions:
    """How many more children may be asked for one picture."""

    left: int


class Room(Immutable):
    """What may still be asked; the questions are shared by all who ask for the same picture.

    Attributes:
        depth: How many levels of children are looked at.
    """

    questions: Questions = field(default_factory=lambda: Questions(MOST))
    depth: int = DEEPEST

    def below(self) -> Room:
        return Room(self.questions, self.depth - 1)


Look = Callable[[Client, Described, Room], Awaitable[Mapping[str, Any]]]
"""Returns the status of a run, with its ``children``; empty for one that has ended, or that nobody answers for."""


def children_of(described: Described) -> list[OpenChild]:
    """Return the children of a run that are open, in the order in which they began."""
    pending = sorted(described.raw.pending_children, key=lambda each: each.initiated_id)
    return [
        OpenChild(call_of_child(described.id, each.workflow_id), each.workflow_id, each.workflow_type_name)
        for each in pending
    ]


async def children_status(client: Client, described: Described, room: Room, look: Look) -> list[dict[str, Any]]:
    """Return how the open children of a run stand, and theirs: path from the run on, id, name, status, what it needs.

    Args:
        room: What may still be asked; those that are not have the status ``unknown``.
    """
    found = children_of(described)
    asked = found[: room.questions.left] if room.depth > 0 else []
    room.questions.left -= len(asked)
    stand = await asyncio.gather(*(_ask(client, child, room.below(), look) for child in asked))
    lines = []
    for child, status in zip(found, [*stand, *({} for _ in found[len(asked) :])], strict=True):
        if status is None:
            continue
        lines.append(_line(child, status))
        lines += [each | {"path": path_in(child.path, each["path"])} for each in status.get("children", ())]
    return lines


async def _ask(client: Client, child: OpenChild, room: Room, look: Look) -> Mapping[str, Any] | None:
    """Return how a child stands: empty when nobody knows, ``None`` when it has ended."""
    try:
        async with asyncio.timeout(_SECONDS):
            described = await describe(client, child.id)
            if described.close_time is not None:
                return None
            return await look(client, described, room)
    except (TimeoutError, RPCError, SagaNotFound):  # it has not begun yet, or nobody answers
        return {}


def _line(child: OpenChild, status: Mapping[str, Any]) -> dict[str, Any]:
    trouble = {name: status[name] for name in ("held", "stuck", "paused_calls") if status.get(name)}
    return trouble | {
        "path": child.path,
        "id": child.id,
        "name": child.name,
        "status": status.get("status", "unknown"),
        "paused": status.get("paused", False),
        "attention": status.get("attention", []),
        "waiting_for": status.get("waiting_for", {}),
    }
