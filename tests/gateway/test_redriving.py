"""Recover, redrive and terminate over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.house import House

pytestmark = pytest.mark.temporal


def _is_over(status: Mapping[str, Any]) -> bool:
    return not status["is_open"]


def test_a_saga_is_killed_and_then_recovered(house: House) -> None:
    """R31: the plan first; then a new run; a second request is refused."""
    saga = house.start(wait=True)
    house.until(saga, lambda status: bool(status.get("waiting_for")))
    early = house.ask("POST", f"/sagas/{saga}/recover")
    killed = house.ask("POST", f"/sagas/{saga}/terminate", {"by": "ann", "why": "stuck"})
    plan = house.ask("POST", f"/sagas/{saga}/recover", {"dry_run": True})
    done = house.ask("POST", f"/sagas/{saga}/recover", {"by": "ann", "why": "undo it"})
    found = house.until(saga, _is_over)
    again = house.ask("POST", f"/sagas/{saga}/recover")

    assert (early.status_code, early.json()["code"]) == (409, "SD972")
    assert killed.status_code == 202
    assert (plan.status_code, plan.json()["ends_as"]) == (200, "compensated")
    assert [each["call"] for each in plan.json()["calls"]] == ["charge.compensation"]
    assert (done.status_code, done.json()["plan"]["run_id"]) == (202, plan.json()["run_id"])
    assert found["status"] == "compensated"
    assert [(each["verb"], each["by"], each["why"]) for each in found["actions"]] == [("recover", "ann", "undo it")]
    assert (again.status_code, again.json()["code"]) == (409, "SD974")
    records = [json.loads(line.partition("sagadsl.audit: ")[2]) for line in house.audit(saga)]
    assert [each["action"] for each in records] == ["start", "recover", "terminate", "recover", "recover"]


def test_a_saga_is_killed_and_undone_at_once(house: House) -> None:
    """R31."""
    saga = house.start(wait=True)
    house.until(saga, lambda status: bool(status.get("waiting_for")))
    done = house.ask("POST", f"/sagas/{saga}/terminate", {"undo": True})
    assert (done.status_code, bool(done.json()["run_id"])) == (202, True)
    assert (
        house.until(saga, lambda status: _is_over(status) and status["status"] != "terminated")["status"]
        == "compensated"
    )


def test_what_an_undoing_has_left_is_undone_later(house: House, tmp_path: Path) -> None:
    """R45."""
    broken = tmp_path / "broken"
    broken.touch()
    saga = house.start(how="fail", broken=str(broken))
    house.until(saga, lambda status: bool(status["status"] == "paused"))
    house.ask("POST", f"/sagas/{saga}/abort")
    assert house.until(saga, _is_over)["status"] == "failed"
    broken.unlink()
    done = house.ask("POST", f"/sagas/{saga}/redrive", {"why": "the bank is back"})
    assert done.status_code == 202
    assert house.until(saga, lambda status: status["status"] == "compensated")


@pytest.mark.parametrize("body", [{"forward": 1}, {"why": 5}, {"from": "x"}, []])
def test_a_body_of_a_wrong_form_is_refused(house: House, body: Any) -> None:
    saga = house.start()
    assert house.ask("POST", f"/sagas/{saga}/recover", body).status_code == 422
