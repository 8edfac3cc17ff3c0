"""An activity's error as the history records it: its type, bounded texts, a stack that begins in the author's code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from sagadsl.authoring import Failure, Permanent
from sagadsl.engine.keys import step_of_activity_id
from sagadsl.frozen import frozen

MAX_MESSAGE_BYTES = 8 * 1024
MAX_DETAILS_BYTES = 64 * 1024
_CARRIERS = ("temporalio.", "sagadsl.temporal.", "asyncio.", "concurrent.futures.")
"""Modules through which every call of an activity goes."""


@frozen
class Told:
    """What a worker's log says of an attempt that failed.

    Attributes:
        error: As the author's code raised it.
        is_expected: It was raised on purpose, so that its stack tells nothing.
    """

    line: str
    error: Exception
    is_expected: bool


class Impassable(ApplicationError):
    """Stands for what no future can carry, or what would end the worker: nobody has raised it to tell a saga."""


class ActivityFailed(ApplicationError):
    """An error of an activity as the history records it, with a stack that begins in the author's code.

    The frames before are the SDK's and ours: they tell nobody anything, and each takes time to be formatted.
    """

    stack: TracebackType | None = None
    told: Told | None = None

    @property
    def __traceback__(self) -> TracebackType | None:  # what is formatted, not what is raised
        return self.stack

    @__traceback__.setter
    def __traceback__(self, whole: TracebackType | None) -> None:
        """Let context managers that the error passes through believe that they have set it."""


def authors_stack(traceback: TracebackType | None) -> TracebackType | None:
    """Return *traceback* from the first frame that is neither the SDK's nor ours; ``None`` if there is none."""
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if not module.startswith(_CARRIERS):
            return traceback
        traceback = traceback.tb_next
    return None


def application_error(error: Exception) -> ApplicationError:
    """Return *error* as Temporal records it."""
    match error:
        case ApplicationError():
            return error
        case Failure():
            return ApplicationError(
                error.message,
                *error.details,
                type=error.type,
                non_retryable=not error.retryable,
                next_retry_delay=error.retry_after,
                # A business no is nothing that an operator's log should warn of.
                category=(
                    ApplicationErrorCategory.BENIGN
                    if isinstance(error, Permanent)
                    else ApplicationErrorCategory.UNSPECIFIED
                ),
            )
    return ApplicationError(str(error), type=type(error).__name__)  # R55: the bare name


def with_details(error: ApplicationError, last: Mapping[str, Any]) -> ActivityFailed:
    """Return *error*, bounded, with what the workflow has to know as its *last* detail."""
    return ActivityFailed(
        shortened(error.message),
        *_bounded(error.details),
        last,
        type=error.type,
        non_retryable=error.non_retryable,
        next_retry_delay=error.next_retry_delay,
        category=error.category,
    )


def shortened(text: str, limit: int = MAX_MESSAGE_BYTES) -> str:
    """Return *text* in at most *limit* bytes of UTF-8, and always as text that UTF-8 can carry."""
    data = text.encode(errors="backslashreplace")
    if len(data) <= limit:
        return data.decode()
    return data[: limit - 4].decode(errors="ignore") + "…"


def _bounded(details: Sequence[Any]) -> Sequence[Any]:
    if not details:
        return details
    try:
        size = sum(each.ByteSize() for each in activity.payload_converter().to_payloads(details))
    except Exception:  # noqa: BLE001 # converters, the user's too, say no in their own ways
        return ["details left out: they cannot become JSON"]
    return details if size <= MAX_DETAILS_BYTES else [f"details left out: {size} bytes"]


def told_of(info: activity.Info, error: Exception, reported: ApplicationError, declared: Sequence[str]) -> Told:
    """Return what a log says of *error*; *declared* are the error types that the activity raises on purpose."""
    message = shortened(reported.message, 300).partition("\n")[0]
    place = f"step {step_of_activity_id(info.activity_id)} of saga {info.workflow_id}"
    line = f"{info.activity_type}, {place}, attempt {info.attempt}: {reported.type}: {message}"
    is_meant = isinstance(error, Failure | ApplicationError) and not isinstance(error, Impassable)
    return Told(line, error, is_meant or reported.type in declared)
