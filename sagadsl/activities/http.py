"""``http.request``: one HTTP call as a step, without writing a plugin.

A secret is named in the definition and looked up here, in the worker's environment, only if
the worker's operator has listed it. It is in no result, error or log (R18, T12). Redirects are
not followed, so that nothing is sent where nobody meant it. Knows nothing of Temporal.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import ssl
from collections.abc import Iterable, Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.util import find_spec
from time import time
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from sagadsl.authoring import Context, Failure, Permanent, Transient, Unknown, activity
from sagadsl.frozen import frozen
from sagadsl.language.durations import FORMAT, PATTERN, parse
from sagadsl.language.json_text import read_json
from sagadsl.plugins import PluginNeedsExtra

if find_spec("httpx2") is None:
    raise PluginNeedsExtra("httpx2", "pip install 'sagadsl[http]'")

if TYPE_CHECKING:
    import httpx2

SECRETS = "SAGADSL_HTTP_SECRETS"
"""Names of environment variables that requests may send, with commas; ``NAME@host`` for one host only."""
HOSTS = "SAGADSL_HTTP_HOSTS"
"""Hosts that requests may go to, with commas; ``*.example.com`` covers its subdomains. Unset: all."""

MAX_RESPONSE_BYTES = 1024 * 1024
_EXCERPT = 500
_SAFE = ("GET", "HEAD", "OPTIONS")
_SHOWN_HEADERS = ("content-type", "etag", "last-modified", "link", "location", "retry-after", "x-request-id")
_SECRET = re.compile(r"\$\{secret:([^}]*)\}")
_RETRYABLE_CLIENT_ERRORS = (408, 425, 429)
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
    "HttpConnectionError",
    "HttpTimeout",
    "HttpForbidden",
    "HttpResponseTooLarge",
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


@frozen
class _Reply:
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
    host = _permitted_host(call.url)
    headers, secrets = _headers(call, ctx, host)
    reply = await _exchange(call, headers, secrets)
    result = _result(reply, secrets)
    if _expected(reply.status, call.expect):
        return result
    raise _status_error(call, reply, result)


def _permitted_host(url: str) -> str:
    """Return the host of *url*, if the worker's operator lets requests go there."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        port = parts.port
    except ValueError:
        raise Permanent("the url cannot be read: check its host and port", type="InvalidInput") from None
    if parts.username is not None or parts.password is not None:
        raise Permanent(
            "the url holds credentials, which would end up in the history; send a header with `${secret:NAME}` instead",
            type="InvalidInput",
        )
    allowed = _listed(HOSTS)
    if not host or (allowed is not None and not any(_matches(host, port, each.lower()) for each in allowed)):
        raise Permanent(f"host `{host}` is not among those that {HOSTS} of the worker permits", type="HttpForbidden")
    return host


def _matches(host: str, port: int | None, allowed: str) -> bool:
    if allowed in (host, f"{host}:{port}"):
        return True
    return allowed.startswith("*.") and host.endswith(allowed[1:])


def _headers(call: Request, ctx: Context, host: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the headers to send, and the secrets in them."""
    used: list[str] = []

    def resolve(match: re.Match[str]) -> str:
        used.append(_secret(match[1], host))
        return used[-1]

    headers: dict[str, str] = {}
    for name, value in call.headers.items():
        template = f"${{secret:{value.secret}}}" if isinstance(value, Secret) else value
        headers[name] = _SECRET.sub(resolve, template)
    given = {name.lower() for name in headers}
    key_header = call.idempotency_key_header
    if key_header and key_header.lower() not in given and call.method not in _SAFE:
        headers[key_header] = ctx.idempotency_key
    if call.text is not None and "content-type" not in given:
        headers["Content-Type"] = "text/plain; charset=utf-8"
    for name, value in headers.items():
        # Checked here, since the client's own message would show the value.
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise Permanent(f"header `{name}` holds a character that HTTP does not carry", type="InvalidInput")
        if not value.isascii():
            headers[name] = value.encode().decode("latin-1")
    return headers, tuple(used)


def _secret(name: str, host: str) -> str:
    for each in _listed(SECRETS) or ():
        allowed, _, only = each.partition("@")
        if allowed == name and (not only or only.lower() == host):
            break
    else:
        raise Permanent(
            f"secret `{name}` is not among those that {SECRETS} of the worker permits for `{host}`",
            type="HttpForbidden",
        )
    value = os.environ.get(name)
    if not value:
        raise Permanent(f"secret `{name}` is not set in the worker's environment", type="HttpForbidden")
    return value


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
            f"{_target(call)}: cannot connect: {_clean(str(error) or 'no answer', secrets)}", type="HttpConnectionError"
        )
    except (TimeoutError, httpx2.TimeoutException):
        problem = _lost(reads, f"{_target(call)}: no answer within {call.timeout}", "HttpTimeout")
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError) as error:
        problem = Permanent(f"{_target(call)}: {_clean(str(error), secrets)}", type="InvalidInput")
    except httpx2.DecodingError:
        problem = _lost(reads, f"{_target(call)}: the reply's body cannot be decoded", "HttpConnectionError")
    except httpx2.TransportError as error:
        problem = _lost(
            reads, f"{_target(call)}: the connection broke: {_clean(str(error), secrets)}", "HttpConnectionError"
        )
    # Without the client's own error behind it: that one may show headers.
    raise problem


def _client(library: Any, url: str, seconds: float) -> httpx2.AsyncClient:
    verify = _tls() if url.lower().startswith("https:") else False
    client: httpx2.AsyncClient = library.AsyncClient(
        verify=verify, timeout=library.Timeout(seconds, connect=min(seconds * 0.8, 10.0)), follow_redirects=False
    )
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
    return client.stream(call.method, call.url, headers=dict(headers), params=call.query or None, **content)


async def _read(answer: httpx2.Response, reads: bool) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            message = f"the reply ({answer.status_code}) has more than {MAX_RESPONSE_BYTES} bytes"
            raise Permanent(message, type="HttpResponseTooLarge") if reads else _TooLarge(message)
    return bytes(body)


class _TooLarge(Unknown):
    """The request was answered, so it must not be sent again only because the answer is long."""

    retryable = False

    def __init__(self, message: str) -> None:
        super().__init__(message, type="HttpResponseTooLarge")


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
    for secret in secrets:
        text = text.replace(secret, "***")
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


def _listed(variable: str) -> tuple[str, ...] | None:
    """Return the names in an environment variable; ``None`` when it is not set."""
    text = os.environ.get(variable)
    return None if text is None else tuple(each.strip() for each in text.split(",") if each.strip())
