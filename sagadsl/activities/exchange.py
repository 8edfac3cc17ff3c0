"""One HTTP exchange: a message goes out, a bounded reply comes back, or an error that says what is known.

Redirects are not followed, so that nothing is sent where nobody meant it. Knows nothing of sagas and secrets' names.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sagadsl.activities.inputs import clean
from sagadsl.activities.reach import NO_ANSWER, NO_CONNECTION, TOO_LARGE, guard
from sagadsl.authoring import Failure, Permanent, Transient, Unknown
from sagadsl.immutable import Hidden, Immutable, field
from sagadsl.language.notation.durations import parse
from sagadsl.language.own_errors import INVALID_INPUT

if TYPE_CHECKING:
    import httpx2

MAX_RESPONSE_BYTES = 1024 * 1024
_SHOWN_HEADERS = ("content-type", "etag", "last-modified", "link", "location", "retry-after", "x-request-id")
OPERATION_HEADERS = ("operation-location", "azure-asyncoperation")
"""Headers with the address of an operation that goes on after its request was answered."""


class Outgoing(Immutable):
    """What is sent.

    Attributes:
        url: Text, or the library's own kind of address.
        body: Its arguments for the library: ``json``, ``content`` or ``data``; none for no body.
        reads: It changes nothing, so that there is nothing to undo when its answer is lost.
    """

    method: str
    url: Any
    headers: Hidden[Mapping[str, str]]
    timeout: str
    body: Hidden[Mapping[str, Any]] = field(default_factory=dict)
    reads: bool = False


class Reply(Immutable):
    """What came back.

    Attributes:
        headers: Those that a result shows.
        operation: The other headers, in which an address to poll may stand.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    encoding: str
    operation: Mapping[str, str] = {}


async def exchange(message: Outgoing, secrets: Iterable[str]) -> Reply:
    """Send the message and read the bounded reply. Every error says what is known about the effect."""
    import httpx2  # noqa: PLC0415 # an extra, and heavy

    seconds = parse(message.timeout).total_seconds()
    reads = message.reads
    try:
        async with (
            asyncio.timeout(seconds),
            _client(httpx2, str(message.url), seconds) as client,
            client.stream(message.method, message.url, headers=dict(message.headers), **message.body) as answer,
        ):
            body = await _read(answer, reads)
            headers = {name.lower(): value for name, value in answer.headers.items()}
            shown = {name: value for name, value in headers.items() if name in _SHOWN_HEADERS}
            operation = {name: headers[name] for name in OPERATION_HEADERS if name in headers}
            return Reply(answer.status_code, shown, body, answer.encoding or "utf-8", operation)
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
        problem: Failure = Transient(
            f"{target(message)}: cannot connect: {clean(str(error) or 'no answer', secrets)}", type=NO_CONNECTION
        )
    except (TimeoutError, httpx2.TimeoutException):
        problem = _lost(reads, f"{target(message)}: no answer within {message.timeout}", NO_ANSWER)
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.LocalProtocolError) as error:
        problem = Permanent(f"{target(message)}: {clean(str(error), secrets)}", type=INVALID_INPUT)
    except httpx2.DecodingError:
        problem = _lost(reads, f"{target(message)}: the reply's body cannot be decoded", NO_CONNECTION)
    except httpx2.TransportError as error:
        problem = _lost(reads, f"{target(message)}: the connection broke: {clean(str(error), secrets)}", NO_CONNECTION)
    # Without the client's own error behind it: that one may show headers.
    raise problem


def target(message: Outgoing) -> str:
    """Return method and url without its query, which may be long or personal."""
    return f"{message.method} {str(message.url).partition('?')[0][:200]}"


class Final(Unknown):
    """Something has happened, or may have, and another attempt would not change what is known."""

    retryable = False


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


async def _read(answer: httpx2.Response, reads: bool) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            message = f"the reply ({answer.status_code}) has more than {MAX_RESPONSE_BYTES} bytes"
            # The request was answered, so it must not be sent again only because the answer is long.
            raise Permanent(message, type=TOO_LARGE) if reads else Final(message, type=TOO_LARGE)
    return bytes(body)


def _lost(reads: bool, message: str, error_type: str) -> Failure:
    """Return the error for an answer that never came: after a mere read there is nothing to undo."""
    return Transient(message, type=error_type) if reads else Unknown(message, type=error_type)
