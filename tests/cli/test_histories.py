"""``sagadsl history export`` and ``sagadsl replay``: runs in files, and what another release would make of them."""

from __future__ import annotations

import gzip
import json
import stat
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import Ran, inside
from tests.cli.test_operate import QUEUE, Shop, shop
from tests.conftest import Server
from tests.patience import PATIENCE

__all__ = ["shop"]

RECORDED = Path(__file__).parents[1] / "temporal" / "histories" / "rules-3"


def recording(beginning: str) -> dict[str, Any]:
    """Return a history that the tests have recorded, as data."""
    path = next(each for each in sorted(RECORDED.glob("*.gz")) if beginning in each.name)
    data: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return data


def scheduled(history: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events at which activities were begun."""
    return [each for each in history["events"] if "activityTaskScheduledEventAttributes" in each]


def until(shop: Shop, *arguments: str, holds: str) -> Ran:
    """Repeat a command until its result has a text: the server's index lags."""
    deadline = time.monotonic() + PATIENCE
    while holds not in (ran := shop.run(*arguments)).out:
        assert time.monotonic() < deadline, ran
        time.sleep(0.2)
    return ran


@pytest.mark.temporal
def test_a_saga_is_exported_and_replays(shop: Shop, tmp_path: Path) -> None:
    saga = shop.start(f"kept/{uuid.uuid4()}")
    assert shop.run("result", saga).code == 0
    to = tmp_path / "new" / "histories"
    ran = shop.run("history", "export", saga, "--to", str(to))
    assert ran.code == 0, ran.err
    (path,) = map(Path, ran.out.splitlines())
    assert path.name.startswith(saga.replace("/", "%2F"))
    assert {each["eventType"] for each in json.loads(path.read_text())["events"]} >= {
        "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED"
    }
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(to.stat().st_mode)) == (0o600, 0o700)
    replayed = json.loads(inside("replay", to, "--json", cwd=shop.folder).out)
    assert [(each["id"], each["name"], each["version"], each["ok"], each["open"]) for each in replayed["runs"]] == [
        (saga, "order", "1.0.0", True, False)
    ]
    assert inside("replay", path, cwd=shop.folder).out.startswith("✓ 1 run with ")


@pytest.mark.temporal
def test_open_runs_of_a_server_replay_before_a_rollout(shop: Shop, tmp_path: Path) -> None:
    """Up to what a worker has answered; and what they may still call has to be installed."""
    saga = shop.start(f"open-{uuid.uuid4()}", wait="true")
    shop.until(saga, lambda status: bool(status["waiting_for"]))
    choice = ("--query", f"WorkflowId = '{saga}'", "--name", "order")
    ran = until(shop, "replay", *choice, "--json", holds=saga)
    document = json.loads(ran.out)
    assert (document["same"], document["runs"][0]["open"], document["missing_activities"]) == (1, True, {})
    exported = shop.run("history", "export", *choice, "--to", str(tmp_path / "open"), "--json")
    assert [each["id"] for each in json.loads(exported.out)["histories"]] == [saga]

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "sagadsl.toml").write_text("plugins = {allow = []}\n")
    warned = inside("replay", tmp_path / "open", cwd=elsewhere)
    assert warned.code == 0
    assert f" ! activity `charge` is not installed here, and `{saga}` may call it\n" in warned.out
    assert inside("replay", tmp_path / "open", "--strict", cwd=elsewhere).code == 1
    assert "!" not in inside("replay", tmp_path / "open", "--no-plugins", cwd=elsewhere).out

    (elsewhere / "ours.py").write_text("import sagadsl\nraise ValueError('no settings')\n")
    broken = inside("replay", tmp_path / "open", "-m", "ours", cwd=elsewhere)
    assert " ! SD910: module `ours` cannot be used: ValueError: no settings (ours.py:2)\n" in broken.out
    assert f"   `{saga}` may call `charge`, `refund`, `ship`, which are therefore missed here\n" in broken.out
    assert "not installed" not in broken.out
    told = json.loads(inside("replay", tmp_path / "open", "-m", "ours", "--json", cwd=elsewhere).out)["broken"]
    assert [(each["code"], each["activities"]) for each in told] == [("SD910", ["charge", "refund", "ship"])]


@pytest.mark.temporal
def test_nothing_chosen_is_said(shop: Shop, tmp_path: Path) -> None:
    ran = shop.run("history", "export", "--name", "no-such-saga", "--to", str(tmp_path))
    assert (ran.code, ran.out) == (0, "")
    assert "no run of a saga is chosen by that" in ran.err
    unknown = shop.run("history", "export", "no-such-id", "--to", str(tmp_path))
    assert unknown.code == 2
    assert "no-such-id" in unknown.err


