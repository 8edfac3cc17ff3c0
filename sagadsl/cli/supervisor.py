"""Several worker processes as one: started, started again when one dies, stopped together.

Each child is this very command in a process group of its own, so that Ctrl-C in a
terminal reaches it once, through us, and not twice.
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
from sagadsl.temporal.embedded import end_with_parent

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 3.0
"""What a child has beyond its drain: it ends by itself soon after it."""
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_HEALTHY_SECONDS = 60.0
_HOPELESS = frozenset({1, 2, 3})
"""Exit codes that another try does not change: a bad definition, bad usage, a bad environment.

Of the first process of a place: where one has served already, the server may be away while its successor starts, or a
file be half written, and the others serve on.
"""


@dataclass(slots=True)
class _Child:
    """One place among the processes, whoever fills it now."""

    number: int
    process: subprocess.Popen[bytes]
    started: float
    pause: float = _FIRST_PAUSE_SECONDS
    due: float | None = field(default=None)
    is_first: bool = True


def supervise(count: int, drain: float, arguments: Sequence[str] | None = None) -> int:
    """Run *count* copies of this command until a signal says stop. Returns the exit code.

    Args:
        drain: Seconds that a child has to stop by itself; after that and a little it is killed.
        arguments: Of the children; those of this process if left out.
    """
    command = [sys.executable, "-m", "sagadsl", *(sys.argv[1:] if arguments is None else arguments)]
    signals: list[int] = []

    def told(number: int, _frame: FrameType | None) -> None:
        signals.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
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
    """Start a child again that has died. Return its exit code when that would be in vain."""
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
    """Ask every child to stop, and kill what does not, or at once at the second signal."""
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
