"""What is asked of a run by an update comes after what the server had recorded before it. Replay-critical.

A worker that does not hold a run in memory replays it. If the last workflow tasks led to no command, the SDK may put
the event that the last one was about into one activation with the update that comes now, and hands out the update
first. A later replay gives the two one after the other, as they happened (seen with SDK 1.35). A run that takes them
as they come answers about a state that is past, and cannot be replayed. So the workflow's runner handles such an
activation in two parts, the updates last.

The runner also lets a run go of what it need not hold while it waits; see ``lean``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import PayloadConverter, SerializationContext
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from sagadsl.temporal.run.held import HELD_SINCE
from sagadsl.temporal.run.in_turn import TURN, Turn, is_over, joined, with_jobs
from sagadsl.temporal.run.lean import goes_on_soon, lean, without_jobs

HEARS_IN_ORDER = 3
"""Since this version of the rules, a run takes updates last."""

_TAKE = "sagadsl.updates_last"


def take_updates_last(rules: int) -> None:
    """Say under which rules this run is, once they are known. Without effect for another runner than ``InOrder``."""
    if rules >= HEARS_IN_ORDER and (take := workflow.extern_functions().get(_TAKE)) is not None:
        take()


class InOrder(WorkflowRunner):
    """Runs workflows as *runner* does, and gives sagas their updates last.

    Args:
        contexts: The data converter looks at contexts. The SDK makes one for each payload of a workflow task, three
            times, which costs as much as a tenth of the task, and is left out for a converter that does not.
    """

    def __init__(self, runner: WorkflowRunner | None = None, *, contexts: bool = True) -> None:
        self._runner = runner or UnsandboxedWorkflowRunner()
        self._converter: PayloadConverter | None = None
        self._contexts = contexts

    def prepare_workflow(self, defn: Any) -> None:
        """See ``WorkflowRunner``."""
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """See ``WorkflowRunner``."""
        if _is_saga(det):  # others may count on a converter of their own
            self._converter = self._converter or det.payload_converter_factory()
            shared = self._converter
            det = dataclasses.replace(det, payload_converter_factory=lambda: shared)
        return _Instance(self._runner, det, contexts=self._contexts)


def _is_saga(details: WorkflowInstanceDetails) -> bool:
    """Whether a run is one of ours: no other workflow of a worker may be dynamic."""
    return details.defn.name is None


class _Instance(WorkflowInstance):
    """One run in one worker's memory; it also knows since when that worker has held the run."""

    __slots__ = ("_contexts", "_held_since", "_inner", "_turn", "_updates_last")

    def __init__(self, runner: WorkflowRunner, details: WorkflowInstanceDetails, *, contexts: bool) -> None:
        self._contexts = contexts
        self._updates_last = False
        self._held_since: int | None = None
        own: dict[str, Callable[[], Any]] = {
            _TAKE: self._take_updates_last,
            HELD_SINCE: lambda: self._held_since,
            TURN: lambda: self._turn,
        }
        functions = {**details.extern_functions, **own}
        self._inner = runner.create_instance(lean(dataclasses.replace(details, extern_functions=functions)))
        self._turn = Turn(self._inner.activate, details.payload_converter_factory()) if _is_saga(details) else None

    def _take_updates_last(self) -> None:
        self._updates_last = True

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Handle an activation, and let the run go of it.

        The instance keeps the newest activation and its answer until another one comes. So it gets another one, with
        which nothing happens, unless one comes soon anyway.
        """
        done = self._activate(act)
        is_over = done.HasField("failed") or any(job.HasField("remove_from_cache") for job in act.jobs)
        if not is_over and not goes_on_soon(act, done):
            self._inner.activate(without_jobs(act))
        return done

    def _activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Handle an activation; one with updates and something else in two parts.

        If the run ends in the first part, nothing is said of the updates: the server tells who sent them that the run
        is over, or asks the run that continues it.
        """
        if self._held_since is None and not act.is_replaying:
            self._held_since = act.history_length
        updates = [job for job in act.jobs if job.HasField("do_update")]
        if not 0 < len(updates) < len(act.jobs) or not self._are_apart(act):
            return self._hear(act)
        others = [job for job in act.jobs if not job.HasField("do_update")]
        done = self._hear(with_jobs(act, others), has_updates=True)
        return done if is_over(done) else joined(done, self._hear(with_jobs(act, updates)))

    def _hear(self, act: WorkflowActivation, *, has_updates: bool = False) -> WorkflowActivationCompletion:
        return self._inner.activate(act) if self._turn is None else self._turn.activate(act, has_updates=has_updates)

    def _are_apart(self, act: WorkflowActivation) -> bool:
        """Whether the updates come after the rest.

        At its first workflow task a run hears of them before it begins, so that nothing begins after an operator's
        pause. If a worker has completed that task already, and this is no replay, the updates came later.
        """
        if any(job.HasField("initialize_workflow") for job in act.jobs):
            return not act.is_replaying and bool(act.last_sdk_version)
        return self._updates_last

    def get_serialization_context(self, command_info: Any) -> SerializationContext | None:
        """See ``WorkflowInstance``."""
        return self._inner.get_serialization_context(command_info) if self._contexts else None

    def get_external_store_context(self, command_info: Any) -> Any:
        """See ``WorkflowInstance``."""
        return self._inner.get_external_store_context(command_info)

    def get_info(self) -> workflow.Info:
        """See ``WorkflowInstance``."""
        return self._inner.get_info()

    def get_thread_id(self) -> int | None:
        """See ``WorkflowInstance``."""
        return self._inner.get_thread_id()
