"""The header that tells of a signal which call of the saga has sent it, so that the history alone tells it too.

Temporal gives activities and child workflows an id of the workflow's choice, and a signal none. No codec encodes a
header, and no receiver has to look at it. Replay-critical.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import ContextVar

from temporalio.api.common.v1 import Header, Payload

from sagadsl.temporal.wire.headers import with_header
from sagadsl.temporal.wire.marker import MARKER

_HEADER = f"{MARKER}-call"

CALL: ContextVar[str] = ContextVar("sagadsl_call", default="")
"""The id of the call that is being sent; empty for a signal that belongs to none."""


def headers_with_call(headers: Mapping[str, Payload]) -> Mapping[str, Payload]:
    """Return *headers* with the id of the call that is being sent."""
    call = CALL.get()
    return with_header(headers, _HEADER, call) if call else headers


def call_in(header: Header) -> str:
    """Return the id of the call that has sent a signal; empty when the header names none."""
    found = header.fields.get(_HEADER)
    try:
        call = None if found is None else json.loads(found.data)
    except ValueError:
        return ""
    return call if isinstance(call, str) else ""
