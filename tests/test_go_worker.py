"""A saga over two languages: worker A in Python has the bank, worker B in Go the partner's ledger, and a client in Go.

Everything is a process of its own, as it would be anywhere: the server, both workers, the client.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import SAGADSL, Ran, environment, inside
from tests.conftest import Server

pytestmark = [pytest.mark.temporal, pytest.mark.timeout(1200)]  # the first build of the Go programs takes minutes

EXAMPLE = Path(__file__).parents[1] / "examples" / "go-worker"


@dataclass(frozen=True, slots=True)
class Place:
    """Two workers and their money.

    Attributes:
        partner: Task queue of the Go worker, so that tests do not share one.
    """

    folder: Path
    address: str
    programs: Path
    queue: str
    partner: str

    @property
    def bank(self) -> str:
        return f"sqlite:///{self.folder}/bank.db"

    def run(self, to_account: str, *, fail: bool = False, detach: bool = False, definition: str = "") -> Ran:
        """Run a transfer to its end, or only start it."""
        sets = ("from_account=alice", f"to_account={to_account}", "amount=30", f"fail={str(fail).lower()}")
        return inside(
            *("run", definition or "transfer_abroad.saga.yaml", "--address", self.address, "--task-queue", self.queue),
            *("-q", "--json", *(["--detach"] if detach else []), *(word for each in sets for word in ("--set", each))),
            cwd=self.folder,
        )

    def balance(self, account: str) -> int:
        """What the bank has in an account."""
        shown = subprocess.run(
            ["bank", "balances"],
            env=environment(SAGADSL_BANK_URL=self.bank, PATH=f"{Path(SAGADSL[0]).parent}:{os.environ['PATH']}"),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return int(next(line.split()[1] for line in shown.splitlines() if line.startswith(account)))

    def abroad(self) -> dict[str, int]:
        """What the partner has in its accounts, by its ledger."""
        balances: dict[str, int] = {}
        for line in (self.folder / "partner.jsonl").read_text().splitlines():
            entry = json.loads(line)
            moved = entry.get("amount", 0) * (-1 if entry.get("undone") else 1)
            balances[entry.get("account", "")] = balances.get(entry.get("account", ""), 0) + moved
        return balances

    @contextmanager
    def go_worker(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        """Run worker B until the end of the block."""
        command = [str(self.programs / "worker"), "-address", self.address, "-task-queue", self.partner]
        command += ["-ledger", str(self.folder / "partner.jsonl"), *options]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert "partner serves" in process.stderr.readline()
            try:
                yield process
            finally:
                process.kill()


@pytest.fixture
def place(server: Server, go_programs: Path, tmp_path: Path) -> Iterator[Place]:
    """A bank with 100 in alice's account, worker A, and no worker B yet."""
    partner = f"partner-{uuid.uuid4()}"
    text = (EXAMPLE / "transfer_abroad.saga.yaml").read_text()
    (tmp_path / "transfer_abroad.saga.yaml").write_text(text.replace("task_queue: partner", f"task_queue: {partner}"))
    made = Place(tmp_path, server.address, go_programs, f"abroad-{uuid.uuid4()}", partner)
    env = environment(SAGADSL_BANK_URL=made.bank, PATH=f"{Path(SAGADSL[0]).parent}:{os.environ['PATH']}")
    subprocess.run(["bank", "init", "--accounts", "alice=100"], env=env, check=True, capture_output=True)
    command = [*SAGADSL, "worker", ".", "--address", server.address, "--task-queue", made.queue]
    with ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
        )
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("ready"):
                break
        yield made
        process.terminate()
        process.stderr.read()


def _steps(ran: Ran) -> dict[str, Any]:
    return {step["path"]: step for step in json.loads(ran.out)["steps"]}


def test_money_goes_over_both_workers(place: Place) -> None:
    with place.go_worker():
        ran = place.run("carol")

    assert (ran.code, json.loads(ran.out)["output"]["partner_balance"]) == (0, 30), ran.err
    assert (place.balance("alice"), place.abroad()) == (70, {"carol": 30})


