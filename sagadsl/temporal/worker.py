"""Catalogue and definitions -> a Temporal worker; or both as a plugin for a worker that somebody has already.

Knows no files: who calls has read them. Whether a worker takes definitions from its clients
reaches the workflow as a function of the worker, never as data that a client could write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Literal

from temporalio import activity, workflow
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    HandleQueryInput,
    Interceptor,
    StartActivityInput,
    StartLocalActivityInput,
    Worker,
    WorkerConfig,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from sagadsl.language.suggest import closest
from sagadsl.plugins import Catalogue
from sagadsl.temporal.activities import worker_activities
from sagadsl.temporal.arguments import DEFAULTS, Options
from sagadsl.temporal.interceptor import OutcomeInterceptor, interceptors
from sagadsl.temporal.local_results import headers_with
from sagadsl.temporal.named_secrets import headers_naming
from sagadsl.temporal.origin import REFUSES_INLINE
from sagadsl.temporal.registry import Registry
from sagadsl.temporal.workflow import SagaWorkflow

PASSED_THROUGH = (
    "sagadsl",
    "jinja2",
    "markupsafe",
    "yaml",
    "jsonschema",
    "jsonschema_specifications",
    "referencing",
    "rpds",
    "re2",
    "attrs",
    "attr",
)
"""Packages that the sandbox of a user's own worker shall not import again for each run (T02)."""

DRAIN_SECONDS = 30.0
THREADS = 100
_LISTED = 50
_METADATA = "__temporal_workflow_metadata"

Only = Literal["workflows", "activities"]


def build_worker(
    client: Client,
    *,
    task_queue: str,
    catalogue: Catalogue | None = None,
    definitions: Mapping[str, Mapping[str, Any]] | None = None,
    activities: Sequence[Callable[..., Any]] = (),
    names: Iterable[str] | None = None,
    inline: bool = True,
    only: Only | None = None,
    options: Options = DEFAULTS,
    threads: int = THREADS,
    drain: timedelta = timedelta(seconds=DRAIN_SECONDS),
    executor: Executor | None = None,
    **more: Any,
) -> Worker:
    """Return a worker that hosts sagas, their activities, or both.

    Args:
        catalogue: The activities that are installed; ``names`` chooses among them, ``None`` takes all.
        definitions: Sagas that can be started by their name alone.
        activities: Further activity functions, as ``temporalio.worker.Worker`` takes them.
        inline: Take definitions that come with the start; ``False`` takes only those of ``definitions``.
        only: Host one half. ``"activities"`` leaves the sagas to other workers of the queue.
        options: For sagas that are started by name.
        threads: For activities that are plain functions; each runs in one of them.
        drain: How long running activities may go on when the worker is told to stop.
        executor: Instead of the threads.
        more: Further options of ``temporalio.worker.Worker``, e.g. ``identity``, ``max_cached_workflows``.

    Raises:
        SagadslError: An activity that was asked for cannot be used.
    """
    registry = Registry(definitions or {}, options)
    served = [] if only == "workflows" else [*activities]
    if catalogue is not None and only != "workflows":
        served += worker_activities(catalogue, names)
    served = _with_answer(served)
    local = [] if only == "activities" else registry.activities()
    if client.data_converter.external_storage is None:
        # Else the SDK makes a task of its own for each payload, to look whether it is stored elsewhere.
        more.setdefault("max_workflow_task_external_storage_concurrency", 1)
    return Worker(
        client,
        task_queue=task_queue,
        workflows=[] if only == "activities" else [SagaWorkflow],
        activities=[*local, *([] if only == "workflows" else served)],
        no_remote_activities=only == "workflows",
        activity_executor=executor or _threads(threads),
        interceptors=[*more.pop("interceptors", ()), *interceptors(client), SagaInterceptor(inline=inline)],
        graceful_shutdown_timeout=drain,
        **more,
    )


