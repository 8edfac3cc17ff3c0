"""`sagadsl worker`: what it serves, what it refuses to serve, how it stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import uuid
from pathlib import Path

import httpx2
import pytest

from tests.cli.shell import Ran, inside
from tests.cli.shop import lay_out
from tests.cli.workers import running
from tests.conftest import Server
from tests.patience import PATIENCE

SLOW = '''
import asyncio, os
from pathlib import Path
from sagadsl import activity

@activity
async def work(file: str, seconds: float) -> int:
    """Say in a file that it began and ended, with the process that did it."""
    Path(file).write_text(f"{os.getpid()}\\\\n", encoding="utf-8")
    await asyncio.sleep(seconds)
    Path(file).write_text("done", encoding="utf-8")
    return os.getpid()
'''

SLEEPS = """
import time
from pathlib import Path
from sagadsl import activity

@activity
def work(file: str, seconds: float) -> int:
    Path(file).write_text("began", encoding="utf-8")
    time.sleep(seconds)
    Path(file).write_text("done", encoding="utf-8")
    return 1
"""

WORK = """\
sagadsl: 1
name: work
version: "1"
input: {type: object, properties: {file: {type: string}, seconds: {type: number}}}
steps:
  - id: work
    activity: work
    input: {file: "{{ input.file }}", seconds: "{{ input.seconds }}"}
    compensation: none
