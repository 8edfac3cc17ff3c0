"""The entrance of the gateway: every request is authenticated, counted and bounded here before anything else."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from temporalio.client import Client

from sagadsl.errors import SagadslError
from sagadsl.gateway import problems
from sagadsl.gateway.access import ANYBODY, SCOPES, Authenticator, Principal, Scope, TokensLost
from sagadsl.gateway.addresses import decoded
from sagadsl.gateway.definitions import OfferedDefinitions
from sagadsl.gateway.fleet import Fleet
from sagadsl.gateway.limits import Rate, Seats, TooLarge
from sagadsl.gateway.metrics import Metrics
from sagadsl.gateway.problems import BadBody, BadKey, BadParameter, Foreign, NotAllowed, NoToken, TookTooLong
from sagadsl.gateway.revocation import Revocation
from sagadsl.gateway.watchers import Snapshot, Watchers, view_of
from sagadsl.immutable import Immutable
from sagadsl.language.notation.json_text import read_json, small_number
from sagadsl.status.parts import Part
from sagadsl.temporal.link.connection import guard
from sagadsl.temporal.link.settings import ConnectionSettings
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.following import picture
from sagadsl.temporal.refusals import SagaNotFound
from sagadsl.temporal.wire.trace_context import Value, read_carrier

if TYPE_CHECKING:
    from sagadsl.temporal.link.tracing import Here, Tracing

log = logging.getLogger("sagadsl.gateway")
audit_log = logging.getLogger("sagadsl.audit")

LONGEST_WAIT = 60.0
"""Seconds; after a longer wait, a proxy between client and gateway cuts the connection."""

_T = TypeVar("_T")
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_WAIT = re.compile(r"[1-9][0-9]{0,3}s")
_SECONDS = 30.0
"""How long a request may take that does not ask to wait, in seconds."""
_LITTLE = 10_000
"""Bytes up to which the event loop parses a body itself."""

_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


class GatewayOptions(Immutable):
    """How a gateway behaves.

    Attributes:
        task_queue: Where sagas are started, instead of the task queues in their definitions.
        by_name: Start sagas by name, so that the workers' own definitions run.
        max_body: Most bytes of a body.
        longest_wait: Most seconds that a request may wait; a request for more gets this.
        hosts: Host names that requests may use; empty means any. They keep a page of another site, under a name that
            leads to loopback, away from a gateway without tokens.
        origins: Origins of pages of other sites that may call the gateway.
    """

    task_queue: str | None = None
    by_name: bool = False
    max_body: int = 1_000_000
    longest_wait: float = LONGEST_WAIT
    hosts: frozenset[str] = frozenset()
    origins: tuple[str, ...] = ()


@dataclass(slots=True)
class Gateway:
    """The parts of one gateway; without ``authenticators`` anybody who reaches it may do everything."""

    client: Client
    settings: ConnectionSettings
    definitions: OfferedDefinitions
    authenticators: Sequence[Authenticator]
    rate: Rate
    seats: Seats
    watchers: Watchers
    metrics: Metrics
    options: GatewayOptions = field(default_factory=GatewayOptions)
    web_ui: str = ""
    tracing: Tracing | None = None
    fleet: Fleet | None = None
    revocation: Revocation = field(default_factory=Revocation)


@dataclass(slots=True)
class Audited:
    """What the audit log says of a request: ``result`` is set when it was carried out."""

    result: str = "unknown"


@dataclass(slots=True)
class Inquiry:
    """One request, with its caller."""

    gateway: Gateway
    request: Request
    who: Principal
    id: str

    @property
    def client(self) -> Client:
        return self.gateway.client

    def path(self, name: str) -> str:
        """Return a part of the address."""
        return decoded(str(self.request.path_params[name]))

    def query(self, *known: str) -> dict[str, str]:
        """Return the parameters. Raises ``BadParameter`` for one that is not *known*, or comes twice."""
        found: dict[str, str] = {}
        for key, value in self.request.query_params.multi_items():
            if key not in known:
                raise BadParameter(f"there is no parameter `{key[:100]}`", f"known: {', '.join(known) or 'none'}")
            if any(ord(char) < 32 or ord(char) == 127 for char in value):
                raise BadParameter(f"parameter `{key}` has invisible characters")
            if key in found:
                raise BadParameter(f"parameter `{key}` is given twice")
            found[key] = value
        return found

    def wait(self, value: str | None) -> float:
        """Return how many seconds to wait, from `30s` or `true`, within the limit. Raises ``BadParameter``."""
        longest = self.gateway.options.longest_wait
        if value is None or value == "false":
            return 0.0
        if value == "true":
            return min(LONGEST_WAIT / 2, longest)
        if not _WAIT.fullmatch(value):
            raise BadParameter(f"`wait` is `{value[:100]}`", "a number of seconds, such as `30s`, or `true`")
        return min(float(value[:-1]), longest)

    async def body(self, nothing: Any = None, *, limit: int = 0) -> Any:
        """Return the body as JSON data; *nothing* without one. Raises ``TooLarge``, ``BadBody``.

        It may have as many bytes as the options say, or *limit*, if that is more.
        """
        limit = max(limit, self.gateway.options.max_body)
        if (small_number(self.request.headers.get("content-length", "0")) or 0) > limit:
            raise TooLarge(limit)
        raw = bytearray()
        async for chunk in self.request.stream():
            raw += chunk
            if len(raw) > limit:
                raise TooLarge(limit)
        if not raw:
            return nothing
        media = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":  # this also keeps out a plain form of another site
            raise BadBody(f"the body is `{media[:100] or 'of no type'}`", "send JSON as `application/json`", status=415)
        try:
            return await asyncio.to_thread(read_json, bytes(raw)) if len(raw) > _LITTLE else read_json(bytes(raw))
        except ValueError as error:
            raise BadBody(f"the body is not JSON: {error}") from None

    def key(self, *about: str) -> str:
        """Return an id made from the caller's idempotency key and from *about*; empty without a key.

        Keys of different callers give different ids: nobody gets another caller's answer by guessing a key.
        Raises ``BadKey``.
        """
        key = self.request.headers.get("idempotency-key")
        if key is None:
            return ""
        if not _KEY.fullmatch(key):
            raise BadKey("this is not an idempotency key", "up to 200 visible ASCII characters")
        owner = self.who.identity if self.who.is_known else ""
        return hashlib.sha256("\n".join((owner, *about, key)).encode()).hexdigest()[:32]

    def demand(self, scope: Scope, saga: str) -> None:
        """Raise ``NotAllowed`` unless the caller has this scope for sagas of this name."""
        if not self.who.may(scope, saga):
            raise NotAllowed(f"`{self.who.name}` may not {scope} saga `{saga}`")

    async def saga(self, scope: Scope, *, run_id: str | None = None) -> str:
        """Return the id in the address, if the caller has this scope for its saga, or for that of one of its runs.

        Raises:
            SagaNotFound: There is no such saga, or the caller may not know of it.
            NotAllowed: The caller may only read it.
        """
        id_ = self.path("id")
        await self.name_for(scope, id_, run_id=run_id)
        return id_

    async def name_for(self, scope: Scope, id: str, *, run_id: str | None = None) -> str:
        """Return the name of a saga, if the caller has this scope for it. Raises the same as ``saga``."""
        name = await runs.name_of(self.client, id, run_id=run_id)
        if not self.who.may("read", name) and not self.who.may(scope, name):
            raise SagaNotFound(id, self.client.namespace)
        self.demand(scope, name)
        return name

    async def view(self) -> Snapshot:
        """Return the saga in the address, if the caller may read it. Raises ``SagaNotFound``."""
        if not self.who.may_all("read"):  # check first: then no worker is asked in vain, and no error reveals the saga
            await self.saga("read")
        return await self.gateway.watchers.now(self.path("id"))

    async def view_of_run(self, run_id: str | None, part: Part | None = None) -> Snapshot:
        """Return one run of the saga in the address, the newest if none is named, or a part of its steps, if the caller
        may read it. Raises as ``picture`` does."""
        id_ = await self.saga("read", run_id=run_id)
        return view_of(await picture(self.client, id_, run_id=run_id, part=part))

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Take one of the seats for waiting requests. Raises ``TooMany``."""
        with self.gateway.seats.seat(self.who.identity), self.gateway.metrics.waiting.track_inprogress():
            yield

    async def is_let_in(self, scope: Scope, saga: str) -> bool:
        """Whether the token of this request still has this scope now: a stream may outlive its token."""
        return await self.is_still_let_in() and self.who.may(scope, saga)

    async def is_still_let_in(self) -> bool:
        """Whether the token of this request is still valid now."""
        try:
            self.who = await _admitted(self)
        except SagadslError:
            return False
        return True

    async def while_let_in(self, saga: str, telling: Awaitable[_T], scope: Scope = "read") -> _T:
        """Return what is told, as long as the caller has this scope for sagas of this name.

        Raises ``NoToken`` as soon as that is over.
        """
        if not self.gateway.authenticators:
            return await telling
        coming = asyncio.ensure_future(telling)
        changed = asyncio.ensure_future(self.gateway.revocation.told())
        try:
            while True:
                await asyncio.wait([coming, changed], return_when=asyncio.FIRST_COMPLETED)
                if coming.done():
                    return coming.result()
                changed = asyncio.ensure_future(self.gateway.revocation.told())  # before it is asked who is let in
                if not await self.is_let_in(scope, saga):
                    raise NoToken(
                        "this token is not valid any more", "", WWW_Authenticate='Bearer error="invalid_token"'
                    )
        finally:
            for each in (coming, changed):
                each.cancel()
            await asyncio.wait([coming, changed])

    def audit(self, action: str, saga: str, result: str, **more: str) -> None:
        """Log a change of a saga: who, what, why."""
        peer = self.request.client.host if self.request.client else ""
        issuer = {"issuer": self.who.realm} if self.who.realm else {}
        log_change(self.id, self.who.name, action, saga, result, **issuer, peer=peer, **more)

    @contextmanager
    def audited(self, action: str, saga: str, **more: str) -> Iterator[Audited]:
        """Log a change of a saga, however the block ends: with its ``result``, or with the code of its error.

        Any other error, as one of the server, leaves it open how much was carried out; so does a client that has gone.
        """
        said = Audited()
        try:
            yield said
        except SagadslError as error:
            said.result = error.code
            raise
        finally:
            self.audit(action, saga, said.result, **more)


