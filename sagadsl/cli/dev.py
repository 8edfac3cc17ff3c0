"""``sagadsl dev``: everything that a saga needs, in one terminal. Changes of files apply at once.

The server keeps its state in a folder. The worker is a separate process, so that a new one imports
the new code. The gateway runs in this process. This module decides nothing about sagas.

A change applies when all three have it: it is checked, the definitions of the gateway are loaded, and a new worker
has loaded its own. Files may change between these; whatever fails then, the worker that serves goes on as it is.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagadsl.cli import screen
from sagadsl.cli.definitions import Definitions, load_definitions
from sagadsl.cli.dev_worker import ServingWorker, serving_worker
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
_FIRST_LOOK = 100
"""Milliseconds after which the first worker begins: what changes from then on is seen."""


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
    from sagadsl.temporal.link.embedded import serve
    from sagadsl.temporal.link.flags import Flags
    from sagadsl.temporal.link.server_process import port_near
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
        where = Bind("127.0.0.1", port_near(port))
        web_ui = f"{server.ui_url}/namespaces/{server.namespace}"
        gateway = await build(client, settings, loaded, Access(), where, signatures=signed, rate=10_000, web_ui=web_ui)
        worker = await stack.enter_async_context(serving_worker(paths, server, module))
        sock, found = stack.enter_context(listening(where))
        stop = asyncio.Event()
        serving = asyncio.create_task(run(gateway, sock, stop))
        _announce(server, found, database, loaded)
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
    return _usable(load_definitions(paths, children=True))


def _usable(loaded: Definitions) -> Definitions:
    return Definitions(tuple(each for each in loaded.files if each.saga is not None))


def _announce(server: Server, found: Bind, database: Path, loaded: Definitions) -> None:
    names = [each.saga.name for each in loaded.files if each.saga is not None]
    screen.note(f"page      http://{found}/")
    screen.note(f"Temporal  {server.address}   Web UI {server.ui_url}")
    screen.note(f"state     {database}")
    screen.note(f"sagas     {', '.join(names) or 'none yet'}")
    screen.note("changes apply at once; Ctrl-C ends everything")


async def _watch(paths: Sequence[str], module: Sequence[str], gateway: Gateway, worker: ServingWorker) -> None:
    """Begin the worker, and apply changes of files; a change with a mistake is reported, and not applied."""
    from watchfiles import awatch

    was_right, is_first = True, True
    async for changes in awatch(
        *roots(paths), watch_filter=matters, step=STEP, rust_timeout=_FIRST_LOOK, yield_on_timeout=True
    ):
        if not changes and not is_first:
            continue
        is_first = False
        if changes:
            screen.note(f"changed: {named(changes)}")
        is_right = await _applied(paths, module, gateway, worker)
        if is_right:
            screen.note("worker is ready" if was_right else "all is right again; worker is ready")
        elif worker.serves:
            screen.note("the earlier version stays")
        else:
            screen.note("no worker runs; one starts when this is mended")
        was_right = is_right


async def _applied(paths: Sequence[str], module: Sequence[str], gateway: Gateway, worker: ServingWorker) -> bool:
    """Apply what the files say now, in gateway and worker; if something is wrong, report it and leave both alone."""
    from sagadsl.gateway.definitions import OfferedDefinitions
    from sagadsl.plugins.settings import SettingsWrong
    from sagadsl.trust.judge import Untrusted
    from sagadsl.trust.keys import SigningKeyUnusable
    from sagadsl.trust.signatures import SignaturesUnreadable

    if not await _are_right(paths, module):
        return False
    loaded = load_definitions(paths, children=True)
    if not loaded.are_usable:  # a file has changed since it was checked
        loaded.show()
        return False
    loaded = _usable(loaded)
    try:
        signatures = signed_in(loaded.files, project_trust())  # the settings may be what has changed
    except (Untrusted, SignaturesUnreadable, SettingsWrong, SigningKeyUnusable) as problem:
        screen.warn(f"[{problem.code}] {problem}" + (f": {problem.help}" if problem.help else ""))
        return False
    offered = OfferedDefinitions(await packages(gateway.client, loaded, signatures))
    if not await worker.begin():
        return False
    gateway.definitions = offered
    return True
