"""Child sagas."""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import Began, Error, Outcome, Settled, StartChild, Verb
from sagadsl.engine.journal import State
from sagadsl.engine.snapshots import snapshot
from sagadsl.language.paths import MAX_ID
from sagadsl.virtual.calls import Attempt
from tests.engine.scenes import Ran, act, beats, built, gives, no, operator, play, saga, slow

CHILD = saga(act("x"), act("y"), name="child", output="{{ input }}")


def _step(**more: Any) -> dict[str, Any]:
    return {"id": "trip", "saga": "child", "input": {"n": 1}, "compensation": "auto", **more}


def _undone_in_child(ran: Ran, child: str = "saga-1/trip") -> list[str]:
    return [call for call in ran.events("start", child) if "compensation" in call]


def test_a_child_that_completed_gives_its_output() -> None:
    """R46."""
    ran = play(saga(_step()), sagas=[CHILD])

    assert (ran.status, ran.output) == ("completed", {"trip": {"n": 1}})


def test_a_completed_child_undoes_itself_at_its_place_in_the_outer_order() -> None:
    """R46, R47, R10: as one unit, in a new run under its own id, so with its own keys."""
    ran = play(saga(act("a"), _step(), act("b"), act("c")), {"c": no("Broke")}, sagas=[CHILD])

    assert ran.calls == ["a", "trip", "b", "c", "b.compensation", "trip.compensation", "a.compensation"]
    assert _undone_in_child(ran) == ["y.compensation", "x.compensation"]
    assert ran.before(("end", "trip.compensation"), ("start", "a.compensation"))
    assert (ran.status, ran.report["undone"]) == ("compensated", ["b", "trip", "a"])
    child = ran.world.runs["saga-1/trip"]
    assert child.state.saga_id == "saga-1/trip"
    assert (child.state.undo_only, child.close and child.close.failure) == (True, None)


def test_an_undoing_child_runs_where_it_ran() -> None:
    """R47: on the queue of its step."""
    model, state = built(saga(_step(task_queue="{{ input }}"), act("b"))), State()
    decide(model, state, Began(0.0, "s", "r", "far-away"))
    decide(model, state, Settled(1.0, "trip", Outcome.SUCCEEDED, journal=snapshot(State())))
    commands = decide(model, state, Settled(2.0, "b", Outcome.FAILED, error=Error("No", "no")))

    (undo,) = commands
    assert isinstance(undo, StartChild)
    assert (undo.task_queue, undo.workflow_id, undo.call_id) == ("far-away", "s/trip", "trip.compensation")
    assert undo.failure == Error("No", "no", "b")


def test_a_child_may_be_undone_by_an_explicit_compensation() -> None:
    """R46: which sees its output."""
    undo = {"activity": "undo.trip", "input": "{{ step.output }}"}

    ran = play(saga(_step(compensation=undo), act("b")), {"b": no()}, sagas=[CHILD])

    assert (ran.calls, ran.sent("trip.compensation")) == (["trip", "b", "trip.compensation"], {"n": 1})
    assert _undone_in_child(ran) == []


def test_a_saga_may_undo_a_step() -> None:
    """R13: a compensation that is a child saga, with the step's own input."""
    undoing = saga(act("u1"), act("u2", input="{{ input }}"), name="undoing")
    step = act("a", input={"n": 7}, compensation={"saga": "undoing"})

    ran = play(saga(step, act("b")), {"b": no()}, sagas=[undoing])

    assert ran.calls == ["a", "b", "a.compensation"]
    assert ran.events("start", "saga-1/a.compensation") == ["u1", "u2"]
    assert ran.commands["saga-1/a.compensation:u2"].arguments == ({"n": 7},)


@pytest.mark.parametrize("how", ["auto", {"activity": "undo.trip"}])
def test_a_child_that_failed_has_undone_itself_and_is_not_undone_again(how: Any) -> None:
    """R46: its outcome is failed, so nothing of it is left; the failure names the step of the parent."""
    ran = play(saga(act("a"), _step(compensation=how)), {"y": no("Broke")}, sagas=[CHILD])

    assert (ran.status, ran.calls) == ("compensated", ["a", "trip", "a.compensation"])
    assert _undone_in_child(ran) == ["x.compensation"]
    assert ran.why == ("Broke", "trip")
    assert ran.before(("end", "trip"), ("start", "a.compensation"))