def log_change(request: str, who: str, action: str, saga: str, result: str, **more: str) -> None:
    """Write a line to the audit log."""
    record = {"request": request, "who": who, "action": action, "saga": saga, "result": result}
    audit_log.info(json.dumps({**record, **more}, ensure_ascii=False))


Handler = Callable[[Inquiry], Awaitable[Response]]


def endpoint(gateway: Gateway, handler: Handler, *, open_to_all: bool) -> Callable[[Request], Awaitable[Response]]:
    """Return *handler* in Starlette's form, with everything that every request needs."""

    async def serve(request: Request) -> Response:
        began = time.perf_counter()
        inquiry = Inquiry(gateway, request, ANYBODY, secrets.token_hex(8))
        route = getattr(request.scope.get("route"), "path", "")
        with (
            nullcontext() if open_to_all or gateway.tracing is None else _span(gateway.tracing, request, route) as span
        ):
            response = await _answer(inquiry, handler, open_to_all)
            if span is not None:
                span.note("http.response.status_code", response.status_code)
                span.fail(str(response.status_code) if response.status_code >= 500 else "")
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["X-Request-Id"] = inquiry.id
        gateway.metrics.count(request.method, route, response.status_code, time.perf_counter() - began)
        log.info("%s %s %s %s %d", inquiry.id, inquiry.who.name, request.method, request.url.path, response.status_code)
        return response

    return serve


