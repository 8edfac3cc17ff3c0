"""Encrypted sagas on a server that keeps its data in a file: what it holds, a new key, and a worker without a key."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from tests.cli.shell import SAGADSL, environment, inside
from tests.conftest import Server, serving
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal

ACTIVITIES = """
from sagadsl import Permanent, activity

@activity
async def charge(card: str) -> dict:
    return {"receipt": "hush-output-of-" + card}

@activity
async def refund(receipt: str) -> None: ...

@activity
async def quick(text: str) -> str:
    return "hush-local-result"

@activity
async def ship(to: str, how: str) -> dict:
    if how == "fail":
        try:
            raise ValueError("hush-cause")
        except ValueError as error:
            raise Permanent("hush-message " + to, {"street": "hush-details"}, type="AddressInvalid") from error
    return {"parcel": "hush-parcel"}
"""

ORDER = """\
sagadsl: 1
name: order
version: "1.0.0"
labels: {team: hush-label}
input:
  type: object
  required: [card]
  properties: {card: {type: string}, how: {type: string}, wait: {type: boolean}}
queries: {progress: "hush-answer {{ input.card }}"}
steps:
  - id: charge
    activity: charge
    fairness_key: mark-fair
    input: {card: "{{ input.card }}"}
    compensation: {activity: refund, on: completed, input: {receipt: "{{ step.output.receipt }}"}}
  - id: quick
    activity: quick
    local: true
    timeouts: {start_to_close: 5s}
    input: {text: hush-local-input}
    compensation: none
  - {id: note, set: {text: "hush-set"}}
  - {id: part, saga: parcel, input: {to: "hush-child-input"}, compensation: none}
  - id: approval
    if: input.wait | default(false)
    wait_for: {signal: approve, timeout: 1h, reply: "hush-reply"}
  - id: ship
    activity: ship
    retry: none
    input: {to: "hush-street", how: "{{ input.how | default('ok') }}"}
    compensation: none
output: {text: "hush-end {{ steps.ship.output.parcel }}"}
"""

PARCEL = """\
sagadsl: 1
name: parcel
version: "1.0.0"
input: {type: object}
steps:
  - {id: quick, activity: quick, input: {text: "{{ input.to }}"}, compensation: none}