@pytest.mark.temporal
def test_an_encrypted_history_stays_so_and_needs_its_key_to_replay(server: Server, tmp_path: Path) -> None:
    """A missing key is not taken for a difference."""
    (tmp_path / "key").write_bytes(bytes(range(32)))
    (tmp_path / "sagadsl.toml").write_text("plugins = {allow = []}\n")
    (tmp_path / "hush.saga.yaml").write_text(
        "sagadsl: 1\nname: hush\ninput: {type: object}\nsteps: [{id: a, set: {text: hush-set}}]\n"
    )
    key, server_ = ("--encryption-key", "one=file:key"), ("--address", server.address)
    saga = f"hush-{uuid.uuid4()}"
    start = ("run", "hush.saga.yaml", "--id", saga, "--task-queue", f"{QUEUE}-no-worker", "--detach")
    assert inside(*start, *server_, *key, cwd=tmp_path).code == 0
    assert inside("history", "export", saga, "--to", "out", *server_, cwd=tmp_path).code == 0
    assert "hush-set" not in next((tmp_path / "out").glob("*.json")).read_text()
    assert inside("replay", "out", *key, cwd=tmp_path).code == 0
    without = inside("replay", "out", cwd=tmp_path)
    assert without.code == 3
    assert without.err.startswith("error[SD915]")


def test_a_run_that_would_go_another_way_is_named_with_the_event(tmp_path: Path) -> None:
    """The first event that differs, however many follow."""
    recorded = recording("undone_newest_first")
    changed = scheduled(recorded["history"])[2]
    right = changed["activityTaskScheduledEventAttributes"]["activityId"]
    changed["activityTaskScheduledEventAttributes"]["activityId"] = "other"
    answered = next(
        int(each["eventId"])
        for each in recorded["history"]["events"]
        if each["eventId"] == changed["activityTaskScheduledEventAttributes"]["workflowTaskCompletedEventId"]
    )
    (tmp_path / "changed.json").write_text(json.dumps(recorded))
    (tmp_path / "same.json").write_text(json.dumps(recording("undone_newest_first")))
    ran = inside("replay", tmp_path)
    assert ran.code == 1
    first, event, there, last = ran.out.splitlines()
    assert first.startswith(f" ✗ {recorded['id']}  ")
    assert event.startswith(f"   event {answered}: ")
    assert f"`{right}`" in event.replace("'", "`")
    assert there == "   recorded there: activity task scheduled `other`"
    assert last == "✗ 1 of 2 runs does not replay: a worker of this release could not go on with them"
    documents = json.loads(inside("replay", tmp_path, "--json").out)
    assert (documents["same"], documents["different"]) == (1, 1)
    assert [each.get("event") for each in documents["runs"]] == [answered, None]


def test_a_run_that_was_killed_counts_as_far_as_it_came(tmp_path: Path) -> None:
    """Also where the server ended it, and no worker answered; and a run that no worker has seen at all."""
    recorded = recording("undone_newest_first")
    events = recorded["history"]["events"]
    at = events.index(scheduled(recorded["history"])[2])
    killed = {
        "eventId": str(at + 2),
        "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED",
        "workflowExecutionTerminatedEventAttributes": {"reason": "by hand"},
    }
    (tmp_path / "killed.json").write_text(json.dumps({"events": [*events[: at + 1], killed]}))
    (tmp_path / "new.json.gz").write_bytes(gzip.compress(json.dumps({"events": events[:2]}).encode()))
    runs = json.loads(inside("replay", tmp_path, "--no-plugins", "--json").out)["runs"]
    assert [(each["ok"], each["open"], each["events"]) for each in runs] == [(True, False, at + 1), (True, True, 0)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "it is not JSON"),
        ("[1]", "it has no `events`"),
        ('{"events": [{"eventId": "1", "eventType": "NO_SUCH_TYPE"}]}', "its first event is not the start"),
        ('{"events": [{"eventId": "1", "eventType": "EVENT_TYPE_TIMER_FIRED"}]}', "its first event is not the start"),
        ('{"events": ["a"]}', "its events are not Temporal's"),
        (
            '{"events": [{"eventId": "1", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED", '
            '"workflowExecutionStartedEventAttributes": {"workflowId": "w"}}]}',
            "it is that of another workflow",
        ),
    ],
)
def test_a_file_without_a_history_is_named(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "a.json").write_text(text)
    ran = inside("replay", tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error[SD986]: `{tmp_path / 'a.json'}` does not hold the history of a saga: {why}")


def test_what_is_meant_has_to_be_said_once(tmp_path: Path) -> None:
    assert inside("replay").code == 2
    assert inside("replay", tmp_path, "--name", "order").code == 2
    assert inside("replay", tmp_path).err.startswith("error[SD986]")
    assert inside("history", "export", "--to", tmp_path).code == 2
    assert inside("history", "export", "a", "--name", "b", "--to", tmp_path).code == 2
    assert inside("history", "export", "--name", "b", "--run", "c", "--to", tmp_path).code == 2
    (tmp_path / "file").touch()
    assert "cannot be written" in inside("history", "export", "a", "--to", tmp_path / "file").err
    for command in (("replay", tmp_path), ("history", "export", "a", "--to", tmp_path)):
        ran = inside(*command, "--limit", "3")
        assert (ran.code, ran.out) == (2, "")
        assert "`--limit` is for runs that are chosen by `--name`, `--query` or `--where`" in ran.err
