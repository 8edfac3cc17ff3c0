"""Clients refuse what a user's codec makes too large; and codecs fail, are measured, or are not there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import DataConverter, PayloadCodec

from sagadsl.temporal import client as sagas
from sagadsl.temporal.link.codec import CodecFailed, CodecMissing, PatientCodec, patient
from sagadsl.temporal.read import runs
from sagadsl.temporal.refusals import InputRefused, UnfitPayload
from sagadsl.temporal.wire.codec_growth import PLAIN, Stretch, grade
from tests.conftest import Server
from tests.engine.scenes import act, gives, plain, saga
from tests.patience import PATIENCE
from tests.temporal.codecs import Away, aes_codec, another_of_ours, base64_codec, other_key, ours, twelvefold
from tests.temporal.play import SDK_RACE, play, replay, stage
from tests.temporal.storage import THRESHOLD, Dictionary, stored
from tests.temporal.test_codec_limits import CODECS, Make, fits

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]


@pytest.mark.parametrize("codec", CODECS)
def test_nothing_is_started_and_signalled_that_is_too_large_when_it_is_encoded(server: Server, codec: Make) -> None:
    """R52: who sends it is told, and nothing is sent."""
    wait = {"id": "w", "wait_for": {"signal": "go", "timeout": "1h"}}
    definition = saga(wait, output="{{ steps.w.output | length }}", name="w")

    async def scenario() -> Any:
        async with stage(server.address, codec=codec() if codec else None) as made:
            for size in (1_700_000, 2_010_000):
                if not fits(codec, size):
                    with pytest.raises(InputRefused, match="bytes"):
                        await made.start(definition, "x" * size)
            started = await made.start(definition, "x" * (1_500_000 if codec is base64_codec else 1_900_000))
            with pytest.raises(UnfitPayload, match="bytes as it is sent"):
                await sagas.signal(
                    made.client, started.id, "go", "x" * (1_700_000 if codec is base64_codec else 2_095_000)
                )
            await sagas.signal(made.client, started.id, "go", "x" * 1_500_000)
            return await made.end(started)

    ended = asyncio.run(scenario())
    assert (ended.status, ended.output) == ("completed", 1_500_000)


def test_a_codec_that_fails_for_a_while_delays_a_saga_and_changes_nothing(server: Server) -> None:
    """Each first and second time that it is asked for a payload, it fails."""
    codec = Away()
    seen: dict[bytes, int] = {}

    def fails(doing: str, payloads: Sequence[Payload]) -> bool:
        key = doing.encode() + b"".join(each.SerializeToString(deterministic=True) for each in payloads)
        seen[key] = seen.get(key, 0) + 1
        return seen[key] <= 2

    codec.fails = fails
    definition = saga(act("a", input={"n": 1}), act("b", input={"n": 2}), output="{{ steps.b.output }}", name="while")

    async def scenario() -> tuple[Any, list[str]]:
        async with stage(server.address, {"do.a": gives("A"), "do.b": gives("B")}) as made:
            own = Client(made.client.service_client, data_converter=_with(codec))
            async with stage(server.address, made.script, codec=codec, queue=f"{made.queue}-away") as away:
                away.client = own
                started = await away.start(definition)
                return await away.end(started), away.begun

    ended, begun = asyncio.run(scenario())
    assert (ended.status, ended.output, begun) == ("completed", "B", ["a", "b"])
    assert codec.failures > 10


def _with(codec: PayloadCodec | None) -> DataConverter:
    return patient(replace(DataConverter.default, payload_codec=codec))


@pytest.mark.parametrize("times", [1, 120_000], ids=["small", "large"])
def test_a_result_that_its_codec_cannot_encode_at_all_has_happened_and_is_undone(server: Server, times: int) -> None:
    """R5: the SDK's error is no word of the function, even where there is only one attempt."""
    codec = Away()
    codec.fails = lambda doing, payloads: doing == "encode" and any(b"poison" in each.data for each in payloads)
    definition = saga(act("a"), output="done", name="never")

    played = play(server.address, definition, {"do.a": gives("poison" * times)}, codec=codec)

    assert (played.ended.status, played.begun) == ("compensated", ["a", "a.compensation"])
    assert (played.report["failure"]["type"], played.report["undone"]) == ("CodecFailed", ["a"])
    assert "the key server is away" in played.report["failure"]["message"]


