"""The place of a call in a trace, as it travels in a header: W3C's ``traceparent``, in the form of Temporal's SDKs.

The SDKs of all languages put it into the header ``_tracer-data``, so that a worker with an OpenTelemetry interceptor
of its own goes on with the trace of a saga. Nothing here needs OpenTelemetry.

The ids of a saga's spans follow from what the span is of. So they are the same at every replay, by whichever worker,
and a span may be told by another worker than the one that has begun it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextvars import ContextVar
from hashlib import sha256

from temporalio.api.common.v1 import Payload

from sagadsl.immutable import Immutable, replace
from sagadsl.temporal.wire.headers import with_header

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
ATTEMPT: ContextVar[TraceContext | None] = ContextVar("sagadsl.attempt", default=None)
"""The span of the attempt that this task makes, also when it is over: the SDK writes of its error only then."""

_HEADER = "_tracer-data"
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_LONGEST_STATE = 512


class TraceContext(Immutable):
    """A span, as others refer to it.

    Attributes:
        is_sampled: Whether the spans of the trace are kept.
        state: What vendors send along (``tracestate``).
    """

    trace_id: int
    span_id: int
    is_sampled: bool = True
    state: str = ""

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{'01' if self.is_sampled else '00'}"

    @property
    def carrier(self) -> dict[str, str]:
        """The context as headers of text, for HTTP and for Nexus."""
        return {TRACEPARENT: self.traceparent, **({TRACESTATE: self.state} if self.state else {})}

    def child(self, *what: object) -> TraceContext:
        """Return the context of a span of this trace whose id follows from *what* it is of."""
        return replace(self, span_id=_number(8, *what))


Value = str | int


class SpanOver(Immutable):
    """A span that is over.

    Attributes:
        parent: ``None`` for the first span of a trace.
        began, ended: Seconds since 1970.
        error: Type of the error; empty when it ended well.
        of: Another span of the trace that it belongs to: what a compensation undoes.
    """

    name: str
    context: TraceContext
    parent: TraceContext | None
    began: float
    ended: float
    attributes: Mapping[str, Value]
    error: str = ""
    of: TraceContext | None = None


def root(name: str, *, is_sampled: bool) -> TraceContext:
    """Return the context of the first span of a trace whose ids follow from a *name*."""
    return TraceContext(_number(16, "trace", name), _number(8, "root", name), is_sampled)


def _number(size: int, *what: object) -> int:
    """Return a number of so many bytes, and never 0, which is no id."""
    found = sha256("\n".join(map(str, what)).encode("utf-8", "replace")).digest()
    return int.from_bytes(found[:size]) or 1


def read_carrier(carrier: Mapping[str, object]) -> TraceContext | None:
    """Return what headers of text say; ``None`` when there is nothing that can be read."""
    named, state = carrier.get(TRACEPARENT), carrier.get(TRACESTATE)
    found = _FORM.fullmatch(named) if isinstance(named, str) else None
    if found is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    if not trace_id or not span_id:
        return None
    kept = state if isinstance(state, str) and len(state) <= _LONGEST_STATE else ""
    return TraceContext(trace_id, span_id, bool(flags & 1), kept)


def headers_in_trace(headers: Mapping[str, Payload], context: TraceContext | None) -> Mapping[str, Payload]:
    """Return the headers of a call that belongs to a span; the same without one."""
    return headers if context is None else with_header(headers, _HEADER, context.carrier)


def trace_in(headers: Mapping[str, Payload]) -> TraceContext | None:
    """Return what ``headers_in_trace``, or an interceptor of an SDK, has put into headers."""
    header = headers.get(_HEADER)
    if header is None:
        return None
    try:
        carrier = json.loads(header.data)
    except ValueError:  # anybody may have written it, in a codec that this worker does not have
        return None
    return read_carrier(carrier) if isinstance(carrier, dict) else None
