"""What commands print as JSON is as their schemas say: a field that is added without its place in one fails here."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sagadsl.cli.output_schemas import ERROR, OUTPUTS, schema_of
from tests.cli.shell import inside
from tests.cli.shop import lay_out
from tests.cli.test_forms import _forms
from tests.cli.test_operate import QUEUE, Shop, serving_shop
from tests.conftest import Server

ASKS = """\
sagadsl: 1
name: asks
version: "1"
schedule: {id: SCHEDULE, every: 24h, paused: true}
queries: {stage: {heard: "{{ steps.hear.status }}"}}
steps:
  - {id: hear, wait_for: {signal: word, timeout: 1h}}
output: {heard: "{{ steps.hear.output }}"}
"""
WRONG = "sagadsl: 1\nname: wrong\nsteps: [{id: a, activty: x}, {id: a, activity: acme.x}]\n"
SUITE = """\
sagadsl_test: 1
saga: order.saga.yaml
cases:
  - {name: well, given: {input: {order: '1'}}, then: {status: STATUS}}
"""


def _closed(schema: Any) -> Any:
    """Return the schema without room for what it does not name."""
    if isinstance(schema, dict):
        closed = {key: _closed(value) for key, value in schema.items()}
        if closed.get("type") == "object" and "properties" in closed:
            closed["additionalProperties"] = False
        return closed
    return [_closed(each) for each in schema] if isinstance(schema, list) else schema


def fits(command: str, text: str) -> dict[str, Any]:
    """Hold that a command has printed a document that its schema describes in full; return it."""
    document: dict[str, Any] = json.loads(text)
    errors = [
        f"{each.json_path}: {each.message}" for each in Draft202012Validator(schema_of(command)).iter_errors(document)
    ]
    assert errors == []
    inner = {key: value for key, value in document.items() if key != "schema_version"}
    error = document.get("error")
    schema, part = (ERROR, error) if isinstance(error, dict) and "code" in error else (OUTPUTS[command], inner)
    unnamed = [f"{each.json_path}: {each.message}" for each in Draft202012Validator(_closed(schema)).iter_errors(part)]
    assert unnamed == [], f"sagadsl/cli/output_schemas.py does not say this of `{command}`"
    return document


def test_every_command_with_json_has_a_schema() -> None:
    assert set(OUTPUTS) == {" ".join(path) for path, _, form in _forms() if form == "json"}


@pytest.mark.parametrize("command", OUTPUTS)
def test_the_schema_is_printed_and_is_one(command: str) -> None:
    ran = inside("schema", "--of", command)

    assert ran.code == 0
    Draft202012Validator.check_schema(json.loads(ran.out))
    assert json.loads(ran.out) == schema_of(command)


def test_a_command_without_json_has_none() -> None:
    ran = inside("schema", "--of", "worker")

    assert ran.code == 2
    assert "`worker` prints no JSON" in ran.err


def test_a_field_that_nobody_has_named_is_seen() -> None:
    printed = json.loads(inside("explain", "SD104", "--json").out)
    with pytest.raises(AssertionError, match="does not say this"):
        fits("explain", json.dumps(printed | {"new": 1}))
    with pytest.raises(AssertionError):
        fits("explain", json.dumps({key: value for key, value in printed.items() if key != "title"}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lay_out(tmp_path)
    (tmp_path / "order.saga-test.yaml").write_text(SUITE.replace("STATUS", "completed"), encoding="utf-8")
    (tmp_path / "bad.saga-test.yaml").write_text(SUITE.replace("STATUS", "failed"), encoding="utf-8")
    (tmp_path / "asks.saga.yaml").write_text(ASKS, encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text(WRONG, encoding="utf-8")
    (tmp_path / "page.md").write_text("<!-- sagadsl graph order.saga.yaml -->\n<!-- /sagadsl graph -->\n")
    (tmp_path / "later.yaml").write_text(ASKS.replace("id: hear, ", "id: heed, ").replace("s.hear", "s.heed"))
    return tmp_path


@pytest.mark.parametrize(
    ("command", "arguments", "code"),
    [
        ("validate", ["."], 0),
        ("validate", ["wrong.yaml", "nowhere.yaml"], 2),
        ("validate", ["order.saga.yaml", "asks.saga.yaml", "--explain-timing"], 0),
        ("validate", ["wrong.yaml", "--explain-timing"], 1),
        ("validate", ["order.saga.yaml", "asks.saga.yaml", "--explain-size"], 0),
        ("diff", ["asks.saga.yaml", "later.yaml"], 1),
        ("diff", [".", "."], 0),
        ("graph show", ["order.saga.yaml"], 0),
        ("graph inject", ["page.md", "--check"], 1),
        ("explain", [], 0),
        ("explain", ["SD104"], 0),
        ("explain", ["SD9999"], 2),
        ("explain", ["--pages"], 0),
        ("explain", ["language#activity"], 0),
        ("plugins list", [], 0),
        ("plugins show", ["charge"], 0),
        ("plugins check", ["sagadsl"], 0),
        ("simulate", ["order.saga.yaml", "--set", "order=1", "--set", "how=fail"], 0),
        ("simulate", ["wrong.yaml"], 1),
        ("explore", ["order.saga.yaml", "--faults", "1"], 0),
        ("test", ["order.saga-test.yaml", "bad.saga-test.yaml"], 1),
        ("token", ["ann", "--read", "*"], 0),
        ("keygen", ["ann.pem"], 0),
        ("sign", ["order.saga.yaml", "--key", "ann.pem"], 3),
        ("verify", ["order.saga.yaml", "--allow-digest", "0" * 64], 1),
        ("new project", ["shop", "--dry-run"], 0),
        ("new plugin", ["shop"], 0),
        ("new saga", ["refund", "--activity", "charge"], 0),
        ("new suite", ["asks.saga.yaml"], 0),
        ("init", ["--dry-run"], 0),
        ("status", ["nobody", "--address", "127.0.0.1:1"], 3),
    ],
)
def test_what_needs_no_server_is_as_its_schema_says(
    folder: Path, command: str, arguments: list[str], code: int
) -> None:
    form = "--format=json" if command in ("validate", "graph show", "simulate", "explore") else "--json"
    ran = inside(*command.split(), *arguments, form, cwd=folder)

    assert ran.code == code, ran.err
    fits(command, ran.out)


# with a server


@pytest.fixture(scope="module")
def shop(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "asks.saga.yaml").write_text(ASKS.replace("SCHEDULE", f"asks-{uuid.uuid4()}"), encoding="utf-8")
    yield from serving_shop(server, folder)


def _says(shop: Shop, command: str, *arguments: str, code: int = 0) -> dict[str, Any]:
    ran = shop.run(*command.split(), *arguments, "--json")
    assert ran.code == code, ran.err
    return fits(command, ran.out)


def _new() -> str:
    return f"says-{uuid.uuid4()}"


def _undone_badly(shop: Shop) -> str:
    """Start a saga whose undoing fails; return its id when it waits for an operator."""
    (shop.folder / "broken").touch()
    saga = shop.start(_new(), how="fail", broken=str(shop.folder / "broken"))
    shop.until(saga, lambda status: bool(status["attention"]))
    return saga


@pytest.mark.temporal
def test_what_is_said_of_a_saga_that_has_ended(shop: Shop) -> None:
    saga = _new()
    _says(shop, "run", "order.saga.yaml", "--task-queue", QUEUE, "--id", saga, "--set", "order=1")
    failed = ("--set", "order=1", "--set", "how=fail")
    _says(shop, "run", "order.saga.yaml", "--task-queue", QUEUE, "--id", f"{saga}-failed", *failed, code=10)
    for id in (saga, f"{saga}-failed"):
        _says(shop, "status", id)
        _says(shop, "trace", id, "--actions")
        _says(shop, "explain-run", id)
        _says(shop, "result", id, code=0 if id == saga else 10)
        _says(shop, "history export", id, "--to", str(shop.folder / "histories"))
    _says(shop, "replay", str(shop.folder / "histories"))
    _says(shop, "redrive", f"{saga}-failed", "--dry-run")
    shop.until_listed(saga, bool)
    _says(shop, "list", "--limit", "5")
    _says(shop, "incidents")
    _says(shop, "status", f"{saga}-none", code=2)


@pytest.mark.temporal
def test_what_is_said_of_a_saga_that_waits(shop: Shop) -> None:
    saga = _new()
    _says(
        shop,
        "run",
        "order.saga.yaml",
        "--task-queue",
        QUEUE,
        "--id",
        saga,
        "--detach",
        "--set",
        "order=1",
        "--set",
        "wait=true",
    )
    shop.until(saga, lambda status: "approve" in status["waiting_for"])
    _says(shop, "result", saga, "--timeout", "1", code=15)
    _says(shop, "signal", saga, "--list")
    _says(shop, "pause", saga)
    _says(shop, "status", saga)
    _says(shop, "resume", saga)
    _says(shop, "reset", saga, "--to", "charge", "--dry-run")
    _says(shop, "reset", saga, "--to", "charge", "--yes")
    _says(shop, "migrate", saga, "--to", "order.saga.yaml", "--dry-run")
    shop.until(saga, lambda status: "approve" in status["waiting_for"])
    _says(shop, "cancel", saga)


@pytest.mark.temporal
def test_what_is_said_of_a_saga_that_is_asked(shop: Shop) -> None:
    saga = _new()
    shop.run("run", "asks.saga.yaml", "--task-queue", QUEUE, "--id", saga, "--detach")
    shop.until(saga, lambda status: "word" in status["waiting_for"])
    _says(shop, "query", saga, "stage")
    _says(shop, "signal", saga, "word", "--payload", '"yes"')
    _says(shop, "result", saga)


@pytest.mark.temporal
def test_what_is_said_when_a_person_decides(shop: Shop) -> None:
    step = "charge.compensation"
    for verb, more in (("retry", (step,)), ("skip", (step,)), ("complete", (step,)), ("abort", ())):
        saga = _undone_badly(shop)
        _says(shop, "status", saga)
        _says(shop, verb, saga, *more, "--why", "a test")


@pytest.mark.temporal
def test_what_is_said_of_a_saga_that_was_terminated(shop: Shop) -> None:
    saga = shop.start(_new(), wait="true")
    shop.until(saga, lambda status: "approve" in status["waiting_for"])
    _says(shop, "terminate", saga, "--yes")
    _says(shop, "status", saga)
    _says(shop, "recover", saga, "--dry-run")
    _says(shop, "recover", saga, "--yes")
    _says(shop, "result", saga, code=10)
    _says(shop, "forget", saga, "--why", "a test", "--dry-run")
    _says(shop, "forget", saga, "--why", "a test", "--yes", "--timeout", "90")


@pytest.mark.temporal
def test_what_is_said_of_schedules_and_of_the_machine(shop: Shop) -> None:
    applied = _says(shop, "schedule apply", "asks.saga.yaml")
    (schedule,) = (each["id"] for each in applied["schedules"])
    _says(shop, "schedule apply", "asks.saga.yaml", "--dry-run")
    _says(shop, "schedule list")
    for verb, *more in (("resume",), ("pause",), ("delete", "--yes")):
        _says(shop, f"schedule {verb}", schedule, *more)
    _says(shop, "doctor", "--task-queue", QUEUE)
