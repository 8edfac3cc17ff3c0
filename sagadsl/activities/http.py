"""``http.request``: one HTTP call as a step, without writing a plugin.

A secret is named in the definition's own text and looked up here, in the worker's environment, only if
the worker's operator has listed it. It is in no result, error or log (R18). Redirects are
not followed, so that nothing is sent where nobody meant it. Knows nothing of Temporal.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
import ssl
from collections.abc import Iterable, Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.util import find_spec
from time import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from sagadsl.activities.reach import FORBIDDEN, NO_ANSWER, NO_CONNECTION, TOO_LARGE, guard, permitted_host, secret
from sagadsl.authoring import Context, Failure, Permanent, Transient, Unknown, activity
from sagadsl.immutable import Immutable
from sagadsl.language.expressions.secrets import SECRET, Named
from sagadsl.language.notation.durations import FORMAT, PATTERN, parse
from sagadsl.language.notation.json_text import read_json
from sagadsl.language.own_errors import INVALID_INPUT
from sagadsl.plugins.catalogue import PluginNeedsExtra

if find_spec("httpx2") is None:
    raise PluginNeedsExtra("httpx2", "pip install 'sagadsl[http]'")

if TYPE_CHECKING:
    import httpx2

MAX_RESPONSE_BYTES = 1024 * 1024
_EXCERPT = 500
_SAFE = ("GET", "HEAD", "OPTIONS")
_SHOWN_HEADERS = ("content-type", "etag", "last-modified", "link", "location", "retry-after", "x-request-id")
_RETRYABLE_CLIENT_ERRORS = (408, 425, 429)
_OF_THE_CONNECTION = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that say how a message travels: the client writes them. Others would make two requests of one, or hang."""
_NOT_DONE = (501, 503, 505)
"""Server errors that say that nothing was done; after the others nobody knows."""

_Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
_Duration = Annotated[
    str,
    AfterValidator(lambda text: parse(text) and text),
    # Only in the schema: the pattern looks ahead, which pydantic's own regular expressions cannot.
    WithJsonSchema({"type": "string", "pattern": PATTERN, "format": FORMAT}),
]
_Expected = Annotated[str, Field(pattern=r"^[1-5]xx$")] | Annotated[int, Field(ge=100, le=599)]

ERRORS = (
    NO_CONNECTION,
    NO_ANSWER,
    FORBIDDEN,
    TOO_LARGE,
    *(f"Http{status.value}" for status in HTTPStatus if status.value >= 300),
)


class Secret(BaseModel):
    """The name of a secret, instead of its value."""

    model_config = ConfigDict(extra="forbid")
    secret: Annotated[str, Field(description="Name of an environment variable of the worker")]


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
    timeout: Annotated[_Duration, Field(description="Of the whole exchange")] = "30s"
    expect: Annotated[
        list[_Expected] | _Expected, Field(description="Statuses (`200`) and classes (`2xx`) that mean success")
    ] = "2xx"
    idempotency_key_header: Annotated[
        str | None,
        Field(description="Carries the step's idempotency key, unless the method only reads; null sends none"),
    ] = "Idempotency-Key"

    @model_validator(mode="after")
    def _one_body(self) -> Request:
        if "json_body" in self.model_fields_set and self.text is not None:
            raise ValueError("a request has either `json` or `text`")
        return self


class Response(BaseModel):
    """What came back. The body is `json` if it is JSON, `text` otherwise."""

    model_config = ConfigDict(extra="forbid")
    status: int
    headers: dict[str, str]
    json_body: Annotated[Any, Field(alias="json")] = None
    text: str | None = None


