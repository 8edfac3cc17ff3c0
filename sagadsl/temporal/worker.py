"""Builds a Temporal worker from a catalogue and definitions, or a plugin for a worker that exists already.

It reads no files: the caller has read them. The workflow learns from a function of the worker whether
definitions from clients are allowed, and never from data, which a client could write.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from temporalio import activity, workflow
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleQueryInput,
    Interceptor,
    Plugin,
    ReplayerConfig,
    SignalExternalWorkflowInput,
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

from sagadsl.engine.call_errors import QUEUE_BOUND
from sagadsl.language.schema.validator import without_grammars
from sagadsl.plugins.catalogue import Catalogue
from sagadsl.temporal.link.codec import looks_at_contexts, patient_client, stretch_of
from sagadsl.temporal.link.release import build_id
from sagadsl.temporal.run.held import headers_held
from sagadsl.temporal.run.in_order import InOrder
from sagadsl.temporal.run.knowledge import KNOWLEDGE, Knowledge, NotKnownHere, at_hand
from sagadsl.temporal.run.lean import of_its_own
from sagadsl.temporal.run.local_results import headers_with
from sagadsl.temporal.run.missing import waiting
from sagadsl.temporal.run.upgrading import UPGRADES
from sagadsl.temporal.run.workflow import SagaWorkflow
from sagadsl.temporal.wire.arguments import DEFAULTS, RunOptions
from sagadsl.temporal.wire.codec_growth import PLAIN, STRETCH, Stretch
from sagadsl.temporal.wire.hidden_inputs import headers_hiding
from sagadsl.temporal.wire.late_ends import headers_that_settle
from sagadsl.temporal.wire.named_secrets import headers_naming
from sagadsl.temporal.wire.origin import REFUSES_INLINE, TRUST
from sagadsl.temporal.wire.sent_call import headers_with_call
from sagadsl.temporal.wire.trusting import distrusted_in
from sagadsl.temporal.work.activities import worker_activities
from sagadsl.temporal.work.interceptor import interceptors
from sagadsl.temporal.work.manifest import manifest
from sagadsl.temporal.work.near_tasks import NearTasks
from sagadsl.temporal.work.registry import Registry
from sagadsl.temporal.work.watched import watching
from sagadsl.trust.judge import Trust
from sagadsl.trust.signatures import NO_SIGNATURES, Signatures

with without_grammars():  # now: beside some packages this takes long, which no workflow task has
    import jsonschema  # noqa: F401

if TYPE_CHECKING:
    from sagadsl.temporal.link.tracing import Tracing

PASSED_THROUGH = (
    "sagadsl",
    "jinja2",
    "markupsafe",
    "yaml",
    "msgspec",
    "jsonschema",
    "jsonschema_specifications",
    "referencing",
    "rpds",
    "re2",
    "attrs",
    "attr",
    "nexusrpc",
)
"""Packages that the sandbox of a user's own worker must not import again for each run."""