def test_a_child_that_could_not_undo_itself_waits_for_an_operator_of_the_parent() -> None:
    """R20, R46: nobody knows what is left of it."""
    child = CHILD | {"compensation": {"on_failure": "continue"}}

    ran = play(saga(act("a"), _step()), {"y": no(), "x.compensation": no()}, sagas=[child])

    assert (ran.status, list(ran.state.attention)) == ("paused", ["trip.compensation"])
    assert ran.state.attention["trip.compensation"] == Error(
        "NoJournal", "the child saga did not say what it has done, so it cannot undo itself", "trip.compensation"
    )


def test_when_a_completed_child_cannot_undo_itself_the_parents_policy_applies() -> None:
    """R20, R46: the reason is told."""
    child = CHILD | {"compensation": {"on_failure": "stop"}}

    ran = play(
        saga(act("a"), _step(), act("b"), compensation={"on_failure": "continue"}),
        {"b": no(), "y.compensation": no("Down")},
        sagas=[child],
    )

    assert (ran.status, ran.report["undone"]) == ("failed", ["a"])
    assert [(line["path"], line["type"]) for line in ran.report["not_undone"]] == [("trip", "CompensationFailed")]
    expected = Error("CompensationFailed", "the completed saga could not be undone as a whole")
    assert ran.world.runs["saga-1/trip"].state.failure == expected


def test_the_undoing_child_pauses_itself_and_its_own_operator_helps() -> None:
    """R22, R46: the parent just waits."""
    ran = play(
        saga(_step(), act("b")), {"b": no(), "y.compensation": no("Down"), "y.compensation#2": Attempt()}, sagas=[CHILD]
    )
    world = ran.world

    assert (ran.status, world.runs["saga-1/trip"].state.attention["y.compensation"].type) == ("compensating", "Down")
    world.at(60, operator(0, Verb.RETRY_STEP)[1], "saga-1/trip")
    world.run()
    assert ran.status == "compensated"


def test_a_cancel_reaches_the_child_which_undoes_itself_before_the_parent_does() -> None:
    """R25, R26."""
    ran = play(saga(act("a"), _step()), {"y": slow(5), "x.compensation": slow(3)}, sagas=[CHILD], cancel_at=2)

    assert (ran.status, ran.calls) == ("cancelled", ["a", "trip", "a.compensation"])
    assert _undone_in_child(ran) == ["y.compensation", "x.compensation"]
    assert ran.at("start", "a.compensation") == ran.at("close", "", "saga-1/trip")


def test_a_cancel_during_the_childs_undoing_interrupts_nothing() -> None:
    """R27."""
    ran = play(saga(_step(), act("b")), {"b": no(), "y.compensation": slow(9)}, sagas=[CHILD], cancel_at=3)

    assert (ran.status, _undone_in_child(ran)) == ("compensated", ["y.compensation", "x.compensation"])


def test_a_child_in_a_losing_branch_undoes_itself() -> None:
    """R40, R46."""
    block = {"id": "all", "parallel": [act("fast"), _step()], "complete_when": "completed >= 1"}

    ran = play(saga(block, act("next")), {"y": slow(5)}, sagas=[CHILD])

    assert (ran.status, ran.calls) == ("completed", ["all/fast", "all/trip", "next"])
    assert _undone_in_child(ran, "saga-1/all/trip") == ["y.compensation", "x.compensation"]
    assert ran.at("start", "next") == ran.at("close", "", "saga-1/all/trip")


def test_a_saga_that_does_not_exist_fails_the_step() -> None:
    """R54, R2: nothing of it was started."""
    ran = play(saga(act("a"), _step(saga="nowhere")))

    assert (ran.status, ran.why, ran.calls[-1]) == ("compensated", ("DefinitionNotFound", "trip"), "a.compensation")


def test_a_childs_child_undoes_itself_too() -> None:
    """R46: journal within journal."""
    grandchild = saga(act("g"), name="grandchild")
    child = saga(act("x"), {"id": "deep", "saga": "grandchild", "compensation": "auto"}, name="child")

    ran = play(saga(_step(), act("b")), {"b": no()}, sagas=[child, grandchild])

    assert _undone_in_child(ran) == ["deep.compensation", "x.compensation"]
    assert _undone_in_child(ran, "saga-1/trip/deep") == ["g.compensation"]


