"""What the crash tests play with: a bank, held places, worker processes and a server that can be killed.

Processes are real and end by their own ids. Nothing waits for a length of time: whoever
interferes waits until the log says that a call is where it should be.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagadsl_bank import audit, database, ledger
from temporalio.client import Client

from sagadsl.temporal import client as sagas
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.runs import Ended
from sagadsl.trial.invariants import untrue
from tests.cli.shell import SAGADSL, environment
from tests.crash import held
from tests.patience import PATIENCE
from tests.temporal.play import data, replayer

ROOT = Path(__file__).parents[2]

TRANSFER = """\
sagadsl: 1
name: held-transfer
version: "1"
input:
  type: object
  required: [from, to, fee]
  properties:
    from: {type: string}
    to: {type: string}
    fee: {type: string}
    fail: {type: boolean}
    wait: {type: boolean}
    pause: {type: string}
x-timeouts: &timeouts {start_to_close: 1m, heartbeat: 3s}
defaults:
  timeouts: *timeouts
  retry: {initial_interval: 100ms, maximum_attempts: 5}
  compensation: {timeouts: *timeouts, retry: {initial_interval: 100ms}}
steps:
  - id: take
    activity: held.withdraw
    input: {account: "{{ input.from }}", amount: 30}
    compensation: {activity: held.undo_withdraw, input: {key: "{{ step.idempotency_key }}"}}
  - id: give
    activity: held.deposit
    input: {account: "{{ input.to }}", amount: 20}
    compensation: {activity: held.undo_deposit, input: {key: "{{ step.idempotency_key }}"}}
  - id: fee
    activity: held.deposit
    retry: {maximum_attempts: 5}
    input: {account: "{{ input.fee }}", amount: 10}
    compensation: {activity: held.undo_deposit, input: {key: "{{ step.idempotency_key }}"}}
  - id: approval
    if: input.wait | default(false)
    wait_for: {signal: go, timeout: 1h}
  - id: rest
    if: input.pause is defined
    sleep: "{{ input.pause }}"
  - id: judge
    activity: held.judge
    input: {fail: "{{ input.fail | default(false) }}"}
    compensation: none
output: {left: "{{ steps.take.output.balance }}"}
"""

FORWARD = ("take", "give", "fee", "judge")
UNDONE = ("fee.compensation", "give.compensation", "take.compensation")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log: a call has reached a place."""

    saga: str
    call: str
    attempt: int
    place: str
    pid: int
    key: str
    activity: str


class Bank:
    """A bank in a file, with three accounts for each saga: the first holds 100, the others nothing."""

    def __init__(self, file: Path) -> None:
        self.url = f"sqlite:///{file}"
        self._engine = database.connect(self.url)
        self._total = 0
        database.create(self._engine)

    def open(self, saga: str) -> dict[str, str]:
        """Open the accounts of one saga; return its input."""
        accounts = {name: f"{name}-{saga}" for name in ("from", "to", "fee")}
        for account in accounts.values():
            ledger.open_account(self._engine, f"init/{account}", account)
        ledger.deposit(self._engine, f"init/{saga}/money", accounts["from"], 100)
        self._total += 100
        return accounts

    def fund(self, account: str, amount: int) -> None:
        """Open an account that several sagas share."""
        ledger.open_account(self._engine, f"init/{account}", account)
        ledger.deposit(self._engine, f"init/{account}/money", account, amount)
        self._total += amount

    def holds(self) -> dict[str, int]:
        """Return what every account holds."""
        return {each.account: each.balance for each in audit.balances(self._engine)}

    def balances(self, saga: str) -> tuple[int, int, int]:
        """Return what the three accounts of a saga hold."""
        now = self.holds()
        return now[f"from-{saga}"], now[f"to-{saga}"], now[f"fee-{saga}"]

    def stands(self, saga: str) -> tuple[str, ...]:
        """Return the steps of a saga whose effect stands."""
        entries = [each for each in audit.history(self._engine) if each.key.startswith(f"{saga}/")]
        return tuple(_path(each.key) for each in entries if each.state == ledger.State.DONE)

    def problems(self) -> tuple[str, ...]:
        """Return what does not add up: money made or lost, a key that moved money twice."""
        return audit.check(self._engine, self._total).problems

    def close(self) -> None:
        self._engine.dispose()


MOVED, UNTOUCHED = (70, 20, 10), (100, 0, 0)
MOVEMENTS = 3
"""Effects of a transfer that has completed."""


