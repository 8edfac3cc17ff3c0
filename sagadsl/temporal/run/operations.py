"""Begins the Nexus operations of a run, and says how each of them ended. Replay-critical.

The server refuses the command for an endpoint that it does not have, and for one operation too many, again and
again: the workflow task would fail for ever (R52, R56). So a run asks once for each endpoint, and keeps operations
back. Measured on a real server (1.32):

- It tries to start an operation again by itself, until it has started or a limit has passed. It tells an operation
  to stop only when that has started.
- A caller that is cancelled itself, and cancels an operation that has not started, never hears of its end. So an
  operation is asked to stop only when it has started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue

from sagadsl.engine.facts import Error, Outcome, Settled, StartActivity
from sagadsl.language.own_errors import NEXUS_ENDPOINT_NOT_FOUND
from sagadsl.language.paths import activity_id
from sagadsl.temporal.run.in_flight import CallInFlight
from sagadsl.temporal.run.room import TOO_MUCH
from sagadsl.temporal.run.scheduling import ended_well, look_up, succeeded
from sagadsl.temporal.wire.marker import ENDPOINT_ACTIVITY, MISSING
from sagadsl.temporal.wire.nexus import headers, how_to_create

AT_ONCE = 30
"""Operations that a run may have under way; the server's own default (R117)."""

Settle = Callable[[CallInFlight, Settled], None]
Failed = Callable[[CallInFlight, StartActivity, BaseException, float], None]


@dataclass(slots=True)
class Operations:
    """The operations of one run.

    Attributes:
        calls: The calls in flight.
        takes: Whether an operation with an input of so many bytes fits into the message of this workflow task.
        settle: Called once for each operation, when it has ended or cannot begin; ``failed`` when it has raised.
    """

    calls: Mapping[str, CallInFlight]
    takes: Callable[[CallInFlight, int], bool]
    settle: Settle
    failed: Failed
    _known: set[str] = field(default_factory=set)
    _asked: dict[str, asyncio.Task[Any]] = field(default_factory=dict)
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)
    _under_way: int = 0

    async def run(
        self, call: CallInFlight, command: StartActivity, arguments: list[RawValue], size: int, generation: str
    ) -> None:
        """Run the operation of *call*, from the question for its endpoint to its end. Never raises."""
        assert command.operation is not None
        if command.operation.endpoint not in self._known and not await self._may_exist(command):
            if self._is_wanted(call):
                self.settle(call, _no_endpoint(command, command.operation.endpoint))
            return
        await self._turn()
        try:
            while self._is_wanted(call) and not self.takes(call, size):
                await workflow.sleep(timedelta(milliseconds=1), summary=TOO_MUCH)
            if self._is_wanted(call):
                await self._operate(call, command, arguments, generation)
        finally:
            self._give_turn()

    def _is_wanted(self, call: CallInFlight) -> bool:
        """Whether nobody has asked the call to stop before it was sent: then it has ended already."""
        return self.calls.get(call.command.call_id) is call

    async def _may_exist(self, command: StartActivity) -> bool:
        """Whether the server has the endpoint, or does not say."""
        assert command.operation is not None
        endpoint = command.operation.endpoint
        asked = self._asked.get(endpoint)
        if asked is None:
            asked = self._asked[endpoint] = look_up(
                ENDPOINT_ACTIVITY, command.call_id, endpoint, summary=f"is there an endpoint {endpoint}?"
            )
        await workflow.wait_condition(asked.done)
        self._asked.pop(endpoint, None)
        if ended_well(asked) and asked.result() == MISSING:
            return False
        self._known.add(endpoint)
        return True

    async def _turn(self) -> None:
        """Wait until fewer operations are under way than the server takes."""
        if self._under_way >= AT_ONCE:
            mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(mine)
            await mine
        else:
            self._under_way += 1

    def _give_turn(self) -> None:
        while self._waiting:
            following = self._waiting.pop(0)
            if not following.done():  # an eviction has ended it
                following.set_result(None)
                return
        self._under_way -= 1

    async def _operate(
        self, call: CallInFlight, command: StartActivity, arguments: list[RawValue], generation: str
    ) -> None:
        operation = command.operation
        assert operation is not None
        call.waits = False
        client: workflow.NexusClient[Any] = workflow.create_nexus_client(
            service=operation.service, endpoint=operation.endpoint
        )
        try:
            handle = await client.start_operation(
                operation.operation,
                arguments[0],
                output_type=RawValue,
                schedule_to_close_timeout=command.schedule_to_close,
                schedule_to_start_timeout=command.schedule_to_start,
                start_to_close_timeout=command.start_to_close,
                cancellation_type=workflow.NexusOperationCancellationType.WAIT_COMPLETED,  # R12
                headers=headers(command.key, activity_id(command.call_id, generation)),
                summary=command.summary or None,
            )
            call.operation = handle
            if call.cancelled:  # asked while it was starting
                handle.cancel()
            result = await handle
        except Exception as error:  # noqa: BLE001 # whatever ended it is that call's end
            self.failed(call, command, error, workflow.time() - call.at)
            return
        self.settle(call, succeeded(command.call_id, result, workflow.time(), strict=True))


def _no_endpoint(command: StartActivity, endpoint: str) -> Settled:
    message = f"there is no Nexus endpoint `{endpoint}`: {how_to_create(endpoint)}"
    error = Error(NEXUS_ENDPOINT_NOT_FOUND, message, command.call_id)
    return Settled(workflow.time(), command.call_id, Outcome.NOT_STARTED, error=error, attempts=0)
