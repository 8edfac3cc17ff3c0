"""Plugins as the worker runs them; ``ActivityEnvironment`` where no server is needed."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio import activity as temporal_activity
from temporalio import workflow
from temporalio.client import ActivityFailureError, Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from sagadsl import Context, activity
from sagadsl.authoring import InvalidInput, InvalidOutput, Spec
from sagadsl.plugins.catalogue import Catalogue, Plugin
from sagadsl.plugins.problems import PluginBroken, PluginConflict, PluginUnknown
from sagadsl.temporal.wire.marker import outcome_of
from sagadsl.temporal.work.activities import worker_activities, worker_activity
from sagadsl.temporal.work.interceptor import interceptors
from tests.conftest import Server
from tests.packages import install


class ChargeIn(BaseModel, extra="forbid"):
    amount: int


class ChargeOut(BaseModel):
    charge_id: str
    key: str


async def charge(inp: ChargeIn, ctx: Context) -> ChargeOut:
    return ChargeOut(charge_id=f"ch-{inp.amount}", key=ctx.idempotency_key)


def _plugin(function: Callable[..., Any], *, plain: bool = False, name: str = "test.work") -> Plugin:
    return Plugin(name, "tests", function, Spec(), plain)


def _run(function: Callable[..., Any], *sent: Any, plain: bool = False, **info: Any) -> Any:
    """Run *function* as the worker does, outside of one."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, **info)
    made = worker_activity(_plugin(function, plain=plain))
    result = environment.run(made, *sent)
    return asyncio.run(result) if asyncio.iscoroutine(result) else result


def test_json_goes_in_and_json_comes_out() -> None:
    """The workflow sends one rendered value, and sees what replay will see."""
    assert _run(charge, {"amount": 3}, workflow_id="order-7", activity_id="pay/card") == {
        "charge_id": "ch-3",
        "key": "order-7/pay/card/do",
    }


def test_the_context_knows_the_call_by_its_activity_id() -> None:
    """R49: keys of forward call and compensation; the attempt; what an earlier attempt said."""
    seen: list[Context] = []

    def work(ctx: Context) -> None:
        seen.append(ctx)

    info = {"workflow_id": "order-7", "attempt": 2, "heartbeat_details": ["page", 4], "activity_type": "test.work"}
    _run(work, activity_id="lines[3]/pay.compensation[1]#2", **info)
    context = seen[0]
    assert (context.idempotency_key, context.step_idempotency_key) == (
        "order-7/lines[3]/pay/undo[1]",
        "order-7/lines[3]/pay/do",
    )
    assert (context.saga_id, context.step, context.is_compensation) == ("order-7", "lines[3]/pay", True)
    assert (context.attempt, context.heartbeat_details, context.activity) == (2, ("page", 4), "test.work")


def test_the_context_reaches_the_worker() -> None:
    """R37: heartbeats and the wish to stop."""
    seen: list[Any] = []

    async def work(ctx: Context) -> None:
        ctx.heartbeat("half")
        seen.append(ctx.cancelled)

    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: seen.append(details)
    asyncio.run(environment.run(worker_activity(_plugin(work))))
    assert seen == [("half",), False]


def test_a_wrong_input_is_refused_before_the_function_runs() -> None:
    """R18, runner#1070: types are enforced in the worker, too."""
    ran: list[int] = []

    def work(amount: int) -> None:
        ran.append(amount)

    with pytest.raises(InvalidInput, match='field `amount`: expected a valid integer, found `"3"`'):
        _run(work, {"amount": "3"})
    assert ran == []


def test_a_result_without_json_form_is_refused() -> None:
    def work() -> Any:
        return {"a": b"x"}

    with pytest.raises(InvalidOutput, match=r"output\.a is `bytes`"):
        _run(work)


def test_a_plain_temporal_activity_runs_unchanged() -> None:
    """One parameter is the whole input; several are the keys of an object, or what another workflow sends in order."""

    @temporal_activity.defn
    async def greet(name: str) -> str:
        return f"Hi {name} from {temporal_activity.info().activity_id}"

    @temporal_activity.defn(name="compose")
    def compose(greeting: str, name: str = "you") -> str:
        return f"{greeting} {name}"

    assert _run(greet, "Ann", plain=True, activity_id="a") == "Hi Ann from a"
    assert _run(compose, {"greeting": "Hi", "name": "Ann"}, plain=True) == "Hi Ann"
    assert _run(compose, "Hi", "Ann", plain=True) == "Hi Ann"
    assert _run(compose, {"greeting": "Hi"}, plain=True) == "Hi you"


