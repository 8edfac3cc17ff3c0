"""Signals and decisions from outside: checked before, told of after, counted once, whoever is away (A.7, A.8)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import signalling
from sagadsl.temporal.client import Started
from sagadsl.temporal.read import runs
from sagadsl.temporal.refusals import (
    ComesTooEarly,
    NotAnswered,
    NotAwaited,
    SagaOver,
    SignalRefused,
    UnfitPayload,
    UnknownSignal,
)
from sagadsl.temporal.work import arrivals
from tests.conftest import Server
from tests.engine.scenes import act, plain, saga, slow
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, events, replay, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

BY = {"type": "object", "required": ["by"], "properties": {"by": {"type": "string"}}}


def _wait(id_: str = "ask", **more: Any) -> dict[str, Any]:
    return {"id": id_, "wait_for": {"signal": "approve", "timeout": "1h", **more}}


async def _started(client: Client, queue: str, definition: Mapping[str, Any], **more: Any) -> Started:
    """Start a saga, whether or not a worker is there."""
    return await sagas.start(client, definition, None, id=f"t-{uuid.uuid4().hex[:12]}", task_queue=queue, **more)


def test_one_signal_with_one_id_counts_once_and_says_what_became_of_it(server: Server) -> None:
    """B6: of four eyes, one click is two; taken, repeated, kept."""
    definition = saga(_wait("one", payload=BY), _wait("two"), plain("a"), _wait("three"), name="eyes")

    async def scenario() -> None:
        async with stage(server.address, {"do.a": slow(1)}) as made:
            started = await made.start(definition)
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
            send = (made.client, started.id, "approve")
            first = await signalling.signal(*send, {"by": "ann"}, request="k1")
            again = await signalling.signal(*send, {"by": "ann"}, request="k1")
            await sagas.signal(*send, {"by": "ann"}, request="k1")  # nobody asks first
            found = await runs.status(made.client, started.id)
            assert (first.state, first.step, again.step) == ("taken", "one", "one")
            assert (first.is_repeated, again.is_repeated) == (False, True)
            assert (found["waiting_for"], found["kept_signals"]) == ({"approve": ["two"]}, {})
            second = await signalling.signal(*send, {"by": "bob"}, request="k2")
            await made.until("a")
            kept = await signalling.signal(*send, {"by": "eve"})
            assert (second.step, kept.state) == ("two", "kept")
            assert "kept, since nothing waits for it yet" in str(kept)
            assert (await made.end(started)).output["three"] == {"by": "eve"}
            await replay(made.client, started.id)

    asyncio.run(scenario())


def test_an_id_is_known_again_after_continue_as_new(server: Server) -> None:
    """B6, R50: the ids are carried along."""
    definition = saga(_wait("one"), *(plain(f"s{n}") for n in range(6)), _wait("two", timeout="2s"), name="carried")

    async def scenario() -> None:
        async with stage(server.address) as made:
            started = await made.start(definition, continue_after_events=12)
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
            await sagas.signal(made.client, started.id, "approve", 1, request="k1")
            await made.until("s5")
            await sagas.signal(made.client, started.id, "approve", 1, request="k1")
            ended = await made.end(started)
            described = await made.client.get_workflow_handle(started.id).describe()
            assert ended.error is not None
            assert (ended.error[0], described.run_id != started.run_id) == ("SignalTimeout", True)
            await replay(made.client, started.id)

    asyncio.run(scenario())


def test_a_signal_that_its_wait_refuses_is_answered_with_the_reason(server: Server) -> None:
    """R101: the judge is the run itself. A plain signal, and one that an earlier signal has made late, are told of."""
    refused_if = {"if": "payload.amount > input.limit", "message": "at most {{ input.limit }}"}
    steps = {"id": "ask", "wait_for": {"any": {"approve": {"refused_if": refused_if}, "reject": {}}, "timeout": "1h"}}
    definition = saga(steps, name="refusing", output="{{ steps.ask.output }}")

    async def scenario() -> None:
        async with stage(server.address, definitions=[definition]) as made:
            started = await made.start(definition, {"limit": 100})
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
            with pytest.raises(UnfitPayload) as unfit:
                await signalling.signal(made.client, started.id, "approve", {"amount": 101})
            assert unfit.value.problems == ("at most 100",)
            await sagas.signal(made.client, started.id, "approve", {"amount": 102}, request="k1", by="eve")
            found = await made.until_status(started, lambda found: bool(found.get("refused_signals")))
            (refused,) = found["refused_signals"]
            assert refused.pop("at")
            assert refused == {"signal": "approve", "reason": "at most 100", "request": "k1", "by": "eve"}
            answer = await made.client.get_workflow_handle(started.id).query("request", "k1")
            assert answer == {"taken": False, "reason": "at most 100"}
            assert (await signalling.signal(made.client, started.id, "approve", {"amount": 7})).step == "ask"
            assert (await made.end(started)).output == {"signal": "approve", "payload": {"amount": 7}}

    asyncio.run(scenario())


def test_who_sends_a_signal_gets_the_reply_of_the_step_that_takes_it(server: Server) -> None:
    """R102: our clients, and any Temporal client that sends an update of the signal's name; a repeat gets it again."""
    reply = {"left": "{{ input.limit - payload.amount }}", "by": "{{ saga.name }}"}
    steps = [
        _wait("first", payload={"type": "object", "required": ["amount"]}, reply=reply),
        _wait("second", since="now", reply="{{ steps.first.output.amount / payload.amount }}"),
        {"id": "last", "wait_for": {"signal": "go", "timeout": "1h"}},
    ]
    definition = saga(*steps, name="replying")

    async def scenario() -> None:
        async with stage(server.address, definitions=[definition]) as made:
            started = await made.start(definition, {"limit": 100})
            handle = made.client.get_workflow_handle(started.id)
            await made.until_status(started, lambda found: "approve" in found.get("waiting_for", {}))
            for repeated in (False, True):
                sent = await signalling.signal(made.client, started.id, "approve", {"amount": 7}, request="k1")
                assert (sent.reply, sent.is_repeated) == ({"left": 93, "by": "replying"}, repeated)
            with pytest.raises(WorkflowUpdateFailedError) as cannot:
                await handle.execute_update("approve", {"amount": 0})
            assert isinstance(cannot.value.cause, ApplicationError)
            assert "`second` cannot reply to it" in cannot.value.cause.message
            assert await handle.execute_update("approve", {"amount": 7}, id="u1") == 1
            assert await handle.execute_update("approve", {"amount": 7}, id="u1") == 1
            for name, why in (("aprove", "not found"), ("approve", "nothing in it will wait")):
                with pytest.raises(WorkflowUpdateFailedError) as unknown:
                    await handle.execute_update(name, {"amount": 1})
                assert isinstance(unknown.value.cause, ApplicationError)
                assert why in unknown.value.cause.message
            assert await handle.execute_update("go", None) is None
            ended = await made.end(started)
            assert ended.output["second"] == {"amount": 7}

    asyncio.run(scenario())


