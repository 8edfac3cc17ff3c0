"""What an operator's decision is answered with, on a real server: it counts once, and for the run that was asked."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from sagadsl.engine.facts import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import signalling
from sagadsl.temporal.client import Started
from sagadsl.temporal.read import runs
from sagadsl.temporal.refusals import (
    NotAnswered,
    NotBegun,
    NotPossible,
    SagaOver,
)
from sagadsl.temporal.wire.requests import Asked
from tests.conftest import Server
from tests.engine.scenes import act, no, saga
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, replay, reset, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]


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

    async def scenario() -> tuple[set[str], dict[str, Any]]:
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

    requests, found = asyncio.run(scenario())

    assert len(requests) == 1
    assert [(each["verb"], each["path"]) for each in found["actions"]] == [("skip_step", "b.compensation")]


def test_a_skip_names_what_it_skips_and_which_time_it_waits(server: Server) -> None:
    """A.7, R22: a decision about one failure is never taken for one about the next."""

    async def scenario() -> list[str]:
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

    assert asyncio.run(scenario()) == ["retry_step"]


def _occurrence(found: Mapping[str, Any]) -> int:
    return int(found["attention"][0]["occurrence"])


@pytest.mark.parametrize("by_name", [False, True], ids=["inline", "by name"])
def test_a_pause_before_the_first_task_is_kept_also_over_a_reset(server: Server, by_name: bool) -> None:
    """N7, R22: nothing begins before it is resumed; what makes no sense then is refused with the reason that holds."""
    definition, queue = saga(act("a"), name="early"), f"q-{uuid.uuid4().hex[:8]}"

    async def scenario() -> None:
        client = await Client.connect(server.address)
        started = await _started(client, queue, definition, by_name=by_name)
        handle = client.get_workflow_handle(started.id)
        pausing = asyncio.create_task(handle.execute_update("pause", {"by": "ann"}))
        skipping = asyncio.create_task(handle.execute_update("skip_step", {"path": "a"}))
        async with stage(server.address, queue=queue, definitions=[definition]) as made:
            assert await asyncio.wait_for(pausing, PATIENCE) == {"status": "paused"}
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await asyncio.wait_for(skipping, PATIENCE)
            assert isinstance(refused.value.cause, ApplicationError)
            assert refused.value.cause.message == "nothing waits for an operator"
            await reset(client, started.id)
            found = await made.until_status(started, lambda found: bool(found.get("actions")))
            assert (found["status"], [each["verb"] for each in found["actions"]]) == ("paused", ["pause"])
            assert made.begun == []
            await sagas.operate(client, started.id, Verb.RESUME)
            assert (await made.end(started)).status == "completed"
            await replay(client, started.id)

    asyncio.run(scenario())


@pytest.mark.parametrize("verb", [Verb.SKIP_STEP, Verb.RETRY_STEP, Verb.ABORT], ids=lambda verb: verb.word)
@pytest.mark.parametrize("by_name", [False, True], ids=["inline", "by name"])
def test_a_decision_about_a_run_does_not_act_on_the_run_that_a_reset_has_begun(
    server: Server, by_name: bool, verb: Verb
) -> None:
    """R22, R58: the server hands the old run's updates to the new one, all of them before its first task."""
    definition = saga(act("a"), act("b"), name="decided", compensation={"on_failure": "pause"})
    broken = {"do.b": no("Refused"), "undo.a": no("BankDown")}

    async def scenario() -> list[str]:
        async with stage(server.address, broken, definitions=[definition]) as made:
            started = await made.start(definition, {}, by_name=by_name)
            await made.until_status(started, lambda found: found["status"] == "paused")
            asked = Asked(path="" if verb is Verb.ABORT else "a.compensation", by="ann")
            await sagas.operate(made.client, started.id, verb, asked)
            if verb is Verb.RETRY_STEP:
                await made.until_status(started, lambda found: bool(found["attention"]) and _occurrence(found) == 2)
            else:
                assert (await made.end(started)).status == "failed"
            await reset(made.client, started.id)
            found = await made.until_status(started, lambda found: found["status"] == "paused")
            assert [(each["path"], each["occurrence"]) for each in found["attention"]] == [("a.compensation", 1)]
            await sagas.terminate(made.client, started.id, "done")
            return [each["verb"] for each in found["actions"]]

    assert asyncio.run(scenario()) == []


def test_a_saga_that_begins_later_is_not_woken_by_an_operator(server: Server) -> None:
    """N7: refused with the reason and the time left; a signal waits for it."""

    async def scenario() -> None:
        async with stage(server.address, definitions=[saga(_wait(), name="later")]) as made:
            id_ = f"t-{uuid.uuid4().hex[:12]}"
            await made.client.start_workflow(
                "later", args=[None], id=id_, task_queue=made.queue, start_delay=timedelta(hours=1)
            )
            for verb in Verb:
                with pytest.raises(NotBegun, match=r"begins at \d{4}-.*, in (59m|1h00m).*would make it begin now"):
                    await sagas.operate(made.client, id_, verb)
            sent = await signalling.signal(made.client, id_, "approve")
            described = await made.client.get_workflow_handle(id_).describe()
            assert (sent.state, sent.is_checked, described.history_length) == ("sent", False, 2)
            assert f"the saga begins at {sent.begins_at:%Y-%m-%d}" in str(sent)
            await sagas.terminate(made.client, id_, "done")

    asyncio.run(scenario())


def test_a_held_saga_is_not_undone_by_its_timeout_before_it_is_resumed(server: Server) -> None:
    """B14, R32: on a real server as in virtual time."""

    async def scenario(timeout: str) -> bool:
        """Play it; whether the saga was held in time, which on a busy machine only a longer timeout allows."""
        async with stage(server.address) as made:
            started = await made.start(saga(act("a"), _wait(), name="held", timeout=timeout))
            await made.until_status(started, lambda found: bool(found.get("waiting_for") or found["timed_out"]))
            with contextlib.suppress(SagaOver):
                await sagas.operate(made.client, started.id, Verb.PAUSE)
            if (await runs.status(made.client, started.id))["timed_out"]:
                with contextlib.suppress(SagaOver):
                    await sagas.terminate(made.client, started.id, "too late")
                return False
            found = await made.until_status(started, lambda found: bool(found["timed_out"]))
            assert (found["status"], found["failure"]["type"], made.begun) == ("paused", "SagaTimeout", ["a"])
            await sagas.operate(made.client, started.id, Verb.RESUME)
            ended = await made.end(started)
            assert (ended.status, made.begun) == ("compensated", ["a", "a.compensation"])
            await replay(made.client, started.id)
            return True

    assert any(asyncio.run(scenario(timeout)) for timeout in ("1500ms", "10s", "40s"))
