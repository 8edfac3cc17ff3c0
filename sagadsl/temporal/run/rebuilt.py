"""The state of a run, rebuilt from its history alone: for runs that have ended or that do not go on. R31.

The history is replayed by the saga workflow itself, so the state is exactly that of the worker. A run that was killed
ends in the middle of things. So one more workflow task follows here, which takes in everything that happened after
the last one. The commands of this task reach nobody: what it begins has not begun. Measured with temporalio 1.35:

- A history without its end replays, if its last event is the start of a workflow task. That task is not a replay.
- Without such an event, the replay stops behind the last completed task.

A run whose workflow task fails for ever fails here too. Then its state is that of the last completed task.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    Replayer,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from sagadsl.engine.child_ids import derived_id, id_of
from sagadsl.engine.journal import State
from sagadsl.engine.records import Record
from sagadsl.engine.snapshots import restore, snapshot
from sagadsl.errors import SagadslError
from sagadsl.immutable import Immutable, replace
from sagadsl.language.calls import SagaCall, Send
from sagadsl.language.model import Step
from sagadsl.language.paths import Purpose, activity_id, parse_call
from sagadsl.temporal.link.codec import only_reading
from sagadsl.temporal.link.release import build_id
from sagadsl.temporal.link.storage import refuse_references
from sagadsl.temporal.run.completed import ENDED_BY_SERVER, completed_part, is_end
from sagadsl.temporal.run.in_order import InOrder
from sagadsl.temporal.run.rebuilding import REBUILDS
from sagadsl.temporal.run.sending import ACTS_OUT, IN_TRIAL
from sagadsl.temporal.run.workflow import SagaWorkflow
from sagadsl.temporal.wire.arguments import Package
from sagadsl.temporal.wire.nexus import call_of_operation
from sagadsl.temporal.wire.sent_call import call_in

_CHAIN = 100
"""How many runs that were killed before they had begun may follow on each other."""

_TASK_ENDS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
    }
)
_MOMENT = timedelta(milliseconds=1)
"""Length of the timers with which a run only rests."""


class CannotRebuild(SagadslError):
    """This worker or client cannot replay the history of a run."""

    code = "SD971"
    exit_code = 3

    def __init__(self, id: str, run_id: str, why: str) -> None:
        super().__init__(id, run_id, why)
        self.id, self.run_id, self.why = id, run_id, why

    def __str__(self) -> str:
        return f"the history of run {self.run_id} of saga `{self.id}` cannot be replayed: {self.why}"

    @property
    def help(self) -> str:
        return "use the release of sagadsl with which the run was made"


class InFlight(Immutable):
    """A call that had not ended when its run did.

    Attributes:
        sent: A worker may have begun it. A child saga runs no code before its parent's history says that it has begun.
        until: An attempt of it may run until then, as Unix time.
        child: The workflow id of a child saga; empty for an activity.
        has_begun: The history says that the child saga has begun.
        is_chosen: An expression has given the child's id, so that a child of this id may be another parent's.
        detached: Nobody waits for the child's end.
        abandons: Whoever undoes the saga leaves the child alone.
    """

    sent: bool
    until: float
    child: str = ""
    has_begun: bool = False
    is_chosen: bool = False
    detached: bool = False
    abandons: bool = False


class Rebuilt(Immutable):
    """A run as its history tells of it.

    Attributes:
        run_id: The run that has the state: an earlier one if the run that was asked for has not begun.
        refused: The signals that it has refused.
        killed: How the server ended it without running code, as (type, sentence); ``None`` if that is not so.
        closed: The run has ended.
    """

    id: str
    run_id: str
    package: Package
    state: State
    refused: tuple[dict[str, Any], ...]
    from_folder: bool
    in_flight: dict[str, InFlight]
    killed: tuple[str, str] | None
    closed: bool


async def rebuilt(client: Client, id: str, run_id: str) -> Rebuilt:
    """Return the state of a run. Raises ``CannotRebuild``, ``CodecMissing``.

    A run that was to take up the work of another one, and was killed before it had, stands for that other one.
    """
    killed: tuple[str, str] | None = None
    for _ in range(_CHAIN):
        events = await _events(client, id, run_id)
        opening = (await _played(client, id, run_id, events)).opening
        before = opening.takes_up
        killed = killed or _killed(events[-1])
        if before is None:
            break
        run_id = before
    package = opening.package
    if package is None:
        raise CannotRebuild(id, run_id, "it had not begun, so there is nothing to take up")
    state = restore(snapshot(opening.state))
    return Rebuilt(
        id,
        run_id,
        package,
        state,
        tuple(opening.refused),
        opening.from_folder,
        dict(_in_flight(package, state, events, opening.inherited_ends)),
        killed,
        is_end(events[-1]),
    )


async def _events(client: Client, id: str, run_id: str) -> list[HistoryEvent]:
    """Return the history of a run. Raises ``CodecMissing`` if this client lacks the storage that it refers to.

    The replayer would only say that a task has failed, in an error that the client's own converter may encode.
    """
    handle = client.get_workflow_handle(id, run_id=run_id)
    events = [event async for event in handle.fetch_history_events()]
    if client.data_converter.external_storage is None:
        refuse_references(events)
    return events


async def _played(client: Client, id: str, run_id: str, events: Sequence[HistoryEvent]) -> SagaWorkflow:
    keeper = _Keeper()
    problem = await _replay(client, id, _with_last_task(events), keeper)
    if problem is not None:
        problem = await _replay(client, id, completed_part(events), keeper)
    if problem is not None or keeper.saga is None:
        raise CannotRebuild(id, run_id, str(problem or "it has no workflow task"))
    return keeper.saga


async def _replay(client: Client, id: str, events: list[HistoryEvent], keeper: _Keeper) -> Exception | None:
    if not events:
        return None
    keeper.saga = None
    replayer = Replayer(
        workflows=[SagaWorkflow],
        interceptors=[keeper],
        unsandboxed_workflow_runner=InOrder(),
        data_converter=only_reading(client.data_converter),
        namespace=client.namespace,
        build_id=build_id(),
        debug_mode=True,  # a long task is long here too
    )
    found = await replayer.replay_workflow(WorkflowHistory(id, events), raise_on_replay_failure=False)
    return found.replay_failure


class _Keeper(Interceptor):
    """Keeps the workflow object of a replay."""

    def __init__(self) -> None:
        self.saga: SagaWorkflow | None = None
        self._in_trial = IN_TRIAL.get()

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        keeper = self
        input.unsafe_extern_functions[REBUILDS] = lambda: True
        if self._in_trial:
            input.unsafe_extern_functions[ACTS_OUT] = lambda: True

        class Keep(WorkflowInboundInterceptor):
            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
                found = workflow.instance()
                keeper.saga = found if isinstance(found, SagaWorkflow) else None
                return await super().execute_workflow(input)

        return Keep


def _killed(last: HistoryEvent) -> tuple[str, str] | None:
    if last.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
        return "timed_out", "the run ran into a timeout of the server"
    if last.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
        return None
    about = last.workflow_execution_terminated_event_attributes
    return "terminated", "the run was terminated" + (f": {about.reason}" if about.reason else "")


def _with_last_task(events: Sequence[HistoryEvent]) -> list[HistoryEvent]:
    """Return a history that ends with the start of a workflow task; one that ended by itself stays as it is."""
    if is_end(events[-1]) and events[-1].event_type not in ENDED_BY_SERVER:
        return list(events)
    found = list(events[:-1]) if is_end(events[-1]) else list(events)
    at = events[-1].event_time
    scheduled = started = 0
    for event in found:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
            scheduled = event.event_id
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
            started = event.event_id
        elif event.event_type in _TASK_ENDS:
            scheduled = started = 0
    if started:
        return found
    for timer in _rests(found):
        fired = _event(found, EventType.EVENT_TYPE_TIMER_FIRED, at)
        fired.timer_fired_event_attributes.timer_id = timer.timer_started_event_attributes.timer_id
        fired.timer_fired_event_attributes.started_event_id = timer.event_id
    if not scheduled:
        task = _event(found, EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED, at)
        task.workflow_task_scheduled_event_attributes.attempt = 1
        scheduled = task.event_id
    start = _event(found, EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED, at)
    start.workflow_task_started_event_attributes.scheduled_event_id = scheduled
    return found


def _event(into: list[HistoryEvent], type_: EventType.ValueType, at: Any) -> HistoryEvent:
    made = HistoryEvent(event_id=len(into) + 1, event_type=type_, event_time=at)
    into.append(made)
    return made


def _rests(events: Sequence[HistoryEvent]) -> list[HistoryEvent]:
    """Return the timers with which the run rested, and that have not fired."""
    waiting: dict[int, HistoryEvent] = {}
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED:
            if event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta() <= _MOMENT:
                waiting[event.event_id] = event
        elif event.event_type == EventType.EVENT_TYPE_TIMER_FIRED:
            waiting.pop(event.timer_fired_event_attributes.started_event_id, None)
        elif event.event_type == EventType.EVENT_TYPE_TIMER_CANCELED:
            waiting.pop(event.timer_canceled_event_attributes.started_event_id, None)
    return list(waiting.values())


def _in_flight(
    package: Package, state: State, events: Sequence[HistoryEvent], inherited: dict[str, float]
) -> Iterator[tuple[str, InFlight]]:
    """Yield the calls that have not ended: with the server's word on whether they left the worker."""
    now = events[-1].event_time.ToDatetime(UTC) if is_end(events[-1]) else datetime.now(UTC)
    at = now.timestamp()
    activities, initiated, begun = _scheduled(events)
    sent = _sent(events)
    for call_id, path in state.calls.items():
        record = state.records[path]
        purpose = parse_call(call_id).purpose
        step = package.saga.places[record.step].step
        if purpose is Purpose.DO and isinstance(step.body, SagaCall):
            child = id_of(state, record)
            known = InFlight(child in initiated, at, child, has_begun=child in begun)
            yield call_id, _with_own_life(known, step.body, record, is_pivot=path == state.pivot_at)
            continue
        child = ""
        if purpose is Purpose.UNDO and step.compensation is not None and record.undo is not None:
            if step.compensation.auto:
                child = id_of(state, record)
            elif isinstance(step.compensation.actions[record.undo.action].call, SagaCall):
                child = derived_id(state, call_id)
        if child:
            yield call_id, InFlight(child in initiated, at, child, has_begun=child in begun)
            continue
        name = activity_id(call_id, state.generation)
        limit = activities.get(name)
        if limit is None and call_id in inherited:
            yield call_id, InFlight(True, inherited[call_id])
        elif limit is None and _is_sent(step, purpose, record):
            yield call_id, InFlight(call_id in sent, at)
        elif limit is None:
            yield call_id, InFlight(_is_local(package, state, call_id), at)
        else:
            yield call_id, InFlight(True, at + limit)