output: {pid: "{{ steps.work.output }}"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shop, and a saga whose activity takes its time."""
    lay_out(tmp_path)
    (tmp_path / "slow_activities.py").write_text(SLOW.replace("\\\\n", "\\n"), encoding="utf-8")
    (tmp_path / "work.saga.yaml").write_text(WORK, encoding="utf-8")
    (tmp_path / "sagadsl.toml").write_text(
        'modules = ["shop_activities", "slow_activities"]\nplugins = {allow = []}\n', encoding="utf-8"
    )
    return tmp_path


def _queue() -> str:
    return f"worker-{uuid.uuid4()}"


def _refused(folder: Path, *arguments: str) -> Ran:
    """Run a worker that must not start: there is no server, so that it would say something else if it tried."""
    return inside("worker", *arguments, "--address", "127.0.0.1:1", cwd=folder)


@pytest.mark.temporal
def test_a_worker_says_what_it_serves_and_serves_it(folder: Path, server: Server) -> None:
    queue = _queue()
    address = ("--address", server.address)
    with running(folder, ".", "--task-queue", queue, *address) as worker:
        worker.wait_for("ready")
        assert worker.lines == [
            f"worker at {server.address}, namespace default, task queue {queue}",
            "  sagas       order 1.0.0, work 1; and those that come with their start",
            "  activities  charge, grpc.request, http.request, refund, ship, work",
            "ready; Ctrl-C lets running activities end, twice stops at once",
        ]
        options = ("--task-queue", queue, *address)
        by_name = inside("run", "order", "-i", '{"order": "1"}', *options, "-q", cwd=folder)
        assert by_name == Ran(0, '{\n  "tracking": "t_1"\n}\n', "")
        inline = inside("run", "order.saga.yaml", "-i", '{"order": "2"}', *options, "-q", cwd=folder)
        assert inline == Ran(0, '{\n  "tracking": "t_2"\n}\n', "")
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(PATIENCE) == 0
    assert worker.lines[4:] == ["stopping: running activities have 30 seconds to end"]


@pytest.mark.temporal
def test_a_worker_that_takes_only_its_own_definitions_refuses_others(folder: Path, server: Server) -> None:
    """A production worker takes definitions only from its own folder."""
    options = ("--task-queue", _queue(), "--address", server.address)
    with running(folder, "order.saga.yaml", "--no-inline-definitions", *options) as worker:
        worker.wait_for("ready")
        assert worker.lines[1] == "  sagas       order 1.0.0"
        named = inside("run", "order", "-i", '{"order": "1"}', *options, "-q", cwd=folder)
        assert named.code == 0, named.err
        inline = inside("run", "order.saga.yaml", "-i", '{"order": "1"}', *options, "--json", cwd=folder)
    assert inline.code == 10
    assert json.loads(inline.out)["error"]["type"] == "InlineDefinitionRefused"


@pytest.mark.temporal
def test_the_first_sigterm_lets_an_activity_end_and_the_second_stops_at_once(folder: Path, server: Server) -> None:
    options = ("--task-queue", _queue(), "--address", server.address)
    for seconds, signals, code in ((2, 1, 0), (60, 2, 130)):
        file = folder / f"{signals}.txt"
        with running(folder, "work.saga.yaml", *options) as worker:
            worker.wait_for("ready")
            given = json.dumps({"file": str(file), "seconds": seconds})
            saga = inside("run", "work", "-i", given, *options, "--detach", "-q", cwd=folder).out.strip()
            deadline = time.monotonic() + PATIENCE
            while not file.exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            worker.process.send_signal(signal.SIGTERM)
            worker.wait_for("stopping")
            if signals == 2:
                worker.process.send_signal(signal.SIGTERM)
            assert worker.process.wait(PATIENCE) == code
        assert (file.read_text(encoding="utf-8") == "done") == (signals == 1)
        inside("terminate", saga, "--yes", "--address", server.address)


@pytest.mark.temporal
@pytest.mark.parametrize("processes", [(), ("--processes", "2")], ids=["one", "two"])
@pytest.mark.parametrize("local", [False, True], ids=["thread", "local"])
def test_a_drain_that_is_over_ends_what_cannot_be_interrupted(
    folder: Path, server: Server, processes: tuple[str, ...], local: bool
) -> None:
    """N8: a thread that blocks for a minute, and a local activity, hold a worker for its drain and no longer."""
    (folder / "slow_activities.py").write_text(SLEEPS, encoding="utf-8")
    (folder / "work.saga.yaml").write_text(
        WORK.replace("compensation: none", f"compensation: none\n    local: {str(local).lower()}"), encoding="utf-8"
    )
    options = ("--task-queue", _queue(), "--address", server.address)
    file = folder / "file.txt"
    with running(folder, "work.saga.yaml", "--drain", "1", *processes, *options) as worker:
        worker.wait_for("ready")
        given = json.dumps({"file": str(file), "seconds": 50})
        saga = inside("run", "work", "-i", given, *options, "--detach", "-q", cwd=folder).out.strip()
        deadline = time.monotonic() + PATIENCE
        while not file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(PATIENCE) == 0
    assert file.read_text(encoding="utf-8") == "began"
    inside("terminate", saga, "--yes", "--address", server.address)


@pytest.mark.temporal
def test_several_processes_are_one_worker_and_one_that_dies_is_replaced(folder: Path, server: Server) -> None:
    options = ("--task-queue", _queue(), "--address", server.address)
    with running(folder, ".", "--processes", "2", *options) as worker:
        worker.wait_for("ready", times=2)
        (line,) = [line for line in worker.lines if line.startswith("2 processes: ")]
        pids = [int(pid) for pid in line.removeprefix("2 processes: ").split(", ")]
        assert sum(line.startswith("worker at ") for line in worker.lines) == 1
        os.kill(pids[0], signal.SIGKILL)
        worker.wait_for("warning: process 1 ended with exit code -9; it starts again in 1s")
        worker.wait_for("ready", times=3)
        ran = inside("run", "order", "-i", '{"order": "1"}', *options, "-q", cwd=folder)
        assert ran.code == 0, ran.err
        worker.process.send_signal(signal.SIGINT)
        assert worker.process.wait(PATIENCE) == 0
    assert not Path(f"/proc/{pids[1]}").exists()


@pytest.mark.temporal
def test_a_worker_for_activities_alone_leaves_the_sagas_to_others(folder: Path, server: Server) -> None:
    options = ("--task-queue", _queue(), "--address", server.address)
    with running(folder, ".", "--only", "activities", *options) as one:
        one.wait_for("ready")
        assert not [line for line in one.lines if line.startswith("  sagas")]
        with running(folder, ".", "--only", "workflows", *options) as other:
            other.wait_for("ready")
            assert not [line for line in other.lines if line.startswith("  activities")]
            ran = inside("run", "order", "-i", '{"order": "1"}', *options, "-q", cwd=folder)
    assert ran == Ran(0, '{\n  "tracking": "t_1"\n}\n', "")


def test_a_definition_with_a_mistake_keeps_a_worker_from_starting(folder: Path) -> None:
    (folder / "bad.saga.yaml").write_text(WORK.replace("activity:", "activty:"), encoding="utf-8")
    refused = _refused(folder, ".")
    assert (refused.code, refused.out) == (1, "")
    assert "error[SD104]: unknown key `activty` in step `work`" in refused.err
    assert _refused(folder, "missing").code == 2


def test_two_definitions_of_one_name_keep_a_worker_from_starting(folder: Path) -> None:
    """Which one would run?"""
    (folder / "again.saga.yaml").write_text(WORK, encoding="utf-8")
    refused = _refused(folder, ".")
    assert refused.code == 3
    assert refused.err == (
        "error[SD905]: the worker does not start\n"
        "   saga `work@1` is defined in again.saga.yaml and in work.saga.yaml\n"
        "   = help: `sagadsl plugins` shows what is installed\n"
    )


def test_two_owners_of_an_activity_keep_a_worker_from_starting(folder: Path) -> None:
    """Both are named."""
    (folder / "other_activities.py").write_text(SLOW.replace("\\\\n", "\\n"), encoding="utf-8")
    refused = _refused(folder, "order.saga.yaml", "-m", "other_activities")
    assert refused.code == 3
    assert "   activity `work` is offered by " in refused.err
    assert "slow_activities" in refused.err
    assert "other_activities" in refused.err


def test_a_local_module_that_cannot_be_imported_keeps_a_worker_from_starting(folder: Path) -> None:
    (folder / "wobbly_activities.py").write_text("import a_module_that_is_not_there\n", encoding="utf-8")
    refused = _refused(folder, "order.saga.yaml", "-m", "wobbly_activities")
    assert refused.code == 3
    assert "wobbly_activities" in refused.err
    assert "a_module_that_is_not_there" in refused.err


def test_a_server_that_is_not_there_is_an_error_of_the_environment(folder: Path) -> None:
    refused = _refused(folder, "order.saga.yaml")
    assert refused.code == 3
    assert "error[SD901]: cannot reach Temporal at 127.0.0.1:1\n" in refused.err


def test_its_metrics_are_shown_where_it_is_told(folder: Path, server: Server) -> None:
    """For Prometheus, and for whatever scales workers by them. They tell that it keeps no more sagas than it shall."""
    (folder / "waits.saga.yaml").write_text(
        'sagadsl: 1\nname: waits\nversion: "1"\nsteps: [{id: go, wait_for: {signal: go}}]\n'
    )
    queue = _queue()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = ("--address", server.address, "--task-queue", queue)
    with running(folder, *where, "--metrics", f"127.0.0.1:{port}", "--cached", "2") as worker:
        worker.wait_for("ready")
        for _ in range(5):
            assert inside("run", "waits.saga.yaml", "--detach", *where, cwd=folder).code == 0
        deadline = time.monotonic() + PATIENCE
        page = ""
        while _metric(page, "total_forced_eviction") < 3 or _metric(page, "size") != 2:
            assert time.monotonic() < deadline, page
            time.sleep(0.05)
            page = httpx2.get(f"http://127.0.0.1:{port}/metrics").text

    assert "temporal_worker_task_slots_available{" in page


def _metric(page: str, what: str) -> float:
    """Return what a page of metrics says of the cache of sagas."""
    name = f"temporal_sticky_cache_{what}"
    lines = [line.rsplit(" ", 1)[1] for line in page.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
    return sum(float(value) for value in lines)


def test_an_address_for_metrics_that_cannot_be_one_is_refused(folder: Path) -> None:
    refused = _refused(folder, "--metrics", "9464")
    several = _refused(folder, "--metrics", "127.0.0.1:9464", "--processes", "2")

    assert (refused.code, "error[SD907]" in refused.err) == (3, True)
    assert (several.code, "`--metrics` is for one process" in several.err) == (2, True)
