"""``sagadsl serve`` runs the gateway until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sagadsl.cli import screen
from sagadsl.cli.definitions import Definitions, by_name, load_definitions, one_name_each, secrets_in
from sagadsl.cli.fetched import here
from sagadsl.cli.interrupts import on_stop
from sagadsl.cli.options import common, connection, log_format, logs_as, settings_of
from sagadsl.cli.trusting import signed_in, trusting
from sagadsl.errors import NeedsExtra, SagadslError, reason_of
from sagadsl.immutable import Immutable
from sagadsl.language.notation.json_text import small_number
from sagadsl.language.suggest import counted
from sagadsl.trust.loopback import is_loopback

if TYPE_CHECKING:
    from temporalio.client import Client

    from sagadsl.gateway.certificate import Certificate
    from sagadsl.gateway.requests import Gateway
    from sagadsl.temporal.link.flags import Flags
    from sagadsl.temporal.link.settings import ConnectionSettings
    from sagadsl.trust.judge import Trust
    from sagadsl.trust.signatures import Signatures

_DRAIN_SECONDS = 10
"""How long answers may take when the gateway stops; waiting requests are answered at once."""

DEFAULT_BIND = "127.0.0.1:8080"


class CannotListen(SagadslError):
    """The gateway cannot listen on the address."""

    code = "SD940"
    exit_code = 3

    def __init__(self, address: str, why: str) -> None:
        super().__init__(address, why)
        self.address, self.why = address, why

    def __str__(self) -> str:
        return f"cannot listen on {self.address}: {self.why}"

    @property
    def help(self) -> str:
        return "choose another address with `--bind HOST:PORT`; port 0 takes a free one"


class Bind(Immutable):
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Access(Immutable):
    """The options of the command line about access."""

    tokens: Path | None = None
    jwks: str | None = None
    issuer: str | None = None
    audience: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


@click.command(short_help="Serve sagas over HTTP, with a web page.")
@click.argument("paths", nargs=-1)
@click.option("--bind", default=DEFAULT_BIND, show_default=True, metavar="HOST:PORT", help="Where to listen.")
@click.option(
    "--tokens",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File that says who may do what; see `sagadsl token`.",
)
@click.option("--jwks", metavar="URL", help="Keys of an identity provider whose tokens (JWT) are accepted.")
@click.option("--issuer", metavar="TEXT", help="`iss` that those tokens must have.")
@click.option("--audience", metavar="TEXT", help="`aud` that those tokens must have.")
@click.option(
    "--https-cert",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Certificate of the gateway, for https; read again when it changes.",
)
@click.option("--https-key", type=click.Path(path_type=Path), metavar="FILE", help="Key of that certificate.")
@click.option(
    "--host", multiple=True, metavar="NAME", help="Host name of the gateway; requests for other names are refused."
)
@click.option("--cors-origin", multiple=True, metavar="ORIGIN", help="Pages of this origin may call the gateway.")
@click.option("--task-queue", metavar="NAME", help="Start sagas on this task queue, instead of their own.")
@click.option("--by-name", is_flag=True, help="Start sagas by name: the workers' own definitions run.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0.1),
    default=100.0,
    show_default=True,
    help="Requests a second that each client may send.",
)
@click.option(
    "--waiting",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Requests that may wait at the same time.",
)
@click.option(
    "--max-body",
    type=click.IntRange(min=1),
    default=1_000_000,
    show_default=True,
    help="Most bytes in a request's body.",
)
@click.option(
    "--longest-wait",
    type=click.FloatRange(min=1, max=3600),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a request may wait for an answer; keep it below the limits of proxies.",
)
@click.option("--web-ui", metavar="URL", default="", help="Address of Temporal's Web UI, for links.")
@trusting
@log_format
@connection
@common
def serve(
    *,
    paths: Sequence[str],
    bind: str,
    tokens: Path | None,
    jwks: str | None,
    issuer: str | None,
    audience: str | None,
    https_cert: Path | None,
    https_key: Path | None,
    host: Sequence[str],
    cors_origin: Sequence[str],
    task_queue: str | None,
    by_name: bool,
    rate: float,
    waiting: int,
    max_body: int,
    longest_wait: float,
    web_ui: str,
    trust: Trust | None,
    flags: Flags,
) -> int:
    """Serve sagas over HTTP: start them, see how they stand, step in; with a web page at `/`.

    PATHS are the definitions that can be started. On loopback no token is needed; any other
    address needs `--tokens` or `--jwks`. The API is described at `/openapi.json`.

    \b
    Examples:
      sagadsl serve definitions/
      sagadsl serve /etc/sagas --bind 0.0.0.0:8080 --tokens tokens.yaml
    """
    try:
        import sagadsl.gateway.app  # noqa: F401  # before anything else is found wrong
    except ModuleNotFoundError as error:
        raise NeedsExtra(error.name or str(error)) from None
    where = parse_bind(bind)
    access = Access(tokens, jwks, issuer, audience, tuple(host), tuple(cors_origin))
    _check_access(where, access)
    certificate = _certificate(https_cert, https_key)
    settings = settings_of(flags)
    logs_as(settings)
    loaded = load_definitions(here(paths), children=True) if paths else Definitions()
    if not loaded.are_usable:
        loaded.show()
        return loaded.exit_code
    one_name_each(loaded)
    signatures = signed_in(loaded.files, trust)

    async def main() -> int:
        from sagadsl.temporal.link.connection import check_namespace, connect
        from sagadsl.temporal.link.renewal import Renewal, reading_again, renewable

        client = renewable(await connect(settings))
        await check_namespace(client, settings)
        gateway = await build(
            client,
            settings,
            loaded,
            access,
            where,
            signatures=signatures,
            task_queue=task_queue,
            by_name=by_name,
            rate=rate,
            waiting=waiting,
            max_body=max_body,
            longest_wait=longest_wait,
            web_ui=web_ui,
        )
        stop = asyncio.Event()
        on_stop(stop.set)
        with listening(where) as (sock, found):
            known = counted(len(loaded.files), "saga", "sagas")
            scheme = "http" if certificate is None else "https"
            screen.note(f"gateway at {scheme}://{found}/   {known}, Temporal at {settings.address.value}")
            screen.note(
                "  "
                + ("open to whoever reaches this machine's loopback" if not gateway.authenticators else "wants a token")
            )
            async with Renewal(client, settings, reading_again(flags, os.environ)).watching():
                await run(gateway, sock, stop, certificate)
        return 0

    screen.log(logging.WARNING)
    logging.getLogger("sagadsl.audit").setLevel(logging.INFO)
    return asyncio.run(main())


def parse_bind(text: str) -> Bind:
    """Return the address in ``HOST:PORT``. Raises ``click.UsageError``."""
    host, colon, port = text.rpartition(":")
    number = small_number(port)
    if not colon or number is None or number > 65535 or not host:
        raise click.UsageError(f"`--bind` is `{text}`, not HOST:PORT, such as `{DEFAULT_BIND}`")
    return Bind(host.strip("[]"), number)


def _check_access(where: Bind, access: Access) -> None:
    """Raise ``click.UsageError`` for a gateway that everybody could use, or nobody."""
    if access.jwks and not (access.issuer and access.audience):
        raise click.UsageError(
            "`--jwks` needs `--issuer` and `--audience`, or the gateway would accept tokens made for others"
        )
    if not is_loopback(where.host) and not access.tokens and not access.jwks:
        raise click.UsageError(
            f"{where} can be reached from other machines, so the gateway has to know who asks: "
            "give `--tokens FILE` or `--jwks URL`"
        )


def _certificate(cert: Path | None, key: Path | None) -> Certificate | None:
    """Return the gateway's certificate, if one is given. Raises ``SettingsUnusable``, ``click.UsageError``."""
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise click.UsageError("`--https-cert` and `--https-key` go together")
    from sagadsl.gateway.certificate import Certificate

    return Certificate(cert, key)


