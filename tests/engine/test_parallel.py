"""Branches: what they do to each other, and blocks that are complete before all of them have ended."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from sagadsl.engine.facts import Verb
from sagadsl.virtual.calls import Attempt
from tests.engine.scenes import act, beats, gives, lost, no, operator, plain, play, saga, slow


def _block(*branches: Any, **more: Any) -> dict[str, Any]:
    return {"id": "all", "parallel": list(branches), **more}


def test_cancel_stops_the_siblings_and_wait_lets_them_finish() -> None:
    """R38: then the block fails."""
    branches = act("bad"), beats("other"), {"id": "two", "steps": [act("one"), act("then")]}
    script = {"bad": no(takes=1), "other": slow(5), "one": slow(3)}

    stopped = play(saga(_block(*branches)), script)
    waited = play(saga(_block(*branches, on_branch_failure="wait")), script)

    assert (stopped.at("end", "all/other"), "all/two/then" in stopped.calls) == (1, False)
    assert (waited.at("end", "all/other"), "all/two/then" in waited.calls) == (5, True)
    assert stopped.why == waited.why == ("Refused", "all/bad")


def test_wait_begins_no_branch_after_a_failure() -> None:
    """R38: what has not begun does not begin, whether it waits for its turn or for a sibling."""
    branches = act("bad"), act("slow"), act("third"), act("needs", needs=["slow"])

    ran = play(saga(_block(*branches, max_concurrency=2, on_branch_failure="wait")), {"bad": no(), "slow": slow(2)})

    assert ran.calls == ["all/bad", "all/slow", "all/slow.compensation"]


def test_the_first_of_two_failures_is_the_failure_and_the_second_is_attached() -> None:
    """R39: in the order in which they came, in the same instant too."""
    ran = play(saga(_block(act("x"), act("y"))), {"x": no("First", takes=1), "y": no("Second", takes=1)})

    assert (ran.why, ran.others) == (("First", "all/x"), ["Second"])


def test_the_first_failure_counts_although_its_block_settles_later() -> None:
    """R39: an inner block still waits for its sibling when the outer one fails."""
    inner = {"id": "inner", "parallel": [act("x"), act("long")]}

    ran = play(saga(_block(inner, act("y"))), {"x": no("First"), "long": slow(9), "y": no("Second", takes=2)})

    assert (ran.why, ran.others) == (("First", "all/inner/x"), ["Second"])
    assert ran.status == "compensated"


def test_siblings_that_succeed_after_the_failure_are_undone() -> None:
    """R40."""
    ran = play(saga(_block(act("bad"), act("late"))), {"bad": no(), "late": slow(5)})

    assert ran.calls == ["all/bad", "all/late", "all/late.compensation"]


def test_an_ignored_branch_does_not_fail_the_block() -> None:
    """And what it did before it failed stays, until the saga fails."""
    branch = {"id": "branch", "steps": [act("one"), act("two")], "on_error": "continue"}

    well = play(saga(_block(branch, act("other")), plain("end")), {"two": no()})
    badly = play(saga(_block(branch, act("other")), plain("end")), {"two": no(), "end": no()})

    assert (well.status, well.report["undone"]) == ("completed", [])
    assert well.output == {"all": {"branch": None, "other": None}, "end": None}
    assert sorted(badly.report["undone"]) == ["all/branch/one", "all/other"]


def test_the_losers_are_cancelled_settle_and_are_undone_before_the_saga_goes_on() -> None:
    """R40: the first of three offers."""
    offers = beats("x"), act("y"), act("z")
    script = {"x": slow(9), "y": gives({"price": 3}, takes=1), "z": slow(2), "z.compensation": slow(4)}

    ran = play(saga(_block(*offers, complete_when="completed >= 1"), plain("buy")), script)

    assert ran.calls[3:] == ["all/z.compensation", "all/x.compensation", "buy"]
    assert ran.at("start", "buy") >= ran.at("end", "all/x.compensation")
    assert ran.output == {"all": {"y": {"price": 3}}, "buy": None}
    assert (ran.report["undone"], ran.report["not_attempted"]) == (["all/z", "all/x"], [])


def test_losers_that_are_kept_are_undone_only_if_the_saga_fails() -> None:
    """R40: `remaining: keep`."""
    block = _block(act("x"), act("y"), complete_when="completed >= 1", remaining="keep")

    kept = play(saga(block, act("buy")), {"y": slow(2)})
    failed = play(saga(block, act("buy")), {"y": slow(2), "buy": no()})

    assert kept.report["undone"] == []
    assert failed.report["undone"] == ["all/y", "all/x"]


def test_a_losers_undo_may_name_the_failure_although_there_is_none() -> None:
    """R14, R40: what stands for it says that the step was not needed."""
    undo = {"activity": "undo.y", "input": "{{ failure.type }}: {{ failure.message }}"}
    block = _block(act("x"), act("y", compensation=undo), complete_when="completed >= 1")

    ran = play(saga(block), {"y": slow(2)})

    assert (ran.status, ran.sent("all/y.compensation")) == (
        "completed",
        "NotNeeded: the block was complete without this step",
    )


def test_a_quorum_bears_failures_when_the_block_waits() -> None:
    """R38, R40: two of three; what failed is no loser that needs undoing, what succeeded too late is."""
    block = _block(act("x"), act("y"), act("z"), complete_when="completed >= 2", on_branch_failure="wait")

    ran = play(saga(block), {"x": no(), "y": slow(1), "z": slow(2)})

    assert (ran.status, ran.output) == ("completed", {"all": {"y": None, "z": None}})
    assert ran.failure is None


def test_one_supplier_after_another_until_one_accepts() -> None:
    """R38, R40: with `wait` a failure does not keep the next one from being tried."""
    loop = {
        "id": "ask",
        "for_each": {"items": "['a', 'b', 'c', 'd']"},
        "steps": [act("order", input="{{ item }}")],
        "complete_when": "completed >= 1",
        "on_branch_failure": "wait",
    }

    ran = play(saga(loop), {"ask[0]/order": no(), "ask[1]/order": no(), "ask[2]/order": gives("yes")})

    assert (ran.status, ran.calls) == ("completed", [f"ask[{index}]/order" for index in range(3)])
    assert ran.output == {"ask": [{"order": "yes"}]}


def test_a_quorum_that_is_never_met_fails_with_the_first_failure() -> None:
    """R39."""
    block = _block(act("x"), act("y"), act("z"), complete_when="completed >= 2", on_branch_failure="wait")

    ran = play(saga(block), {"x": no("One"), "y": no("Two", takes=1), "z": slow(2)})

    assert (ran.status, ran.why, ran.others) == ("compensated", ("One", "all/x"), ["Two"])
    assert ran.report["undone"] == ["all/z"]


def test_a_block_whose_condition_never_holds_ends_with_all_its_branches() -> None:
    """R40."""
    ran = play(saga(_block(act("x"), act("y"), complete_when="completed > 5")))

    assert (ran.status, ran.report["undone"]) == ("completed", [])


def test_the_condition_sees_the_counts_and_the_outputs_in_order_of_ending() -> None:
    """R40: names of the block."""
    block = _block(
        act("x"),
        act("y"),
        act("z"),
        complete_when="total == 3 and outputs == [2, 1] and completed == 2 and failed == 0",
    )

    ran = play(saga(block), {"x": gives(1, takes=2), "y": gives(2, takes=1), "z": slow(9)})

    assert ran.output == {"all": {"x": 1, "y": 2}}


def test_a_condition_that_cannot_be_computed_fails_the_block() -> None:
    """R56."""
    ran = play(saga(_block(act("x"), act("y"), complete_when="nothing > 1")), {"y": slow(3)})

    assert (ran.status, ran.why) == ("compensated", ("ExpressionError", "all"))
    assert ran.report["undone"] == ["all/y", "all/x"]


@pytest.mark.parametrize(("policy", "status"), [("continue", "failed"), ("stop", "failed"), ("pause", "paused")])
def test_a_loser_that_cannot_be_undone_follows_the_policy(policy: str, status: str) -> None:
    """R20, R40: without an operator the block fails, and with it the saga."""
    block = _block(act("x"), act("y"), complete_when="completed >= 1")

    ran = play(
        saga(act("a"), block, act("b"), compensation={"on_failure": policy}), {"y": slow(2), "y.compensation": no()}
    )

    assert ran.status == status
    if policy != "pause":
        assert ran.why == ("CompensationFailed", "all")
        assert ran.report["undone"] == ["all/x", "a"]
        assert "b" not in ran.calls


def test_a_loser_that_an_operator_skips_is_settled_and_the_saga_goes_on() -> None:
    """R22, R40: but the report keeps it, and a later failure cannot be called compensated."""
    block = _block(act("x"), act("y"), complete_when="completed >= 1")
    script = {"y": slow(2), "y.compensation": no()}

    well = play(saga(block, act("b")), script, operator(60, Verb.SKIP_STEP))
    badly = play(saga(block, act("b")), script | {"b": no()}, operator(60, Verb.SKIP_STEP))

    assert (well.status, well.report["not_undone"][0]["path"]) == ("completed", "all/y")
    assert (badly.status, badly.report["undone"]) == ("failed", ["all/x"])


def test_a_branchs_timeout_is_the_branchs_failure() -> None:
    """R41."""
    ran = play(saga(_block(act("x", timeouts={"start_to_close": "2s"}), act("y"))), {"x": lost()})

    assert ran.why == ("timeout", "all/x")


def test_branches_start_when_what_they_need_has_ended_well_and_only_so_many_at_once() -> None:
    """R10, W9: a graph of dependencies; a skipped or handled sibling counts as ended well."""
    branches = (
        plain("d", needs=["b", "c"]),
        plain("b", needs=["a"], **{"if": "false"}),
        plain("c", needs=["a"], on_error="continue"),
        plain("a"),
        plain("e"),
    )

    ran = play(saga(_block(*branches, max_concurrency=1)), {"c": no()})

    assert ran.calls == ["all/a", "all/c", "all/d", "all/e"]


def test_no_more_than_so_many_items_at_once_and_the_list_is_in_item_order() -> None:
    """W3."""
    loop = {
        "id": "lines",
        "for_each": {"items": "input", "max_concurrency": 2},
        "steps": [plain("take", input="{{ item }}")],
    }
    script = {f"lines[{index}]/take": gives(index, takes=9 - index) for index in range(5)}

    ran = play(saga(loop), script, input_=[0, 1, 2, 3, 4])

    running = most = 0
    for event in ran.world.events:
        running += {"start": 1, "end": -1}.get(event.what, 0)
        most = max(most, running)
    assert most == 2
    assert ran.output == {"lines": [{"take": index} for index in range(5)]}


def test_a_switch_with_an_empty_way_inside_a_branch_lets_the_block_end() -> None:
    switch = {
        "id": "how",
        "switch": [{"if": "false", "steps": [plain("x")]}, {"else": [plain("y", **{"if": "false"})]}],
    }

    ran = play(saga(_block(switch, plain("z"))))

    assert (ran.status, ran.output) == ("completed", {"all": {"how": {}, "z": None}})


def test_outputs_are_kept_by_branch_and_never_overwrite_each_other() -> None:
    """Each sets the same name."""
    branches = [{"id": name, "set": {"value": index}} for index, name in enumerate("abc")]
    total = {"id": "total", "set": {"sum": "{{ steps.a.output.value + steps.b.output.value + steps.c.output.value }}"}}

    ran = play(saga(_block(*branches), total))

    assert ran.output == {"all": {"a": {"value": 0}, "b": {"value": 1}, "c": {"value": 2}}, "total": {"sum": 3}}


def test_an_unknown_loser_is_undone_and_a_refusing_one_is_not() -> None:
    """R3, R40."""
    branches = act("won"), act("unknown", timeouts={"start_to_close": "2s"}), act("refused"), act("queued")
    script = {"won": slow(1), "unknown": lost(), "refused": no(takes=3), "queued": Attempt(starts=False)}

    ran = play(saga(_block(*branches, complete_when="completed >= 1")), script)

    assert (ran.status, ran.calls[4:]) == ("completed", ["all/unknown.compensation"])


def test_blocks_inside_losers_are_undone_whole() -> None:
    """R40: by their leaves, newest first; what stands beside the block with a similar name is not touched."""
    loser = {"id": "x", "steps": [act("x1"), act("x2"), act("x3")]}
    script = {"won": slow(1.15), "x3": slow(5), "x1": slow(0.5), "x2": slow(0.5)}

    block = _block(act("won"), loser, complete_when="completed >= 1")

    ran = play(saga(act("al"), act("all_x"), block, act("end")), script, drained=False)

    assert ran.status == "completed"
    assert ran.report["undone"] == ["all/x/x3", "all/x/x2", "all/x/x1"]


@pytest.mark.parametrize("order", list(permutations("abcd")), ids="".join)
def test_a_branch_begins_when_those_it_needs_are_done_wherever_it_stands(order: tuple[str, ...]) -> None:
    """`needs`: a chain of three, and one that needs nobody."""
    needs = {"b": ["a"], "c": ["b"]}
    branches = [act(id_, **({"needs": needs[id_]} if id_ in needs else {})) for id_ in order]

    ran = play(saga(_block(*branches)), {"d": slow(9)})

    assert ran.status == "completed"
    assert sorted(ran.calls) == [f"all/{id_}" for id_ in "abcd"]
    assert [call for call in ran.ends if call != "all/d"] == ["all/a", "all/b", "all/c"]


def test_the_blocks_inside_a_winner_stay() -> None:
    """R40: whichever blocks its leaves stand in."""
    rounds = {"id": "rounds", "for_each": {"items": "[1, 2]"}, "steps": [act("one")]}
    winner = {"id": "w", "steps": [act("w1"), rounds]}
    loop = {"id": "all", "for_each": {"items": "[1, 2]", "max_concurrency": 2}, "steps": [winner]}
    loop["complete_when"] = "completed >= 1"
    block = _block(winner, act("lost"), complete_when="completed >= 1")

    ran = play(saga(block), {"lost": slow(1)}, drained=False)
    looped = play(saga(loop), {"all[1]/w/w1": slow(1)}, drained=False)

    assert ran.report["undone"] == ["all/lost"]
    assert looped.report["undone"] == ["all[1]/w/w1"]


def test_what_runs_beside_a_block_with_a_similar_name_is_no_loser() -> None:
    """R40: though it began after the block."""
    block = _block(act("x"), act("y"), complete_when="completed >= 1")
    outermost = {"id": "around", "steps": [{"id": "outer", "parallel": [block, act("all_x"), act("all2")]}]}

    ran = play(saga(outermost), {"x": slow(1), "y": slow(2)}, drained=False)

    assert ran.report["undone"] == ["around/outer/all/y"]


def test_a_block_may_end_early_because_of_failures() -> None:
    """R38, R40: two said no, so the third is not waited for; nothing of the saga failed."""
    block = _block(act("x"), act("y"), beats("z"), complete_when="failed >= 2", on_branch_failure="wait")

    ran = play(saga(block), {"x": no(), "y": no(takes=1), "z": slow(60)})

    assert (ran.status, ran.output, ran.report["undone"]) == ("completed", {"all": {}}, ["all/z"])
    assert ran.at("cancel", "all/z") == 1  # when the second one said no


def test_a_skipped_branch_neither_counts_nor_has_an_output() -> None:
    """R40."""
    block = _block(act("x", **{"if": "false"}), act("y"), act("z"), complete_when="completed >= 2")

    ran = play(saga(block), {"z": slow(3)})

    assert (ran.took(), ran.output) == (3, {"all": {"y": None, "z": None}})


def test_a_block_that_is_complete_forgives_a_branch_that_is_still_failing() -> None:
    """R39, R40: its failure was not yet the saga's, since the block could be complete without it."""
    inner = {"id": "inner", "parallel": [act("bad"), act("long")]}

    ran = play(
        saga(_block(inner, act("y"), complete_when="completed >= 1")), {"bad": no(), "long": slow(9), "y": slow(2)}
    )

    assert (ran.status, ran.failure, ran.others) == ("completed", None, ["Refused"])
    assert ran.report["undone"] == ["all/inner/long"]


