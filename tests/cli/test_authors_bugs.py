"""A mistake in the code of an activity is shown with its file and line, wherever its error is shown."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import uuid
from pathlib import Path

import pytest

from tests.cli.shell import SAGADSL, environment, ready, sagadsl
from tests.conftest import Server

ACTIVITIES = """\
import json

from sagadsl import Context, Permanent, activity
from hour_shop.books import price


@activity
def look_up() -> int:
    return price({})


@activity
def parse() -> int:
    return json.loads("{")


@activity
async def settle(ctx: Context) -> int:
    if ctx.attempt == 1:
        raise TypeError("no number")
    return 1


@activity
def say_no() -> int:
    raise Permanent("sold out", type="SoldOut")
"""
BOOKS = """\
def price(book):
    return book["price"]
"""
SAGA = """\
sagadsl: 1
name: bugs
defaults: {retry: {maximum_attempts: 2, initial_interval: 1ms}}
steps:
  - {id: settle, activity: settle, compensation: none}
  - {id: parse, activity: parse, on_error: continue, compensation: none}
  - {id: say_no, activity: say_no, on_error: continue, compensation: none}
  - {id: look_up, activity: look_up, compensation: none}
"""
DEEP = "hour_shop/books.py:2 in price: KeyError: 'price'"
IN_LIBRARY = "hour_activities.py:14 in parse: JSONDecodeError: Expecting property name"
STACK = re.compile(
    r'File "[^"]*hour_activities.py", line 9, in look_up\n.*return price.*File "[^"]*books.py", line 2, in price', re.S
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hour_activities.py").write_text(ACTIVITIES)
    (tmp_path / "hour_shop").mkdir()
    (tmp_path / "hour_shop" / "books.py").write_text(BOOKS)
    (tmp_path / "bugs.saga.yaml").write_text(SAGA)
    (tmp_path / "sagadsl.toml").write_text('modules = ["hour_activities"]\nplugins = {allow = []}\n')
    return tmp_path


@pytest.mark.temporal
def test_an_authors_mistake_is_shown_with_its_place(folder: Path, server: Server) -> None:
    saga, options = f"s-{uuid.uuid4()}", ("--address", server.address)
    served = ("--task-queue", saga, *options)
    with ready([*SAGADSL, "worker", *served], folder):
        ran = sagadsl("run", "bugs.saga.yaml", "--id", saga, *served, "--debug", cwd=folder)
        status = sagadsl("status", saga, *options, cwd=folder)
        told = sagadsl("explain-run", saga, *options, cwd=folder)
    assert ran.code == 10, ran.err
    assert f"first error: {DEEP} (step look_up)" in ran.err
    assert re.search(rf"✗ parse +parse +\S+  {IN_LIBRARY}", ran.err)
    assert re.search(r"✗ say_no +say_no +\S+  SoldOut: sold out\n", ran.err)  # meant, so nobody looks for its line
    assert STACK.search(ran.err), ran.err
    assert f"first error: {DEEP} (step look_up)" in status.out
    assert f"failed after 2 attempts: {DEEP}." in told.out

    # what follows is read from the history
    assert re.search(rf"✗ look_up +look_up +\S+  {DEEP}", sagadsl("status", saga, *options, cwd=folder).out)
    traced = sagadsl("trace", saga, *options, cwd=folder)
    assert re.search(rf"✗ look_up .*{DEEP}.*\n     sent .*\n     failed\n", traced.out)  # said once
    assert IN_LIBRARY in traced.out
    assert "line 9" not in traced.out
    assert STACK.search(sagadsl("trace", saga, *options, "--debug", cwd=folder).out)
    calls = {call["path"]: call for call in json.loads(sagadsl("trace", saga, *options, "--json").out)["calls"]}
    assert calls["look_up"]["error"]["place"] == "hour_shop/books.py:2 in price"
    assert "place" not in calls["say_no"]["error"]


@pytest.mark.temporal
def test_a_worker_that_logs_for_programs_gives_place_and_stack(folder: Path, server: Server) -> None:
    saga, options = f"s-{uuid.uuid4()}", ("--address", server.address)
    command = [*SAGADSL, "worker", "--task-queue", saga, *options, "--log-format", "json"]
    with subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        ran = sagadsl("run", "bugs.saga.yaml", "--id", saga, "--task-queue", saga, "-q", *options, cwd=folder)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        said = [json.loads(line) for line in process.stderr.read().splitlines()]
    assert ran.code == 10, ran.err

    failed = {line["step"]: line for line in said if line.get("logger") == "temporalio.activity"}
    assert failed["settle"]["place"] == "hour_activities.py:20 in settle"
    assert DEEP in failed["look_up"]["message"]
    assert STACK.search(failed["look_up"]["stack"])
