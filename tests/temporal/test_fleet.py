"""Several workers on one queue that do not know the same: other teams', and those of a rolling replacement."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.worker import Worker

from sagadsl.temporal import client as sagas
from sagadsl.temporal.read import runs
from sagadsl.temporal.wire.arguments import RunOptions, envelope
from sagadsl.temporal.worker import SagaPlugin, build_worker
from tests.conftest import Server
from tests.engine.scenes import act, plain, saga
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, data, replay

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

SECOND = timedelta(seconds=1)


def does(name: str, log: list[str], *, fails: int = 0) -> Callable[..., Any]:
    """Return an activity that writes down its call, and fails so many times before."""
    left = [fails]

    @activity.defn(name=name)
    async def one(_: Any = None) -> str:
        log.append(activity.info().activity_id)
        if left[0]:
            left[0] -= 1
            raise RuntimeError("not yet")
        return name

    return one


@asynccontextmanager
async def ours(server: Server, queue: str, *activities: Callable[..., Any], **more: Any) -> AsyncIterator[None]:
    """Run a worker of sagas, called *identity*; each has a client of its own, as each process has."""
    client = await Client.connect(server.address, identity=more.pop("identity", "old"))
    definitions = {each["name"]: each for each in more.pop("definitions", ())}
    more.setdefault("sticky_queue_schedule_to_start_timeout", SECOND)
    more.setdefault("drain", timedelta(0))
    async with build_worker(client, task_queue=queue, activities=activities, definitions=definitions, **more):
        yield


@asynccontextmanager
async def embedded(server: Server, queue: str, *activities: Callable[..., Any], **more: Any) -> AsyncIterator[None]:
    """Run a worker of somebody's own, with workflows of its own, into which the sagas are mounted."""
    client = await Client.connect(server.address, identity="embedded")
    plugin = SagaPlugin({each["name"]: each for each in more.pop("definitions", ())})
    async with Worker(
        client, task_queue=queue, workflows=[Own], activities=[*activities, own_pay], plugins=[plugin], **more
    ):
        yield


@asynccontextmanager
async def theirs(server: Server, queue: str, *activities: Callable[..., Any], **more: Any) -> AsyncIterator[None]:
    """Run a worker without sagadsl."""
    async with Worker(await Client.connect(server.address), task_queue=queue, activities=activities, **more):
        yield


async def ended(client: Client, id_: str) -> runs.Ended:
    async with asyncio.timeout(PATIENCE):
        found = await runs.result(client, id_)
    await replay(client, id_)
    return found


async def outcomes(client: Client, id_: str) -> dict[str, str]:
    status = await runs.status(client, id_)
    return {step["path"]: step.get("outcome") for step in status["steps"]}


@workflow.defn(name="OrderWorkflow", sandboxed=False)
class Order:
    """Another team's workflow: its arguments are none of a saga's."""

    @workflow.run
    async def run(self, order: str, amount: int) -> str:
        paid: str = await workflow.execute_activity("theirs.pay", order, start_to_close_timeout=timedelta(seconds=10))
        await workflow.sleep(0.01)
        return f"{paid} {amount}"


@activity.defn(name="theirs.pay")
async def pay(order: str) -> str:
    return f"paid {order}"


@workflow.defn(name="OwnWorkflow", sandboxed=False)
class Own:
    """A workflow of the one who has mounted sagas into a worker."""

    @workflow.run
    async def run(self, order: str) -> str:
        paid: str = await workflow.execute_activity("own.pay", order, start_to_close_timeout=timedelta(seconds=10))
        return paid


@activity.defn(name="own.pay")
async def own_pay(order: str) -> str:
    return f"own {order}"