class _OneLine(logging.Filter):
    """Shortens the SDK's log entry for a task that was left to another worker to one line: its stack helps nobody."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, NotKnownHere):
            record.msg, record.args, record.exc_info = f"{record.getMessage()}: {error}", (), None
        return True


logging.getLogger("temporalio.worker._workflow_instance").addFilter(_OneLine())

DRAIN_SECONDS = 30.0
THREADS = 100
TASK_SECONDS = 10
"""What the server gives a workflow task, unless whoever starts a run says otherwise; later nobody takes its end."""

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
    options: RunOptions = DEFAULTS,
    threads: int = THREADS,
    drain: timedelta = timedelta(seconds=DRAIN_SECONDS),
    executor: Executor | None = None,
    patience: timedelta = QUEUE_BOUND,
    tracing: Tracing | None = None,
    upgrades: bool = False,
    trust: Trust | None = None,
    signatures: Signatures = NO_SIGNATURES,
    near: bool = False,
    **more: Any,
) -> Worker:
    """Return a worker that hosts sagas, their activities, or both.

    Args:
        catalogue: The activities that are installed; ``names`` chooses among them, ``None`` takes all.
        definitions: Sagas that can be started by their name alone.
        activities: Further activity functions, as ``temporalio.worker.Worker`` takes them.
        inline: Take definitions from the start arguments; ``False`` takes only those of ``definitions``.
        only: Host one half. ``"activities"`` leaves the sagas to other workers of the queue.
        options: For sagas that are started by name.
        threads: For activities that are plain functions; each runs in one of them.
        drain: How long running activities may go on when the worker stops.
        executor: Instead of the threads.
        patience: How long it leaves unknown work to the other workers of its queue; 0 when there are none.
        tracing: Where its spans go. What it counts goes where the metrics of the client's runtime go.
        upgrades: Sagas that are pinned to this worker's version continue as new on the current one.
        trust: Take only definitions that it takes, whoever brings them; ``None`` takes all.
        signatures: Those of ``definitions``; runs carry them on.
        near: Run short workflow tasks in the thread of the event loop, see ``NearTasks``.
        more: Further options of ``temporalio.worker.Worker``, e.g. ``identity``, ``max_cached_workflows``.

    Raises:
        SagadslError: An activity that was asked for cannot be used.
        Untrusted: One of ``definitions`` is not taken by ``trust``.
    """
    registry = Registry(definitions or {}, options, signatures)
    if trust is not None:
        trust.check((definitions or {}).values(), signatures)
    plugins = list(more.pop("plugins", ()))
    if (own_client := patient_client(client)) is not client:  # the new client has no plugins
        plugins = [*(each for each in client.config()["plugins"] if isinstance(each, Plugin)), *plugins]
        client = own_client
    served = [] if only == "workflows" else [*activities]
    if catalogue is not None and only != "workflows":
        served += worker_activities(catalogue, names)
    known_types = None if catalogue is None else catalogue.signature
    knowledge = Knowledge(registry.names, _known(served), patience, known_types, registry.versions)
    local = [] if only == "activities" else registry.activities()
    own = SagaInterceptor(
        inline=inline, knowledge=knowledge, stretch=partial(stretch_of, client), upgrades=upgrades, trust=trust
    )
    if client.data_converter.external_storage is None:
        # Otherwise the SDK makes a task for each payload to look whether it is stored elsewhere.
        more.setdefault("max_workflow_task_external_storage_concurrency", 1)
    if near:
        more.setdefault("workflow_task_executor", NearTasks())
    worker = Worker(
        client,
        task_queue=task_queue,
        unsandboxed_workflow_runner=_in_order(client, more.pop("unsandboxed_workflow_runner", None)),
        workflows=[] if only == "activities" else [SagaWorkflow],
        activities=[*local, *([] if only == "workflows" else _with_answer(served, knowledge))],
        no_remote_activities=only == "workflows",
        activity_executor=executor or _threads(threads),
        interceptors=[*more.pop("interceptors", ()), *watching(client, tracing), *interceptors(client), own],
        plugins=[*plugins, _Named(manifest(registry, knowledge, only))],
        graceful_shutdown_timeout=drain,
        **more,
    )
    return _unhurried(worker)


class _Named(SimplePlugin):
    """Names what a worker serves, and its release unless other plugins have said of which build it is."""

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        configured = super().configure_worker(config)
        if not (config.get("build_id") or config.get("deployment_config") or config.get("use_worker_versioning")):
            configured["build_id"] = build_id()
        return configured


class SagaPlugin(SimplePlugin):
    """Adds sagas to your own worker: ``Worker(..., plugins=[SagaPlugin(definitions={...})])``.

    It adds the saga workflow (which takes every workflow type that your worker does not know) and the
    activities of *catalogue*. It leaves the sandbox of your own workflows alone; a task of theirs, too, is taken for a
    deadlock only after ``TASK_SECONDS``. *upgrades*, *trust* and *signatures* are as in ``build_worker``.
    """

    def __init__(
        self,
        definitions: Mapping[str, Mapping[str, Any]] | None = None,
        catalogue: Catalogue | None = None,
        *,
        names: Iterable[str] | None = None,
        inline: bool = True,
        options: RunOptions = DEFAULTS,
        tracing: Tracing | None = None,
        upgrades: bool = False,
        trust: Trust | None = None,
        signatures: Signatures = NO_SIGNATURES,
    ) -> None:
        self._upgrades, self._trust = upgrades, trust
        if trust is not None:
            trust.check((definitions or {}).values(), signatures)
        self._registry = Registry(definitions or {}, options, signatures)
        self._served = worker_activities(catalogue, names) if catalogue is not None else []
        self._signatures = None if catalogue is None else catalogue.signature
        self._inline = inline
        self._tracing = tracing
        self._manifest = "sagadsl"
        super().__init__("sagadsl", workflows=[SagaWorkflow], workflow_runner=_passing_through)

    def name(self) -> str:
        """Return the worker's manifest, which goes to the server as a plugin's name."""
        return self._manifest

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Add what sagas need, and threads for plain functions where the worker has none."""
        configured = super().configure_worker(config)
        configured["client"] = client = patient_client(configured["client"])
        served = [*(configured.get("activities") or ()), *self._served]
        knowledge = Knowledge(
            self._registry.names, _known(served), signatures=self._signatures, versions=self._registry.versions
        )
        self._manifest = manifest(self._registry, knowledge)
        configured["activities"] = [*self._registry.activities(), *_with_answer(served, knowledge)]
        configured["interceptors"] = [
            *(configured.get("interceptors") or ()),
            *watching(client, self._tracing),
            *interceptors(client),
            SagaInterceptor(
                inline=self._inline,
                knowledge=knowledge,
                stretch=partial(stretch_of, client),
                upgrades=self._upgrades,
                trust=self._trust,
            ),
        ]
        if configured.get("activity_executor") is None:
            configured["activity_executor"] = _threads(THREADS)
        configured["unsandboxed_workflow_runner"] = _in_order(client, configured.get("unsandboxed_workflow_runner"))
        return configured

    async def run_worker(self, worker: Worker, next: Callable[[Worker], Awaitable[None]]) -> None:
        """Run a worker, which gives a saga the time that the server gives it."""
        await super().run_worker(_unhurried(worker), next)

    def configure_replayer(self, config: ReplayerConfig) -> ReplayerConfig:
        """Add what the replay of a saga needs."""
        configured = super().configure_replayer(config)
        configured["unsandboxed_workflow_runner"] = InOrder(configured.get("unsandboxed_workflow_runner"))
        return configured


