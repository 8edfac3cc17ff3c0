"""The worker's interceptors for those who watch: traces go along with runs and calls, and attempts have spans.

A worker has them only if somebody watches it.
"""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.runtime import Runtime
from temporalio.worker import (
    ActivityInboundInterceptor,
    ContinueAsNewInput,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    Interceptor,
    SignalExternalWorkflowInput,
    StartActivityInput,
    StartChildWorkflowInput,
    StartLocalActivityInput,
    StartNexusOperationInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from sagadsl.language.paths import ROOT, call_of_activity, is_compensation, step_id_in, step_of_activity_id
from sagadsl.temporal.run.local_results import NeedsRoom
from sagadsl.temporal.run.observed import OBSERVER, Observer
from sagadsl.temporal.run.workflow import SagaWorkflow
from sagadsl.temporal.wire.marker import MARKER
from sagadsl.temporal.wire.nexus import call_of_operation
from sagadsl.temporal.wire.trace_context import ATTEMPT, TraceContext, Value, headers_in_trace, trace_in
from sagadsl.temporal.work.meters import Meters

if TYPE_CHECKING:
    from sagadsl.temporal.link.tracing import Tracing

_OURS = f"{MARKER}."
"""Beginning of the names of our own activities, which belong to no step."""


def watching(client: Client, tracing: Tracing | None) -> list[Interceptor]:
    """Return the interceptors of a worker of this *client*: none if nobody watches it."""
    runtime = client.service_client.config.runtime
    meters = None if runtime is None or runtime.metric_meter is MetricMeter.noop else _meters_of(runtime)
    return [] if tracing is None and meters is None else [Watched(tracing, meters)]


@lru_cache(maxsize=4)  # the workers of a process share a runtime, and what is counted in it
def _meters_of(runtime: Runtime) -> Meters:
    return Meters(runtime.metric_meter)


class Watched(Interceptor):
    """Belongs on a worker that somebody watches."""

    def __init__(self, tracing: Tracing | None, meters: Meters | None) -> None:
        self._tracing, self._meters = tracing, meters
        self._observer = Observer(tracing, meters)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Attempts(next, self._tracing, self._meters)

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        input.unsafe_extern_functions[OBSERVER] = lambda: self._observer
        return _Runs


class _Runs(WorkflowInboundInterceptor):
    """Tells a saga in which trace it was begun."""

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Calls(outbound))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        saga = workflow.instance()
        if isinstance(saga, SagaWorkflow):
            saga.observed.incoming = trace_in(input.headers)
        return await super().execute_workflow(input)


class _Calls(WorkflowOutboundInterceptor):
    """Sends the trace along with what a saga begins."""

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        input.headers = headers_in_trace(input.headers, _of_activity(input.activity_id))
        return super().start_activity(input)

    def start_local_activity(self, input: StartLocalActivityInput) -> workflow.ActivityHandle[Any]:
        if not input.activity.startswith(_OURS):
            input.headers = headers_in_trace(input.headers, _of_activity(input.activity_id))
        return super().start_local_activity(input)

    async def start_child_workflow(self, input: StartChildWorkflowInput) -> workflow.ChildWorkflowHandle[Any, Any]:
        saga = workflow.instance()
        if isinstance(saga, SagaWorkflow):
            input.headers = headers_in_trace(input.headers, saga.context_of_child(input.id))
        return await super().start_child_workflow(input)

    async def start_nexus_operation(
        self, input: StartNexusOperationInput[Any, Any]
    ) -> workflow.NexusOperationHandle[Any]:
        context = _of_activity(call_of_operation(input.headers or {}, ""))
        if context is not None:
            input.headers = {**(input.headers or {}), **context.carrier}
        return await super().start_nexus_operation(input)

    async def signal_external_workflow(self, input: SignalExternalWorkflowInput) -> None:
        saga = workflow.instance()
        if isinstance(saga, SagaWorkflow):
            input.headers = headers_in_trace(input.headers, saga.context_of(ROOT))
        await super().signal_external_workflow(input)

    def continue_as_new(self, input: ContinueAsNewInput) -> NoReturn:
        saga = workflow.instance()
        if isinstance(saga, SagaWorkflow):
            input.headers = headers_in_trace(input.headers, saga.observed.incoming)
        super().continue_as_new(input)


def _of_activity(activity_id: str | None) -> TraceContext | None:
    """Return the span of the call that runs under an activity's id, or ``None``."""
    saga = workflow.instance()
    return saga.context_of(call_of_activity(activity_id)) if isinstance(saga, SagaWorkflow) and activity_id else None


def _count(meters: Meters, info: activity.Info) -> None:
    saga, step = info.workflow_type or "", step_id_in(step_of_activity_id(info.activity_id))
    undoes = is_compensation(info.activity_id)
    if info.attempt > 1:
        meters.tried_again(saga, step, "undo" if undoes else "do")
    if undoes and not info.is_local:
        meters.undo_tried(saga, step, time.time() - info.scheduled_time.timestamp())


class _Attempts(ActivityInboundInterceptor):
    """Gives each attempt its span, in which the activity's own spans are, and counts it."""

    def __init__(self, next: ActivityInboundInterceptor, tracing: Tracing | None, meters: Meters | None) -> None:
        super().__init__(next)
        self._tracing, self._meters = tracing, meters

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        if info.activity_type.startswith(_OURS) or info.workflow_id is None:
            return await super().execute_activity(input)
        if self._meters is not None:
            _count(self._meters, info)
        if self._tracing is None:
            return await super().execute_activity(input)
        attributes: dict[str, Value] = {
            "sagadsl.saga.name": info.workflow_type or "",
            "sagadsl.saga.id": info.workflow_id,
            "sagadsl.saga.run_id": info.workflow_run_id or "",
            "sagadsl.step.path": step_of_activity_id(info.activity_id),
            "sagadsl.activity": info.activity_type,
            "sagadsl.attempt": info.attempt,
        }
        name = f"attempt {info.activity_type}"
        with self._tracing.here(name, trace_in(input.headers), attributes, kind="consumer") as span:
            ATTEMPT.set(span.context)
            try:
                result = await super().execute_activity(input)
            except NeedsRoom:  # it has ended well, and its result waits for room
                span.end("succeeded")
                raise
            except (asyncio.CancelledError, CancelledError):
                span.end("cancelled")
                raise
            except ApplicationError as error:
                span.end("failed", error.type or "Error")
                raise
            except BaseException as error:
                known_later = type(error).__module__ == "temporalio.activity"  # it completes elsewhere
                span.end("unknown" if known_later else "failed", "" if known_later else type(error).__name__)
                raise
            span.end("succeeded")
            return result