def test_a_child_whose_losers_were_undone_does_not_undo_them_again() -> None:
    """R1, R46."""
    block = {"id": "all", "parallel": [act("x"), act("y")], "complete_when": "completed >= 1"}

    ran = play(saga(_step(), act("b")), {"b": no(), "y": slow(2)}, sagas=[saga(block, name="child")])

    assert _undone_in_child(ran) == ["all/y.compensation", "all/x.compensation"]


def test_an_undoing_child_sees_the_data_of_its_first_run_and_the_parents_failure() -> None:
    """R14, R46."""
    undo = {"activity": "undo.x", "input": "{{ [input.n, step.output, failure.type, saga.id, step.idempotency_key] }}"}
    child = saga(act("x", compensation=undo), name="child")

    ran = play(saga(_step(), act("b")), {"b": no("Broke"), "x": gives("out")}, sagas=[child])

    assert ran.commands["saga-1/trip:x.compensation"].arguments == (
        [1, "out", "Broke", "saga-1/trip", "saga-1/trip/x/do"],
    )


def test_a_child_that_undoes_itself_runs_no_failure_handlers() -> None:
    """R46: it did not fail."""
    child = CHILD | {"on_failure": [act("alarm")]}

    ran = play(saga(_step(), act("b")), {"b": no()}, sagas=[child])

    assert _undone_in_child(ran) == ["y.compensation", "x.compensation"]
    assert "on_failure/alarm" not in ran.events("start", "saga-1/trip")


def test_a_heartbeating_child_step_stops_at_once_when_the_parent_is_cancelled() -> None:
    """R37, R47."""
    ran = play(saga(_step()), {"x": slow(1000)}, sagas=[saga(beats("x"), name="child")], cancel_at=5)

    assert (ran.status, ran.at("end", "x", "saga-1/trip")) == ("cancelled", 5)


def test_a_child_with_a_result_that_means_no_is_not_undone() -> None:
    """The same rule as for an activity."""
    ran = play(saga(act("a"), _step(failed_if={"if": "output.n == 1", "type": "Declined"})), sagas=[CHILD])

    assert (ran.why, ran.calls) == (("Declined", "trip"), ["a", "trip", "a.compensation"])
    assert _undone_in_child(ran) == []


def test_a_child_cancelled_by_somebody_else_is_a_failure_of_the_step() -> None:
    """Nobody asked the parent to stop."""
    ran = play(saga(act("a"), _step(), act("b")), {"y": slow(5)}, sagas=[CHILD], until=1)
    ran.world.cancel_at(2, "saga-1/trip")
    ran.world.run()

    assert (ran.status, ran.why) == ("compensated", ("cancelled", "trip"))


def test_ids_of_children_stay_short_however_deep_they_are() -> None:
    """B1: a saga that runs itself 20 deep ends, and is undone; a run of the first rules keeps its long ids."""
    deeper = {"id": "one_step_further_down", "saga": "deep", "input": {"n": "{{ input.n - 1 }}"}, "if": "input.n > 0"}
    deep = saga(act("x"), {**deeper, "compensation": "auto"}, name="deep")
    ran = play(
        saga({**deeper, "input": {"n": 20}, "if": "true"} | {"compensation": "auto"}, act("b")),
        {"b": no()},
        sagas=[deep],
    )
    ids = list(ran.world.runs)

    assert (ran.status, len(ids)) == ("compensated", 22)
    assert max(len(id_) for id_ in ids) <= MAX_ID < len("/one_step_further_down" * 20)
    assert all(_undone_in_child(ran, id_)[-1] == "x.compensation" for id_ in ids[1:])

    old = State(rules=1)
    (command,) = decide(built(saga(_step())), old, Began(0.0, "s" * 300, "run-1", None))
    assert isinstance(command, StartChild)
    assert command.workflow_id == f"{'s' * 300}/trip"


