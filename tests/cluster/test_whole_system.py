"""All of it at once: front end, gateway, Temporal on PostgreSQL, a worker in Python, one in Go; a server that dies.

The cluster is the one of `make cluster`, in a folder of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.cli.shell import environment, sagadsl
from tests.foreign.programs import programs
from tests.needs import built, need
from tests.patience import PATIENCE

pytestmark = pytest.mark.timeout(1800)  # the first build of the Temporal server takes minutes

ROOT = Path(__file__).parents[2]
DEFINITIONS = ROOT / "examples" / "go-worker"
CACHE = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")  # where Go keeps what it has built
BINARIES = ROOT / "build" / "cluster" / "bin"


@dataclass(frozen=True, slots=True)
class Everything:
    """A cluster that runs, with both workers."""

    folder: Path

    @property
    def bank(self) -> str:
        return f"sqlite:///{self.folder}/bank.db"

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return found

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.state['ports']['gateway']}"

    def cluster(self, what: str, *options: str) -> str:
        """Say `up`, `down` or `status` to the cluster."""
        ran = self.said(what, *options)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def said(self, what: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Say something to the cluster, and return how it went."""
        where = ("--folder", str(self.folder), "--binaries", str(BINARIES), "--definitions", str(DEFINITIONS))
        return subprocess.run(
            [sys.executable, "-m", "deploy.cluster", what, *where, *options],
            cwd=ROOT,
            env=environment(SAGADSL_BANK_URL=self.bank, XDG_CACHE_HOME=CACHE),
            capture_output=True,
            text=True,
            timeout=1500,
            check=False,
        )

    def command(self, *arguments: str) -> str:
        """Run a command of the bank."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = environment(SAGADSL_BANK_URL=self.bank, PATH=path)
        return subprocess.run(["bank", *arguments], env=env, capture_output=True, text=True, check=True).stdout

    def start(self, to_account: str, *, fail: bool = False) -> str:
        """Ask the gateway for a transfer."""
        body = {"from_account": "alice", "to_account": to_account, "amount": 30, "fail": fail}
        answer = httpx2.post(
            f"{self.url}/sagas/transfer-abroad", json=body, headers={"Idempotency-Key": os.urandom(9).hex()}
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def polled(self, saga: str, until: str) -> dict[str, Any]:
        """Poll the status as a front end does, until the saga stands so; while the server is away it asks again."""
        deadline = time.monotonic() + 120
        while True:
            try:
                answer = httpx2.get(f"{self.url}/sagas/{saga}", timeout=PATIENCE)
                found: dict[str, Any] = answer.json()
                if answer.status_code == 200 and found["status"] == until:
                    return found
            except httpx2.TransportError:
                found = {}
            assert time.monotonic() < deadline, found
            time.sleep(0.3)


@pytest.fixture(scope="module")
def everything() -> Iterator[Everything]:
    """The cluster, with alice's 100 in the bank, and the partner's worker, which takes its time."""
    need("postgresql")
    folder = Path(tempfile.mkdtemp(prefix="sagadsl-cluster-"))
    folder.chmod(0o755)  # PostgreSQL's user has to get in
    made = Everything(folder)
    try:
        made.command("init", "--accounts", "alice=100")
        built("go", made.said("build"))
        made.cluster("up")
        address = f"127.0.0.1:{made.state['ports']['frontend']}"
        options = ["-address", address, "-ledger", str(folder / "partner.jsonl"), "-slow", "2s"]
        with subprocess.Popen([*programs("go").worker, *options], stderr=subprocess.DEVNULL) as partner:
            try:
                yield made
            finally:
                partner.kill()
    finally:
        made.cluster("down", "--wipe")
        shutil.rmtree(folder)


def test_what_is_up_says_so_and_is_not_begun_twice(everything: Everything) -> None:
    """`up` again begins nothing; `doctor` finds server, search attributes and two workers."""
    before = everything.state["processes"]
    again = everything.cluster("up")
    seen = sagadsl(
        *("doctor", str(DEFINITIONS), "--json", "--address", f"127.0.0.1:{everything.state['ports']['frontend']}"),
    )

    assert again.count("runs already") == 5
    assert everything.state["processes"] == before
    found = {each["what"]: each for each in json.loads(seen.out)["checks"]}
    assert (seen.code, found["search attributes"]["ok"]) == (0, True), seen.out
    assert found["sagas on sagadsl"]["found"].startswith("2 workers")
    assert everything.cluster("status").count(" runs ") == 5


def test_no_password_is_seen_by_others(everything: Everything) -> None:
    secret = (everything.folder / "password").read_text()
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it is somebody else's, or has ended meanwhile
            commands.append(path.read_bytes())

    assert not any(secret.encode() in command for command in commands)
    assert not any(secret in path.read_text(errors="replace") for path in (everything.folder / "logs").iterdir())
    for name in ("password", "server.yaml"):
        assert (everything.folder / name).stat().st_mode & 0o077 == 0


def test_money_goes_abroad_and_back_while_the_server_dies(everything: Everything) -> None:
    """A transfer over two languages succeeds although the server dies in its middle; another is undone in both."""
    arriving = everything.start("carol")
    deadline = time.monotonic() + PATIENCE
    while "credit" not in [
        each["path"] for each in everything.polled(arriving, "running")["steps"] if each["status"] == "running"
    ]:
        assert time.monotonic() < deadline
    os.kill(everything.state["processes"]["temporal"]["pid"], signal.SIGKILL)
    time.sleep(1)
    output = everything.cluster("up")
    arrived = everything.polled(arriving, "completed")
    undone = everything.polled(everything.start("dave", fail=True), "compensated")
    refused = everything.polled(everything.start("erin"), "compensated")

    assert output.count("runs already") == 4
    assert [(step["path"], step["status"]) for step in arrived["steps"]] == [
        ("withdraw", "completed"),
        ("credit", "completed"),
        ("step_with_error", "completed"),
    ]
    assert [step["compensation"]["status"] for step in undone["steps"] if "compensation" in step] == ["done", "done"]
    assert (refused["failure"]["type"], refused["failure"]["step"]) == ("AccountClosed", "credit")
    assert "alice         70" in everything.command("balances")
    entries = [json.loads(line) for line in (everything.folder / "partner.jsonl").read_text().splitlines()]
    assert sum(each["amount"] * (-1 if each.get("undone") else 1) for each in entries) == 30
    listed = httpx2.get(f"{everything.url}/counts").json()["counts"]
    assert listed["completed"] >= 1


DEEP = """
sagadsl: 1
name: deep
version: "1"
input: {type: object, properties: {depth: {type: integer}}, required: [depth]}
steps:
  - {id: depth, set: {left: "{{ input.depth }}"}}
  - id: a_step_with_a_long_name_that_begins_the_next
    if: "{{ input.depth > 0 }}"
    saga: deep
    input: {depth: "{{ input.depth - 1 }}"}
    compensation: none
