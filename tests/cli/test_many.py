"""One command for many sagas, against a real server and a worker process."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import SAGADSL, Ran, inside, ready
from tests.cli.shop import lay_out
from tests.cli.test_questions import answered
from tests.conftest import Server
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal


@dataclass(frozen=True, slots=True)
class Shop:
    """A folder with a definition of a name of its own, a server, and a worker that serves it."""

    folder: Path
    address: str
    queue: str
    name: str

    def run(self, *arguments: str) -> Ran:
        return inside(*arguments, "--address", self.address, cwd=self.folder)

    def start(self, count: int, **values: str) -> list[str]:
        ids = [f"{self.name}-{uuid.uuid4().hex[:8]}" for _ in range(count)]
        sets = [word for name, value in {"order": "1", **values}.items() for word in ("--set", f"{name}={value}")]
        for each in ids:
            ran = self.run("run", "order.saga.yaml", "--id", each, "--task-queue", self.queue, "--detach", *sets)
            assert ran.code == 0, ran.err
        return ids

    def statuses(self, ids: list[str]) -> list[str]:
        return [json.loads(self.run("status", each, "--json").out)["status"] for each in ids]

    def until_listed(self, ids: list[str], status: str) -> None:
        """Wait until the index, which lags, knows all of them."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = json.loads(self.run("list", "--name", self.name, "--status", status, "--json").out)["sagas"]
            if {each["id"] for each in found} >= set(ids):
                return
            assert time.monotonic() < deadline, found
            time.sleep(0.2)

    def until_waiting(self, ids: list[str]) -> None:
        """Wait until each saga waits for its signal."""
        deadline = time.monotonic() + PATIENCE
        for each in ids:
            while not json.loads(self.run("status", each, "--json").out).get("waiting_for"):
                assert time.monotonic() < deadline, each
                time.sleep(0.1)


