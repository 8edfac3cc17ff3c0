"""Signals and decisions over HTTP: checked before they are sent, told of after, counted once for each key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import Ran, inside
from tests.cli.shop import lay_out
from tests.conftest import Server
from tests.gateway.house import House, fresh, serve, worker

pytestmark = pytest.mark.temporal

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

BOSS = """\
sagadsl: 1
name: boss
version: "1.0.0"
timeout: 1h
steps:
  - {id: first, wait_for: {signal: ready, timeout: 1h}}
  - {id: second, wait_for: {signal: approve, since: now, timeout: 1h}}
"""

ANSWERS = """
sagadsl: 1
name: answers
version: "1"
steps:
  - {id: early, if: "'silent' not in input", answer: {order: "{{ saga.id }}"}}
  - id: ask
    if: "'silent' not in input"
    wait_for: {signal: approve, timeout: 1h, reply: {thanks: "{{ payload.by }}"}}
"""


@pytest.fixture(scope="module")
def eyes(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway with a saga that wants two approvals, and a worker."""
    folder = _lay_out(tmp_path_factory.mktemp("eyes"))
    with worker(folder, server.address), serve(folder, server.address, "--rate", "10000") as house:
        yield house


@pytest.fixture(scope="module")
def alone(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The same without a worker: it can be started and stopped."""
    folder = _lay_out(tmp_path_factory.mktemp("alone"))
    with serve(folder, server.address, "--rate", "10000") as house:
        yield house


def _lay_out(folder: Path) -> Path:
    for name, text in {"eyes": EYES, "boss": BOSS, "answers": ANSWERS}.items():
        (folder / f"{name}.saga.yaml").write_text(text, encoding="utf-8")
    return lay_out(folder)


def _start(house: House) -> str:
    answer = house.ask("POST", "/sagas/eyes", {}, Workflow_Id=fresh())
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def _open(status: Any) -> bool:
    return bool(status.get("waiting_for"))


def _run(house: House, *arguments: str) -> Ran:
    return inside(*arguments, "--address", house.address, cwd=house.folder)


def test_the_same_approval_under_one_key_counts_once(eyes: House) -> None:
    """B6: one click twice is no second pair of eyes."""
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


def test_a_signal_that_counted_is_answered_in_the_same_way_after_the_end(eyes: House) -> None:
    """R59: who got no answer asks again, however late; another signal is refused."""
    saga = _start(eyes)
    eyes.until(saga, _open)
    path = f"/sagas/{saga}/signals/approve"
    for who in ("ann", "bob"):
        eyes.ask("POST", path, {"by": who}, Idempotency_Key=who)
    eyes.until(saga, lambda status: not status["is_open"])
    again = eyes.ask("POST", path, {"by": "ann"}, Idempotency_Key="ann")
    late = [eyes.ask("POST", path, {"by": "eve"}, **key) for key in ({}, {"Idempotency_Key": "eve"})]

    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (202, "true")
    assert (again.json()["state"], again.json()["step"]) == ("taken", "first")
    assert [(each.status_code, each.json()["code"]) for each in late] == [(409, "SD924")] * 2


def test_a_signal_that_the_saga_cannot_take_is_a_problem_and_is_not_sent(eyes: House) -> None:
    """B7: with what was probably meant, and the places in the payload."""
    saga = _start(eyes)
    eyes.until(saga, _open)
    unknown = eyes.ask("POST", f"/sagas/{saga}/signals/aprove", {"by": "ann"})
    unfit = eyes.ask("POST", f"/sagas/{saga}/signals/approve", {"by": 7})
    refused = _run(eyes, "signal", saga, "aprove")
    misfit = _run(eyes, "signal", saga, "approve", "--payload", '{"by": 7}')
    empty = _run(eyes, "signal", saga, "approve")
    stood = eyes.ask("GET", f"/sagas/{saga}").json()
    eyes.ask("POST", f"/sagas/{saga}/cancel")

    assert (empty.code, "must be an object, got `null`" in empty.err) == (2, True)
    assert "= help: it is sent without a payload; `--payload JSON` gives one\n" in empty.err
    assert "--payload" not in misfit.err
    assert (unknown.status_code, unknown.json()["code"], unknown.json()["help"]) == (
        404,
        "SD963",
        "did you mean `approve`?",
    )
    assert (unfit.status_code, unfit.json()["code"]) == (422, "SD964")
    assert unfit.json()["errors"] == [{"path": "approve.by", "reason": "must be text, got `7`"}]
    assert (refused.code, misfit.code) == (2, 2)
    assert "error[SD963]" in refused.err
    assert "did you mean `approve`?" in refused.err
    assert "error[SD964]: the payload does not fit signal `approve`: `approve.by`: must be text, got `7`" in misfit.err
    assert "refused_signals" not in stood


def test_a_signal_that_comes_too_early_to_count_is_refused_with_a_word_of_its_own(eyes: House) -> None:
    """R59: over HTTP and by the command; once the wait has begun the same signal is taken."""
    saga = eyes.ask("POST", "/sagas/boss", None, Workflow_Id=fresh()).json()["id"]
    eyes.until(saga, _open)
    early = eyes.ask("POST", f"/sagas/{saga}/signals/approve", "yes")
    command = _run(eyes, "signal", saga, "approve")
    eyes.ask("POST", f"/sagas/{saga}/signals/ready")
    eyes.until(saga, lambda status: "approve" in status.get("waiting_for", {}))
    taken = eyes.ask("POST", f"/sagas/{saga}/signals/approve", "yes")

    assert (early.status_code, early.json()["code"]) == (409, "SD967")
    assert early.json()["detail"].startswith("too early: not taken.")
    assert early.json()["help"] == "send it again when the wait has begun"
    assert (command.code, "error[SD967]: too early: not taken." in command.err) == (4, True)
    assert (taken.status_code, taken.json()["state"]) == (202, "taken")


def test_a_decision_that_nobody_answers_says_what_may_still_happen(alone: House, tmp_path: Path) -> None:
    """A.7: over HTTP and in a terminal; it is carried out when a worker comes back, and the same one counts once."""
    with worker(alone.folder, alone.address):
        saga = _start(alone)
        alone.until(saga, _open)
    asked = alone.ask("POST", f"/sagas/{saga}/pause", {"why": "stock-taking"}, Idempotency_Key="p1")
    refused = _run(alone, "pause", saga)
    with worker(alone.folder, alone.address):
        held = alone.until(saga, lambda status: bool(status.get("actions")))
        again = alone.ask("POST", f"/sagas/{saga}/pause", Idempotency_Key="p1")
        alone.ask("POST", f"/sagas/{saga}/cancel")

    assert (asked.status_code, asked.json().get("code")) == (504, "SD961"), asked.text
    assert "may still be carried out when one comes back" in asked.json()["detail"]
    assert "with the same `Idempotency-Key`, counts once" in asked.json()["help"]
    assert refused.code == 16
    assert f"start a worker with `sagadsl worker --task-queue {alone.queue} --address {alone.address}`" in refused.err
    assert f"`sagadsl pause {saga} --request pause-" in refused.err
    assert (held["status"], [each["verb"] for each in held["actions"]]) == ("paused", ["pause"])
    assert (again.status_code, again.json()["status"]) == (200, "paused")


def test_what_a_saga_waits_for_is_shown_before_anything_is_sent(eyes: House) -> None:
    """Over HTTP and in a terminal: which step, until when, with which payload, and what is kept, from whom."""
    saga = _start(eyes)
    eyes.until(saga, _open)
    shown = _run(eyes, "signal", saga, "--list")
    listed = eyes.ask("GET", f"/sagas/{saga}/signals")
    neither = _run(eyes, "signal", saga)
    for by in ("ann", "bob"):
        sent = _run(eyes, "signal", saga, "approve", "--payload", f'{{"by": "{by}"}}', "--by", by, "--why", "fine")
        assert sent.code == 0
    over = eyes.until(saga, lambda status: not status["is_open"])
    late = eyes.ask("GET", f"/sagas/{saga}/signals")
    told = _run(eyes, "explain-run", saga).out

    (signal,) = listed.json()["signals"]
    (wait,) = signal.pop("waits")
    assert signal["signal"] == "approve"
    assert signal["payload"]["required"] == ["by"]
    assert (signal["kept"], signal["kept_from"]) == (0, [])
    assert (wait["path"], wait["id"], wait["counts_from"], bool(wait["until"])) == ("first", saga, "start", True)
    first, second = shown.out.splitlines()
    assert first == "signal `approve`   payload: {by: string}"
    assert second.startswith("   first   waits since 20")
    assert "name the signal to send, or show what the saga waits for with `--list`" in neither.err
    assert neither.code == 2
    assert (late.status_code, late.json()["code"]) == (409, "SD924")
    assert [step["sender"]["by"] for step in over["steps"]] == ["ann", "bob"]
    assert "`bob` sent the signal `approve` that `second` took" in told


def test_a_signal_that_nobody_answers_lies_at_the_server_and_counts_once(alone: House) -> None:
    """B7: not reported as done; 504 over HTTP, exit code 16 in a terminal, with the id to repeat."""
    with worker(alone.folder, alone.address):
        saga = _start(alone)
        alone.until(saga, _open)
    asked = alone.ask("POST", f"/sagas/{saga}/signals/approve", {"by": "ann"}, Idempotency_Key="s1")
    refused = _run(alone, "signal", saga, "approve", "--payload", '{"by": "bob"}', "--request", "s2")
    with worker(alone.folder, alone.address):
        over = alone.until(saga, lambda status: not status["is_open"])

    assert (asked.status_code, asked.json().get("code")) == (504, "SD961"), asked.text
    assert "with the same `Idempotency-Key`, counts once" in asked.json()["help"]
    assert refused.code == 16
    assert f"`sagadsl signal {saga} approve --payload … --request s2 --address {alone.address}`" in refused.err
    assert over["status"] == "completed"


def test_a_start_may_wait_for_the_early_answer_and_a_signal_brings_a_reply(eyes: House) -> None:
    """R102, R103: without an answer, the end comes."""
    answered = eyes.ask("POST", "/sagas/answers?wait=answer", {}, Workflow_Id=fresh())
    saga = answered.json()["id"]
    eyes.until(saga, _open)
    sent = eyes.ask("POST", f"/sagas/{saga}/signals/approve", {"by": "ann"})
    status = eyes.ask("GET", f"/sagas/{saga}").json()
    silent = eyes.ask("POST", "/sagas/answers?wait=answer", {"silent": True}, Workflow_Id=fresh())

    assert (answered.status_code, answered.json()["answer"]) == (200, {"order": saga})
    assert (sent.json()["reply"], status["answer"]) == ({"thanks": "ann"}, {"order": saga})
    assert (silent.status_code, silent.json()["status"]) == (200, "completed")
