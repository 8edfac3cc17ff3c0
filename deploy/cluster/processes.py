"""Processes that outlive the command that begins them: each has a log, and is known by its pid and its start.

A pid alone may belong to somebody else by now; with the moment of its start it does not.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

_TAIL, _WIDE = 15, 300
_PATIENCE = 60.0


class Failed(Exception):
    """Something did not begin; the message says where to read why."""


def end_of(text: str) -> str:
    """Return the last lines of a log, indented and not too wide."""
    return "\n".join(f"  {line[:_WIDE]}" for line in text.splitlines()[-_TAIL:])


@dataclass(frozen=True, slots=True)
class Process:
    """One that we have begun."""

    pid: int
    begun: str
    log: str

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return _begun(self.pid) == self.begun


@dataclass(slots=True)
class State:
    """What runs, and on which ports; a file, so that the next command knows."""

    path: Path
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> State:
        path = folder / "state.json"
        if not path.exists():
            return cls(path)
        data = json.loads(path.read_text())
        return cls(path, data["ports"], {name: Process(**each) for name, each in data["processes"].items()})

    def write(self) -> None:
        processes = {name: asdict(each) for name, each in self.processes.items()}
        self.path.write_text(json.dumps({"ports": self.ports, "processes": processes}, indent=2))

    def runs(self, name: str) -> bool:
        return name in self.processes and self.processes[name].is_alive()

    def begin(
        self,
        name: str,
        command: Sequence[str],
        is_ready: Callable[[], bool],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> None:
        """Begin a process, and wait until it is ready. Raises ``Failed`` with the end of its log."""
        log = self.path.parent / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as written:
            begun = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )
        self.processes[name] = process = Process(begun.pid, _begun(begun.pid), str(log))
        self.write()
        deadline = time.monotonic() + _PATIENCE
        while not is_ready():
            if begun.poll() is not None or time.monotonic() > deadline:
                last_lines = end_of(log.read_text(errors="replace"))
                raise Failed(f"{name} (pid {process.pid}) did not become ready; the end of {log}:\n{last_lines}")
            time.sleep(0.1)

    def end(self, name: str, how: signal.Signals = signal.SIGTERM) -> bool:
        """End a process, and say whether it ran. What does not end in time is killed."""
        process = self.processes.pop(name, None)
        self.write()
        if process is None or not process.is_alive():
            return False
        os.kill(process.pid, how)
        deadline = time.monotonic() + _PATIENCE
        while process.is_alive():
            if time.monotonic() > deadline:
                os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.05)
        return True


def _begun(pid: int) -> str:
    """Return the moment at which a process began, as the kernel counts; empty for one that is not there any more."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
