"""``sagadsl test --on temporal``: real workers, real crashes, and what a server cannot be made to do."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from sagadsl.temporal.trial import suites
from sagadsl.temporal.trial.stage import Stage
from sagadsl.trial.played import Played
from sagadsl.trial.suite import load_suite
from tests.cli.shell import Ran, sagadsl

SUITE = """
sagadsl_test: 1
saga:
  sagadsl: 1
  name: example
  timeout: 1h
  defaults:
    timeouts: {start_to_close: 3s} # more than a busy machine needs
    retry: {maximum_attempts: 3, initial_interval: 100ms}
    compensation: {retry: none}
  steps:
    - {id: a, activity: do.a, task_queue: elsewhere, input: {n: 1}, compensation: {activity: undo.a}}
    - {id: b, activity: do.b, compensation: {activity: undo.b, input: {key: "{{ step.idempotency_key }}"}}}
cases:
CASES
"""


def _played(folder: Path, cases: str, *arguments: str) -> Ran:
    (folder / "example.saga-test.yaml").write_text(SUITE.replace("CASES", cases))
    return sagadsl("test", "--on", "temporal", *arguments, cwd=folder)


def test_crashes_cancels_operators_and_keys_are_as_in_virtual_time(tmp_path: Path) -> None:
    """R22, R25, R49, R53: a worker that is killed in a step and in a compensation; the saga's id is `trial`."""
    cases = """
  - name: a worker dies in a step
    given: {mocks: {b: [{crash: true}, {output: 2}]}}
    then: {status: completed, attempts: {a: 1, b: 2}, sent: {a: {n: 1}}, output: {a: null, b: 2}}
  - name: a worker dies when a compensation begins
    given: {mocks: {b: {error: Refused}}}
    when: [{at: a.compensation, crash: true}]
    then: {status: paused, attention: [a.compensation]}
  - name: somebody cancels it
    when: [{at: b, cancel: true}]
    then: {status: cancelled, compensated: [b, a], sent: {b.compensation: {key: trial/b/do}}}
  - name: an operator skips what cannot be undone
    given: {mocks: {b: {error: Refused}, a.compensation: {error: Closed}}}
    when: [{at: {status: paused}, skip: a.compensation, by: ann}]
    then: {status: failed, not_undone: [a], holds: ["actions[0].by == 'ann'"]}
  - name: its timeout passes
    when: [{at: b, timeout: true}]
    then: {status: compensated, failure: SagaTimeout}
"""
    ran = _played(tmp_path, cases, "--json")
    document = json.loads(ran.out)

    assert [
        (case["name"], case["misses"], case["not_played"]) for case in document["cases"] if not case["passed"]
    ] == []
    assert (ran.code, ran.err, document["passed"]) == (0, "", 5)


def test_a_timeout_that_passes_in_a_step_is_awaited_there_however_short_an_attempt_is(tmp_path: Path) -> None:
    """R32: the attempt is made to wait by `sagadsl test`; no timeout of its own ends it meanwhile, no other begins."""
    cases = """
  - name: its timeout passes
    when: [{at: b, timeout: true}]
    then: {status: compensated, failure: SagaTimeout, attempts: {a: 1, b: 1}}
"""
    (tmp_path / "short.saga-test.yaml").write_text(
        SUITE.replace("CASES", cases).replace("start_to_close: 3s}", "start_to_close: 300ms, heartbeat: 200ms}")
    )
    ran = sagadsl("test", "--on", "temporal", cwd=tmp_path)

    assert (ran.code, ran.err) == (0, ""), ran.out


def test_what_would_take_for_hours_is_not_played_and_says_so(tmp_path: Path) -> None:
    """Nothing is left out in silence, and nothing that was not played has passed."""
    cases = """
  - name: a slow one
    given: {mocks: {b: {error: Busy, retry_after: 2h, retryable: true}}}
    then: {status: compensated}
  - name: a quick one that is expected to fail
    given: {mocks: {b: {error: Refused}}}
    then: {status: completed}
"""
    ran = _played(tmp_path, cases)

    assert ran.code == 1
    assert "  - a slow one: not played: it takes 1h, and this server does not skip time\n" in ran.out
    assert "  ✗ a quick one that is expected to fail\n      status: expected completed\n" in ran.out
    assert "✗ 0 cases passed, 1 failed, 1 not played" in ran.out


def test_without_a_server_the_environment_is_to_blame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 3, one message, no traceback."""
    binary = tmp_path / "bin" / "temporal"
    binary.parent.mkdir()
    binary.write_text("#!/bin/sh\nexit 1\n")
    binary.chmod(0o755)
    from sagadsl.temporal.link import embedded
    from tests.cli.shell import inside

    async def found() -> str:
        return str(binary)

    monkeypatch.setattr(embedded, "find_binary", found)
    (tmp_path / "example.saga-test.yaml").write_text(
        SUITE.replace("CASES", "  - {name: one, then: {status: completed}}")
    )
    ran = inside("test", "--on", "temporal", cwd=tmp_path)

    assert ran.code == 3
    assert "SD904" in ran.err


TWO = """\
sagadsl_test: 1
saga: {sagadsl: 1, name: two, steps: [{id: a, set: {x: 1}}]}
cases:
  - {name: hangs, then: {status: completed}}
  - {name: ends, then: {status: completed}}
"""


def test_a_case_that_does_not_stop_is_left_behind_and_the_others_are_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker of the SDK has waited for ever, and the command with it."""
    play = Stage.play

    async def hang(stage: Stage, patience: float) -> Played:
        if stage.case.name == "hangs":
            await asyncio.Event().wait()
        return await play(stage, patience)

    monkeypatch.setattr(Stage, "play", hang)
    monkeypatch.setattr(suites, "PATIENCE", 0.5)
    monkeypatch.setattr(suites, "_STOPS", 15.0)
    file = tmp_path / "two.saga-test.yaml"
    file.write_text(TWO, encoding="utf-8")
    cases = load_suite(file).cases
    with suites.real(cases, {}) as host:
        hangs, ends = map(host, cases)

    assert hangs == "it has not stopped for 16s"
    assert isinstance(ends, Played)
