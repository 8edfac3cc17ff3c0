"""How suites and `simulate` name calls: blocks may be left out, `[*]` is any round, and what has no effect is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sagadsl.language.build import build
from sagadsl.trial.case import Case
from sagadsl.trial.mocks import parse
from sagadsl.trial.play import play
from tests.cli.shell import Ran, inside

SAGA = """\
sagadsl: 1
name: tour
steps:
  - id: first
    steps: [{id: book, activity: bus.book, compensation: {activity: bus.cancel}}]
  - id: routes
    for_each: {items: "[1, 2]"}
    steps:
      - id: stops
        for_each: {items: "['a', 'b']", as: stop}
        steps: [{id: visit, activity: guide.visit, compensation: none, on_error: continue}]
  - id: pause
    sleep_until: "2026-03-29T01:00:00Z"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tour.saga.yaml").write_text(SAGA, encoding="utf-8")
    return tmp_path


def _case(folder: Path, case: str, *options: str) -> Ran:
    text = f"sagadsl_test: 1\nsaga: tour.saga.yaml\ncases:\n  - name: it\n{case}"
    (folder / "tour.saga-test.yaml").write_text(text, encoding="utf-8")
    return inside("test", "--no-plugins", *options, cwd=folder)


@pytest.mark.parametrize(
    ("mock", "failed"),
    [
        ("routes[*]/stops[0]/visit", ["0 0", "1 0"]),
        ("routes[1]/stops[*]/visit", ["1 0", "1 1"]),
        ("routes[*]/stops[*]/visit", ["0 0", "0 1", "1 0", "1 1"]),
        ("stops[1]/visit", ["0 1", "1 1"]),
        ("visit", ["0 0", "0 1", "1 0", "1 1"]),
    ],
)
def test_a_mock_holds_for_any_round_at_any_depth(folder: Path, mock: str, failed: list[str]) -> None:
    every = [f"{route} {stop}" for route in (0, 1) for stop in (0, 1)]
    words = {each: "failed" if each in failed else "succeeded" for each in every}
    outcomes = {f"routes[{each[0]}]/stops[{each[2]}]/visit": word for each, word in words.items()}

    mocks = json.dumps({mock: {"error": "Rain"}})

    ran = _case(folder, f"    given: {{mocks: {mocks}}}\n    then: {json.dumps({'outcomes': outcomes})}\n")

    assert ran.code == 0, ran.out


def test_blocks_may_be_left_out_wherever_a_name_stands(folder: Path) -> None:
    ran = _case(
        folder,
        """\
    given: {mocks: {"routes[0]/stops[0]/visit": {error: Rain}}}
    when: [{at: book, cancel: true}]
    then:
      status: cancelled
      calls: [book, book.compensation]
      attempts: {book: 1}
      outcomes: {book: succeeded}
      compensated: [book]
      never_called: [visit, "routes[*]/stops[0]/visit"]
""",
    )

    assert ran.code == 0, ran.out
    assert "! no call has used the mock of `routes[0]/stops[0]/visit`" in ran.out


def test_a_call_that_must_not_be_made_in_any_round_is_found(folder: Path) -> None:
    """It passed before, whatever was called."""
    ran = _case(folder, '    then: {never_called: ["routes[*]/stops[0]/visit"]}\n', "--json")

    (miss,) = json.loads(ran.out)["cases"][0]["misses"]
    assert miss["found"] == "[routes[0]/stops[0]/visit, routes[1]/stops[0]/visit]"


def test_two_options_for_one_call_mean_the_same_call(folder: Path) -> None:
    ran = inside(
        "simulate", "--no-plugins", "tour.saga.yaml", "--fail", "book=Full", "--delay", "first/book=3s", cwd=folder
    )

    assert ran.code == 10
    assert "+3s  ✗ first/book  failed: Full" in ran.out


def test_a_mock_that_no_call_has_used_is_told(folder: Path) -> None:
    """In a suite with its case, also for programs; mocks of `defaults` are for many cases."""
    ran = _case(
        folder,
        '    given: {mocks: {"routes[7]/stops[0]/visit": {error: X}}}\n    then: {status: completed}\n',
        "--json",
    )
    simulated = inside("simulate", "--no-plugins", "tour.saga.yaml", "--fail", "routes[7]/stops[0]/visit", cwd=folder)

    assert json.loads(ran.out)["cases"][0]["unused_mocks"] == ["routes[7]/stops[0]/visit"]
    assert simulated.err == "warning: no call has used the mock of `routes[7]/stops[0]/visit`\n"


def test_virtual_time_begins_when_the_case_says(folder: Path) -> None:
    """So that a wait for a moment can be shown."""
    said = _case(folder, '    given: {now: "2026-03-29T00:30:00Z"}\n    then: {takes: 30m}\n')
    wrong = _case(folder, '    given: {now: "2026-03-29"}\n    then: {takes: 30m}\n')
    simulated = inside("simulate", "--no-plugins", "tour.saga.yaml", "--now", "2026-03-29T00:30:00Z", cwd=folder)
    refused = inside("simulate", "--no-plugins", "tour.saga.yaml", "--now", "yesterday", cwd=folder)

    assert said.code == 0, said.out
    assert "error[SD107]: `2026-03-29` is not a moment" in wrong.err
    assert "completed after 30m of virtual time" in simulated.out
    assert (refused.code, "`--now yesterday` is not a moment" in refused.err) == (2, True)


@pytest.mark.parametrize(
    "read",
    [
        "steps.a.output.no | default(steps.b.output.id)",
        "(steps.a.output.count | default(0)) + 1",
        "steps.a.output.lines | default([]) | reverse | length",
        "(steps.b.output.count | default(3)) > 2",
        "'x' | replace('x', steps.b.output.name)",
        "steps.b.output.flags | default([]) | length",
        "(steps.b.output.price | decimal) * 2",
        "steps.b.output.leaves | plus('1h') | in_zone(steps.b.output.zone)",
        "saga.now | until(steps.b.output.leaves)",
        "[1, 2] | zip(steps.b.output.lines)",
    ],
)
def test_a_drawn_output_has_what_a_default_and_an_argument_read(read: str) -> None:
    """It was not drawn, or as text, and the saga failed without anybody's fault."""
    definition = {
        "sagadsl": 1,
        "name": "one",
        "steps": [
            {"id": "a", "activity": "do.a", "compensation": "none"},
            {"id": "b", "activity": "do.b", "compensation": "none"},
            {"id": "c", "set": {"x": f"{{{{ {read} }}}}"}},
        ],
    }

    assert play(build(definition), Case(mocks=parse({"a": {"output": {}}}))).status == "completed"
    assert play(build(definition), Case()).status == "completed"
