"""What a run keeps of rounds that are over (R50): little, and all that undoing them needs."""

from __future__ import annotations

import json
import random
from typing import Any

from sagadsl.engine.facts import DrainRequested, Outcome, Verb
from sagadsl.engine.journal import State
from sagadsl.engine.pack import pack
from sagadsl.engine.projection import markdown, report, status
from sagadsl.engine.snapshots import snapshot
from sagadsl.language.build import build
from sagadsl.status.advice import page
from sagadsl.status.lines import moment
from sagadsl.status.narrative import sentences
from sagadsl.status.parts import MOST
from sagadsl.virtual.calls import Attempt
from sagadsl.virtual.world import World
from tests.engine.scenes import Meddling, act, gives, no, operator, plain, play, saga, scripted, slow

LAST = plain("last", timeouts={"start_to_close": "10d"})


def _loop(*steps: Any, **more: Any) -> dict[str, Any]:
    return {"id": "l", "for_each": {"items": "input", **more}, "steps": list(steps)}


def _new_runs(seconds: int) -> tuple[Meddling, ...]:
    """Continue as new all the time."""
    return tuple((quarter / 4, DrainRequested) for quarter in range(4 * seconds))


def _size(state: State) -> int:
    return len(json.dumps(snapshot(state)))


def test_ten_thousand_steps_with_results_fit_into_one_payload() -> None:
    """R50, R52: 20 MB of results, none of which anybody reads."""
    key = {"activity": "undo.x", "input": {"key": "{{ step.idempotency_key }}"}}
    definition = saga(
        _loop(act("x", compensation=key), act("y"), max_concurrency=100),
        LAST,
        output="{{ steps.last.output }}",
    )
    model = build(definition)
    rng = random.Random(3)

    def attempt(_saga: str, command: Any, _attempt: int) -> Attempt:
        return Attempt(takes=1e5) if command.call_id == "last" else Attempt(output=rng.randbytes(500).hex())

    world = World(attempt)
    run = world.start(model, list(range(5_000)))
    world.run(1e4)
    assert _size(run.state) > 10_000_000

    pack(model, run.state)

    assert _size(run.state) < 600_000
    assert len(run.state.records) == 2


def test_an_output_that_is_still_read_is_kept() -> None:
    """R50: by the saga's output, by a step, by a compensation that looks beside its own step."""
    reader = {**LAST, "input": "{{ steps.l.output }}"}
    for definition in (
        saga(_loop(act("x")), LAST, output="{{ steps.l.output }}"),
        saga(_loop(act("x")), reader, output="x"),
        saga(_loop(act("x")), LAST),
    ):
        world = World(scripted({"do.x": gives("kept"), "last": Attempt(takes=1e5)}))
        run = world.start(build(definition), [1, 2])
        world.run(1e4)
        pack(run.saga, run.state)
        assert run.state.records["l"].output == [{"x": "kept"}, {"x": "kept"}]


def test_the_default_output_may_be_dropped_and_says_so() -> None:
    """B8: it is nobody's wish, and never fails a saga."""
    world = World(scripted({"do.x": gives("kept"), "last": Attempt(takes=5)}))
    run = world.start(build(saga(_loop(act("x")), LAST)), [1, 2])
    world.run(1)
    run.state.output_dropped = True
    pack(run.saga, run.state)
    assert run.state.records["l"].output is None

    world.run()

    assert (run.state.status, run.state.output) == (run.close.status if run.close else None, None)
    assert [warning.type for warning in run.state.warnings] == ["OutputLeftOut"]


def test_a_compensation_that_reads_the_failure_waits_for_it() -> None:
    """R14: it cannot be computed before, so that its step, and what it reads beside, stay as they are."""
    undo = {"activity": "undo.y", "input": {"why": "{{ failure.type }}", "x": "{{ steps.x.output }}"}}
    ran = play(
        saga(_loop(act("x"), act("y", compensation=undo)), act("end")),
        {"do.x": gives(7), "end": no("Broke")},
        *_new_runs(5),
        input_=[1, 2, 3],
    )

    assert ran.status == "compensated"
    assert ran.sent("l[0]/y.compensation") == {"why": "Broke", "x": 7}
    assert sorted(ran.report["undone"]) == sorted(f"l[{index}]/{step}" for index in range(3) for step in "xy")


def test_an_unknown_outcome_and_a_handled_one_are_undone_as_what_they_were() -> None:
    """R3, R5, R14: what a compensation is told of its step survives."""
    tell = {"activity": "undo.x", "input": {"outcome": "{{ step.outcome }}", "error": "{{ step.error }}"}}
    silent = Attempt(takes=1e9)
    step = act("x", compensation=tell, on_error="continue", retry="none", timeouts={"start_to_close": "1s"})
    ran = play(
        saga(_loop(step), act("end")),
        {"do.x": silent, "end": no()},
        *_new_runs(15),
        input_=[1, 2],
    )

    assert ran.status == "compensated"
    sent = ran.sent("l[0]/x.compensation")
    assert (sent["outcome"], sent["error"]["type"]) == (Outcome.UNKNOWN.value, "timeout")


def test_what_is_left_out_is_told_in_numbers() -> None:
    """R60: the status stays small, and hides nothing that needs somebody."""
    model = build(saga(_loop(act("x"), max_concurrency=50), LAST, output="x"))
    world = World(scripted({"last": Attempt(takes=1e5)}))
    run = world.start(model, list(range(100)))
    world.run(1e4)
    pack(model, run.state)

    found = status(model, run.state)

    assert [line["path"] for line in found["steps"]] == ["l", "last"]
    assert found["left_out"] == [{"step": "x", "to_undo": 100, "completed": 100}]
    assert "100 to undo, 100 completed" in markdown(model, run.state)
    assert " … x: 100 to undo, 100 completed" in list(page(found, {}, moment(found["changed_at"])))
    assert "Not listed one by one: x: 100 to undo, 100 completed." in list(sentences(found))


