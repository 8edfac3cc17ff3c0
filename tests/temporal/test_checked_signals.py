"""Signals and decisions from outside: checked before, told of after, counted once, whoever is away (A.7, A.8)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from sagadsl.engine.facts import Verb
from sagadsl.temporal import arrivals, signalling
from sagadsl.temporal import client as sagas
from sagadsl.temporal.client import Started
from sagadsl.temporal.read import runs
from sagadsl.temporal.refusals import (
    NotAnswered,
    NotAwaited,
    NotBegun,
    NotPossible,
    SagaOver,
    SignalRefused,
    UnfitPayload,
    UnknownSignal,
)
from sagadsl.temporal.requests import Asked
from tests.conftest import Server
from tests.engine.scenes import act, no, plain, saga, slow
from tests.temporal.play import SDK_RACE, events, replay, reset, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

BY = {"type": "object", "required": ["by"], "properties": {"by": {"type": "string"}}}


def _wait(id_: str = "ask", **more: Any) -> dict[str, Any]:
    return {"id": id_, "wait_for": {"signal": "approve", "timeout": "1h", **more}}


TWO_UNDOS = saga(act("a"), act("b"), act("c"), name="two-undos")
DOWN = {"do.c": no(), "undo.a": no("Down"), "undo.b": no("Down")}


def _waits(*paths: str) -> Any:
    return lambda found: [each["path"] for each in found.get("attention", ())] == list(paths)


async def _started(client: Client, queue: str, definition: Mapping[str, Any], **more: Any) -> Started:
    """Start a saga, whether or not a worker is there."""
    return await sagas.start(client, definition, None, id=f"t-{uuid.uuid4().hex[:12]}", task_queue=queue, **more)


def test_a_decision_that_nobody_answered_counts_once_when_it_is_sent_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A.7, R22: it is carried out when a worker comes back; the same command is the same decision, and skips one."""
    queue = f"q-{uuid.uuid4().hex[:8]}"

    async def scene() -> tuple[set[str], dict[str, Any]]:
        async with stage(server.address, DOWN, queue=queue) as made:
            started = await made.start(TWO_UNDOS)
            await made.until_status(started, _waits("b.compensation"))
        requests = set()
        with monkeypatch.context() as patch:
            patch.setattr(runs, "ANSWER_SECONDS", 0.5)
            for _ in range(2):
                with pytest.raises(NotAnswered, match="may still be carried out") as caught:
                    await sagas.operate(made.client, started.id, Verb.SKIP_STEP, Asked("b.compensation"))
                requests.add(caught.value.request)
        async with stage(server.address, DOWN, queue=queue) as again:
            found = await again.until_status(started, _waits("a.compensation"))
            (request,) = requests
            await sagas.operate(again.client, started.id, Verb.SKIP_STEP, Asked("b.compensation"), request=request)
            with pytest.raises(NotPossible, match="is decided already"):
                await sagas.operate(again.client, started.id, Verb.SKIP_STEP, Asked("b.compensation"))
            await sagas.terminate(again.client, started.id, "done")
        return requests, found

    requests, found = asyncio.run(scene())

    assert len(requests) == 1
    assert [(each["verb"], each["path"]) for each in found["actions"]] == [("skip_step", "b.compensation")]


def test_a_skip_names_what_it_skips_and_which_time_it_waits(server: Server) -> None:
    """A.7, R22: a decision about one failure is never taken for one about the next."""

    async def scene() -> list[str]:
        async with stage(server.address, DOWN) as made:
            started = await made.start(TWO_UNDOS)
            await made.until_status(started, _waits("b.compensation"))
            with pytest.raises(NotPossible, match="say which one is left out"):
                await sagas.operate(made.client, started.id, Verb.SKIP_STEP)
            asked: dict[str, Any] = {"path": "b.compensation", "occurrence": 1}
            await sagas.operate(made.client, started.id, Verb.RETRY_STEP, Asked(**asked))
            await made.until_status(started, lambda found: found["attention"][:1] != [] and _occurrence(found) == 2)
            with pytest.raises(NotPossible, match="that is decided already"):
                await sagas.operate(made.client, started.id, Verb.SKIP_STEP, Asked(**asked))
            found = await runs.status(made.client, started.id)
            await sagas.operate(made.client, started.id, Verb.ABORT)
            await made.end(started)
            await replay(made.client, started.id)
            return [each["verb"] for each in found["actions"]]

    assert asyncio.run(scene()) == ["retry_step"]


def _occurrence(found: Mapping[str, Any]) -> int:
    return int(found["attention"][0]["occurrence"])


