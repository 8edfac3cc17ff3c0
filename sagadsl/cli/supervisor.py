"""Runs several worker processes as one: starts them, restarts one that dies, stops all together.

Each child is the same command in its own process group, so that Ctrl-C in a terminal reaches it
once, through this process, and not twice.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType

from sagadsl.cli import screen
from sagadsl.cli.worker import CHILD
from sagadsl.temporal.link.server_process import end_with_parent

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 3.0
"""Seconds that a child has beyond its drain, to end by itself."""
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_HEALTHY_SECONDS = 60.0
_HOPELESS = frozenset({1, 2, 3})
"""Exit codes that a restart does not change: a bad definition, bad usage, a bad environment.

This holds only for the first process in a place. If one has served there before, the server may be away while its
successor starts, or a file may be half written, and the other processes go on.
"""


@dataclass(slots=True)
class _Child:
    """One place among the processes, with its current process."""

    number: int
    process: subprocess.Popen[bytes]
    started: float
    pause: float = _FIRST_PAUSE_SECONDS
    due: float | None = field(default=None)
    is_first: bool = True


def supervise(count: int, drain: float, arguments: Sequence[str] | None = None) -> int:
    """Run *count* copies of this command until a signal says stop. Returns the exit code.

    Args:
        drain: Seconds that a child has to stop by itself; shortly after that it is killed.
        arguments: Arguments of the children; if left out, those of this process.
    """
    command = [sys.executable, "-m", "sagadsl", *(sys.argv[1:] if arguments is None else arguments)]
    signals: list[int] = []

    def note_signal(number: int, _frame: FrameType | None) -> None:
        signals.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note_signal)
    children = [_Child(number, _start(command), time.monotonic()) for number in range(1, count + 1)]
    screen.note(f"{count} processes: {', '.join(str(child.process.pid) for child in children)}")
    while not signals:
        for child in children:
            code = _look_after(child, command)
            if code is not None:
                _stop(children, signals, drain)
                return code
        time.sleep(_POLL_SECONDS)
    return _stop(children, signals, drain)


def _look_after(child: _Child, command: Sequence[str]) -> int | None:
    """Restart a child that has died. Return its exit code when a restart would be in vain."""
    now = time.monotonic()
    if child.due is not None:
        if now >= child.due:
            child.process, child.started, child.due, child.is_first = _start(command), now, None, False
        return None
    code = child.process.poll()
    if code is None:
        return None
    is_new = now - child.started <= _HEALTHY_SECONDS
    if code in _HOPELESS and child.is_first and is_new:
        return code
    if not is_new:
        child.pause = _FIRST_PAUSE_SECONDS
    screen.warn(f"process {child.number} ended with exit code {code}; it starts again in {child.pause:.0f}s")
    child.due, child.pause = now + child.pause, min(child.pause * 2, _LONGEST_PAUSE_SECONDS)
    return None


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        env={**os.environ, CHILD: "1"},
        start_new_session=True,
        preexec_fn=end_with_parent(),  # noqa: PLW1509 - this process has no other thread
    )


def _stop(children: Sequence[_Child], signals: list[int], drain: float) -> int:
    """Ask every child to stop, and kill those that do not; at the second signal, kill all at once."""
    alive = [child.process for child in children if child.process.poll() is None]
    for process in alive:
        process.terminate()
    deadline = time.monotonic() + drain + _PATIENCE_SECONDS
    while any(process.poll() is None for process in alive):
        if len(signals) > 1 or time.monotonic() > deadline:
            for process in alive:
                process.kill()
            for process in alive:
                process.wait()
            return 130
        time.sleep(_POLL_SECONDS)
    return 0
