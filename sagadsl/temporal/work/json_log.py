"""Log records as JSON, one a line: with the saga, the step, the attempt and the trace that they belong to."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from temporalio import activity, workflow

from sagadsl.language.paths import ROOT, is_compensation, step_of_activity_id
from sagadsl.temporal.run.workflow import SagaWorkflow
from sagadsl.temporal.wire.trace_context import ATTEMPT, TraceContext
from sagadsl.temporal.work.worker_log import PLACE

AUDIT = "sagadsl.audit"
"""The logger whose messages are JSON already."""


class JsonLines(logging.Formatter):
    """Writes a record as one JSON document in one line."""

    def format(self, record: logging.LogRecord) -> str:
        document = line(record.levelname.lower(), record.getMessage(), at=record.created, logger=record.name)
        if record.name == AUDIT:
            document |= {"message": "audit", "audit": json.loads(record.getMessage())}
        document |= _where(record)
        if place := getattr(record, PLACE, ""):
            document["place"] = place
        if record.exc_info:
            document["stack"] = self.formatException(record.exc_info)
        elif record.exc_text:
            document["stack"] = record.exc_text
        return json.dumps(document, default=str)


def whole() -> None:
    """Let the SDK leave the ids of a run out of its messages: each line has them beside the message."""
    activity.logger.activity_info_on_message = False
    workflow.logger.workflow_info_on_message = False


def line(level: str, message: str, *, at: float, **more: str) -> dict[str, Any]:
    """Return the beginning of each line."""
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"time": moment, "level": level, **more, "message": message}


def _where(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a record is about: from where it was written, else from what the SDK has put into it."""
    if activity.in_activity():
        info = activity.info()
        found = _of_activity(
            {
                "workflow_type": info.workflow_type,
                "workflow_id": info.workflow_id,
                "workflow_run_id": info.workflow_run_id,
                "activity_id": info.activity_id,
                "activity_type": info.activity_type,
                "attempt": info.attempt,
            }
        )
    elif workflow.in_workflow():
        of = workflow.info()
        found = {"saga": of.workflow_type, "saga_id": of.workflow_id, "run_id": of.run_id}
    elif isinstance(sent := getattr(record, "temporal_activity", None), Mapping):
        found = _of_activity(sent)
    elif isinstance(sent := getattr(record, "temporal_workflow", None), Mapping):
        found = {"saga": sent.get("workflow_type"), "saga_id": sent.get("workflow_id"), "run_id": sent.get("run_id")}
    else:
        found = {}
    context = _trace()
    traced = {} if context is None else {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
    return {key: value for key, value in found.items() if value is not None} | traced


def _of_activity(info: Mapping[str, Any]) -> dict[str, Any]:
    id_ = str(info.get("activity_id", ""))
    undoes = {"undoes": True} if is_compensation(id_) else {}
    return {
        "saga": info.get("workflow_type"),
        "saga_id": info.get("workflow_id"),
        "run_id": info.get("workflow_run_id"),
        "step": step_of_activity_id(id_),
        **undoes,
        "activity": info.get("activity_type"),
        "attempt": info.get("attempt"),
    }


def _trace() -> TraceContext | None:
    """Return the span that is open here, or that was open when the attempt ended of which the SDK writes."""
    if workflow.in_workflow():
        saga = workflow.instance()
        return saga.context_of(ROOT) if isinstance(saga, SagaWorkflow) else None
    tracing = sys.modules.get("sagadsl.temporal.link.tracing")
    context: TraceContext | None = None if tracing is None else tracing.open_here()
    return context or ATTEMPT.get()
