"""One unary gRPC call over a connection of its own, whose types are only known while it runs.

gRPC gets addresses that may be reached, never a name to look up. Every error says what is known about the effect:
until the message is sent nothing was done.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import grpc
from google.protobuf import json_format
from google.protobuf.message import DecodeError, EncodeError
from google.protobuf.message_factory import GetMessageClass

from sagadsl.activities.exchange import MAX_RESPONSE_BYTES, Final
from sagadsl.activities.grpc_request import NO_CONNECTION, TOO_LARGE
from sagadsl.activities.grpc_types import Method, Question, from_file, from_server
from sagadsl.activities.inputs import clean, clean_data
from sagadsl.activities.reach import permitted_addresses
from sagadsl.activities.tracing import traced
from sagadsl.authoring import Failure, Permanent, Transient, Unknown
from sagadsl.immutable import Hidden, Immutable
from sagadsl.language.own_errors import INVALID_INPUT

_CONNECT_SECONDS = 10.0
_EXCERPT = 500
_Code = grpc.StatusCode
_NO = (
    _Code.INVALID_ARGUMENT,
    _Code.NOT_FOUND,
    _Code.ALREADY_EXISTS,
    _Code.PERMISSION_DENIED,
    _Code.UNAUTHENTICATED,
    _Code.FAILED_PRECONDITION,
    _Code.OUT_OF_RANGE,
    _Code.UNIMPLEMENTED,
)
"""A definite no: nothing was done."""
_LATER = (_Code.RESOURCE_EXHAUSTED, _Code.ABORTED)
"""Nothing was done, and another attempt may help. After all other codes nobody knows."""
_TOO_LARGE = "Received message larger than max"
"""What the library says of a reply over the limit, under the code of a server that has no room."""


class UnaryRequest(Immutable):
    """A unary request: where it goes, and all that it sends.

    Attributes:
        descriptors: Name of a descriptor set; ``None`` asks the server.
        key: Under which metadata the idempotency key travels (empty: it does not), and the key.
        end: When it has to be over, by the monotonic clock.
    """

    target: str
    service: str
    method: str
    message: Mapping[str, Any]
    metadata: Hidden[Mapping[str, str]]
    tls: bool
    descriptors: str | None
    key: tuple[str, str]
    end: float

    def left(self, most: float = float("inf")) -> float:
        """Return the seconds that are left, *most* at most."""
        return max(min(self.end - monotonic(), most), 0.0)


async def send_unary(request: UnaryRequest, secrets: Iterable[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Send a request and return the reply and its metadata, both without secrets."""
    async with _channel(request) as channel:
        method = await _method(request, channel, secrets)
        name, key = request.key
        metadata = {**traced(), **({name: key} if name and not method.reads else {}), **request.metadata}
        send: Any = channel.unary_unary(f"/{request.service}/{request.method}", None, None)
        running = send.future(_encoded(request, method), timeout=request.left(), metadata=tuple(metadata.items()))
        await _settled(running)
        if running.code() is not _Code.OK:
            raise _failure(request, running.code(), running.details(), method.reads, secrets)
        return _decoded(request, method, running, secrets)


def error_type(code: grpc.StatusCode) -> str:
    """Return the name under which definitions know a code."""
    return "Grpc" + "".join(word.capitalize() for word in code.name.split("_"))


@contextlib.asynccontextmanager
async def _channel(request: UnaryRequest) -> AsyncIterator[grpc.Channel]:
    """Connect. Every error is clean, since nothing was sent."""
    parts = urlsplit(f"grpc://{request.target}")
    host, port = (parts.hostname or "").lower(), parts.port or 0
    try:
        addresses = await permitted_addresses(host, port)
    except OSError as error:
        raise Transient(f"{_shown(request)}: cannot connect: {error}", type=NO_CONNECTION) from None
    older = [f"{each}:{port}" for each in addresses if ":" not in each]
    newer = [f"[{each}]:{port}" for each in addresses if ":" in each]
    families = [f"{kind}:{','.join(found)}" for kind, found in (("ipv4", older), ("ipv6", newer)) if found]
    for family in families:  # a channel takes addresses of one kind
        channel = _opened(request, family, host, parts.netloc)
        try:
            if await _is_connected(channel, request.left(_CONNECT_SECONDS)):
                yield channel
                return
        finally:
            channel.close()
    how = "with TLS" if request.tls else "without TLS"
    raise Transient(f"{_shown(request)}: cannot connect ({how})", type=NO_CONNECTION)


