"""What a compensation sees."""

from __future__ import annotations

import pytest

from sagadsl.engine.facts import DrainRequested, Verb
from sagadsl.virtual.calls import Attempt
from tests.engine.scenes import Script, act, flaky, gives, lost, no, operator, plain, play, saga


def test_an_undo_sees_its_step_as_it_ended_the_sagas_input_and_the_failure() -> None:
    """R14: the names, and the values of then."""
    undo = {
        "activity": "undo.b",
        "input": {
            "asked": "{{ input.amount }}",
            "sent": "{{ step.input.n }}",
            "got": "{{ step.output.ref }}",
            "outcome": "{{ step.outcome }}",
            "key": "{{ step.idempotency_key }}",
            "own_key": "{{ idempotency_key }}",
            "earlier": "{{ steps.a.output }}",
            "why": "{{ failure.type }}: {{ failure.message }} in {{ failure.step }}",
            "saga": "{{ saga.id }} {{ saga.name }}",
        },
    }
    steps = act("a"), act("b", input={"n": "{{ input.amount * 2 }}"}, compensation=undo), act("c")

    ran = play(saga(*steps), {"a": gives(7), "b": gives({"ref": "r1"}), "c": no("Broke")}, input_={"amount": 5})

    assert ran.sent("b.compensation") == {
        "asked": 5,
        "sent": 10,
        "got": "r1",
        "outcome": "succeeded",
        "key": "saga-1/b/do",
        "own_key": "saga-1/b/undo",
        "earlier": 7,
        "why": "Broke: Broke! in c",
        "saga": "saga-1 scene",
    }


def test_an_undo_may_name_its_own_step_by_id() -> None:
    """R14: it is computed when the step has ended, not before it runs."""
    undo = {"activity": "undo.a", "input": {"ref": "{{ steps.a.output.ref }}"}}

    ran = play(saga(act("a", compensation=undo), act("b")), {"a": gives({"ref": 9}), "b": no()})

    assert ran.sent("a.compensation") == {"ref": 9}


def test_an_undo_does_not_see_what_happened_after_its_step() -> None:
    """R14: of other steps it sees what its own step could have seen."""
    undo = {"activity": "undo.a", "input": {"later": "{{ steps.b.output | default('nothing yet') }}"}}
    block = {"id": "both", "parallel": [act("a", compensation=undo), act("b")]}

    ran = play(saga(block, act("c")), {"b": gives(1, takes=2), "c": no()})

    assert ran.sent("both/a.compensation") == {"later": "nothing yet"}


@pytest.mark.parametrize("which", ["{{ steps[input.which].output | default('unseen') }}", "{{ steps.c.status }}"])
def test_a_later_status_is_not_seen_either(which: str) -> None:
    """R14: neither by a computed name."""
    undo = {"activity": "undo.a", "input": {"other": which}}

    ran = play(saga(act("a", compensation=undo), act("c"), act("d")), {"c": gives(1), "d": no()}, input_={"which": "c"})

    assert ran.sent("a.compensation")["other"] in ("unseen", "pending")


def test_what_needs_only_the_input_is_rendered_before_the_step_runs() -> None:
    """R15: a mistake in it stops the step, not the undo."""
    undo = {"activity": "undo.b", "input": {"who": "{{ input.name }}", "got": "{{ step.output }}"}}

    ran = play(saga(act("a"), act("b", compensation=undo)), input_={})

    assert ran.calls == ["a", "a.compensation"]
    assert ran.why == ("ExpressionError", "b")


@pytest.mark.parametrize("input_", [{"got": "{{ step.output.ref }}", "who": "{{ input.n }}"}, "{{ step.output.ref }}"])
def test_a_mistake_in_what_needs_the_output_never_drops_the_record(input_: object) -> None:
    """R15, R16, R20: the undo waits for an operator, as any that fails for good."""
    undo = {"activity": "undo.b", "input": input_}

    ran = play(saga(act("a"), act("b", compensation=undo)), {"b": lost()}, input_={"n": 1})

    assert ran.status == "paused"
    assert [(line["path"], line["type"]) for line in ran.now["attention"]] == [("b.compensation", "ExpressionError")]
    assert ran.undo("a") == "registered"


