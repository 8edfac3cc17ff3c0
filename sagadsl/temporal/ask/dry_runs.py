"""Asks a saga what a request would do: a query, which leaves nothing in the history."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.temporal.read import runs
from sagadsl.temporal.read.described import Described
from sagadsl.temporal.refusals import NotAnswered, NotPossible

OLDER = "its worker is of a release that does not know how; upgrade the workers first"

_REFUSED = (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED)


async def would(client: Client, described: Described, verb: str, query: str, about: Any) -> dict[str, Any]:
    """Return the answer of an open saga to *query*.

    Raises:
        NotPossible: It says why the request is not possible, or its worker does not know the query.
        NotAnswered: No worker has answered.
    """
    patience = timedelta(seconds=runs.ANSWER_SECONDS)
    try:
        answer: dict[str, Any] = await client.get_workflow_handle(described.id).query(
            query, about, rpc_timeout=patience
        )
    except WorkflowQueryFailedError:
        raise NotPossible(described.id, verb, OLDER) from None
    except RPCError as error:
        if error.status in _REFUSED:
            raise
        raise NotAnswered(described.id, verb, "", "", described.task_queue) from None
    if answer["why"]:
        raise NotPossible(described.id, verb, answer["why"])
    return answer