def test_a_typed_no_of_the_go_worker_is_undone_by_the_python_worker(place: Place) -> None:
    """A non-retryable error keeps its type; what said no is not undone, and is not tried again."""
    with place.go_worker():
        ran = place.run("erin")

    document = json.loads(ran.out)
    assert (ran.code, document["status"], document["report"]["failure"]["type"]) == (10, "compensated", "AccountClosed")
    assert document["report"]["failure"]["message"] == "account `erin` takes no money"
    assert document["report"]["undone"] == ["withdraw"]
    assert (place.balance("alice"), place.abroad()) == (100, {})


def test_what_fails_after_the_go_worker_is_undone_there_first(place: Place) -> None:
    """R10 across languages."""
    with place.go_worker():
        ran = place.run("carol", fail=True)

    assert (ran.code, json.loads(ran.out)["report"]["undone"]) == (10, ["credit", "withdraw"])
    assert (place.balance("alice"), place.abroad()) == (100, {"carol": 0})


def test_a_go_worker_that_is_killed_in_the_middle_loses_and_doubles_nothing(place: Place) -> None:
    """SIGKILL while it credits; the next worker gets the same key again, and gives the money once."""
    with place.go_worker("-slow", "20s") as process:
        started = json.loads(place.run("carol", detach=True).out)
        deadline = time.monotonic() + 30
        while "credit" not in [each["call"] for each in _status(place, started["id"])["attempts"]]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with place.go_worker():
        ended = inside("result", started["id"], "--address", place.address, "--json", "--timeout", "60")

    assert json.loads(ended.out)["status"] == "completed", ended.err
    assert (place.balance("alice"), place.abroad()) == (70, {"carol": 30})


def _status(place: Place, saga: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(inside("status", saga, "--address", place.address, "--json").out)
    return found


def test_a_client_in_go_starts_a_saga_by_name_and_reads_its_typed_failure(place: Place) -> None:
    """The seed's client: exit codes, type, report; and lists know a saga that another language has started."""
    value = {"from_account": "alice", "to_account": "carol", "amount": 30}
    with place.go_worker():
        ran = [_client(place, value), _client(place, {**value, "to_account": "erin"}), _client(place, {"amount": "x"})]
    id_ = ran[0].out.splitlines()[0].rpartition(" ")[2]

    assert (ran[0].code, "completed: map[partner_balance:30" in ran[0].out) == (0, True), ran[0]
    assert ran[1].code == 10
    assert "compensated: AccountClosed" in ran[1].out
    assert "failed step credit, undone [withdraw], not undone []" in ran[1].out
    assert (ran[2].code, "InvalidInput" in ran[2].out) == (10, True)
    assert _status(place, id_)["name"] == "transfer-abroad"
    deadline = time.monotonic() + 20
    while id_ not in inside("list", "--address", place.address, "--query", f"WorkflowId = '{id_}'").out:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _client(place: Place, value: dict[str, Any]) -> Ran:
    ended = subprocess.run(
        [
            *(str(place.programs / "client"), "-address", place.address, "-task-queue", place.queue),
            *("-input", json.dumps(value)),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ran(ended.returncode, ended.stdout, ended.stderr)


def test_a_name_that_the_go_worker_does_not_know_ends_at_once(place: Place) -> None:
    """A typo does not retry for ever: the step says that this error is final, and nothing was done there."""
    wrong = (
        (place.folder / "transfer_abroad.saga.yaml")
        .read_text()
        .replace("activity: partner.credit\n", "activity: partner.crdit\n")
    )
    (place.folder / "wrong.saga.yaml").write_text(wrong)
    with place.go_worker():
        ran = place.run("carol", definition="wrong.saga.yaml")

    assert ran.code == 10
    assert json.loads(ran.out)["report"]["failure"]["type"] == "ActivityNotRegisteredError"
    assert (place.balance("alice"), place.abroad()) == (100, {})


def test_a_queue_that_nobody_serves_has_an_end(place: Place) -> None:
    """``schedule_to_close`` bounds the silence; what never began is not undone."""
    text = (place.folder / "transfer_abroad.saga.yaml").read_text()
    (place.folder / "bounded.saga.yaml").write_text(
        text.replace("schedule_to_close: 5m", "start_to_close: 1s, heartbeat: 1s, schedule_to_close: 2s")
    )
    ran = place.run("carol", definition="bounded.saga.yaml")

    report = json.loads(ran.out)["report"]
    assert (ran.code, report["failure"]["type"], report["undone"]) == (10, "timeout", ["withdraw"])
    assert "no worker took `partner.credit`" in report["failure"]["message"]
    assert place.balance("alice") == 100
