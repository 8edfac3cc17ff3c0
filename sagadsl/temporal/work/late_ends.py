"""Tells a saga how an attempt has ended that the server had timed out before: the server itself takes no such end. R97.

Only a saga whose step says ``settle`` wants to hear of it, and says so in a header. An attempt that has taken about as
long as one of its limits first asks the server whether it is late: that is what the answer to a heartbeat tells, and a
worker's clock cannot. Measured with temporalio 1.35: the worker interrupts an attempt five seconds after its
``start_to_close``, unless its function shields itself. An attempt that was interrupted tells nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.engine.facts import Outcome
from sagadsl.temporal.wire.late_ends import LATE_END, LateReport, settles_in
from sagadsl.temporal.work.heartbeats import record_heartbeat

_DOUBT_SECONDS = 1.0
"""How much earlier than the worker's clock the server's may say that the time is over."""


class Lateness:
    """Watches one attempt.

    Args:
        headers: Those of the activity.
    """

    def __init__(self, client: Client | None, info: activity.Info, headers: Mapping[str, Payload]) -> None:
        self._client = client if settles_in(headers) and not info.is_local else None
        self._info = info
        self._began = time.monotonic()

    async def tell(self, outcome: Outcome, details: Sequence[Any], result: RawValue | None = None) -> None:
        """Tell the saga how the attempt has ended, if it has ended late. Never raises ``RPCError``.

        Args:
            details: The attempt's heartbeat details.
        """
        client, info = self._client, self._info
        if client is None or not self._may_be_late():
            return
        try:
            await record_heartbeat(client, info, details)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                await self._send(client, outcome, result)
        except Exception as error:  # noqa: BLE001 # a codec may fail: then nobody tells, and the saga waits for nothing
            activity.logger.warning("nobody can ask whether the attempt has ended late: %s", error)

    def _may_be_late(self) -> bool:
        info = self._info
        took = timedelta(seconds=time.monotonic() - self._began + _DOUBT_SECONDS)
        before = info.started_time - info.scheduled_time
        ran = [each for each in (info.start_to_close_timeout, info.heartbeat_timeout) if each]
        total = info.schedule_to_close_timeout
        return any(took >= each for each in ran) or (total is not None and before + took >= total)

    async def _send(self, client: Client, outcome: Outcome, result: RawValue | None) -> None:
        info = self._info
        report = LateReport(info.activity_id, info.attempt, outcome, info.started_time.timestamp())
        handle = client.get_workflow_handle(info.workflow_id or "")  # continue-as-new gives the saga another run
        arguments = [report.to_json(), *([] if result is None else [result])]
        try:
            await handle.signal(LATE_END, args=arguments)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # else the saga is over
                activity.logger.warning("the saga cannot be told that the attempt has ended late: %s", error.message)
