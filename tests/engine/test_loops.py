"""Loops: `for_each` and `repeat`."""

from __future__ import annotations

from typing import Any

from sagadsl.engine.facts import DrainRequested
from sagadsl.virtual.calls import Attempt
from tests.engine.scenes import act, gives, no, plain, play, saga


def _poll(*steps: Any, **how: Any) -> dict[str, Any]:
    return {"id": "poll", "repeat": how, "steps": list(steps)}


def test_rounds_go_on_until_it_holds_with_a_pause_between() -> None:
    """W7: `until` sees the steps of its round; the output is that of the last one."""
    look = plain("look", input="{{ item_index }}")
    script = {f"poll[{index}]/look": gives({"ready": index == 2}) for index in range(3)}

    ran = play(saga(_poll(look, until="steps.look.output.ready", every="5s")), script)

    assert (ran.calls, ran.output) == (
        [f"poll[{index}]/look" for index in range(3)],
        {"poll": {"look": {"ready": True}}},
    )
    assert ran.at("start", "poll[1]/look") == 5.1
    assert ran.sent("poll[2]/look") == 2


def test_too_many_rounds_are_a_failure() -> None:
    """R7: with all of them undone."""
    ran = play(saga(_poll(act("look"), until="false", maximum_attempts=3)))

    assert ran.why == ("RepeatExhausted", "poll")
    assert ran.calls[3:] == [f"poll[{index}]/look.compensation" for index in (2, 1, 0)]


def test_a_failure_in_a_round_ends_the_loop() -> None:
    ran = play(saga(_poll(act("look"), act("next"), until="false")), {"poll[1]/next": no()})

    assert ran.why == ("Refused", "poll[1]/next")
    assert len([call for call in ran.calls if "compensation" in call]) == 3


def test_a_loop_that_waits_for_nothing_and_never_ends_fails_the_saga() -> None:
    """R56: it would keep its worker busy for ever."""
    endless = _poll({"id": "x", "set": {"n": "{{ item_index }}"}, "on_error": "continue"}, until="false")

    ran = play(saga(act("a"), endless), drained=False)

    assert (ran.status, ran.why, ran.report["undone"]) == ("compensated", ("TooManySteps", ""), ["a"])
    assert ran.failure is not None
    assert ran.failure.message == "15,000 steps have begun, and none of them waits for anything"


def test_a_loop_that_waits_for_nothing_in_the_failure_handlers_ends_too() -> None:
    """R56, R23."""
    endless = _poll({"id": "x", "set": {"n": 1}}, until="false")

    ran = play(saga(act("a"), act("b"), on_failure=[endless, plain("after")]), {"b": no()}, drained=False)

    assert (ran.status, ran.why, ran.others) == ("compensated", ("Refused", "b"), ["TooManySteps"])
    assert ran.calls == ["a", "b", "a.compensation"]


def test_what_rounds_give_stands_in_the_order_of_the_list_whichever_ended_first() -> None:
    """`for_each` orders by number, and not by how numbers are spelt."""
    loop = {"id": "each", "for_each": {"items": "input", "max_concurrency": 12}, "steps": [act("x")]}
    script = {f"each[{index}]/x": gives(index, takes=12 - index) for index in range(12)}

    ran = play(saga(loop), script, input_=list(range(12)))

    assert [each["x"] for each in ran.output["each"]] == list(range(12))


def test_a_block_inside_a_round_sees_the_steps_of_its_own_round() -> None:
    """R7: and so does what undoes its steps."""
    undo = {"activity": "undo.y", "input": {"x": "{{ steps.x.output }}, not {{ step.output }}"}}
    inner = {"id": "g", "steps": [act("y", input="{{ steps.x.output }}", compensation=undo)]}
    loop = {"id": "each", "for_each": {"items": "input"}, "steps": [act("x", input="{{ item }}"), inner]}
    script = {f"each[{index}]/x": gives(f"x{index}") for index in range(2)}

    ran = play(saga(loop, plain("no")), {**script, "y": gives("y"), "no": no()}, input_=[0, 1])

    assert [ran.sent(f"each[{index}]/g/y") for index in range(2)] == ["x0", "x1"]
    assert [ran.sent(f"each[{index}]/g/y.compensation") for index in range(2)] == [
        {"x": "x0, not y"},
        {"x": "x1, not y"},
    ]


def test_an_empty_list_gives_an_empty_list() -> None:
    loop = {"id": "lines", "for_each": {"items": "input"}, "steps": [plain("x")]}

    assert play(saga(loop), input_=[]).output == {"lines": []}


def test_items_one_after_the_other_by_default() -> None:
    """W3: and each sees only its own round."""
    loop = {
        "id": "lines",
        "for_each": {"items": "input", "as": "line"},
        "steps": [plain("x", input="{{ line.n }}"), plain("y", input="{{ steps.x.output }}")],
    }
    script = {f"lines[{index}]/x": gives(index * 10) for index in range(3)}

    ran = play(saga(loop), script, input_=[{"n": n} for n in range(3)])

    assert ran.calls == [f"lines[{index}]/{name}" for index in range(3) for name in "xy"]
    assert [ran.sent(f"lines[{index}]/y") for index in range(3)] == [0, 10, 20]


