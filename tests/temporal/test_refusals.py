"""Runs that do not begin, whoever starts them and with whatever; and what stays accepted once it was."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from sagadsl.engine.facts import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.read import runs
from sagadsl.temporal.wire import carry
from sagadsl.temporal.wire.arguments import envelope
from sagadsl.temporal.wire.definitions import checked
from tests.conftest import Server
from tests.engine.scenes import act, gives, no, plain, saga, slow
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, Stage, data, events, replay, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

ONE = saga(act("a"), name="one", input={"type": "object", "required": ["x"]})


async def _foreign(made: Stage, name: str, args: list[Any]) -> tuple[ApplicationError, list[str]]:
    """Start a workflow as a client of any language may, and return its failure."""
    handle = await made.client.start_workflow(name, args=args, id=f"f-{uuid.uuid4()}", task_queue=made.queue)
    with pytest.raises(WorkflowFailureError) as caught:
        async with asyncio.timeout(PATIENCE):
            await handle.result()
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.non_retryable
    await replay(made.client, handle.id)
    status = await runs.status(made.client, handle.id)
    carries = len(args) > 2  # what it was to go on with may have effects: nobody knows, so nothing is "undone"
    expected = "failed" if carries else "compensated"
    assert (status["status"], status["failure"]["type"]) == (expected, cause.type)
    assert cause.details[0]["status"] == (await runs.result(made.client, handle.id)).status == expected
    assert bool(cause.details[0]["why_not"]) is carries
    return cause, [each for each in await events(handle) if each == "WORKFLOW_TASK_FAILED"]


@pytest.mark.parametrize(
    ("args", "type_", "complaint"),
    [
        ([{"x": 1}, envelope({**ONE, "steps": ...}, {})], "InvalidDefinition", "lacks `steps`"),
        ([{"x": 1}, envelope({**ONE, "steps": "all"}, {})], "InvalidDefinition", "`steps`"),
        ([{"x": 1}, envelope({**ONE, "name": "two"}, {})], "InvalidDefinition", "the definition is named `two`"),
        ([{"x": 1}, envelope(ONE, {}), 8, 9], "InvalidInput", "at most 3 arguments, got 4"),
        ([{"x": 1}, envelope(ONE, {}), 7], "InvalidDefinition", "third argument"),
        ([[1], envelope(ONE, {})], "InvalidInput", "`input`: must be an object, got `[1]`"),
        ([{}, envelope(ONE, {})], "InvalidInput", "`input`: `x` is missing"),
        ([{"x": float("inf")}, envelope(ONE, {})], "InvalidInput", "`input` holds a number that JSON cannot carry"),
        ([{"x": float("nan")}, envelope(ONE, {})], "InvalidInput", "`input` holds a number that JSON cannot carry"),
        ([b"bytes", envelope(ONE, {})], "InvalidInput", "the input does not fit"),
    ],
)
def test_a_malformed_start_fails_the_run_and_never_its_workflow_task(
    server: Server, args: list[Any], type_: str, complaint: str
) -> None:
    """R56."""
    for argument in args:
        if isinstance(argument, dict) and argument.get("definition", {}).get("steps") is ...:
            argument["definition"] = {key: value for key, value in ONE.items() if key != "steps"}

    async def scenario() -> tuple[ApplicationError, list[str]]:
        async with stage(server.address, max_cached_workflows=0) as made:
            return await _foreign(made, "one", args)

    cause, failed = asyncio.run(scenario())
    assert cause.type == type_
    assert complaint in cause.message
    assert failed == []


def test_a_worker_may_refuse_definitions_that_come_with_the_start(server: Server) -> None:
    """Section 7 of the design. The refusal replays on any worker, and by name it still works."""

    async def scenario() -> tuple[ApplicationError, str]:
        async with stage(server.address, definitions=[saga(act("a"), name="known")], inline=False) as made:
            cause, _ = await _foreign(made, "one", [{"x": 1}, envelope(ONE, {})])
            started = await made.start(saga(act("a"), name="known"), by_name=True)
            return cause, (await made.end(started)).status

    cause, status = asyncio.run(scenario())
    assert cause.type == "InlineDefinitionRefused"
    assert status == "completed"


def test_what_one_worker_took_another_one_carries_to_its_end(server: Server) -> None:
    """A refusal is about starts: a run that was accepted replays on a worker that would not accept it."""

    async def scenario() -> tuple[str, list[str]]:
        async with stage(server.address, {"do.a": slow(1)}, only="workflows", activities=[]) as first:
            started = await first.start(ONE, {"x": 1})
            await first.until_status(started, lambda found: bool(found["steps"]))
        async with stage(server.address, queue=first.queue, inline=False) as second:
            return (await second.end(started)).status, second.begun

    assert asyncio.run(scenario()) == ("completed", ["a"])


def test_the_children_of_a_saga_by_name_are_not_refused_as_inline(server: Server) -> None:
    child, top = saga(act("x"), name="child"), saga({"id": "kid", "saga": "child"}, name="top")

    async def scenario() -> tuple[str, list[str]]:
        async with stage(server.address, definitions=[child, top], inline=False) as made:
            started = await made.start(top, by_name=True)
            return (await made.end(started)).status, made.begun

    assert asyncio.run(scenario()) == ("completed", ["x"])


def test_an_edited_file_changes_no_run_that_has_begun(server: Server) -> None:
    """The definition is in history; a new run takes the new one."""
    old = saga(plain("a"), {"id": "w", "wait_for": {"signal": "go"}}, plain("b"), name="edited", output="old")
    new = saga(plain("a"), plain("new"), plain("b"), name="edited", output="new")

    async def scenario() -> tuple[Any, list[str], Any, Any]:
        async with stage(server.address, definitions=[old]) as first:
            started = await first.start(old, by_name=True)
            await first.until_status(started, lambda found: bool(found.get("waiting_for")))
        async with stage(server.address, definitions=[new], queue=first.queue) as second:
            await sagas.signal(second.client, started.id, "go")
            ended = await second.end(started)
            pinned = await second.client.get_workflow_handle(started.id).query("definition")
            again = await second.end(await second.start(new, by_name=True))
            return ended.output, second.begun[:1], pinned == data(old), again.output

    assert asyncio.run(scenario()) == ("old", ["b"], True, "new")


def test_a_mistake_of_an_expression_ends_the_saga_and_undoes_what_was_done(server: Server) -> None:
    """R56: within seconds, and never a looping workflow task."""
    definition = saga(act("a"), plain("b", input={"n": "{{ 1 / steps.a.output }}"}), name="zero")

    async def scenario() -> tuple[Any, list[str], list[str]]:
        async with stage(server.address, {"do.a": gives(0)}) as made:
            started = await made.start(definition)
            ended = await made.end(started)
            happened = await events(made.client.get_workflow_handle(started.id))
            return ended.error, made.begun, [each for each in happened if each == "WORKFLOW_TASK_FAILED"]

    error, begun, failed = asyncio.run(scenario())
    assert error is not None
    assert error[0] == "ExpressionError"
    assert begun == ["a", "a.compensation"]
    assert failed == []


def test_half_a_character_in_an_error_message_does_not_block_the_run(server: Server) -> None:
    """R56: JSON can carry a lone surrogate, protobuf cannot."""
    step = {"id": "stop", "fail": {"type": "Stop", "message": "it is {{ input.x }}"}}

    async def scenario() -> Any:
        async with stage(server.address) as made:
            started = await made.start(saga(step, name="half"), {"x": "\ud800"})
            return (await made.end(started)).error

    assert asyncio.run(scenario())[0] == "Stop"


def test_a_definition_that_takes_long_to_check_does_not_block_the_run(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R56: the SDK interrupts a workflow after two seconds; the check goes on beside it."""

    def slowly(definition: Any) -> Any:
        time.sleep(3)
        return checked(definition)

    monkeypatch.setattr("sagadsl.temporal.wire.arguments.checked", slowly)
    unused = {f"x-{number}": "padding" * 100 for number in range(100)}
    large = {**saga(act("a"), name="large"), **unused}

    async def scenario() -> str:
        async with stage(server.address) as made:
            handle = await made.client.start_workflow(
                "large",
                args=[None, envelope(large, {})],
                id=f"f-{uuid.uuid4()}",
                task_queue=made.queue,
                task_timeout=timedelta(seconds=5),
            )
            async with asyncio.timeout(PATIENCE):
                await handle.result()
            return str((await runs.status(made.client, handle.id))["status"])

    assert asyncio.run(scenario()) == "completed"


