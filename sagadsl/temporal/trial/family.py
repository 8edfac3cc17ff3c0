"""The child sagas of a trial: where each belongs, and how those go away that go on by themselves.

Most children have the id of their parent and the call that began them. Of a child whose id was chosen, its memo names
the call, and the server its parent.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from sagadsl.errors import SagadslError
from sagadsl.language.paths import call_of_child, path_in
from sagadsl.temporal import client as sagas
from sagadsl.temporal.read.described import describe
from sagadsl.temporal.read.watching import child_call
from sagadsl.temporal.trial.definition import mappings
from sagadsl.temporal.wire.child_memo import CALL
from sagadsl.trial.mocks import parent_call

_OF_ITS_OWN = ("workflow_id", "detached", "on_cancel")
"""The keys of steps whose children are not below the id of their parent, or do not end with it."""

_OVER = "the case is over"
_LAST = "sagadsl.trial.over"
_ANY = WorkflowIDReusePolicy.ALLOW_DUPLICATE


class Family:
    """Says under which call of the saga under test each of its children was begun."""

    def __init__(self, client: Client, root: str) -> None:
        self._client, self._root = client, root
        self._known: dict[tuple[str, str], str] = {}

    async def path_of(self, id_: str, run_id: str = "") -> str:
        """Return the path of a child's step, by default of the newest run; empty for the saga under test."""
        if id_ == self._root or id_.startswith(f"{self._root}/"):
            return parent_call(id_, self._root)
        if not run_id or (id_, run_id) not in self._known:
            described = await describe(self._client, id_, run_id=run_id)
            parent = described.raw.workflow_execution_info.parent_execution
            around = await self.path_of(parent.workflow_id, parent.run_id)
            call = described.memo.get(CALL) or call_of_child(parent.workflow_id, id_)
            self._known[id_, run_id] = path_in(around, str(call))
        return self._known[id_, run_id]


async def children(client: Client, id_: str, run_id: str) -> AsyncIterator[tuple[str, str, str]]:
    """Yield the children that a run has begun: the call, the workflow id and the run of each."""
    calls: dict[int, str] = {}
    async for event in client.get_workflow_handle(id_, run_id=run_id).fetch_history_events():
        if event.HasField("start_child_workflow_execution_initiated_event_attributes"):
            about = event.start_child_workflow_execution_initiated_event_attributes
            calls[event.event_id] = child_call(id_, about)
        elif event.HasField("child_workflow_execution_started_event_attributes"):
            begun = event.child_workflow_execution_started_event_attributes
            yield calls[begun.initiated_event_id], begun.workflow_execution.workflow_id, begun.workflow_execution.run_id


def has_others(*definitions: Mapping[str, Any]) -> bool:
    """Whether children of these definitions may be left when the saga under test is over."""
    return any(key in step for each in definitions for step in mappings(each) for key in _OF_ITS_OWN)


async def clear(client: Client, id_: str, run_id: str) -> None:
    """End the children of a run that go on by themselves, and free the ids that were chosen for the next case."""
    async for call, child, run in children(client, id_, run_id):
        await clear(client, child, run)
        with contextlib.suppress(RPCError, SagadslError):
            await sagas.terminate(client, child, _OVER)
        if call_of_child(id_, child) != child:
            continue
        with contextlib.suppress(RPCError, WorkflowAlreadyStartedError):
            # A run that was terminated as the last one under an id leaves the id free; to delete takes half a minute.
            last = await client.start_workflow(_LAST, id=child, task_queue=call, id_reuse_policy=_ANY)
            await last.terminate(reason=_OVER)
