"""``sagadsl dev``: everything that a saga needs, in one terminal. Changes of files apply at once.

The server keeps its state in a folder. The worker is a separate process, so that a new one imports
the new code. The gateway runs in this process. This module decides nothing about sagas.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagadsl.cli import screen
from sagadsl.cli.definitions import Definitions, load_definitions
from sagadsl.cli.interrupts import Interrupts, need_posix
from sagadsl.cli.options import common, modules
from sagadsl.cli.serve import Access, Bind, build, listening, packages, run
from sagadsl.cli.trusting import project_trust, signed_in
from sagadsl.cli.watched import STEP, matters, named, need_watchfiles, roots
from sagadsl.errors import SagadslError
from sagadsl.immutable import replace

if TYPE_CHECKING:
    from sagadsl.gateway.requests import Gateway
    from sagadsl.temporal.link.embedded import Server

_SERVER, _WEB_UI, _PAGE = 7233, 8233, 8080
_DRAIN = 5
"""Seconds that running activities have to end when a new worker replaces the old one."""


class FolderInUse(SagadslError):
    """Another `sagadsl dev` uses the same state, and two servers would ruin the file."""

    code = "SD956"
    exit_code = 3

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.folder = folder

    def __str__(self) -> str:
        return f"another `sagadsl dev` works in {self.folder}"

    @property
    def help(self) -> str:
        return "end it, or choose another folder with `--state`"


@click.command(short_help="Run server, worker and page in one terminal while you write.")
@click.argument("paths", nargs=-1)
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".sagadsl"),
    show_default=True,
    metavar="DIR",
    help="Where the server keeps its sagas.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=_PAGE, show_default=True, help="Port of the page.")
@modules
@common
def dev(*, paths: Sequence[str], state: Path, port: int, module: Sequence[str]) -> int:
    """Run server, worker and page in one terminal while you write.

    PATHS are definitions (files or folders); the current folder if left out. When
    one of them changes, or a Python file here, the change applies at once. If a change has a
    mistake, the command reports it, and the earlier version stays. The server keeps its sagas when
    it starts again. If a port is in use, the command takes another one. Ctrl-C ends everything.

    \b
    Examples:
      sagadsl dev
      sagadsl dev definitions/ -m activities
    """
    need_posix("`dev`")
    need_watchfiles()
    screen.log(logging.ERROR)
    with _folder(state):
        return asyncio.run(_dev(paths, state, port, module))


@contextmanager
def _folder(state: Path) -> Iterator[None]:
    """Lock the folder for this process. Raises ``FolderInUse``."""
    import fcntl

    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    (state / ".gitignore").write_text("*\n")
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FolderInUse(str(state)) from None
        yield


async def _dev(paths: Sequence[str], state: Path, port: int, module: Sequence[str]) -> int:
    from sagadsl.temporal.link.connection import connect
    from sagadsl.temporal.link.embedded import port_near, serve
    from sagadsl.temporal.link.flags import Flags
    from sagadsl.temporal.link.settings import resolve

    loaded = _load(paths)
    signed = signed_in(loaded.files, project_trust())
    interrupts = Interrupts.install()
    async with AsyncExitStack() as stack:
        database = state / "sagas.db"
        server = await stack.enter_async_context(
            serve(database=database, port=port_near(_SERVER), ui_port=port_near(_WEB_UI))
        )
        for file in state.glob(f"{database.name}*"):  # it holds data of sagas; SQLite gives new files the same mode
            file.chmod(0o600)
        chosen = resolve(Flags(), os.environ)
        settings = replace(server.settings, codec=chosen.codec, telemetry=chosen.telemetry)
        client = await connect(settings)
        are_right = await _are_right(paths, module)
        where = Bind("127.0.0.1", port_near(port))
        web_ui = f"{server.ui_url}/namespaces/{server.namespace}"
        gateway = await build(client, settings, loaded, Access(), where, signatures=signed, rate=10_000, web_ui=web_ui)
        worker = await stack.enter_async_context(_worker(paths, server, module))
        sock, found = stack.enter_context(listening(where))
        stop = asyncio.Event()
        serving = asyncio.create_task(run(gateway, sock, stop))
        _announce(server, found, database, loaded)
        if are_right:
            await worker.begin()
        watching = asyncio.create_task(_watch(paths, module, gateway, worker))
        with suppress(BaseException):
            await interrupts.unless_stop_requested(asyncio.gather(serving, watching))
        screen.note("ending: worker, gateway, server")
        watching.cancel()
        stop.set()
        await asyncio.gather(serving, watching, return_exceptions=True)
    return 0


async def _are_right(paths: Sequence[str], module: Sequence[str]) -> bool:
    """Check definitions in a new process, since this one would not import changed code again."""
    command = [sys.executable, "-m", "sagadsl", "validate", "--quiet", *paths]
    for each in module:
        command += ["--module", each]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr.fileno(), start_new_session=True
    )
    return await process.wait() == 0


def _load(paths: Sequence[str]) -> Definitions:
    loaded = load_definitions(paths, children=True)
    return Definitions(tuple(each for each in loaded.files if each.saga is not None))


def _announce(server: Server, found: Bind, database: Path, loaded: Definitions) -> None:
    names = [each.saga.name for each in loaded.files if each.saga is not None]
    screen.note(f"page      http://{found}/")
    screen.note(f"Temporal  {server.address}   Web UI {server.ui_url}")
    screen.note(f"state     {database}")
    screen.note(f"sagas     {', '.join(names) or 'none yet'}")
    screen.note("changes apply at once; Ctrl-C ends everything")


async def _watch(paths: Sequence[str], module: Sequence[str], gateway: Gateway, worker: Worker) -> None:
    """Apply changes of files; a change with a mistake is reported, and not applied."""
    from watchfiles import awatch

    from sagadsl.gateway.definitions import OfferedDefinitions
    from sagadsl.plugins.settings import SettingsWrong
    from sagadsl.trust.judge import Untrusted
    from sagadsl.trust.keys import SigningKeyUnusable
    from sagadsl.trust.signatures import SignaturesUnreadable

    async for changes in awatch(*roots(paths), watch_filter=matters, step=STEP):
        screen.note(f"changed: {named(changes)}")
        if not await _are_right(paths, module):
            screen.note("the earlier version stays")
            continue
        loaded = _load(paths)
        try:
            signatures = signed_in(loaded.files, project_trust())  # the settings may be what has changed
        except (Untrusted, SignaturesUnreadable, SettingsWrong, SigningKeyUnusable) as problem:
            screen.warn(f"[{problem.code}] {problem}" + (f": {problem.help}" if problem.help else ""))
            screen.note("the earlier version stays")
            continue
        gateway.definitions = OfferedDefinitions(await packages(gateway.client, loaded, signatures))
        await worker.begin()


@dataclass(slots=True)
class Worker:
    """The current worker process."""

    command: Sequence[str]
    _process: asyncio.subprocess.Process | None = None
    _readers: set[asyncio.Task[None]] = field(default_factory=set)

    async def begin(self) -> None:
        """Start a worker, after the one before has ended."""
        await self.end()
        self._process = process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches it only through this process
        )
        task = asyncio.create_task(self._pass_on(process))
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)

    async def end(self) -> None:
        """Let the worker end, and make sure that it has."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_DRAIN + 3):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        self._process = None

    async def _pass_on(self, process: asyncio.subprocess.Process) -> None:
        """Pass on the output of the worker; its lines about a successful start are shortened."""
        assert process.stderr is not None
        async for line in process.stderr:
            text = line.decode(errors="replace").rstrip()
            if text.startswith("ready;"):
                screen.note("worker is ready")
            elif not text.startswith(("worker at ", "  sagas  ", "  activities  ", "stopping: ")):
                screen.note(f"worker: {text}")
        if await process.wait() and process is self._process:
            screen.warn("the worker has ended; it starts again when something changes")


@asynccontextmanager
async def _worker(paths: Sequence[str], server: Server, module: Sequence[str]) -> AsyncIterator[Worker]:
    """Give a worker that ends with the block."""
    options = ["--address", server.address, "--namespace", server.namespace, "--drain", str(_DRAIN)]
    for each in module:
        options += ["--module", each]
    worker = Worker([sys.executable, "-m", "sagadsl", "worker", *(paths or (".",)), *options])
    try:
        yield worker
    finally:
        await worker.end()
