"""Histories of every shape, recorded once and replayed with every change (R53).

Each version of the rules has a folder of its own, and each release keeps the recordings that it was
made with (``make keep-histories``). All of them replay: what an earlier release has begun, this one
ends. ``make histories`` records those of the newest version again, from the tests that play them on a
server. Do that only when a change is meant to give other commands, and then branch on ``State.rules``
for open runs.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.workflow import NondeterminismError

from sagadsl.engine import undo
from sagadsl.engine.journal import FIRST_RULES, RULES, Unwind
from sagadsl.engine.run import Run
from sagadsl.temporal.run.accepting import unsaid_rules
from tests.temporal.play import replayer

FOLDER = Path(__file__).with_name("histories")
CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"
FILES = sorted(FOLDER.glob("*/*.json.gz"))
TYPES = {
    "ACTIVITY_TASK_CANCELED",
    "ACTIVITY_TASK_FAILED",
    "ACTIVITY_TASK_TIMED_OUT",
    "CHILD_WORKFLOW_EXECUTION_FAILED",
    "MARKER_RECORDED",
    "TIMER_FIRED",
    "TIMER_CANCELED",
    "WORKFLOW_EXECUTION_CANCELED",
    "WORKFLOW_EXECUTION_CANCEL_REQUESTED",
    "WORKFLOW_EXECUTION_COMPLETED",
    "WORKFLOW_EXECUTION_CONTINUED_AS_NEW",
    "WORKFLOW_EXECUTION_FAILED",
    "WORKFLOW_EXECUTION_SIGNALED",
    "WORKFLOW_EXECUTION_UPDATE_COMPLETED",
}
"""What the recorded histories have to show between them."""


def _read(path: Path) -> WorkflowHistory:
    recorded = _data(path)
    return WorkflowHistory.from_json(recorded["id"], recorded["history"])  # children are named after the id


def _data(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return data


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name.removesuffix('.json.gz')}")
def test_a_recorded_history_replays(path: Path) -> None:
    """This code gives the commands that the recording release gave."""
    asyncio.run(replayer().replay_workflow(_read(path)))


def test_each_release_has_kept_its_recordings() -> None:
    """R53: those of the newest rules may be recorded again, and then show no more what a release has done."""
    released = re.findall(r"^## \[(\d[^\]]*)\]", CHANGELOG.read_text("utf-8"), re.M)

    assert {f"release-{version}" for version in released} <= {path.parent.name for path in FILES}


def test_the_recordings_show_what_can_happen_to_a_saga() -> None:
    """Success, failure with undo, cancel, timers, signals, children, operators, local activities, continue-as-new."""
    seen: set[str] = set()
    for path in FILES:
        events = _data(path)["history"]["events"]
        seen |= {event["eventType"].removeprefix("EVENT_TYPE_") for event in events}

    assert not TYPES - seen


@pytest.mark.parametrize("version", range(FIRST_RULES, RULES + 1))
def test_a_run_whose_client_named_no_rules_keeps_those_that_its_history_has_a_marker_of(
    version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the second version is still known."""
    monkeypatch.setattr("temporalio.workflow.patched", lambda marker: marker == f"sagadsl.rules.{version}")

    assert unsaid_rules() == version


def test_an_interpreter_that_undoes_in_another_order_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The replay test can fail."""
    advance = undo.advance

    def oldest_first(run: Run, unwind: Unwind) -> None:
        unwind.pending.reverse()
        advance(run, unwind)

    monkeypatch.setattr(undo, "advance", oldest_first)
    path = next(path for path in FILES if "undone_newest_first" in path.name)

    with pytest.raises(NondeterminismError):
        asyncio.run(replayer().replay_workflow(_read(path)))
