"""A signal to another workflow as a call of an activity, where nothing leaves a trial: the participants act it out."""

from __future__ import annotations

from datetime import timedelta

from sagadsl.engine.facts import RetryPlan, SendSignal, StartActivity

_ONCE = RetryPlan(1, timedelta(seconds=1), 1.0, timedelta(seconds=1), ())
_LIMIT = timedelta(minutes=1)


def acted_out(command: SendSignal) -> StartActivity:
    """Return the call that stands for *command*: one attempt, which gets the payload."""
    return StartActivity(
        call_id=command.call_id,
        activity=f"signal {command.signal}",
        arguments=command.arguments,
        task_queue=None,
        start_to_close=_LIMIT,
        schedule_to_close=None,
        schedule_to_start=None,
        heartbeat=None,
        retry=_ONCE,
        local=False,
        priority=None,
        summary=f"signal {command.signal} to {command.workflow_id}",
    )
