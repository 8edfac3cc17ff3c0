"""Since when one worker has held a run, so that it can tell whether another one may have begun a local activity.

A local activity leaves nothing in the history before it has ended. So a worker that dies may have begun one of which
no trace is left, and its effect may stand. But the death itself leaves a trace, since the workflow task under which the
activity ran times out or fails (see ``local_ends``). What the worker has to know for that goes along with the call in
a header, which no history keeps: a replay may give another one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from temporalio import workflow
from temporalio.api.common.v1 import Payload

from sagadsl.immutable import Immutable
from sagadsl.temporal.wire.headers import with_header
from sagadsl.temporal.wire.marker import MARKER

HELD_SINCE = f"{MARKER}.held_since"
"""Name of the function by which the runner says since when it has held a run."""

_AT_FIRST = 3
"""Length of a history whose first workflow task has begun. It is longer if an attempt of that task was lost."""

_HEADER = f"{MARKER}-held-since"


class HeldRun(Immutable):
    """How long one worker has had a run in its memory without a break.

    Attributes:
        since: Length of the history at the first workflow task that the worker handled and did not replay. Nobody else
            has handled a later one, unless the history says so.
        task: Length of the history at the workflow task in which the call began.
        alone: It is the run's first workflow task, at its first attempt, and the run continues no other one: nobody
            can have begun anything.
    """

    since: int
    task: int
    alone: bool = False


def held_now() -> HeldRun | None:
    """Return how long this worker has held the run; ``None`` at a replay, or if the runner does not say."""
    asked = None if workflow.unsafe.is_replaying() else workflow.extern_functions().get(HELD_SINCE)
    since = None if asked is None else asked()
    if not isinstance(since, int):
        return None
    info = workflow.info()
    task = info.get_current_history_length()
    return HeldRun(since, task, alone=since == task == _AT_FIRST and info.continued_run_id is None)


def headers_held(headers: Mapping[str, Payload], held: HeldRun) -> Mapping[str, Payload]:
    """Return the headers of a local activity, with how long its worker has held the run."""
    return with_header(headers, _HEADER, [held.since, held.task, held.alone])


def held_in(headers: Mapping[str, Payload]) -> HeldRun | None:
    """Return what ``headers_held`` has put into the headers of a local activity."""
    header = headers.get(_HEADER)
    return None if header is None else HeldRun(*json.loads(header.data))