def _unhurried(worker: Worker) -> Worker:
    """Let a workflow task take as long as the server lets it.

    The SDK takes one of 2 seconds for a deadlock and fails it, each time again. With thousands of signals that came
    while no worker was there, a saga needs more; and it never waits for anything inside a task.
    """
    of_workflows: Any = getattr(worker, "_workflow_worker", None)  # the SDK has no option for it but none at all
    if getattr(of_workflows, "_deadlock_timeout_seconds", None) is not None:
        of_workflows._deadlock_timeout_seconds = TASK_SECONDS
    return worker


def _in_order(client: Client, runner: WorkflowRunner | None) -> InOrder:
    return InOrder(runner, contexts=looks_at_contexts(client.data_converter))


def _threads(number: int) -> Executor:
    return ThreadPoolExecutor(number, thread_name_prefix="activity")


class SagaInterceptor(Interceptor):
    """Gives the workflow the functions of this worker, and shows a saga's state in Temporal's UI."""

    def __init__(
        self,
        *,
        inline: bool,
        knowledge: Knowledge | None = None,
        stretch: Callable[[], Stretch] = lambda: PLAIN,
        upgrades: bool = False,
        trust: Trust | None = None,
    ) -> None:
        self._inline, self._knowledge, self._stretch, self._upgrades = inline, knowledge, stretch, upgrades
        self._trust = trust

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        input.unsafe_extern_functions[REFUSES_INLINE] = lambda: not self._inline
        input.unsafe_extern_functions[KNOWLEDGE] = lambda: self._knowledge
        input.unsafe_extern_functions[STRETCH] = self._stretch
        input.unsafe_extern_functions[UPGRADES] = lambda: self._upgrades
        if self._trust is not None:
            input.unsafe_extern_functions[TRUST] = partial(distrusted_in, trust=self._trust)
        return _Details


