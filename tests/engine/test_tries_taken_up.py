"""Tries and limits of a saga that was stopped, or that goes back: what was undone meanwhile is done once more."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.engine.facts import How, Verb
from tests.engine.invariants import check
from tests.engine.scenes import ID, act, gives, no, operator, plain, play, saga, slow
from tests.engine.test_redriven import STOP, Scene

BOOK = {
    "id": "book",
    "retry": {"maximum_attempts": 3, "initial_interval": "1m"},
    "steps": [act("flight"), act("hotel")],
}


def stopped_beside(block: dict[str, Any], script: dict[str, Any], after: str = "10s") -> Scene:
    """Return a saga that was stopped beside a block, after some time."""
    beside = {"id": "g", "steps": [{"id": "w", "sleep": after}, plain("other", on_error=STOP)]}
    scene = Scene(saga({"id": "p", "parallel": [block, beside]}, plain("end")), {"other": no(), **script})
    scene.world.run()
    assert scene.status == "failed"
    scene.mend({})
    return scene


def test_a_saga_that_was_stopped_between_two_tries_begins_the_next_one_when_it_goes_on() -> None:
    """R92, R45, R49: what the failed try did is undone, so it does not count as done."""
    scene = stopped_beside(BOOK, {"hotel": no()})
    assert scene.run.state.records["p/book/flight"].undo is not None

    scene.take_up(How.FORWARD, verb="redrive")
    scene.world.run()
    check(scene.world.events, ID, scene.world.runs[ID])

    assert scene.status == "completed"
    assert scene.starts()[-4:] == ["p/g/other#2", "p/book/flight@3#3", "p/book/hotel@3#3", "end"]


def test_a_saga_that_goes_back_into_a_block_between_two_tries_begins_the_block_as_a_whole() -> None:
    """R92, R81: a step before the one to go back to was undone with the others."""
    book = {**BOOK, "steps": [*BOOK["steps"], act("car")]}
    ran = play(saga(book), {"car": [no()]}, operator(10, Verb.RESET, "book/hotel"), until=15)
    calls = [call for call in ran.calls if "compensation" not in call]

    assert calls[:3] == ["book/flight", "book/hotel", "book/car"]
    assert [call.partition("@")[0] for call in calls[3:6]] == ["book/flight", "book/hotel", "book/car"]
    assert not set(calls[3:6]) & set(calls[:3])


def test_what_was_undone_of_a_try_that_could_not_be_undone_is_done_again_when_the_saga_goes_on() -> None:
    """R92, R45: `flight` is undone, `hotel` perhaps; neither counts as done, and only `flight` has a new key."""
    book = {**BOOK, "steps": [act("flight"), act("hotel"), plain("car")], "on_error": STOP}
    scene = Scene(saga(book, compensation={"on_failure": "continue"}), {"car": no(), "hotel.compensation": no()})
    scene.world.run()
    assert scene.status == "failed"
    scene.mend({})

    scene.take_up(How.FORWARD, verb="redrive")
    scene.world.run()

    assert scene.status == "completed"
    assert scene.starts()[-3:] == ["book/flight@2#2", "book/hotel#2", "book/car#2"]


def test_a_loop_in_a_row_that_was_undone_in_part_begins_as_a_whole() -> None:
    """R92, R45: one round at a time, from the first one on."""
    loop = {
        "id": "l",
        "for_each": {"items": [1, 2]},
        "retry": {"maximum_attempts": 2},
        "steps": [act("a"), act("b")],
        "on_error": STOP,
    }
    script = {"l[1]/b": no(), "l[0]/b.compensation": no()}
    scene = Scene(saga(loop, compensation={"on_failure": "continue"}), script)
    scene.world.run()
    assert scene.status == "failed"
    scene.mend({})

    scene.take_up(How.FORWARD, verb="redrive")
    scene.world.run()

    assert scene.status == "completed"
    again = [call.partition("@")[0].partition("#")[0] for call in scene.starts()[-4:]]
    assert again == ["l[0]/a", "l[0]/b", "l[1]/a", "l[1]/b"]


def test_a_block_has_its_time_once_more_when_the_saga_goes_on() -> None:
    """R93, R45: whoever lets a saga go on wants its limits to hold."""
    scene = Scene(saga({"id": "g", "timeout": "20s", "steps": [act("a"), plain("b", on_error=STOP)]}), {"b": no()})
    scene.world.run()
    scene.mend({"b": slow(1000)})

    scene.take_up(How.FORWARD, verb="redrive")
    scene.world.run()

    assert scene.run.state.failure is not None
    assert scene.run.state.failure.type == "StepTimeout"


def test_a_block_has_its_time_once_more_when_the_saga_goes_back_into_it() -> None:
    """R93, R81."""
    steps = [act("a"), {"id": "wait", "sleep": "15s"}, act("b")]
    ran = play(
        saga({"id": "g", "timeout": "20s", "steps": steps}), {"b": slow(1000)}, operator(10, Verb.RESET, "g/wait")
    )

    assert ran.why == ("StepTimeout", "g")


def test_losers_that_an_operator_lets_begin_again_have_new_keys() -> None:
    """R49, R38, R44: behind the pivot a block is repeated; what was undone of it had the old keys."""
    race = {"id": "race", "complete_when": "completed >= 1", "parallel": [plain("win"), act("lose")]}
    block = {"id": "g", "steps": [race], "output": "{{ nothing.at.all }}"}
    ran = play(
        saga(plain("pay", pivot=True), block),
        {"lose": slow(0.1)},
        operator(5, Verb.RETRY_STEP, "g"),
        operator(10, Verb.SKIP_STEP, "g"),
    )
    losers = [call for call in ran.calls if "lose" in call]

    assert losers == [
        "g/race/lose",
        "g/race/lose.compensation",
        "g/race/lose@2#2",
        "g/race/lose@2.compensation",
    ]


def test_a_call_that_a_handler_has_repeated_keeps_its_input() -> None:
    """R92, R49: the key stands for what was sent first."""
    step = act("a", input={"at": "{{ saga.now }}"}, on_error=[{"then": "retry", "maximum_attempts": 2}])
    ran = play(saga(step), {"a": [no()]})

    assert ran.calls == ["a", "a#2"]
    assert ran.sent("a") == ran.sent("a#2")


@pytest.mark.parametrize("loop", [{"for_each": {"items": [1, 2]}}, {"repeat": {"until": "item_index >= 1"}}])
def test_a_loop_whose_next_cannot_be_computed_fails_once_more_when_the_saga_goes_on(loop: dict[str, Any]) -> None:
    """R90, R56, R45: the workflow goes on, and says why the loop fails."""
    (key, how) = next(iter(loop.items()))
    memory = {"state": {"n": 0}, "next": {"n": "{{ steps.a.output.n }}"}}
    scene = Scene(saga({"id": "l", key: {**how, **memory}, "steps": [act("a")], "on_error": STOP}), {"a": gives({})})
    scene.world.run()
    assert scene.status == "failed"

    scene.take_up(How.FORWARD, verb="redrive")
    scene.world.run()

    assert scene.status == "failed"
    assert scene.run.state.failure is not None
    assert (scene.run.state.failure.type, scene.run.state.failure.step) == ("ExpressionError", "l")
    assert scene.starts() == ["l[0]/a"]
