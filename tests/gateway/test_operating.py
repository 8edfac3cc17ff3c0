"""Stepping in over HTTP: what is done, what is refused, and that who and why are kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from sagadsl.language.document import parse
from sagadsl.temporal import client as sagas
from tests.gateway.house import House, fresh

pytestmark = pytest.mark.temporal


def _is_paused(status: Mapping[str, Any]) -> bool:
    return bool(status["status"] == "paused")


def _is_over(status: Mapping[str, Any]) -> bool:
    return not status["is_open"]


def _audited(house: House, saga: str) -> list[tuple[str, str, str, str]]:
    records = [json.loads(line.partition("sagadsl.audit: ")[2]) for line in house.audit(saga)]
    return [(each["action"], each["result"], each.get("by", ""), each.get("why", "")) for each in records]


def test_a_signal_lets_a_saga_go_on(house: House) -> None:
    saga = house.start(wait=True)
    answer = house.ask("POST", f"/sagas/{saga}/signals/approve", {"approved": True})

    assert answer.status_code == 202
    assert answer.json().items() >= {"id": saga, "signal": "approve", "checked": True, "repeated": False}.items()
    assert house.until(saga, _is_over)["status"] == "completed"
    assert ("signal", answer.json()["state"], "", "") in _audited(house, saga)


def test_a_cancel_is_kept_with_who_and_why(house: House) -> None:
    """R22: in the saga itself, and as a line of the audit log."""
    saga = house.start(wait=True)
    house.until(saga, lambda status: bool(status.get("waiting_for")))
    answer = house.ask("POST", f"/sagas/{saga}/cancel", {"by": "ann", "why": "ordered twice"})
    found = house.until(saga, _is_over)

    assert answer.status_code == 202
    assert found["status"] == "cancelled"
    assert [(each["verb"], each["by"], each["why"]) for each in found["actions"]] == [
        ("cancel", "ann", "ordered twice")
    ]
    assert _audited(house, saga)[1:] == [("cancel", "asked", "ann", "ordered twice")]


def test_a_compensation_that_fails_waits_and_is_tried_again(house: House, tmp_path: Path) -> None:
    """R18, R22: the operator's verbs lead out of a pause."""
    broken = tmp_path / "broken"
    broken.touch()
    saga = house.start(how="fail", broken=str(broken))
    paused = house.until(saga, _is_paused)
    again = house.ask("POST", f"/sagas/{saga}/retry", {"why": "try"})
    house.until(saga, _is_paused)
    broken.unlink()
    done = house.ask("POST", f"/sagas/{saga}/retry", {"step": "charge.compensation", "by": "bo", "why": "it is back"})
    found = house.until(saga, _is_over)

    assert paused["attention"][0]["path"] == "charge.compensation"
    assert (again.status_code, done.status_code, done.json()["verb"]) == (200, 200, "retry")
    assert found["status"] == "compensated"
    assert [(each["verb"], each["by"], each["why"]) for each in found["actions"]] == [
        ("retry_step", "anybody", "try"),
        ("retry_step", "bo", "it is back"),
    ]
    assert [line[0] for line in _audited(house, saga)] == ["start", "retry", "retry"]


@pytest.mark.parametrize(("verb", "status"), [("skip", "failed"), ("abort", "failed")])
def test_what_cannot_be_undone_is_left_and_reported(house: House, tmp_path: Path, verb: str, status: str) -> None:
    broken = tmp_path / "broken"
    broken.touch()
    saga = house.start(how="fail", broken=str(broken))
    house.until(saga, _is_paused)
    step = {"step": "charge.compensation"} if verb == "skip" else {}
    answer = house.ask("POST", f"/sagas/{saga}/{verb}", {"why": "paid by hand", **step})
    ended = house.ask("GET", f"/sagas/{saga}/result?wait=20s").json()

    assert answer.status_code == 200
    assert (ended["status"], ended["report"]["not_undone"][0]["path"]) == (status, "charge")


def test_a_saga_is_held_and_let_go(house: House) -> None:
    saga = house.start(wait=True)
    house.until(saga, lambda status: bool(status.get("waiting_for")))
    held = house.ask("POST", f"/sagas/{saga}/pause", {"why": "stock-taking"})
    house.ask("POST", f"/sagas/{saga}/signals/approve")
    stood = house.until(saga, _is_paused)
    went_on = house.ask("POST", f"/sagas/{saga}/resume")

    assert (held.status_code, stood["paused"], went_on.status_code) == (200, True, 200)
    assert house.until(saga, _is_over)["status"] == "completed"