def _sent(events: Sequence[HistoryEvent]) -> set[str]:
    """Return the calls that have sent a signal."""
    asked = EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED
    sent = [event for event in events if event.event_type == asked]
    return {call_in(each.signal_external_workflow_execution_initiated_event_attributes.header) for each in sent}


def _is_sent(step: Step, purpose: Purpose, record: Record) -> bool:
    """Whether a call is a signal to another workflow."""
    if purpose is Purpose.UNDO and step.compensation is not None and record.undo is not None:
        return not step.compensation.auto and isinstance(step.compensation.actions[record.undo.action].call, Send)
    return purpose is Purpose.DO and isinstance(step.body, Send)


def _with_own_life(known: InFlight, call: SagaCall, record: Record, *, is_pivot: bool) -> InFlight:
    """Return what is known of a child saga in flight, with what its step says of it."""
    return replace(known, is_chosen=bool(record.child), detached=call.detached, abandons=call.abandons and not is_pivot)


def _is_local(package: Package, state: State, call_id: str) -> bool:
    """Whether a call is a local activity: it leaves no trace before it has ended."""
    record = state.records[state.calls[call_id]]
    step = package.saga.places[record.step].step
    match parse_call(call_id).purpose:
        case Purpose.DO:
            call: Any = step.body
        case Purpose.UNDO if step.compensation is not None and record.undo is not None:
            call = step.compensation.actions[record.undo.action].call
        case Purpose.PROBE:
            call = step.probe
        case _:
            return False
    return bool(getattr(call, "local", False))