def _path(key: str) -> str:
    return key.partition("/")[2].removesuffix("/do")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A worker process, as people start it."""

    def __init__(self, command: list[str], env: Mapping[str, str], log: Path, sources: Path = ROOT) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, cwd=sources, env=dict(env), stdout=output, stderr=output)
        self.pid = self._process.pid

    async def said(self, word: str) -> None:
        """Wait until it has printed *word*: it is ready when it polls, and stopping when it was told to."""
        async with asyncio.timeout(PATIENCE):
            while word not in (said := self.log.read_text(encoding="utf-8", errors="replace")):
                assert self._process.poll() is None, said
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        """End it at once; nothing of it gets to run any more."""
        if self._process.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)

    def stop(self) -> None:
        """Ask it to stop."""
        os.kill(self.pid, signal.SIGTERM)

    async def exit_code(self) -> int:
        """Wait for its end."""
        return await asyncio.to_thread(self._process.wait, PATIENCE)


class Stage:
    """A bank, a log, worker processes, and sagas on one task queue."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address, self.folder = address, folder
        self.queue = f"crash-{uuid.uuid4().hex[:12]}"
        self.bank = Bank(folder / "bank.db")
        self.workers: list[Process] = []
        self.client: Client

    def spawn(self, *arguments: str, sources: Path = ROOT, **env: str) -> Process:
        """Start a worker process, of the release whose *sources* are there, without waiting for it."""
        command = [*SAGADSL, "worker", "--takeover", "1", *arguments, "-m", held.__name__]
        command += ["--task-queue", self.queue, "--address", self.address]
        named = {"SAGADSL_BANK_URL": self.bank.url, held.FOLDER: str(self.folder), **env}
        made = Process(command, environment(**named), self.folder / f"worker-{len(self.workers)}.log", sources)
        self.workers.append(made)
        return made

    async def worker(self, *arguments: str, sources: Path = ROOT, **env: str) -> Process:
        """Start a worker process and wait until it polls."""
        made = self.spawn(*arguments, sources=sources, **env)
        await made.said("ready")
        return made

    async def start(
        self, name: str, *, hold: str = "", definition: Mapping[str, Any] | str = TRANSFER, **values: Any
    ) -> str:
        """Start a saga that stops at the place *hold*, e.g. `give.compensation@before`; return its id."""
        saga = f"{name}-{uuid.uuid4().hex[:8]}"
        if hold:
            self.hold(saga, hold)
        input_ = {**self.bank.open(saga), **values}
        by_name = isinstance(definition, str) and "\n" not in definition
        sent = definition if by_name else data(definition)
        await sagas.start(self.client, sent, input_, id=saga, task_queue=self.queue)
        return saga

    def hold(self, saga: str, place: str) -> None:
        (self.folder / f"{saga}@{place}").touch()

    def let_go(self, saga: str, place: str) -> None:
        (self.folder / f"{saga}@{place}").unlink()

    async def replace_killed(self, ids: Mapping[str, str], places: Mapping[str, str]) -> Process:
        """Kill the worker when each saga is held at its place, and let another one take over; return the killed one.

        The saga ``idle`` has no place: it waits for the signal `go`, which the other worker gets.
        """
        (first,) = self.workers
        for name, place in places.items():
            await self.until(ids[name], place)
        await self.until_running(ids["idle"], "approval")
        first.kill()
        for name, place in places.items():
            self.let_go(ids[name], place)
        await self.worker()
        await sagas.signal(self.client, ids["idle"], "go")
        return first

    def lines(self, saga: str | None = None) -> list[Line]:
        """Return what the log says of a saga, or of all."""
        log = self.folder / "log.jsonl"
        text = log.read_text(encoding="utf-8") if log.exists() else ""
        found = [Line(**json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in found if saga in (None, line.saga)]

    def calls(self, saga: str) -> list[str]:
        """Return the calls of a saga, in the order in which they first began."""
        return list(dict.fromkeys(line.call for line in self.lines(saga)))

    def repeated(self, saga: str) -> set[str]:
        """Return the calls that had more than one attempt."""
        return {line.call for line in self.lines(saga) if line.attempt > 1}

    async def until(self, saga: str, place: str, attempt: int = 1) -> Line:
        """Wait until an attempt of a call is at a place, e.g. `give.compensation@before`."""
        call, _, where = place.partition("@")
        async with asyncio.timeout(PATIENCE):
            while True:
                for line in self.lines(saga):
                    if (line.call, line.place, line.attempt) == (call, where, attempt):
                        return line
                await asyncio.sleep(0.05)

    async def until_running(self, saga: str, path: str) -> None:
        """Wait until the status shows that a step runs."""
        async with asyncio.timeout(PATIENCE):
            while True:
                status = await runs.status(self.client, saga)
                if any((step["path"], step["status"]) == (path, "running") for step in status["steps"]):
                    return
                await asyncio.sleep(0.1)

    async def end(self, saga: str) -> Ended:
        """Wait for the end of a saga, replay its history, and see that it tells the truth (R1, R20)."""
        async with asyncio.timeout(PATIENCE):
            ended = await runs.result(self.client, saga)
        stands = self.bank.stands(saga)
        assert [*untrue(ended.status, ended.report or {}, stands)] == []
        assert ended.status != "completed" or len(stands) == MOVEMENTS
        await replayer().replay_workflow(await self.client.get_workflow_handle(saga).fetch_history())
        return ended


@contextlib.asynccontextmanager
async def stage(address: str, folder: Path) -> AsyncIterator[Stage]:
    """Set the stage; what still runs at the end is killed."""
    made = Stage(address, folder)
    made.client = await Client.connect(address)
    try:
        yield made
    finally:
        for process in made.workers:
            process.kill()
        made.bank.close()
