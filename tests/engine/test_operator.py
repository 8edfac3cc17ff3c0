"""What an operator may do, when."""

from __future__ import annotations

import pytest

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import Began, OperatorAsked, StartActivity, Verb
from sagadsl.engine.journal import State
from sagadsl.engine.operator import refusal
from tests.engine.scenes import Ran, act, built, gives, no, operator, plain, play, saga, signal, slow

ABC = saga(act("a"), act("b"), act("c"))


def _refusals(ran: Ran, path: str = "") -> dict[str, str | None]:
    return {verb.value: refusal(ran.state, verb, path) for verb in Verb}


def test_a_pause_lets_what_runs_end_and_begins_nothing() -> None:
    """R22: until it is resumed."""
    ran = play(ABC, {"a": slow(3)}, operator(1, Verb.PAUSE))
    resumed = play(ABC, {"a": slow(3)}, operator(1, Verb.PAUSE), operator(50, Verb.RESUME))

    assert (ran.status, ran.ends, ran.calls) == ("paused", ["a"], ["a"])
    assert (resumed.status, resumed.at("start", "b")) == ("completed", 50)


def test_a_paused_saga_still_takes_signals_and_timers() -> None:
    """R22, R59: what happens is taken in; what follows waits."""
    ask = {"id": "ask", "wait_for": {"signal": "go"}}

    ran = play(saga(ask, act("a")), None, operator(1, Verb.PAUSE), signal(2, "go", "yes"), operator(9, Verb.RESUME))

    assert (ran.status, ran.at("start", "a")) == ("completed", 9)
    assert ran.output == {"ask": "yes", "a": None}


def test_a_pause_holds_every_branch_round_and_compensation_and_all_go_on() -> None:
    """R22: nothing is forgotten, nothing runs twice."""
    loop = {"id": "loop", "for_each": {"items": "[1, 2, 3]", "max_concurrency": 2}, "steps": [act("x"), act("y")]}
    poll = {"id": "poll", "repeat": {"until": "item_index >= 2"}, "steps": [act("look")]}
    definition = saga({"id": "both", "parallel": [loop, poll]}, act("end"))
    script = {"end": no()}
    calls = sorted(play(definition, script).calls)

    for tenth in range(24):
        at = tenth / 10 + 0.05
        ran = play(definition, script, operator(at, Verb.PAUSE), operator(100, Verb.RESUME))

        assert sorted(ran.calls) == calls
        assert ran.status == "compensated"


def test_a_pause_during_compensation_holds_the_next_action() -> None:
    """R22."""
    actions = [{"activity": "undo.1"}, {"activity": "undo.2"}]

    ran = play(
        saga(act("a", compensation=actions), act("b")),
        {"b": no(), "undo.1": slow(5)},
        operator(2, Verb.PAUSE),
        operator(50, Verb.RESUME),
    )

    assert (ran.status, ran.at("start", "a.compensation[1]")) == ("compensated", 50)


def test_verbs_are_refused_with_the_reason_when_nothing_waits() -> None:
    """R22: validated updates."""
    running = play(ABC, {"a": slow(9)}, until=1)

    assert _refusals(running) == {
        "retry_step": "nothing waits for an operator",
        "complete_step": "nothing waits for an operator",
        "skip_step": "nothing waits for an operator",
        "abort": "nothing waits for an operator; to stop a running saga, cancel it",
        "pause": None,
        "resume": "the saga is not paused",
        "reset": "say to which step it goes back",
    }


def test_a_closed_saga_takes_nothing() -> None:
    """R59: after the end it is refused."""
    assert set(_refusals(play(ABC)).values()) == {"the saga is over"}


def test_an_operator_need_not_say_which_when_one_waits() -> None:
    """R22."""
    ran = play(ABC, {"b": no(), "a.compensation": no()})

    assert [refusal(ran.state, verb) for verb in (Verb.RETRY_STEP, Verb.SKIP_STEP, Verb.ABORT)] == [None] * 3


