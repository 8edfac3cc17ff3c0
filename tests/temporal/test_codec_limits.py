"""Limits are those of what is sent: a user's codec may make it longer (R52)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from temporalio.converter import PayloadCodec

from tests.conftest import Server
from tests.engine.scenes import act, gives, no, plain, saga
from tests.temporal.codecs import base64_codec, sealed, zlib_codec
from tests.temporal.play import SDK_RACE, Played, play

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


def fits(codec: Make, size: int) -> bool:
    """Whether text of this size travels."""
    return size < (1_567_000 if codec is base64_codec else 2_000_000)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [1_560_000, 1_575_000, 1_990_000, 2_010_000])
def test_a_result_that_is_too_large_when_it_is_encoded_has_happened_once_and_is_undone(
    server: Server, codec: Make, size: int
) -> None:
    """R52: it was repeated, and its effect stood."""
    definition = saga(act("a", retry={"maximum_attempts": 3}), output="done", name="result")

    played = _play(server, codec, definition, {"do.a": gives("x" * size)})

    if fits(codec, size):
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

    if fits(codec, size):
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
    assert (played.ended.output == [half, half]) is fits(codec, size)
    assert [each["type"] for each in played.ended.warnings] == ([] if fits(codec, size) else ["PayloadTooLarge"])


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


@pytest.mark.parametrize(
    ("codec", "size"), [(None, 1_530_000), (base64_codec, 1_200_000), (base64_codec, 1_530_000), (sealed, 1_530_000)]
)
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