"""


def test_ids_are_as_long_as_the_database_takes(everything: Everything, tmp_path: Path) -> None:
    """PostgreSQL holds 255 characters. Ids of children are cut to that, at any depth; what is longer is not sent."""
    (tmp_path / "deep.saga.yaml").write_text(DEEP, encoding="utf-8")
    address = ("--address", f"127.0.0.1:{everything.state['ports']['frontend']}")
    options = (*address, "--worker", "--task-queue", "q" * 255, "--set", "depth=12")

    too_long = sagadsl("run", "deep.saga.yaml", "--id", "é" * 256, *options, cwd=tmp_path)
    ran = sagadsl("run", "deep.saga.yaml", "--id", "é" * 255, *options, cwd=tmp_path)

    assert (too_long.code, "has 256 characters, at most 255 fit" in too_long.err) == (2, True), too_long.err
    assert ran.code == 0, ran.err
    deadline = time.monotonic() + PATIENCE
    while True:  # the index comes after the end
        listed = json.loads(sagadsl("list", "--name", "deep", "--limit", "50", "--json", *address).out)["sagas"]
        if len(listed) == 13 and {each["status"] for each in listed} == {"completed"}:
            break
        assert time.monotonic() < deadline, listed
    assert max(len(each["id"]) for each in listed) == 255