def test_an_operator_has_to_say_which_when_several_wait() -> None:
    """R22: two compensations at once."""
    block = {"id": "both", "parallel": [act("x"), act("y")]}
    definition = saga(block, act("end"), compensation={"order": "parallel"})
    script = {"end": no(), "x.compensation": no(), "y.compensation": no(takes=2)}

    ran = play(definition, script)

    paths = "`both/x.compensation`, `both/y.compensation`"
    assert _refusals(ran)["retry_step"] == f"say which one of {paths}"
    assert _refusals(ran, "end")["skip_step"] == f"`end` does not wait for an operator; {paths} does"
    assert _refusals(ran, "both/x.compensation")["skip_step"] is None
    assert _refusals(ran)["abort"] is None
    assert (
        _refusals(ran)["resume"] == f"the saga waits for a decision about {paths}: retry, complete or skip it, or abort"
    )
    ended = play(definition, script, operator(60, Verb.SKIP_STEP, "both/x.compensation"), operator(61, Verb.ABORT))
    assert (ended.status, sorted(line["path"] for line in ended.report["not_undone"])) == (
        "failed",
        ["both/x", "both/y"],
    )


def test_what_is_not_possible_any_more_changes_nothing() -> None:
    """R22: it was accepted, but somebody else was faster."""
    once = play(ABC, {"b": no(), "a.compensation": no()}, operator(60, Verb.SKIP_STEP))
    twice = play(
        ABC,
        {"b": no(), "a.compensation": no()},
        operator(60, Verb.SKIP_STEP),
        operator(60, Verb.RETRY_STEP, "a.compensation"),
        operator(60, Verb.ABORT),
        operator(60, Verb.RESUME),
    )

    assert twice.state == once.state


def test_abort_gives_up_all_that_waits_and_all_that_is_left() -> None:
    """R22: after the pivot two branches wait for an operator."""
    block = {"id": "both", "parallel": [act("x"), act("y"), act("long")]}

    ran = play(
        saga(plain("p", pivot=True), block, act("end")),
        {"x": no("One"), "y": no("Two"), "long": slow(50)},
        operator(20, Verb.ABORT),
    )

    assert (ran.status, ran.why, "end" in ran.calls) == ("failed", ("One", "both/x"), False)
    assert ran.took() == 50.1
    assert [(action["verb"], action["path"]) for action in ran.now["actions"]] == [("abort", "")]
    assert ran.report["why_not"] == "the pivot had passed"


def test_a_repeated_step_that_cannot_begin_waits_again() -> None:
    """R22, R56."""
    step = act("b", input="{{ nowhere }}")

    ran = play(saga(plain("p", pivot=True), step), None, operator(60, Verb.RETRY_STEP))

    assert (ran.status, [(path, error.step) for path, error in ran.state.attention.items()]) == ("paused", [("b", "b")])
    assert len(ran.now["actions"]) == 1
    (waiting,) = ran.now["attention"]
    assert (waiting["path"], waiting["type"], "nowhere" in waiting["message"]) == ("b", "ExpressionError", True)


def test_a_repeated_block_runs_again() -> None:
    """R22: here because nobody answered in time."""
    ask = {"id": "ask", "wait_for": {"signal": "go", "timeout": "5s"}}

    ran = play(saga(plain("p", pivot=True), ask, act("b")), None, operator(60, Verb.RETRY_STEP), signal(62, "go", 1))

    assert (ran.status, ran.output["ask"], ran.at("start", "b")) == ("completed", 1, 62)


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.RESUME, Verb.RETRY_STEP, Verb.SKIP_STEP, Verb.ABORT])
def test_a_verb_at_any_moment_breaks_nothing(verb: Verb) -> None:
    """Every fact is legal in every state; what it means is checked after each play."""
    script = {"c": no(), "b.compensation": no("Down")}

    for twentieth in range(12):
        ran = play(ABC, script, operator(twentieth / 20, verb))

        decided = ran.now["actions"] and verb in (Verb.SKIP_STEP, Verb.ABORT)
        assert ran.status == ("failed" if decided else "paused")


def test_a_pause_during_compensation_holds_the_next_step_too() -> None:
    """R22: what is being undone ends first."""
    script = {"c": no(), "b.compensation": slow(5)}

    ran = play(ABC, script, operator(2, Verb.PAUSE), operator(50, Verb.RESUME))

    assert (ran.at("end", "b.compensation"), ran.at("start", "a.compensation")) == (5.3, 50)


