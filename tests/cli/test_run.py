"""`sagadsl run`: from a file to its output, on a server of its own or on one that is there."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.shell import SAGADSL, Ran, environment, inside, sagadsl
from tests.cli.shop import lay_out
from tests.conftest import Server
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the shop's definition and activities."""
    return lay_out(tmp_path)


def _steps(text: str) -> list[str]:
    """Return the lines about steps, without times and without those that only say that a step began."""
    lines = [re.sub(r"\s+\d+(\.\d)?s\b", "", line).rstrip() for line in text.splitlines()]
    return [line for line in lines if line.startswith(" ") and not line.startswith((" ▶", "   "))]


def _last(text: str) -> list[str]:
    """Return the lines after those about steps, without how long it took."""
    lines = [re.sub(r" after \d+(\.\d)?s", "", line) for line in text.splitlines()]
    first = next(index for index, line in enumerate(lines) if index and not line.startswith(" "))
    return lines[first:]


def test_a_saga_runs_without_any_server_worker_or_configuration(folder: Path) -> None:
    """From a file to a completed saga with one command."""
    ran = sagadsl("run", "order.saga.yaml", "--set", "order=02142", cwd=folder)
    assert (ran.code, ran.out) == (0, '{\n  "tracking": "t_02142"\n}\n')
    first = ran.err.splitlines()[0]
    pattern = r"order   id (order-[-0-9a-f]+)   http://127\.0\.0\.1:\d+/namespaces/default/workflows/\1"
    assert re.fullmatch(pattern, first)
    assert _steps(ran.err) == [" ✓ charge    charge", " - approval  wait_for", " ✓ ship      ship"]
    assert _last(ran.err) == ["✓ completed"]


def test_a_saga_can_be_run_by_its_name_where_its_file_is(folder: Path) -> None:
    ran = inside("run", "order", "--json", "-i", "-", cwd=folder, stdin='{"order": "7", "how": "fail"}')
    assert ran.code == 10
    document = json.loads(ran.out)
    assert {key: document[key] for key in ("schema_version", "name", "status", "output")} == {
        "schema_version": 1,
        "name": "order",
        "status": "compensated",
        "output": None,
    }
    assert document["error"]["type"] == "AddressInvalid"
    assert [step["status"] for step in document["steps"]] == ["completed", "skipped", "failed"]
    assert document["steps"][0]["compensation"]["status"] == "done"


def test_a_folder_of_that_name_is_not_taken_for_it(folder: Path) -> None:
    """A project `order/` with the saga `order` beside it; and a folder without such a saga is told."""
    (folder / "order").mkdir()
    (folder / "empty").mkdir()
    ran = inside("run", "order", "-q", "--set", "order=02142", cwd=folder)
    assert ran.code == 0, ran.err

    told = inside("run", "empty", cwd=folder)
    assert told.code == 2
    assert "there is neither a file `empty`, nor a usable saga of that name in this folder or below" in told.err
    assert told.err.rstrip().endswith("a folder is not run: name a file in it")


