"""Commands of sagadsl as processes of their own: what they cost, and what of theirs is in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SAGADSL = [sys.executable, "-m", "sagadsl"]


@contextmanager
def running(arguments: Sequence[str], says: str) -> Iterator[tuple[str, int]]:
    """Run a command until the block ends; give the line that says that it is there, and its pid."""
    with subprocess.Popen([*SAGADSL, *arguments], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith(says):
                break
        else:
            raise SystemExit("".join(lines))
        drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        try:
            yield line, process.pid
        finally:
            process.terminate()
            process.wait(60)
            drain.wait(10)


def cpu(pid: int, *, ended: bool = False) -> float:
    """Return the seconds of CPU that a process has taken so far; with *ended*, also those of its ended children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(each) for each in fields[11 : 15 if ended else 13]) / os.sysconf("SC_CLK_TCK")


def cpu_of_all(pid: int) -> float:
    """Return the seconds of CPU that a process, the processes that it has begun, and those that have ended have taken.

    PostgreSQL has a process for each connection. One that ends at this moment is counted the next time.
    """
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        begun = [child for task in tasks for child in (task / "children").read_text().split()]
        return cpu(pid, ended=True) + sum(cpu_of_all(int(child)) for child in begun)
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def memory(pid: int) -> float:
    """Return the megabytes that a process has in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)