@pytest.mark.parametrize("by_name", [False, True], ids=["inline", "by name"])
def test_a_pause_before_the_first_task_is_kept_also_over_a_reset(server: Server, by_name: bool) -> None:
    """N7, R22: nothing begins before it is resumed; what makes no sense then is refused with the reason that holds."""
    definition, queue = saga(act("a"), name="early"), f"q-{uuid.uuid4().hex[:8]}"

    async def scene() -> None:
        client = await Client.connect(server.address)
        started = await _started(client, queue, definition, by_name=by_name)
        handle = client.get_workflow_handle(started.id)
        pausing = asyncio.create_task(handle.execute_update("pause", {"by": "ann"}))
        skipping = asyncio.create_task(handle.execute_update("skip_step", {"path": "a"}))
        async with stage(server.address, queue=queue, definitions=[definition]) as made:
            assert await asyncio.wait_for(pausing, 20) == {"status": "paused"}
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await asyncio.wait_for(skipping, 20)
            assert isinstance(refused.value.cause, ApplicationError)
            assert refused.value.cause.message == "nothing waits for an operator"
            await reset(client, started.id)
            found = await made.until_status(started, lambda found: bool(found.get("actions")))
            assert (found["status"], [each["verb"] for each in found["actions"]]) == ("paused", ["pause"])
            assert made.begun == []
            await sagas.operate(client, started.id, Verb.RESUME)
            assert (await made.end(started)).status == "completed"
            await replay(client, started.id)

    asyncio.run(scene())


def test_a_saga_that_begins_later_is_not_woken_by_an_operator(server: Server) -> None:
    """N7: refused with the reason and the time left; a signal waits for it."""

    async def scene() -> None:
        async with stage(server.address, definitions=[saga(_wait(), name="later")]) as made:
            id_ = f"t-{uuid.uuid4().hex[:12]}"
            await made.client.start_workflow(
                "later", args=[None], id=id_, task_queue=made.queue, start_delay=timedelta(hours=1)
            )
            for verb in Verb:
                with pytest.raises(NotBegun, match=r"begins at \d{4}-.*, in (59m|1h00m).*would begin it"):
                    await sagas.operate(made.client, id_, verb)
            sent = await signalling.signal(made.client, id_, "approve")
            described = await made.client.get_workflow_handle(id_).describe()
            assert (sent.state, sent.is_checked, described.history_length) == ("sent", False, 2)
            assert f"the saga begins at {sent.begins_at:%Y-%m-%d}" in str(sent)
            await sagas.terminate(made.client, id_, "done")

    asyncio.run(scene())


def test_one_signal_with_one_id_counts_once_and_says_what_became_of_it(server: Server) -> None:
    """B6: of four eyes, one click is two; taken, repeated, kept."""
    definition = saga(_wait("one", payload=BY), _wait("two"), plain("a"), _wait("three"), name="eyes")

    async def scene() -> None:
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

    asyncio.run(scene())


def test_an_id_is_known_again_after_continue_as_new(server: Server) -> None:
    """B6, R50: the ids are carried along."""
    definition = saga(_wait("one"), *(plain(f"s{n}") for n in range(6)), _wait("two", timeout="2s"), name="carried")

    async def scene() -> None:
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

    asyncio.run(scene())


@pytest.mark.parametrize("by_name", [False, True], ids=["inline", "by name"])
def test_a_signal_that_the_saga_cannot_take_is_not_sent(server: Server, by_name: bool) -> None:
    """B7: a misspelt name, a payload that does not fit; neither is in the history."""
    definition = saga(_wait(payload=BY), name="checked")

    async def scene() -> None:
        async with stage(server.address, definitions=[definition]) as made:
            started = await made.start(definition, by_name=by_name)
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
            with pytest.raises(UnknownSignal, match="never waits for a signal `aprove`") as unknown:
                await signalling.signal(made.client, started.id, "aprove")
            with pytest.raises(UnfitPayload) as unfit:
                await signalling.signal(made.client, started.id, "approve", {"by": 7})
            assert unknown.value.help == "did you mean `approve`?"
            assert unfit.value.problems == ("`approve.by`: 7 is not of type 'string'",)
            assert "refused_signals" not in await runs.status(made.client, started.id)
            assert (await signalling.signal(made.client, started.id, "approve", {"by": "ann"})).state == "taken"
            await made.end(started)
            with pytest.raises(SagaOver):
                await signalling.signal(made.client, started.id, "approve", {"by": "ann"})

    asyncio.run(scene())


def test_a_signal_that_nothing_will_wait_for_is_not_sent(server: Server) -> None:
    """B7, R59: past its wait it would be kept for ever, and decide nothing."""
    late = _wait() | {"on_error": [{"types": ["SignalTimeout"]}]}
    definition = saga(late | {"wait_for": {"signal": "approve", "timeout": "100ms"}}, plain("a"), name="late")

    async def scene() -> None:
        async with stage(server.address, {"do.a": slow(20)}) as made:
            started = await made.start(definition)
            await made.until("a")
            with pytest.raises(NotAwaited, match="nothing in it will wait for signal `approve` any more"):
                await signalling.signal(made.client, started.id, "approve")
            await sagas.terminate(made.client, started.id, "done")

    asyncio.run(scene())