@pytest.fixture(scope="module")
def queue(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A task queue with a worker: sagas bring their definitions along."""
    queue = f"many-{uuid.uuid4()}"
    command = [*SAGADSL, "worker", "--task-queue", queue, "--address", server.address]
    with ready(command, lay_out(tmp_path_factory.mktemp("worker"))):
        yield queue


@pytest.fixture
def shop(server: Server, queue: str, tmp_path: Path) -> Shop:
    folder = lay_out(tmp_path)
    made = Shop(folder, server.address, queue, f"order_{uuid.uuid4().hex[:8]}")
    definition = folder / "order.saga.yaml"
    definition.write_text(definition.read_text().replace("name: order", f"name: {made.name}", 1))
    return made


def test_all_that_wait_for_one_error_are_tried_again(shop: Shop, tmp_path: Path) -> None:
    """Preview first; without a terminal it needs `--yes`; a second run finds nothing left to ask."""
    broken = tmp_path / "broken"
    broken.touch()
    ids = shop.start(3, how="fail", broken=str(broken))
    shop.until_listed(ids, "paused")
    asked = ("retry", "charge.compensation", "--error", "BankDown", "--name", shop.name, "--why", "the bank is back")
    careful = shop.run(*asked)
    still = shop.statuses(ids)
    broken.unlink()
    done = shop.run(*asked, "--yes")
    deadline = time.monotonic() + PATIENCE
    while (stand := shop.statuses(ids)) != ["compensated"] * 3:
        assert time.monotonic() < deadline, stand
        time.sleep(0.1)
    actions = json.loads(shop.run("status", ids[0], "--json").out)["actions"]

    assert (careful.code, careful.out) == (2, "")
    assert "retry charge.compensation: 3 to ask" in careful.err
    assert all(f"  {each} charge.compensation" in careful.err for each in ids)
    assert "add `--yes` to do it" in careful.err
    assert still == ["paused"] * 3
    assert done.code == 0, done.err
    assert done.out.startswith("retry charge.compensation: 3 done (")
    assert [(each["verb"], each["path"], each["why"]) for each in actions] == [
        ("retry_step", "charge.compensation", "the bank is back")
    ]


def test_a_second_run_with_the_file_of_results_goes_on(shop: Shop, tmp_path: Path) -> None:
    """A signal that was sent is not sent again: the file knows, and the saga would know, too."""
    first = shop.start(2, wait="true")
    shop.until_listed(first, "running")
    shop.until_waiting(first)  # else the signal is kept for a later wait
    results = tmp_path / "results.jsonl"
    asked = ("signal", "approve", "--name", shop.name, "--results", str(results), "--yes")
    one = shop.run(*asked)
    lines: list[dict[str, Any]] = [json.loads(line) for line in results.read_text().splitlines()]
    second = shop.start(1, wait="true")
    shop.until_listed(second, "running")
    other = shop.run(*asked, "--json")
    wrong = shop.run("cancel", "--name", shop.name, "--results", str(results), "--yes")

    assert (one.code, one.out) == (0, "signal approve: 2 done (2 taken)\n"), one.err
    assert lines[0]["command"] == "signal approve"
    assert sorted(line["id"] for line in lines[1:]) == sorted(first)
    assert {line["outcome"] for line in lines[1:]} == {"done"}
    assert json.loads(other.out)["asked"] == json.loads(other.out)["done"] == 1
    assert (wrong.code, "SD975" in wrong.err) == (2, True)
    assert "it holds the results of `signal approve`" in wrong.err


def test_what_one_refuses_the_others_are_asked_all_the_same(shop: Shop) -> None:
    """A signal that fits no saga of that name is refused by each, one line each, and the exit code says so."""
    ids = shop.start(2, wait="true")
    shop.until_listed(ids, "running")
    ran = shop.run("signal", "nonsense", "--name", shop.name, "--yes", "--json")
    paused = shop.run("pause", "--name", shop.name, "--yes")
    resumed_before_listed = shop.run("pause", "--name", shop.name, "--yes")
    cancelled = shop.run("cancel", "--name", shop.name, "--yes", "--why", "closing")
    document = json.loads(ran.out)

    assert (document["asked"], document["done"], document["refused"]) == (2, 0, 2)
    assert sorted(each["id"] for each in document["problems"]) == sorted(ids)
    assert ran.code != 0
    assert (paused.code, paused.out) == (0, "pause: 2 done (2 paused)\n"), paused.err
    assert "already paused" in resumed_before_listed.err
    assert (cancelled.code, cancelled.out) == (0, "cancel: 2 done (2 asked to stop)\n"), cancelled.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("retry",), "name a saga by its id, or choose many"),
        (("cancel",), "name a saga by its id, or choose many"),
        (("retry", "a", "b", "--name", "x"), "either an id, or a choice"),
        (("cancel", "a", "--name", "x"), "either the id `a`, or a choice"),
        (("skip", "a"), "say which step: `sagadsl skip a STEP`"),
        (("signal", "a"), "name the signal to send"),
        (("signal", "--name", "x"), "name the signal to send"),
        (("retry", "--status", "running"), "`retry` is for what waits"),
        (("retry", "--name", "x", "--rate", "0"), "rate"),
        (("retry", "--name", "x", "--occurrence", "2"), "`--occurrence` is for one saga"),
        (("signal", "go", "--name", "x", "--request", "k"), "`--request` is for one saga"),
    ],
)
def test_a_choice_that_cannot_be_meant_is_refused_before_anything_is_asked(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    ran = inside(*arguments, cwd=tmp_path)

    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err, ran.err


def test_many_go_back_to_a_step_and_each_that_cannot_is_refused(shop: Shop) -> None:
    """R80, R81: a dry run judges each and changes nothing; a saga whose step has not begun refuses by itself."""
    ids = shop.start(2, wait="true")
    shop.until_waiting(ids)
    shop.until_listed(ids, "running")
    asked = ("reset", "--name", shop.name, "--to", "charge")
    dry = shop.run(*asked, "--dry-run")
    careful = shop.run(*asked)
    wrong = shop.run("reset", "--name", shop.name, "--to", "ship", "--yes")
    before = [json.loads(shop.run("status", each, "--json").out)["actions"] for each in ids]
    done = shop.run(*asked, "--yes", "--why", "another card")
    deadline = time.monotonic() + PATIENCE
    for each in ids:
        while not ((seen := json.loads(shop.run("status", each, "--json").out))["actions"] and seen["waiting_for"]):
            assert time.monotonic() < deadline, seen
            time.sleep(0.1)
        assert [(action["verb"], action["why"]) for action in seen["actions"]] == [("reset", "another card")]

    assert (dry.code, dry.out) == (0, "reset --to charge (dry run): 2 done (2 can go back)\n"), dry.err
    assert (careful.code, "add `--yes`" in careful.err) == (2, True)
    assert (wrong.code, wrong.out) == (4, "reset --to ship: 0 done, 2 refused\n"), wrong.err
    assert before == [[], []]
    assert (done.code, done.out.startswith("reset --to charge: 2 done")) == (0, True), done.err
    assert shop.run("reset", ids[0], "--name", shop.name, "--to", "charge").code == 2
    assert shop.run("reset", "--to", "charge").code == 2


def test_a_no_and_a_dry_run_leave_all_as_they_are(shop: Shop, tmp_path: Path) -> None:
    """R22. And `--yes` writes no empty line to stderr."""
    broken = tmp_path / "broken"
    broken.touch()
    ids = shop.start(2, how="fail", broken=str(broken))
    shop.until_listed(ids, "paused")
    asked = ("skip", "charge.compensation", "--name", shop.name)
    code, shown = answered(shop.folder, *asked, "--address", shop.address, answer=b"n\n")
    careful = shop.run(*asked)
    dry = shop.run(*asked, "--dry-run")
    still = shop.statuses(ids)
    of_one = shop.run("skip", ids[0], "charge.compensation", "--dry-run")
    done = shop.run(*asked, "--yes")

    assert (code, shown.splitlines()[-1]) == (1, "nothing was done")
    assert (careful.code, "Usage" in careful.err, "add `--yes`" in careful.err) == (2, False, True)
    assert (dry.code, dry.out) == (0, "skip charge.compensation (dry run): 2 done (2 would be asked)\n")
    assert all(f"  {each} charge.compensation" in dry.err for each in ids)
    assert still == ["paused"] * 2
    assert (of_one.code, "`--dry-run` is for many sagas" in of_one.err) == (2, True)
    assert done.code == 0, done.err
    assert all(line.strip() for line in done.err.splitlines()), done.err
    assert set(shop.statuses(ids)) <= {"compensating", "failed"}
