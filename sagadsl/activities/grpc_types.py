"""The types of a gRPC service: from a descriptor set on the worker's disk, or from the server's own reflection."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet, MethodOptions
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from sagadsl.activities.grpc_request import NO_TYPES
from sagadsl.authoring import Permanent
from sagadsl.errors import reason_of
from sagadsl.immutable import Immutable
from sagadsl.language.own_errors import INVALID_INPUT

FOLDER = "SAGADSL_GRPC_DESCRIPTORS"
"""The worker's folder with descriptor sets, as ``protoc --include_imports --descriptor_set_out`` writes them."""

_FRESH = 60.0
_MOST_ANSWERS = 1_000
_OLDER, _NEWER = (f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1alpha", "v1"))


class Method(Immutable):
    """One method of a service.

    Attributes:
        pool: Knows its types, and those that a message may embed.
        reads: The service itself says that the method changes nothing.
    """

    descriptor: Any
    pool: Any
    reads: bool


class Question(NamedTuple):
    """How a server is asked for its types: with the metadata of the call, so that it knows who asks."""

    channel: Any
    target: str
    metadata: tuple[tuple[str, str], ...]
    seconds: float


_files: dict[tuple[Path, int], DescriptorPool] = {}
_reflected: dict[tuple[str, str], tuple[DescriptorPool, float]] = {}


def from_file(name: str, service: str, method: str) -> Method:
    """Return a method as a descriptor set describes it. Raises ``Permanent`` if there is none."""
    folder = os.environ.get(FOLDER)
    if not folder:
        raise Permanent(f"`descriptors` needs {FOLDER} of the worker, the folder of its descriptor sets", type=NO_TYPES)
    path = Path(folder, name)
    try:
        key = (path, path.stat().st_mtime_ns)
        pool = _files.get(key)
        if pool is None:
            pool = DescriptorPool()
            for each in _in_order(FileDescriptorSet.FromString(path.read_bytes())):
                pool.Add(each)
            _files[key] = pool
        return _method(pool, service, method, f"`{name}`")
    except OSError as error:
        raise Permanent(f"the descriptor set `{name}` cannot be read: {reason_of(error)}", type=NO_TYPES) from None
    except (DecodeError, TypeError) as error:
        raise Permanent(f"`{name}` is no complete descriptor set: {error}", type=NO_TYPES) from None


async def from_server(asking: Question, service: str, method: str) -> Method:
    """Return a method as the server describes it. Raises ``Permanent``, or ``grpc.RpcError`` of the question."""
    key = (asking.target, service)
    pool, until = _reflected.get(key, (None, 0.0))
    if pool is None or until < monotonic():
        pool = await asyncio.to_thread(_asked, asking, service)
        if len(_reflected) >= _MOST_ANSWERS:
            _reflected.clear()
        _reflected[key] = (pool, monotonic() + _FRESH)
    return _method(pool, service, method, f"`{asking.target}`")


def _asked(asking: Question, service: str) -> DescriptorPool:
    for path in (_OLDER, _NEWER):
        try:
            channel: Any = _Bounded(asking, path)
            pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
            found = pool.FindServiceByName(service)
            for each in found.methods:  # loads what the messages need, while the server can be asked
                _ = each.input_type.fields, each.output_type.fields
            return pool
        except KeyError:
            raise Permanent(f"`{asking.target}` knows no service `{service}`", type=NO_TYPES) from None
        except AssertionError as error:  # the library's way to tell of another error than NOT_FOUND
            raise Permanent(f"`{asking.target}` does not describe `{service}`: {error}", type=NO_TYPES) from None
        except TypeError as error:
            raise Permanent(f"`{asking.target}` describes `{service}` wrongly: {error}", type=NO_TYPES) from None
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
    raise Permanent(
        f"`{asking.target}` does not describe its services (no reflection): give `descriptors`", type=NO_TYPES
    )


class _Bounded:
    """Gives every question of the library a time limit, the call's metadata and the path of a version; counts them."""

    def __init__(self, asking: Question, path: str) -> None:
        self._asking = asking
        self._path = path
        self._left = _MOST_ANSWERS

    def stream_stream(self, _path: str, *rest: Any, **more: Any) -> Any:
        """Stand in for the channel, of which the library uses this method alone."""
        send: Any = self._asking.channel.stream_stream(self._path, *rest, **more)

        def ask(questions: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                raise Permanent(f"`{self._asking.target}` describes more than {_MOST_ANSWERS} files", type=NO_TYPES)
            return send(questions, timeout=self._asking.seconds, metadata=self._asking.metadata)

        return ask


def _method(pool: DescriptorPool, service: str, method: str, where: str) -> Method:
    try:
        found: MethodDescriptor | None = pool.FindServiceByName(service).FindMethodByName(method)
    except KeyError:  # of the service; of the method in some releases
        found = None
    if found is None:
        raise Permanent(f"{where} knows no method `{method}` of `{service}`", type=NO_TYPES)
    if found.client_streaming or found.server_streaming:
        raise Permanent(
            f"`{service}/{method}` is a stream; `grpc.request` makes calls with one message each way",
            type=INVALID_INPUT,
        )
    return Method(found, pool, found.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS)


def _in_order(files: FileDescriptorSet) -> Iterator[Any]:
    """Yield the files of a set, each after those that it imports."""
    left = {each.name: each for each in files.file}
    while left:
        ready = [each for each in left.values() if not any(name in left for name in each.dependency)]
        if not ready:
            raise TypeError("its files import each other")
        for each in ready:
            yield left.pop(each.name)
