"""How far a job is: from its history, and from the sign of life of what runs now. Any gateway can tell it.

The list of jobs comes from the server's index, which lags a little; it knows no answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import Client

from sagadsl.gateway.jobs.orders import WORKFLOW, workflow_id
from sagadsl.immutable import Immutable
from sagadsl.temporal.read.described import Described, describe, memo_at_once, word
from sagadsl.temporal.read.windows import newest

_PROBLEMS = 100
"""How many problems are shown without ``answers=true``."""

_SCANNED = 2_000
"""Jobs after which a page ends, even if it is not full."""

_STATES: Mapping[str, str] = {"running": "running", "held": "running", "completed": "done", "canceled": "cancelled"}


class JobHead(Immutable):
    """What is known of a job without its history.

    Attributes:
        owner: Identity of the caller that has made it.
        state: ``running``, ``done``, ``cancelled``; ``failed``: somebody else has ended it.
        asked: How many sagas it is for.
    """

    id: str
    verb: str
    who: str
    owner: str
    state: str
    asked: int
    began: str
    ended: str | None

    def as_json(self) -> dict[str, Any]:
        """Return what a list tells programs."""
        return {
            "id": self.id,
            "verb": self.verb,
            "who": self.who,
            "state": self.state,
            "asked": self.asked,
            "started_at": self.began,
            "ended_at": self.ended,
            "links": links(self.id),
        }


class JobView(Immutable):
    """A job as it stands.

    Attributes:
        is_stopping: It is running, and somebody has cancelled it.
        answers: What the sagas have answered so far, in that order.
    """

    head: JobHead
    is_stopping: bool
    answers: tuple[Mapping[str, Any], ...]

    @property
    def id(self) -> str:
        return self.head.id

    @property
    def state(self) -> str:
        return "stopping" if self.is_stopping else self.head.state

    @property
    def is_over(self) -> bool:
        return self.head.state != "running"

    def as_json(self, *, whole: bool = False) -> dict[str, Any]:
        """Return what is told to programs; every answer only if the *whole* is asked for."""
        outcomes = Counter(each["outcome"] for each in self.answers)
        statuses = Counter(each["status"] for each in self.answers if each["outcome"] == "done" and each["status"])
        problems = [dict(each) for each in self.answers if each["outcome"] != "done"]
        return {
            **self.head.as_json(),
            "state": self.state,
            **{outcome: outcomes[outcome] for outcome in ("done", "refused", "unknown")},
            "left": self.head.asked - len(self.answers),
            "statuses": dict(statuses),
            "problems": problems[:_PROBLEMS],
        } | ({"answers": [dict(each) for each in self.answers]} if whole else {})


def links(job: str) -> dict[str, str]:
    """Return the addresses of a job."""
    return {"self": f"/jobs/{job}", "events": f"/jobs/{job}/events", "cancel": f"/jobs/{job}/cancel"}


async def job_view(client: Client, job: str) -> JobView | None:
    """Return a job as it stands; ``None`` for a workflow that is no job. Raises ``SagaNotFound``."""
    described = await describe(client, workflow_id(job))
    about = described.memo.get(WORKFLOW)
    if described.workflow_type != WORKFLOW or not isinstance(about, dict):
        return None
    answers, is_cancelled = await _recorded(client, described)
    answers += [each for each in await _under_way(client, described) if each["key"] not in {a["key"] for a in answers}]
    head = _head(described.raw.workflow_execution_info, about)
    return JobView(head, is_cancelled and head.state == "running", tuple(answers))


def _head(row: WorkflowExecutionInfo, about: Mapping[str, Any]) -> JobHead:
    return JobHead(
        row.execution.workflow_id.removeprefix(workflow_id("")),
        str(about["verb"]),
        str(about["who"]),
        str(about["owner"]),
        _STATES.get(word(row.status), "failed"),
        int(about["asked"]),
        _began(row).isoformat(),
        row.close_time.ToDatetime(UTC).isoformat() if row.HasField("close_time") else None,
    )


def _began(row: WorkflowExecutionInfo) -> datetime:
    return row.start_time.ToDatetime(UTC)


async def jobs_page(
    client: Client, fits: Callable[[JobHead], bool], *, size: int, before: datetime | None
) -> tuple[list[JobHead], datetime | None]:
    """Return the newest *size* jobs that *fits*, and more that began with the last, and when the next page begins."""
    found: list[JobHead] = []
    scanned, last = 0, before
    async for rows in newest(client, [f"WorkflowType = '{WORKFLOW}'"], before):
        for row in rows:
            if (len(found) >= size or scanned >= _SCANNED) and _began(row) != last:
                return found, last
            scanned, last = scanned + 1, _began(row)
            about = (await memo_at_once(client, row.execution.workflow_id, row.memo)).get(WORKFLOW)
            if isinstance(about, dict) and fits(head := _head(row, about)):
                found.append(head)
    return found, None


async def _recorded(client: Client, described: Described) -> tuple[list[dict[str, Any]], bool]:
    """Return the answers in the history, and whether somebody has cancelled the job."""
    answers: list[dict[str, Any]] = []
    is_cancelled = False
    handle = client.get_workflow_handle(described.id, run_id=described.run_id)
    async for event in handle.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            result = event.activity_task_completed_event_attributes.result
            answers += (await client.data_converter.decode(result.payloads))[0]["answers"]
        is_cancelled |= event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
    return answers, is_cancelled


async def _under_way(client: Client, described: Described) -> list[dict[str, Any]]:
    """Return the answers that the activity which runs now has got."""
    found: list[dict[str, Any]] = []
    for each in described.raw.pending_activities:
        if each.heartbeat_details.payloads:
            found += (await client.data_converter.decode(each.heartbeat_details.payloads))[0]
    return found