output: hush-child-output
"""

OPEN = """\
sagadsl: 1
name: open
version: "1.0.0"
input: {type: object}
steps: [{id: note, set: {text: plain-set}}]
output: "{{ input.text }}"
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with definitions and keys, and the server."""

    folder: Path
    server: Server
    queue: str

    def ask(self, *words: str, keys: tuple[str, ...] | None = None) -> Any:
        """Run a command with the keys of the project, or with these."""
        env = {} if keys is None else {"SAGADSL_ENCRYPTION_KEYS": " ".join(f"{key}=file:{key}.key" for key in keys)}
        command, *rest = words
        return inside(command, *rest, "--address", self.server.address, cwd=self.folder, env=env)

    def start(self, id_: str, *more: str) -> None:
        ran = self.ask("run", "order.saga.yaml", "--id", id_, "--task-queue", self.queue, *_CARD, *more)
        assert ran.code == 0, ran.err

    def until_it_waits(self, id_: str) -> None:
        while "waits for signal" not in self.ask("status", id_).out:
            _pause()

    def end(self, id_: str, keys: tuple[str, ...] | None = None) -> Mapping[str, Any]:
        ran = self.ask("result", id_, "--json", keys=keys)
        found: Mapping[str, Any] = json.loads(ran.out)
        return found


_CARD = ("--set", "card=hush-card", "--detach")


def _lay_out(folder: Path) -> None:
    (folder / "secretive.py").write_text(ACTIVITIES)
    for name, text in {"order": ORDER, "parcel": PARCEL, "open": OPEN}.items():
        (folder / f"{name}.saga.yaml").write_text(text)
    for key in ("one", "two"):
        made = subprocess.run(["openssl", "rand", "-base64", "32"], capture_output=True, check=True)
        (folder / f"{key}.key").write_bytes(made.stdout)
    _choose(folder, "one")


def _choose(folder: Path, *keys: str) -> None:
    entries = ", ".join(f'{{id = "{key}", file = "{key}.key"}}' for key in keys)
    settings = 'modules = ["secretive"]\nplugins = {allow = []}\n'
    (folder / "sagadsl.toml").write_text(f"{settings}[encryption]\nkeys = [{entries}]\n" if keys else settings)


@contextmanager
def _worker(place: Place) -> Iterator[Path]:
    """Run a worker with the keys of the project, and give the file of what it says."""
    log = place.folder / "worker.log"
    command = [*SAGADSL, "worker", ".", "--address", place.server.address, "--task-queue", place.queue]
    with (
        log.open("w") as written,
        subprocess.Popen(command, cwd=place.folder, env=environment(), stderr=written) as process,
    ):
        try:
            while "ready" not in log.read_text():
                assert process.poll() is None, log.read_text()
                _pause()
            yield log
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _pause() -> None:
    """Let others work; what is waited for decides, not the time."""
    asyncio.run(asyncio.sleep(0.05))


@pytest.fixture
def place(tmp_path: Path, server: Server) -> Place:
    _lay_out(tmp_path)
    return Place(tmp_path, server, f"encrypted-{uuid.uuid4()}")


def _history(address: str, id_: str) -> bytes:
    """Return what the server has recorded, as it is."""

    async def fetch() -> bytes:
        client = await Client.connect(address)
        history = await client.get_workflow_handle(id_).fetch_history()
        return b"".join(event.SerializeToString() for event in history.events)

    return asyncio.run(fetch())


def test_nothing_of_an_encrypted_saga_stands_in_clear_at_the_server(tmp_path: Path) -> None:
    """Complete, failed and undone, signalled, asked, with a child: no history, no file and no log has a value of it."""
    _lay_out(tmp_path)
    database, log = tmp_path / "temporal.db", tmp_path / "server.log"
    with serving(log, database=database, level="info") as address:
        place = Place(tmp_path, Server(address), "sagadsl")
        with _worker(place):
            place.start("whole", "--set", "wait:=true")
            place.start("undone", "--set", "how=fail")
            place.until_it_waits("whole")
            answer = place.ask("signal", "whole", "approve", "--payload", '{"by": "hush-payload"}')
            assert answer.code == 0, answer.err
            assert "hush-reply" in answer.out + answer.err
            asked = place.ask("query", "whole", "progress")
            assert "hush-answer hush-card" in asked.out, asked.err
            whole, undone = place.end("whole"), place.end("undone")
            assert (whole["status"], whole["output"]) == ("completed", {"text": "hush-end hush-parcel"})
            assert (undone["status"], undone["report"]["undone"]) == ("compensated", ["charge"])
            assert undone["report"]["failure"]["message"] == "hush-message hush-street"
            assert "hush-receipt" not in str(undone)
            assert place.ask("trace", "undone").out.count("hush-output-of-hush-card") >= 1
        _choose(tmp_path)
        with _worker(place):
            ran = place.ask("run", "open.saga.yaml", "--id", "open", "--set", "text=plain-input")
            assert ran.code == 0, ran.err
        histories = {id_: _history(address, id_) for id_ in ("whole", "undone", "open")}

    kept = {path.name: path.read_bytes() for path in (*tmp_path.glob("temporal.db*"), log)}
    found = {name: sorted(set(re.findall(rb"hush-[a-z]+", data))) for name, data in (histories | kept).items()}
    assert found == {name: [] for name in found}
    assert b"plain-input" in histories["open"]
    assert b"plain-input" in kept["temporal.db"]  # a saga without keys is found there, so that the search is a search
    assert b"AddressInvalid" in kept["temporal.db"]  # types of errors stay in clear, as the page says
    assert b"binary/encrypted" in kept["temporal.db"]


def test_a_new_key_is_used_by_what_goes_on_and_what_is_there_stays_readable(place: Place) -> None:
    """First as a further key everywhere, then as the first one; the old key leaves last."""
    old, new = f"old-{place.queue}", f"new-{place.queue}"
    with _worker(place):
        place.start(old, "--set", "wait:=true")
        place.until_it_waits(old)
    _choose(place.folder, "two", "one")
    with _worker(place):
        assert place.ask("signal", old, "approve", "--payload", "1").code == 0
        place.start(new)
        assert (place.end(old)["status"], place.end(new)["status"]) == ("completed", "completed")

    key = re.compile(rb"encryption-key-id\x12\x03(one|two)")
    used = {id_: set(key.findall(_history(place.server.address, id_))) for id_ in (old, new)}
    assert used == {old: {b"one", b"two"}, new: {b"two"}}
    assert place.ask("trace", old).code == 0
    lost = place.ask("trace", old, keys=("two",))
    assert (lost.code, lost.out) == (3, "")
    assert lost.err.startswith("error[SD918]: the data cannot be read here: it is encrypted with key `one`")
    assert place.end(new, keys=("two",))["status"] == "completed"


def test_a_worker_without_the_key_says_so_and_leaves_the_saga_to_one_that_has_it(place: Place) -> None:
    """In one line, with the code; nothing is refused, undone or used up."""
    id_ = f"left-{place.queue}"
    place.start(id_)
    _choose(place.folder, "two")
    with _worker(place) as log:
        while "error[SD918]" not in log.read_text():
            _pause()
    said = log.read_text()
    (line, *_) = [each for each in said.splitlines() if "error[SD918]" in each]
    assert "it is encrypted with key `one`, and this process has only `two`" in line
    assert "the run is left as it is" in line
    assert "Traceback" not in said
    _choose(place.folder, "one")
    with _worker(place):
        assert place.end(id_)["status"] == "completed"


def test_a_worker_does_not_start_without_one_of_its_keys(place: Place) -> None:
    (place.folder / "one.key").unlink()
    ran = place.ask("worker", ".")
    assert ran.code == 3
    assert (
        "error[SD917]: encryption key `one` ([encryption] of sagadsl.toml) cannot be used: `one.key` cannot" in ran.err
    )
    assert "Traceback" not in ran.err


PAGE = (Path(__file__).parents[2] / "docs" / "operations" / "encryption.md").read_text("utf-8")
MARKS = {
    "inputs and outputs of sagas, calls and children": ["hush-card", "hush-output-of", "hush-child-input"],
    "definitions that come with a start": ["hush-set", "hush-local-input"],
    "payloads of signals, replies, queries and their answers": ["hush-payload", "hush-reply"],
    "messages, details, causes and stacks of errors": ["hush-message", "hush-details", "hush-cause", "in ship"],
    "labels and the rest of the memo": ["hush-label"],
    "reasons of `retry`, `skip`, `complete`, `pause`, `resume`, `abort`": ["mark-pause", "mark-resume"],
    "reasons of `cancel` and `terminate`": ["mark-cancel", "mark-terminate"],
    "ids of sagas": ["mark-id"],
    "names of sagas, steps, activities, signals, queries and task queues": ["order", "charge", "encrypted-"],
    "types of errors": ["AddressInvalid"],
    "search attributes, priorities and fairness keys": ["SagaName", "mark-fair"],
}
"""What the test below puts at each place, by the words of the page."""


def test_what_stays_in_clear_is_what_the_page_says(place: Place) -> None:
    """Measured in what the server gives to a client without a codec."""
    ids = {name: f"mark-id-{name}-{place.queue}" for name in ("held", "cancelled", "ended", "undone")}
    with _worker(place):
        for name, id_ in ids.items():
            place.start(id_, *(("--set", "how=fail") if name == "undone" else ("--set", "wait:=true")))
        for id_ in [id_ for name, id_ in ids.items() if name != "undone"]:
            place.until_it_waits(id_)
        for words in (
            ("pause", ids["held"], "--why", "mark-pause"),
            ("resume", ids["held"], "--why", "mark-resume"),
            ("signal", ids["held"], "approve", "--payload", '"hush-payload"'),
            ("cancel", ids["cancelled"], "--why", "mark-cancel"),
            ("terminate", ids["ended"], "--why", "mark-terminate", "--yes"),
        ):
            ran = place.ask(*words)
            assert ran.code == 0, ran.err
        for id_ in ids.values():
            place.end(id_)
    raw = b"".join(_history(place.server.address, id_) for id_ in ids.values())

    table = PAGE.partition("## What stays in clear")[2].partition("\n\n")[2].partition("\n\n")[0]
    said = dict(re.findall(r"^\| (.+?) \| (encrypted|in clear) \|$", table, re.M))
    assert said.pop("reasons with which a schedule is paused or resumed") == "in clear"  # see the next test
    timing = said.pop("when something happened, how long it took, and how large it is")
    found = {place_: [mark for mark in marks if mark.encode() in raw] for place_, marks in MARKS.items()}
    assert timing == "in clear"
    assert found == {place_: MARKS[place_] if word == "in clear" else [] for place_, word in said.items()}


SCHEDULED = """\
sagadsl: 1
name: nightly
version: "1.0.0"
input: {type: object}
schedule: {id: SCHEDULE, cron: "0 3 * * *", input: {text: hush-scheduled}, paused: true}
steps: [{id: nap, sleep: 1s}]
"""


def test_the_input_of_a_schedule_is_encrypted_and_gets_the_new_key_when_it_is_applied(place: Place) -> None:
    id_ = f"nightly-{place.queue}"
    (place.folder / "nightly.saga.yaml").write_text(SCHEDULED.replace("SCHEDULE", id_))

    def applied() -> tuple[str, list[dict[str, str]], bytes]:
        ran = place.ask("schedule", "apply", "nightly.saga.yaml", "--json")
        assert ran.code == 0, ran.err
        (made,) = json.loads(ran.out)["schedules"]
        return made["outcome"], made["changes"], asyncio.run(_described(place.server.address, id_))

    outcome, _, kept = applied()
    assert (outcome, b"hush-" in kept, b"\x12\x03one" in kept) == ("created", False, True)
    assert applied()[:2] == ("unchanged", [])
    _choose(place.folder, "two", "one")
    outcome, changes, kept = applied()
    assert (outcome, changes) == ("changed", [{"what": "encryption key", "before": "one", "after": "two"}])
    assert b"encryption-key-id\x12\x03two" in kept
    assert place.ask("schedule", "pause", id_, "--why", "mark-note").code == 0
    assert b"mark-note" in asyncio.run(_described(place.server.address, id_))
    assert place.ask("schedule", "delete", id_, "--yes").code == 0


async def _described(address: str, id_: str) -> bytes:
    client = await Client.connect(address)
    return (await client.get_schedule_handle(id_).describe()).raw_description.SerializeToString()