class _Details(WorkflowInboundInterceptor):
    """Makes the Markdown of the details pane when somebody opens it, and not at every step."""

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        input.headers = of_its_own(input.headers)
        return await super().execute_workflow(input)

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Calls(outbound))

    async def handle_query(self, input: HandleQueryInput) -> Any:
        answer = await super().handle_query(input)
        if input.query == _METADATA and isinstance(answer, WorkflowMetadata):
            saga = workflow.instance()
            if isinstance(saga, SagaWorkflow):
                answer.current_details = saga.details()
        return answer


class _Calls(WorkflowOutboundInterceptor):
    """Sets the headers of a saga's activities: the secrets that they may look up, and that the saga waits for a
    worker that knows them, or for attempts that end late; for local activities also how large their results may be, and
    how long this worker has held the run; for signals the call."""

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        saga = workflow.instance()
        if isinstance(saga, SagaWorkflow):
            input.headers = headers_naming(input.headers, saga.secrets_of(input.activity_id))
            input.headers = headers_hiding(input.headers, saga.hidden_in(input.activity_id))
            if saga.settles(input.activity_id):
                input.headers = headers_that_settle(input.headers)
            if saga.waits_for_others:
                input.headers = waiting(input.headers)
                # An eager task would always come to this worker, which does not have the activity.
                worker = at_hand()
                lacks_it = worker is not None and not worker.has_activity(input.activity)
                input.disable_eager_execution = input.disable_eager_execution or lacks_it
        return super().start_activity(input)

    async def signal_external_workflow(self, input: SignalExternalWorkflowInput) -> None:
        if isinstance(workflow.instance(), SagaWorkflow):
            input.headers = headers_with_call(input.headers)
        await super().signal_external_workflow(input)

    def start_local_activity(self, input: StartLocalActivityInput) -> workflow.ActivityHandle[Any]:
        saga = workflow.instance()
        if isinstance(saga, SagaWorkflow) and (room := saga.local_room(input.activity_id)) is not None:
            input.headers = headers_with(input.headers, room)
            if (held := saga.held()) is not None:
                input.headers = headers_held(input.headers, held)
        if isinstance(saga, SagaWorkflow):
            input.headers = headers_naming(input.headers, saga.secrets_of(input.activity_id))
            input.headers = headers_hiding(input.headers, saga.hidden_in(input.activity_id))
        return super().start_local_activity(input)


def _passing_through(runner: WorkflowRunner | None) -> WorkflowRunner:
    if not isinstance(runner, SandboxedWorkflowRunner):
        return SandboxedWorkflowRunner() if runner is None else runner
    passed = runner.restrictions.with_passthrough_modules(*PASSED_THROUGH)
    return SandboxedWorkflowRunner(restrictions=passed, runner_class=runner.runner_class)


def _known(served: Sequence[Callable[..., Any]]) -> list[str] | None:
    """Return the names of activities; ``None`` when one of them takes every name."""
    names = [name for each in served if (name := _name(each))]
    return names if len(names) == len(served) else None


def _with_answer(served: Sequence[Callable[..., Any]], knowledge: Knowledge) -> list[Callable[..., Any]]:
    """Return *served* with an activity that answers for every other name (R15).

    The SDK's own answer would not say whether the earlier attempts were clean, and would use up an attempt. The
    workflow cannot look at the catalogue itself, since the catalogue may differ at the next replay.
    """
    if knowledge.activities is None:  # a dynamic one is there already
        return [*served]

    @activity.defn(dynamic=True)
    async def unknown(_args: Sequence[RawValue]) -> None:
        raise knowledge.without_activity(activity.info().activity_type)

    return [*served, unknown]


def _name(function: Callable[..., Any]) -> str | None:
    definition = getattr(function, "__temporal_activity_definition", None)
    return getattr(definition, "name", None)