def test_a_branch_that_waits_for_an_operator_is_let_go_when_the_block_is_complete() -> None:
    """R40, R44: nobody has to decide about what is not needed."""
    block = _block(act("x"), act("y"), complete_when="completed >= 1", on_branch_failure="wait")

    ran = play(saga(plain("p", pivot=True), block, act("end")), {"x": no(), "y": slow(2)})

    assert (ran.status, ran.now["attention"]) == ("completed", [])
    assert ran.record("all/x").progress.value == "cancelled"


def test_blocks_that_end_early_in_a_long_loop_cost_the_same_each() -> None:
    """R40: the losers are looked for among the block's own steps; see ``test_limits`` for the cost."""
    block = _block(act("x"), act("y"), complete_when="completed >= 1")
    loop = {"id": "l", "for_each": {"items": "[1, 2, 3]"}, "steps": [block]}

    ran = play(saga(loop, act("end")), {"end": no(), "y": slow(1)})

    assert ran.calls[:4] == ["l[0]/all/x", "l[0]/all/y", "l[0]/all/y.compensation", "l[1]/all/x"]
    assert ran.calls[-3:] == [f"l[{index}]/all/x.compensation" for index in (2, 1, 0)]


def test_a_cancel_takes_over_a_block_that_was_about_to_fail() -> None:
    """R9, R25: the first error stays the failure, and the block is cancelled."""
    ran = play(saga(act("a"), _block(act("x"), act("y"))), {"x": no(), "y": slow(5)}, cancel_at=2)

    assert (ran.why, ran.record("all").progress.value) == (("Refused", "all/x"), "cancelled")
    assert ran.status == "compensated"
