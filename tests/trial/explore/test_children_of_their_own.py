"""`explore` with child sagas that have an id or a life of their own. R113 to R116."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.engine import ends
from sagadsl.engine.facts import Outcome
from sagadsl.engine.records import Progress, Record
from sagadsl.engine.run import Run
from sagadsl.trial.explore.run import Explored, Task, explore
from tests.engine.scenes import act, saga

CHILD = saga(act("x"), name="kid")


def _explore(step: dict[str, Any], **more: Any) -> Explored:
    ship = {"id": "ship", "saga": "kid", "compensation": "auto", **step}
    beside = {"id": "p", "parallel": [ship, {"id": "g", "steps": [act("a"), act("b")]}]}
    return explore(Task(saga(beside, act("c")), children={"kid": CHILD}, **more))


@pytest.mark.parametrize(
    ("step", "may"),
    [
        ({"workflow_id": "parcel-{{ saga.id }}"}, {"fails and undoes itself", "does not begin"}),
        ({"detached": True, "compensation": "none"}, set()),
        ({"detached": True, "compensation": {"activity": "undo.ship"}}, set()),
        ({"on_cancel": "abandon"}, {"fails and undoes itself", "fails and is not undone"}),
        ({"on_cancel": "abandon", "compensation": {"activity": "undo.ship"}}, {"fails and undoes itself"}),
    ],
)
def test_no_way_breaks_a_law(step: dict[str, Any], may: set[str]) -> None:
    """The faults of a child are those that its parent can hear of: of a detached one, none."""
    found = _explore(step)

    assert [each.message for each in found.summary.violations.values()] == []
    faults = [fault for fault in found.summary.faults if fault.startswith("child saga `p/ship`")]
    assert {word for word in may if any(word in fault for fault in faults)} == may
    assert faults or not may


def test_an_undo_beside_an_abandoned_child_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """R116, R12: whatever it undoes, the child may do afterwards."""

    def careless(run: Run, record: Record) -> None:
        record.outcome = Outcome.UNKNOWN
        run.end(record, Progress.ABANDONED)

    monkeypatch.setattr(ends, "_abandon", careless)
    found = _explore({"on_cancel": "abandon", "compensation": {"activity": "undo.ship"}})

    assert {each.rule for each in found.summary.violations.values()} >= {"R116"}
