"""Looks up when a signal came: a local activity reads it from the history, since a workflow cannot.

A workflow receives a signal together with everything else since its last task, and knows only the time of its
current task (measured: signals come first, then timers, whatever their order in the history).
"""

from __future__ import annotations

from temporalio import activity

from sagadsl.temporal.wire.marker import CAME_ACTIVITY


@activity.defn(name=CAME_ACTIVITY)
async def came(number: int, name: str) -> float | None:
    """Return the Unix time at which signal number *number* of this run came; ``None`` if its name is another one."""
    return await when(number, name)


async def when(number: int, name: str) -> float | None:
    """Look it up in the history of the run whose activity this is."""
    info = activity.info()
    handle = activity.client().get_workflow_handle(info.workflow_id or "", run_id=info.workflow_run_id)
    seen = 0
    async for event in handle.fetch_history_events():
        if event.HasField("workflow_execution_signaled_event_attributes"):
            seen += 1
            if seen == number:
                is_it = event.workflow_execution_signaled_event_attributes.signal_name == name
                return event.event_time.ToNanoseconds() / 1e9 if is_it else None
    return None
