"""What a lost workflow task had heard, its successor hears first. Replay-critical.

Local activities leave nothing in the history before their workflow task ends. If the task is lost, because its worker
has died, or because the server refuses its end when something has come meanwhile, the next worker makes its local
activities again. But the SDK gives it all news at once, those that have come since as well: a cancel would lead the
saga another way, and nobody would hear of what the lost task has done.

So the runner keeps back what the lost task cannot have heard, until the local activities that follow from the rest have
ended. Which news those are, the run asks by a local activity: its answer is in the history, so that every replay hears
all in the same order. It asks only if there can be a doubt: several things have come at once, and the run calls local
activities, or is at its first workflow task and something has happened to that before. Updates are no news in this
sense, since the SDK gives them at their own time; whoever handles one asks by ``Turn.question``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from temporalio import workflow
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import PayloadConverter

from sagadsl.temporal.wire.lost_tasks import LOST_ACTIVITY, CameLater, News, from_json

TURN = "sagadsl.turn"
"""Name of the function by which the runner gives its ``Turn``."""

ASK = "sagadsl.ask"
"""Name of the signal by which the runner has a run ask; no client can send it with effect."""

FLAG = 1_935_762_273
"""Says in the history that the run was given its news in turn: a run that began before is replayed as it was."""

_KINDS = {
    "signal_workflow": News.SIGNAL,
    "cancel_workflow": News.CANCEL,
    "fire_timer": News.TIMER,
    "resolve_activity": News.ACTIVITY,
    "resolve_child_workflow_execution_start": News.CHILD_STARTED,
    "resolve_child_workflow_execution": News.CHILD,
    "resolve_signal_external_workflow": News.SENT,
    "resolve_request_cancel_external_workflow": News.CANCELLED_OTHER,
    "resolve_nexus_operation_start": News.OPERATION_STARTED,
    "resolve_nexus_operation": News.OPERATION,
    "initialize_workflow": None,
}
_ENDS = (
    "complete_workflow_execution",
    "continue_as_new_workflow_execution",
    "fail_workflow_execution",
    "cancel_workflow_execution",
)
_AT_FIRST = 2
"""Events of a first workflow task beside its news: one that was lost, or a worker that has gone, leaves more."""

_Activate = Callable[[WorkflowActivation], WorkflowActivationCompletion]


class Turn:
    """Gives one run its news in turn. The runner has one for each run in its worker's memory."""

    __slots__ = (
        "_activate",
        "_asked",
        "_asks",
        "_batches",
        "_before",
        "_calls_locally",
        "_converter",
        "_held",
        "_is_idle",
        "_is_quiet",
        "_local",
        "_lost",
        "_may_ask",
        "_number",
        "_says_so",
        "_task",
        "_waiting",
        "_was_quiet",
    )

    def __init__(self, activate: _Activate, converter: PayloadConverter) -> None:
        self._activate, self._converter = activate, converter
        self._local: set[int] = set()
        self._asked: int | None = None  # the local activity that asks
        self._asks = False
        self._held: list[Any] = []
        self._batches: list[list[Any]] = []
        self._calls_locally = self._lost = self._is_idle = False
        self._waiting = 0  # handlers that wait until the run is idle
        self._may_ask = self._says_so = False
        self._number = 0  # of the questions
        self._task = self._before = 0  # lengths of the history
        self._is_quiet = self._was_quiet = True  # whether nothing has followed from this workflow task, from the last

    def calls_locally(self) -> None:
        """Say that the run calls local activities."""
        self._calls_locally = True

    def question(self) -> tuple[int, int, int] | None:
        """Return the number of a question, and between which events a lost workflow task would be; ``None`` if nobody
        has to ask.

        Somebody has to if the runner wants to know it, or if local activities run: something came while they did. In a
        first workflow task that nobody has had before, nothing is lost.
        """
        is_open = self._asks or (bool(self._local) and self._task > _AT_FIRST + 1)
        if not (self._may_ask and is_open):
            return None
        self._says_so = True
        self._number += 1
        return self._number, self._before, self._task

    @property
    def asks(self) -> bool:
        """Whether the runner has this run ask, in the present activation."""
        return self._asks

    @property
    def is_speaking(self) -> bool:
        """Whether a signal with the name ``ASK`` comes from the runner, and from no client."""
        return self._asks or self._is_idle

    def is_asking(self) -> bool:
        """Whether the runner wants to know what was lost, and has no answer yet."""
        return self._asks or self._asked is not None

    def keeps_back(self) -> bool:
        """Whether a workflow task was lost, and the run has not heard all that came later."""
        return bool(self._batches) or (self._lost and bool(self._local))

    def holds(self) -> bool:
        """Whether something has come that the run has not heard, and may be about to hear."""
        return bool(self._batches) or self.is_asking()

    async def idle(self) -> None:
        """Wait until no local activity runs, and nothing is kept back."""
        self._waiting += 1
        try:
            await workflow.wait_condition(lambda: self._is_idle)
        finally:
            self._waiting -= 1

    def activate(self, act: WorkflowActivation, *, has_updates: bool = False) -> WorkflowActivationCompletion:
        """Give the run what is in an activation, in turn; what is kept back comes with a later one.

        Args:
            has_updates: The workflow task has updates, which follow in an activation of their own.
        """
        kinds = {job.WhichOneof("variant") for job in act.jobs}
        if "query_workflow" in kinds or "remove_from_cache" in kinds:
            return self._activate(act)  # nothing has happened to the run
        self._look(act)
        news = [job for job in act.jobs if _is_news(job)]
        if has_updates and "initialize_workflow" in kinds:
            return self._begin(act, news)
        if self._held or self._batches or self._asked is not None:
            (self._batches[-1] if self._batches else self._held).extend(news)
            act = with_jobs(act, [job for job in act.jobs if not _is_news(job)])
        elif self._has_to_ask(act, news, has_updates=has_updates):
            return self._ask(act, news)
        return self._give(act)

    def _look(self, act: WorkflowActivation) -> None:
        self._may_ask = not act.is_replaying or FLAG in act.available_internal_flags
        if act.history_length != self._task:
            self._before, self._task = self._task, act.history_length
            self._was_quiet, self._is_quiet = self._is_quiet, True

    def _has_to_ask(self, act: WorkflowActivation, news: Sequence[Any], *, has_updates: bool) -> bool:
        if not self._may_ask:
            return False
        if any(job.HasField("initialize_workflow") for job in news):
            several = len(news) > 1 or any(job.HasField("do_update") for job in act.jobs)
            return several and act.history_length > len(news) + _AT_FIRST
        # The SDK may count a task from which nothing has followed as one with the next one, if that has an update.
        as_one = len(news) == 1 and self._was_quiet and has_updates
        return self._calls_locally and (len(news) > 1 or as_one)

    def _begin(self, act: WorkflowActivation, news: list[Any]) -> WorkflowActivationCompletion:
        """Begin a run of whose first workflow task a worker has told the end; the rest came later."""
        first = [job for job in news if job.HasField("initialize_workflow")]
        done = self._run(with_jobs(act, [*(job for job in act.jobs if not _is_news(job)), *first]))
        self._was_quiet, self._is_quiet = self._is_quiet, True
        rest = [job for job in news if not job.HasField("initialize_workflow")]
        if is_over(done) or not rest:
            return done
        return joined(done, self.activate(with_jobs(act, rest), has_updates=True))

    def _ask(self, act: WorkflowActivation, news: list[Any]) -> WorkflowActivationCompletion:
        """Give a run nothing but the question, and begin it if it has not begun."""
        first = [job for job in news if job.HasField("initialize_workflow")]
        self._held = [job for job in news if not job.HasField("initialize_workflow")]
        jobs = [job for job in act.jobs if not _is_news(job)] + first
        if not first:
            jobs.append(_signal())
        self._asks = True
        done = self._run(with_jobs(act, jobs))
        self._asks = False
        return self._after(act, done)

    def _give(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        answer = next((job for job in act.jobs if self._is_answer(job)), None)
        if answer is not None:
            batches = self._in_batches(answer.resolve_activity.result)
            self._asked, self._held = None, []
            self._lost = len(batches) > 1
            self._batches = batches[1:]
            act = with_jobs(act, [*act.jobs, *batches[0]])
        return self._after(act, self._run(act))

    def _after(self, act: WorkflowActivation, done: WorkflowActivationCompletion) -> WorkflowActivationCompletion:
        """Give what is kept back when no local activity runs any more."""
        if self._held and self._asked is None:  # the run has not asked: it is of a kind that does not
            self._batches, self._held = [self._held], []
        while self._batches and not self._local and not is_over(done):
            done = joined(done, self._run(with_jobs(act, self._batches.pop(0))))
        if not (self._batches or self._local or self._asked is not None):
            self._lost = False
            if self._waiting and not is_over(done):
                self._is_idle = True
                done = joined(done, self._run(with_jobs(act, [_signal()])))
                self._is_idle = False
        return done

    def _run(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        for job in act.jobs:
            if job.HasField("resolve_activity") and job.resolve_activity.seq in self._local:
                self._local.discard(job.resolve_activity.seq)
                self._is_quiet = False
        done = self._activate(act)
        for command in done.successful.commands:
            if command.HasField("schedule_local_activity"):
                self._local.add(command.schedule_local_activity.seq)
                if self._asks and command.schedule_local_activity.activity_type == LOST_ACTIVITY:
                    self._asked = command.schedule_local_activity.seq
            else:
                self._is_quiet = False
        if self._says_so and not done.HasField("failed"):
            self._says_so = False
            done.successful.used_internal_flags.append(FLAG)
        return done

    def _is_answer(self, job: Any) -> bool:
        return bool(job.HasField("resolve_activity") and job.resolve_activity.seq == self._asked)

    def _in_batches(self, result: Any) -> list[list[Any]]:
        """Return what is held as it is given: first what the first lost task had heard, at last what nobody had.

        If nobody knows that, the run hears first what it has asked for itself.
        """
        lost = self._read(result)
        if lost is None:
            from_outside = (News.SIGNAL, News.CANCEL)
            own = [job for job in self._held if _kind(job) not in from_outside]
            return [own, [job for job in self._held if _kind(job) in from_outside]]
        batches: list[list[Any]] = [[] for _ in range(len(lost) + 1)]
        left = {kind: sum(_kind(job) is kind for job in self._held) for kind in set(_KINDS.values())}
        of_operations: dict[int, int] = {}
        for job in self._held:
            kind = _kind(job)
            number = 0 if kind is None else sum(each.has(kind, left[kind]) for each in lost)
            left[kind] -= 1
            if kind is News.OPERATION:
                of_operations[job.resolve_nexus_operation.seq] = number
            batches[number].append(job)
        for number, batch in enumerate(batches):  # an operation that ends at once has no event for its beginning
            for job in [each for each in batch if _begins_and_ends(each)]:
                batch.remove(job)
                batches[of_operations.get(job.resolve_nexus_operation_start.seq, number)].insert(0, job)
        return [batches[0], *filter(None, batches[1:])] if any(batches[1:]) or not lost else [batches[0], []]

    def _read(self, result: Any) -> tuple[CameLater, ...] | None:
        if not result.HasField("completed"):
            return None
        try:
            return from_json(self._converter.from_payload(result.completed.result))
        except Exception:  # noqa: BLE001 # a converter of the user's says no in its own way
            return None


def _is_news(job: Any) -> bool:
    variant = job.WhichOneof("variant")
    return variant in _KINDS and not (variant == "resolve_activity" and job.resolve_activity.is_local)


def _kind(job: Any) -> News | None:
    return _KINDS.get(job.WhichOneof("variant"))


def _begins_and_ends(job: Any) -> bool:
    return bool(job.HasField("resolve_nexus_operation_start") and job.resolve_nexus_operation_start.started_sync)


def _signal() -> Any:
    job = WorkflowActivation().jobs.add()
    job.signal_workflow.signal_name = ASK
    return job


def is_over(done: WorkflowActivationCompletion) -> bool:
    """Whether a run has ended, or its task has failed."""
    return done.HasField("failed") or any(each.WhichOneof("variant") in _ENDS for each in done.successful.commands)


def joined(done: WorkflowActivationCompletion, then: WorkflowActivationCompletion) -> WorkflowActivationCompletion:
    """Return two answers of a run to the same workflow task as one."""
    if then.HasField("failed"):
        return then
    done.successful.commands.extend(then.successful.commands)
    flags = {*done.successful.used_internal_flags, *then.successful.used_internal_flags}
    done.successful.used_internal_flags[:] = sorted(flags)
    return done


def with_jobs(act: WorkflowActivation, jobs: Sequence[Any]) -> WorkflowActivation:
    """Return the same activation with other jobs."""
    part = WorkflowActivation()
    part.CopyFrom(act)
    del part.jobs[:]
    part.jobs.extend(jobs)
    return part


def this_turn() -> Turn | None:
    """Return what gives the present run its news; ``None`` under another runner."""
    gives = workflow.extern_functions().get(TURN)
    found = None if gives is None else gives()
    return found if isinstance(found, Turn) else None
