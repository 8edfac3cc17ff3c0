"""When a compensation fails for good."""

from __future__ import annotations

import pytest

from sagadsl.engine.facts import Verb
from sagadsl.virtual.calls import Attempt
from tests.engine.scenes import Ran, act, flaky, lost, no, operator, play, saga

ABC = act("a"), act("b"), act("c"), act("d")
BROKEN = {"d": no("Broke"), "b.compensation": no("Down")}


def _with(policy: str, *meddling: object) -> Ran:
    return play(saga(*ABC, compensation={"on_failure": policy}), BROKEN, *meddling)  # type: ignore[arg-type]


def test_a_compensation_is_more_patient_than_a_step() -> None:
    """R19: ten attempts, from a second doubling to a minute, whatever the step's own policy."""
    ran = play(saga(act("a", compensation={"activity": "undo.a"}), act("b")), {"b": no(), "a.compensation": flaky()})

    assert (ran.attempts("a"), ran.attempts("a.compensation")) == (1, 10)
    assert ran.at("end", "a.compensation") - ran.at("start", "a.compensation") == pytest.approx(
        1 + 2 + 4 + 8 + 16 + 32 + 60 * 3 + 1
    )
    assert ran.status == "paused"


def test_a_compensation_is_attempted_as_often_as_it_says() -> None:
    """R19: three executions, then the policy applies."""
    undo = {"activity": "undo.a", "retry": {"maximum_attempts": 3}}

    ran = play(
        saga(act("a", compensation=undo), act("b"), compensation={"on_failure": "stop"}),
        {"b": no(), "a.compensation": flaky()},
    )

    assert (ran.attempts("a.compensation"), ran.status) == (3, "failed")


def test_continue_attempts_all_the_rest_and_says_what_was_not_undone() -> None:
    """R20, R21, R23, a peer's suite: the first error stays, the other one is attached with its type."""
    ran = _with("continue")

    assert ran.calls[4:] == ["c.compensation", "b.compensation", "a.compensation"]
    assert (ran.status, ran.why) == ("failed", ("Broke", "d"))
    assert (ran.report["undone"], ran.report["not_attempted"]) == (["c", "a"], [])
    assert ran.report["not_undone"] == [
        {"path": "b", "action": 0, "skipped": False, "type": "Down", "message": "Down!", "step": "b.compensation"}
    ]
    assert ran.now["steps"][1]["compensation"]["errors"][0]["type"] == "Down"


def test_stop_leaves_the_rest_and_lists_it() -> None:
    """R20, R21."""
    ran = _with("stop")

    assert ran.calls[4:] == ["c.compensation", "b.compensation"]
    assert (ran.status, ran.report["undone"], ran.report["not_attempted"]) == ("failed", ["c"], ["a"])
    assert ran.report["not_undone"][0]["path"] == "b"


def test_stop_begins_nothing_more_even_when_an_undo_cannot_be_computed() -> None:
    """R21, R15: two mistakes in a row never start a third."""
    wrong = {"activity": "undo.b", "input": "{{ step.output.nowhere }}"}

    ran = play(saga(act("a"), act("b", compensation=wrong), act("c"), compensation={"on_failure": "stop"}), {"c": no()})

    assert ran.calls == ["a", "b", "c"]
    assert (ran.report["not_undone"][0]["path"], ran.report["not_attempted"]) == ("b", ["a"])


def test_stop_lets_the_compensations_that_run_beside_it_end() -> None:
    """R21, R12: with `order: parallel` nothing is torn off."""
    block = {"id": "both", "parallel": [act("x"), act("y")]}
    script = {"d": no(), "x.compensation": no(), "y.compensation": Attempt(takes=5)}

    ran = play(saga(act("a"), block, act("d"), compensation={"order": "parallel", "on_failure": "stop"}), script)

    assert ran.report["undone"] == ["both/y"]
    assert ran.report["not_attempted"] == ["a"]
    assert ran.status == "failed"


def test_pause_is_the_default_and_keeps_the_saga_open_and_idle() -> None:
    """R20, R22, a peer's suite: the operator sees which, of which type, and why."""
    ran = play(saga(*ABC), BROKEN)

    assert (ran.status, ran.run.close) == ("paused", None)
    (waits,) = ran.now["attention"]
    assert waits.pop("since")
    assert waits == {
        "path": "b.compensation", "occurrence": 1, "type": "Down", "message": "Down!", "step": "b.compensation",
    }  # fmt: skip
    assert not ran.state.calls
    assert ran.undo("a") == "registered"