class _Reply(Immutable):
    status: int
    headers: Mapping[str, str]
    body: bytes
    encoding: str


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
    """
    permitted_host(call.url)
    headers, secrets = _headers(call, ctx)
    reply = await _exchange(call, headers, secrets)
    result = _result(reply, secrets)
    if _expected(reply.status, call.expect):
        return result
    raise _status_error(call, reply, result)


def _headers(call: Request, ctx: Context) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the headers to send, and the secrets in them."""
    used: list[str] = []
    named = Named(ctx.secrets, ctx.secrets_host)

    def resolved(place: str, value: str | Secret) -> str:
        def resolve(match: re.Match[str]) -> str:
            used.append(secret(match[1], call.url, place, named))
            return used[-1]

        return SECRET.sub(resolve, f"${{secret:{value.secret}}}" if isinstance(value, Secret) else value)

    for name in (*call.headers, call.idempotency_key_header or ""):
        if name.lower() in _OF_THE_CONNECTION or name.lower().startswith("proxy-"):
            raise Permanent(
                f"header `{name}` says how the message travels, and is written by the worker: leave it out",
                type=INVALID_INPUT,
            )
    headers = {name: resolved(f"headers/{name}", value) for name, value in call.headers.items()}
    given = {name.lower() for name in headers}
    key_header = call.idempotency_key_header
    if key_header and key_header.lower() not in given and call.method not in _SAFE:
        headers[key_header] = ctx.idempotency_key
    if call.text is not None and "content-type" not in given:
        headers["Content-Type"] = "text/plain; charset=utf-8"
    for name, value in headers.items():
        # Checked here, since the client's own message would show the value.
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise Permanent(f"header `{name}` holds a character that HTTP does not carry", type=INVALID_INPUT)
        if not value.isascii():
            headers[name] = value.encode().decode("latin-1")
    return headers, tuple(used)


async def _exchange(call: Request, headers: Mapping[str, str], secrets: Iterable[str]) -> _Reply:
    """Send the request and read the bounded reply. Every error says what is known about the effect."""
    import httpx2  # noqa: PLC0415 # an extra, and heavy

    seconds = parse(call.timeout).total_seconds()
    reads = call.method in _SAFE
    try:
        async with (
            asyncio.timeout(seconds),
            _client(httpx2, call.url, seconds) as client,
            _sent(client, call, headers) as answer,
        ):
            body = await _read(answer, reads)
            shown = {name.lower(): value for name, value in answer.headers.items() if name.lower() in _SHOWN_HEADERS}
            return _Reply(answer.status_code, shown, body, answer.encoding or "utf-8")
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
        problem: Failure = Transient(
            f"{_target(call)}: cannot connect: {_clean(str(error) or 'no answer', secrets)}", type=NO_CONNECTION
        )
    except (TimeoutError, httpx2.TimeoutException):
        problem = _lost(reads, f"{_target(call)}: no answer within {call.timeout}", NO_ANSWER)
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError) as error:
        problem = Permanent(f"{_target(call)}: {_clean(str(error), secrets)}", type=INVALID_INPUT)
    except httpx2.DecodingError:
        problem = _lost(reads, f"{_target(call)}: the reply's body cannot be decoded", NO_CONNECTION)
    except httpx2.TransportError as error:
        problem = _lost(reads, f"{_target(call)}: the connection broke: {_clean(str(error), secrets)}", NO_CONNECTION)
    # Without the client's own error behind it: that one may show headers.
    raise problem


def _client(library: Any, url: str, seconds: float) -> httpx2.AsyncClient:
    verify = _tls() if url.lower().startswith("https:") else False
    client: httpx2.AsyncClient = library.AsyncClient(
        verify=verify, timeout=library.Timeout(seconds, connect=min(seconds * 0.8, 10.0)), follow_redirects=False
    )
    guard(client)
    return client


@functools.cache
def _tls() -> ssl.SSLContext:
    """Return what is costly to make, once a process."""
    import httpx2  # noqa: PLC0415 # an extra, and heavy

    return httpx2.create_ssl_context()


def _sent(client: httpx2.AsyncClient, call: Request, headers: Mapping[str, str]) -> Any:
    content: Any = {}
    if "json_body" in call.model_fields_set:
        content = {"json": call.json_body}
    elif call.text is not None:
        content = {"content": call.text.encode()}
    return client.stream(call.method, _with_query(call), headers=dict(headers), **content)