def test_a_repeated_step_shows_nothing_of_its_first_failure() -> None:
    """R22, R60: neither while it runs again nor when it is done."""
    definition = saga(plain("p", pivot=True), act("b"))
    script = {"b": no(), "b#2": slow(5)}

    running = play(definition, script, operator(20, Verb.RETRY_STEP), until=22)
    done = play(definition, script, operator(20, Verb.RETRY_STEP))

    assert (running.now["steps"][1]["status"], running.now["steps"][1]["error"]) == ("running", None)
    assert (done.now["steps"][1]["status"], done.now["steps"][1]["error"]) == ("completed", None)


def test_an_error_names_its_step_however_often_it_was_repeated() -> None:
    """R22, R49: paths have no numbers of repetitions."""
    forward = play(saga(plain("p", pivot=True), act("b")), {"b": no()}, operator(20, Verb.RETRY_STEP))
    back = play(ABC, {"b": no(), "a.compensation": no()}, operator(20, Verb.RETRY_STEP))

    assert [(line["path"], line["step"]) for line in forward.now["attention"]] == [("b", "b")]
    assert [(line["path"], line["step"]) for line in back.now["attention"]] == [("a.compensation", "a.compensation")]


def test_the_losers_of_a_repeated_block_are_all_undone() -> None:
    """R22, R40: although another step has begun since its first time."""
    block = {
        "id": "all",
        "parallel": [act("x"), act("y")],
        "complete_when": "steps.later.output == completed",
    }
    beside = {"id": "beside", "steps": [{"id": "nap", "sleep": "1s"}, act("later")]}
    script = {"later": gives(1), "y": slow(2)}

    ran = play(
        saga(plain("p", pivot=True), {"id": "both", "parallel": [block, beside]}),
        script,
        operator(20, Verb.RETRY_STEP),
    )

    assert (ran.status, ran.report["undone"]) == ("completed", ["both/all/y"])
    assert ran.calls[-1] == "both/all/y.compensation"


def test_a_loser_that_only_the_first_time_had_begun_is_undone_too() -> None:
    """R22, R40: the second time, the block was complete before it came to that branch."""
    block = {
        "id": "all",
        "parallel": [act("x"), act("y"), act("z")],
        "max_concurrency": 1,
        "complete_when": "steps.later.status == 'completed' or (completed == 2 and steps.later.output > 0)",
    }
    beside = {"id": "beside", "steps": [{"id": "nap", "sleep": "9s"}, act("later")]}

    ran = play(
        saga(plain("p", pivot=True), {"id": "both", "parallel": [block, beside]}, plain("c")),
        {"later": gives(1)},
        operator(20, Verb.RETRY_STEP),
    )

    assert (ran.status, ran.report["undone"]) == ("completed", ["both/all/y"])
    assert ran.calls[-3:] == ["both/all/x#2", "both/all/y.compensation", "c"]


@pytest.mark.parametrize("verb", [Verb.ABORT, Verb.SKIP_STEP])
def test_abort_of_what_losers_left_fails_the_block_and_skip_does_not(verb: Verb) -> None:
    """R22, R40: abort leaves the other losers as they are, and the saga is undone; skip says that it may go on."""
    block = {"id": "all", "parallel": [act("x"), act("y"), act("z")], "complete_when": "completed == 1"}
    script = {"x": slow(1), "y": slow(3), "z": slow(4), "z.compensation": no("Down")}

    ran = play(saga(act("a"), block, act("c")), script, operator(20, verb))

    (left,) = ran.report["not_undone"]
    assert (left["path"], left["type"]) == ("all/z", "Down")
    if verb is Verb.ABORT:
        assert (ran.status, ran.why) == ("failed", ("CompensationFailed", "all"))
        assert (ran.report["undone"], ran.report["not_attempted"]) == (["all/x", "a"], ["all/y"])
        assert ran.report["why_not"] == "an operator aborted the saga"
    else:
        assert (ran.status, ran.calls[-1]) == ("completed", "c")
        assert (ran.report["undone"], ran.report["not_attempted"]) == (["all/y"], [])


