"""Numbers of attempts, of rounds, and of what runs at once that expressions give, with a bound. R56."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.language.load import load
from tests.engine.scenes import Ran, act, flaky, plain, play, saga


def _count(most: int = 5) -> dict[str, Any]:
    return {"value": "input.n", "at_most": most}


def _tries(n: Any) -> Ran:
    step = plain("a", retry={"maximum_attempts": _count()})
    return play(saga(act("first"), step), {"a": [flaky()] * 9}, input_={"n": n})


@pytest.mark.parametrize("n", [1, 3, 5, 2.0])
def test_a_call_is_attempted_as_often_as_the_expression_says(n: Any) -> None:
    ran = _tries(n)

    assert (ran.status, ran.attempts("a")) == ("compensated", n)


@pytest.mark.parametrize(
    ("n", "found"), [(0, "0"), (6, "6"), (1.5, "1.5"), ("3", "'3'"), (True, "True"), (None, "None")]
)
def test_a_number_out_of_its_bounds_fails_the_step_before_anything_begins(n: Any, found: str) -> None:
    ran = _tries(n)

    assert ran.failure is not None
    assert (ran.status, ran.failure.type, ran.failure.step) == ("compensated", "ExpressionError", "a")
    assert ran.failure.message == f"`maximum_attempts` must be a whole number from 1 to 5, found `{found}`"
    assert ran.attempts("a") == 0


@pytest.mark.parametrize(("n", "seconds"), [(1, 4), (2, 2), (4, 1)])
def test_so_many_items_run_at_once(n: int, seconds: float) -> None:
    """Also when the saga continues as new in between: the bound is kept."""
    loop = {"id": "all", "for_each": {"items": "[1, 2, 3, 4]", "max_concurrency": _count()}, "steps": [plain("a")]}

    ran = play(saga(loop), input_={"n": n}, drained=True)

    assert ran.status == "completed"
    assert ran.world.now - ran.world.begin == pytest.approx(seconds / 10)


def test_so_many_branches_run_at_once() -> None:
    block = {"id": "both", "parallel": [plain("a"), plain("b")], "max_concurrency": _count()}

    assert play(saga(block), input_={"n": 1}, drained=True).calls == ["both/a", "both/b"]
    ran = play(saga(act("first"), block), input_={"n": 9})
    assert ran.failure is not None
    assert ran.failure.message == "`max_concurrency` must be a whole number from 1 to 5, found `9`"


def test_so_many_rounds_are_made_and_the_number_is_computed_only_once() -> None:
    ask = plain("ask")
    loop = {"id": "poll", "repeat": {"until": "false", "maximum_attempts": _count()}, "steps": [ask]}

    ran = play(saga(loop), input_={"n": 3}, drained=True)

    assert ran.failure is not None
    assert (ran.failure.type, len(ran.calls)) == ("RepeatExhausted", 3)


def test_a_compensation_too_is_attempted_as_often_as_the_expression_says() -> None:
    undo = {"activity": "undo.a", "retry": {"maximum_attempts": _count()}}

    ran = play(
        saga(
            act("a", compensation=undo), {"id": "no", "fail": {"type": "No"}}, compensation={"on_failure": "continue"}
        ),
        {"a.compensation": [flaky()] * 9},
        input_={"n": 2},
    )

    assert (ran.status, ran.attempts("a.compensation")) == ("failed", 2)


@pytest.mark.parametrize(
    ("keys", "code", "message", "help"),
    [
        (
            'max_concurrency: "{{ input.n }}"',
            "SD107",
            "`for_each.max_concurrency` of step `all` must be a whole number of at least 1, or `unlimited`, "
            'got the text `"{{ input.n }}"`',
            'give it a bound: `{value: "{{ input.n }}", at_most: 10}`',
        ),
        (
            "max_concurrency: {value: input.n}",
            "SD102",
            "`for_each.max_concurrency` of step `all` lacks `at_most`",
            None,
        ),
        (
            "max_concurrency: {value: input.n, at_most: 0}",
            "SD107",
            "`for_each.max_concurrency.at_most` of step `all` must be at least 1, got the number `0`",
            None,
        ),
        ("max_concurrency: {value: input.m, at_most: 3}", "SD306", "`input` has no field `m`", None),
        (
            "max_concurrency: {value: input.t, at_most: 3}",
            "SD309",
            "`max_concurrency` must be a whole number, but `input.t` is text",
            "`| int` converts text",
        ),
        (
            "max_concurrency: {value: input.n, at_most: 3000}",
            "SD705",
            "step `all` may have 3,000 calls open at once, but Temporal allows only 2,000",
            None,
        ),
    ],
)
def test_validate_counts_with_the_bound(keys: str, code: str, message: str, help: str | None) -> None:
    fields = "{n: {type: integer}, t: {type: string}, lines: {type: array}}"
    schema = f"{{type: object, required: [n, t, lines], properties: {fields}}}"
    step = "{id: a, activity: do.a, compensation: none}"
    loop = f"{{id: all, for_each: {{items: input.lines, {keys}}}, steps: [{step}]}}"

    (found,) = load(f"sagadsl: 1\nname: x\ninput: {schema}\nsteps:\n  - {loop}\n").findings

    assert (found.code, found.message) == (code, message)
    assert help is None or found.help == help
