"""The failure that a saga leaves in Temporal when it did not complete: its cause and one report. Replay-critical."""

from __future__ import annotations

from typing import Any

from temporalio.exceptions import ApplicationError
from temporalio.workflow import Info

from sagadsl.engine import projection
from sagadsl.engine.facts import Error, Status
from sagadsl.engine.journal import State
from sagadsl.language.model import Saga
from sagadsl.temporal.run.failures import bounded
from sagadsl.temporal.wire.arguments import to_bytes

_TYPE_BYTES = 200
_REPORT_BYTES = 512 * 1024
_LISTED = 100


class SagaFailed(ApplicationError):
    """The failure of a saga. It shows no stack: that would be the interpreter's, which helps nobody."""

    __traceback__ = None


def failed(error: Error, message: str, report: dict[str, Any]) -> SagaFailed:
    """Return the failure of the workflow: the type is the first error's, the report is in the details."""
    return SagaFailed(bounded(message), report, type=bounded(error.type, _TYPE_BYTES), non_retryable=True)


def report(saga: Saga, state: State) -> dict[str, Any]:
    """Return the report of a closed saga, short enough to be recorded."""
    found = projection.report(saga, state)
    if len(to_bytes(found)) > _REPORT_BYTES:
        lists = ("undone", "not_undone", "not_attempted", "other_errors", *(("goes_on",) if "goes_on" in found else ()))
        found |= {"shortened": True, "counts": {name: len(found[name]) for name in lists}}
        for name in lists:
            found[name] = found[name][:_LISTED]
        if len(to_bytes(found["failure"])) > _REPORT_BYTES:
            found["failure"].pop("result", None)
    return found


def not_begun(info: Info, error: Error, status: Status) -> dict[str, Any]:
    """Return the report of a run that did not begin.

    It is ``compensated`` when there is nothing to undo. It is ``failed`` when the run should have continued or undone
    the work of another run, and does not know what that work is.
    """
    unknown = "" if status is Status.COMPENSATED else "what an earlier run has done, if anything, could not be read"
    return {
        "schema_version": 1,
        "status": status.value,
        "saga": info.workflow_type,
        "id": info.workflow_id,
        "failed_step": "",
        "failure": {"type": error.type, "message": error.message, "step": ""},
        "other_errors": [],
        "undone": [],
        "not_undone": [],
        "not_attempted": [],
        "why_not": unknown,
        "begun": False,
    }


def cause(error: Error) -> ApplicationError:
    """Return *error* and its causes as a chain of exceptions (R23)."""
    behind: ApplicationError | None = None
    for type_, message in reversed(error.causes):
        made = ApplicationError(bounded(message), type=bounded(type_, _TYPE_BYTES))
        made.__cause__ = behind
        behind = made
    first = ApplicationError(bounded(error.message), type=bounded(error.type, _TYPE_BYTES))
    first.__cause__ = behind
    return first
