"""What schemas mark by `x-secret`: no command, no page, no log and no message of an error shows it."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from tests.cli.shell import SAGADSL, environment, inside
from tests.conftest import Server
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal

ACTIVITIES = """
from typing import Annotated
from pydantic import BaseModel, Field, WithJsonSchema
from sagadsl import Permanent, activity

class Token(BaseModel):
    token: str = Field(json_schema_extra={"x-secret": True})
    last: str

@activity
async def tokenize(card: str) -> Token:
    return Token(token="hush-token-" + card[-4:], last=card[-4:])

@activity
async def charge(token: str, how: str, tries: int) -> dict:
    if how == "bug":
        raise RuntimeError("cannot charge " + token)
    if how == "fail":
        raise Permanent("the bank refuses " + token, type="Refused")
    if how == "odd":
        raise Permanent("the bank refuses " + token + " of hush-card-4242", type="Refused")
    return {"receipt": "R-1", "of": token}
"""

ORDER = """\
sagadsl: 1
name: pay
version: "1.0.0"
input:
  type: object
  required: [card]
  properties:
    card: {type: string, x-secret: true, minLength: 10}
    pin: {type: integer, x-secret: true}
    how: {type: string, default: ok}
    wait: {type: boolean, default: false}
queries: {card: "{{ input.card }} of {{ input.how }}"}
steps:
  - {id: token, activity: tokenize, input: {card: "{{ input.card }}"}, compensation: none}
  - id: code
    if: input.wait
    wait_for: {signal: code, timeout: 1h, payload: {type: object, properties: {code: {type: string, x-secret: true}}}}
  - id: charge
    activity: charge
    retry: {maximum_attempts: 3, initial_interval: 1h, maximum_interval: 1h}
    compensation: none
    input: {token: "{{ steps.token.output.token }}", how: "{{ input.how }}", tries: 1}
output: {paid_by: "card {{ input.card }}", receipt: "{{ steps.charge.output.receipt }}"}
"""

SECRETS = re.compile(r"hush-[-a-z0-9]+|987654321")


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a definition, and a worker's queue and log."""

    folder: Path
    server: Server
    queue: str

    @property
    def log(self) -> str:
        return (self.folder / "worker.log").read_text()

    def ask(self, *words: str, code: int = 0) -> str:
        """Run a command that must end with *code*, and return all that it says."""
        command, *rest = words
        ran = inside(command, *rest, "--address", self.server.address, cwd=self.folder)
        assert ran.code == code, ran.err
        return ran.out + ran.err

    def start(self, id_: str, *more: str, code: int = 0) -> str:
        given = ("--set", "card=hush-card-4242", "--set", "pin=987654321", "--task-queue", self.queue)
        return self.ask("run", "pay.saga.yaml", "--id", id_, *given, *more, code=code)

    def seen(self, id_: str) -> str:
        """Return all that commands show of a saga."""
        shown = [
            ("status", id_),
            ("status", id_, "--json"),
            ("trace", id_),
            ("trace", id_, "--json"),
            ("explain-run", id_),
            ("query", id_, "card"),
        ]
        return "\n".join(self.ask(*words) for words in shown)


@contextmanager
def working(place: Place) -> Iterator[None]:
    command = [*SAGADSL, "worker", ".", "--address", place.server.address, "--task-queue", place.queue]
    log = place.folder / "worker.log"
    with (
        log.open("w") as written,
        subprocess.Popen(
            [*command, "--log-format", "json"], cwd=place.folder, env=environment(), stderr=written
        ) as process,
    ):
        try:
            while "ready" not in place.log:
                assert process.poll() is None, place.log
                asyncio.run(asyncio.sleep(0.05))
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE)


@pytest.fixture
def place(tmp_path: Path, server: Server) -> Iterator[Place]:
    (tmp_path / "paying.py").write_text(ACTIVITIES)
    (tmp_path / "pay.saga.yaml").write_text(ORDER)
    (tmp_path / "sagadsl.toml").write_text('modules = ["paying"]\nplugins = {allow = []}\n')
    made = Place(tmp_path, server, f"hidden-{uuid.uuid4()}")
    with working(made):
        yield made


def test_no_command_shows_a_secret_of_a_saga_that_goes_well(place: Place) -> None:
    """Input, output of an activity, payload of a signal; what gets them, and what is computed of them."""
    id_ = f"good-{place.queue}"
    said = place.start(id_, "--set", "wait:=true", "--detach")
    while "waits for signal" not in place.ask("status", id_):
        asyncio.run(asyncio.sleep(0.05))
    said += place.ask("signal", id_, "code", "--payload", '{"code": "hush-code"}')
    said += place.ask("result", id_) + place.ask("result", id_, "--json")
    said += place.start(f"{id_}-2", "--json")
    said += place.seen(id_)
    assert not SECRETS.findall(said)
    assert '"paid_by": "card ***"' in said
    assert '"card": "***"' in said
    assert '"pin": "***"' in said
    assert '"token": "***"' in said
    assert '"last": "4242"' in said
    assert "*** of ok" in said
    assert not SECRETS.findall(place.log)
    plain = place.ask("trace", id_, "--show-secrets") + place.ask("result", id_, "--show-secrets")
    assert {"hush-card-4242", "hush-token-4242", "hush-code", "987654321"} <= set(SECRETS.findall(plain))


def test_errors_and_logs_quote_no_secret(place: Place) -> None:
    """Neither an error that is meant, nor one that waits for its next attempt with its stack in the log."""
    refused, waits = f"bad-{place.queue}", f"bug-{place.queue}"
    said = place.start(refused, "--set", "how=odd", code=10) + place.seen(refused)
    said += place.ask("result", refused, code=10) + place.ask("result", refused, "--json", code=10)
    assert "Refused: the bank refuses *** of ***" in said
    place.start(waits, "--set", "how=bug", "--detach")
    while "cannot charge ***" not in (status := place.ask("status", waits)):
        asyncio.run(asyncio.sleep(0.05))
    said += status + place.ask("status", waits, "--json")
    place.ask("terminate", waits, "--yes")
    said += place.seen(waits)
    assert not SECRETS.findall(said)
    assert set(SECRETS.findall(place.log)) <= {"hush-card-4242"}  # the activity itself never got the number of the card
    assert [each for each in map(json.loads, place.log.splitlines()) if "cannot charge ***" in each.get("stack", "")]


def test_the_failure_that_the_server_keeps_quotes_no_secret(place: Place) -> None:
    """Without encryption the history holds the input in clear; the errors, which lists and alerts show, do not."""
    id_ = f"kept-{place.queue}"
    place.start(id_, "--set", "how=fail", code=10)

    async def events() -> list[Any]:
        client = await Client.connect(place.server.address)
        return list((await client.get_workflow_handle(id_).fetch_history()).events)

    told = asyncio.run(events())
    failures = [str(each) for each in told if "failure {" in str(each)]
    assert len(failures) >= 2  # of the activity, and of the saga
    assert not [each for each in failures if SECRETS.search(each)]
    assert SECRETS.search(str(told[0]))


def test_an_input_that_does_not_fit_is_not_quoted(place: Place) -> None:
    ran = inside("run", "pay.saga.yaml", "--set", "card=hush-a", cwd=place.folder)
    assert ran.code == 2
    assert not SECRETS.findall(ran.out + ran.err)
    assert '`input.card`: must have at least 10 characters, got `"***"`' in ran.err
