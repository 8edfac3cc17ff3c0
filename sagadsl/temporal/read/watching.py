"""Reads the history of a run as events of its steps: for a person who watches, and when no worker answers.

It reads event by event and knows nothing of the engine. The path of a step is the id of its activity, or in a
header of its Nexus operation; the path of a child saga is in its workflow id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent

from sagadsl.immutable import Hidden, Immutable
from sagadsl.language.calls import Operation
from sagadsl.language.own_errors import CANCELLED, SIGNAL_NOT_DELIVERED, WORKFLOW_ALREADY_STARTED
from sagadsl.language.paths import call_of_activity, call_of_child, parse_call
from sagadsl.temporal.read.recorded_errors import error_in
from sagadsl.temporal.wire.child_memo import CALL
from sagadsl.temporal.wire.nexus import call_of_operation
from sagadsl.temporal.wire.sent_call import call_in

What = Literal[
    "began",
    "started",
    "retrying",
    "completed",
    "failed",
    "timed_out",
    "cancelled",
    "timer_set",
    "timer_fired",
    "signalled",
    "cancel_requested",
    "operated",
    "answered",
    "continued",
    "ended",
]

_LOCAL = "core_local_activity"
_ENDS = {
    "workflow_execution_completed": "completed",
    "workflow_execution_failed": "failed",
    "workflow_execution_canceled": "cancelled",
    "workflow_execution_timed_out": "timed_out",
    "workflow_execution_terminated": "terminated",
}
_CALL_ENDS: dict[str, What] = {
    "completed": "completed",
    "failed": "failed",
    "timed_out": "timed_out",
    "canceled": "cancelled",
}
_SENDS = (
    "signal_external_workflow_execution_initiated",
    "signal_external_workflow_execution_failed",
    "external_workflow_execution_signaled",
)
_ATTRIBUTES = "_event_attributes"


class StepEvent(Immutable):
    """Something that has happened in a run.

    Attributes:
        at: When, in UTC.
        what: ``started``: a step was handed to its workers. ``ended``: the whole run has ended.
        path: The id of the call, or the step's path; empty for the run as a whole. For a timer its summary, for a
            signal or an operator's request its name.
        name: Type of the activity, name of the child saga, or a signal that was sent, with its receiver. For
            ``signalled``, the client that sent it, by the name that it gives itself. For ``ended``, how it ended:
            ``completed``, ``failed``, ``cancelled``, ``timed_out``, ``terminated``.
        attempt: The attempt of a call that has ended, or is being retried; ``None`` when nobody knows.
        error: Type and message of what went wrong.
        failure: What an activity's error was recorded as.
        run_id: For ``continued``, the run that goes on.
        number: For ``operated``, and for ``answered``, which is its end: the number of the request in the history.
        to: Of a signal that was sent, the workflow that gets it.
        input: The payload that was sent: to a call, with a signal, with an operator's request, to the run as a whole.
        output: The payload that was returned.
    """

    at: datetime
    what: What
    path: str = ""
    name: str = ""
    attempt: int | None = None
    error: tuple[str, str] | None = None
    failure: Hidden[Failure | None] = None
    run_id: str = ""
    to: str = ""
    number: int = 0
    input: Hidden[Payload | None] = None
    output: Hidden[Payload | None] = None

    @property
    def ends_call(self) -> bool:
        """Whether the event is the end of a call: of an activity, an operation or a child saga, and not of the run."""
        return bool(self.name) and self.what in _CALL_ENDS.values()

    @property
    def undoes(self) -> bool:
        """Whether the event is about a compensation."""
        return parse_call(self.path).undoes


@dataclass(slots=True)
class StepEvents:
    """Turns the events of one run, in their order, into step events."""

    workflow_id: str
    _calls: dict[int, tuple[str, str]] = field(default_factory=dict)
    _attempts: dict[int, int] = field(default_factory=dict)
    _timers: dict[int, str] = field(default_factory=dict)

    def read(self, event: HistoryEvent) -> Iterator[StepEvent]:
        """Yield what *event* says about steps; most events say nothing."""
        name = event.WhichOneof("attributes") or ""
        about: Any = getattr(event, name) if name else None
        kind = name.removesuffix(_ATTRIBUTES)
        at = event.event_time.ToDatetime()
        if kind in _ENDS:
            failure = about.failure if kind == "workflow_execution_failed" else None
            yield StepEvent(at, "ended", name=_ENDS[kind], error=error_in(failure), output=_first(about, "result"))
        elif kind.startswith("activity_task_"):
            yield from self._activity(event, kind.removeprefix("activity_task_"), about, at)
        elif kind.startswith("nexus_operation_"):
            yield from self._operation(event, kind.removeprefix("nexus_operation_"), about, at)
        elif "child_workflow_execution_" in kind:
            yield from self._child(event, kind, about, at)
        elif kind in _SENDS:
            yield from self._sent(event, kind, about, at)
        elif kind.startswith("timer_"):
            yield from self._timer(event, kind, about, at)
        elif kind == "marker_recorded" and about.marker_name == _LOCAL:
            yield from _local(about, at)
        else:
            yield from _others(event.event_id, kind, about, at)

    def _activity(self, event: HistoryEvent, kind: str, about: Any, at: datetime) -> Iterator[StepEvent]:
        if kind == "scheduled":
            path = call_of_activity(about.activity_id)
            self._calls[event.event_id] = (path, about.activity_type.name)
            yield StepEvent(at, "started", path, about.activity_type.name, input=_first(about, "input"))
        elif kind == "started":
            self._attempts[about.scheduled_event_id] = about.attempt
        elif kind in _CALL_ENDS:
            path, name = self._calls.pop(about.scheduled_event_id, ("", ""))
            attempt = self._attempts.pop(about.scheduled_event_id, None)
            failure = about.failure if kind in ("failed", "timed_out") else None
            output = _first(about, "result")
            yield StepEvent(
                at, _CALL_ENDS[kind], path, name, attempt, error_in(failure), failure=failure, output=output
            )

    def _operation(self, event: HistoryEvent, kind: str, about: Any, at: datetime) -> Iterator[StepEvent]:
        if kind == "scheduled":
            name = str(Operation(about.endpoint, about.service, about.operation))
            path = call_of_activity(call_of_operation(about.nexus_header, about.operation))
            self._calls[event.event_id] = (path, name)
            yield StepEvent(at, "started", path, name, input=about.input)
        elif kind in _CALL_ENDS:
            path, name = self._calls.pop(about.scheduled_event_id, ("", ""))
            failure = about.failure if kind in ("failed", "timed_out") else None
            output = about.result if kind == "completed" else None
            yield StepEvent(at, _CALL_ENDS[kind], path, name, error=error_in(failure), output=output)

    def _child(self, event: HistoryEvent, kind: str, about: Any, at: datetime) -> Iterator[StepEvent]:
        if kind == "start_child_workflow_execution_initiated":
            path = child_call(self.workflow_id, about)
            self._calls[event.event_id] = (path, about.workflow_type.name)
            yield StepEvent(at, "started", path, about.workflow_type.name, input=_first(about, "input"))
            return
        end = kind.removeprefix("start_").removeprefix("child_workflow_execution_")
        if end not in (*_CALL_ENDS, "terminated"):
            return
        path, name = self._calls.pop(about.initiated_event_id, ("", ""))
        failure = getattr(about, "failure", None) if end == "failed" and not kind.startswith("start_") else None
        error = (
            (WORKFLOW_ALREADY_STARTED, "its workflow id is in use") if kind.startswith("start_") else error_in(failure)
        )
        yield StepEvent(at, _CALL_ENDS.get(end, "failed"), path, name, error=error, output=_first(about, "result"))

    def _sent(self, event: HistoryEvent, kind: str, about: Any, at: datetime) -> Iterator[StepEvent]:
        """Yield the events of a signal that a step has sent; a signal of which no call is known belongs to no step."""
        if kind == _SENDS[0]:
            if path := call_in(about.header):
                to = about.workflow_execution.workflow_id
                name = f"signal {about.signal_name} to {to}"
                self._calls[event.event_id] = (path, name)
                yield StepEvent(at, "started", path, name, to=to, input=_first(about, "input"))
            return
        path, name = self._calls.pop(about.initiated_event_id, ("", ""))
        is_failed = kind == _SENDS[1]
        error = (SIGNAL_NOT_DELIVERED, "no workflow of this id was running, or it took no more") if is_failed else None
        if path:
            yield StepEvent(at, "failed" if is_failed else "completed", path, name, error=error)

    def _timer(self, event: HistoryEvent, kind: str, about: Any, at: datetime) -> Iterator[StepEvent]:
        if kind == "timer_started":
            summary = event.user_metadata.summary.data
            self._timers[event.event_id] = json.loads(summary) if summary.startswith(b'"') else about.timer_id
            yield StepEvent(at, "timer_set", self._timers[event.event_id])
        elif kind == "timer_fired":
            yield StepEvent(at, "timer_fired", self._timers.pop(about.started_event_id, about.timer_id))


def child_call(parent: str, about: Any) -> str:
    """Return the call that begins a child, as the event tells that the child was asked for; of a child whose id was
    chosen, the memo names the call. Where a codec still hides that, it is the child's id."""
    said = about.memo.fields[CALL].data if CALL in about.memo.fields else b""
    return str(json.loads(said)) if said.startswith(b'"') else call_of_child(parent, about.workflow_id)