class SagaPlugin(SimplePlugin):
    """Sagas for a worker that you have already: ``Worker(..., plugins=[SagaPlugin(definitions={...})])``.

    Adds the saga workflow (it takes every workflow type that your worker does not know), the
    activities of *catalogue*, and lets the sandbox of your own workflows be.
    """

    def __init__(
        self,
        definitions: Mapping[str, Mapping[str, Any]] | None = None,
        catalogue: Catalogue | None = None,
        *,
        names: Iterable[str] | None = None,
        inline: bool = True,
        options: Options = DEFAULTS,
    ) -> None:
        registry = Registry(definitions or {}, options)
        served = worker_activities(catalogue, names) if catalogue is not None else []

        def add(own: Sequence[Callable[..., Any]] | None) -> Sequence[Callable[..., Any]]:
            return [*registry.activities(), *_with_answer([*(own or ()), *served])]

        self._outcomes = OutcomeInterceptor()
        super().__init__(
            "sagadsl",
            activities=add,
            workflows=[SagaWorkflow],
            workflow_runner=_passing_through,
            interceptors=[self._outcomes, SagaInterceptor(inline=inline)],
        )

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Add what sagas need, and threads for plain functions where the worker has none."""
        configured = super().configure_worker(config)
        self._outcomes.client = configured["client"]
        if configured.get("activity_executor") is None:
            configured["activity_executor"] = _threads(THREADS)
        return configured


def _threads(number: int) -> Executor:
    return ThreadPoolExecutor(number, thread_name_prefix="activity")


class SagaInterceptor(Interceptor):
    """Tells the workflow what this worker allows, and shows a saga's state where Temporal's UI looks for it."""

    def __init__(self, *, inline: bool) -> None:
        self._inline = inline

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        input.unsafe_extern_functions[REFUSES_INLINE] = lambda: not self._inline
        return _Details


class _Details(WorkflowInboundInterceptor):
    """Makes the Markdown of the details pane when somebody looks at it, not at every step."""

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Rooms(outbound))

    async def handle_query(self, input: HandleQueryInput) -> Any:
        answer = await super().handle_query(input)
        if input.query == _METADATA and isinstance(answer, WorkflowMetadata):
            saga = workflow.instance()
            if isinstance(saga, SagaWorkflow):
                answer.current_details = saga.details()
        return answer


class _Rooms(WorkflowOutboundInterceptor):
    """Tells a saga's activities which secrets they may look up, and local ones how large their results may be."""

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        saga = workflow.instance()
        if isinstance(saga, SagaWorkflow):
            input.headers = headers_naming(input.headers, saga.secrets_of(input.activity_id))
        return super().start_activity(input)

    def start_local_activity(self, input: StartLocalActivityInput) -> workflow.ActivityHandle[Any]:
        saga = workflow.instance()
        if isinstance(saga, SagaWorkflow) and (room := saga.local_room(input.activity_id)) is not None:
            input.headers = headers_with(input.headers, room)
        if isinstance(saga, SagaWorkflow):
            input.headers = headers_naming(input.headers, saga.secrets_of(input.activity_id))
        return super().start_local_activity(input)


def _passing_through(runner: WorkflowRunner | None) -> WorkflowRunner:
    if not isinstance(runner, SandboxedWorkflowRunner):
        return SandboxedWorkflowRunner() if runner is None else runner
    passed = runner.restrictions.with_passthrough_modules(*PASSED_THROUGH)
    return SandboxedWorkflowRunner(restrictions=passed, runner_class=runner.runner_class)


def _with_answer(served: list[Callable[..., Any]]) -> list[Callable[..., Any]]:
    """Return *served* with an activity that answers for every name that is not among them (R15).

    Without it the SDK reports an error that is retried; the workflow cannot look at the
    catalogue itself, for it may be another one at the next replay.
    """
    known = [name for each in served if (name := _name(each))]
    if len(known) < len(served):  # a dynamic one is there already
        return served

    @activity.defn(dynamic=True)
    async def unknown(_args: Sequence[RawValue]) -> None:
        raise not_found(activity.info().activity_type, sorted(known))

    return [*served, unknown]


def not_found(name: str, known: Sequence[str]) -> ApplicationError:
    """Return the error for an activity that is not installed, with those that are."""
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    listed = ", ".join(f"`{each}`" for each in known[:_LISTED]) or "none"
    meant = closest(name, known)
    hint = f"; did you mean `{meant}`?" if meant else ""
    return ApplicationError(
        f"activity `{name}` is not installed on this worker; installed: {listed}{more}{hint}",
        type="ActivityNotFound",
        non_retryable=True,
    )


def _name(function: Callable[..., Any]) -> str | None:
    definition = getattr(function, "__temporal_activity_definition", None)
    return getattr(definition, "name", None)