def test_a_run_that_cannot_read_what_it_goes_on_with_stays_open_until_a_worker_can(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R50, R53: what the runs before it have done would stand, so that it neither fails nor calls itself undone."""
    steps = [act(f"s{number}") for number in range(4)]
    definition = saga(*steps, name="long", output="{{ steps.s0.output }}")
    refused = asyncio.Event()
    read = carry.unpacked

    def of_an_older_release(data: Any) -> Any:
        if isinstance(data, dict) and "rules" in data:  # a state, written down
            refused.set()
            raise ValueError("more than this release reads")
        return read(data)

    async def scenario() -> tuple[str, Any, str]:
        async with stage(server.address, {"s0": gives(1)}) as made:
            monkeypatch.setattr(carry, "unpacked", of_an_older_release)
            started = await made.start(definition, continue_after_events=9)
            await asyncio.wait_for(refused.wait(), PATIENCE)
            described = await made.client.get_workflow_handle(started.id).describe()
            assert described.status is not None
            monkeypatch.setattr(carry, "unpacked", read)
            ended = await made.end(started)
            await replay(made.client, started.id)
            return described.status.name, ended.output, ended.status

    assert asyncio.run(scenario()) == ("RUNNING", 1, "completed")


def test_a_child_whose_journal_cannot_be_read_is_not_undone(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """R46, R47: its parent pauses for an operator, who can have it tried again."""
    kid = saga(act("k"), name="kid")
    call = {"id": "trip", "saga": "kid", "compensation": "auto"}
    definition = saga(call, act("b"), name="top", compensation={"on_failure": "pause"})
    read = carry.unpacked

    def of_an_older_release(data: Any) -> Any:
        if isinstance(data, dict) and "rules" in data:  # a state, written down
            raise ValueError("more than this release reads")
        return read(data)

    async def scenario() -> tuple[Any, str, list[str]]:
        async with stage(server.address, {"b": no()}) as made:
            monkeypatch.setattr(carry, "unpacked", of_an_older_release)
            started = await made.start(definition, children={"kid": kid})
            paused = await made.until_status(started, lambda found: found["status"] == "paused")
            monkeypatch.setattr(carry, "unpacked", read)
            await sagas.operate(made.client, started.id, Verb.RETRY_STEP)
            ended = await made.end(started)
            return paused["attention"][0], ended.status, (ended.report or {})["undone"]

    attention, status, undone = asyncio.run(scenario())
    assert (attention["path"], attention["type"]) == ("trip.compensation", "InvalidDefinition")
    assert (status, undone) == ("compensated", ["trip"])


@activity.defn(name="foreign.rate")
async def _infinite() -> float:
    return float("inf")


@activity.defn(name="undo.a")
async def _undone(_: dict[str, str]) -> str:
    return "undone by the foreign worker"


def test_a_result_that_json_cannot_carry_is_an_unknown_outcome(server: Server) -> None:
    """N20: a plain worker of Temporal's writes `Infinity`. The step has run, and so it is undone."""
    asked = act("a", activity="foreign.rate", task_queue=f"foreign-{uuid.uuid4()}", retry="none")

    async def scenario() -> tuple[str, str, list[str]]:
        async with stage(server.address) as made:
            worker = Worker(made.client, task_queue=asked["task_queue"], activities=[_infinite, _undone])
            async with worker:
                started = await made.start(saga(asked, name="rates"))
                ended = await made.end(started)
            await replay(made.client, started.id)
            return ended.status, str(ended.error), (ended.report or {})["undone"]

    status, error, undone = asyncio.run(scenario())
    assert (status, undone) == ("compensated", ["a"])
    assert "InvalidOutput" in error
    assert "it holds a number that JSON cannot carry" in error