def test_what_makes_no_sense_now_is_refused_and_audited(house: House) -> None:
    saga = house.start(wait=True)
    refused = house.ask("POST", f"/sagas/{saga}/retry", {"why": "why not"})
    house.ask("POST", f"/sagas/{saga}/signals/approve")
    house.until(saga, _is_over)

    assert (refused.status_code, refused.json()["code"]) == (409, "SD925")
    assert ("retry", "SD925", "anybody", "why not") in _audited(house, saga)
    for path in ("cancel", "signals/approve", "pause", "skip"):
        answer = house.ask("POST", f"/sagas/{saga}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (409, "SD924"), path
    assert house.ask("POST", "/sagas/none/cancel").status_code == 404


@pytest.mark.parametrize("body", [[], "why", {"reason": "x"}, {"why": 7}, {"why": "x" * 1001}, {"step": 7}])
def test_a_request_that_cannot_be_read_is_refused(house: House, body: Any) -> None:
    saga = house.start()
    answer = house.ask("POST", f"/sagas/{saga}/pause", body)

    assert (answer.status_code, answer.json()["code"]) == (422, "SD953")


def test_a_saga_goes_on_with_the_definition_that_the_gateway_has(house: House) -> None:
    """R72, R76: a saga that somebody has started with an older one."""
    saga = asyncio.run(_started_with_an_older_definition(house))
    house.until(saga, lambda status: bool(status.get("waiting_for")))
    other = house.ask("POST", f"/sagas/{saga}/migrate", {"digest": "0"})
    dry = house.ask("POST", f"/sagas/{saga}/migrate", {"dry_run": True})
    done = house.ask("POST", f"/sagas/{saga}/migrate", {"by": "ann", "why": "new"})
    again = house.ask("POST", f"/sagas/{saga}/migrate")
    wrong = house.ask("POST", f"/sagas/{saga}/migrate", {"dry_run": "yes"})

    assert (other.status_code, other.json()["code"]) == (409, "SD953")
    assert (dry.status_code, dry.json()["outcome"]) == (200, "can")
    assert (done.status_code, done.json()["outcome"]) == (200, "migrated"), done.text
    assert again.json()["outcome"] == "already"
    assert wrong.status_code == 422
    assert house.until(saga, lambda status: True)["version"] == "1.0.0"
    assert _audited(house, saga)[0] == ("migrate", "migrated", "ann", "new")


def test_a_saga_goes_back_to_a_step(house: House) -> None:
    """R80, R81: what would happen is told first, and changes nothing."""
    saga = house.start(wait=True)
    house.until(saga, lambda status: bool(status.get("waiting_for")))
    dry = house.ask("POST", f"/sagas/{saga}/reset", {"step": "charge", "dry_run": True})
    none = house.ask("POST", f"/sagas/{saga}/reset", {"step": "ship", "dry_run": True})
    wrong = house.ask("POST", f"/sagas/{saga}/reset", {"step": "charge", "dry_run": "yes"})
    done = house.ask("POST", f"/sagas/{saga}/reset", {"step": "charge", "by": "ann", "why": "new"})

    assert (dry.status_code, dry.json()["undo"], dry.json()["again"]) == (200, ["charge"], ["charge", "approval"])
    assert (none.status_code, none.json()["code"]) == (409, "SD925")
    assert wrong.status_code == 422
    assert (done.status_code, done.json()["verb"]) == (200, "reset"), done.text
    back = house.until(saga, lambda status: bool(status.get("waiting_for")))
    assert [(each["verb"], each["path"], each["by"]) for each in back["actions"]] == [("reset", "charge", "ann")]
    assert any(each[0] == "reset" for each in _audited(house, saga))


async def _started_with_an_older_definition(house: House) -> str:
    document, _ = parse((house.folder / "order.saga.yaml").read_bytes())
    older = {**document.data, "version": "0.9"}
    client = await Client.connect(house.address)
    started = await sagas.start(client, older, {"order": "1", "wait": True}, id=fresh(), task_queue=house.queue)
    return started.id


def test_a_saga_is_forgotten_and_the_audit_keeps_the_act_alone(house: House) -> None:
    """An open one is refused; what would be deleted can be seen before; who and why are kept, and no data."""
    saga = house.start(wait=True, order="hush-order")
    house.until(saga, lambda status: bool(status.get("waiting_for")))
    address, why = f"/sagas/{saga}/forget", {"by": "ann", "why": "request 17"}
    assert house.ask("POST", address, {"by": "ann"}).status_code == 422
    refused = house.ask("POST", address, why)
    assert (refused.status_code, refused.json()["code"]) == (409, "SD977")
    assert house.ask("POST", f"/sagas/{saga}/cancel", {}).status_code == 202
    house.until(saga, _is_over)
    listed = house.ask("POST", address, {**why, "dry_run": True})
    assert [(each["id"], each["is_open"]) for each in listed.json()["runs"]] == [(saga, False)]
    answer = house.ask("POST", address, why)
    assert answer.status_code == (202 if answer.json()["left"] else 200)
    while house.ask("GET", f"/sagas/{saga}").status_code != 404:
        continue
    kept = [each for each in _audited(house, saga) if each[0] == "forget"]
    assert [each[2:] for each in kept] == [("ann", "request 17")] * 2
    assert (kept[0][1], kept[1][1] in ("forgotten", "asked")) == ("SD977", True)
    assert not [line for line in house.audit(saga) if "hush-order" in line]