def test_an_undo_defined_for_null_works_when_nobody_knows_the_output() -> None:
    """R16: the output of an unknown outcome is null."""
    undo = {"activity": "undo.a", "input": {"ref": "{{ step.output.ref if step.output is not none else 'none' }}"}}

    ran = play(saga(act("a", compensation=undo)), {"a": lost()})

    assert ran.sent("a.compensation") == {"ref": "none"}


def test_a_step_without_input_sends_none_and_neither_does_its_undo() -> None:
    """R15."""
    ran = play(saga(act("a", compensation={"activity": "undo.a"}), act("b")), {"b": no()})

    assert (ran.commands["a"].arguments, ran.commands["a.compensation"].arguments) == ((), ())


def test_an_undo_sends_the_steps_input_as_sent_and_its_own_when_it_has_one() -> None:
    """R14: also a null that was written."""
    steps = (
        act("a", input={"n": 1}, compensation={"activity": "undo.a"}),
        act("b", input={"n": 2}, compensation={"activity": "undo.b", "input": None}),
        act("c"),
    )

    ran = play(saga(*steps), {"c": no()})

    assert ran.commands["a.compensation"].arguments == ({"n": 1},)
    assert ran.commands["b.compensation"].arguments == (None,)


def test_all_attempts_get_the_same_input() -> None:
    """Rendered once."""
    step = plain("a", input={"at": "{{ saga.started_at }}"}, retry={"maximum_attempts": 3})

    ran = play(saga(step), {"a": [flaky(), flaky(), Attempt()]})

    assert ran.attempts("a") == 3
    assert ran.sent("a") == {"at": "2023-11-14T22:13:20.000Z"}


def test_only_what_is_named_is_sent() -> None:
    """Never the whole state."""
    ran = play(saga(act("a"), act("b", input={"x": 1}), act("c")), {"a": gives("big" * 1000), "c": no()})

    assert ran.sent("b.compensation") == {"key": "saga-1/b/do"}


def test_the_keys_are_the_same_at_every_attempt_and_when_an_operator_repeats_it() -> None:
    """R49: saga id, path, do or undo; nothing of the run, the attempt, or the repetition."""
    actions = [
        {"activity": "undo.one", "input": "{{ idempotency_key }}", "retry": "none"},
        {"activity": "undo.two", "input": "{{ idempotency_key }}", "retry": "none"},
    ]
    definition = saga(
        act("a", input="{{ idempotency_key }}", compensation=actions, retry={"maximum_attempts": 2}), act("b")
    )
    script: Script = {"a": [flaky(), Attempt()], "b": no(), "a.compensation[1]": no()}

    ran = play(definition, script, operator(60, Verb.RETRY_STEP))

    assert [ran.sent(call) for call in ran.calls if call != "b"] == [
        "saga-1/a/do",
        "saga-1/a/undo[0]",
        "saga-1/a/undo[1]",
        "saga-1/a/undo[1]",
    ]
    assert ran.calls[-1] == "a.compensation[1]#2"


def test_numbers_and_nulls_keep_their_type_on_the_way() -> None:
    """R14: native values, also inside of others."""
    step = plain("a", input={"n": "{{ input.n }}", "t": "n is {{ input.n }}", "x": "{{ input.x }}"})

    ran = play(saga(step), input_={"n": 1.5, "x": None})

    assert ran.sent("a") == {"n": 1.5, "t": "n is 1.5", "x": None}


@pytest.mark.parametrize("input_", ["{{ step }}", "{{ steps[input] }}"])
def test_a_whole_step_is_seen_as_it_ended(input_: str) -> None:
    """R14: with its output, also by a computed name."""
    undo = {"activity": "undo.a", "input": input_}

    ran = play(saga(act("a", compensation=undo), act("b")), {"a": gives(7), "b": no()}, input_="a")

    assert ran.sent("a.compensation")["output"] == 7