def _scheduled(events: Sequence[HistoryEvent]) -> tuple[dict[str, float], set[str], set[str]]:
    """Return the longest time of an attempt by activity id, and the ids of child sagas: asked for, and begun.

    A Nexus operation has one attempt.
    """
    activities: dict[str, float] = {}
    initiated: set[str] = set()
    begun: set[str] = set()
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            about = event.activity_task_scheduled_event_attributes
            limits = [about.heartbeat_timeout, about.start_to_close_timeout, about.schedule_to_close_timeout]
            set_ = [limit.ToTimedelta().total_seconds() for limit in limits]
            activities[about.activity_id] = min((limit for limit in set_ if limit > 0), default=0.0)
        elif event.event_type == EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED:
            operation = event.nexus_operation_scheduled_event_attributes
            limit = operation.schedule_to_close_timeout.ToTimedelta().total_seconds()
            activities[call_of_operation(operation.nexus_header, operation.operation)] = limit
        elif event.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
            child = event.start_child_workflow_execution_initiated_event_attributes.workflow_id
            initiated.add(child)
            begun.discard(child)  # an earlier child had the same chosen id, or is being undone
        elif event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
            begun.add(event.child_workflow_execution_started_event_attributes.workflow_execution.workflow_id)
    return activities, initiated, begun
