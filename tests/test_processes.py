"""Work spread over processes: order, ends, and what becomes of processes when something goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sagadsl.processes import ProcessDied, in_order
from tests.cli.shell import environment, sagadsl
from tests.patience import PATIENCE

DEFINITIONS = Path(__file__).parents[1] / "definitions"

PARTS = """
import os, signal, sys
from sagadsl.processes import in_order

def work(part):
    number, what = part
    if what == "wait for the next":
        open(sys.argv[2], "rb").read()
    elif what == "let the one before go on":
        open(sys.argv[2], "wb").close()
    elif what == "hang":
        os.write(1, b"hangs\\n")
        signal.pause()
    elif what == "raise":
        raise ValueError(f"part {number} cannot be done")
    return number, os.getpid()

if __name__ == "__main__":
    found = list(in_order(work, list(enumerate(sys.argv[1].split(", "))), 2))
    print([number for number, _ in found], len({process for _, process in found}), os.getpid() in dict(found).values())
"""


@contextmanager
def _running(folder: Path, words: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Start a program with processes. Its end of output shows that all of them are gone: each holds it open."""
    (folder / "parts.py").write_text(PARTS)
    command = [sys.executable, "parts.py", words, *more]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as started:
        try:
            yield started
        finally:
            if started.poll() is None:
                os.killpg(started.pid, signal.SIGKILL)


def test_results_come_in_the_order_of_the_parts_whatever_ends_first(tmp_path: Path) -> None:
    """The first part cannot end before the second one."""
    os.mkfifo(tmp_path / "gate")
    with _running(tmp_path, "wait for the next, let the one before go on, go, go, go", "gate") as program:
        out, err = program.communicate(timeout=PATIENCE)

    assert (out, err) == ("[0, 1, 2, 3, 4] 2 False\n", "")


def test_what_a_part_raises_is_raised_with_the_place_where_it_was(tmp_path: Path) -> None:
    """And the part that would hang is ended."""
    with _running(tmp_path, "go, raise, hang") as program:
        _, err = program.communicate(timeout=PATIENCE)

    assert program.returncode == 1
    assert "ValueError: part 1 cannot be done" in err
    assert 'raise ValueError(f"part {number} cannot be done")' in err


@pytest.mark.parametrize(
    ("number", "to", "last"),
    [
        (signal.SIGINT, "all", "KeyboardInterrupt"),
        (signal.SIGINT, "the first", "KeyboardInterrupt"),
        (signal.SIGTERM, "the first", ""),
        (signal.SIGKILL, "the first", ""),
    ],
)
def test_no_process_is_left_when_the_command_is_stopped(
    tmp_path: Path, number: signal.Signals, to: str, last: str
) -> None:
    """Ctrl-C in a terminal reaches all processes, `kill` only the first one."""
    with _running(tmp_path, "hang, hang") as program:
        assert program.stdout is not None
        assert [program.stdout.readline(), program.stdout.readline()] == ["hangs\n", "hangs\n"]
        (os.killpg if to == "all" else os.kill)(program.pid, number)
        out, err = program.communicate(timeout=PATIENCE)

    assert out == ""
    assert program.returncode == -number
    assert err.count("Traceback") == (1 if last else 0)
    assert err.strip().endswith(last)


def _double(part: int) -> int:
    return 2 * part


def test_with_one_process_the_work_is_done_here() -> None:
    """Lazily, one part after the other."""
    assert list(in_order(_double, [1, 2, 3], 1)) == [2, 4, 6]


def _children(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@contextmanager
def _exploring() -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Start `explore` with work for minutes, and wait until its two processes are there."""
    file = DEFINITIONS / "fulfil_order.saga.yaml"
    options = ("--no-plugins", "--faults", "5", "--jobs", "2")
    with subprocess.Popen(
        [sys.executable, "-m", "sagadsl", "explore", str(file), *options],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as command:
        try:
            while len(children := _children(command.pid)) < 2 and command.poll() is None:
                os.sched_yield()
            yield command, children
        finally:
            if command.poll() is None:
                os.killpg(command.pid, signal.SIGKILL)


def test_an_exploration_says_the_same_whatever_the_number_of_processes_is() -> None:
    """Findings, their order and all counts."""
    file = Path(__file__).parent / "seeded" / "refund_only_when_completed.saga.yaml"
    ran = [sagadsl("explore", "--no-plugins", "--format", "json", "--jobs", jobs, file) for jobs in "123"]

    assert [each.code for each in ran] == [1, 1, 1]
    assert ran[0].out == ran[1].out == ran[2].out


def test_ctrl_c_ends_an_exploration_and_all_its_processes() -> None:
    """One line, exit code 130."""
    with _exploring() as (command, _):
        os.killpg(command.pid, signal.SIGINT)
        out, err = command.communicate(timeout=PATIENCE)

    assert (command.returncode, out, err) == (130, "", "interrupted\n")


def test_a_process_that_is_killed_is_one_clear_error() -> None:
    """SD933: nothing that looks like a whole result, and no process that goes on."""
    with _exploring() as (command, children):
        os.kill(children[0], signal.SIGKILL)
        out, err = command.communicate(timeout=PATIENCE)

    assert (command.returncode, out) == (3, "")
    assert err.startswith(
        "error[SD933]: a process that did a part of the work was killed by SIGKILL before it was done"
    )
    assert "--jobs 1" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("exitcode", "words"), [(1, "ended with exit code 1"), (-11, "was killed by SIGSEGV"), (-250, "by signal 250")]
)
def test_the_error_says_how_the_process_ended(exitcode: int, words: str) -> None:
    """And it can be sent from one process to another."""
    assert words in str(ProcessDied(exitcode))