def test_an_own_worker_with_sagas_does_its_own_and_leaves_what_is_anothers(server: Server) -> None:
    """Three kinds of work on one queue: its workflows, its sagas, and another team's workflows and activities."""
    definition = saga(act("a"), output="{{ steps.a.output }}", name="mounted")

    async def scenario() -> tuple[list[str], list[str], list[Any]]:
        client, queue = await Client.connect(server.address), f"q-{uuid.uuid4().hex[:12]}"
        mounted = embedded(server, queue, does("do.a", []), definitions=[definition], max_cached_workflows=0)
        others = theirs(server, queue, pay, workflows=[Order], max_cached_workflows=0)
        async with mounted, others:
            foreign, own, ids = [], [], []
            for n in range(2):
                where: dict[str, Any] = {"task_queue": queue, "task_timeout": SECOND}
                foreign.append(
                    await client.start_workflow("OrderWorkflow", args=[f"o{n}", n], id=f"f-{uuid.uuid4()}", **where)
                )
                own.append(await client.start_workflow("OwnWorkflow", f"o{n}", id=f"o-{uuid.uuid4()}", **where))
                ids.append((await sagas.start(client, "mounted", {}, task_queue=queue)).id)
            async with asyncio.timeout(4 * PATIENCE):  # each task that the wrong one draws costs its timeout
                return (
                    [await handle.result() for handle in foreign],
                    [await handle.result() for handle in own],
                    [(await runs.result(client, each)).output for each in ids],
                )

    foreign, own, ours_ = asyncio.run(scenario())
    assert foreign == [f"paid o{n} {n}" for n in range(2)]
    assert own == [f"own o{n}" for n in range(2)]
    assert ours_ == ["do.a"] * 2


def test_workflows_and_activities_of_another_team_on_our_queue_are_left_to_its_workers(server: Server) -> None:
    """Whatever task of theirs a worker of ours draws, by any type or name, it fails nothing of theirs for good."""

    async def scenario() -> list[str]:
        client, queue = await Client.connect(server.address), f"q-{uuid.uuid4().hex[:12]}"
        others = theirs(server, queue, pay, workflows=[Order], max_cached_workflows=0)
        async with ours(server, queue, does("do.a", []), max_cached_workflows=0), others:
            handles = [
                await client.start_workflow(
                    "OrderWorkflow", args=[f"o{n}", n], id=f"f-{uuid.uuid4()}", task_queue=queue, task_timeout=SECOND
                )
                for n in range(8)
            ]
            async with asyncio.timeout(4 * PATIENCE):  # each task that our worker draws costs its timeout
                return [await handle.result() for handle in handles]

    assert asyncio.run(scenario()) == [f"paid o{n} {n}" for n in range(8)]


@pytest.mark.parametrize("args", [[], ["a", 5], [1, 2, 3, 4], [{"x": 1}, "garbage"], [b"\x00\x01"]])
def test_a_workflow_of_a_type_that_nobody_knows_stays_open(server: Server, args: list[Any]) -> None:
    """Its task fails, and says why; cancelled, it is not closed by a worker that does not know it."""

    async def scenario() -> tuple[Any, str]:
        client, queue = await Client.connect(server.address), f"q-{uuid.uuid4().hex[:12]}"
        handle = await client.start_workflow(
            "OrderWorkflow", args=args, id=f"f-{uuid.uuid4()}", task_queue=queue, task_timeout=SECOND
        )
        async with ours(server, queue, does("do.a", [])):
            failed = await _failed_task(client, handle.id)
            await handle.cancel()
            async with asyncio.timeout(PATIENCE):
                while (await handle.describe()).raw_description.pending_workflow_task.attempt < 3:
                    await asyncio.sleep(0.05)
        found = (await handle.describe()).status
        await handle.terminate()
        return found, failed

    status, failed = asyncio.run(scenario())
    assert status is WorkflowExecutionStatus.RUNNING
    assert "nothing says that workflow type `OrderWorkflow` is a saga" in failed


