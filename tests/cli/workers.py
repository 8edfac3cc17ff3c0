"""A worker as a process, and what it says."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.cli.shell import SAGADSL, environment
from tests.patience import PATIENCE


@dataclass(slots=True)
class Worker:
    """A worker process and what it has said on stderr so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def wait_for(self, start: str, times: int = 1) -> None:
        deadline = time.monotonic() + PATIENCE
        while sum(line.startswith(start) for line in self.lines) < times:
            assert self.process.poll() is None, self.lines
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.05)


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Worker]:
    """Run ``sagadsl worker`` until the end of the block."""
    with subprocess.Popen(
        [*SAGADSL, "worker", *arguments], cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        worker = Worker(process)
        listener = threading.Thread(target=worker.listen, daemon=True)
        listener.start()
        try:
            yield worker
        finally:
            process.kill()
            listener.join(PATIENCE)
