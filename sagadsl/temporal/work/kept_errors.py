"""Makes errors so short that the server keeps them until the next attempt: 4 kB, as converter and codec send them.

Of a longer error the server keeps only a cut message, without the details that say whether the step has to be undone.
So the error is shortened before the user's converter sees it. It cannot be shortened afterwards: the converter may
have a codec encode the messages of an error and its causes, and no part of them may bypass the codec.
"""

from __future__ import annotations

import traceback
from types import TracebackType

from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

from sagadsl.temporal.link.codec import CodecFailed
from sagadsl.temporal.run.activity_errors import ActivityFailed, application_error, like, right_behind, shortened
from sagadsl.temporal.wire.codec_growth import Stretch

MAX_KEPT_BYTES = 3_800
"""The server keeps 4 kB; the rest is room for what the SDK adds."""

_KEPT_MESSAGE, _KEPT_CAUSE, _KEPT_STACK = 1_000, 300, 600
_BARE_MESSAGE = 200
_FRAMES = 20
_LEFT_OUT = "details left out: there is another attempt"


async def fitted(error: ActivityFailed, converter: DataConverter, stretch: Stretch) -> ActivityFailed:
    """Return *error* as whole as the server keeps it; *stretch* is how much longer the codec makes payloads."""
    for shorten in (_whole, _without_details, _with_short_cause, _with_short_texts, _bare):
        made = shorten(error)
        if await _fits(made, converter, stretch):
            break
    return made


async def _fits(error: ActivityFailed, converter: DataConverter, stretch: Stretch) -> bool:
    made = Failure()
    try:
        converter.failure_converter.to_failure(error, converter.payload_converter, made)
        if stretch.of(made.ByteSize(), _payloads(made)) <= MAX_KEPT_BYTES:
            return True
        if converter.payload_codec is not None:  # the stretch is the most that it may be
            await converter.payload_codec.encode_failure(made)
    except CodecFailed:  # then this error cannot be sent, however short it is
        return True
    return made.ByteSize() <= MAX_KEPT_BYTES


def _payloads(failure: Failure) -> int:
    """Return how many payloads a failure of ours has."""
    found = len(failure.application_failure_info.details.payloads) + failure.HasField("encoded_attributes")
    return found + (_payloads(failure.cause) if failure.HasField("cause") else 0)


def _whole(error: ActivityFailed) -> ActivityFailed:
    return error


def _without_details(error: ActivityFailed) -> ActivityFailed:
    made = like(error, error.message, [_LEFT_OUT, *error.details[-1:]] if len(error.details) > 1 else error.details)
    made.stack = error.stack
    made.__cause__, made.__context__ = error.__cause__, error.__context__
    made.__suppress_context__ = error.__suppress_context__
    return made


def _with_short_cause(error: ActivityFailed) -> ActivityFailed:
    """Keep only the nearest cause of *error*, and the beginning of its message."""
    made = _without_details(error)
    made.stack = _last(error.stack)
    made.__cause__, made.__suppress_context__ = _nearest(error), True
    return made


def _with_short_texts(error: ActivityFailed) -> ActivityFailed:
    made = like(error, shortened(error.message, _KEPT_MESSAGE), _without_details(error).details)
    made.__cause__ = _nearest(error)
    return made


def _bare(error: ActivityFailed) -> ActivityFailed:
    """Keep only what the saga has to know, for a codec that adds much to each payload."""
    return like(error, shortened(error.message, _BARE_MESSAGE), error.details[-1:])


def _nearest(error: ActivityFailed) -> ApplicationError | None:
    cause = right_behind(error)
    if not isinstance(cause, Exception):
        return None
    recorded = application_error(cause)
    return ApplicationError(
        shortened(recorded.message, _KEPT_CAUSE), type=recorded.type, non_retryable=recorded.non_retryable
    )


def _last(stack: TracebackType | None) -> TracebackType | None:
    """Return the last frames of a stack, as many as fit."""
    frames = traceback.extract_tb(stack)
    room = _KEPT_STACK
    left = 0
    for frame in reversed(frames[-_FRAMES:]):
        room -= sum(len(line.encode(errors="replace")) + 1 for line in traceback.format_list([frame]))
        if room < 0:
            break
        left += 1
    for _ in range(len(frames) - left):
        stack = stack.tb_next if stack is not None else None
    return stack
