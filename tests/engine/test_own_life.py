"""Child sagas with an id or a life of their own, in virtual time. R113 to R116."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.engine.behind import behind
from sagadsl.engine.facts import How, OperatorAsked, Verb
from sagadsl.engine.redriven import refusal
from sagadsl.language.paths import call_of_child
from tests.engine.scenes import ID, Ran, act, built, gives, no, play, saga, slow

CHILD = saga(act("x"), act("y"), name="child", output="{{ saga.id }}")
LONG = saga(act("x"), {"id": "rest", "sleep": "1h"}, act("y"), name="long")


def _ship(**more: Any) -> dict[str, Any]:
    return {"id": "ship", "saga": "child", "workflow_id": "parcel-{{ input.n }}", "compensation": "auto", **more}


def _undone(ran: Ran, child: str) -> list[str]:
    return [call for call in ran.events("start", child) if "compensation" in call]


def test_the_id_is_computed_once() -> None:
    """R114: an expression that would give another id later does not; undoing means the child that has begun."""
    ship = _ship(workflow_id="parcel-{{ saga.now }}")

    ran = play(saga(ship, {"id": "rest", "sleep": "1m"}, act("b")), {"b": no()}, sagas=[CHILD])

    child = ran.world.runs[f"{ID}/ship"].state
    assert (child.saga_id, child.undo_only) == (ran.record("ship").child, True)
    assert (ran.status, ran.report["undone"]) == ("compensated", ["ship"])
    assert _undone(ran, f"{ID}/ship") == ["y.compensation", "x.compensation"]


def test_children_of_a_loop_keep_their_ids_when_their_rounds_are_packed() -> None:
    """R114, R50: a run that goes over keeps rows, and no records, of rounds that are over."""
    loop = {"id": "rows", "for_each": {"items": [1, 2, 3]}, "steps": [_ship(workflow_id="parcel-{{ item }}")]}

    ran = play(saga(loop, act("b")), {"b": no()}, sagas=[CHILD], drained=True)

    assert ran.status == "compensated"
    ids = [ran.record(f"rows[{number}]/ship").child for number in range(3)]
    assert ids == ["parcel-1", "parcel-2", "parcel-3"]
    assert ran.report["undone"] == ["rows[2]/ship", "rows[1]/ship", "rows[0]/ship"]


@pytest.mark.parametrize("drain", [False, True])
def test_a_saga_that_goes_back_begins_its_child_again_under_the_same_id(drain: bool) -> None:
    """R114, R81: what the operator's reset has undone was the saga's own, so the id may be used again."""
    definition = saga(act("a"), _ship(), {"id": "ask", "wait_for": {"signal": "go"}})
    meddling = (5.0, lambda at: OperatorAsked(at, Verb.RESET, "a", "ann", "because"))

    ran = play(definition, None, meddling, input_={"n": 7}, sagas=[CHILD], drained=drain)

    assert ran.record("ship").child == "parcel-7"
    assert ran.record("ship").output == "parcel-7"
    assert _undone(ran, f"{ID}/ship") == ["y.compensation", "x.compensation"]
    assert ran.now["waiting_for"] == {"go": ["ask"]}


def test_an_id_of_somebody_else_is_not_taken_for_our_own_by_trying_again() -> None:
    """R113: the first try has begun nothing, so the second one may not run again what has completed."""
    first = _ship(id="first")
    ship = _ship(on_error=[{"then": "pause"}])
    again = (60.0, lambda at: OperatorAsked(at, Verb.RETRY_STEP, "ship", "ann", "because"))

    ran = play(saga(first, ship), None, again, input_={"n": 7}, sagas=[CHILD])

    assert ran.calls == ["first", "ship", "ship#2"]
    assert ran.now["attention"][0]["type"] == "WorkflowAlreadyStarted"


@pytest.mark.parametrize("id_", [f"{ID}/ship", f"{ID}~abc/x", "order~0123456789ab/ship", "x" * 256, ""])
def test_an_id_that_a_child_cannot_have_fails_the_step_before_it_begins(id_: str) -> None:
    """R113: the path of a derived id could not be told from that of another step."""
    ran = play(saga(act("a"), _ship(workflow_id="{{ input.id }}")), input_={"id": id_, "n": 1}, sagas=[CHILD])

    assert ran.why == ("ExpressionError", "ship")
    assert ran.calls == ["a", "a.compensation"]


def test_keys_under_one_id_are_of_one_parent_and_one_call() -> None:
    """R114, R49: also of two parents with the same business key."""
    one = play(saga(_ship()), input_={"n": 7}, sagas=[CHILD])
    ids = {each.state.caller for name, each in one.world.runs.items() if name != ID}
    other = saga(_ship(id="other"))
    more = play(other, input_={"n": 7}, sagas=[CHILD])
    ids |= {each.state.caller for name, each in more.world.runs.items() if name != ID}

    assert len(ids) == 2
    assert all(each.startswith("parcel-7~") for each in ids)
    assert all(call_of_child(each, f"{each}/deep") == "deep" for each in ids)


def test_a_child_of_a_child_with_a_chosen_id_is_undone_too() -> None:
    """R114, R46: its id follows from the chosen one."""
    middle = saga({"id": "deep", "saga": "child", "compensation": "auto"}, name="middle")

    ran = play(saga(_ship(saga="middle"), act("b")), {"b": no()}, input_={"n": 7}, sagas=[CHILD, middle])

    deep = ran.world.runs[f"{ID}/ship/deep"].state
    assert deep.saga_id.startswith("parcel-7~")
    assert deep.saga_id.endswith("/deep")
    assert ran.status == "compensated"
    assert _undone(ran, f"{ID}/ship/deep") == ["y.compensation", "x.compensation"]


def test_a_step_that_was_abandoned_is_neither_undone_nor_gone_over() -> None:
    """R116: a redrive or a reset would begin its child a second time."""
    left = {"id": "left", "saga": "long", "on_cancel": "abandon", "compensation": {"activity": "undo.left"}}
    fails = {"id": "fails", "steps": [act("slow"), act("bad", on_error=[{"then": "stop"}])]}
    block = {"id": "p", "parallel": [left, fails]}

    ran = play(saga(block), {"slow": slow(60), "bad": no()}, sagas=[LONG], drained=False)

    assert (ran.status, ran.record("p/left").progress.value) == ("failed", "abandoned")
    assert ran.undo("p/left") == "not_due"
    assert ran.report["goes_on"] == [{"path": "p/left", "id": f"{ID}/p/left"}]
    model = built(saga(block))
    why = refusal(model, ran.state, How.FORWARD, killed=False)
    assert why == "the child saga of `p/left` goes on by itself, and would begin once more"
    assert any("goes on by itself" in each for each in behind(model, ran.state, "p").reasons)


def test_the_own_timeout_of_a_child_that_may_be_abandoned_still_ends_it() -> None:
    """R93, R116: `on_cancel` is about stops that come from around the step."""
    left = {"id": "left", "saga": "long", "on_cancel": "abandon", "timeout": "10s", "compensation": "auto"}

    ran = play(saga(left), sagas=[LONG])

    assert (ran.status, ran.why[0]) == ("compensated", "StepTimeout")
    assert ran.world.runs[f"{ID}/left"].close is not None
    assert ran.events("start", f"{ID}/left") == ["x", "x.compensation"]
    assert "goes_on" not in ran.report


def test_a_child_that_ends_in_the_moment_of_the_cancel_has_ended() -> None:
    """R29, R116: its result is not lost, and it is undone."""
    left = {"id": "left", "saga": "child", "on_cancel": "abandon", "compensation": "auto"}
    for tenth in range(6):
        ran = play(saga(left, {"id": "rest", "sleep": "1s"}), sagas=[CHILD], cancel_at=tenth / 10)

        how = ran.record("left").progress.value if "left" in ran.state.records else "never begun"
        undone = _undone(ran, f"{ID}/left")
        assert (how, undone) in [("abandoned", []), ("completed", ["y.compensation", "x.compensation"])], tenth


def test_an_operator_repeats_a_detached_child_that_could_not_begin() -> None:
    """R115, R22."""
    out = _ship(id="out", detached=True, compensation="none", on_error=[{"then": "pause"}], saga="long")
    again = (7200.0, lambda at: OperatorAsked(at, Verb.RETRY_STEP, "out", "ann", "because"))

    ran = play(saga({**out, "id": "first", "on_error": "compensate"}, out), None, again, input_={"n": 1}, sagas=[LONG])

    assert ran.calls == ["first", "out", "out#2"]
    assert ran.now["attention"][0]["type"] == "WorkflowAlreadyStarted"  # it has completed meanwhile


def test_what_an_activity_undoes_of_a_detached_child_gets_its_id() -> None:
    """R115."""
    undo = {"activity": "undo.out", "input": {"id": "{{ step.output }}", "why": "{{ failure.type }}"}}
    out = {"id": "out", "saga": "long", "detached": True, "compensation": undo}

    ran = play(saga(out, act("b")), {"b": no("Broke"), "undo.out": gives(None)}, sagas=[LONG])

    assert ran.sent("out.compensation") == {"id": f"{ID}/out", "why": "Broke"}
    assert "goes_on" not in ran.report
