"""Asks a saga the queries that its definition declares."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.temporal.read.described import describe
from sagadsl.temporal.read.runs import ANSWER_SECONDS
from sagadsl.temporal.refusals import NoAnswer, QueryRefused


async def ask(client: Client, id: str, name: str) -> Any:
    """Return the answer of a saga, open or closed, to a query of its definition.

    Raises:
        SagaNotFound, QueryRefused, NoAnswer: See there.
    """
    described = await describe(client, id)
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(id, run_id=described.run_id)
    try:
        return await handle.query(name, rpc_timeout=timedelta(seconds=ANSWER_SECONDS))
    except WorkflowQueryFailedError as refused:
        raise QueryRefused(id, name, refused.message) from None
    except RPCError as error:
        if error.status in (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED):
            raise
        raise NoAnswer(id, described.task_queue) from None