def test_a_status_of_very_many_steps_shows_those_that_matter() -> None:
    """R52, R60: the answer to a query has 2 MB at most."""
    world = World(scripted({"l[2999]/x": no("Broke")}))
    loop = _loop(act("x", on_error="continue"), max_concurrency=100)
    run = world.start(build(saga(loop, output="x")), list(range(3_000)))
    world.run()

    found = status(run.saga, run.state)

    assert len(found["steps"]) == MOST
    assert found["left_out"] == [{"step": "x", "completed": 3_001 - MOST}]
    assert any(line["path"] == "l[2999]/x" and line["status"] == "failed" for line in found["steps"])


def test_a_stop_names_what_was_packed_and_not_attempted() -> None:
    """R21: `stop` lists what it left, whatever of it was packed."""
    definition = saga(_loop(act("x")), act("b"), act("end"), compensation={"on_failure": "stop"})
    ran = play(
        definition,
        {"end": no(), "b.compensation": no("Stuck")},
        *_new_runs(3),
        input_=[1, 2, 3],
    )

    document = report(ran.run.saga, ran.state)
    assert ran.status == "failed"
    assert sorted(document["not_attempted"]) == ["l[0]/x", "l[1]/x", "l[2]/x"]
    assert [each["path"] for each in document["not_undone"]] == ["b"]


def test_what_ends_a_block_early_finds_what_the_steps_of_a_branch_gave() -> None:
    """R40, R50: the branch goes on in a new run after its first step; its outputs are read when it has ended."""
    first = {"id": "g", "steps": [plain("x"), plain("y")]}
    block = {"id": "p", "parallel": [first, {"id": "nap", "sleep": "1h"}]}
    loop = _loop(plain("x"), plain("y"))
    for step, condition in ((block, "outputs[0].x.ok"), (loop, "outputs[0].x.ok")):
        definition = saga({**step, "complete_when": condition}, output="x")
        ran = play(definition, {"do.x": gives({"ok": True}), "do.y": slow(1)}, *_new_runs(5), input_=[1, 2])

        assert ran.events("continue_as_new")
        assert (ran.status, len(ran.calls), ran.took()) == ("completed", 2, 1.1)


def test_text_that_is_half_a_character_is_handed_on() -> None:
    """R56: JSON can hold it, and an activity can give it; it is undone with what it gave."""
    undo = {"activity": "undo.x", "input": "{{ step.output }}"}
    script = {"do.x": gives("half \ud83d"), "end": no()}
    ran = play(saga(_loop(act("x", compensation=undo)), act("end")), script, *_new_runs(2), input_=[1, 2])

    assert (ran.status, ran.report["undone"]) == ("compensated", ["l[1]/x", "l[0]/x"])
    assert ran.sent("l[0]/x.compensation") == "half \ud83d"


def test_rounds_that_are_repeated_call_child_sagas_under_new_ids() -> None:
    """R22, R49: although nothing but their number was kept of the rounds that they repeat."""
    trip = {"id": "trip", "saga": "child", "compensation": "none"}
    poll = {"id": "poll", "repeat": {"until": "steps.trip.output == 'there'", "maximum_attempts": 2}, "steps": [trip]}
    child = saga(act("x"), name="child", output="{{ steps.x.output }}")
    ran = play(
        saga(plain("p", pivot=True), poll, output="x"),
        {"do.x": gives("away")},
        *_new_runs(60),
        operator(20, Verb.RETRY_STEP),
        operator(40, Verb.RETRY_STEP),
        sagas=[child],
    )

    calls = ["poll[0]/trip", "poll[1]/trip"]
    assert ran.calls == ["p", *calls, *(f"{call}#2" for call in calls), *(f"{call}#3" for call in calls)]


def test_a_loser_of_the_first_time_is_undone_although_it_was_packed() -> None:
    """R22, R40: the block was repeated, and complete before it came to that branch."""
    definition = saga(
        plain("p", pivot=True), _loop(act("x")) | {"complete_when": "outputs[completed - 1].x.ok"}, output="x"
    )
    script = {"l[0]/x": gives({"ok": False}), "l[1]/x": gives({}), "l[0]/x#2": gives({"ok": True})}
    ran = play(definition, script, *_new_runs(30), operator(20, Verb.RETRY_STEP), input_=[1, 2, 3])

    assert (ran.status, ran.report["undone"]) == ("completed", ["l[1]/x"])
    assert ran.calls == ["p", "l[0]/x", "l[1]/x", "l[0]/x#2", "l[1]/x.compensation"]


def test_a_queue_of_an_undo_with_the_text_of_its_input_is_still_known_when_the_step_is_undone() -> None:
    """R14: two values of one text may be the same object."""
    undo = {"activity": "undo.x", "input": "{{ item }}", "task_queue": "{{ item }}", "retry": "none"}
    ran = play(saga(_loop(act("x", compensation=undo)), plain("bad")), {"bad": no()}, input_=["a", "b"])

    assert ran.status == "compensated"
    undone = [ran.commands[call] for call in ran.calls if "compensation" in call]
    assert [(each.task_queue, *each.arguments) for each in undone] == [("b", "b"), ("a", "a")]
