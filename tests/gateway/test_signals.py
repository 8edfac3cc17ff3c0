"""Signals and decisions over HTTP: checked before they are sent, told of after, counted once for each key."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import SAGADSL, environment
from tests.cli.shop import lay_out
from tests.conftest import Server
from tests.gateway.house import House, fresh, serve, worker

pytestmark = pytest.mark.temporal

QUEUE = f"eyes-{uuid.uuid4()}"
"""Of its own: the worker of the package's house must not answer here."""

EYES = """\
sagadsl: 1
name: eyes
version: "1.0.0"
input: {type: object}
timeout: 1h
steps:
  - id: first
    wait_for: {signal: approve, timeout: 1h, payload: {type: object, required: [by], properties: {by: {type: string}}}}
  - {id: second, wait_for: {signal: approve, timeout: 1h}}
"""


@pytest.fixture(scope="module")
def eyes(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway with a saga that wants two approvals; its worker can be started and stopped."""
    folder = lay_out(tmp_path_factory.mktemp("eyes"))
    (folder / "eyes.saga.yaml").write_text(EYES, encoding="utf-8")
    with serve(folder, server.address, "--rate", "10000", "--task-queue", QUEUE) as house:
        yield house


def _start(house: House) -> str:
    answer = house.ask("POST", "/sagas/eyes", {}, Workflow_Id=fresh())
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def _open(status: Any) -> bool:
    return bool(status.get("waiting_for"))


def _run(house: House, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*SAGADSL, *arguments, "--address", house.address]
    return subprocess.run(command, cwd=house.folder, env=environment(), capture_output=True, text=True, check=False)


def test_the_same_approval_under_one_key_counts_once(eyes: House) -> None:
    """B6: one click twice is no second pair of eyes."""
    with worker(eyes.folder, eyes.address, "--task-queue", QUEUE):
        saga = _start(eyes)
        eyes.until(saga, _open)
        path = f"/sagas/{saga}/signals/approve"
        first, again = (eyes.ask("POST", path, {"by": "ann"}, Idempotency_Key="click-1") for _ in range(2))
        stood = eyes.ask("GET", f"/sagas/{saga}").json()
        second = eyes.ask("POST", path, {"by": "bob"}, Idempotency_Key="click-2")
        over = eyes.until(saga, lambda status: not status["is_open"])

    assert [each.status_code for each in (first, again, second)] == [202, 202, 202]
    assert [(each.json()["state"], each.json()["step"]) for each in (first, again)] == [("taken", "first")] * 2
    assert [each.headers.get("Idempotent-Replayed") for each in (first, again)] == [None, "true"]
    assert (stood["waiting_for"], stood["kept_signals"]) == ({"approve": ["second"]}, {})
    assert (over["status"], second.json()["step"]) == ("completed", "second")
    assert [json.loads(line.partition("sagadsl.audit: ")[2])["result"] for line in eyes.audit(saga)][1:] == [
        "taken",
        "repeated",
        "taken",
    ]


def test_a_signal_that_the_saga_cannot_take_is_a_problem_and_is_not_sent(eyes: House) -> None:
    """B7: with what was probably meant, and the places in the payload."""
    with worker(eyes.folder, eyes.address, "--task-queue", QUEUE):
        saga = _start(eyes)
        eyes.until(saga, _open)
        unknown = eyes.ask("POST", f"/sagas/{saga}/signals/aprove", {"by": "ann"})
        unfit = eyes.ask("POST", f"/sagas/{saga}/signals/approve", {"by": 7})
        told = _run(eyes, "signal", saga, "aprove")
        misfit = _run(eyes, "signal", saga, "approve", "--payload", '{"by": 7}')
        stood = eyes.ask("GET", f"/sagas/{saga}").json()
        eyes.ask("POST", f"/sagas/{saga}/cancel")

    assert (unknown.status_code, unknown.json()["code"], unknown.json()["help"]) == (
        404,
        "SD963",
        "did you mean `approve`?",
    )
    assert (unfit.status_code, unfit.json()["code"]) == (422, "SD964")
    assert unfit.json()["errors"] == [{"path": "approve.by", "reason": "7 is not of type 'string'"}]
    assert (told.returncode, misfit.returncode) == (2, 2)
    assert "error[SD963]" in told.stderr
    assert "did you mean `approve`?" in told.stderr
    assert "error[SD964]: the payload does not fit signal `approve`: `approve.by`: 7 is not of type" in misfit.stderr
    assert "refused_signals" not in stood


def test_a_decision_that_nobody_answers_says_what_may_still_happen(eyes: House, tmp_path: Path) -> None:
    """A.7: over HTTP and in a terminal; it is carried out when a worker comes back, and the same one counts once."""
    with worker(eyes.folder, eyes.address, "--task-queue", QUEUE):
        saga = _start(eyes)
        eyes.until(saga, _open)
    asked = eyes.ask("POST", f"/sagas/{saga}/pause", {"why": "stock-taking"}, Idempotency_Key="p1")
    told = _run(eyes, "pause", saga)
    with worker(eyes.folder, eyes.address, "--task-queue", QUEUE):
        held = eyes.until(saga, lambda status: bool(status.get("actions")))
        again = eyes.ask("POST", f"/sagas/{saga}/pause", Idempotency_Key="p1")
        eyes.ask("POST", f"/sagas/{saga}/cancel")

    assert (asked.status_code, asked.json().get("code")) == (504, "SD961"), asked.text
    assert "may still be carried out when one comes back" in asked.json()["detail"]
    assert "with the same `Idempotency-Key`, counts once" in asked.json()["help"]
    assert told.returncode == 16
    assert f"start a worker with `sagadsl worker --task-queue {QUEUE}`" in told.stderr
    assert f"`sagadsl pause {saga} --request pause-" in told.stderr
    assert (held["status"], [each["verb"] for each in held["actions"]]) == ("paused", ["pause"])
    assert (again.status_code, again.json()["status"]) == (200, "paused")
