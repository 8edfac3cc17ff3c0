"""A gRPC server of this process, on the loopback interface: ``shop.Payments``, described by reflection or by a file."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import timestamp_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet, MethodOptions
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection

SERVICE = "shop.Payments"
TYPES = {"int64": 3, "int32": 5, "string": 9, "message": 11, "bytes": 12, "enum": 14, "double": 1}


def _message(name: str, *fields: tuple[str, str] | tuple[str, str, str]) -> DescriptorProto:
    made = DescriptorProto(name=name)
    for number, (field_name, kind, *of) in enumerate(fields, 1):
        label = 3 if kind.endswith("*") else 1
        type_name = f".{of[0]}" if of else None
        made.field.add(name=field_name, number=number, label=label, type=TYPES[kind.rstrip("*")], type_name=type_name)
    return made


def files() -> FileDescriptorSet:
    """Return what ``protoc --include_imports`` would write; the file with the service comes first, on purpose."""
    stamp = FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(stamp)
    money = FileDescriptorProto(name="shop/money.proto", package="shop", syntax="proto3")
    currency = money.enum_type.add(name="Currency")
    for number, name in enumerate(("EUR", "USD")):
        currency.value.add(name=name, number=number)
    payments = FileDescriptorProto(name="shop/payments.proto", package="shop", syntax="proto3")
    payments.dependency.extend([money.name, stamp.name])
    payments.message_type.append(
        _message(
            "ChargeRequest",
            ("amount", "int64"),
            ("card_number", "string"),
            ("currency", "enum", "shop.Currency"),
            ("at", "message", "google.protobuf.Timestamp"),
            ("note", "bytes"),
            ("tries", "int32"),
        )
    )
    payments.message_type.append(
        _message(
            "ChargeReply",
            ("id", "string"),
            ("amount", "int64"),
            ("tries", "int32"),
            ("tags", "string*"),
            ("currency", "enum", "shop.Currency"),
            ("at", "message", "google.protobuf.Timestamp"),
        )
    )
    service = payments.service.add(name="Payments")
    for name in ("Charge", "Find", "Watch"):
        method = service.method.add(name=name, input_type=".shop.ChargeRequest", output_type=".shop.ChargeReply")
        method.server_streaming = name == "Watch"
        if name == "Find":
            method.options.idempotency_level = MethodOptions.NO_SIDE_EFFECTS
    return FileDescriptorSet(file=[payments, money, stamp])


@dataclass
class Shop:
    """The server.

    Attributes:
        target: Host and port.
        codes: What the next calls answer, in order, as name of a code; afterwards they succeed.
        seen: Method, request and metadata of each call.
        asked: How often somebody asked for its types, and the metadata of the last one.
        release: Lets slow calls go.
    """

    target: str = ""
    codes: list[str] = field(default_factory=list)
    seen: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def answer(self, name: str, request: Any, context: grpc.ServicerContext, reply: Any) -> Any:
        self.seen.append((name, request, dict(context.invocation_metadata())))
        if self.codes:
            context.abort(grpc.StatusCode[self.codes.pop(0)], f"no, {request.card_number}")
        match request.card_number:
            case "slow":
                self.release.wait(30)
            case "big":
                return reply(id="x" * 2_000_000)
            case "garbage":
                return b"\xff\xff"
        saw = dict(context.invocation_metadata()).get("authorization", "")
        context.set_trailing_metadata((("x-saw", saw), ("x-raw-bin", b"\x01")))
        tags = [each for each in (request.card_number, saw) if each]
        return reply(id="ch-1", amount=request.amount, tags=tags, currency=request.currency, at=request.at)


class _Watched(grpc.ServerInterceptor):
    def __init__(self, shop: Shop, only: str) -> None:
        self._shop = shop
        self._only = only

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        if details.method.startswith("/grpc.reflection."):
            version = details.method.split(".")[2]
            self._shop.asked.append((version, dict(details.invocation_metadata)))
            if self._only and version != self._only:
                return None
            if version == "v1":  # the same messages under another name
                path = details.method.replace(".v1.", ".v1alpha.")
                return continuation(details._replace(method=path))
        return continuation(details)


@contextlib.contextmanager
def shop(
    *, described: bool = True, only: str = "", credentials: grpc.ServerCredentials | None = None
) -> Iterator[Shop]:
    """Serve until the end; *described*: by reflection, *only* by this version of it."""
    made = Shop()
    pool = DescriptorPool()
    for each in reversed(files().file):
        pool.Add(each)
    service = pool.FindServiceByName(SERVICE)
    takes, gives = (GetMessageClass(kind) for kind in (service.methods[0].input_type, service.methods[0].output_type))

    def handler(name: str) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: made.answer(name, request, context, gives),
            takes.FromString,
            lambda reply: reply if isinstance(reply, bytes) else reply.SerializeToString(),
        )

    server = grpc.server(ThreadPoolExecutor(4), interceptors=[_Watched(made, only)])
    handlers = {name: handler(name) for name in ("Charge", "Find")}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    if described:
        reflection.enable_server_reflection([SERVICE], server, pool=pool)
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    made.target = f"127.0.0.1:{port}"
    try:
        yield made
    finally:
        made.release.set()
        server.stop(None).wait()