def test_the_run_id_is_that_of_the_run() -> None:
    """R50: another one after continue-as-new, while the saga's id stays."""
    steps = plain("a"), plain("b", input="{{ saga.run_id }} of {{ saga.id }}")

    ran = play(saga(*steps), {"a": Attempt(takes=5)}, (1.0, DrainRequested))

    assert ran.sent("b") not in ("", "run-saga-1 of saga-1")
    assert ran.sent("b").endswith(" of saga-1")


def test_a_compensation_knows_its_own_key_whenever_its_input_is_computed() -> None:
    """R15, R49: before its step runs or after it; the actions of a list have one each."""
    soon, late = "{{ idempotency_key }}", "{{ idempotency_key }} {{ step.output }}"
    one = {"activity": "undo.a", "input": {"soon": soon, "late": late}, "on": "completed"}
    two = [{"activity": "first", "input": late}, {"activity": "second", "input": [soon, late]}]

    ran = play(
        saga(act("a", compensation=one), act("b", compensation=two), act("c")),
        {"do.a": gives(1), "do.b": gives(2), "c": no()},
    )

    assert ran.sent("a.compensation") == {"soon": "saga-1/a/undo", "late": "saga-1/a/undo 1"}
    assert ran.sent("b.compensation[0]") == "saga-1/b/undo[0] 2"
    assert ran.sent("b.compensation[1]") == ["saga-1/b/undo[1]", "saga-1/b/undo[1] 2"]


def test_a_compensation_sees_its_steps_input_and_how_it_ended() -> None:
    """R14: also of a step of which nobody knows whether it happened."""
    undo = {
        "activity": "undo.a",
        "input": {
            "text": "{{ step.input.n }} {{ step.outcome }}",
            "why": "{{ step.error.type }}: {{ step.error.message }}",
            "error": "{{ step.error }}",
        },
    }
    timeouts = {"start_to_close": "5s"}

    lost_ = play(saga(act("a", input={"n": 7}, compensation=undo, timeouts=timeouts)), {"a": lost()})
    undo["input"] = {"text": "{{ step.input.n }} {{ step.outcome }}", "error": "{{ step.error }}"}
    done = play(saga(act("a", input={"n": 7}, compensation=undo), plain("no")), {"no": no()})

    message = "start_to_close timeout of 5s"
    assert lost_.sent("a.compensation") == {
        "text": "7 unknown",
        "why": f"timeout: {message}",
        "error": {"type": "timeout", "message": message},
    }
    assert done.sent("a.compensation") == {"text": "7 succeeded", "error": None}


@pytest.mark.parametrize("whole", [False, True])
def test_what_was_rendered_before_the_step_ran_is_not_rendered_again(whole: bool) -> None:
    """R15: it is as it was when the step began."""
    early = "{{ steps.short.status }}"
    undo = {"activity": "undo.a", "input": early if whole else {"early": early, "late": "{{ step.output }}"}}
    block = {"id": "all", "parallel": [act("long", compensation=undo), plain("short")]}

    ran = play(saga(block, plain("no")), {"long": gives(1, takes=5), "no": no()}, drained=False)

    assert ran.record("all/short").ended < ran.record("all/long").ended
    assert ran.sent("all/long.compensation") == ("pending" if whole else {"early": "pending", "late": 1})


@pytest.mark.parametrize("whole", [False, True])
def test_a_compensation_may_call_its_own_step_by_its_id(whole: bool) -> None:
    """R14, R15: its output comes late, whatever it is called."""
    own = "{{ steps.a.output }}"
    undo = {"activity": "undo.a", "input": own if whole else {"of": own}}

    ran = play(saga(act("a", compensation=undo), plain("no")), {"a": gives(5), "no": no()})

    assert ran.sent("a.compensation") == (5 if whole else {"of": 5})
