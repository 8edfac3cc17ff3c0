"""A saga over two languages: worker A in Python has the bank, worker B in another one the partner's ledger.

Everything is a process of its own, as it would be anywhere: the server, both workers, the client.
The tests are the same for each language; a module names it, and takes them from here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.cli.shell import SAGADSL, Ran, environment, inside
from tests.foreign.programs import ROOT, Programs
from tests.patience import PATIENCE

EXAMPLE = ROOT / "examples" / "go-worker"


@dataclass(frozen=True, slots=True)
class Place:
    """Two workers and their money.

    Attributes:
        partner: Task queue of worker B, so that tests do not share one.
        before: What alice had, and how many entries the partner's ledger, when the test began.
    """

    folder: Path
    address: str
    programs: Programs
    queue: str
    partner: str
    before: tuple[int, int] = (0, 0)

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

    def moved(self) -> tuple[int, dict[str, int]]:
        """What has gone to alice's account here, and to each account of the partner's, since the test began."""
        return self._balance("alice") - self.before[0], self._abroad(self.before[1])

    @property
    def begun(self) -> Place:
        """This place as a test finds it."""
        return replace(self, before=(self._balance("alice"), len(self._entries())))

    def _balance(self, account: str) -> int:
        shown = subprocess.run(
            ["bank", "balances"],
            env=environment(SAGADSL_BANK_URL=self.bank, PATH=f"{Path(SAGADSL[0]).parent}:{os.environ['PATH']}"),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return int(next(line.split()[1] for line in shown.splitlines() if line.startswith(account)))

    def _entries(self) -> list[dict[str, Any]]:
        ledger = self.folder / "partner.jsonl"
        return [json.loads(line) for line in ledger.read_text().splitlines()] if ledger.exists() else []

    def _abroad(self, since: int) -> dict[str, int]:
        balances: dict[str, int] = {}
        for entry in self._entries()[since:]:
            moved = entry.get("amount", 0) * (-1 if entry.get("undone") else 1)
            balances[entry.get("account", "")] = balances.get(entry.get("account", ""), 0) + moved
        return balances

    @contextmanager
    def partner_worker(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        """Run worker B until the end of the block."""
        command = [*self.programs.worker, "--address", self.address, "--task-queue", self.partner]
        command += ["--ledger", str(self.folder / "partner.jsonl"), *options]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert "partner serves" in process.stderr.readline()
            try:
                yield process
            finally:
                process.kill()


class Transfers:
    """The tests; a subclass says of which language.

    Attributes:
        language: As in ``programs``.
        unregistered: The error type of its SDK for an activity that its worker does not know.
    """

    language: str
    unregistered: str

    def test_money_goes_over_both_workers(self, place: Place) -> None:
        with place.partner_worker():
            ran = place.run("carol")

        assert ran.code == 0, ran.err
        assert place.moved() == (-30, {"carol": 30})

    def test_a_typed_no_of_the_foreign_worker_is_undone_by_the_python_worker(self, place: Place) -> None:
        """A non-retryable error keeps its type; what said no is not undone, and is not tried again."""
        with place.partner_worker():
            ran = place.run("erin")

        document = json.loads(ran.out)
        assert (ran.code, document["status"], document["report"]["failure"]["type"]) == (
            10,
            "compensated",
            "AccountClosed",
        )
        assert document["report"]["failure"]["message"] == "account `erin` takes no money"
        assert document["report"]["undone"] == ["withdraw"]
        assert place.moved() == (0, {})

    def test_what_fails_after_the_foreign_worker_is_undone_there_first(self, place: Place) -> None:
        """R10 across languages."""
        with place.partner_worker():
            ran = place.run("carol", fail=True)

        assert (ran.code, json.loads(ran.out)["report"]["undone"]) == (10, ["credit", "withdraw"])
        assert place.moved() == (0, {"carol": 0})

    def test_a_foreign_worker_that_is_killed_in_the_middle_loses_and_doubles_nothing(self, place: Place) -> None:
        """SIGKILL while it credits; the next worker gets the same key again, and gives the money once."""
        with place.partner_worker("--slow", "20s") as process:
            started = json.loads(place.run("carol", detach=True).out)
            deadline = time.monotonic() + PATIENCE
            while "credit" not in [each["call"] for each in _status(place, started["id"])["attempts"]]:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            process.send_signal(signal.SIGKILL)
            process.wait()
        with place.partner_worker():
            ended = inside("result", started["id"], "--address", place.address, "--json", "--timeout", "60")

        assert json.loads(ended.out)["status"] == "completed", ended.err
        assert place.moved() == (-30, {"carol": 30})

    def test_a_foreign_client_starts_a_saga_by_name_and_reads_its_typed_failure(self, place: Place) -> None:
        """The seed's client: exit codes, type, report; and lists know a saga that another language has started."""
        value = {"from_account": "alice", "to_account": "carol", "amount": 30}
        with place.partner_worker():
            ran = [
                _client(place, value),
                _client(place, {**value, "to_account": "erin"}),
                _client(place, {"amount": "x"}),
            ]
        id_ = ran[0].out.splitlines()[0].rpartition(" ")[2]

        assert (ran[0].code, 'completed: {"partner_balance":' in ran[0].out) == (0, True), ran[0]
        assert ran[1].code == 10
        assert "compensated: AccountClosed" in ran[1].out
        assert "failed step credit, undone [withdraw], not undone []" in ran[1].out
        assert (ran[2].code, "InvalidInput" in ran[2].out) == (10, True)
        assert _status(place, id_)["name"] == "transfer-abroad"
        deadline = time.monotonic() + PATIENCE
        while id_ not in inside("list", "--address", place.address, "--query", f"WorkflowId = '{id_}'").out:
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def test_a_name_that_the_foreign_worker_does_not_know_ends_at_once(self, place: Place) -> None:
        """A typo does not retry for ever: the step says that this error is final, and nothing was done there."""
        wrong = (
            (place.folder / "transfer_abroad.saga.yaml")
            .read_text()
            .replace("activity: partner.credit\n", "activity: partner.crdit\n")
        )
        (place.folder / "wrong.saga.yaml").write_text(wrong)
        with place.partner_worker():
            ran = place.run("carol", definition="wrong.saga.yaml")

        assert ran.code == 10
        assert json.loads(ran.out)["report"]["failure"]["type"] == self.unregistered, ran.out
        assert place.moved() == (0, {})


def _status(place: Place, saga: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(inside("status", saga, "--address", place.address, "--json").out)
    return found


def _client(place: Place, value: dict[str, Any]) -> Ran:
    ended = subprocess.run(
        [
            *(*place.programs.client, "--address", place.address, "--task-queue", place.queue),
            *("--input", json.dumps(value)),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Ran(ended.returncode, ended.stdout, ended.stderr)
