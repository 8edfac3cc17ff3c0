"""Sends spans to a collector, by OpenTelemetry's own SDK: the only module that imports it, and only when it is wanted.

The ids of a saga's spans are given (see ``wire.trace_context``). The SDK asks a generator for ids, so ours gives it
the ones that are meant.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import local
from typing import Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)
from temporalio.client import (
    Interceptor,
    OutboundInterceptor,
    SignalWorkflowInput,
    StartWorkflowInput,
    StartWorkflowUpdateInput,
    WorkflowHandle,
    WorkflowUpdateHandle,
)

from sagadsl.temporal.wire.requests import EARLY_ANSWER
from sagadsl.temporal.wire.trace_context import SpanOver, TraceContext, Value, headers_in_trace, read_carrier

_KINDS = {"client": SpanKind.CLIENT, "server": SpanKind.SERVER, "consumer": SpanKind.CONSUMER}


class _Ids(RandomIdGenerator):
    """Gives the ids that the thread has asked for, else random ones."""

    def __init__(self) -> None:
        self._wanted = local()

    @contextmanager
    def giving(self, context: TraceContext) -> Iterator[None]:
        self._wanted.context = context
        try:
            yield
        finally:
            self._wanted.context = None

    def generate_trace_id(self) -> int:
        wanted: TraceContext | None = getattr(self._wanted, "context", None)
        return super().generate_trace_id() if wanted is None else wanted.trace_id

    def generate_span_id(self) -> int:
        wanted: TraceContext | None = getattr(self._wanted, "context", None)
        return super().generate_span_id() if wanted is None else wanted.span_id


@dataclass(slots=True)
class Here:
    """A span that is open here: what this process does meanwhile belongs to it."""

    context: TraceContext
    _span: trace.Span

    def end(self, outcome: str, error: str = "") -> None:
        """Note how it ended, and the type of its error."""
        self._span.set_attribute("sagadsl.outcome", outcome)
        self.fail(error)

    def note(self, key: str, value: Value) -> None:
        """Set an attribute that is known only now."""
        self._span.set_attribute(key, value)

    def fail(self, error: str) -> None:
        """Note the type of an error, if there was one."""
        if error:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR, error))


class Tracing:
    """The spans of one process."""

    def __init__(self, resource: Any = None, *processors: SpanProcessor) -> None:
        self._ids = _Ids()
        self.provider = TracerProvider(resource=resource, id_generator=self._ids)
        for each in processors:
            self.provider.add_span_processor(each)
        self._tracer = self.provider.get_tracer("sagadsl")

    def is_kept(self, trace: TraceContext, name: str) -> bool:
        """Say whether the spans of a trace that begins here are kept, by the sampler."""
        decision = self.provider.sampler.should_sample(None, trace.trace_id, name).decision
        return decision is Decision.RECORD_AND_SAMPLE

    def tell(self, span: SpanOver) -> None:
        """Take a span that is over."""
        links = () if span.of is None else (Link(_given(span.of)),)
        with self._ids.giving(span.context):
            told = self._tracer.start_span(
                span.name,
                _around(span.parent),
                attributes=dict(span.attributes),
                links=links,
                start_time=_nanoseconds(span.began),
            )
        if span.error:
            told.set_attribute("error.type", span.error)
            told.set_status(Status(StatusCode.ERROR, span.error))
        told.end(_nanoseconds(max(span.began, span.ended)))

    @contextmanager
    def here(
        self, name: str, parent: TraceContext | None, attributes: Mapping[str, Value], *, kind: str
    ) -> Iterator[Here]:
        """Open a span until the end of the block; without a *parent*, it belongs to the span that is open here."""
        around = None if parent is None else _around(parent)
        span = self._tracer.start_span(name, around, kind=_KINDS[kind], attributes=dict(attributes))
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            yield Here(_context_of(span), span)

    def interceptor(self) -> Interceptor:
        """Return the interceptor of a client: what it begins and what it sends has a span."""
        return _OfClient(self)


def of_environment(environ: Mapping[str, str] = os.environ) -> TraceContext | None:
    """Return the span of the process that has started this one, as OpenTelemetry hands it on: ``TRACEPARENT``."""
    return read_carrier({name.lower(): value for name, value in environ.items() if name.startswith("TRACE")})


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _given(context: TraceContext) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if context.is_sampled else TraceFlags.DEFAULT)
    state = TraceState.from_header([context.state]) if context.state else None
    return SpanContext(context.trace_id, context.span_id, is_remote=True, trace_flags=flags, trace_state=state)


def _around(parent: TraceContext | None) -> contexts.Context:
    """Return the context of a span with this parent; with none for the first span of a trace."""
    empty = contexts.Context()
    return empty if parent is None else trace.set_span_in_context(NonRecordingSpan(_given(parent)), empty)


def _context_of(span: trace.Span) -> TraceContext:
    found = span.get_span_context()
    state = found.trace_state.to_header() if found.trace_state else ""
    return TraceContext(found.trace_id, found.span_id, bool(found.trace_flags & TraceFlags.SAMPLED), state)


def open_here() -> TraceContext | None:
    """Return the span that is open in this process, or ``None``."""
    span = trace.get_current_span()
    return _context_of(span) if span.get_span_context().is_valid else None


class _OfClient(Interceptor):
    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _Sent(next, self._tracing)


class _Sent(OutboundInterceptor):
    """Gives a span to what begins or changes a saga, and sends it along; looks at sagas have none."""

    def __init__(self, next: OutboundInterceptor, tracing: Tracing) -> None:
        super().__init__(next)
        self._tracing = tracing

    @contextmanager
    def _span(self, name: str, saga_id: str) -> Iterator[Here]:
        parent = None if open_here() else of_environment()
        with self._tracing.here(name, parent, {"sagadsl.saga.id": saga_id}, kind="client") as span:
            try:
                yield span
            except Exception as error:
                span.fail(type(error).__name__)
                raise

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        with self._span(f"start {input.workflow}", input.id) as span:
            span.note("sagadsl.saga.name", input.workflow)
            input.headers = headers_in_trace(input.headers, span.context)
            return await super().start_workflow(input)

    async def signal_workflow(self, input: SignalWorkflowInput) -> None:
        with self._span(f"signal {input.signal}", input.id) as span:
            input.headers = headers_in_trace(input.headers, span.context)
            await super().signal_workflow(input)

    async def start_workflow_update(self, input: StartWorkflowUpdateInput) -> WorkflowUpdateHandle[Any]:
        if input.update == EARLY_ANSWER:  # it changes nothing, and is asked again and again
            return await super().start_workflow_update(input)
        with self._span(f"update {input.update}", input.id) as span:
            input.headers = headers_in_trace(input.headers, span.context)
            return await super().start_workflow_update(input)
