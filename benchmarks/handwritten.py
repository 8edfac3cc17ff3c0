"""The two sagas of the benchmark as a careful person writes them by hand with the Python SDK.

One class for both: three activities in order, each with its undo registered before it is
called; on an error the undos run newest first, shielded from a cancel.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(minutes=1),
    maximum_attempts=3,
)
UNDO_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(minutes=1),
    maximum_attempts=10,
)


class _Steps:
    async def _call(self, name: str, argument: Any, retry: RetryPolicy) -> Any:
        return await workflow.execute_activity(
            name,
            argument,
            start_to_close_timeout=timedelta(minutes=1),
            retry_policy=retry,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )

    async def _saga(self, order: dict[str, Any]) -> dict[str, Any]:
        undos: list[tuple[str, Any]] = []
        info = workflow.info()
        try:
            undos.append(("bench.undo", {"key": f"{info.workflow_id}/reserve/do"}))
            reserved = await self._call("bench.step", {"item": order["item"], "count": order["count"]}, RETRY)
            undos.append(("bench.undo", {"key": f"{info.workflow_id}/pay/do"}))
            paid = await self._call("bench.step", {"order": reserved["reference"], "amount": order["amount"]}, RETRY)
            last = "bench.refuse" if order["refuse"] else "bench.step"
            shipped = await self._call(last, {"order": reserved["reference"], "payment": paid["reference"]}, RETRY)
        except (ActivityError, ApplicationError, asyncio.CancelledError) as error:  # the second one if it was local
            for name, argument in reversed(undos):
                await asyncio.shield(self._call(name, argument, UNDO_RETRY))
            cause = error.__cause__ or error
            raise ApplicationError(str(cause), type="Refused", non_retryable=True) from error
        return {"reference": shipped["reference"]}


@workflow.defn(name="hand-sandboxed")
class HandSandboxed(_Steps):
    """As the SDK runs a workflow by default."""

    @workflow.run
    async def run(self, order: dict[str, Any]) -> dict[str, Any]:
        return await self._saga(order)


@workflow.defn(name="hand-unsandboxed", sandboxed=False)
class HandUnsandboxed(_Steps):
    """The same without the SDK's sandbox."""

    @workflow.run
    async def run(self, order: dict[str, Any]) -> dict[str, Any]:
        return await self._saga(order)


@workflow.defn(name="hand-local", sandboxed=False)
class HandLocal(_Steps):
    """The same with local activities."""

    async def _call(self, name: str, argument: Any, retry: RetryPolicy) -> Any:
        return await workflow.execute_local_activity(
            name,
            argument,
            start_to_close_timeout=timedelta(minutes=1),
            retry_policy=retry,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )

    @workflow.run
    async def run(self, order: dict[str, Any]) -> dict[str, Any]:
        return await self._saga(order)
