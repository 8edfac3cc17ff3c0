"""The open child sagas of a run, and the status of each.

A parent hears nothing of a child before the child has ended. So whoever looks at a parent asks its
children too, as many and as deep as can answer in a moment. All others have the status ``unknown``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from temporalio.api.enums.v1 import ParentClosePolicy
from temporalio.api.workflow.v1 import PendingChildExecutionInfo
from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.immutable import Immutable, field
from sagadsl.language.paths import call_of_child, path_in
from sagadsl.temporal.read.described import Described, describe
from sagadsl.temporal.refusals import SagaNotFound
from sagadsl.temporal.wire.child_memo import CALL, DETACHED

MOST = 50
"""How many children, and children of children, are asked for one picture."""

DEEPEST = 10
_SECONDS = 3.0


class OpenChild(Immutable):
    """A child saga that is open.

    Attributes:
        path: The call that began it, spelled as in its parent's status.
        id: Id of the saga.
        name: Name of its definition.
    """

    path: str
    id: str
    name: str


@dataclass(slots=True)
class Questions:
    """How many more children may be asked for one picture."""

    left: int


class Room(Immutable):
    """How many children may still be asked. All who ask for the same picture share the questions.

    Attributes:
        depth: How many levels of children are asked.
    """

    questions: Questions = field(default_factory=lambda: Questions(MOST))
    depth: int = DEEPEST

    def below(self) -> Room:
        return Room(self.questions, self.depth - 1)


Look = Callable[[Client, Described, Room], Awaitable[Mapping[str, Any]]]
"""Returns the status of a run with its ``children``. Empty when the run has ended, or when nobody answers for it."""


async def children_of(client: Client, described: Described) -> list[OpenChild]:
    """Return the open children of a run, in the order in which they began, without those that are detached.

    The ids of most children tell their paths; of the others the memo says what they are.
    """
    pending = sorted(described.raw.pending_children, key=lambda each: each.initiated_id)
    found = await asyncio.gather(*(_open_child(client, described.id, each) for each in pending))
    return [child for child in found if child is not None]


async def _open_child(client: Client, parent: str, pending: PendingChildExecutionInfo) -> OpenChild | None:
    """Return an open child; ``None`` for one that is detached."""
    id_ = pending.workflow_id
    path = call_of_child(parent, id_)
    if path == id_ or pending.parent_close_policy == ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON:
        try:
            memo = (await describe(client, id_)).memo
        except SagaNotFound:  # it has not begun yet
            memo = {}
        if memo.get(DETACHED):
            return None
        path = str(memo.get(CALL, path))
    return OpenChild(path, id_, pending.workflow_type_name)


async def children_status(client: Client, described: Described, room: Room, look: Look) -> list[dict[str, Any]]:
    """Return the status of the open children of a run, and of their children.

    Each entry has the path seen from the run, the id, the name, the status, and what the child needs.

    Args:
        room: How many children may be asked. Those that are not asked have the status ``unknown``.
    """
    found = await children_of(client, described)
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
    """Return the status of a child: empty when nobody knows it, ``None`` when the child has ended."""
    try:
        async with asyncio.timeout(_SECONDS):
            described = await describe(client, child.id)
            if described.close_time is not None:
                return None
            return await look(client, described, room)
    except (TimeoutError, RPCError, SagaNotFound):  # the child has not begun yet, or nobody answers
        return {}


def _line(child: OpenChild, status: Mapping[str, Any]) -> dict[str, Any]:
    trouble = {name: status[name] for name in ("held", "stuck", "paused_calls", "pivot_passed") if status.get(name)}
    return trouble | {
        "path": child.path,
        "id": child.id,
        "name": child.name,
        "status": status.get("status", "unknown"),
        "paused": status.get("paused", False),
        "attention": status.get("attention", []),
        "waiting_for": status.get("waiting_for", {}),
    }