def test_a_definition_with_a_mistake_starts_nothing(folder: Path) -> None:
    file = folder / "order.saga.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("activity: ship", "activty: ship"), encoding="utf-8")
    ran = inside("run", "order.saga.yaml", "--set", "order=1", cwd=folder)
    assert (ran.code, ran.out) == (1, "")
    assert "error[SD104]: unknown key `activty` in step `ship`" in ran.err
    assert "= help: did you mean `activity`?" in ran.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.saga.yaml",), "there is no file `missing.saga.yaml`"),
        ((".",), "there is no file `.`"),
        (("two@",), "`two@` is neither a saga's name nor NAME@VERSION"),
        (("@9", "--address", "127.0.0.1:1"), "`@9` is neither a saga's name nor NAME@VERSION"),
        (("nobody",), "there is neither a file `nobody`, nor a usable saga of that name in this folder or below"),
        (("order.saga.yaml", "--detach"), "`--detach` needs a server that stays; name one with `--address`"),
        (("order.saga.yaml", "--set", "order"), "`--set order` is no assignment"),
        (("order.saga.yaml", "-i", "{"), "`--input` is not JSON"),
        (("order.saga.yaml", "-i", "{}"), "the input does not fit saga `order`"),
        (("order.saga.yaml", "--set", "order=1", "--set", "how=soon"), "the input does not fit saga `order`"),
    ],
)
def test_what_cannot_run_is_said_before_any_server_is_started(
    folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    ran = inside("run", *arguments, cwd=folder, env={"PATH": ""})
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_a_saga_that_waits_for_a_decision_nobody_is_there_to_take_ends_with_its_own_code(folder: Path) -> None:
    broken = folder / "broken"
    broken.touch()
    ran = inside(
        "run", "order.saga.yaml", "--set", "order=1", "--set", "how=fail", "--set", f"broken={broken}", cwd=folder
    )
    assert ran.code == 15
    assert "needs a decision: charge.compensation: BankDown: the bank is down" in ran.err
    assert ran.err.splitlines()[-1] == "‖ paused; its server is gone with this command, so nothing reaches it (exit 15)"


@contextmanager
def _running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command in a process group of its own, as a terminal does."""
    with subprocess.Popen(
        [*SAGADSL, *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _read_until(process: subprocess.Popen[str], start: str) -> list[str]:
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line.rstrip("\n"))
        if line.startswith(start):
            return lines
    raise AssertionError(f"no line starts with {start!r}: {lines}")


def test_ctrl_c_cancels_and_undoes_where_the_server_goes_with_the_command(folder: Path) -> None:
    """R25; the whole group gets the signal, as in a terminal, and the server must outlive it."""
    with _running(folder, "run", "order.saga.yaml", "--set", "order=1", "--set", "how=slow") as process:
        _read_until(process, " ▶ ship")
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (12, "")
    assert "asked it to stop, and to undo what it has done; Ctrl-C again leaves it as it is\n" in err
    shown = [line for line in _steps(err) if not line.endswith("undoing")]  # a slow machine is seen at it
    assert shown[-2:] == [" ⊘ ship      ship", " ↩ charge    undone"]
    assert err.splitlines()[-2].startswith("⊘ cancelled after ")
    assert err.splitlines()[-1] == "   undone: charge"


def test_a_second_ctrl_c_leaves_everything_as_it_is(folder: Path) -> None:
    broken = folder / "broken"
    broken.touch()
    arguments = ("run", "order.saga.yaml", "--set", "order=1", "--set", "how=slow", "--set", f"broken={broken}")
    with _running(folder, *arguments) as process:
        _read_until(process, " ▶ ship")
        process.send_signal(signal.SIGINT)
        _read_until(process, "asked it to stop")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    # the compensation fails at once, so that the saga may already wait for a decision when the second one comes
    assert process.returncode in {130, 15}
    assert "is gone" in err


def test_ctrl_c_leaves_a_saga_alone_where_the_server_stays(folder: Path, server: Server) -> None:
    """It prints the id and the command to come back."""
    saga, queue = f"left-{uuid.uuid4()}", f"run-{uuid.uuid4()}"
    arguments = ("--set", "order=1", "--set", "wait=true", "--id", saga, "--task-queue", queue, "--worker")
    address = ("--address", server.address)
    with _running(folder, "run", "order.saga.yaml", *arguments, *address) as process:
        _read_until(process, "waits for signal `approve`")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines() == [
        f"left: the saga goes on when a worker serves task queue {queue}",
        f"   sagadsl status {saga} --address {server.address}   how it stands",
        f"   sagadsl result {saga} --address {server.address}   wait for its end",
    ]
    assert inside("terminate", saga, "--yes", *address).code == 0


def test_a_server_that_is_given_gets_the_saga_and_a_worker_only_when_asked(folder: Path, server: Server) -> None:
    queue = f"run-{uuid.uuid4()}"
    arguments = ("--set", "order=1", "--set", "how=flaky", "--task-queue", queue, "--address", server.address)
    ran = inside("run", "order.saga.yaml", *arguments, "--worker", "-o", "jsonl", cwd=folder)
    assert ran.code == 0
    *changes, last = [json.loads(line) for line in ran.out.splitlines()]
    assert last["type"] == "result"
    assert last["output"] == {"tracking": "t_1"}
    assert {change["type"] for change in changes} == {"step"}
    ships = [change for change in changes if change["path"] == "ship"]
    assert ships[-1]["status"] == "completed"
    assert ships[-1]["note"] == "after 3 attempts"
    assert "http://" not in ran.err


def test_nobody_who_takes_a_saga_is_noticed(folder: Path, server: Server) -> None:
    queue = f"run-{uuid.uuid4()}"
    arguments = ("--set", "order=1", "--task-queue", queue, "--address", server.address)
    with _running(folder, "run", "order.saga.yaml", *arguments) as process:
        lines = _read_until(process, "no worker takes it")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    command = f"sagadsl worker --task-queue {queue} --address {server.address} -m shop_activities"
    assert lines[-1] == _nobody(queue, command, "give `--worker`, or ")
    assert process.returncode == 130


def test_a_saga_started_by_name_needs_a_worker_that_knows_it(folder: Path, server: Server) -> None:
    queue = f"run-{uuid.uuid4()}"
    options = ("--set", "order=1", "--set", "how:=2", "--set", "note=1", "--address", server.address)
    with _running(folder, "run", "order", "--task-queue", queue, *options) as process:
        lines = _read_until(process, "no worker takes it")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    command = f"sagadsl worker --task-queue {queue} --address {server.address} --definitions DIR"
    assert lines[-1] == _nobody(queue, command)
    warned = [line for line in lines if "is sent as text" in line]
    assert [line.partition(":=")[2] for line in warned] == ["1`", "1`"]


def test_a_saga_started_by_name_is_left_with_a_word_about_its_input(folder: Path, server: Server) -> None:
    """Nobody here knows what it has to be. Who starts a file is told at once that its input does not fit."""
    queue, saga = f"run-{uuid.uuid4()}", f"by-name-{uuid.uuid4()}"
    options = ("--id", saga, "--task-queue", queue, "--detach", "--address", server.address)
    ran = inside("run", "order", "--set", "ordr=1", *options, cwd=folder)
    assert (ran.code, ran.out) == (0, f"{saga}\n")
    assert ran.err.splitlines()[-1] == (
        "its input is not checked yet: the worker that takes it does, and one that does not fit ends it "
        f"(InvalidInput), as `sagadsl status {saga} --address {server.address}` tells"
    )
    assert inside("terminate", saga, "--yes", "--address", server.address).code == 0
    assert "not checked" not in inside("run", "order.saga.yaml", "--set", "order=1", *options, cwd=folder).err
    assert inside("terminate", saga, "--yes", "--address", server.address).code == 0


def test_a_call_in_a_queue_without_workers_is_noticed(folder: Path, server: Server) -> None:
    """The saga itself has a worker. With the queue's name comes the command that starts one, also in the status."""
    queue, saga = f"run-{uuid.uuid4()}", f"elsewhere-{uuid.uuid4()}"
    far = f"{{id: far, activity: far.away, task_queue: {queue}-far, compensation: none}}"
    (folder / "elsewhere.saga.yaml").write_text(f"sagadsl: 1\nname: elsewhere\nsteps: [{far}]\n")
    options = ("--id", saga, "--task-queue", queue, "--address", server.address)
    with _running(folder, "run", "elsewhere.saga.yaml", *options, "--worker") as process:
        lines = _read_until(process, "`far` waits")
        shown = inside("status", saga, "--address", server.address).out
        document = json.loads(inside("status", saga, "--json", "--address", server.address).out)
        waiting = inside("result", saga, "--timeout", "5", "--address", server.address)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    command = f"`sagadsl worker --task-queue {queue}-far --address {server.address}`"
    line = f"`far` waits: no worker polls task queue `{queue}-far` for activities; start one, e.g. {command}"
    assert lines[-1] == line
    assert line in shown.splitlines()
    assert f"no worker polls task queue `{queue}-far`" in next(each for each in shown.splitlines() if "▶ far" in each)
    assert [(each["call"], each["unserved"]) for each in document["attempts"]] == [("far", f"{queue}-far")]
    assert (waiting.code, line in waiting.err.splitlines()) == (15, True)


@pytest.mark.parametrize("command", ["result", "run --until-answer"])
def test_who_waits_for_a_saga_that_nobody_takes_is_told(folder: Path, server: Server, command: str) -> None:
    queue, saga = f"run-{uuid.uuid4()}", f"nobody-{uuid.uuid4()}"
    to = ("--address", server.address)
    start = ("run", "order.saga.yaml", "--id", saga, "--set", "order=1", "--task-queue", queue, *to)
    if command == "result":
        assert inside(*start, "--detach", cwd=folder).code == 0
    words = ("result", saga, *to) if command == "result" else (*start, "--until-answer")
    with _running(folder, *words) as process:
        lines = _read_until(process, "no worker")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert f"sagadsl worker --task-queue {queue} --address {server.address}" in lines[-1]
    assert inside("terminate", saga, "--yes", *to).code == 0


def _nobody(queue: str, command: str, beside: str = "") -> str:
    return f"no worker takes it on task queue `{queue}`; {beside}start one: {command}"


def test_child_sagas_are_found_beside_the_file(folder: Path) -> None:
    (folder / "parent.saga.yaml").write_text(
        'sagadsl: 1\nname: parent\nversion: "1"\nsteps:\n'
        '  - {id: order, saga: order, input: {order: "9"}, compensation: auto}\n'
        'output: "{{ steps.order.output }}"\n',
        encoding="utf-8",
    )
    ran = inside("run", "parent.saga.yaml", cwd=folder)
    assert (ran.code, ran.out) == (0, '{\n  "tracking": "t_9"\n}\n'), ran.err


@pytest.mark.parametrize(("output", "expected"), [("none", ""), ("text", '{\n  "tracking": "t_1"\n}\n')])
def test_quiet_shows_nothing_but_the_result(folder: Path, server: Server, output: str, expected: str) -> None:
    queue = f"run-{uuid.uuid4()}"
    arguments = ("--set", "order=1", "--task-queue", queue, "--address", server.address, "--worker", "-q")
    assert inside("run", "order.saga.yaml", *arguments, "-o", output, cwd=folder) == Ran(0, expected, "")
