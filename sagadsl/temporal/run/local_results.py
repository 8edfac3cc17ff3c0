"""Keeps large results of local activities in the worker until the saga has room for them.

A workflow task sends the results of all its local activities in one message, and the server ends a run whose
message is too large (R52). So a saga says in a header how much room it has for a result. If the result is larger, the
worker keeps it and answers ``NEEDS_ROOM``; the saga asks again when it has the room. The second request does not
run the activity again, unless the worker has died in between. Then it runs again under the same key, as any attempt
may.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from sagadsl.temporal.wire.headers import with_header

ROOM_HEADER = "sagadsl-room"
NEEDS_ROOM = "sagadsl.NeedsRoom"

_KEPT = 1_000
_Key = tuple[str | None, str]


class NeedsRoom(ApplicationError):
    """The activity has a result, which has to wait for room."""

    def __init__(self, size: int) -> None:
        super().__init__(
            "the result waits for room in the workflow task's message", size, type=NEEDS_ROOM, non_retryable=True
        )


class LocalResults:
    """The results that one worker keeps; when there are too many, it forgets the oldest."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, RawValue] = OrderedDict()

    def keep(self, key: _Key, result: RawValue) -> NeedsRoom:
        """Keep *result*, and return the error that tells its size."""
        self._kept[key] = result
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return NeedsRoom(result.payload.ByteSize())

    def take(self, key: _Key) -> RawValue | None:
        """Return a kept result, and forget it."""
        return self._kept.pop(key, None)


def room_in(headers: Mapping[str, Payload]) -> int | None:
    """Return how large a result may be, if the headers of a local activity say so."""
    header = headers.get(ROOM_HEADER)
    return None if header is None else int(header.data)


def headers_with(headers: Mapping[str, Payload], room: int) -> Mapping[str, Payload]:
    """Return the headers of a local activity with the room for its result."""
    return with_header(headers, ROOM_HEADER, room)


def room_needed(error: BaseException | None) -> int | None:
    """Return how many bytes a result needs, if *error* says so."""
    cause: Any = getattr(error, "__cause__", None) or error
    for each in (error, cause):
        if isinstance(each, ApplicationError) and each.type == NEEDS_ROOM and each.details:
            return int(each.details[0])
    return None