@pytest.mark.parametrize(
    ("verb", "status", "undos", "undone"),
    [
        (Verb.RETRY_STEP, "compensated", ["c", "b", "b#2", "a"], ["c", "b", "a"]),
        (Verb.SKIP_STEP, "failed", ["c", "b", "a"], ["c", "a"]),
        (Verb.ABORT, "failed", ["c", "b"], ["c"]),
    ],
)
def test_an_operator_repeats_it_or_goes_on_without_or_gives_up(
    verb: Verb, status: str, undos: list[str], undone: list[str]
) -> None:
    """R22: recorded with who and why."""
    script = BROKEN | {"b.compensation": no("Down"), "b.compensation#2": Attempt()}

    ran = play(saga(*ABC), script, operator(60, verb))

    assert ran.status == status
    assert [call.replace(".compensation", "") for call in ran.calls[4:]] == undos
    assert ran.report["undone"] == undone
    assert ran.now["actions"] == [
        {"at": "2023-11-14T22:14:20.000Z", "verb": verb.value, "path": "b.compensation", "by": "ann", "why": "because"}
    ]
    if verb is Verb.SKIP_STEP:
        assert (ran.report["not_undone"][0]["skipped"], ran.report["not_undone"][0]["type"]) == (True, "Down")
    if verb is Verb.ABORT:
        assert ran.report["not_attempted"] == ["a"]


def test_retrying_one_action_of_a_list_does_not_repeat_the_ones_before() -> None:
    """R22, R13, R1."""
    actions = [{"activity": name, "retry": "none"} for name in ("one", "two", "three")]
    script = {"b": no(), "a.compensation[1]": no(), "a.compensation[1]#2": Attempt()}

    ran = play(saga(act("a", compensation=actions), act("b")), script, operator(60, Verb.RETRY_STEP))

    assert ran.calls[2:] == ["a.compensation[0]", "a.compensation[1]", "a.compensation[1]#2", "a.compensation[2]"]
    assert ran.status == "compensated"


@pytest.mark.parametrize("type_", ["NotFound", "timeout", "acme.Bank$NotFound"])
def test_an_error_that_says_already_undone_is_a_success(type_: str) -> None:
    """R24."""
    undo = {"activity": "undo.a", "already_undone": ["NotFound", "timeout"], "retry": "none"}
    how = lost() if type_ == "timeout" else no(type_)

    ran = play(saga(act("a", compensation=undo), act("b")), {"b": no(), "a.compensation": how})

    assert (ran.status, ran.report["undone"]) == ("compensated", ["a"])


def test_the_failure_handlers_run_after_the_compensations_and_hide_nothing() -> None:
    """R23, W8: `on_failure` sees the first error; its own is reported beside it."""
    alarm = {"id": "alarm", "activity": "tell", "input": "{{ failure.type }} at {{ failure.step }}", "retry": "none"}

    ran = play(saga(*ABC, on_failure=[alarm, act("more")]), {"d": no("Broke"), "on_failure/alarm": no("Mute")})

    assert ran.calls[-2:] == ["a.compensation", "on_failure/alarm"]
    assert ran.sent("on_failure/alarm") == "Broke at d"
    assert (ran.status, ran.why, ran.others) == ("compensated", ("Broke", "d"), ["Mute"])


def test_the_failure_handlers_do_not_run_when_all_went_well() -> None:
    """W8."""
    assert play(saga(*ABC, on_failure=[act("alarm")])).calls == ["a", "b", "c", "d"]


@pytest.mark.parametrize("then", ["stop", "continue", "compensate"])
def test_an_error_handler_inside_on_failure_changes_nothing_of_how_the_saga_ended(then: str) -> None:
    """R23: all was undone, so it is compensated."""
    alarm = act("alarm", on_error=[{"then": then}], pivot=True)

    ran = play(saga(act("a"), act("b"), on_failure=[alarm]), {"b": no(), "alarm": lost()})

    assert (ran.status, ran.report["undone"], ran.report["why_not"]) == ("compensated", ["a"], "")


def test_only_one_pass_is_made_and_never_the_same_record_twice() -> None:
    """R1, R9: also when the first pass was over the losers of a block."""
    block = {
        "id": "offers",
        "parallel": [act("x"), act("y")],
        "complete_when": "completed >= 1",
    }

    ran = play(saga(block, act("pay")), {"x": Attempt(takes=1), "y": Attempt(takes=2), "pay": no()})

    assert ran.calls == ["offers/x", "offers/y", "offers/y.compensation", "pay", "offers/x.compensation"]


def test_where_a_restored_worker_goes_on_in_the_middle_of_the_compensations() -> None:
    """A peer's suite: nothing doubled, nothing left out; the state is written down after every fact."""
    undo = {"activity": "undo.b"}

    ran = play(
        saga(act("a"), act("b", compensation=undo), act("c")),
        {"c": no(), "b.compensation": [lost(), flaky(), Attempt()]},
    )

    assert ran.calls == ["a", "b", "c", "b.compensation", "a.compensation"]
    assert (ran.attempts("b.compensation"), ran.status) == (3, "compensated")


def test_an_operator_sees_how_far_the_compensations_have_come() -> None:
    """R60, a peer's suite: in the middle of them."""
    ran = play(saga(*ABC), {"d": no("Broke"), "b.compensation": Attempt(takes=9)}, until=5)

    assert ran.status == "compensating"
    assert ran.now["failure"]["type"] == "Broke"
    assert [line.get("compensation", {}).get("status") for line in ran.now["steps"]] == [None, "running", "done", None]
    assert (ran.report["undone"], ran.report["not_attempted"]) == (["c"], ["a"])
