"""What travels beside inputs and results has the server's limits too: heartbeats, answers, decisions, memos (R52)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio import activity
from temporalio.converter import PayloadCodec

from sagadsl.engine.facts import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.read import runs
from sagadsl.temporal.refusals import NotPossible
from sagadsl.temporal.wire.requests import Asked
from sagadsl.virtual.calls import Attempt
from tests.conftest import Server
from tests.engine.scenes import act, plain, saga
from tests.patience import PATIENCE
from tests.temporal.codecs import base64_codec, ours
from tests.temporal.play import SDK_RACE, play, stage
from tests.temporal.test_codec_limits import Make

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

CODECS = pytest.mark.parametrize("codec", [None, base64_codec, ours])
WAITS = {"id": "w", "wait_for": {"signal": "go", "timeout": "1h"}}


def _made(codec: Make) -> PayloadCodec | None:
    return codec() if codec else None


def _fits(codec: Make, size: int) -> bool:
    return size < (1_560_000 if codec is base64_codec else 2_000_000)


@CODECS
@pytest.mark.parametrize("size", [1_540_000, 1_700_000, 2_500_000])
def test_a_heartbeat_that_is_too_large_ends_its_activity_once_and_says_so(
    server: Server, codec: Make, size: int
) -> None:
    """The SDK failed the attempt with an error that names nothing, and the activity ran again."""
    log: list[str] = []

    @activity.defn(name="do.a")
    async def beats(_: Any = None) -> str:
        log.append("begun")
        activity.heartbeat("x" * size)
        return "done"

    @activity.defn(name="undo.a")
    async def undo(_: Any = None) -> None:
        log.append("undone")

    step = act("a", retry={"maximum_attempts": 3, "initial_interval": "10ms"}, timeouts={"heartbeat": "10s"})
    played = play(server.address, saga(step, output="done", name="beats"), codec=_made(codec), activities=[beats, undo])

    if _fits(codec, size):
        assert (played.ended.status, log) == ("completed", ["begun"])
        return
    assert (played.ended.status, log) == ("compensated", ["begun", "undone"])
    assert played.report["failure"]["type"] == "PayloadTooLarge"
    assert "the heartbeat of `do.a` has " in played.report["failure"]["message"]


@CODECS
@pytest.mark.parametrize("size", [1_500_000, 1_700_000, 2_500_000])
def test_a_decision_that_is_too_large_is_refused_before_it_is_sent(server: Server, codec: Make, size: int) -> None:
    """The server broke the run's workflow task with it, and who had sent it heard of no worker."""

    async def scenario() -> tuple[str, str]:
        async with stage(server.address, codec=_made(codec)) as made:
            started = await made.start(saga(WAITS, plain("a"), name="decision"))
            asked = Asked(by="me", why="x" * size)
            try:
                said = await sagas.operate(made.client, started.id, Verb.PAUSE, asked)
            except NotPossible as refused:
                said = str(refused)
            else:
                await sagas.operate(made.client, started.id, Verb.RESUME)
            await sagas.signal(made.client, started.id, "go")
            return said, (await made.end(started)).status

    said, status = asyncio.run(scenario())
    assert status == "completed"
    if _fits(codec, size):
        assert said == "paused"
    else:
        assert "cannot pause" in said
        assert f"at most {2_090_000:,} fit" in said


@CODECS
def test_a_status_with_long_errors_fits_into_one_answer(server: Server, codec: Make) -> None:
    """It came from the history, as if no worker were there, and did not say what the saga waits for."""
    count = 260
    steps = [plain(f"s{number}", on_error="continue") for number in range(count)]
    fails = Attempt(error="Refused", message="x" * 8_000, retryable=False)

    async def scenario() -> dict[str, Any]:
        script = {f"p/s{number}": fails for number in range(count)}
        async with stage(server.address, script, codec=_made(codec)) as made:
            started = await made.start(
                saga({"id": "p", "parallel": steps, "max_concurrency": 30}, WAITS, name="long-status")
            )
            async with asyncio.timeout(PATIENCE):
                while not (found := await runs.status(made.client, started.id)).get("waiting_for"):
                    await asyncio.sleep(1)
            await sagas.terminate(made.client, started.id, "seen")
            return found

    found = asyncio.run(scenario())
    failed = [each for each in found["steps"] if each["path"].startswith("p/")]
    assert [each["error"]["type"] for each in failed] == ["Refused"] * count
    assert all(each["error"]["message"].startswith("x" * 100) for each in failed)


@CODECS
@pytest.mark.parametrize("by_name", [False, True])
def test_labels_that_are_as_large_as_a_definition_may_be_travel_as_memo(
    server: Server, codec: Make, by_name: bool
) -> None:
    definition = saga(plain("a"), name=f"labelled-{codec.__name__ if codec else 'plain'}")
    definition["labels"] = {f"l{number}": "x" * 1_000 for number in range(50)}

    async def scenario() -> str:
        async with stage(server.address, codec=_made(codec), definitions=[definition]) as made:
            if by_name:
                started = await sagas.start(made.client, definition["name"], {}, task_queue=made.queue)
            else:
                started = await made.start(definition)
            return (await made.end(started)).status

    assert asyncio.run(scenario()) == "completed"
