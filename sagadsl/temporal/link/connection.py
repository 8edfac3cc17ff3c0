"""Connecting to Temporal, and saying why when that fails. Knows nothing about sagas."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RecordWorkerHeartbeatRequest
from temporalio.client import Client
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    OpenTelemetryConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
)
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.errors import SagadslError, reason_of
from sagadsl.temporal.link import probe
from sagadsl.temporal.link.codec import patient, reading
from sagadsl.temporal.link.converters import converter_by
from sagadsl.temporal.link.credentials import credentials_remedy
from sagadsl.temporal.link.settings import ConnectionSettings
from sagadsl.temporal.link.telemetry import metrics_of, tracing_of
from sagadsl.temporal.link.telemetry_setting import NO_TELEMETRY, TelemetrySetting

CONNECT_TIMEOUT_SECONDS = 10.0

HEARTBEAT = timedelta(seconds=10)
"""How often a worker tells the server that it is there, and what it knows; the SDK would do so each minute."""

_WORKER_LOST = ("Worker validation failed", "Poll failure")
_LOST = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED)
_UNCLEAR = (RPCStatusCode.UNKNOWN, RPCStatusCode.INTERNAL)
_BROKEN = ("transport error", "h2 protocol error", "error reading a body", "operation was canceled")
"""Beginnings of the messages of requests whose connection broke; the SDK gives them the status ``unknown``."""
_LATE = "Timeout expired"
"""Message of a request that the server did not answer in time; the SDK gives it the status ``cancelled``."""


class NotConnected(SagadslError):
    """No usable answer from the server.

    Attributes:
        headline: What failed, with the address.
        details: One line each: the settings with their origin, then what was tried.
        remedy: What to do.
    """

    code = "SD901"
    exit_code = 3

    def __init__(self, headline: str, details: tuple[str, ...] = (), remedy: str = "") -> None:
        super().__init__(headline, details, remedy)
        self.headline, self.details, self.remedy = headline, details, remedy

    def __str__(self) -> str:
        return "\n".join((self.headline, *(f"   {line}" for line in self.details)))

    @property
    def help(self) -> str:
        return self.remedy


class MetricsUnusable(SagadslError):
    """The address for metrics cannot be used."""

    code = "SD907"
    exit_code = 3

    def __init__(self, address: str, why: str) -> None:
        super().__init__(address, why)
        self.address, self.why = address, why

    def __str__(self) -> str:
        return f"cannot show metrics at `{self.address}`: {self.why[:200]}"

    @property
    def help(self) -> str:
        return "an address of this machine and a free port, such as `--metrics 127.0.0.1:9464`"


def check_metrics(address: str) -> None:
    """Raise ``MetricsUnusable`` if nobody can listen on *address*, before anything else begins."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        raise MetricsUnusable(address, "it is no HOST:PORT")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        with socket.socket(found[0][0], socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(found[0][4])
    except OSError as error:
        numeric = "the host has to be an IP address" if isinstance(error, socket.gaierror) else ""
        raise MetricsUnusable(address, numeric or reason_of(error)) from None


class ServerRefused(SagadslError):
    """The server answers, and refuses the request."""

    code = "SD906"
    exit_code = 2

    def __init__(self, address: str, status: str, message: str) -> None:
        super().__init__(address, status, message)
        self.address, self.status, self.message = address, status, message

    def __str__(self) -> str:
        return f"Temporal at {self.address} refuses the request ({self.status.replace('_', ' ')}): {self.message}"

    @property
    def is_for_now(self) -> bool:
        """Whether the request hit a limit of the server, so that the server may take it later."""
        return self.status == "resource_exhausted"

    @property
    def help(self) -> str:
        return "a limit of the server was reached: try again later" if self.is_for_now else ""


async def connect(settings: ConnectionSettings, **options: Any) -> Client:
    """Connect, with the codec that was chosen; *options* go to ``Client.connect``.

    Raises:
        NotConnected: With a page that says why.
        CodecUnusable, KeyUnusable, NeedsExtra: See there.
    """
    tracing = tracing_of(settings.telemetry)
    if tracing is not None:
        options["interceptors"] = [tracing.interceptor(), *options.get("interceptors", ())]
    arguments = {"namespace": settings.namespace.value, **settings.secrets, **options}
    arguments["data_converter"] = patient(converter_by(settings))
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            return await Client.connect(settings.address.value, **arguments)
    except TimeoutError:
        reason = f"no answer within {CONNECT_TIMEOUT_SECONDS:.0f} seconds"
    except (RuntimeError, ValueError) as error:  # all that the SDK raises here, whatever happened
        reason = str(error)
    found = await asyncio.to_thread(probe.look, settings.address.value, settings.secrets["tls"])
    raise _not_connected(settings, reason, found)