def _with_query(call: Request) -> str | httpx2.URL:
    """Return the address, its own query first and as it is written; the library's ``params`` would take its place."""
    import httpx2  # noqa: PLC0415 # an extra, and heavy

    if not call.query:
        return call.url
    written = httpx2.URL(call.url)
    added = str(httpx2.QueryParams(call.query)).encode()
    return written.copy_with(query=b"&".join(part for part in (written.query, added) if part))


async def _read(answer: httpx2.Response, reads: bool) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            message = f"the reply ({answer.status_code}) has more than {MAX_RESPONSE_BYTES} bytes"
            raise Permanent(message, type=TOO_LARGE) if reads else _TooLarge(message)
    return bytes(body)


class _TooLarge(Unknown):
    """The request was answered, so it must not be sent again only because the answer is long."""

    retryable = False

    def __init__(self, message: str) -> None:
        super().__init__(message, type=TOO_LARGE)


def _lost(reads: bool, message: str, error_type: str) -> Failure:
    """Return the error for an answer that never came: after a mere read there is nothing to undo."""
    return Transient(message, type=error_type) if reads else Unknown(message, type=error_type)


def _result(reply: _Reply, secrets: Iterable[str]) -> Response:
    """Return the reply with every secret that it repeats blotted out."""
    headers = {name: _clean(value, secrets) for name, value in reply.headers.items()}
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            data = _clean_data(read_json(reply.body), secrets)
            return Response.model_validate({"status": reply.status, "headers": headers, "json": data})
        except (ValueError, RecursionError):
            pass  # says that it is JSON and is not: the text tells more than an error
    try:
        text = reply.body.decode(reply.encoding, errors="replace")
    except LookupError:
        text = reply.body.decode(errors="replace")
    return Response(status=reply.status, headers=headers, text=_clean(text, secrets))


def _expected(status: int, expect: list[str | int] | str | int) -> bool:
    every = expect if isinstance(expect, list) else [expect]
    return status in every or f"{status // 100}xx" in every


def _status_error(call: Request, reply: _Reply, result: Response) -> Failure:
    status = reply.status
    error_type = f"Http{status}"
    body = result.text if result.text is not None else json.dumps(result.json_body, ensure_ascii=False)
    details = {"status": status, "headers": result.headers, "body": body[:_EXCERPT]}
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    message = f"{_target(call)}: status {status}{phrase}"
    after = _retry_after(reply.headers.get("retry-after"))
    if status >= 500:
        definite = status in _NOT_DONE or call.method in _SAFE
        kind: type[Failure] = Transient if definite else Unknown
        return kind(message, details, type=error_type, retry_after=after)
    if status in _RETRYABLE_CLIENT_ERRORS:
        return Transient(message, details, type=error_type, retry_after=after)
    if status < 400 and call.method not in _SAFE:
        # 2xx or 3xx that the definition did not expect: something has happened.
        return _Unexpected(message, details, type=error_type)
    return Permanent(message, details, type=error_type)


class _Unexpected(Unknown):
    """A success that is none for the definition: trying again would not change it."""

    retryable = False


def _retry_after(header: str | None) -> timedelta | None:
    """Return the pause that the server asks for, at most a day; ``None`` leaves it to the retry policy."""
    if header is None:
        return None
    try:
        seconds = float(header) if header.strip().isdecimal() else parsedate_to_datetime(header).timestamp() - time()
    except (ValueError, TypeError, OverflowError):
        return None
    return timedelta(seconds=min(max(seconds, 1.0), 86400.0))


def _target(call: Request) -> str:
    """Return method and url without its query, which may be long or personal."""
    return f"{call.method} {call.url.partition('?')[0][:200]}"


def _clean(text: str, secrets: Iterable[str]) -> str:
    for each in secrets:
        text = text.replace(each, "***")
    return text


def _clean_data(data: Any, secrets: Iterable[str]) -> Any:
    match data:
        case str():
            return _clean(data, secrets)
        case dict():
            return {_clean(key, secrets): _clean_data(value, secrets) for key, value in data.items()}
        case list():
            return [_clean_data(each, secrets) for each in data]
    return data
