"""How much a worker does at once, and how fast: by options, and by ``[worker]`` of the project."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from sagadsl.cli import worker_capacity
from sagadsl.cli.event_loop import Loop, run_on
from sagadsl.temporal.link.shown import SettingsUnusable
from tests.cli.shell import inside
from tests.cli.shop import lay_out
from tests.cli.workers import running
from tests.conftest import Server
from tests.gateway.house import fresh
from tests.patience import PATIENCE

FOUR = """\
sagadsl: 1
name: four
version: "1"
steps:
  - id: all
    parallel:
      - {id: a, activity: charge, input: {order: "1"}, compensation: none}
      - {id: b, activity: charge, input: {order: "2"}, compensation: none}
      - {id: c, activity: charge, input: {order: "3"}, compensation: none}
      - {id: d, activity: charge, input: {order: "4"}, compensation: none}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lay_out(tmp_path)
    (tmp_path / "four.saga.yaml").write_text(FOUR)
    return tmp_path


async def _started(address: str, id_: str) -> list[datetime]:
    """Return when the activities of a run began."""
    client = await Client.connect(address)
    history = await client.get_workflow_handle(id_).fetch_history()
    return [
        each.event_time.ToDatetime()
        for each in history.events
        if each.HasField("activity_task_started_event_attributes")
    ]


@pytest.mark.temporal
def test_a_worker_begins_no_more_activities_a_second_than_it_may(folder: Path, server: Server) -> None:
    """All of them, also those that the server hands over with the saga's own task."""
    id_, queue = fresh(), fresh()
    place = ("--task-queue", queue, "--address", server.address)
    with running(folder, ".", *place, "--max-activities-per-second", "1") as worker:
        worker.wait_for("ready")
        ran = inside("run", "four", "--id", id_, *place, "-q", cwd=folder)
        assert ran.code == 0, ran
    began = asyncio.run(_started(server.address, id_))
    assert len(began) == 4
    assert (max(began) - min(began)).total_seconds() > 0.9  # those of one second at once, and the one that waited


async def _limit(address: str, queue: str) -> float:
    """Return the rate at which the server gives out the activities of a queue."""
    client = await Client.connect(address)
    request = DescribeTaskQueueRequest(
        namespace="default",
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        include_task_queue_status=True,
    )
    return (await client.workflow_service.describe_task_queue(request)).task_queue_status.rate_per_second


@pytest.mark.temporal
def test_the_limit_of_a_queue_reaches_the_server(folder: Path, server: Server) -> None:
    queue = fresh()
    (folder / "sagadsl.toml").write_text(
        'modules = ["shop_activities"]\nplugins = {allow = []}\n[worker]\nmax_task_queue_activities_per_second = 7\n'
    )
    with running(folder, ".", "--task-queue", queue, "--address", server.address) as worker:
        worker.wait_for("ready")
        deadline = time.monotonic() + PATIENCE
        while (limit := asyncio.run(_limit(server.address, queue))) != 7:
            assert time.monotonic() < deadline, limit
            time.sleep(0.2)


