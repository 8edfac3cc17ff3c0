"""Reads errors as a history holds them: type and message, the place in the author's code, the stack."""

from __future__ import annotations

import json
from contextlib import suppress

from temporalio.api.failure.v1 import Failure

from sagadsl.language.notation.error_types import WRAPPERS
from sagadsl.language.own_errors import TIMEOUT
from sagadsl.temporal.wire.marker import CUT_BY_THE_SERVER, place_in
from sagadsl.temporal.wire.nexus import MADE_BY_NEXUS

_WRAPPERS = (
    "activity_failure_info",
    "child_workflow_execution_failure_info",
    "nexus_operation_execution_failure_info",
)


def place_in_failure(failure: Failure | None) -> str:
    """Return where the author's code raised the error inside a recorded failure; empty if nobody can say."""
    while failure is not None:
        details = failure.application_failure_info.details.payloads
        with suppress(ValueError):  # not JSON: a key that is not here
            if details and (place := place_in([json.loads(details[-1].data)])):
                return place
        failure = failure.cause if failure.HasField("cause") else None
    return ""


def stack_in(failure: Failure | None) -> str:
    """Return the stack with which an activity's error was recorded; empty if there is none."""
    while failure is not None and _wraps(failure):
        failure = failure.cause
    return "" if failure is None else failure.stack_trace


def error_in(failure: Failure | None) -> tuple[str, str] | None:
    """Return type and message of the error inside a recorded failure, without Temporal's wrappers (R17)."""
    if failure is None or (not failure.message and not failure.WhichOneof("failure_info")):
        return None
    while _wraps(failure):
        failure = failure.cause
    info = failure.WhichOneof("failure_info")
    if info == "application_failure_info":
        named = failure
        while named.application_failure_info.type in WRAPPERS and named.HasField("cause"):
            named = named.cause
        return named.application_failure_info.type or "Error", failure.message
    if info == "timeout_failure_info":
        last = error_in(failure.cause) if failure.HasField("cause") else None
        return TIMEOUT, failure.message + (f"; the last error was {last[0]}: {last[1]}" if last else "")
    if info == "nexus_handler_failure_info":
        return failure.nexus_handler_failure_info.type or "HandlerError", failure.message
    return (info or "error").removesuffix("_failure_info"), failure.message


def _wraps(failure: Failure) -> bool:
    """Whether a failure is one of Temporal's wrappers; so is the one around an error that was too long to be kept."""
    info = failure.WhichOneof("failure_info")
    cut = info == "server_failure_info" and failure.message == CUT_BY_THE_SERVER and failure.HasField("cause")
    if failure.HasField("cause") and info in ("nexus_handler_failure_info", "application_failure_info"):
        return info != "application_failure_info" or failure.application_failure_info.type == MADE_BY_NEXUS
    return cut or info in _WRAPPERS
