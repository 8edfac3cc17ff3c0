"""Short workflow tasks run in the thread of the event loop; whatever takes long, or never ends, does not stop it."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from temporalio import workflow
from temporalio.bridge.proto.workflow_activation import RemoveFromCache, WorkflowActivation, WorkflowActivationJob

from sagadsl.temporal.run import near
from sagadsl.temporal.run.workflow import SagaWorkflow
from sagadsl.temporal.work import near_tasks
from sagadsl.temporal.work.near_tasks import NearTasks, TaskGivenUp
from tests.conftest import Server
from tests.engine.scenes import act, no, plain, saga
from tests.temporal.play import stage

OVER = WorkflowActivation(run_id="a", jobs=[WorkflowActivationJob(remove_from_cache=RemoveFromCache())])


class Panic(BaseException):
    """What comes from a native package, and is no ``Exception``."""


class Task:
    """What the SDK gives an executor: a method of a run in memory, which can be interrupted."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.given_up = 0
        self.interrupted = threading.Semaphore(0)

    def attempt_deadlock_interruption(self) -> None:
        self.interrupted.release()

    def activate(self, message: WorkflowActivation) -> str:
        self.threads.append(threading.current_thread())
        return message.run_id

    def fail(self, _message: WorkflowActivation) -> None:
        raise LookupError("no")

    def panic(self, _message: WorkflowActivation) -> None:
        raise Panic("too deep")

    def wait_for_a_check(self, _message: WorkflowActivation) -> str:
        try:
            near.give_up()
        except near.TakesLong:  # as a task of the workflow's own loop does, which keeps it
            self.given_up += 1
        self.threads.append(threading.current_thread())
        return "half done"

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


def test_the_next_tasks_of_a_run_that_was_slow_run_in_threads_also_after_it_has_left_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b = WorkflowActivation(run_id="a"), WorkflowActivation(run_id="b")
    clock = iter([0.0, 1.0, *[2.0] * 100])
    monkeypatch.setattr(near_tasks, "monotonic", lambda: next(clock))
    assert _given(a, a, b, a, OVER, a) == [True, False, True, False, False, False]


def test_only_so_many_slow_runs_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_tasks, "_SLOW", 1)
    monkeypatch.setattr(near_tasks, "_LONG_SECONDS", -1.0)  # all of them are slow, and none waits for the next turn
    executor = NearTasks()
    for run in ("a", "b"):
        executor._remember(run)
    assert list(executor._slow) == ["b"]


def test_what_comes_at_once_runs_in_threads_when_the_turn_has_had_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, *[2.0] * 100])
    monkeypatch.setattr(near_tasks, "monotonic", lambda: next(clock))
    task, failing = Task(), Task()

    async def scenario() -> list[Any]:
        loop, executor = asyncio.get_running_loop(), NearTasks()
        runs = [loop.run_in_executor(executor, task.activate, WorkflowActivation(run_id=each)) for each in "ab"]
        runs.append(loop.run_in_executor(executor, failing.fail, WorkflowActivation(run_id="c")))
        ends: list[Any] = await asyncio.gather(*runs, return_exceptions=True)
        return [*ends, await loop.run_in_executor(executor, task.activate, WorkflowActivation(run_id="d"))]

    a, b, c, d = asyncio.run(scenario())
    assert (a, b, d, type(c)) == ("a", "b", "d", LookupError)
    assert [each is threading.main_thread() for each in task.threads] == [True, False, True]


def test_a_task_that_comes_to_a_long_check_is_done_again_in_a_thread() -> None:
    task = Task()

    async def scenario() -> str:
        loop, executor = asyncio.get_running_loop(), NearTasks()
        message = WorkflowActivation(run_id="a")
        with pytest.raises(TaskGivenUp):
            await loop.run_in_executor(executor, task.wait_for_a_check, message)
        return str(await loop.run_in_executor(executor, task.wait_for_a_check, message))

    assert asyncio.run(scenario()) == "half done"
    assert task.given_up == 1
    assert task.threads[1] is not threading.main_thread()


def test_what_is_no_exception_reaches_the_worker_as_one() -> None:
    """The SDK answers for exceptions alone: anything else would leave the task without an answer."""

    async def scenario() -> None:
        await asyncio.get_running_loop().run_in_executor(NearTasks(), Task().panic, WorkflowActivation(run_id="a"))

    with pytest.raises(TaskGivenUp, match="Panic: too deep"):
        asyncio.run(scenario())


def test_what_interrupts_a_task_reaches_no_other_one() -> None:
    """Whoever ends a task waits for whoever interrupts it: the next one of the run begins after both."""
    watch, told, go_on = near_tasks._Watch(), threading.Event(), threading.Event()
    seen: list[bool] = []

    def interrupt() -> None:
        told.set()
        assert go_on.wait(60)
        seen.append(threading.main_thread().ident in watch._running)

    watched = watch.begin(interrupt)
    assert told.wait(60)
    threading.Timer(0.2, go_on.set).start()
    assert watch.end(watched) is True
    assert seen == [True]


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
            with pytest.raises(TaskGivenUp, match="a workflow task held up the event loop"):
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

    assert _status_of_one(server, max_cached_workflows=0, near=True) == "completed"
    assert set(noted) == {(False, True), (True, False)}


@pytest.mark.temporal
def test_a_worker_runs_all_tasks_in_threads_unless_it_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[tuple[bool, bool]] = []
    _noting(noted, monkeypatch)

    assert _status_of_one(server) == "completed"
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
        async with stage(server.address, script, near=True) as made:
            one = await made.start(saga(act("a"), plain("b", local=True), act("c")), id="hangs-one")
            two = await made.start(saga(act("d")))
            ends = [(await made.end(each)).status for each in (one, two)]
            return ends, made.begun

    ends, begun = asyncio.run(scenario())
    assert ends == ["compensated", "completed"]
    assert sorted(begun) == ["a", "a.compensation", "b", "c", "d"]
    assert "a workflow task held up the event loop, and is done again in a thread" in caplog.text
