"""Makes the errors that an author's code raises into errors that a history can record, with the author's stack.

An error may be anything: it may have no text, be its own cause, or have details that no payload can carry. The SDK
replaces an error that it cannot encode by one of its own. That one lacks the marker that says whether the step has
to be undone. So every error that leaves this module can be encoded.
"""

from __future__ import annotations

import math
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import PurePath
from types import TracebackType
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, FailureError

from sagadsl.authoring import Failure, Permanent
from sagadsl.immutable import Immutable
from sagadsl.language.paths import step_of_activity_id
from sagadsl.language.schema.secrecy import NOTHING, Hiding
from sagadsl.plugins.texts import text_of
from sagadsl.temporal.wire.marker import MAX_PLACE

MAX_MESSAGE_BYTES = 8 * 1024
MAX_DETAILS_BYTES = 64 * 1024
_MOST_CAUSES = 10
_LONGEST = timedelta(days=36_500)
"""The longest pause that Temporal can record."""
_INSTALLED = tuple({f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib", "purelib", "platlib")} | {"<"})
"""Where the files of libraries are; the code of ``exec`` and of frozen modules has no file."""
_CARRIERS = ("temporalio.", "sagadsl.temporal.", "asyncio.", "concurrent.futures.")
"""Modules through which every call of an activity goes."""


class LoggedFailure(Immutable):
    """The entry for a failed attempt in a worker's log.

    Attributes:
        error: The error that the author's code raised.
        is_expected: The author raised it on purpose, so its stack is of no use.
        place: Where it was raised if it is not expected; else empty.
        hides: What takes the secrets of the call out of its stack.
    """

    line: str
    error: BaseException
    is_expected: bool
    place: str
    hides: Hiding = NOTHING


def log_entry(
    info: activity.Info,
    error: BaseException,
    reported: ApplicationError,
    function: Callable[..., Any],
    declared: Sequence[str],
    *,
    hides: Hiding = NOTHING,
) -> LoggedFailure:
    """Return the log entry for *error*; *declared* are the error types that the *function* raises on purpose."""
    message = shortened(hides.text(reported.message), 300).partition("\n")[0]
    place = f"step {step_of_activity_id(info.activity_id)} of saga {info.workflow_id}"
    is_meant = isinstance(error, Failure | ApplicationError) and not isinstance(error, Impassable)
    is_expected = is_meant or reported.type in declared
    where = "" if is_expected else place_of(error, function)
    said = f"{where}: {reported.type}: {message}" if where else f"{reported.type}: {message}"
    line = f"{info.activity_type}, {place}, attempt {info.attempt}: {said}"
    return LoggedFailure(line, error, is_expected, where, hides)


class Impassable(ApplicationError):
    """Stands for an error that no future can carry, or that would end the worker. It was not meant for a saga."""


class ActivityFailed(ApplicationError):
    """An error of an activity as the history records it, with a stack that begins in the author's code.

    The frames before it belong to the SDK and to sagadsl: they help nobody, and formatting each takes time.
    """

    stack: TracebackType | None = None
    logged: LoggedFailure | None = None

    @property
    def __traceback__(self) -> TracebackType | None:  # what is formatted, not what is raised
        return self.stack

    @__traceback__.setter
    def __traceback__(self, whole: TracebackType | None) -> None:
        """Ignore *whole*: context managers that the error passes through set it, and must not fail."""


def authors_stack(traceback: TracebackType | None) -> TracebackType | None:
    """Return *traceback* from the first frame that is neither the SDK's nor ours; ``None`` if there is none."""
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if not module.startswith(_CARRIERS):
            return traceback
        traceback = traceback.tb_next
    return None


def place_of(error: BaseException, function: Callable[..., Any]) -> str:
    """Return where the author's code raised *error*, e.g. ``activities.py:12 in charge``; empty if nobody can say.

    That is the innermost frame in the code of the author of *function*, not in a library that this code calls: a
    frame of the same package or module, or of code that is not installed.
    """
    own = str(getattr(function, "__module__", "")).partition(".")[0]
    found = ""
    traceback = authors_stack(origin(error).__traceback__)
    while traceback is not None:
        frame = traceback.tb_frame
        module = str(frame.f_globals.get("__name__", ""))
        file = frame.f_code.co_filename
        if module.partition(".")[0] == own or not (file.startswith(_INSTALLED) or module.startswith(_CARRIERS)):
            # as many parts of the path as the module's name has: the rest tells of the worker's machine
            parts = PurePath(file).parts
            is_package = parts[-1] == "__init__.py"
            shown = "/".join(parts[-(module.count(".") + 1 + is_package) :])
            found = f"{shown}:{traceback.tb_lineno} in {frame.f_code.co_name}"
        traceback = traceback.tb_next
    return shortened(found, MAX_PLACE)


def application_error(error: BaseException) -> ApplicationError:
    """Return *error* as Temporal records it. Its attributes may hold anything, or be missing."""
    kind = type(error).__name__  # R55: the bare name
    match error:
        case ApplicationError() if not _is_odd(error):
            return error
        case ApplicationError():
            return ApplicationError(
                text_of(_of(error, "message", "")),
                *_of(error, "details", ()),
                type=_name(_of(error, "type", None)) or kind,
                non_retryable=bool(_of(error, "non_retryable", False)),
                next_retry_delay=_pause(_of(error, "next_retry_delay", None)),
            )
        case Failure():
            return ApplicationError(
                text_of(error),
                *error.details,
                type=_name(error.type) or kind,
                non_retryable=not error.retryable,
                next_retry_delay=_pause(error.retry_after),
                # An operator's log should not warn of a refusal that belongs to the business.
                category=(
                    ApplicationErrorCategory.BENIGN
                    if isinstance(error, Permanent)
                    else ApplicationErrorCategory.UNSPECIFIED
                ),
            )
    return ApplicationError(text_of(error), type=kind)


def with_details(error: ApplicationError, last: Mapping[str, Any], logged: LoggedFailure) -> ActivityFailed:
    """Return *error*, bounded; its *last* detail is what the workflow has to know."""
    made = like(error, shortened(error.message), (*_bounded(error.details), last))
    made.logged = logged
    return made


def without(error: ApplicationError, hides: Hiding) -> ApplicationError:
    """Return *error* with a message that quotes no secret."""
    message = hides.text(error.message)
    if message == error.message:
        return error
    made = like(error, message, error.details)
    made.__cause__ = error.__cause__
    return made


def like(error: ApplicationError, message: str, details: Sequence[Any]) -> ActivityFailed:
    """Return an error without a cause that means the same as *error*, with this message and these details."""
    made = ActivityFailed(
        message,
        *details,
        type=error.type,
        non_retryable=error.non_retryable,
        next_retry_delay=error.next_retry_delay,
        category=error.category,
    )
    made.logged = error.logged if isinstance(error, ActivityFailed) else None
    return made


def origin(error: BaseException) -> BaseException:
    """Return the error that the author's code raised; *error* may stand for it."""
    return error.__cause__ if isinstance(error, Impassable) and error.__cause__ is not None else error


def right_behind(error: BaseException) -> BaseException | None:
    """Return the explicit cause of *error*, else the error that was being handled, unless ``from None`` hides it."""
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def behind(error: BaseException, hides: Hiding = NOTHING) -> BaseException | None:
    """Return the causes of *error* as errors that can be recorded, without secrets; ``None`` if it has none."""
    nearest = right_behind(error)
    found: list[BaseException] = []
    seen = {id(error)}
    while nearest is not None and id(nearest) not in seen and len(found) < _MOST_CAUSES:
        seen.add(id(nearest))
        found.append(nearest)
        nearest = nearest.__cause__
    made: BaseException | None = None
    for each in reversed(found):
        is_recorded = isinstance(each, FailureError) and each.failure is not None
        outer = each if is_recorded and not hides else _recordable(each, hides)
        if outer is not each:
            outer.__cause__, outer.__suppress_context__ = made, True
        made = outer
    return made


def _recordable(error: BaseException, hides: Hiding) -> ApplicationError:
    recorded = application_error(error)
    made = ApplicationError(
        shortened(hides.text(recorded.message)),
        *_bounded(recorded.details),
        type=recorded.type,
        non_retryable=recorded.non_retryable,
    )
    return made.with_traceback(error.__traceback__)


def _is_odd(error: ApplicationError) -> bool:
    """Whether an author's subclass lacks attributes that the SDK's own constructor sets."""
    pause = _of(error, "next_retry_delay", ...)
    return (
        not isinstance(_of(error, "message", None), str)
        or not isinstance(_of(error, "type", ...), str | None)
        or not isinstance(_of(error, "details", None), Sequence)
        or pause is not _pause(pause)
    )


def _of(error: BaseException, name: str, default: Any) -> Any:
    try:
        return getattr(error, name)
    except Exception:  # noqa: BLE001 # a property of an author's class
        return default


def _name(given: Any) -> str | None:
    """Return an error type as text; a class stands for its name."""
    if given is None or isinstance(given, str):
        return given
    return given.__name__ if isinstance(given, type) else text_of(given)


def _pause(given: Any) -> timedelta | None:
    """Return how long to wait before the next attempt, if Temporal can record it; a number means seconds."""
    if isinstance(given, int | float) and math.isfinite(given):
        given = timedelta(seconds=min(given, _LONGEST.total_seconds()))
    return given if isinstance(given, timedelta) and timedelta() < given <= _LONGEST else None


def shortened(text: str, limit: int = MAX_MESSAGE_BYTES) -> str:
    """Return *text* cut to *limit* bytes, without characters that UTF-8 cannot encode."""
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