@pytest.mark.parametrize("by_name", [False, True], ids=["inline", "by name"])
def test_a_signal_that_the_saga_cannot_take_is_not_sent(server: Server, by_name: bool) -> None:
    """B7: a misspelt name, a payload that does not fit; neither is in the history."""
    definition = saga(_wait(payload=BY), name="checked")

    async def scenario() -> None:
        async with stage(server.address, definitions=[definition]) as made:
            started = await made.start(definition, by_name=by_name)
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
            with pytest.raises(UnknownSignal, match="never waits for a signal `aprove`") as unknown:
                await signalling.signal(made.client, started.id, "aprove")
            with pytest.raises(UnfitPayload) as unfit:
                await signalling.signal(made.client, started.id, "approve", {"by": 7})
            assert unknown.value.help == "did you mean `approve`?"
            assert unfit.value.problems == ("`approve.by`: must be text, got `7`",)
            assert "refused_signals" not in await runs.status(made.client, started.id)
            assert (await signalling.signal(made.client, started.id, "approve", {"by": "ann"})).state == "taken"
            await made.end(started)
            with pytest.raises(SagaOver):
                await signalling.signal(made.client, started.id, "approve", {"by": "ann"})

    asyncio.run(scenario())


def test_a_signal_that_nothing_will_wait_for_is_not_sent(server: Server) -> None:
    """B7, R59: past its wait it would be kept for ever, and decide nothing."""
    late = _wait() | {"on_error": [{"types": ["SignalTimeout"]}]}
    definition = saga(late | {"wait_for": {"signal": "approve", "timeout": "100ms"}}, plain("a"), name="late")

    async def scenario() -> None:
        async with stage(server.address, {"do.a": slow(20)}) as made:
            started = await made.start(definition)
            await made.until("a")
            with pytest.raises(NotAwaited, match="nothing in it will wait for signal `approve` any more"):
                await signalling.signal(made.client, started.id, "approve")
            await sagas.terminate(made.client, started.id, "done")

    asyncio.run(scenario())