def _opened(request: UnaryRequest, addresses: str, host: str, authority: str) -> grpc.Channel:
    options = [
        ("grpc.default_authority", authority),
        ("grpc.ssl_target_name_override", host),
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
    ]
    if request.tls:
        return grpc.secure_channel(addresses, grpc.ssl_channel_credentials(_roots()), options)
    return grpc.insecure_channel(addresses, options)


def _roots() -> bytes | None:
    """Return the certificates that the operator trusts, as for the HTTP client; ``None`` for the usual ones."""
    path = os.environ.get("SSL_CERT_FILE")
    return Path(path).read_bytes() if path else None


async def _is_connected(channel: grpc.Channel, seconds: float) -> bool:
    """Try to connect once, to each address of the channel."""
    loop = asyncio.get_running_loop()
    settled: asyncio.Future[bool] = loop.create_future()

    def seen(state: grpc.ChannelConnectivity) -> None:
        if state in (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE):
            _tell(loop, settled, state is grpc.ChannelConnectivity.READY)

    channel.subscribe(seen, try_to_connect=True)
    try:
        async with asyncio.timeout(seconds):
            return await settled
    except TimeoutError:
        return False
    finally:
        channel.unsubscribe(seen)


async def _method(request: UnaryRequest, channel: grpc.Channel, secrets: Iterable[str]) -> Method:
    if request.descriptors is not None:
        return from_file(request.descriptors, request.service, request.method)
    asking = Question(channel, request.target, tuple(request.metadata.items()), request.left())
    try:
        return await from_server(asking, request.service, request.method)
    except grpc.RpcError as error:
        # a mere read: nothing was done, whatever the code
        problem = _failure(request, error.code(), error.details(), True, secrets)
    raise problem


def _encoded(request: UnaryRequest, method: Method) -> bytes:
    kind = method.descriptor.input_type
    try:
        made = json_format.ParseDict(dict(request.message), GetMessageClass(kind)(), descriptor_pool=method.pool)
        data: bytes = made.SerializeToString()
    except (json_format.ParseError, EncodeError) as error:
        raise Permanent(f"`message` is no `{kind.full_name}`: {error}", type=INVALID_INPUT) from None
    return data


def _decoded(
    request: UnaryRequest, method: Method, running: Any, secrets: Iterable[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    kind = method.descriptor.output_type
    try:
        made = GetMessageClass(kind).FromString(running.result())
        message: Any = json_format.MessageToDict(
            made, always_print_fields_with_no_presence=True, descriptor_pool=method.pool
        )
    except (DecodeError, json_format.SerializeToJsonError, TypeError, ValueError) as error:
        text = f"{_shown(request)}: the reply is no `{kind.full_name}`: {clean(str(error), secrets)}"
        raise (Permanent if method.reads else Final)(text, type=error_type(_Code.DATA_LOSS)) from None
    texts = {
        name: clean(value, secrets)
        for name, value in (*running.initial_metadata(), *running.trailing_metadata())
        if isinstance(value, str)
    }
    if not isinstance(message, dict):  # the well-known types that are no object in JSON
        message = {"value": message}
    return clean_data(message, secrets), texts


def _failure(
    request: UnaryRequest, code: grpc.StatusCode, said: str | None, reads: bool, secrets: Iterable[str]
) -> Failure:
    said = clean(said or "", secrets)[:_EXCERPT]
    text = f"{_shown(request)}: {code.name}" + (f": {said}" if said else "")
    details = {"code": code.name, "message": said}
    if code is _Code.RESOURCE_EXHAUSTED and _TOO_LARGE in said:
        return (Permanent if reads else Final)(text, details, type=TOO_LARGE)
    if code in _NO:
        kind: type[Failure] = Permanent
    else:
        kind = Transient if reads or code in _LATER else Unknown
    return kind(text, details, type=error_type(code))


async def _settled(running: Any) -> None:
    """Wait for a call; when this task is cancelled, so is the call."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    running.add_done_callback(lambda _: _tell(loop, done, None))
    try:
        await done
    except asyncio.CancelledError:
        running.cancel()
        raise


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], value: Any) -> None:
    """Set a result from a thread of gRPC's; the loop may have gone, and somebody may have been quicker."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(lambda: None if future.done() else future.set_result(value))


def _shown(request: UnaryRequest) -> str:
    return f"{request.service}/{request.method} at {request.target}"[:200]