class Greeter:
    """Has state, like the well-known sample: a message and a number."""

    def __init__(self, message: str, number: int) -> None:
        self.message, self.number = message, number

    @activity
    def greet(self, name: str) -> str:
        return f"{self.message} {name} {self.number}"


def test_a_method_runs_with_the_state_of_its_object() -> None:
    """Methods of an object are activities."""
    assert _run(Greeter("Hello", 3).greet, {"name": "Ann"}) == "Hello Ann 3"


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Catalogue]:
    """Return a function that writes modules into the current folder and finds them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(**modules: str) -> Catalogue:
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text("from sagadsl import activity\n" + source)
            monkeypatch.delitem(sys.modules, name, raising=False)
        return Catalogue.discover(modules, installed=[])

    return write


def _names(functions: list[Callable[..., Any]]) -> list[str]:
    return [temporal_activity._Definition.must_from_callable(each).name or "" for each in functions]


def test_a_worker_gets_all_activities_or_those_that_are_named(local: Callable[..., Catalogue]) -> None:
    """Each under its own name, sorted."""
    catalogue = local(many_one="@activity\ndef b(): ...\n@activity(name='x.a')\nasync def a(): ...\n")
    assert _names(worker_activities(catalogue)) == ["b", "x.a"]
    assert _names(worker_activities(catalogue, ["x.a", "x.a"])) == ["x.a"]


def test_a_worker_refuses_what_it_was_asked_for_and_cannot_run(local: Callable[..., Catalogue]) -> None:
    """R15, R54: at start, not at the first call."""
    with pytest.raises(PluginUnknown, match="no activity named `c`"):
        worker_activities(local(many_two="@activity\ndef b(): ...\n"), ["c"])
    with pytest.raises(PluginBroken, match="No module named 'not_there'"):
        worker_activities(local(many_three="import not_there\n"))
    with pytest.raises(PluginConflict, match=r"`b` is offered by module many_five .* and by module many_four"):
        worker_activities(local(many_five="@activity\ndef b(): ...\n", many_four="@activity\ndef b(): ...\n"))
    with pytest.raises(PluginBroken, match="the type"):
        worker_activities(local(many_six="class Odd: ...\n@activity\ndef b(x: Odd): ...\n"))


def test_a_broken_package_that_nobody_asked_for_is_one_line_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The others run."""
    from importlib.metadata import distributions

    install(tmp_path, "acme", "gone = acme_gone:work\nother = fnmatch:translate")
    catalogue = Catalogue.discover(folder=tmp_path, installed=list(distributions(path=[str(tmp_path)])))
    assert _names(worker_activities(catalogue)) == ["other"]
    assert [record.getMessage() for record in caplog.records] == [
        "activity `gone` of acme 1.0 cannot be used: No module named 'acme_gone'"
    ]