def _metrics(server: Server, folder: Path, *options: str) -> dict[str, float]:
    """Return how many slots a worker has free, and how many polls it has open at the most, by their kind."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    queue = ("--task-queue", fresh(), "--address", server.address, "--metrics", address)
    with running(folder, ".", *queue, *options) as worker:
        worker.wait_for("ready")
        deadline = time.monotonic() + PATIENCE
        while True:
            page = httpx2.get(f"http://{address}/metrics", timeout=PATIENCE).text
            found = re.findall(
                r'^temporal_worker_task_slots_available\{.*worker_type="(\w+)".*\} (\S+)$|'
                r'^temporal_num_pollers\{.*poller_type="(activity_task|workflow_task)".*\} (\S+)$',
                page,
                re.M,
            )
            values = {slots or polls: float(free or open_) for slots, free, polls, open_ in found}
            if {"ActivityWorker", "LocalActivityWorker", "WorkflowWorker", "activity_task"} <= values.keys():
                return values
            assert time.monotonic() < deadline, page
            time.sleep(0.1)


@pytest.mark.temporal
def test_a_worker_takes_as_many_tasks_at_once_as_its_tuner_says(folder: Path, server: Server) -> None:
    options = ("--tuner", "fixed:sagas=11,activities=12,local=13", "--pollers", "3")
    found = _metrics(server, folder, *options)
    # a poll that is open holds a slot
    assert 11 - 3 <= found["WorkflowWorker"] <= 11
    assert 12 - 3 <= found["ActivityWorker"] <= 12
    assert found["LocalActivityWorker"] == 13
    assert found["activity_task"] <= 3


@pytest.mark.temporal
@pytest.mark.parametrize("pollers", ["auto", "auto:2-9"])
def test_a_worker_with_a_tuner_by_resources_and_pollers_by_need_works(
    pollers: str, folder: Path, server: Server
) -> None:
    """The server says how many polls, the machine how many tasks."""
    queue = ("--task-queue", fresh(), "--address", server.address)
    with running(folder, ".", *queue, "--tuner", "resources:memory=0.99,cpu=1", "--pollers", pollers) as worker:
        worker.wait_for("ready")
        ran = inside("run", "order", "-i", '{"order": "1"}', *queue, "-q", cwd=folder)
    assert (ran.code, ran.out) == (0, '{\n  "tracking": "t_1"\n}\n'), ran


@pytest.mark.parametrize(
    ("option", "value", "form"),
    [
        ("--max-activities-per-second", "0", "write a number from 0.01 on"),
        ("--max-activities-per-second", "nan", "write a number from 0.01 on"),
        ("--max-task-queue-activities-per-second", "many", "write a number from 0.01 on"),
        ("--tuner", "fixed", "write `fixed:sagas=N,activities=N,local=N`, or `resources:memory=0.8,cpu=0.9`"),
        ("--tuner", "fixed:sagas=1", "write `fixed:sagas=N,activities=N,local=N`, or `resources:memory=0.8,cpu=0.9`"),
        (
            "--tuner",
            "resources:cpu=90",
            "write `fixed:sagas=N,activities=N,local=N`, or `resources:memory=0.8,cpu=0.9`",
        ),
        ("--pollers", "auto:9-2", "write a number from 2 to 1,000, `auto`, or `auto:MIN-MAX`"),
        ("--pollers", "1", "write a number from 2 to 1,000, `auto`, or `auto:MIN-MAX`"),
        ("--cached", "-1", "write a number of sagas"),
        ("--event-loop", "trio", "write `auto`, `asyncio` or `uvloop`"),
        ("--workflow-tasks", "loop", "write `threads` or `event-loop`"),
    ],
)
def test_a_value_that_cannot_be_right_says_how_it_is_written(option: str, value: str, form: str) -> None:
    """SD902."""
    ran = inside("worker", option, value)
    assert (ran.code, ran.err) == (3, f"error[SD902]: `{value}` cannot be used ({option})\n   = help: {form}\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pollers = true", "`True` cannot be used (`pollers` in [worker] of sagadsl.toml)"),
        ("cached = 1.5", "`1.5` cannot be used (`cached` in [worker] of sagadsl.toml)"),
        ("tuner = 3", "`3` cannot be used (`tuner` in [worker] of sagadsl.toml)"),
        ("threads = 3", "[worker] of sagadsl.toml has `threads`"),
    ],
)
def test_a_wrong_setting_of_the_project_is_told_with_its_place(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "sagadsl.toml").write_text(f"[worker]\n{line}\n")
    ran = inside("worker", cwd=tmp_path)
    assert (ran.code, ran.err.splitlines()[0]) == (3, f"error[SD902]: {message}")


def test_an_option_comes_before_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sagadsl.toml").write_text('[worker]\ncached = 5\npollers = "auto:2-9"\n')
    monkeypatch.chdir(tmp_path)
    nothing: dict[str, Any] = dict.fromkeys(worker_capacity._READERS)
    found = worker_capacity._capacity({**nothing, "cached": "7"})
    assert (found.cached, found.pollers) == (7, worker_capacity.Pollers(9, 2))


LOOP = """
import asyncio
from sagadsl import activity

@activity
async def loop() -> dict:
    running = asyncio.get_running_loop()
    return {"of": type(running).__module__.partition(".")[0]}
"""
ON_A_LOOP = """\
sagadsl: 1
name: on_a_loop
version: "1"
output: "{{ steps.ask.output.of }}"
steps:
  - {id: ask, activity: loop, compensation: none}
"""


@pytest.mark.temporal
@pytest.mark.parametrize(("chosen", "loop"), [((), "uvloop"), (("--event-loop", "asyncio"), "asyncio")])
def test_activities_run_on_uvloop_unless_somebody_says_otherwise(
    chosen: tuple[str, ...], loop: str, tmp_path: Path, server: Server
) -> None:
    (tmp_path / "loops.py").write_text(LOOP)
    (tmp_path / "on_a_loop.saga.yaml").write_text(ON_A_LOOP)
    queue = ("--task-queue", fresh(), "--address", server.address)
    with running(tmp_path, ".", "-m", "loops", *queue, *chosen) as worker:
        worker.wait_for("ready")
        ran = inside("run", "on_a_loop", *queue, "-q", cwd=tmp_path)
    assert (ran.code, ran.out) == (0, f'"{loop}"\n'), ran


async def _loop() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def test_a_worker_without_uvloop_runs_on_asyncios_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)  # as where it is not installed
    assert run_on(Loop.AUTO, _loop()) == "asyncio"
    with pytest.raises(SettingsUnusable, match="the event loop `uvloop` is not installed"):
        run_on(Loop.UVLOOP, _loop())