def test_a_signal_before_a_wait_that_counts_from_now_is_too_early_and_leaves_no_trace(server: Server) -> None:
    """R59: it would be kept for ever, and decide nothing; while the wait lasts, the same signal counts."""
    definition = saga(plain("a"), _wait(since="now"), name="from-now")

    async def scenario() -> None:
        async with stage(server.address, {"do.a": slow(2)}) as made:
            started = await made.start(definition)
            await made.until("a")
            with pytest.raises(ComesTooEarly, match=r"too early: not taken.*`since: now`") as early:
                await signalling.signal(made.client, started.id, "approve", "early")
            assert (early.value.code, early.value.exit_code) == ("SD967", 4)
            found = await made.until_status(started, lambda found: bool(found.get("waiting_for")))
            assert found["kept_signals"] == {}
            assert (await signalling.signal(made.client, started.id, "approve", "in time")).state == "taken"
            assert (await made.end(started)).output["ask"] == "in time"
            assert "UPDATE_REJECTED" not in " ".join(await events(made.client.get_workflow_handle(started.id)))
            await replay(made.client, started.id)

    asyncio.run(scenario())


def test_of_two_signals_at_once_the_slower_one_is_judged_by_what_the_faster_one_has_done(server: Server) -> None:
    """R59: a worker that was away gets both together; the second one is not told as kept when nothing will take it."""
    definition, queue = saga(_wait(), plain("a"), name="both-at-once"), f"q-{uuid.uuid4().hex[:8]}"

    async def scenario() -> None:
        async with stage(server.address, queue=queue) as made:
            started = await made.start(definition)
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
        sending = [
            asyncio.create_task(signalling.signal(made.client, started.id, "approve", number)) for number in range(2)
        ]
        async with stage(server.address, {"do.a": slow(2)}, queue=queue) as again:
            answers = await asyncio.gather(*sending, return_exceptions=True)
            assert [each.state for each in answers if isinstance(each, signalling.Sent)] == ["taken"]
            assert [type(each) for each in answers if isinstance(each, Exception)] == [NotAwaited]
            await again.end(started)
            await replay(again.client, started.id)

    asyncio.run(scenario())


def test_a_signal_to_a_run_that_was_started_with_no_definition_at_all_is_sent_unchecked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B7: whoever may start workflows may send anything; as long as no worker has looked, nobody knows."""
    monkeypatch.setattr(signalling, "ANSWER_SECONDS", 0.5)

    async def scenario() -> None:
        client = await Client.connect(server.address)
        for envelope in ({"foo": 1}, {"sagadsl": 1, "definition": {"steps": 7}}, [1]):
            id_ = f"t-{uuid.uuid4().hex[:12]}"
            await client.start_workflow("odd", args=[None, envelope], id=id_, task_queue=f"q-{id_}")
            with pytest.raises(NotAnswered, match=r"`signal approve` was sent .*, and no worker has answered"):
                await signalling.signal(client, id_, "approve")
            await sagas.terminate(client, id_, "done")

    asyncio.run(scenario())


def test_what_cannot_be_checked_is_said_to_be_sent_unchecked_and_its_refusal_is_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B7: no worker has said yet what the saga of this name is."""
    definition, queue = saga(_wait(payload=BY), name="unchecked"), f"q-{uuid.uuid4().hex[:8]}"

    async def scenario() -> None:
        client = await Client.connect(server.address)
        started = await _started(client, queue, definition, by_name=True)
        with monkeypatch.context() as patch:
            patch.setattr(signalling, "ANSWER_SECONDS", 0.5)
            with pytest.raises(NotAnswered) as unanswered:
                await signalling.signal(client, started.id, "aprove", request="k1")
        assert f"`sagadsl signal {started.id} aprove --payload … --request k1`" in unanswered.value.help
        async with stage(server.address, queue=queue, definitions=[definition]) as made:
            found = await made.until_status(started, lambda found: bool(found.get("refused_signals")))
            assert found["refused_signals"][0]["request"] == "k1"
            await sagas.terminate(client, started.id, "done")

    asyncio.run(scenario())