def test_an_extra_that_is_not_installed_is_no_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody needs all calls that come with sagadsl; `validate` and the run tell whoever calls one."""
    monkeypatch.setitem(sys.modules, "grpc", None)
    monkeypatch.delitem(sys.modules, "sagadsl.activities.grpc_request", raising=False)
    assert "grpc.request" not in _names(worker_activities(Catalogue.discover()))
    assert [record.getMessage() for record in caplog.records if record.levelname != "INFO"] == []


@workflow.defn(name="calls-three")
class CallsThree:
    @workflow.run
    async def run(self) -> list[Any]:
        results: list[Any] = []
        for name, sent in (("test.charge", [{"amount": 3}]), ("test.thread", []), ("test.greet", ["Ann"])):
            results.append(
                await workflow.execute_activity(
                    name, args=sent, activity_id=name, start_to_close_timeout=timedelta(seconds=10)
                )
            )
        try:
            await workflow.execute_activity(
                "test.charge",
                {"amount": "3"},
                activity_id="wrong",
                start_to_close_timeout=timedelta(seconds=10),
                retry_policy=RetryPolicy(maximum_attempts=5),
            )
        except ActivityError as error:
            cause = error.cause
            if isinstance(cause, ApplicationError):
                results.append([cause.type, cause.non_retryable, outcome_of(cause.details)])
        return results


@pytest.mark.temporal
def test_plugins_run_on_a_real_worker(server: Server) -> None:
    """R5, R18: async, in a thread, plain; and a wrong input is a sure no that nobody tries again."""

    def in_thread(ctx: Context) -> dict[int, Any]:
        return {1: threading.current_thread() is not threading.main_thread(), 2: {ctx.step}}

    @temporal_activity.defn
    async def greet(name: str) -> str:
        return f"Hi {name}"

    plugins = [
        _plugin(charge, name="test.charge"),
        _plugin(in_thread, name="test.thread"),
        _plugin(greet, plain=True, name="test.greet"),
    ]

    async def play() -> Any:
        client = await Client.connect(server.address)
        name = f"activities-{uuid.uuid4()}"
        with ThreadPoolExecutor(2) as threads:
            async with Worker(
                client,
                task_queue=name,
                workflows=[CallsThree],
                activities=[worker_activity(plugin) for plugin in plugins],
                activity_executor=threads,
                interceptors=interceptors(client),
                workflow_runner=UnsandboxedWorkflowRunner(),
            ):
                try:
                    return await client.execute_workflow(CallsThree.run, id=name, task_queue=name)
                except WorkflowFailureError as failure:
                    return failure.cause

    ran = asyncio.run(play())
    assert ran[1:] == [{"1": True, "2": ["test.thread"]}, "Hi Ann", ["InvalidInput", True, [1, True]]]
    assert ran[0]["charge_id"] == "ch-3"
    assert ran[0]["key"].endswith("/test.charge/do")


@pytest.mark.temporal
@pytest.mark.parametrize(
    "error", [StopIteration("no more"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()]
)
def test_an_error_that_no_future_can_carry_is_one_like_others(server: Server, error: BaseException) -> None:
    """R5, N19: at once, and the worker goes on; it ran into the attempt's timeout, or ended it."""

    def work() -> None:
        raise error

    async def play() -> Any:
        client = await Client.connect(server.address)
        queue = f"activities-{uuid.uuid4()}"
        with ThreadPoolExecutor(2) as threads:
            async with Worker(
                client,
                task_queue=queue,
                activities=[worker_activity(_plugin(work, name="test.work"))],
                activity_executor=threads,
                interceptors=interceptors(client),
            ):
                try:
                    return await client.execute_activity(
                        "test.work",
                        id=queue,
                        task_queue=queue,
                        start_to_close_timeout=timedelta(seconds=20),
                        retry_policy=RetryPolicy(maximum_attempts=1),
                    )
                except ActivityFailureError as failure:
                    return failure.cause

    found = asyncio.run(play())
    assert isinstance(found, ApplicationError)
    assert (found.type, outcome_of(found.details)) == (type(error).__name__, None)


@pytest.mark.temporal
def test_an_activity_that_no_workflow_calls_has_a_key_of_its_own(server: Server) -> None:
    """R49, for `temporal activity execute`: equal over its attempts, and nobody else's."""
    seen: list[tuple[str, str]] = []

    async def work(ctx: Context) -> None:
        seen.append((ctx.step, ctx.idempotency_key))
        assert ctx.step_idempotency_key == ctx.idempotency_key
        if ctx.attempt == 1:
            raise ValueError("again")

    async def play() -> None:
        client = await Client.connect(server.address)
        queue = f"activities-{uuid.uuid4()}"
        async with Worker(
            client,
            task_queue=queue,
            activities=[worker_activity(_plugin(work, name="test.work"))],
            interceptors=interceptors(client),
        ):
            retry = RetryPolicy(maximum_attempts=2, initial_interval=timedelta(milliseconds=50))
            for _ in range(2):
                limit = timedelta(seconds=20)
                await client.execute_activity(
                    "test.work", id="a1", task_queue=queue, start_to_close_timeout=limit, retry_policy=retry
                )

    asyncio.run(play())
    assert [step for step, _ in seen] == ["a1"] * 4
    keys = [key for _, key in seen]
    assert keys[0] == keys[1] != keys[2] == keys[3]
    assert all(key.startswith("default/a1/") and key.endswith("/do") for key in keys)
