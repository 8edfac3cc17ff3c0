"""What one message and one history hold, and what a saga does before they are full (R50, R51, R52)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from sagadsl.engine import squeeze
from sagadsl.temporal.run import new_runs, room
from tests.conftest import Server
from tests.engine.scenes import act, gives, no, plain, saga, slow
from tests.temporal.play import SDK_RACE, play

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]


def _noise(size: int) -> str:
    return random.Random(7).randbytes(size // 2).hex()


def _loop(*steps: Any, **more: Any) -> dict[str, Any]:
    return {"id": "l", "for_each": {"items": "input", **more}, "steps": list(steps)}


def test_a_loop_with_large_results_is_undone_over_all_its_runs(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """R50: of rounds that are over, only what undoing needs goes along; what the reader takes is what is written."""
    monkeypatch.setattr(squeeze, "_LARGEST_BYTES", 3_000_000)
    definition = saga(_loop(act("x"), max_concurrency=5), act("end"), output="done", name="large")

    played = play(
        server.address,
        definition,
        {"do.x": gives("x" * 250_000), "end": no()},
        input_=list(range(24)),
        options={"continue_after_events": 40},
    )

    assert played.status["run_id"] != played.started.run_id
    assert played.ended.status == "compensated"
    assert sorted(played.report["undone"]) == sorted(f"l[{index}]/x" for index in range(24))
    undos = [each.removesuffix(".compensation") for each in played.calls if "." in each]
    assert undos == played.report["undone"]


def test_a_compensation_is_sent_what_its_step_gave_though_the_step_is_long_packed(server: Server) -> None:
    """R14, R50: computed when its round was over, from its own output and that of a step beside it."""
    undo = {"activity": "undo.y", "input": {"x": "{{ steps.x.output.n }}", "y": "{{ step.output }}", "i": "{{ item }}"}}
    definition = saga(_loop(act("x"), act("y", compensation=undo)), act("end"), output="done", name="packed")

    played = play(
        server.address,
        definition,
        {"do.x": gives({"n": 5}), "do.y": gives("out"), "end": no()},
        input_=list(range(12)),
        options={"continue_after_events": 30},
    )

    assert played.ended.status == "compensated"
    assert played.status["run_id"] != played.started.run_id
    sent = [played.stage.sent[f"l[{index}]/y.compensation"] for index in range(12)]
    assert sent == [{"x": 5, "y": "out", "i": index} for index in range(12)]


def test_a_state_that_no_payload_holds_is_undone_while_there_is_room(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R51: the server would end the run, and nothing would be undone."""
    monkeypatch.setattr(room, "MAX_EVENTS", room._RESERVE_EVENTS + 400)
    definition = saga(_loop(act("x")), plain("end"), output="{{ steps.l.output }}", name="full")

    played = play(
        server.address,
        definition,
        {"do.x": gives(_noise(180_000))},
        input_=list(range(100)),
        options={"continue_after_events": 60},
    )

    assert (played.ended.status, played.report["failure"]["type"]) == ("compensated", "HistoryFull")
    done = [each for each in played.calls if "." not in each]
    assert 10 < len(done) < 60
    assert "end" not in done
    assert len(played.report["undone"]) == len(done)
    assert len(played.events) < 400 + 100


