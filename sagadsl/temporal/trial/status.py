"""Reads the answer to the status query of a trial: which steps have ended, and what was undone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagadsl.engine.facts import Outcome
from sagadsl.engine.undo import is_due
from sagadsl.language.model import Saga
from sagadsl.language.paths import step_id_in, undo_path
from sagadsl.status.lines import goes_on


def step_has_ended(path: str, status: Mapping[str, Any]) -> bool:
    """Whether a step has ended."""
    return any(step["path"] == path and step.get("ended_at") for step in status["steps"])


def outcomes(status: Mapping[str, Any]) -> dict[str, str]:
    """Return the outcomes of the steps that have ended, by path, and of their compensations, by name."""
    found = {step["path"]: step["outcome"] for step in status.get("steps", ()) if "outcome" in step}
    for step in status.get("steps", ()):
        if (step.get("compensation") or {}).get("status") == "done":
            found[undo_path(step["path"])] = Outcome.SUCCEEDED.value
    return found


def report(saga: Saga, status: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report for a saga that left none, because it completed or is open."""
    steps = sorted((step for step in status["steps"] if step.get("started_at")), key=lambda step: step["started_at"])
    lists: dict[str, list[Any]] = {"undone": [], "not_undone": [], "not_attempted": []}
    for step in reversed(steps):
        undo = step.get("compensation") or {}
        match undo.get("status"):
            case "done":
                lists["undone"].append(step["path"])
            case "failed" | "skipped":
                lists["not_undone"] += [{"path": step["path"], **error} for error in undo["errors"]]
            case None if status["status"] != "completed" and not goes_on(step) and _is_due(saga, step):
                lists["not_attempted"].append(step["path"])
            case _:
                pass
    left = [{"path": step["path"], "id": step["child"]} for step in status["steps"] if goes_on(step)]
    return {"status": status["status"], "failure": status["failure"], **lists, "why_not": "", "goes_on": left}


def _is_due(saga: Saga, step: Mapping[str, Any]) -> bool:
    compensation = saga.places[step_id_in(step["path"])].step.compensation
    return compensation is not None and "outcome" in step and is_due(compensation, Outcome(step["outcome"]))
