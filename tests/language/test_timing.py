"""How long a saga can take: the figures, and that a saga in virtual time never takes longer."""

# ruff: noqa: E501 (steps stand on one line)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sagadsl.cli.timing_text import as_data, as_text
from sagadsl.language.analysis.timing import SagaTime, timing
from sagadsl.language.load import load
from sagadsl.language.model import Saga
from sagadsl.trial.case import case
from sagadsl.trial.play import play

INFINITE = None
INPUT = """\
input:
  type: object
  properties:
    few: {type: array, maxItems: 5}
    rows: {type: array}
"""


def _saga(steps: str, more: str = "") -> Saga:
    found = load(f"sagadsl: 1\nname: timed\nversion: '1'\n{more}steps:\n{steps}")
    assert found.saga is not None, [each.message for each in found.findings]
    return found.saga


def _times(steps: str, more: str = "") -> tuple[float | None, float | None, float | None]:
    found: SagaTime = timing(_saga(steps, INPUT + more))
    return found.once.seconds, found.retried.seconds, found.undo.seconds


CALL = "activity: a.b, timeouts: {start_to_close: 10s}, retry: {maximum_attempts: 3, initial_interval: 1s}"
NONE = "compensation: none"
UNDO = (
    "compensation: {activity: a.c, timeouts: {start_to_close: 5s}, retry: {maximum_attempts: 2, initial_interval: 1s}}"
)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (f"  - {{id: a, {CALL}, {NONE}}}\n", (10, 33, 0)),
        (f"  - {{id: a, {CALL}, {UNDO}}}\n", (10, 33, 11)),
        (f"  - {{id: a, {CALL}, {UNDO}}}\n  - {{id: b, {CALL}, {UNDO}}}\n", (20, 66, 22)),
        ("  - {id: a, sleep: 90s}\n  - {id: b, wait_for: {signal: s, timeout: 1h}}\n", (3690, 3690, 0)),
        ("  - {id: b, wait_for: {signal: s}}\n", (INFINITE, INFINITE, 0)),
        (f"  - {{id: p, parallel: [{{id: a, {CALL}, {NONE}}}, {{id: b, sleep: 20s}}]}}\n", (20, 33, 0)),
        (
            f"  - {{id: p, parallel: [{{id: a, {CALL}, {NONE}}}, {{id: b, sleep: 20s, needs: [a]}}, {{id: c, sleep: 25s}}]}}\n",
            (30, 53, 0),
        ),
        (
            f"  - id: p\n    repeat: {{every: 2s, maximum_attempts: 4, until: 'steps.a.output.done'}}\n    steps: [{{id: a, {CALL}, {UNDO}}}]\n",
            (46, 138, 44),
        ),
        (
            f"  - id: p\n    for_each: {{items: [1, 2]}}\n    steps: [{{id: a, {CALL}, {UNDO}}}]\n",
            (20, 66, 22),
        ),
        (
            f"  - id: p\n    for_each: {{items: input.rows}}\n    steps: [{{id: a, {CALL}, {UNDO}}}]\n",
            (INFINITE, INFINITE, INFINITE),
        ),
        (  # five at most, two at the same time: three rows one after the other; all are undone one by one
            f"  - id: p\n    for_each: {{items: input.few, max_concurrency: 2}}\n    steps: [{{id: a, {CALL}, {UNDO}}}]\n",
            (30, 99, 55),
        ),
        (
            f"  - id: p\n    for_each: {{items: input.few, max_concurrency: unlimited}}\n    steps: [{{id: a, {CALL}, {NONE}}}]\n",
            (10, 33, 0),
        ),
        (  # an expression may make more of them
            f"  - id: p\n    for_each: {{items: '{{{{ input.few + [1] }}}}'}}\n    steps: [{{id: a, {CALL}, {UNDO}}}]\n",
            (INFINITE, INFINITE, INFINITE),
        ),
        (
            f"  - id: p\n    timeout: 2m\n    for_each: {{items: input.rows}}\n    steps: [{{id: a, {CALL}, {NONE}}}]\n",
            (120, 120, 0),
        ),
        (
            "  - {id: a, activity: a.b, timeouts: {start_to_close: 10s, schedule_to_close: 15s}, compensation: none}\n",
            (10, 15, 0),
        ),
        (
            "  - {id: a, activity: a.b, timeouts: {start_to_close: 10s, schedule_to_start: 1m}, retry: none, compensation: none}\n",
            (70, 70, 0),
        ),
        ("  - {id: a, saga: other, compensation: auto}\n", (INFINITE, INFINITE, INFINITE)),
    ],
)
def test_the_bounds_of_each_kind_of_step(steps: str, expected: tuple[float | None, ...]) -> None:
    assert _times(steps) == expected


def test_the_timeout_of_the_saga_bounds_the_way_forward_and_not_the_undoing() -> None:
    assert _times(f"  - {{id: a, {CALL}, {UNDO}}}\n", "timeout: 20s\n") == (10, 20, 11)


def test_behind_the_pivot_there_is_no_limit_unless_the_step_sets_one() -> None:
    """R44."""
    plain = "activity: a.b, timeouts: {start_to_close: 10s}, compensation: none"
    found = timing(
        _saga(
            f"  - {{id: a, {plain}, pivot: true}}\n"
            f"  - {{id: b, {plain}}}\n"
            f"  - {{id: c, {CALL}, {NONE}}}\n"
            f"  - {{id: d, {plain}, on_error: continue}}\n"
        )
    )
    by_id: dict[str, Any] = {each.id: each.retried.seconds for each in found.steps}

    assert by_id["a"] == 33  # three attempts by default, with 1 s and 2 s between them
    assert by_id["b"] is None
    assert (by_id["c"], by_id["d"]) == (33, 33)
    assert found.retried.why == "`a.b` is tried again without a limit"