def test_a_step_that_a_repeated_block_leaves_out_is_no_longer_to_be_undone() -> None:
    """R22: what it did the first time belongs to a run of the block that is over; the report can still be made."""
    step = act("x", **{"if": "steps.later.status != 'completed'"})
    poll = {"id": "poll", "repeat": {"until": "false", "maximum_attempts": 1}, "steps": [step]}
    beside = {"id": "beside", "steps": [{"id": "nap", "sleep": "9s"}, act("later")]}

    ran = play(
        saga(plain("p", pivot=True), {"id": "both", "parallel": [poll, beside]}),
        {},
        operator(20, Verb.RETRY_STEP),
        operator(30, Verb.SKIP_STEP),
    )

    assert (ran.status, ran.report["undone"]) == ("completed", [])


def test_an_abort_while_it_is_undone_is_why_the_rest_is_not() -> None:
    """R22: the report says who has decided so, and not only what is left."""
    script = {"c": no("Broke"), "b.compensation": no("Down")}

    ran = play(saga(act("a"), act("b"), act("c")), script, operator(60, Verb.ABORT))

    assert (ran.status, ran.report["not_attempted"]) == ("failed", ["a"])
    assert ran.report["why_not"] == "an operator aborted the saga"


def test_a_step_after_the_pivot_that_is_repeated_twice_has_a_key_for_each_time() -> None:
    """R22, R49: a repeated call is a call of its own."""
    ran = play(
        saga(plain("p", pivot=True), act("b")),
        {"b": no("One")},
        operator(60, Verb.RETRY_STEP),
        operator(120, Verb.RETRY_STEP),
    )

    assert [call for call in ran.calls if call.startswith("b")] == ["b", "b#2", "b#3"]


def test_a_saga_that_is_paused_says_so_to_who_wants_to_pause_it() -> None:
    """R22: validated updates."""
    paused = play(ABC, {"a": slow(9)}, operator(1, Verb.PAUSE), until=2)

    assert _refusals(paused)["pause"] == "the saga is already paused"
    assert _refusals(paused)["resume"] is None


BROKEN = {"c": no(), "b.compensation": no("Down"), "a.compensation": no("Down")}


def test_a_decision_with_an_id_counts_once() -> None:
    """R22: it is sent again when nobody has answered; of two that are skipped one would be too many."""
    decision = {"path": "b.compensation", "request": "k"}

    ran = play(ABC, BROKEN, *(operator(at, Verb.RETRY_STEP, **decision) for at in (5, 6)))

    assert (ran.attempts("b.compensation#2"), len(ran.now["actions"])) == (1, 1)


def test_a_decision_about_what_has_moved_on_changes_nothing() -> None:
    """R22: what waits is the second failure, and the decision was about the first."""
    retried = operator(5, Verb.RETRY_STEP, "b.compensation", occurrence=1)
    ran = play(ABC, BROKEN, retried, operator(6, Verb.SKIP_STEP, "b.compensation", occurrence=1))

    assert (list(ran.state.attention), ran.now["attention"][0]["occurrence"]) == (["b.compensation"], 2)
    why = refusal(ran.state, Verb.SKIP_STEP, "b.compensation", 1)
    assert why == "that is decided already: `b.compensation` has failed again since, and waits for a new decision"
    assert refusal(ran.state, Verb.SKIP_STEP, "b.compensation", 2) is None


def test_a_decision_about_what_was_decided_says_so() -> None:
    """R22."""
    ran = play(ABC, BROKEN, operator(5, Verb.SKIP_STEP, "b.compensation"))

    why = refusal(ran.state, Verb.SKIP_STEP, "b.compensation")
    assert why == "`b.compensation` is decided already: it does not wait any more"


def test_a_pause_before_the_beginning_holds_everything() -> None:
    """N7, R22: and the saga goes on when it is resumed."""
    definition, state = built(ABC), State()
    assert decide(definition, state, OperatorAsked(0.0, Verb.PAUSE)) == []
    assert decide(definition, state, Began(0.0, "s", "r", None)) == []
    (first,) = decide(definition, state, OperatorAsked(9.0, Verb.RESUME))

    assert isinstance(first, StartActivity)
    assert first.call_id == "a"