def test_a_signal_to_a_run_that_was_started_with_no_definition_at_all_is_sent_unchecked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B7: whoever may start workflows may send anything; as long as no worker has looked, nobody knows."""
    monkeypatch.setattr(signalling, "ANSWER_SECONDS", 0.5)

    async def scene() -> None:
        client = await Client.connect(server.address)
        for envelope in ({"foo": 1}, {"sagadsl": 1, "definition": {"steps": 7}}, [1]):
            id_ = f"t-{uuid.uuid4().hex[:12]}"
            await client.start_workflow("odd", args=[None, envelope], id=id_, task_queue=f"q-{id_}")
            sent = await signalling.signal(client, id_, "approve")
            assert (sent.state, sent.is_checked) == ("sent", False)
            await sagas.terminate(client, id_, "done")

    asyncio.run(scene())


def test_what_cannot_be_checked_is_said_to_be_sent_unchecked_and_its_refusal_is_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B7: no worker has said yet what the saga of this name is."""
    definition, queue = saga(_wait(payload=BY), name="unchecked"), f"q-{uuid.uuid4().hex[:8]}"

    async def scene() -> None:
        client = await Client.connect(server.address)
        started = await _started(client, queue, definition, by_name=True)
        with monkeypatch.context() as patch:
            patch.setattr(signalling, "ANSWER_SECONDS", 0.5)
            sent = await signalling.signal(client, started.id, "aprove", request="k1")
        assert (sent.state, sent.is_checked) == ("sent", False)
        assert str(sent).endswith("whether the saga waits for such a signal could not be checked")
        async with stage(server.address, queue=queue, definitions=[definition]) as made:
            found = await made.until_status(started, lambda found: bool(found.get("refused_signals")))
            assert found["refused_signals"][0]["request"] == "k1"
            await sagas.terminate(client, started.id, "done")

    asyncio.run(scene())


async def _unchecked(*_: object) -> None:
    """Find nothing wrong."""


def test_a_refusal_after_the_check_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """B7: a run that is not what its history seemed to say."""
    definition = saga(_wait(payload=BY), name="raced")

    async def scene() -> None:
        async with stage(server.address) as made:
            started = await made.start(definition)
            monkeypatch.setattr(signalling, "_check", _unchecked)
            with pytest.raises(SignalRefused, match="has refused signal `approve`: `approve`: 7 is not"):
                await signalling.signal(made.client, started.id, "approve", 7)
            await sagas.terminate(made.client, started.id, "done")

    asyncio.run(scene())


@pytest.mark.parametrize("is_in_time", [True, False], ids=["in time", "too late"])
def test_a_signal_that_is_heard_after_an_outage_counts_by_when_it_came(server: Server, is_in_time: bool) -> None:
    """N9, R34: whatever the order in which Temporal tells them, and however late: by the server's record."""
    definition, queue = saga(_wait(timeout="2s"), act("a"), name="outage"), f"q-{uuid.uuid4().hex[:8]}"

    async def scene() -> None:
        async with stage(server.address, queue=queue) as made:
            started = await made.start(definition)
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
        handle = made.client.get_workflow_handle(started.id)
        if is_in_time:
            await sagas.signal(made.client, started.id, "approve", "yes")
        async with asyncio.timeout(20):
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

    asyncio.run(scene())


def test_a_signal_of_which_nobody_knows_when_it_came_is_late(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """N9: no approval passes for one in time because the server's record cannot be read."""
    definition, queue = saga(_wait(timeout="2s"), name="unreadable"), f"q-{uuid.uuid4().hex[:8]}"

    def unreadable(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no access")

    async def scene() -> None:
        async with stage(server.address, queue=queue) as made:
            started = await made.start(definition)
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
        await sagas.signal(made.client, started.id, "approve", "yes")
        async with asyncio.timeout(20):
            while "TIMER_FIRED" not in await events(made.client.get_workflow_handle(started.id)):
                await asyncio.sleep(0.1)
        monkeypatch.setattr(arrivals, "when", unreadable)
        async with stage(server.address, queue=queue) as again:
            ended = await again.end(started)
        assert ended.error is not None
        assert ended.error[0] == "SignalTimeout"

    asyncio.run(scene())


def test_a_held_saga_is_not_undone_by_its_timeout_before_it_is_resumed(server: Server) -> None:
    """B14, R32: on a real server as in virtual time."""
    definition = saga(act("a"), _wait(), name="held", timeout="1500ms")

    async def scene() -> None:
        async with stage(server.address) as made:
            started = await made.start(definition)
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
            await sagas.operate(made.client, started.id, Verb.PAUSE)
            found = await made.until_status(started, lambda found: bool(found["timed_out"]))
            assert (found["status"], found["failure"]["type"], made.begun) == ("paused", "SagaTimeout", ["a"])
            await sagas.operate(made.client, started.id, Verb.RESUME)
            ended = await made.end(started)
            assert (ended.status, made.begun) == ("compensated", ["a", "a.compensation"])
            await replay(made.client, started.id)

    asyncio.run(scene())
