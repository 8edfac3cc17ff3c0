"""The process of a Temporal server of our own: the official ``temporal`` command, and how it is begun and ended.

It begins without the SDK, whose import takes longer than the server takes until it answers: so both happen at once.
The process has a group of its own. Otherwise Ctrl-C in a terminal would end the server too, since it reaches every
process of the foreground group; and without its server a saga cannot compensate any more.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from shutil import which
from threading import Thread
from typing import IO

from sagadsl.immutable import Immutable

NAMESPACE = "default"
SEARCH_ATTRIBUTES = {"SagaName": "Keyword", "SagaVersion": "Keyword", "SagaStatus": "Keyword"}
"""Registered with every server that we start; the values by which sagas are listed."""

_PR_SET_PDEATHSIG = 1

_FOR_A_SHORT_LIFE = {"GOGC": "400", "GOMEMLIMIT": "512MiB"}
"""Variables of a server that keeps nothing: it takes a tenth less CPU when it need not tidy its memory so often."""


class PortInUse(Exception):
    """Somebody else listens where the server should."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is in use")


class ServerProcess(Immutable):
    """A server that has begun, and perhaps does not answer yet.

    Attributes:
        said: Why it has ended, in its own words; empty where it said nothing of that. They come when it has ended.
    """

    binary: str
    process: subprocess.Popen[bytes]
    port: int
    ui_port: int
    said: tuple[Future[str], ...]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def end(self, *, save: bool = False) -> None:
        """Tell it to end; with nothing to *save* it ends at once. Nobody waits for it."""
        if self.process.poll() is None:
            with suppress(ProcessLookupError):
                if save:
                    self.process.terminate()
                else:
                    self.process.kill()


def begin(
    binary: str,
    *,
    port: int | None = None,
    ui_port: int | None = None,
    database: Path | None = None,
    namespaces: Sequence[str] = (),
) -> ServerProcess:
    """Begin a server, on free ports where none are given. Raises ``PortInUse``, and ``OSError`` without the binary."""
    ports = (port or free_port(), ui_port or free_port())
    for wanted in ports:  # a server already there would answer in place of ours
        if not is_free(wanted):
            raise PortInUse(wanted)
    arguments = [
        *("server", "start-dev", "--ip", "127.0.0.1", "--port", str(ports[0]), "--ui-port", str(ports[1])),
        *("--namespace", NAMESPACE, "--log-level", "error"),
        *(word for each in namespaces for word in ("--namespace", each)),
    ]
    for name, kind in SEARCH_ATTRIBUTES.items():
        arguments += ["--search-attribute", f"{name}={kind}"]
    if database:  # the write-ahead log makes a file two to three times as fast
        arguments += ["--db-filename", str(database)]
        arguments += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"]
    process = subprocess.Popen(
        [binary, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=None if database else _FOR_A_SHORT_LIFE | os.environ,
        start_new_session=True,
        preexec_fn=end_with_parent(),  # noqa: PLW1509 - it calls one function that was loaded before, and takes no lock
    )
    said = (_read_aside(process.stderr, _error), _read_aside(process.stdout, _fatal))
    return ServerProcess(binary, process, *ports, said)


def _read_aside(pipe: IO[bytes] | None, find: Callable[[Iterable[str]], str]) -> Future[str]:
    """Read to the end in a thread, whatever comes: a server blocks when its pipe is full."""
    assert pipe is not None
    found: Future[str] = Future()

    def read() -> None:
        with pipe:
            found.set_result(find(line.decode(errors="replace").strip() for line in pipe))

    Thread(target=read, daemon=True).start()
    return found


def _error(lines: Iterable[str]) -> str:
    """Return the line of a panic on the server's stderr, else the last line."""
    last = panic = ""
    for line in lines:
        last = line or last
        panic = panic or (line if line.startswith("panic:") else "")
    return panic or last.removeprefix("Error: ")


def _fatal(lines: Iterable[str]) -> str:
    """Return the reason from the server's banner and log: the Web UI writes its own there."""
    fatal = ""
    for line in lines:
        with suppress(ValueError):  # a line of the banner
            entry = json.loads(line)
            if isinstance(entry, dict) and str(entry.get("level")).upper() == "FATAL":
                fatal = str(entry.get("message", ""))
    return fatal


def binary_at_hand() -> str | None:
    """Return the ``temporal`` command that is here: beside Python, on PATH, or downloaded before."""
    beside = which("temporal", path=str(Path(sys.executable).parent))
    return beside or which("temporal") or max(map(str, downloads().glob("temporal-cli-*")), default=None)


def downloads() -> Path:
    """Return the folder for the command that the SDK downloads."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sagadsl"


def free_port() -> int:
    """Return a port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Tell whether nobody listens on *port* now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def port_near(wanted: int) -> int:
    """Return *wanted* if nobody has this port, else the next one above that is free, or any."""
    return next((port for port in range(wanted, min(wanted + 20, 65536)) if is_free(port)), 0) or free_port()


def end_with_parent() -> Callable[[], None] | None:
    """Return what a child process must call so that the kernel ends it with this process, even on a kill."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # loaded here: the child of a fork must not load anything

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask
