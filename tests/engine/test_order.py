"""In which order things are undone."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sagadsl.engine.facts import Verb
from sagadsl.virtual.calls import Attempt
from tests.engine.scenes import act, lost, no, operator, plain, play, saga, slow

TWO_ACTIONS = [{"activity": "undo.b1", "retry": "none"}, {"activity": "undo.b2", "retry": "none"}]


def test_each_compensation_begins_when_the_one_before_has_ended() -> None:
    """R10, R13: a slow compensation of two actions keeps the others waiting."""
    steps = act("a"), act("b", compensation=TWO_ACTIONS), act("c"), act("d")

    ran = play(saga(*steps), {"d": no(), "b.compensation[0]": slow(30)})

    undos = ["c.compensation", "b.compensation[0]", "b.compensation[1]", "a.compensation"]
    assert [call for call in ran.calls if "comp" in call] == undos
    for first, second in pairwise(undos):
        assert ran.at("end", first) <= ran.at("start", second)
        assert ran.before(("end", first), ("start", second))


def test_reverse_is_one_at_a_time_even_for_what_ran_at_the_same_time() -> None:
    """R11: the order of their beginning, backwards, whichever ended first."""
    block = {"id": "all", "parallel": [act("x"), act("y"), act("z")]}

    ran = play(saga(block, act("pay")), {"x": slow(3), "y": slow(1), "z": slow(2), "pay": no()})

    assert ran.calls[4:] == [f"all/{name}.compensation" for name in "zyx"]


def test_parallel_undoes_at_once_what_ran_at_once_and_the_rest_in_turn() -> None:
    """R10: with `order: parallel` only what began after another had settled comes before it."""
    block = {"id": "all", "parallel": [act("x"), act("y")]}
    script = {"pay": no(), "x.compensation": slow(5), "y.compensation": slow(2), "after.compensation": slow(1)}

    ran = play(saga(act("a"), block, act("after"), act("pay"), compensation={"order": "parallel"}), script)

    assert ran.at("start", "all/x.compensation") == ran.at("start", "all/y.compensation")
    assert ran.at("start", "all/x.compensation") == ran.at("end", "after.compensation")
    assert ran.at("start", "a.compensation") == ran.at("end", "all/x.compensation")


def test_parallel_keeps_the_order_inside_a_branch() -> None:
    """R10: two branches of two steps each; a branch does not wait for the other."""
    branches = [{"id": "p", "steps": [act("p1"), act("p2")]}, {"id": "q", "steps": [act("q1"), act("q2")]}]
    script = {"q1": slow(4), "all/p/p2.compensation": slow(3), "all/q/q2.compensation": slow(1), "pay": no()}

    ran = play(saga({"id": "all", "parallel": branches}, act("pay"), compensation={"order": "parallel"}), script)

    assert ran.before(("end", "all/p/p2.compensation"), ("start", "all/p/p1.compensation"))
    assert ran.before(("end", "all/q/q2.compensation"), ("start", "all/q/q1.compensation"))
    assert ran.before(("end", "all/q/q2.compensation"), ("start", "all/p/p1.compensation"))


def test_what_an_error_handler_did_is_undone_before_the_step_it_handled() -> None:
    """R10: the handler began when the call had settled."""
    handler = {"steps": [act("fix")], "then": "compensate"}

    ran = play(saga(act("a", on_error=[handler]), compensation={"order": "parallel"}), {"a": lost()})

    assert ran.before(("end", "a.on_error/fix.compensation"), ("start", "a.compensation"))


def test_branches_that_need_each_other_are_undone_in_that_order() -> None:
    """R10: also if B needs A."""
    flight, hotel, car = act("flight", needs=["car"]), act("hotel"), act("car")

    ran = play(
        saga({"id": "trip", "parallel": [flight, hotel, car]}, act("pay"), compensation={"order": "parallel"}),
        {"pay": no(), "hotel": slow(1), "flight.compensation": slow(2)},
    )

    assert ran.before(("end", "trip/flight.compensation"), ("start", "trip/car.compensation"))
    assert ran.at("start", "trip/hotel.compensation") < ran.at("end", "trip/flight.compensation")


def test_no_compensation_begins_before_everything_has_settled() -> None:
    """R12: the sibling is asked to stop, but hears nothing of it."""
    block = {"id": "all", "parallel": [act("bad"), act("long"), act("done")]}

    ran = play(saga(act("a"), block), {"bad": no(takes=1), "long": slow(8), "done": slow(0.5)})

    assert ran.at("cancel", "all/long") == 1.1
    assert ran.at("end", "all/long") == 8.1
    assert ran.at("start", "all/done.compensation") == 8.1
    assert ran.calls[-3:] == ["all/done.compensation", "all/long.compensation", "a.compensation"]


def test_a_step_in_its_back_off_ends_before_anything_is_undone() -> None:
    """The first fails at once, the second waits for its next attempt, the third is done.

    R5: of the second the server says only that it was cancelled, not that its attempt had ended in an error.
    """
    second = act("second", retry={"maximum_attempts": 9, "initial_interval": "1m"})
    block = {"id": "all", "parallel": [act("first"), second, act("third")]}

    ran = play(saga(block), {"first": no(takes=5), "second": Attempt(error="Busy")})

    assert (ran.attempts("all/second"), ran.at("end", "all/second")) == (1, 5.0)
    assert ran.calls[3:] == ["all/third.compensation", "all/second.compensation"]


def test_compensations_have_none_of_their_own() -> None:
    """R13: what an undo did is never undone, whatever fails after it."""
    ran = play(
        saga(act("a"), act("b"), act("c"), compensation={"on_failure": "continue"}), {"c": no(), "a.compensation": no()}
    )

    assert ran.calls == ["a", "b", "c", "b.compensation", "a.compensation"]


def test_every_action_of_a_list_runs_although_one_of_them_fails() -> None:
    """R13, R21: in listed order; the report says which one."""
    actions = [{"activity": name, "retry": "none"} for name in ("refund", "notify", "audit")]
    steps = act("a", compensation=actions), act("b")

    ran = play(saga(*steps, compensation={"on_failure": "continue"}), {"b": no(), "notify": no("Bounced")})

    assert ran.calls[2:] == [f"a.compensation[{index}]" for index in range(3)]
    assert [(line["path"], line["action"], line["type"]) for line in ran.report["not_undone"]] == [("a", 1, "Bounced")]


@pytest.mark.parametrize("order", ["reverse", "parallel"])
def test_a_failure_in_a_nested_block_undoes_inner_then_outer_and_ends(order: str) -> None:
    """The second step of a switch arm inside a branch fails; nothing after it runs."""
    switch = {"id": "how", "switch": [{"else": [act("one"), act("two"), act("three")]}]}
    block = {"id": "both", "parallel": [switch, act("side")]}

    ran = play(saga(act("a"), block, act("after"), compensation={"order": order}), {"two": no()})

    assert ran.calls[:4] == ["a", "both/side", "both/how/one", "both/how/two"]
    assert sorted(ran.calls[4:6]) == ["both/how/one.compensation", "both/side.compensation"]
    assert ran.calls[6:] == ["a.compensation"]
    assert ran.status == "compensated"


@pytest.mark.parametrize("policy", ["continue", "pause"])
def test_a_compensation_that_failed_does_not_hold_up_those_before_it(policy: str) -> None:
    """R10, R20: with `order: parallel` the next in turn goes on when the failed one is done with."""
    definition = saga(act("a"), act("b"), act("c"), compensation={"order": "parallel", "on_failure": policy})

    ran = play(definition, {"c": no(), "b.compensation": no()}, operator(20, Verb.SKIP_STEP))

    assert (ran.status, ran.report["undone"]) == ("failed", ["a"])


def test_a_step_that_an_operator_repeated_counts_from_its_last_beginning() -> None:
    """R10, R22: another had settled by then, so that one is undone after it."""
    first = {"id": "first", "steps": [act("u"), {"id": "n", "sleep": "50s"}]}
    second = {"id": "second", "steps": [act("v"), {"id": "m", "sleep": "50s"}]}
    block = {
        "id": "all",
        "parallel": [first, second, act("won", timeouts={"start_to_close": "2m"})],
        "complete_when": "completed >= 1",
    }
    script = {"u": no(), "u#2": Attempt(), "v": slow(5), "won": slow(30), "u.compensation": slow(3)}

    ran = play(
        saga(plain("p", pivot=True), block, compensation={"order": "parallel"}), script, operator(20, Verb.RETRY_STEP)
    )

    assert ran.status == "completed"
    assert ran.before(("end", "all/first/u.compensation"), ("start", "all/second/v.compensation"))
