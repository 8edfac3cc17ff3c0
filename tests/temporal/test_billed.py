"""The actions that Temporal Cloud bills for a saga, counted from histories whose actions were counted by hand."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Mapping
from typing import Any

import pytest
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistory

from sagadsl.temporal.read.billed import Billed
from sagadsl.temporal.read.trace import trace
from tests.conftest import Server
from tests.engine.scenes import act, flaky, gives, no, plain, saga
from tests.temporal.play import Script, play
from tests.temporal.test_histories import FOLDER

BY_HAND = {
    "a_story_ends_on_temporal_as_in_virtual_time_book_trip": {"start": 1, "activities": 5, "timers": 1},
    "a_completed_child_is_undone_as_one_unit_cached": {"start": 1, "activities": 3, "child sagas": 4},
    "a_signal_before_its_wait_is_kept_and_a_wrong_one_is_named_in_the_status_cached": {
        "start": 1,
        "activities": 1,
        "signals": 3,
    },
    "a_client_sees_the_operations_of_a_saga_in_its_trace": {"start": 1, "local calls": 1, "Nexus operations": 3},
    "a_local_activity_that_is_cancelled_between_two_attempts_is_cancelled_and_undone": {
        "start": 1,
        "local calls": 1,
        "timers": 1,
        "activities": 1,
    },
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_recorded_history_costs_what_was_counted_by_hand(name: str) -> None:
    data = json.loads(gzip.decompress((FOLDER / "rules-3" / f"{name}.json.gz").read_bytes()))

    assert _counted(WorkflowHistory.from_json("recorded", data["history"]).events) == BY_HAND[name]


def _counted(events: Any) -> Mapping[str, int]:
    billed = Billed()
    for event in events:
        billed.take(event)
    return billed.actions


def _events(*texts: dict[str, Any]) -> list[HistoryEvent]:
    return [*WorkflowHistory.from_json("written", {"events": list(texts)}).events]


def _started(**more: Any) -> dict[str, Any]:
    about = {"workflowExecutionStartedEventAttributes": more}
    return {"eventId": "1", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED", **about}


def _event(kind: str) -> dict[str, Any]:
    return {"eventType": f"EVENT_TYPE_{kind}"}


def test_a_start_by_a_schedule_costs_three_and_the_start_of_a_child_nothing_more() -> None:
    indexed = {"indexedFields": {"TemporalScheduledById": {"data": "Im5pZ2h0bHki"}}}

    assert _counted(_events(_started(searchAttributes=indexed))) == {"start": 3}
    assert _counted(_events(_started(parentWorkflowExecution={"workflowId": "parent"}))) == {}


def test_a_start_with_a_signal_costs_one() -> None:
    first = [_started(), _event("WORKFLOW_EXECUTION_SIGNALED")]

    assert _counted(_events(*first)) == {"start": 1}
    assert _counted(_events(*first, _event("WORKFLOW_EXECUTION_SIGNALED"))) == {"start": 1, "signals": 1}


def test_more_time_for_a_long_local_call_costs_one_each_time() -> None:
    task = [_event(f"WORKFLOW_TASK_{each}") for each in ("SCHEDULED", "STARTED", "COMPLETED")]

    assert _counted(_events(_started(), *task, *task, *task)) == {"start": 1, "more time for local calls": 2}


LOCAL: Any = {"local": True, "compensation": {"local": True, "retry": "none"}}
STEPS = (act("a"), act("b"), plain("c"))
PLAYED: dict[str, tuple[Any, Script, int]] = {
    "queue, completing": (saga(*STEPS), {}, 4),
    "local, completing": (saga(*STEPS, defaults=LOCAL), {}, 2),
    "queue, failing": (saga(*STEPS), {"do.c": no()}, 6),
    "local, failing": (saga(*STEPS, defaults=LOCAL), {"do.c": no()}, 2),
    "two attempts": (
        saga(act("a", retry={"maximum_attempts": 2, "initial_interval": "10ms"})),
        {"do.a": [flaky(), gives(None)]},
        3,
    ),
    "a pause": (saga({"id": "s", "sleep": "10ms"}), {}, 2),
}


@pytest.mark.temporal
@pytest.mark.parametrize("what", PLAYED)
def test_the_trace_of_a_saga_tells_its_actions(what: str, server: Server) -> None:
    """The table of the page on costs says so."""
    definition, script, actions = PLAYED[what]

    played = play(server.address, definition, script)

    async def traced() -> int:
        return (await trace(await Client.connect(server.address), played.started.id)).billed.total

    assert asyncio.run(traced()) == actions