def test_who_sent_a_signal_and_why_is_kept_in_the_saga_also_over_continue_as_new(server: Server) -> None:
    """R59: of a signal that is taken at once, and of one that is kept for a later run of the saga."""
    slow_down = (plain(f"s{n}") for n in range(6))
    definition = saga(_wait("one"), *slow_down, _wait("two"), _wait("three"), name="signed")

    async def scenario() -> None:
        async with stage(server.address) as made:
            started = await made.start(definition, continue_after_events=12)
            send = (made.client, started.id, "approve")
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
            taken = await signalling.signal(*send, by="ann", why="looks fine")
            kept = await signalling.signal(*send, by="bob")
            found = await made.until_status(started, lambda found: found["waiting_for"] == {"approve": ["three"]})
            await sagas.signal(*send, by="eve", request="plain")
            await made.end(started)
            over = await runs.status(made.client, started.id)
            await replay(made.client, started.id)
            described = await made.client.get_workflow_handle(started.id).describe()
            assert described.run_id != started.run_id
            assert (taken.state, kept.state) == ("taken", "kept")
            senders = {step["path"]: step["sender"]["by"] for step in over["steps"] if "sender" in step}
            assert senders == {"one": "ann", "two": "bob", "three": "eve"}
            (first,) = (step["sender"] for step in found["steps"] if step["path"] == "one")
            assert (first["why"], set(first)) == ("looks fine", {"at", "by", "why"})

    asyncio.run(scenario())


def test_an_answer_costs_two_events_and_a_refusal_none(server: Server) -> None:
    """An update is accepted and completed; a plain signal is one event. A refused update is none at all."""
    definition = saga(_wait("one", payload=BY), _wait("two"), _wait("three"), name="counted")

    async def scenario() -> tuple[list[str], list[str], list[str]]:
        async with stage(server.address) as made:
            started = await made.start(definition)
            handle = made.client.get_workflow_handle(started.id)
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
            before = await events(handle)
            with pytest.raises(UnfitPayload):
                await signalling.signal(made.client, started.id, "approve", {"by": 7})
            refused = await events(handle)
            await signalling.signal(made.client, started.id, "approve", {"by": "ann"})
            answered = await events(handle)
            await sagas.signal(made.client, started.id, "approve", {"by": "bob"})
            await made.until_status(started, lambda found: found["waiting_for"] == {"approve": ["three"]})
            signalled = await events(handle)
            await sagas.terminate(made.client, started.id, "done")
            return (
                list(refused[len(before) :]),
                _other_than_tasks(answered[len(refused) :]),
                _other_than_tasks(signalled[len(answered) :]),
            )

    assert asyncio.run(scenario()) == (
        [],
        ["WORKFLOW_EXECUTION_UPDATE_ACCEPTED", "WORKFLOW_EXECUTION_UPDATE_COMPLETED"],
        ["WORKFLOW_EXECUTION_SIGNALED"],
    )


def _other_than_tasks(found: Sequence[str]) -> list[str]:
    return [each for each in found if "WORKFLOW_TASK" not in each and "TIMER" not in each]


def test_a_signal_that_comes_before_the_definition_is_known_is_answered_when_it_is(server: Server) -> None:
    """R59: the saga of this name is known to its workers alone; what does not fit is refused then."""
    rest = {"id": "rest", "wait_for": {"signal": "go"}}  # both are answered before the saga is over
    definition, queue = saga(_wait(payload=BY), rest, name="early-signals"), f"q-{uuid.uuid4().hex[:8]}"

    async def scenario() -> None:
        client = await Client.connect(server.address)
        started = await _started(client, queue, definition, by_name=True)
        send = (client, started.id, "approve")
        fit = asyncio.create_task(signalling.signal(*send, {"by": "ann"}))
        unfit = asyncio.create_task(signalling.signal(*send, {"by": 7}))
        async with stage(server.address, queue=queue, definitions=[definition]) as made:
            assert (await fit).state in ("kept", "taken")
            with pytest.raises(UnfitPayload):
                await unfit
            await sagas.signal(client, started.id, "go")
            assert (await made.end(started)).status == "completed"
            await replay(client, started.id)

    asyncio.run(scenario())


def test_a_saga_that_was_refused_takes_no_signal(server: Server) -> None:
    """The reason is told."""
    definition = saga(_wait(), name="unfit-input", input={"type": "object"})

    async def scenario() -> None:
        async with stage(server.address, definitions=[definition]) as made:
            id_ = f"t-{uuid.uuid4().hex[:12]}"
            await made.client.start_workflow("unfit-input", 7, id=id_, task_queue=made.queue)
            with pytest.raises((SignalRefused, SagaOver)):
                await signalling.signal(made.client, id_, "approve")

    asyncio.run(scenario())


