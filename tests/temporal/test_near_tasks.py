"""Short workflow tasks run in the thread of the event loop; whatever takes long, or never ends, does not stop it."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from temporalio import workflow
from temporalio.bridge.proto.workflow_activation import RemoveFromCache, WorkflowActivation, WorkflowActivationJob

from sagadsl.temporal.run.workflow import SagaWorkflow
from sagadsl.temporal.work import near_tasks
from sagadsl.temporal.work.near_tasks import NearTasks, TaskHangs
from tests.conftest import Server
from tests.engine.scenes import act, no, plain, saga
from tests.temporal.play import stage

OVER = WorkflowActivation(run_id="a", jobs=[WorkflowActivationJob(remove_from_cache=RemoveFromCache())])


class Task:
    """What the SDK gives an executor: a method of a run in memory, which can be interrupted."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.clocks = [0.0]
        self.interrupted = threading.Semaphore(0)

    def attempt_deadlock_interruption(self) -> None:
        self.interrupted.release()

    def activate(self, message: WorkflowActivation) -> str:
        self.threads.append(threading.current_thread())
        return message.run_id

    def fail(self, _message: WorkflowActivation) -> None:
        raise LookupError("no")

    def hang(self, _message: WorkflowActivation) -> None:
        assert self.interrupted.acquire(timeout=60)
        raise InterruptedError

    def hang_twice(self, _message: WorkflowActivation) -> None:
        for _ in range(2):  # as code does that catches whatever comes
            assert self.interrupted.acquire(timeout=60)


def _given(*messages: WorkflowActivation, task: Task | None = None) -> list[bool]:
    """Whether each of these ran in the thread of the event loop."""
    made = task or Task()

    async def scenario() -> None:
        loop, executor = asyncio.get_running_loop(), NearTasks()
        for each in messages:
            assert await loop.run_in_executor(executor, made.activate, each) == each.run_id
            assert asyncio.get_running_loop() is loop
        executor.shutdown()

    asyncio.run(scenario())
    return [each is threading.main_thread() for each in made.threads]


def test_a_short_task_runs_in_the_event_loops_thread_and_a_replay_or_a_large_one_does_not() -> None:
    large = WorkflowActivation(run_id="b" * 60_000)
    assert _given(WorkflowActivation(run_id="a"), WorkflowActivation(run_id="a", is_replaying=True), large) == [
        True,
        False,
        False,
    ]


def test_the_next_tasks_of_a_run_that_was_slow_run_in_threads_until_it_leaves_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b = WorkflowActivation(run_id="a"), WorkflowActivation(run_id="b")
    clock = iter([0.0, 1.0, *[2.0] * 100])
    monkeypatch.setattr(near_tasks, "monotonic", lambda: next(clock))
    assert _given(a, a, b, a, OVER, a) == [True, False, True, False, False, True]


def test_a_task_runs_in_a_thread_if_nothing_could_interrupt_it() -> None:
    ran: list[threading.Thread] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(NearTasks(), lambda _: ran.append(threading.current_thread()), WorkflowActivation())

    asyncio.run(scenario())
    assert ran[0] is not threading.main_thread()


def test_what_a_task_raises_is_what_the_worker_gets() -> None:
    async def scenario() -> None:
        await asyncio.get_running_loop().run_in_executor(NearTasks(), Task().fail, WorkflowActivation(run_id="a"))

    with pytest.raises(LookupError, match="no"):
        asyncio.run(scenario())


def test_a_task_that_hangs_in_the_event_loop_is_interrupted_and_so_is_the_next_one() -> None:
    async def scenario() -> None:
        loop, executor = asyncio.get_running_loop(), NearTasks()
        for run, hang in (("a", Task().hang), ("b", Task().hang_twice)):
            with pytest.raises(TaskHangs, match="a workflow task was interrupted after 2 s"):
                await loop.run_in_executor(executor, hang, WorkflowActivation(run_id=run))
            assert asyncio.get_running_loop() is loop
            # between the two the thread that watches falls asleep
            async with asyncio.timeout(60):
                while near_tasks._WATCH._busy.is_set():
                    await asyncio.sleep(0.05)

    asyncio.run(scenario())


def _noting(noted: list[tuple[bool, bool]], monkeypatch: pytest.MonkeyPatch) -> None:
    drive = SagaWorkflow._drive

    async def noted_first(self: SagaWorkflow, first: Any) -> Any:
        noted.append((workflow.unsafe.is_replaying(), threading.current_thread() is threading.main_thread()))
        return await drive(self, first)

    monkeypatch.setattr(SagaWorkflow, "_drive", noted_first)


def _status_of_one(server: Server, **how: Any) -> str:
    async def scenario() -> str:
        async with stage(server.address, **how) as made:
            return (await made.end(await made.start(saga(act("a"), act("b"))))).status

    return asyncio.run(scenario())


@pytest.mark.temporal
def test_a_worker_runs_replays_in_threads(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[tuple[bool, bool]] = []
    _noting(noted, monkeypatch)

    assert _status_of_one(server, max_cached_workflows=0) == "completed"
    assert set(noted) == {(False, True), (True, False)}


@pytest.mark.temporal
def test_a_worker_runs_all_tasks_in_threads_if_it_is_told_to(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[tuple[bool, bool]] = []
    _noting(noted, monkeypatch)

    assert _status_of_one(server, near=False) == "completed"
    assert noted == [(False, False)]


@pytest.mark.temporal
def test_a_saga_whose_task_hangs_goes_on_and_so_do_the_others(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As with the SDK's own threads: the task fails, the server gives it again, and nothing is done twice."""
    drive, left = SagaWorkflow._drive, ["hangs-one"]

    async def hanging(self: SagaWorkflow, first: Any) -> Any:
        if workflow.info().workflow_id in left:
            left.clear()
            end = time.monotonic() + 60
            while time.monotonic() < end:
                pass
        return await drive(self, first)

    monkeypatch.setattr(SagaWorkflow, "_drive", hanging)

    async def scenario() -> tuple[list[str], list[str]]:
        script = {"c": no()}
        async with stage(server.address, script) as made:
            one = await made.start(saga(act("a"), plain("b", local=True), act("c")), id="hangs-one")
            two = await made.start(saga(act("d")))
            ends = [(await made.end(each)).status for each in (one, two)]
            return ends, made.begun

    ends, begun = asyncio.run(scenario())
    assert ends == ["compensated", "completed"]
    assert sorted(begun) == ["a", "a.compensation", "b", "c", "d"]
    assert "a workflow task was interrupted after 2 s" in caplog.text
