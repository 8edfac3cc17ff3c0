"""Nexus operations as steps and as compensations, on a real server, with a handler that is not ours."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import nexusrpc
import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from sagadsl.engine.call_errors import SECOND_TRY
from sagadsl.engine.facts import How
from sagadsl.engine.verbs import Verb
from sagadsl.status.lines import rows
from sagadsl.status.narrative import sentences
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import recovery
from sagadsl.temporal.client import Started
from sagadsl.temporal.read import following, runs
from sagadsl.temporal.read.trace import trace
from sagadsl.temporal.wire.requests import Asked
from tests.conftest import Server
from tests.engine.scenes import act, no, saga
from tests.patience import PATIENCE
from tests.temporal.codecs import aes_codec
from tests.temporal.nexus_handler import Desk, Seen, create_endpoint, serving
from tests.temporal.play import SDK_RACE, Played, Stage, converter, events, playing, reset

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

Definition = Callable[[str], dict[str, Any]]


def nexus(id_: str, operation: str, endpoint: str, **more: Any) -> dict[str, Any]:
    """A step that calls an operation, and is undone by the operation ``refund``."""
    target = {"endpoint": endpoint, "service": "Payments"}
    step = {
        "id": id_,
        "nexus": {**target, "operation": operation},
        "compensation": {"nexus": {**target, "operation": "refund"}},
        **more,
    }
    return {key: value for key, value in step.items() if value is not ...}


def scene(
    where: dict[str, Any],
    desk: Desk,
    definition: Definition,
    *,
    endpoint: bool = True,
    act: Callable[[Stage, Started], Awaitable[None]] | None = None,
    script: Any = None,
    **more: Any,
) -> Played:
    """Play a saga beside a handler; *definition* gets the name of the endpoint."""

    async def played() -> Played:
        name = f"e-{uuid.uuid4().hex[:12]}"
        client = await Client.connect(where["address"], data_converter=converter(more.get("codec")))
        if endpoint:
            await create_endpoint(client, name, f"q-{name}")
        async with serving(client, desk, f"q-{name}"):
            return await playing(definition=definition(name), script=script, act=act, **where, **more)

    return asyncio.run(played())


def raising(make: Callable[[], BaseException]) -> Callable[[Desk, Seen, int], Awaitable[Any]]:
    async def act(_desk: Desk, _seen: Seen, _time: int) -> Any:
        raise make()

    return act


def step(played: Played, path: str) -> Any:
    return next(each for each in played.status["steps"] if each["path"] == path)


def undone(played: Played) -> list[str]:
    """Return what was undone of a saga, also of a cancelled one, whose run has no report."""
    return [each["path"] for each in played.status["steps"] if each.get("compensation", {}).get("status") == "done"]


def test_an_operation_is_called_with_its_key_and_undone_by_another(where: dict[str, Any]) -> None:
    """R117: what has happened over Nexus is undone over Nexus."""
    desk = Desk()
    played = scene(
        where,
        desk,
        lambda to: saga(nexus("pay", "charge", to, input={"amount": "{{ input.amount }}"}), act("ship")),
        script={"do.ship": no("NoTruck")},
        input_={"amount": 5},
    )

    assert played.ended.status == "compensated"
    assert played.report["undone"] == ["pay"]
    assert [(each.call, each.input) for each in desk.seen] == [
        ("pay", {"amount": 5}),
        ("pay.compensation", {"amount": 5}),
    ]
    forward, undo = desk.seen
    assert forward.key == f"{played.started.id}/pay/do"
    assert undo.key == f"{played.started.id}/pay/undo"
    shown = step(played, "pay")
    assert shown["kind"] == "nexus"
    assert shown["nexus"].endswith(":Payments.charge")
    assert played.events.count("NEXUS_OPERATION_SCHEDULED") == 2


def test_an_operation_may_take_long_and_gives_its_output(where: dict[str, Any]) -> None:
    played = scene(
        where,
        Desk(),
        lambda to: saga(nexus("move", "transfer", to, input="5 EUR"), output="{{ steps.move.output.transferred }}"),
    )

    assert (played.ended.status, played.ended.output) == ("completed", "5 EUR")
    assert "NEXUS_OPERATION_STARTED" in played.events


def test_what_an_operation_says_no_with_is_its_error_and_nothing_is_undone(where: dict[str, Any]) -> None:
    """R118: it had started, so the no is its own."""
    desk = Desk()
    played = scene(where, desk, lambda to: saga(nexus("move", "transfer", to, input="refuses")))

    assert played.ended.error[0] == "NoMoney"
    assert (step(played, "move")["outcome"], desk.calls) == ("failed", ["move"])


@pytest.mark.parametrize(
    ("make", "type_"),
    [
        (lambda: ApplicationError("sold out", type="SoldOut", non_retryable=True), "SoldOut"),
        (lambda: nexusrpc.OperationError("no", state=nexusrpc.OperationErrorState.FAILED), "OperationError"),
        (lambda: nexusrpc.HandlerError("what?", type=nexusrpc.HandlerErrorType.BAD_REQUEST), "BAD_REQUEST"),
    ],
    ids=["application error", "operation error", "handler error"],
)
def test_an_error_that_ends_an_operation_has_the_type_that_the_handler_gave_it(
    server: Server, make: Callable[[], BaseException], type_: str
) -> None:
    """R118: nobody knows what came before an answer that took 0.7 seconds or longer."""
    desk = Desk({"charge": raising(make)})
    played = scene({"address": server.address}, desk, lambda to: saga(nexus("pay", "charge", to)))

    assert played.ended.error[0] == type_
    outcome = step(played, "pay")["outcome"]
    took = asyncio.run(_took(server.address, played.started.id))
    assert outcome == ("failed" if took < SECOND_TRY else "unknown")
    assert played.report["undone"] == ([] if outcome == "failed" else ["pay"])


async def _took(address: str, id_: str) -> float:
    times: list[float] = []
    client = await Client.connect(address)
    async for event in client.get_workflow_handle(id_).fetch_history_events():
        if (event.WhichOneof("attributes") or "").startswith("nexus_operation_"):
            times.append(event.event_time.ToNanoseconds() / 1e9)
    return times[1] - times[0]


def test_a_no_to_a_second_try_leaves_open_what_the_first_did(server: Server) -> None:
    """R118: the server tries an operation again by itself. So the step is undone."""

    async def charge(_desk: Desk, _seen: Seen, time: int) -> Any:
        if time == 1:
            raise ValueError("the connection broke")
        raise nexusrpc.OperationError("no", state=nexusrpc.OperationErrorState.FAILED)

    desk = Desk({"charge": charge})
    played = scene({"address": server.address}, desk, lambda to: saga(nexus("pay", "charge", to)))

    assert (step(played, "pay")["outcome"], played.report["undone"]) == ("unknown", ["pay"])
    assert desk.calls == ["pay", "pay", "pay.compensation"]
    assert len({each.request for each in desk.seen[:2]}) == 1
    assert len({each.key for each in desk.seen[:2]}) == 1


def test_the_status_shows_why_an_operation_is_tried_again(server: Server) -> None:
    async def charge(desk: Desk, _seen: Seen, _time: int) -> Any:
        if not desk.let_go.is_set():
            raise ValueError("the connection broke")
        return "ok"

    desk, texts = Desk({"charge": charge}), []

    async def look(made: Stage, started: Started) -> None:
        async with asyncio.timeout(PATIENCE):
            while not any(each.failure for each in texts):
                found = await following.picture(made.client, started.id)
                texts.extend(found.attempts[path] for path in found.attempts if path == "pay")
                await asyncio.sleep(0.05)
        desk.let_go.set()

    played = scene({"address": server.address}, desk, lambda to: saga(nexus("pay", "charge", to)), act=look)

    assert played.ended.status == "completed"
    assert "the connection broke" in texts[-1].failure
    assert texts[-1].number > 1


def test_an_operation_that_is_never_answered_is_undone_when_its_time_is_up(where: dict[str, Any]) -> None:
    """R118: nobody knows what it did; the error names the limit."""

    async def charge(desk: Desk, _seen: Seen, _time: int) -> Any:
        await desk.let_go.wait()

    desk = Desk({"charge": charge})
    limits = {"schedule_to_close": "1500ms"}
    played = scene(where, desk, lambda to: saga(nexus("pay", "charge", to, timeouts=limits)))

    assert played.ended.error[0] == "timeout"
    assert "schedule_to_close timeout of 1s500ms" in played.ended.error[1]
    assert (step(played, "pay")["outcome"], played.report["undone"]) == ("unknown", ["pay"])


def test_a_handler_that_is_killed_is_asked_again_elsewhere(server: Server) -> None:
    """R118, R53: the same request and the same key; and a no to it would leave open what the first handler did."""
    desk, queue = Desk(), f"q-{uuid.uuid4().hex[:12]}"
    desk.acts["charge"] = raising(lambda: nexusrpc.OperationError("no", state=nexusrpc.OperationErrorState.FAILED))

    async def played() -> Played:
        client = await Client.connect(server.address)
        await create_endpoint(client, f"e{queue}", queue)
        command = (sys.executable, "-m", "tests.temporal.nexus_handler", server.address, queue)
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        async with contextlib.AsyncExitStack() as elsewhere:

            async def kill(_made: Stage, _started: Started) -> None:
                assert process.stdout is not None
                assert await process.stdout.readline() == b"asked\n"
                process.kill()
                await process.communicate()  # so that its pipe is closed before the loop is
                await elsewhere.enter_async_context(serving(client, desk, queue))

            try:
                assert await process.stdout.readline() == b"serves\n"
                return await playing(server.address, saga(nexus("pay", "charge", f"e{queue}")), act=kill)
            finally:
                if process.returncode is None:
                    process.kill()

    found = asyncio.run(played())
    assert (step(found, "pay")["outcome"], found.report["undone"]) == ("unknown", ["pay"])
    assert desk.calls == ["pay", "pay.compensation"]


def test_a_cancel_reaches_an_operation_that_has_started(where: dict[str, Any]) -> None:
    """R12, R118: what it did until then is unknown, so it is undone after it has ended."""
    desk = Desk()

    async def cancel(made: Stage, started: Started) -> None:
        await _until_event(made, started, "NEXUS_OPERATION_STARTED")
        await sagas.cancel(made.client, started.id)

    played = scene(where, desk, lambda to: saga(nexus("move", "transfer", to, input="lasts")), act=cancel)

    assert (played.ended.status, undone(played)) == ("cancelled", ["move"])
    assert "NEXUS_OPERATION_CANCELED" in played.events
    assert step(played, "move")["outcome"] == "unknown"


def test_an_operation_may_end_well_although_it_was_asked_to_stop(server: Server) -> None:
    """R29: its result counts, and is undone like any other."""
    desk = Desk()

    async def cancel(made: Stage, started: Started) -> None:
        await _until_event(made, started, "NEXUS_OPERATION_STARTED")
        await sagas.cancel(made.client, started.id)

    asked = "finishes when it is told to stop"
    played = scene(
        {"address": server.address}, desk, lambda to: saga(nexus("move", "transfer", to, input=asked)), act=cancel
    )

    assert (played.ended.status, undone(played)) == ("cancelled", ["move"])
    assert step(played, "move")["outcome"] == "succeeded"


def test_a_saga_that_is_cancelled_waits_for_an_operation_that_is_being_started(where: dict[str, Any]) -> None:
    """R12: nothing is undone while it may still happen."""

    async def charge(desk: Desk, _seen: Seen, _time: int) -> Any:
        await desk.let_go.wait()
        return "paid"

    desk = Desk({"charge": charge})

    async def cancel(made: Stage, started: Started) -> None:
        await desk.until("charge")
        await sagas.cancel(made.client, started.id)
        await made.until_status(started, lambda found: bool(found["status"] == "compensating"))
        assert desk.calls == ["pay"]
        desk.let_go.set()

    played = scene(where, desk, lambda to: saga(nexus("pay", "charge", to)), act=cancel)

    assert (played.ended.status, undone(played)) == ("cancelled", ["pay"])
    assert desk.calls == ["pay", "pay.compensation"]


async def _until_event(made: Stage, started: Started, wanted: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while wanted not in await events(made.client.get_workflow_handle(started.id)):
            await asyncio.sleep(0.05)


def test_an_endpoint_that_the_server_does_not_have_fails_the_step_and_blocks_nothing(where: dict[str, Any]) -> None:
    """R119: the error says how to make it, and nothing has happened."""
    desk = Desk()
    played = scene(where, desk, lambda to: saga(act("book"), nexus("pay", "charge", to)), endpoint=False)

    assert played.ended.status == "compensated"
    assert played.ended.error[0] == "NexusEndpointNotFound"
    assert "temporal operator nexus endpoint create --name e-" in played.ended.error[1]
    assert (played.report["undone"], desk.calls) == (["book"], [])
    assert step(played, "pay")["outcome"] == "not_started"
    assert "WORKFLOW_TASK_FAILED" not in played.events


def test_a_compensation_whose_endpoint_is_missing_waits_for_somebody_who_makes_it(server: Server) -> None:
    """R119, R20."""
    desk, late = Desk(), f"late-{uuid.uuid4().hex[:12]}"
    undo = {"nexus": {"endpoint": late, "service": "Payments", "operation": "refund"}}

    async def help(made: Stage, started: Started) -> None:
        await made.until_status(started, lambda found: bool(found["status"] == "paused"))
        await create_endpoint(made.client, late, f"q-{late}")
        await sagas.operate(made.client, started.id, Verb.RETRY_STEP, Asked("pay.compensation"))

    async def played() -> Played:
        client = await Client.connect(server.address)
        async with serving(client, desk, f"q-{late}"):
            definition = saga(act("pay", compensation=undo), act("ship"))
            return await playing(server.address, definition, {"do.ship": no("NoTruck")}, act=help)

    found = asyncio.run(played())
    assert (found.ended.status, found.report["undone"]) == ("compensated", ["pay"])
    assert desk.calls == ["pay.compensation#2"]


def test_no_more_operations_are_under_way_than_the_server_takes(server: Server) -> None:
    """R117: with one more than 30 the server would refuse the whole workflow task, again and again."""

    async def charge(desk: Desk, _seen: Seen, _time: int) -> Any:
        await desk.let_go.wait()
        return "ok"

    desk = Desk({"charge": charge})

    async def release(_made: Stage, _started: Started) -> None:
        await desk.until("charge", 30)
        desk.let_go.set()

    loop = {"items": [*range(45)], "max_concurrency": "unlimited"}
    played = scene(
        {"address": server.address},
        desk,
        lambda to: saga({"id": "all", "for_each": loop, "steps": [nexus("pay", "charge", to)]}),
        act=release,
    )

    assert played.ended.status == "completed"
    assert (desk.times("charge"), "WORKFLOW_TASK_FAILED" in played.events) == (45, False)


def test_operations_with_large_inputs_are_sent_one_message_after_the_other(server: Server) -> None:
    """R52: the server ends a run whose workflow task has more than 4 MB."""
    desk = Desk()
    big = {"text": "x" * 1_500_000}
    branches = [nexus(f"pay{number}", "charge", "TO", input="{{ input }}", compensation="none") for number in range(4)]

    def definition(to: str) -> dict[str, Any]:
        made = [{**each, "nexus": {**each["nexus"], "endpoint": to}} for each in branches]
        return saga({"id": "all", "parallel": made}, output="done")

    played = scene({"address": server.address}, desk, definition, input_=big)

    assert (played.ended.status, sorted(desk.calls)) == ("completed", [f"all/pay{number}" for number in range(4)])
    assert all(each.input == big for each in desk.seen)


def test_the_status_says_that_the_server_holds_operations_back(server: Server) -> None:
    """Many operations that break one after the other open the circuit breaker of their endpoint."""
    desk, held = Desk({"charge": raising(lambda: ValueError("the connection broke"))}), []

    async def look(made: Stage, started: Started) -> None:
        async with asyncio.timeout(PATIENCE):
            while not any("the connection broke" in each for each in held):  # one that never went out has no error
                found = await following.picture(made.client, started.id)
                held.extend(each.failure for each in found.attempts.values() if "held back" in each.failure)
                await asyncio.sleep(0.05)
        await sagas.terminate(made.client, started.id, "for the test")

    loop = {"items": [*range(10)], "max_concurrency": "unlimited"}
    scene(
        {"address": server.address},
        desk,
        lambda to: saga({"id": "all", "for_each": loop, "steps": [nexus("pay", "charge", to)]}),
        act=look,
    )
    assert all(each.startswith("held back by the server: ") for each in held)


def test_what_a_killed_run_has_called_over_nexus_is_undone_by_the_run_that_takes_it_up(server: Server) -> None:
    """R31: an operation that was under way may have happened."""
    desk = Desk()

    async def kill(made: Stage, started: Started) -> None:
        await _until_event(made, started, "NEXUS_OPERATION_STARTED")
        await sagas.terminate(made.client, started.id, "for the test")
        prospect = await recovery.look(made.client, started.id, "recover", How.UNDO, waits=False)
        await recovery.take_up(made.client, prospect, by="ann", why="killed", waits=False)

    definition: Definition = lambda to: saga(  # noqa: E731
        nexus("pay", "charge", to), nexus("move", "transfer", to, input="lasts")
    )
    played = scene({"address": server.address}, desk, definition, act=kill)

    assert played.report["undone"] == ["move", "pay"]
    assert desk.calls == ["pay", "move", "move.compensation", "pay.compensation"]


def test_an_operation_of_a_saga_that_is_reset_has_the_same_key(server: Server) -> None:
    """R58: with another request id, so that only the key tells that it is the same."""
    desk = Desk()

    async def again(made: Stage, started: Started) -> None:
        await runs.result(made.client, started.id)
        await reset(made.client, started.id)

    played = scene({"address": server.address}, desk, lambda to: saga(nexus("pay", "charge", to)), act=again)

    assert played.ended.status == "completed"
    assert (desk.calls, len({each.key for each in desk.seen})) == (["pay", "pay"], 1)
    assert len({each.request for each in desk.seen}) == 2


def test_what_is_sent_over_nexus_is_encoded_by_the_codec_of_the_saga(server: Server) -> None:
    desk = Desk()
    played = scene(
        {"address": server.address},
        desk,
        lambda to: saga(nexus("pay", "charge", to, input={"card": "hush-4711"}), output="{{ steps.pay.output }}"),
        codec=aes_codec(),
    )

    assert (played.ended.status, played.ended.output) == ("completed", "ok")
    assert desk.seen[0].input == {"card": "hush-4711"}
    assert b"hush-4711" not in asyncio.run(_history(server.address, played.started.id))


async def _history(address: str, id_: str) -> bytes:
    client = await Client.connect(address)
    found = [each async for each in client.get_workflow_handle(id_).fetch_history_events()]
    assert any(each.HasField("nexus_operation_scheduled_event_attributes") for each in found)
    return b"".join(each.SerializeToString() for each in found)


def test_the_lines_of_a_status_and_its_story_name_the_operation(server: Server) -> None:
    played = scene({"address": server.address}, Desk(), lambda to: saga(nexus("pay", "charge", to)))
    (row,) = rows(played.status, {}, datetime.now(UTC))

    assert re.fullmatch(r"nexus e-\w+:Payments\.charge", row.what)
    assert any("`pay`" in sentence for sentence in sentences(played.status))


def test_a_client_sees_the_operations_of_a_saga_in_its_trace(server: Server) -> None:
    desk, found = Desk({"charge": raising(lambda: ApplicationError("x", type="SoldOut", non_retryable=True))}), []

    async def look(made: Stage, started: Started) -> None:
        await runs.result(made.client, started.id)
        found.append(await trace(made.client, started.id))

    scene(
        {"address": server.address},
        desk,
        lambda to: saga(nexus("move", "transfer", to, input="5"), nexus("pay", "charge", to, compensation=...)),
        act=look,
    )
    (traced,) = found
    first, second = traced.calls[:2]
    assert (first.path, first.input, first.output, first.status) == ("move", "5", {"transferred": "5"}, "completed")
    assert (second.path, second.status, second.error) == ("pay", "failed", ("SoldOut", "x"))