def _span(tracing: Tracing, request: Request, route: str) -> AbstractContextManager[Here]:
    """Open the span of a request, in the trace of its client if that sends one."""
    about: dict[str, Value] = {"http.request.method": request.method, "http.route": route}
    return tracing.here(f"{request.method} {route}", read_carrier(request.headers), about, kind="server")


async def _answer(inquiry: Inquiry, handler: Handler, open_to_all: bool) -> Response:
    try:
        _check_host(inquiry)
        if not open_to_all:
            inquiry.who = await _admitted(inquiry)
            inquiry.gateway.rate.take(inquiry.who.identity)
        with guard(inquiry.gateway.settings):
            async with asyncio.timeout(_SECONDS + inquiry.gateway.options.longest_wait):
                return await handler(inquiry)
    except SagadslError as error:
        return problems.problem(error)
    except TimeoutError:
        return problems.problem(TookTooLong("the answer took too long", "try again"))
    except ClientDisconnect:
        return Response(status_code=499)  # nobody reads it
    except Exception:
        log.exception("%s %s %s", inquiry.id, inquiry.request.method, inquiry.request.url.path)
        return problems.internal()


def _check_host(inquiry: Inquiry) -> None:
    """Keep out pages of other sites, by the host name that they use or by their origin."""
    options, headers = inquiry.gateway.options, inquiry.request.headers
    host = headers.get("host", "")
    if options.hosts and _name(host) not in options.hosts:
        raise Foreign(f"this gateway is not called `{host[:200]}`", "see `--host`", status=421)
    origin = headers.get("origin")
    if origin and origin not in options.origins and urlsplit(origin).netloc != host:
        raise Foreign(f"pages of `{origin[:200]}` may not call this gateway", "see `--cors-origin`")


def _name(host: str) -> str:
    return host if host.startswith("[") and host.endswith("]") else host.rpartition(":")[0] or host


async def _admitted(inquiry: Inquiry) -> Principal:
    if not inquiry.gateway.authenticators:
        return ANYBODY
    kind, _, token = inquiry.request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token.strip():
        lost: TokensLost | None = None
        for authenticator in inquiry.gateway.authenticators:
            try:
                who = await authenticator.who(token.strip())
            except TokensLost as error:
                lost = error  # another authenticator may still know the token
                continue
            if who is not None:
                return who
        if lost is not None:
            raise lost
    inquiry.gateway.rate.take(f"peer {inquiry.request.client.host if inquiry.request.client else ''}")
    if not token:
        raise NoToken("this gateway wants a token", "send `Authorization: Bearer TOKEN`", WWW_Authenticate="Bearer")
    raise NoToken("this token is not valid here", "", WWW_Authenticate='Bearer error="invalid_token"')


def loopback_hosts() -> frozenset[str]:
    """Return the names by which this machine reaches itself."""
    return _LOOPBACK


def rights(who: Principal) -> dict[str, list[str]]:
    """Return the rights of a caller, so that a page can show only what the caller may do."""
    return {scope: list(who.rights.get(scope, ())) for scope in SCOPES}