def test_loops_within_loops_keep_their_rounds_apart() -> None:
    """R7: also when they are undone."""
    inner = {
        "id": "inner",
        "for_each": {"items": "row", "as": "cell"},
        "steps": [
            act("x", input="{{ [row, cell, item_index] }}", compensation={"activity": "undo.x", "input": "{{ cell }}"})
        ],
    }
    outer = {"id": "outer", "for_each": {"items": "input", "as": "row"}, "steps": [inner]}

    ran = play(saga(outer, act("end")), {"end": no()}, input_=[[1, 2], [3]])

    assert ran.calls[:3] == ["outer[0]/inner[0]/x", "outer[0]/inner[1]/x", "outer[1]/inner[0]/x"]
    assert ran.sent("outer[0]/inner[1]/x") == [[1, 2], 2, 1]
    assert [ran.sent(call) for call in ran.calls[4:]] == [3, 2, 1]


def test_a_failing_item_stops_the_others() -> None:
    """R38: and those that had not begun never do."""
    loop = {"id": "lines", "for_each": {"items": "[0, 1, 2, 3]", "max_concurrency": 2}, "steps": [act("x")]}

    ran = play(saga(loop), {"lines[0]/x": no(), "lines[1]/x": Attempt(takes=3)})

    assert ran.calls == ["lines[0]/x", "lines[1]/x", "lines[1]/x.compensation"]


def test_a_step_of_the_loop_is_not_seen_after_it_but_the_loops_output_is() -> None:
    loop = {"id": "lines", "for_each": {"items": "[1, 2]"}, "steps": [plain("x")]}

    ran = play(saga(loop, plain("y", input="{{ steps.lines.output[1].x }}")), {"lines[1]/x": gives("b")})
    wrong = play(saga(loop, plain("y", input="{{ steps.x.output }}")))

    assert ran.sent("y") == "b"
    assert wrong.why == ("ExpressionError", "y")


def test_a_long_loop_goes_on_over_many_runs_and_keeps_what_it_has_to_undo() -> None:
    """R50: continue-as-new at any moment, many times."""
    loop = {"id": "lines", "for_each": {"items": "input", "max_concurrency": 7}, "steps": [act("x"), act("y")]}

    ran = play(
        saga(loop, act("end")),
        {"end": no()},
        *((second / 2, DrainRequested) for second in range(1, 60)),
        input_=list(range(100)),
    )

    assert len(ran.events("continue_as_new")) > 20
    assert (ran.status, len(ran.report["undone"])) == ("compensated", 200)


def _count(**more: Any) -> dict[str, Any]:
    step = act("take", input="{{ state.n }}", compensation={"activity": "undo.take", "input": "{{ state.n }}"})
    how = {"while": "state.n < 40", "state": {"n": 0}, "next": {"n": "{{ steps.take.output + 1 }}"}, **more}
    return {"id": "count", "repeat": how, "steps": [step], "output": "{{ state }}"}


def test_a_state_outlives_continue_as_new() -> None:
    """R90, R50: at every round, and so does what undoes the steps."""
    script = {f"count[{index}]/take": gives(index) for index in range(40)} | {"end": no()}

    ran = play(saga(_count(), act("end")), script, *((second / 4, DrainRequested) for second in range(1, 40)))

    assert len(ran.events("continue_as_new")) > 5
    assert [ran.sent(f"count[{index}]/take") for index in range(40)] == list(range(40))
    assert [ran.sent(f"count[{index}]/take.compensation") for index in (39, 0)] == [39, 0]


def test_what_undoes_a_step_keeps_the_state_only_if_it_reads_it() -> None:
    """R90: a state may be large, and each step of each round would keep one."""
    loop = _count()
    loop["steps"][0]["compensation"] = {"activity": "undo.take", "input": "{{ step.output }}"}

    kept = play(saga(_count()), {"count[0]/take": gives(39)}).state.records["count[0]/take"].undo
    left = play(saga(loop), {"count[0]/take": gives(39)}).state.records["count[0]/take"].undo

    assert kept is not None
    assert kept.variables["state"] == {"n": 0}
    assert left is not None
    assert "state" not in left.variables


def test_a_first_condition_that_cannot_be_computed_fails_the_loop() -> None:
    """R56."""
    ran = play(saga(_count(**{"while": "state.n < input"})), input_="ten")

    assert (ran.status, ran.why, ran.calls) == ("compensated", ("ExpressionError", "count"), [])


def test_a_next_that_cannot_be_computed_fails_the_loop_and_what_was_done_is_undone() -> None:
    """R56, R90."""
    ran = play(saga(_count()), {"count[0]/take": gives("x")})

    assert (ran.why, ran.calls) == (("ExpressionError", "count"), ["count[0]/take", "count[0]/take.compensation"])