def _local(about: Any, at: datetime) -> Iterator[StepEvent]:
    data = json.loads(about.details["data"].payloads[0].data) if "data" in about.details else {}
    path, name, attempt = (
        call_of_activity(data.get("activity_id", "")),
        data.get("activity_type", ""),
        data.get("attempt"),
    )
    if name.startswith("sagadsl."):
        return
    if about.HasField("failure"):
        yield StepEvent(at, "failed", path, name, attempt, error_in(about.failure), failure=about.failure)
    else:
        result = about.details["result"].payloads[0] if "result" in about.details else None
        yield StepEvent(at, "completed", path, name, attempt, output=result)


def _others(number: int, kind: str, about: Any, at: datetime) -> Iterator[StepEvent]:
    match kind:
        case "workflow_execution_started":
            yield StepEvent(at, "began", name=about.workflow_type.name, input=_first(about, "input"))
        case "workflow_execution_signaled":
            yield StepEvent(at, "signalled", about.signal_name, about.identity, input=_first(about, "input"))
        case "workflow_execution_cancel_requested":
            yield StepEvent(at, "cancel_requested", error=(CANCELLED, about.cause) if about.cause else None)
        case "workflow_execution_update_accepted":
            asked = about.accepted_request.input
            yield StepEvent(at, "operated", asked.name, number=number, input=_first(asked, "args"))
        case "workflow_execution_update_completed":
            yield StepEvent(at, "answered", number=about.accepted_event_id, output=_first(about.outcome, "success"))
        case "workflow_execution_continued_as_new":
            yield StepEvent(at, "continued", run_id=about.new_execution_run_id)
        case _:
            pass


def _first(about: Any, name: str) -> Payload | None:
    payloads = getattr(about, name, None)
    return payloads.payloads[0] if payloads is not None and payloads.payloads else None