async def _failed_task(client: Client, id_: str) -> str:
    """Wait for the first workflow task that has failed, and return why."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async for event in client.get_workflow_handle(id_).fetch_history_events():
                if event.HasField("workflow_task_failed_event_attributes"):
                    return str(event.workflow_task_failed_event_attributes.failure.message)
            await asyncio.sleep(0.05)


TWO = saga(act("a"), act("b", retry="none", compensation={"activity": "undo.b", "on": "attempted"}), name="two")


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_call_that_the_old_worker_does_not_know_is_done_by_the_new_one(server: Server, attempts: int) -> None:
    """Not one saga is undone, whatever their steps' retry policy, and the step's own attempts are all left to it."""
    log: list[str] = []
    definition = saga(
        act("a"), plain("b", retry={"maximum_attempts": attempts, "initial_interval": "10ms"}), name="two"
    )

    async def scenario() -> list[tuple[str, Any]]:
        client, queue = await Client.connect(server.address), f"q-{uuid.uuid4().hex[:12]}"
        rarely: dict[str, Any] = {
            "max_concurrent_activity_task_polls": 1
        }  # each task that it draws makes a pause longer
        async with ours(server, queue, does("do.a", []), **rarely):
            ids = [(await sagas.start(client, data(definition), {}, task_queue=queue)).id for _ in range(6)]
            async with asyncio.timeout(PATIENCE):
                while not all([(await runs.status(client, each)).get("unknown_activities") for each in ids]):
                    await asyncio.sleep(0.1)
            shown = (await runs.status(client, ids[0]))["unknown_activities"][0]
            assert (shown["path"], shown["activity"], shown["worker"]) == ("b", "do.b", "old")
            new = ours(server, queue, does("do.a", []), does("do.b", log, fails=attempts - 1), identity="new")
            async with new:
                return [((await ended(client, each)).status, await outcomes(client, each)) for each in ids]

    assert asyncio.run(scenario()) == [("completed", {"a": "succeeded", "b": "succeeded"})] * 6
    assert len(log) == 6 + attempts - 1


def test_a_call_that_no_worker_knows_ends_at_its_bound_and_leaves_nothing_to_undo(server: Server) -> None:
    """The bound is that of a call that nobody takes; R2: what was not started is never undone."""
    undone: list[str] = []
    definition = saga(
        act("a"),
        act("b", timeouts={"schedule_to_start": "4s"}, compensation={"activity": "undo.b", "on": "attempted"}),
        name="two",
    )

    async def scenario() -> tuple[runs.Ended, dict[str, str]]:
        client, queue = await Client.connect(server.address), f"q-{uuid.uuid4().hex[:12]}"
        async with ours(server, queue, does("do.a", []), does("undo.a", undone), does("undo.b", undone)):
            started = await sagas.start(client, data(definition), {}, task_queue=queue)
            return await ended(client, started.id), await outcomes(client, started.id)

    end, found = asyncio.run(scenario())
    assert (end.status, found, undone) == ("compensated", {"a": "succeeded", "b": "not_started"}, ["a.compensation"])
    assert end.report is not None
    failure = end.report["failure"]
    assert (failure["type"], failure["step"]) == ("ActivityNotFound", "b")
    expected = r"no worker on the saga's task queue knows `do.b`; asked \d+ times in \d+s, at last worker `old`: "
    assert re.match(expected, failure["message"])
    assert (
        "activity `do.b` is not installed on this worker; installed: `do.a`, `undo.a`, `undo.b`" in failure["message"]
    )


def test_a_saga_can_be_cancelled_while_it_waits_for_a_worker_that_knows_its_activity(server: Server) -> None:
    async def scenario() -> tuple[str, dict[str, str]]:
        client, queue = await Client.connect(server.address), f"q-{uuid.uuid4().hex[:12]}"
        async with ours(server, queue, does("do.a", []), does("undo.a", [])):
            started = await sagas.start(client, data(TWO), {}, task_queue=queue)
            async with asyncio.timeout(PATIENCE):
                while not (await runs.status(client, started.id)).get("unknown_activities"):
                    await asyncio.sleep(0.1)
            await sagas.cancel(client, started.id)
            return (await ended(client, started.id)).status, await outcomes(client, started.id)

    assert asyncio.run(scenario()) == ("cancelled", {"a": "succeeded", "b": "not_started"})


def test_a_local_activity_that_the_old_worker_does_not_know_is_done_by_the_new_one(server: Server) -> None:
    """The whole workflow task goes to another worker: a local activity runs where its workflow does."""
    log: list[str] = []
    definition = saga(act("a"), plain("b", local=True, retry="none"), name="two")

    async def scenario() -> list[str]:
        client, queue = await Client.connect(server.address), f"q-{uuid.uuid4().hex[:12]}"
        async with AsyncExitStack() as old:
            await old.enter_async_context(ours(server, queue, does("do.a", [])))
            ids = [(await sagas.start(client, data(definition), {}, task_queue=queue)).id for _ in range(3)]
            for each in ids:
                assert "activity `do.b` is not installed on this worker" in await _failed_task(client, each)
            async with ours(server, queue, does("do.a", []), does("do.b", log)):
                await old.aclose()
                return [(await ended(client, each)).status for each in ids]

    assert asyncio.run(scenario()) == ["completed"] * 3
    assert log == ["b"] * 3


def test_a_saga_whose_name_the_old_worker_does_not_know_is_run_by_the_new_one(server: Server) -> None:
    """Nothing dies of it, child sagas by name neither."""
    child = saga(act("c"), name="late-child")
    parent = saga(act("a"), {"id": "trip", "saga": "late-child", "compensation": "none"}, name="late-parent")

    async def scenario() -> list[str]:
        client, queue = await Client.connect(server.address), f"q-{uuid.uuid4().hex[:12]}"
        both = (does("do.a", []), does("do.c", []))
        async with AsyncExitStack() as old:
            await old.enter_async_context(ours(server, queue, *both, definitions=[TWO]))
            ids = [(await sagas.start(client, "late-child", {}, task_queue=queue)).id for _ in range(3)]
            ids += [(await sagas.start(client, data(parent), {}, task_queue=queue)).id for _ in range(3)]
            for each in ids[:3]:
                assert "no saga `late-child` among this worker's definitions: it has `two`" in await _failed_task(
                    client, each
                )
            async with ours(server, queue, *both, definitions=[child, TWO]):
                await old.aclose()
                return [(await ended(client, each)).status for each in ids]

    assert asyncio.run(scenario()) == ["completed"] * 6


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"rules": 99}, "`rules` must be a version from 2 to"), ({"colour": "red"}, "`options` must be an object; known")],
)
def test_what_a_later_release_starts_waits_for_a_worker_that_can_read_it(
    server: Server, options: dict[str, Any], complaint: str
) -> None:
    """After its patience the worker refuses it, and says why; nothing has begun."""

    async def scenario() -> tuple[str, runs.Ended]:
        client, queue = await Client.connect(server.address), f"q-{uuid.uuid4().hex[:12]}"
        sent = {**envelope(data(TWO), {}, RunOptions()), "options": options}
        async with ours(server, queue, does("do.a", []), patience=SECOND):
            id_ = f"f-{uuid.uuid4()}"
            await client.start_workflow("two", args=[{}, sent], id=id_, task_queue=queue, task_timeout=SECOND)
            return await _failed_task(client, id_), await ended(client, id_)

    failed, end = asyncio.run(scenario())
    assert complaint in failed
    assert (end.status, end.error and end.error[0]) == ("compensated", "InvalidDefinition")


def test_a_start_that_no_worker_has_known_may_be_begun_anew_by_the_same_request(server: Server) -> None:
    """`once` keeps a saga from being done twice, and this one has not been done at all."""

    async def scenario() -> tuple[list[str], list[type[BaseException]]]:
        client, queue = await Client.connect(server.address), f"q-{uuid.uuid4().hex[:12]}"
        id_, refused = f"k-{uuid.uuid4()}", []

        async def start(request: str) -> sagas.Started:
            return await sagas.start(client, "late", {}, id=id_, task_queue=queue, once=True, request=request)

        async with ours(server, queue, does("do.a", []), patience=timedelta(0)):
            await start("r1")
            first = await ended(client, id_)
            assert first.error is not None
            assert first.error[0] == "DefinitionNotFound"
        for request in ("r2", "r1"):
            try:
                begun = await start(request)
            except sagas.AlreadyStarted as error:
                refused.append(type(error))
        definition = saga(act("a"), name="late")
        async with ours(server, queue, does("do.a", []), definitions=[definition]):
            second = await ended(client, id_)
        assert begun.earlier == "failed"
        with pytest.raises(sagas.AlreadyStarted):
            await start("r1")
        return [first.status, second.status], refused

    assert asyncio.run(scenario()) == (["compensated", "completed"], [sagas.AlreadyStarted])


def test_a_plain_worker_of_another_queue_that_does_not_know_an_activity_is_not_the_last_word(server: Server) -> None:
    """A worker without sagadsl reports an error like any other; nothing ran, and nothing is undone needlessly."""
    log: list[str] = []
    definition = saga(
        act("a"),
        act("b", task_queue="{{ input.queue }}", retry="none", compensation={"activity": "undo.b"}),
        name="two",
    )

    async def scenario() -> Sequence[Any]:
        client = await Client.connect(server.address)
        queue, remote = (f"q-{uuid.uuid4().hex[:12]}" for _ in range(2))
        async with ours(server, queue, does("do.a", [])), theirs(server, remote, does("other", [])):
            started = await sagas.start(client, data(definition), {"queue": remote}, task_queue=queue)
            async with asyncio.timeout(PATIENCE):
                while not (found := (await runs.status(client, started.id)).get("unknown_activities")):
                    await asyncio.sleep(0.1)
            async with theirs(server, remote, does("do.b", log)):
                end = await ended(client, started.id)
            return end.status, found[0]["message"]

    status, message = asyncio.run(scenario())
    assert status == "completed"
    assert "is not registered on this worker" in message
    assert log == ["b"]