async def build(
    client: Client,
    settings: ConnectionSettings,
    loaded: Definitions,
    access: Access,
    where: Bind,
    *,
    signatures: Signatures,
    task_queue: str | None = None,
    by_name: bool = False,
    rate: float = 100.0,
    waiting: int = 1000,
    max_body: int = 1_000_000,
    longest_wait: float = 60.0,
    web_ui: str = "",
) -> Gateway:
    """Return the gateway of these definitions. Raises ``NeedsExtra``, ``TokensUnusable``."""
    try:
        from sagadsl.gateway.access import Authenticator, SignedTokens, TokenFile
        from sagadsl.gateway.definitions import OfferedDefinitions
        from sagadsl.gateway.fleet import Fleet
        from sagadsl.gateway.limits import Rate, Seats
        from sagadsl.gateway.metrics import Metrics
        from sagadsl.gateway.requests import Gateway, GatewayOptions, loopback_hosts
        from sagadsl.gateway.watchers import Watchers
        from sagadsl.temporal.link.telemetry import tracing_of
    except ModuleNotFoundError as error:
        raise NeedsExtra(error.name or str(error)) from None
    authenticators: list[Authenticator] = []
    if access.tokens:
        authenticators.append(TokenFile(access.tokens))
    if access.jwks:
        authenticators.append(SignedTokens(access.jwks, access.issuer or "", access.audience or ""))
    metrics = Metrics()
    hosts = frozenset(access.hosts) | (frozenset() if authenticators else loopback_hosts())
    return Gateway(
        client=client,
        settings=settings,
        definitions=OfferedDefinitions(await packages(client, loaded, signatures)),
        authenticators=authenticators,
        rate=Rate(rate, asyncio.get_running_loop().time),
        seats=Seats(waiting, max(1, waiting // 2)),
        watchers=Watchers(client, metrics),
        metrics=metrics,
        options=GatewayOptions(task_queue, by_name, max_body, longest_wait, hosts, access.origins),
        web_ui=web_ui,
        tracing=tracing_of(settings.telemetry),
        fleet=Fleet(client, metrics),
    )


async def packages(client: Client, loaded: Definitions, signatures: Signatures) -> Mapping[str, Any]:
    """Return the definitions ready to start, each with the definitions of its child sagas."""
    from sagadsl.language.raw_steps import children_of
    from sagadsl.temporal.client import packed

    named = by_name(loaded)
    data = {name: each.definition for name, each in named.items()}
    beside: Any = {"secrets": secrets_in(named.values()), "signatures": signatures}
    return {name: await packed(client, data[name], children_of(name, data), **beside) for name in sorted(data)}


@contextmanager
def listening(where: Bind) -> Iterator[tuple[socket.socket, Bind]]:
    """Give a listening socket, and its address. Raises ``CannotListen``."""
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((where.host, where.port))
            sock.listen(128)  # a client that reads the address may connect before the gateway is ready
        except OSError as error:
            raise CannotListen(str(where), reason_of(error)) from None
        yield sock, Bind(where.host, sock.getsockname()[1])
    finally:
        sock.close()


async def run(
    gateway: Gateway, sock: socket.socket, stop: asyncio.Event, certificate: Certificate | None = None
) -> None:
    """Answer until *stop* is set, over https if there is a *certificate*."""
    import uvicorn

    from sagadsl.gateway.app import application
    from sagadsl.gateway.by_otlp import keep_looking, sent_by_otlp
    from sagadsl.gateway.connections import BACKLOG, Guard, Listener, guarded, room
    from sagadsl.gateway.jobs.verbs import Means
    from sagadsl.gateway.jobs.work import work_on_jobs

    means = Means(gateway.client, gateway.definitions, gateway.options.by_name)
    guard = Guard(room(gateway.seats.most), gateway.metrics)
    config = uvicorn.Config(
        application(gateway),
        http=guarded(guard),
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=int(guard.patience.head),
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        h11_max_incomplete_event_size=64 * 1024,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # it warns of each malformed request
    server = Listener(config, guard.patience, None if certificate is None else certificate.context)
    server.capture_signals = _nothing  # type: ignore[method-assign] # signals are ours
    with guard.log_starvation(), sent_by_otlp(gateway) as is_sent:
        beside = [asyncio.create_task(guard.watch()), asyncio.create_task(work_on_jobs(means))]
        beside.append(asyncio.create_task(gateway.revocation.watch(gateway.authenticators)))
        if certificate is not None:
            beside.append(asyncio.create_task(certificate.watch()))
        if is_sent:
            beside.append(asyncio.create_task(keep_looking(gateway)))
        serving = asyncio.create_task(server.serve([sock]))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            server.should_exit = True
            while not serving.done():  # also release requests that begin to wait meanwhile
                await gateway.watchers.close()
                await asyncio.wait([serving], timeout=0.1)
        finally:  # also when this is cancelled: a worker ends only as long as its server is there
            for each in beside:
                each.cancel()
            await asyncio.wait(beside)
    serving.result()


@contextmanager
def _nothing() -> Iterator[None]:
    yield