def test_what_nobody_could_read_again_is_not_written(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """R50: the limit of the reader is the writer's, so that no run begins that cannot go on."""
    monkeypatch.setattr(squeeze, "_LARGEST_BYTES", 4_000)
    monkeypatch.setattr(room, "MAX_EVENTS", room._RESERVE_EVENTS + 300)
    definition = saga(_loop(act("x")), output="{{ steps.l.output }}", name="unread")

    played = play(
        server.address,
        definition,
        {"do.x": gives("x" * 1_000)},
        input_=list(range(200)),
        options={"continue_after_events": 60},
    )

    assert (played.ended.status, played.report["failure"]["type"]) == ("compensated", "HistoryFull")
    assert len(played.report["undone"]) == len([each for each in played.calls if "." not in each])


@pytest.mark.parametrize(
    ("steps", "script", "items"),
    [
        pytest.param(
            [plain(f"s{n}", local=True) for n in range(3)],
            {f"s{n}": gives("x" * 1_500_000) for n in range(3)},
            [],
            id="three in a row",
        ),
        pytest.param(
            [_loop(plain("x", local=True), max_concurrency="unlimited")],
            {"do.x": gives("x" * 200_000)},
            list(range(30)),
            id="thirty at once",
        ),
    ],
)
def test_results_of_local_activities_that_no_message_holds_together_arrive(
    server: Server, steps: list[Any], script: dict[str, Any], items: list[int]
) -> None:
    """R52: all of a workflow task's local results go in one message; too large a one ends the run at once."""
    played = play(server.address, saga(*steps, output="done", name="local"), script, input_=items)

    assert (played.ended.status, played.ended.output) == ("completed", "done")
    assert len(played.begun) == max(len(steps), len(items))  # asking again runs nothing again


def test_what_a_saga_returns_has_room_beside_the_results_of_its_local_activities(server: Server) -> None:
    """R52: they are sent together with the end, and the server would terminate a saga that has done all its work."""
    together = {"id": "p", "parallel": [plain(f"s{n}", local=True) for n in range(3)]}
    results = {f"do.s{n}": gives("x" * 1_150_000) for n in range(3)}

    played = play(server.address, saga(together, output="{{ steps.s0.output }}", name="whole"), results)

    assert (played.ended.status, len(played.ended.output or "")) == ("completed", 1_150_000)


def test_errors_of_local_activities_that_no_message_holds_together_arrive(server: Server) -> None:
    """R52: they go in the same message as results do, however few of them are under way at the same time."""
    step = plain("x", local=True, on_error="continue")

    @activity.defn(dynamic=True)
    async def refuse(_: Sequence[RawValue]) -> None:
        raise ApplicationError("no", "x" * 60_000, type="No", non_retryable=True)

    definition = saga(_loop(step), output="done", name="errors")
    played = play(server.address, definition, input_=list(range(100)), activities=[refuse])

    assert (played.ended.status, played.ended.output) == ("completed", "done")


def test_a_local_activity_whose_result_waits_for_room_is_undone_when_its_saga_fails_meanwhile(server: Server) -> None:
    """R1, R29: it has happened, whatever comes before its result."""
    both = {"id": "both", "parallel": [act("big", local=True), act("bad", local=True)]}
    script = {"do.big": gives("x" * 100_000), "do.bad": no(takes=0.5)}

    played = play(server.address, saga(both, name="waits"), script)

    assert (played.ended.status, played.report["failed_step"]) == ("compensated", "both/bad")
    assert "both/big" in played.report["undone"]
    assert "both/big.compensation" in played.calls


def test_commands_are_counted_with_their_descriptions_and_error_types(server: Server) -> None:
    """R52: the inputs alone would fit."""
    step = plain(
        "x",
        description="d" * 190,
        input={"text": "{{ 'x' * 500 }}"},
        retry={"maximum_attempts": 1, "non_retryable_error_types": [f"{'E' * 2_500}{n}" for n in range(8)]},
    )

    played = play(
        server.address,
        saga(_loop(step, max_concurrency="unlimited"), output="done", name="crowd"),
        input_=list(range(210)),
    )

    assert played.ended.status == "completed"


def test_a_loop_goes_on_beside_a_call_that_takes_long(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """N3: continue-as-new waits for a call in flight for a while only."""
    monkeypatch.setattr(new_runs, "_PATIENCE", timedelta(milliseconds=50))
    both = {"id": "both", "parallel": [plain("long"), _loop(plain("x"))]}

    played = play(
        server.address,
        saga(both, output="done", name="beside"),
        {"both/long": slow(6), "long": slow(6)},
        input_=list(range(30)),
        options={"continue_after_events": 40},
    )

    assert played.ended.status == "completed"
    assert played.stage.ended[-1] in ("both/long", "long")