def worker_runtime(
    metrics: str | None,
    telemetry: TelemetrySetting = NO_TELEMETRY,
    buckets: Mapping[str, Sequence[float]] = MappingProxyType({}),
    logger: logging.Logger | None = None,
) -> Runtime:
    """Return the SDK's runtime for a worker, with frequent heartbeats, and with its metrics.

    Args:
        metrics: The address at which Prometheus finds them; otherwise they go where *telemetry* says.
        buckets: The bounds of histograms, by their names.
        logger: Gets what the SDK's native part logs; ``None`` lets that part write to stderr in a form of its own.

    Raises:
        MetricsUnusable: See there.
    """
    shown: PrometheusConfig | OpenTelemetryConfig | None
    if metrics is None:
        shown = metrics_of(telemetry, buckets)
    else:
        shown = PrometheusConfig(bind_address=metrics, histogram_bucket_overrides=buckets)
    try:
        telemetry_config = TelemetryConfig(metrics=shown, logging=_logging_to(logger))
        return Runtime(telemetry=telemetry_config, worker_heartbeat_interval=HEARTBEAT)
    except (RuntimeError, ValueError) as error:
        raise MetricsUnusable(metrics or "", str(error)) from None


def _logging_to(logger: logging.Logger | None) -> LoggingConfig:
    usual = LoggingConfig.default
    if logger is None:
        return usual
    forwarding = LogForwardingConfig(logger, append_target_to_name=False, prepend_target_on_message=False)
    return LoggingConfig(filter=usual.filter, forwarding=forwarding)


async def check_namespace(client: Client, settings: ConnectionSettings) -> None:
    """Raise ``NotConnected`` unless the namespace exists: a connection alone does not prove it."""
    with guard(settings):
        await ask_as_client(client)


async def check_worker(client: Client, settings: ConnectionSettings) -> None:
    """Raise ``NotConnected`` unless a worker may work: one that may not would ask for tasks again and again."""
    await check_namespace(client, settings)
    with guard(settings):
        await ask_as_worker(client)


async def ask_as_client(client: Client) -> None:
    """Ask the server something that every client may ask. Raises ``RPCError``."""
    await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))


async def ask_as_worker(client: Client) -> None:
    """Ask the server something that only a worker may ask, and that changes nothing. Raises ``RPCError``."""
    empty = RecordWorkerHeartbeatRequest(namespace=client.namespace, identity=client.identity)
    try:
        await client.workflow_service.record_worker_heartbeat(empty)
    except RPCError as error:
        if error.status not in (RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.INVALID_ARGUMENT):  # a server before 1.29
            raise


@contextmanager
def guard(settings: ConnectionSettings) -> Iterator[None]:
    """Turn a refusal that is about the connection into ``NotConnected``, and any other into ``ServerRefused``."""
    try:
        with reading():
            yield
    except RuntimeError as error:  # all that a worker of the SDK raises when its server is gone
        message = next((text for text in map(str, (error, error.__cause__)) if text.startswith(_WORKER_LOST)), "")
        if not message:
            raise
        headline = f"the connection to Temporal at {settings.address.value} was lost"
        details = (*settings.lines(), f"the SDK says: {message[:300]}")
        raise NotConnected(headline, details, "start the worker again when the server answers") from error
    except RPCError as error:
        headline, remedy = _refusal(error, settings)
        if not headline:
            raise ServerRefused(settings.address.value, error.status.name.lower(), error.message) from error
        raise NotConnected(headline, settings.lines(), remedy) from error


def is_for_now(error: RPCError) -> bool:
    """Whether the same request may succeed in a moment: the server is away, or has too much to do."""
    is_late = error.status is RPCStatusCode.CANCELLED and error.message == _LATE
    return is_late or error.status in (*_LOST, RPCStatusCode.RESOURCE_EXHAUSTED)


def _refusal(error: RPCError, settings: ConnectionSettings) -> tuple[str, str]:
    address, namespace = settings.address.value, settings.namespace.value
    match error.status:
        case RPCStatusCode.UNAUTHENTICATED:
            return f"Temporal at {address} does not know these credentials", credentials_remedy(settings)
        case RPCStatusCode.PERMISSION_DENIED:
            return (
                f"Temporal at {address} refuses access to namespace `{namespace}`",
                credentials_remedy(settings, "check the namespace and what the API key may do"),
            )
        case RPCStatusCode.NOT_FOUND if error.message.startswith("Namespace "):
            return (
                f"Temporal at {address} has no namespace `{namespace}`",
                f"create it with `temporal operator namespace create --namespace {namespace}`, or choose with `-n`",
            )
        case RPCStatusCode.CANCELLED if error.message == _LATE:
            return f"Temporal at {address} did not answer in time", "try again"
        case status if status in _LOST or (status in _UNCLEAR and error.message.startswith(_BROKEN)):
            return f"the connection to Temporal at {address} was lost: {error.message}", "try again"
        case _:
            return "", ""


def _not_connected(settings: ConnectionSettings, reason: str, found: probe.Found) -> NotConnected:
    address = settings.address.value
    if "Unauthenticated" in reason or "PermissionDenied" in reason:
        return NotConnected(
            f"Temporal at {address} does not know these credentials", settings.lines(), credentials_remedy(settings)
        )
    remedy = found.remedy
    if not remedy and not found.listening:
        remedy = "start one with `temporal server start-dev`; `run` without an address brings its own"
    details = (*settings.lines(), " ".join(found.checks) if found.checks else reason)
    if found.listening and not found.remedy:
        details = (*details, f"the SDK says: {reason[:300]}")
    return NotConnected(f"cannot reach Temporal at {address}", details, remedy)
