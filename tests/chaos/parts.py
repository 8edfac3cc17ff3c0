"""Processes that are killed, frozen and begun again, each by its own pid."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import clocks
from tests.patience import PATIENCE

_TRIES = 10


@dataclass(slots=True)
class Part:
    """One process, through all its lives.

    Attributes:
        ready: Whether it serves, given what it has written in this life.
        lives: How often it was begun.
        ahead: So many seconds its wall clock is ahead, in each life: see `clocks`.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log: Path
    ready: Callable[[str], bool]
    cwd: str | None = None
    lives: int = 0
    ahead: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _frozen: list[int] = field(default_factory=list)

    async def begin(self) -> None:
        """Begin it and wait until it is ready; one that ends at once is begun again."""
        for _ in range(_TRIES):
            self.lives += 1
            begun = self.log.stat().st_size if self.log.exists() else 0
            with self.log.open("ab") as output:
                self._process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=dict(self.env),
                    cwd=self.cwd,
                    start_new_session=True,  # Ctrl-C is for us: we end it
                )
            if self.ahead:
                clocks.shift(self._process.pid, self.ahead)
            if await self._becomes_ready(begun):
                return
            self.kill()  # one that lives and does not serve would be beside the next one
            await asyncio.sleep(0.5)  # a port or a lock of its last life
        end = self.log.read_text(errors="replace")[-2000:]
        raise AssertionError(f"{self.name} does not become ready: {end}")

    async def _becomes_ready(self, begun: int) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < deadline:
            with self.log.open("rb") as written:
                written.seek(begun)
                said = written.read().decode(errors="replace")
            if await asyncio.to_thread(self.ready, said):
                return True
            await asyncio.sleep(0.1)
        return False

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pids(self) -> list[int]:
        """Of the process and of what it has begun."""
        return [self._process.pid, *_below(self._process.pid)] if self._process is not None and self.is_alive else []

    def kill(self) -> None:
        """End it at once: nothing of it gets to run any more."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(PATIENCE)

    async def stop(self) -> None:
        """Ask it to end, as a deploy does; what does not end in time is killed."""
        self._signal(signal.SIGTERM)
        for _ in range(200):
            if not self.is_alive:
                return
            await asyncio.sleep(0.1)
        self.kill()

    def jump(self, seconds: int) -> None:
        """Let its wall clock be so many seconds ahead from now on, also in further lives."""
        self.ahead = seconds
        if self.is_alive:
            assert self._process is not None
            clocks.shift(self._process.pid, seconds)

    def freeze(self) -> None:
        """Let nothing of it go on, its children included."""
        self._frozen = self.pids
        for pid in self._frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for pid in reversed(self._frozen):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._frozen = []

    def _signal(self, number: signal.Signals) -> None:
        self.thaw()
        if self.is_alive:
            assert self._process is not None
            os.kill(self._process.pid, number)


def _below(pid: int) -> list[int]:
    """Return the pids of what a process has begun itself, at every depth."""
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_below(int(child))]
    return found


def serves(address: str) -> bool:
    """Whether a Temporal server answers there."""
    binary = Path(sys.executable).with_name("temporal")
    health = [str(binary), "--disable-config-file", "--disable-config-env", "operator", "cluster", "health"]
    return not subprocess.run(
        [*health, "--address", address], capture_output=True, check=False, timeout=PATIENCE
    ).returncode
