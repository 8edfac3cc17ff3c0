"""``http.request``: one HTTP call as a step, without writing a plugin.

A secret is named in the definition's own text and looked up here, in the worker's environment, only if
the worker's operator has listed it. It is in no result, error or log (R18). Redirects are
not followed, so that nothing is sent where nobody meant it. Knows nothing of Temporal.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sagadsl.activities import polling, tokens
from sagadsl.activities.exchange import Outgoing, Reply, exchange
from sagadsl.activities.inputs import Duration, Secret, Secrets
from sagadsl.activities.polling import Poll
from sagadsl.activities.reach import FORBIDDEN, NO_ANSWER, NO_CONNECTION, TOO_LARGE, permitted_host
from sagadsl.activities.replies import Expect, Response, is_expected, result, status_error
from sagadsl.activities.tokens import Auth
from sagadsl.activities.tracing import traced
from sagadsl.authoring import Context, Failure, Permanent, activity
from sagadsl.immutable import replace
from sagadsl.language.own_errors import INVALID_INPUT
from sagadsl.plugins.problems import PluginNeedsExtra

if find_spec("httpx2") is None:
    raise PluginNeedsExtra("httpx2", "pip install 'sagadsl[http]'")

if TYPE_CHECKING:
    import httpx2

_SAFE = ("GET", "HEAD", "OPTIONS")
_UNAUTHORIZED = 401
_OF_THE_CONNECTION = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that say how a message travels: the client writes them. Others would make two requests of one, or hang."""
_OF_THE_REQUEST = frozenset({"content-type", "content-encoding", "range", "prefer"})
"""Headers that belong to the request, and not to the question what became of it; neither do its conditions."""

_Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]

ERRORS = (
    NO_CONNECTION,
    NO_ANSWER,
    FORBIDDEN,
    TOO_LARGE,
    tokens.REFUSED,
    tokens.UNAVAILABLE,
    polling.FAILED,
    polling.LOST,
    polling.TOO_LONG,
    *(f"Http{status.value}" for status in HTTPStatus if status.value >= 300),
)