def test_a_worker_of_an_older_release_gets_a_plain_signal(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not know the update; it says afterwards what became of the signal."""
    definition = saga(_wait(payload=BY), name="older")

    async def scenario() -> Sequence[str]:
        async with stage(server.address) as made:
            started = await made.start(definition)
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
            monkeypatch.setattr(sagas, "DELIVER_SIGNAL", "deliver_signal_2")
            monkeypatch.setattr(signalling, "DELIVER_SIGNAL", "deliver_signal_2")
            with pytest.raises(UnknownSignal):
                await signalling.signal(made.client, started.id, "aprove")
            sent = await signalling.signal(made.client, started.id, "approve", {"by": "ann"}, by="ann")
            assert (sent.state, sent.step) == ("taken", "ask")
            await made.end(started)
            return await events(made.client.get_workflow_handle(started.id))

    found = asyncio.run(scenario())

    assert "WORKFLOW_EXECUTION_SIGNALED" in found
    assert "WORKFLOW_EXECUTION_UPDATE_ACCEPTED" not in found


def test_a_signal_that_nobody_answered_in_an_outage_counts_once_and_by_when_it_came(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """N9: the update is still on its way when the plain signal has come, in time; the worker hears of both too late."""
    definition, queue = saga(_wait(timeout="3s"), _wait("again"), name="both-ways"), f"q-{uuid.uuid4().hex[:8]}"

    async def scenario() -> None:
        async with stage(server.address, queue=queue) as made:
            started = await made.start(definition)
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
        with monkeypatch.context() as patch:
            patch.setattr(signalling, "ANSWER_SECONDS", 0.3)
            with pytest.raises(NotAnswered) as unanswered:
                await signalling.signal(made.client, started.id, "approve", "yes")
        async with asyncio.timeout(PATIENCE):
            while "TIMER_FIRED" not in await events(made.client.get_workflow_handle(started.id)):
                await asyncio.sleep(0.1)
        async with stage(server.address, queue=queue) as again:
            found = await again.until_status(started, lambda found: found["waiting_for"] == {"approve": ["again"]})
            repeated = await signalling.signal(
                again.client, started.id, "approve", "yes", request=unanswered.value.request
            )
            assert found["kept_signals"] == {}
            assert (repeated.state, repeated.step, repeated.is_repeated) == ("taken", "ask", True)
            await sagas.terminate(again.client, started.id, "done")
            await replay(again.client, started.id)

    asyncio.run(scenario())


@pytest.mark.parametrize("is_in_time", [True, False], ids=["in time", "too late"])
def test_a_signal_that_is_heard_after_an_outage_counts_by_when_it_came(server: Server, is_in_time: bool) -> None:
    """N9, R34: whatever the order in which Temporal tells them, and however late: by the server's record."""
    definition, queue = saga(_wait(timeout="2s"), act("a"), name="outage"), f"q-{uuid.uuid4().hex[:8]}"

    async def scenario() -> None:
        async with stage(server.address, queue=queue) as made:
            started = await made.start(definition)
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
        handle = made.client.get_workflow_handle(started.id)
        if is_in_time:
            await sagas.signal(made.client, started.id, "approve", "yes")
        async with asyncio.timeout(PATIENCE):
            while "TIMER_FIRED" not in await events(handle):
                await asyncio.sleep(0.1)
        if not is_in_time:
            await sagas.signal(made.client, started.id, "approve", "yes")
        async with stage(server.address, queue=queue) as again:
            ended = await again.end(started)
            await replay(again.client, started.id)
            if is_in_time:
                assert (ended.status, ended.output["ask"], again.begun) == ("completed", "yes", ["a"])
            else:
                assert ended.error is not None
                assert (ended.error[0], again.begun) == ("SignalTimeout", [])

    asyncio.run(scenario())


def test_a_signal_of_which_nobody_knows_when_it_came_is_late(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """N9: no approval passes for one in time because the server's record cannot be read."""
    definition, queue = saga(_wait(timeout="2s"), name="unreadable"), f"q-{uuid.uuid4().hex[:8]}"

    def unreadable(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no access")

    async def scenario() -> None:
        async with stage(server.address, queue=queue) as made:
            started = await made.start(definition)
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
        await sagas.signal(made.client, started.id, "approve", "yes")
        async with asyncio.timeout(PATIENCE):
            while "TIMER_FIRED" not in await events(made.client.get_workflow_handle(started.id)):
                await asyncio.sleep(0.1)
        monkeypatch.setattr(arrivals, "when", unreadable)
        async with stage(server.address, queue=queue) as again:
            ended = await again.end(started)
        assert ended.error is not None
        assert ended.error[0] == "SignalTimeout"

    asyncio.run(scenario())