def test_a_worker_without_the_codec_leaves_a_saga_for_one_that_has_it(server: Server) -> None:
    """Nothing is refused that somebody else can read."""
    definition = saga(plain("a", input={"n": 1}), output="{{ steps.a.output }}", name="unread")

    async def scenario() -> Any:
        async with stage(server.address, {"do.a": gives("A")}, codec=base64_codec()) as able:
            queue, client = able.queue, able.client
        async with stage(server.address, queue=queue) as unable:
            unable_client, unable.client = unable.client, client
            started = await unable.start(definition, {"n": 1})
            handle = client.get_workflow_handle(started.id)
            async with asyncio.timeout(PATIENCE):
                while not [e async for e in handle.fetch_history_events() if "workflow_task_failed" in str(e)[:400]]:
                    await asyncio.sleep(0.1)
            with pytest.raises(CodecMissing, match="binary/base64"):
                await runs.status(Client(unable_client.service_client, data_converter=_with(None)), started.id)
        async with stage(server.address, {"do.a": gives("A")}, codec=base64_codec(), queue=queue) as able:
            return await able.end(started)

    ended = asyncio.run(scenario())
    assert (ended.status, ended.output) == ("completed", "A")


@pytest.mark.parametrize("lacking", [None, other_key, another_of_ours, "storage"])
def test_an_activity_is_left_to_a_worker_that_can_read_its_input(server: Server, lacking: Any) -> None:
    """R5: one that cannot has called nothing: the step's attempts are not used up, and nothing is undone."""
    driver = Dictionary()
    whole = stored(driver) if lacking == "storage" else _with(ours() if lacking is another_of_ours else aes_codec())
    bare = DataConverter.default if lacking in (None, "storage") else _with(lacking())
    definition = saga(
        act("a"), act("b", input="{{ input }}", task_queue="", retry="none"), output="{{ steps.b.output }}", name="left"
    )

    async def scenario() -> tuple[Any, dict[str, Any]]:
        async with stage(server.address, {"do.a": gives("A")}, codec=whole) as made:
            queue = f"{made.queue}-b"
            definition["steps"][1]["task_queue"] = queue
            async with stage(server.address, codec=bare, queue=queue, only="activities"):
                started = await made.start(definition, "x" * 5 * THRESHOLD)
                found = await made.until_status(started, lambda status: bool(status.get("unknown_activities")))
            async with stage(server.address, {"do.b": gives("B")}, codec=whole, queue=queue, only="activities"):
                ended = await made.end(started)
            await replay(made.client, started.id)
            return ended, found["unknown_activities"][0]

    ended, unknown = asyncio.run(scenario())
    assert (ended.status, ended.output) == ("completed", "B")
    assert (unknown["path"], unknown["activity"]) == ("b", "do.b")


@pytest.mark.parametrize(
    ("small", "large", "found"),
    [
        ((30, 30), (131_100, 131_100), PLAIN),
        ((30, 90), (131_100, 131_160), Stretch(100, 128)),
        ((30, 80), (131_100, 174_850), Stretch(135, 128)),
        ((30, 40), (131_100, 131_200), Stretch(100, 128)),
        ((30, 9), (131_100, 70_000), PLAIN),
        ((30, 1_030), (131_100, 394_000), Stretch(300, 2_048)),
    ],
)
def test_a_codec_is_measured_by_what_it_adds_and_by_how_much_it_lengthens(
    small: tuple[int, int], large: tuple[int, int], found: Stretch
) -> None:
    assert grade(small, large) == found


def test_a_codec_that_lengthens_too_much_is_refused() -> None:
    codec = PatientCodec(twelvefold())
    with pytest.raises(CodecFailed, match=r"it makes payloads 12\.0 times as long"):
        asyncio.run(codec.encode([Payload(data=b"1")]))