def test_a_child_runs_on_no_queue_whose_name_is_too_long() -> None:
    """B1: some databases would never find its run."""
    step = _step(task_queue="{{ 'q' * 256 }}")

    assert play(saga(step), sagas=[CHILD]).state.failure == Error(
        "InvalidDefinition", "`task_queue` of a saga has at most 255 characters", "trip"
    )


def _noise(size: int, seed: int = 1) -> str:
    """Return text that cannot be packed."""
    return base64.b64encode(random.Random(seed).randbytes(size)).decode()[:size]


def _large(undo: Any, *more: dict[str, Any], **top: Any) -> dict[str, Any]:
    """Return a child with six steps, each of which gives 300 kB."""
    return saga(*(act(f"s{number}", compensation=undo) for number in range(6)), *more, name="child", **top)


LARGE = {f"s{number}": gives(_noise(300_000, number)) for number in range(6)}


def test_a_child_that_could_not_be_undone_later_undoes_itself_while_it_can() -> None:
    """R46, R47: its parent has nothing to undo, and is told why."""
    child = _large({"activity": "undo", "input": "{{ step.output }}"})
    ran = play(saga(act("a"), _step(), act("b")), LARGE, sagas=[child])

    assert (ran.status, ran.events("start")) == ("compensated", ["a", "trip", "a.compensation"])
    assert _undone_in_child(ran) == [f"s{number}.compensation" for number in reversed(range(6))]
    assert ran.state.failure is not None
    assert ran.state.failure.type == "StateTooLarge"
    assert "what undoing this saga needs has 1,8" in ran.state.failure.message


def test_what_undoing_does_not_read_is_no_reason_to_fail() -> None:
    """R46, R47: outputs of 2.4 MB and an input of 1.9 MB, of which the compensations read a digit each."""
    undo = {"activity": "undo", "input": "{{ step.output[0] ~ input[0] }}"}
    child = saga(*(act(f"s{number}", compensation=undo) for number in range(8)), name="child", output="done")
    script = {f"s{number}": gives(_noise(300_000, number)) for number in range(8)}
    large = _noise(1_900_000, 77)
    ran = play(
        saga({**_step(), "input": "{{ input }}"}, act("b")),
        {**script, "b": no()},
        sagas=[child],
        input_=large,
    )

    assert (ran.status, ran.report["undone"]) == ("compensated", ["trip"])
    assert _undone_in_child(ran) == [f"s{number}.compensation" for number in reversed(range(8))]
    assert ran.sent("saga-1/trip:s7.compensation") == script["s7"].output[0] + large[0]


def test_a_child_is_undone_where_its_input_says() -> None:
    """R14: what a compensation reads beside the input of its call is not forgotten either."""
    undo = {"activity": "undo", "task_queue": "{{ input.desk }}"}
    ran = play(
        saga({**_step(), "input": {"desk": "north"}}, act("b")),
        {"b": no()},
        sagas=[saga(act("x", compensation=undo), name="child")],
    )

    assert ran.status == "compensated"
    assert ran.commands["saga-1/trip:x.compensation"].task_queue == "north"


def test_without_a_parent_that_might_undo_it_a_large_saga_completes() -> None:
    child = _large({"activity": "undo", "input": "{{ step.output }}"}, output="done")

    assert play(saga(_step(compensation="none")), LARGE, sagas=[child]).status == "completed"


def test_past_its_pivot_a_large_child_completes_and_an_operator_decides_what_its_parent_cannot() -> None:
    """R43: nothing of it is undone because of its size."""
    child = _large({"activity": "undo", "input": "{{ step.output }}"}, act("done", compensation="none", pivot=True))
    ran = play(saga(_step(), act("b")), {**LARGE, "b": no()}, sagas=[child])

    assert (ran.status, _undone_in_child(ran)) == ("paused", [])
    assert ran.state.attention["trip.compensation"].type == "NoJournal"


def test_a_large_input_is_not_sent_along_with_the_journal_that_has_it() -> None:
    """R47, R52: both do not fit into one message."""
    child = saga(act("x", compensation={"activity": "undo", "input": "{{ input.n }}"}), name="child")
    large = _noise(120_000)
    ran = play(saga({**_step(), "input": {"n": large}}, act("b")), {"b": no()}, sagas=[child])

    assert ran.status == "compensated"
    assert ran.sent("saga-1/trip:x.compensation") == large
