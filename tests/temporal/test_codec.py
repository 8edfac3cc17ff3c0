"""Limits are those of what is sent: a user's codec may make it longer (R52). And codecs fail, or are not there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import PayloadCodec

from sagadsl.temporal import client as sagas
from sagadsl.temporal.codec import CodecMissing, patient
from sagadsl.temporal.refusals import InvalidInput, UnfitPayload
from sagadsl.temporal.stretch import PLAIN, Stretch, TooLong, grade
from tests.conftest import Server
from tests.engine.scenes import act, gives, no, plain, saga
from tests.temporal.codecs import Away, base64_codec, sealed, zlib_codec
from tests.temporal.play import SDK_RACE, Played, play, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

Make = Callable[[], PayloadCodec] | None

CODECS = [
    pytest.param(None, id="none"),
    pytest.param(base64_codec, id="base64"),
    pytest.param(zlib_codec, id="zlib"),
    pytest.param(sealed, id="sealed"),
]


def _noise(size: int) -> str:
    return random.Random(7).randbytes(size // 2).hex()


def _play(server: Server, codec: Make, definition: dict[str, Any], script: dict[str, Any], **how: Any) -> Played:
    return play(server.address, definition, script, codec=codec() if codec else None, **how)


def _fits(codec: Make, size: int) -> bool:
    return size < (1_567_000 if codec is base64_codec else 2_000_000)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [1_560_000, 1_575_000, 1_990_000, 2_010_000])
def test_a_result_that_is_too_large_when_it_is_encoded_has_happened_once_and_is_undone(
    server: Server, codec: Make, size: int
) -> None:
    """R52: it was repeated, and its effect stood."""
    definition = saga(act("a", retry={"maximum_attempts": 3}), output="done", name="result")

    played = _play(server, codec, definition, {"do.a": gives("x" * size)})

    if _fits(codec, size):
        assert (played.ended.status, played.begun) == ("completed", ["a"])
    else:
        assert (played.ended.status, played.begun) == ("compensated", ["a", "a.compensation"])
        assert (played.report["failure"]["type"], played.report["undone"]) == ("PayloadTooLarge", ["a"])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [1_500_000, 1_600_000, 1_980_000, 2_020_000])
def test_an_input_that_is_too_large_when_it_is_encoded_is_refused_before_it_is_sent(
    server: Server, codec: Make, size: int
) -> None:
    """R52: it failed the workflow task for ever."""
    twice = ["{{ input }}", "{{ input }}"]
    definition = saga(act("before"), plain("a", input=twice), output="done", name="input")

    played = _play(server, codec, definition, {}, input_="x" * (size // 2))

    if _fits(codec, size):
        assert (played.ended.status, played.begun) == ("completed", ["before", "a"])
    else:
        assert (played.ended.status, played.begun) == ("compensated", ["before", "before.compensation"])
        assert played.report["failure"]["type"] == "PayloadTooLarge"
        assert "the input of `a` has " in played.report["failure"]["message"]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("local", [False, True], ids=["inputs", "results of local activities"])
def test_what_one_message_does_not_hold_when_it_is_encoded_is_sent_in_several(
    server: Server, codec: Make, local: bool
) -> None:
    """R52: the server ends a run whose message is too large, and nothing is undone."""
    step = plain("x", input="{{ input }}") if not local else plain("x", local=True)
    branches = [{**step, "id": f"x{n}"} for n in range(6)]
    definition = saga({"id": "p", "parallel": branches}, output="done", name="message")

    played = _play(server, codec, definition, {"do.x": gives("x" * 830_000 if local else 1)}, input_="x" * 830_000)

    assert played.ended.status == "completed"
    assert sorted(played.begun) == [f"p/x{n}" for n in range(6)]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [1_500_000, 1_700_000])
def test_an_output_that_is_too_large_when_it_is_encoded_is_left_out(server: Server, codec: Make, size: int) -> None:
    """R52: all is done by then, so the saga has completed, and says why it gives nothing."""
    half = "x" * (size // 2)
    definition = saga(plain("a"), plain("b"), output=["{{ steps.a.output }}", "{{ steps.b.output }}"], name="output")

    played = _play(server, codec, definition, {"do.a": gives(half), "do.b": gives(half)})

    assert played.ended.status == "completed"
    assert (played.ended.output == [half, half]) is _fits(codec, size)
    assert [each["type"] for each in played.ended.warnings] == ([] if _fits(codec, size) else ["PayloadTooLarge"])


@pytest.mark.parametrize("codec", CODECS)
def test_a_long_run_that_cannot_be_handed_on_when_it_is_encoded_goes_on_to_its_end(server: Server, codec: Make) -> None:
    """R50: random text of 1.7 MB fits as it is."""
    definition = saga(
        {"id": "l", "for_each": {"items": "input"}, "steps": [plain("x")]},
        *[plain(f"s{n}") for n in range(8)],
        act("last"),
        output={"size": "{{ steps.l.output | length }}"},
        name="long",
    )
    script = {"do.x": gives(_noise(830_000)), "last": no()}

    played = _play(server, codec, definition, script, input_=[1, 2, 3, 4], options={"continue_after_events": 60})

    assert (played.ended.status, played.report["failure"]["type"]) == ("compensated", "Refused")
    assert played.begun == [*(f"l[{n}]/x" for n in range(4)), *(f"s{n}" for n in range(8)), "last"]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [1_200_000, 1_530_000])
def test_a_child_saga_completes_only_if_what_undoing_it_needs_can_go_back_encoded(
    server: Server, codec: Make, size: int
) -> None:
    """R46, R47: else it undoes itself while it can."""
    undo = {"activity": "undo.a", "input": "{{ step.output }}", "retry": "none"}
    child = saga(act("a", compensation=undo), output="done", name="child")
    family = saga({"id": "c", "saga": "child", "compensation": "auto"}, plain("end"), output="done", name="family")

    played = _play(server, codec, family, {"do.a": gives(_noise(size)), "end": no()}, children=[child])

    assert played.ended.status == "compensated"
    assert played.begun.count("a") == played.begun.count("a.compensation") == 1
    is_tight = codec is base64_codec and size > 1_400_000
    assert played.report["failure"]["type"] == ("StateTooLarge" if is_tight else "Refused")


@pytest.mark.parametrize("codec", CODECS)
def test_nothing_is_started_and_signalled_that_is_too_large_when_it_is_encoded(server: Server, codec: Make) -> None:
    """R52: who sends it is told, and nothing is sent."""
    wait = {"id": "w", "wait_for": {"signal": "go", "timeout": "1h"}}
    definition = saga(wait, output="{{ steps.w.output | length }}", name="w")

    async def scene() -> Any:
        async with stage(server.address, codec=codec() if codec else None) as made:
            for size in (1_700_000, 2_010_000):
                if not _fits(codec, size):
                    with pytest.raises(InvalidInput, match="bytes"):
                        await made.start(definition, "x" * size)
            started = await made.start(definition, "x" * (1_500_000 if codec is base64_codec else 1_900_000))
            with pytest.raises(UnfitPayload, match="bytes as it is sent"):
                await sagas.signal(
                    made.client, started.id, "go", "x" * (1_700_000 if codec is base64_codec else 2_095_000)
                )
            await sagas.signal(made.client, started.id, "go", "x" * 1_500_000)
            return await made.end(started)

    ended = asyncio.run(scene())
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

    async def scene() -> tuple[Any, list[str]]:
        async with stage(server.address, {"do.a": gives("A"), "do.b": gives("B")}) as made:
            own = Client(made.client.service_client, data_converter=patient(_with(codec)))
            async with stage(server.address, made.script, codec=codec, queue=f"{made.queue}-away") as away:
                away.client = own
                started = await away.start(definition)
                return await away.end(started), away.begun

    ended, begun = asyncio.run(scene())
    assert (ended.status, ended.output, begun) == ("completed", "B", ["a", "b"])
    assert codec.failures > 10


def _with(codec: PayloadCodec) -> Any:
    from dataclasses import replace

    from temporalio.converter import DataConverter

    return replace(DataConverter.default, payload_codec=codec)


def test_a_result_that_its_codec_cannot_encode_at_all_has_happened_and_is_undone(server: Server) -> None:
    """R5: the SDK's error is no word of the function, even where there is only one attempt."""
    codec = Away()
    codec.fails = lambda doing, payloads: doing == "encode" and any(b"poison" in each.data for each in payloads)
    definition = saga(act("a"), output="done", name="never")

    played = play(server.address, definition, {"do.a": gives("poison")}, codec=codec)

    assert (played.ended.status, played.begun) == ("compensated", ["a", "a.compensation"])
    assert (played.report["failure"]["type"], played.report["undone"]) == ("CodecFailed", ["a"])
    assert "the key server is away" in played.report["failure"]["message"]