class Request(BaseModel):
    """One HTTP request."""

    model_config = ConfigDict(extra="forbid")
    url: Annotated[str, Field(pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://", description="http or https, without credentials")]
    method: Annotated[_Method, Field(description="The verb")] = "GET"
    headers: Annotated[
        dict[str, str | Secret],
        Field(description="Values may name secrets: `{secret: NAME}`, or `Bearer ${secret:NAME}` within text"),
    ] = Field(default_factory=dict)
    query: Annotated[
        dict[str, str | int | float | bool | list[str | int | float | bool]], Field(description="Added to the url")
    ] = Field(default_factory=dict)
    json_body: Annotated[Any, Field(alias="json", description="Body, sent as JSON")] = None
    text: Annotated[str | None, Field(description="Body, sent as it is")] = None
    timeout: Annotated[Duration, Field(description="Of the whole exchange")] = "30s"
    expect: Annotated[Expect, Field(description="Statuses (`200`) and classes (`2xx`) that mean success")] = "2xx"
    idempotency_key_header: Annotated[
        str | None,
        Field(description="Carries the step's idempotency key, unless the method only reads; null sends none"),
    ] = "Idempotency-Key"
    auth: Annotated[Auth | None, Field(description="A token that the worker fetches and sends")] = None
    poll: Annotated[Poll | None, Field(description="Waits for the end of what was only accepted (202)")] = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Request:
        if "json_body" in self.model_fields_set and self.text is not None:
            raise ValueError("a request has either `json` or `text`")
        if self.auth is not None and any(name.lower() == "authorization" for name in self.headers):
            raise ValueError("a request has either `auth` or the header `Authorization`")
        return self


@activity(
    name="http.request",
    errors=ERRORS,
    default_timeout="1m",
    idempotent=True,
    examples=[{"url": "https://api.example.com/charges", "method": "POST", "json": {"amount": 100}}],
)
async def request(call: Request, ctx: Context) -> Response:
    """Send one HTTP request and return status, headers and body.

    A status that is not expected is the error `Http404` (with its number). 4xx is a definite no and
    not tried again, but for 408, 425 and 429; 5xx is tried again, as is a connection that fails.
    Where the answer is missing, or comes from a server in trouble, nobody knows whether it happened.
    `auth` fetches a token first; `poll` waits for the end of a request that was only accepted.
    """
    poll = call.poll
    place = polling.resumed(ctx) if poll is not None else None
    try:
        sender = _Sender(call, ctx)
    except Failure as failure:
        if place is None:
            raise
        raise polling.lost(failure) from None
    if place is None:
        message = sender.request()
        reply = await sender.send(message)
        if not is_expected(reply.status, call.expect):
            raise status_error(message, reply, sender.used)
        place = polling.accepted(poll, call.url, reply, sender.used) if poll is not None else None
    if poll is not None and place is not None:
        reply = await polling.outcome(poll, call.expect, call.url, place, ctx, ask=sender.ask, secrets=sender.used)
    return result(reply, sender.used)


class _Sender:
    """Sends what a call asks for, with its headers, its secrets and its token.

    Attributes:
        used: Every secret that was sent.
    """

    def __init__(self, call: Request, ctx: Context) -> None:
        permitted_host(call.url)
        self._call = call
        self._reads = call.method in _SAFE
        secrets = Secrets(ctx)
        self._headers = _headers(call, secrets, "" if self._reads else ctx.idempotency_key)
        self._grant = tokens.grant(call.auth.oauth2, secrets, call.url) if call.auth is not None else None
        self.used = secrets.used

    def request(self) -> Outgoing:
        """Return the call's own request."""
        call = self._call
        body: dict[str, Any] = {}
        if "json_body" in call.model_fields_set:
            body = {"json": call.json_body}
        elif call.text is not None:
            body = {"content": call.text.encode()}
        return Outgoing(call.method, _with_query(call), self._headers, call.timeout, body, reads=self._reads)

    async def ask(self, url: str, own: bool) -> Reply:
        """Ask what became of the request; another origin than its own gets none of its headers, and no token."""
        left_out = {*_OF_THE_REQUEST, (self._call.idempotency_key_header or "").lower()}
        headers = {
            name: value
            for name, value in self._headers.items()
            if own and name.lower() not in left_out and not name.lower().startswith("if-")
        }
        message = Outgoing("GET", url, headers, self._call.timeout, reads=True)
        return await (self.send(message) if own else exchange(message, self.used))

    async def send(self, message: Outgoing) -> Reply:
        """Send a message with the call's token; if that is not accepted, once more with a new one."""
        if self._grant is None:
            return await exchange(message, self.used)
        token = await self._token(self._grant)
        reply = await exchange(_bearing(message, token), self.used)
        if reply.status != _UNAUTHORIZED:
            return reply
        return await exchange(_bearing(message, await self._token(self._grant, token)), self.used)

    async def _token(self, grant: tokens.Grant, refused: str | None = None) -> str:
        token = await tokens.token(grant, self._call.timeout, refused)
        if token not in self.used:
            self.used.append(token)
        return token


def _bearing(message: Outgoing, token: str) -> Outgoing:
    return replace(message, headers={**message.headers, "Authorization": f"Bearer {token}"})


def _headers(call: Request, secrets: Secrets, key: str) -> dict[str, str]:
    """Return the headers to send; *key* is the idempotency key, empty for none."""
    key_header = call.idempotency_key_header or ""
    for name in (*call.headers, key_header):
        if name.lower() in _OF_THE_CONNECTION or name.lower().startswith("proxy-"):
            raise Permanent(
                f"header `{name}` says how the message travels, and is written by the worker: leave it out",
                type=INVALID_INPUT,
            )
    headers = {name: secrets.filled(value, f"headers/{name}", call.url) for name, value in call.headers.items()}
    given = {name.lower() for name in headers}
    if key and key_header and key_header.lower() not in given:
        headers[key_header] = key
    headers |= {name: value for name, value in traced().items() if name not in given}
    if call.text is not None and "content-type" not in given:
        headers["Content-Type"] = "text/plain; charset=utf-8"
    for name, value in headers.items():
        # Checked here, since the client's own message would show the value.
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise Permanent(f"header `{name}` holds a character that HTTP does not carry", type=INVALID_INPUT)
        if not value.isascii():
            headers[name] = value.encode().decode("latin-1")
    return headers


def _with_query(call: Request) -> str | httpx2.URL:
    """Return the address, its own query first and as it is written; the library's ``params`` would take its place."""
    import httpx2  # noqa: PLC0415 # an extra, and heavy

    if not call.query:
        return call.url
    written = httpx2.URL(call.url)
    added = str(httpx2.QueryParams(call.query)).encode()
    return written.copy_with(query=b"&".join(part for part in (written.query, added) if part))