def test_behind_the_pivot_the_timeout_of_the_saga_bounds_nothing() -> None:
    """R35: what comes before it is bounded still."""
    pivot = f"  - {{id: a, {CALL}, {NONE}}}\n  - {{id: b, {CALL}, {NONE}, pivot: true}}\n  - {{id: c, sleep: 1h}}\n"
    found = timing(_saga(pivot, "timeout: 20s\n"))

    assert [each.retried.seconds for each in found.steps] == [20, 33, 3600]
    assert found.retried.seconds == 20 + 33 + 3600


def test_the_timeout_of_a_block_bounds_each_step_in_it() -> None:
    """R93: on the way forward; undoing has no limit."""
    inner = f"[{{id: q, timeout: 5s, steps: [{{id: a, {CALL}, {UNDO}}}]}}, {{id: s, wait_for: {{signal: s}}}}]"
    found = timing(_saga(f"  - {{id: p, timeout: 20s, steps: {inner}}}\n  - {{id: z, wait_for: {{signal: s}}}}\n"))

    assert {each.id: (each.retried.seconds, each.undo.seconds) for each in found.steps} == {
        "p": (20, 11),
        "q": (5, 11),
        "a": (5, 11),
        "s": (20, 0),
        "z": (None, 0),
    }


def test_the_timeouts_and_retries_that_count_are_told_after_all_defaults() -> None:
    """R19, R36, R44: those of the language too, and those behind the pivot; steps that have the same stand together."""
    steps = (
        "  - {id: a, activity: a.a, compensation: {activity: a.b, retry: {maximum_attempts: 2}}}\n"
        "  - {id: b, activity: a.b, compensation: none}\n"
        "  - {id: c, activity: a.c, pivot: true, retry: {maximum_attempts: 4, backoff_coefficient: 1, initial_interval: 5s}}\n"
        "  - id: d\n    activity: a.d\n    compensation: none\n"
        "    timeouts: {start_to_close: '{{ input.sla }}', schedule_to_close: 2h, heartbeat: 5s}\n"
        "    retry: {non_retryable_error_types: [Broke, timeout]}\n"
        "  - {id: e, activity: a.e, compensation: none, retry: none}\n"
        "  - {id: f, sleep: 1s}\n"
    )
    saga = _saga(steps, "input: {type: object, required: [sla], properties: {sla: {type: string}}}\n")
    said = [line for line in as_text([("timed", timing(saga))]).splitlines() if "attempt" in line][1:]
    assert said == [
        "   3 attempts, 1m each, pauses 1s, times 2, up to 1m: `a`, `b`",
        "   undo: 2 attempts, 1m each, pauses 1s, times 2, up to 1m: `a`",
        "   4 attempts, 1m each, pauses 5s: `c`",
        "   unlimited attempts, computed each, 2h in all, heartbeat 5s, pauses 1s, times 2, up to 1m, not after Broke, timeout: `d`",
        "   1 attempt, 1m each: `e`",
    ]
    (told,) = as_data([("timed", timing(saga))])
    assert told["steps"][0]["call"] == {
        "activity": "a.a",
        "timeouts": {"start_to_close": "1m"},
        "retry": {
            "maximum_attempts": 3,
            "initial_interval": "1s",
            "backoff_coefficient": 2.0,
            "maximum_interval": "1m",
            "non_retryable_error_types": [],
        },
    }
    assert [each["activity"] for each in told["steps"][0]["undoing"]] == ["a.b"]
    assert told["steps"][-1]["call"] is None


def test_the_table_says_why_of_each_row_without_a_limit() -> None:
    """Not of the first one alone, of which the total has its reason."""
    steps = "  - {id: a, wait_for: {signal: s}}\n  - {id: b, saga: child, compensation: auto}\n"
    *_, first, second, third = as_text([("timed", timing(_saga(steps)))]).splitlines()
    assert (first, second, third) == (
        "   ∞ `a` waits for a signal without a timeout",
        "   ∞ `b` waits for a child saga",
        "   ∞ the child saga of `b` undoes itself",
    )


def test_a_saga_whose_calls_use_all_their_attempts_takes_no_longer() -> None:
    """In virtual time, each attempt takes as long as it may, and the last one fails."""
    saga = _saga(f"  - {{id: a, {CALL}, {UNDO}}}\n  - {{id: b, {CALL}, {UNDO}}}\n")
    found = timing(saga)
    mocks = {"a": [{"timeout": "start_to_close"}] * 2 + [{"after": "9s"}], "b": {"timeout": "start_to_close"}}
    undo = {"a.compensation": [{"timeout": "start_to_close"}, {"after": "4s"}]}
    played = play(saga, case({"name": "slow", "given": {"mocks": {**mocks, **undo}}}, {}, ()))

    assert played.status == "compensated"
    assert found.retried.seconds is not None
    assert found.undo.seconds is not None
    assert 60 < played.seconds <= found.retried.seconds + found.undo.seconds


def test_every_shipped_definition_has_its_times() -> None:
    folder = Path(__file__).parents[2] / "definitions"
    for file in folder.rglob("*.saga.yaml"):
        saga = load(file.read_text(encoding="utf-8")).saga
        if saga is not None:
            found = timing(saga)
            for each in (found.once, found.retried, found.undo):
                assert (each.seconds is None) == bool(each.why), file