def test_a_worker_without_the_codec_leaves_a_saga_for_one_that_has_it(server: Server) -> None:
    """Nothing is refused that somebody else can read."""
    definition = saga(plain("a", input={"n": 1}), output="{{ steps.a.output }}", name="unread")

    async def scene() -> Any:
        async with stage(server.address, {"do.a": gives("A")}, codec=base64_codec()) as able:
            queue, client = able.queue, able.client
        async with stage(server.address, queue=queue) as unable:
            unable_client, unable.client = unable.client, client
            started = await unable.start(definition, {"n": 1})
            handle = client.get_workflow_handle(started.id)
            async with asyncio.timeout(20):
                while not [e async for e in handle.fetch_history_events() if "workflow_task_failed" in str(e)[:400]]:
                    await asyncio.sleep(0.1)
            with pytest.raises(CodecMissing, match="binary/base64"):
                await sagas.status(
                    Client(unable_client.service_client, data_converter=patient(_with_none())), started.id
                )
        async with stage(server.address, {"do.a": gives("A")}, codec=base64_codec(), queue=queue) as able:
            return await able.end(started)

    ended = asyncio.run(scene())
    assert (ended.status, ended.output) == ("completed", "A")


def _with_none() -> Any:
    from temporalio.converter import DataConverter

    return DataConverter.default


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
    with pytest.raises(TooLong, match=r"4\.0 times as long"):
        grade((30, 30), (131_100, 524_310))
