"""Expressions while a saga runs: what they see, and what a mistake in one of them leads to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.scenes import act, gives, no, plain, play, saga, slow


@pytest.mark.parametrize(
    "step",
    [
        plain("b", input="{{ nowhere }}"),
        plain("b", **{"if": "input.n"}),
        plain("b", **{"if": "1 / 0 > 1"}),
        plain("b", input="{{ input.missing.deeper }}"),
        plain("b", input="{{ unbalanced"),
        plain("b", task_queue="{{ input.n }}"),
        {"id": "b", "for_each": {"items": "input.n"}, "steps": [plain("x")]},
        {"id": "b", "for_each": {"items": "{'a': 1}"}, "steps": [plain("x")]},
        {"id": "b", "switch": [{"if": "input.n", "steps": [plain("x")]}]},
        {"id": "b", "repeat": {"until": "'yes'"}, "steps": [plain("x")]},
        {"id": "b", "repeat": {"until": "false", "every": "{{ input.n }}"}, "steps": [plain("x")]},
        {"id": "b", "set": {"x": "{{ steps.later.output }}"}},
        {"id": "b", "sleep": "{{ input.n }}"},
        {"id": "b", "fail": {"type": "X", "message": "{{ nowhere }}"}},
        {"id": "b", "saga": "child", "input": "{{ nowhere }}"},
        act("b", compensation={"activity": "undo.b", "input": "{{ nowhere }}"}),
    ],
    ids=lambda step: next(key for key in step if key != "id"),
)
def test_a_mistake_fails_the_saga_and_undoes_what_was_done(step: dict[str, Any]) -> None:
    """R56: never an exception of ours; the step is named."""
    ran = play(saga(act("a"), step, act("later")), input_={"n": 5})

    assert (ran.status, ran.why) == ("compensated", ("ExpressionError", "b"))
    assert ran.report["undone"] == ["a"]
    assert "later" not in ran.calls


def test_a_mistake_can_be_handled_like_any_error() -> None:
    """R56."""
    step = plain("b", input="{{ nowhere }}", on_error=[{"types": ["ExpressionError"], "output": 7}])

    assert play(saga(step)).output == {"b": 7}


def test_a_condition_that_does_not_hold_skips_without_rendering_the_input() -> None:
    """And `default` works on what was skipped."""
    steps = (
        plain("a", **{"if": "false"}, input="{{ nowhere }}"),
        plain("b", **{"if": "steps.a.status == 'completed'"}),
        plain("c", input="{{ steps.a.output.id | default('none') }}"),
    )

    ran = play(saga(*steps))

    assert (ran.status, ran.calls, ran.sent("c")) == ("completed", ["c"], "none")


def test_without_default_the_output_of_a_skipped_step_is_a_failure_never_a_hang() -> None:
    ran = play(saga(plain("a", **{"if": "false"}), plain("c", input="{{ steps.a.output }}")))

    assert ran.why == ("ExpressionError", "c")


def test_a_null_output_is_null_and_not_missing() -> None:
    """Of a completed step."""
    assert play(saga(plain("a"), {"id": "b", "set": {"x": "{{ steps.a.output }}"}})).output == {
        "a": None,
        "b": {"x": None},
    }


def test_the_status_of_steps_can_be_read() -> None:
    """In all the words that a step can have."""
    steps = (
        plain("done"),
        plain("ignored", on_error="continue"),
        plain("skipped", **{"if": "false"}),
        {"id": "all", "parallel": [act("won"), act("lost")], "complete_when": "completed >= 1"},
        {
            "id": "words",
            "set": {
                name: f"{{{{ steps.{name}.status }}}}"
                for name in ("done", "ignored", "skipped", "lost", "words", "last")
            },
        },
        plain("last"),
    )

    ran = play(saga(*steps), {"ignored": no(), "lost": no(takes=2)})

    assert ran.output["words"] == {
        "done": "completed",
        "ignored": "failed",
        "skipped": "skipped",
        "lost": "failed",
        "words": "running",
        "last": "pending",
    }


def test_an_error_handler_sees_the_error_and_gives_an_output() -> None:
    """In its condition, its steps and its output; the first that matches is taken."""
    handlers = [
        {"types": ["Other"], "output": 0},
        {"types": ["Refused"], "if": "error.message == 'never'", "output": 1},
        {
            "types": ["Refused"],
            "if": "error.step == 'b'",
            "steps": [plain("tell", input="{{ error.type }}: {{ error.message }}")],
            "output": {"was": "{{ error.type }}", "told": "{{ steps.tell.status }}"},
        },
    ]

    ran = play(saga(plain("b", on_error=handlers), plain("c", input="{{ steps.b.output }}")), {"b": no()})

    assert ran.sent("b.on_error/tell") == "Refused: Refused!"
    assert ran.sent("c") == {"was": "Refused", "told": "completed"}


def test_a_handlers_condition_that_cannot_be_computed_does_not_take_the_error() -> None:
    """R56, R23: the error stays the first one."""
    ran = play(saga(plain("b", on_error=[{"if": "nowhere"}, {"types": ["X"]}])), {"b": no()})

    assert (ran.why, ran.others) == (("Refused", "b"), ["ExpressionError"])


def test_a_handlers_output_that_cannot_be_computed_fails_the_step_with_its_own_error() -> None:
    """R56, R23."""
    ran = play(saga(act("a"), plain("b", on_error=[{"output": "{{ nowhere }}"}])), {"b": no()})

    assert (ran.status, ran.why, ran.others) == ("compensated", ("Refused", "b"), ["ExpressionError"])


def test_a_handler_that_fails_does_not_hide_the_error_it_was_for() -> None:
    """R23."""
    ran = play(
        saga(act("a"), plain("b", on_error=[{"steps": [plain("fix")]}])), {"b": no("First"), "fix": no("Second")}
    )

    assert (ran.status, ran.why, ran.others) == ("compensated", ("First", "b"), ["Second"])


def test_a_handler_that_is_cancelled_does_not_lose_the_error_it_was_for() -> None:
    """R9."""
    ran = play(saga(plain("b", on_error=[{"steps": [act("fix")]}])), {"b": no("First"), "fix": slow(9)}, cancel_at=2)

    assert (ran.status, ran.calls[-1], ran.others) == ("cancelled", "b.on_error/fix.compensation", ["First"])


def test_text_with_braces_that_comes_out_of_data_is_never_computed() -> None:
    ran = play(
        saga(plain("a"), plain("b", input={"x": "{{ steps.a.output }}", "y": "{{ input }}"})),
        {"a": gives("{{ 7*7 }}")},
        input_="{% raw %}",
    )

    assert ran.sent("b") == {"x": "{{ 7*7 }}", "y": "{% raw %}"}


def test_the_saga_is_text_that_can_be_sent() -> None:
    ran = play(
        saga(
            plain("a", input="{{ saga.name }}/{{ saga.version }}/{{ saga.id }}/{{ saga.run_id }}/{{ saga.started_at }}")
        )
    )

    assert ran.sent("a") == "scene/1/saga-1/run-saga-1/2023-11-14T22:13:20.000Z"


def test_the_whole_saga_and_a_whole_step_can_be_sent() -> None:
    """They are JSON."""
    ran = play(saga(plain("x"), plain("a", input={"saga": "{{ saga }}", "step": "{{ steps.x }}"})), {"x": gives(1)})

    assert ran.sent("a")["step"] == {"status": "completed", "output": 1}
    assert ran.sent("a")["saga"]["name"] == "scene"


def test_failure_can_be_read_after_the_failure_only() -> None:
    """R14: not while a sibling has failed and others go on."""
    branch = {"id": "other", "steps": [plain("one"), plain("two", input="{{ failure.type | default('none') }}")]}
    block = {"id": "both", "parallel": [act("bad"), branch], "on_branch_failure": "wait"}

    ran = play(saga(block, on_failure=[plain("alarm", input="{{ failure.type }}")]), {"bad": no(), "one": slow(2)})

    assert (ran.sent("both/other/two"), ran.sent("on_failure/alarm")) == ("none", "Refused")


def test_without_output_the_saga_gives_its_steps_outputs() -> None:
    """Skipped steps give none."""
    ran = play(saga(plain("a"), plain("b", **{"if": "false"}), plain("c")), {"a": gives(1), "c": gives([2])})

    assert ran.output == {"a": 1, "c": [2]}


def test_every_step_of_a_nested_sequence_runs_once_and_the_last_one_after_both_branches() -> None:
    branches = [{"id": n, "steps": [plain(f"{n}1", input="{{ steps.first.output }}"), plain(f"{n}2")]} for n in "xy"]
    last = plain("last", input="{{ [steps.x2.output, steps.y2.output] }}")

    ran = play(
        saga(plain("first"), {"id": "both", "parallel": branches}, last),
        {"first": gives(0), "x2": gives(1, takes=2), "y2": gives(2)},
    )

    assert sorted(ran.calls) == sorted(["first", "both/x/x1", "both/x/x2", "both/y/y1", "both/y/y2", "last"])
    assert (ran.sent("both/x/x1"), ran.sent("last")) == (0, [1, 2])


def test_a_message_that_is_no_text_becomes_one() -> None:
    ran = play(saga({"id": "f", "fail": {"type": "X", "message": "{{ input }}"}}), input_={"a": [1]})

    assert ran.failure is not None
    assert isinstance(ran.failure.message, str)


def test_no_way_of_a_switch_holds() -> None:
    ran = play(
        saga(
            act("a"),
            {"id": "how", "switch": [{"if": "false", "steps": [act("x")]}, {"if": "1 > 2", "steps": [act("y")]}]},
        )
    )

    assert (ran.status, ran.why, ran.calls) == ("compensated", ("NoMatchingCase", "how"), ["a", "a.compensation"])


def test_the_first_way_that_holds_is_taken() -> None:
    ways = [
        {"if": "input > 5", "steps": [plain("big")]},
        {"if": "input > 3", "steps": [plain("mid")]},
        {"else": [plain("small")]},
    ]

    assert [play(saga({"id": "how", "switch": ways}), input_=n).calls for n in (9, 4, 1)] == [
        ["how/big"],
        ["how/mid"],
        ["how/small"],
    ]
