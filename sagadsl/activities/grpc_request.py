"""``grpc.request``: one unary gRPC call as a step, without generated code and without a plugin.

The address that is connected to is looked at, as for ``http.request``: gRPC gets addresses, never a name to look up.
Secrets and tokens are in no result, error or log (R18). Knows nothing of Temporal.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from time import monotonic
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sagadsl.activities import tokens
from sagadsl.activities.inputs import Duration, Secret, Secrets
from sagadsl.activities.reach import FORBIDDEN, permitted_host
from sagadsl.activities.tokens import Auth
from sagadsl.authoring import Context, Failure, Permanent, activity
from sagadsl.immutable import replace
from sagadsl.language.notation.durations import parse
from sagadsl.language.own_errors import INVALID_INPUT
from sagadsl.plugins.problems import PluginNeedsExtra

for _package in ("grpc", "grpc_reflection", "httpx2"):
    if find_spec(_package) is None:
        raise PluginNeedsExtra(_package, "pip install 'sagadsl[grpc]'")

NO_CONNECTION = "GrpcConnectionError"
NO_TYPES = "GrpcTypesNotFound"
TOO_LARGE = "GrpcResponseTooLarge"
UNAUTHENTICATED = "GrpcUnauthenticated"

ERRORS = (
    *(NO_CONNECTION, NO_TYPES, TOO_LARGE, FORBIDDEN, tokens.REFUSED, tokens.UNAVAILABLE, UNAUTHENTICATED),
    *("GrpcCancelled", "GrpcUnknown", "GrpcInvalidArgument", "GrpcDeadlineExceeded", "GrpcNotFound"),
    *("GrpcAlreadyExists", "GrpcPermissionDenied", "GrpcResourceExhausted", "GrpcFailedPrecondition", "GrpcAborted"),
    *("GrpcOutOfRange", "GrpcUnimplemented", "GrpcInternal", "GrpcUnavailable", "GrpcDataLoss"),
)


class Unary(BaseModel):
    """One call with one message each way."""

    model_config = ConfigDict(extra="forbid")
    target: Annotated[str, Field(pattern=r"^[^/?#@\s]+:[0-9]{1,5}$", description="Host and port")]
    service: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.\w+)*$", description="With its package: `shop.Payments`")]
    method: Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$", description="`Charge`")]
    message: Annotated[dict[str, Any], Field(description="The request in the JSON form of protobuf")] = Field(
        default_factory=dict
    )
    metadata: Annotated[
        dict[str, str | Secret],
        Field(description="Values may name secrets: `{secret: NAME}`, or `Bearer ${secret:NAME}` within text"),
    ] = Field(default_factory=dict)
    timeout: Annotated[Duration, Field(description="Of the whole call")] = "30s"
    tls: Annotated[bool, Field(description="Whether the connection is encrypted")] = True
    descriptors: Annotated[
        str | None,
        Field(
            pattern=r"^\w[\w.-]*$",
            description="A descriptor set in the worker's folder `SAGADSL_GRPC_DESCRIPTORS`; left out: the server is "
            "asked for its types (reflection)",
        ),
    ] = None
    idempotency_key_metadata: Annotated[
        Annotated[str, Field(pattern=r"^[0-9a-z_.-]+$")] | None,
        Field(description="Carries the step's idempotency key, unless the method only reads; null sends none"),
    ] = "idempotency-key"
    auth: Annotated[Auth | None, Field(description="A token that the worker fetches and sends")] = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Unary:
        if self.auth is not None and "authorization" in self.metadata:
            raise ValueError("a call has either `auth` or the metadata `authorization`")
        return self


class UnaryReply(BaseModel):
    """What came back: the message in the JSON form of protobuf, and the texts of the metadata."""

    model_config = ConfigDict(extra="forbid")
    message: dict[str, Any]
    metadata: dict[str, str]


@activity(
    name="grpc.request",
    errors=ERRORS,
    default_timeout="1m",
    idempotent=True,
    examples=[
        {
            "target": "payments.example.com:443",
            "service": "shop.Payments",
            "method": "Charge",
            "message": {"amount": "100"},
        }
    ],
)
async def request(call: Unary, ctx: Context) -> UnaryReply:
    """Make one unary gRPC call and return its message as JSON.

    The code of a failed call is the error `GrpcNotFound` (with its name). INVALID_ARGUMENT and the like are a
    definite no; RESOURCE_EXHAUSTED and ABORTED are tried again, as is a connection that fails. After
    UNAVAILABLE, DEADLINE_EXCEEDED and the other codes nobody knows whether it happened.
    """
    from sagadsl.activities.grpc_call import UnaryRequest, send_unary  # noqa: PLC0415 # an extra, and heavy

    url = f"grpc://{call.target}"
    permitted_host(url)
    secrets = Secrets(ctx)
    sent = UnaryRequest(
        target=call.target,
        service=call.service,
        method=call.method,
        message=call.message,
        metadata=_metadata(call, secrets, url),
        tls=call.tls,
        descriptors=call.descriptors,
        key=(call.idempotency_key_metadata or "", ctx.idempotency_key),
        end=monotonic() + parse(call.timeout).total_seconds(),
    )
    if call.auth is None:
        message, metadata = await send_unary(sent, secrets.used)
        return UnaryReply(message=message, metadata=metadata)
    grant = tokens.grant(call.auth.oauth2, secrets, url, "target")
    refused: str | None = None
    while True:
        token = await tokens.token(grant, call.timeout, refused)
        secrets.used.append(token)
        bearing = replace(sent, metadata={**sent.metadata, "authorization": f"Bearer {token}"})
        try:
            message, metadata = await send_unary(bearing, secrets.used)
            return UnaryReply(message=message, metadata=metadata)
        except Failure as failure:
            # a token that is not accepted says that nothing was done: once more, with a new one
            if failure.type != UNAUTHENTICATED or refused is not None:
                raise
        refused = token


def _metadata(call: Unary, secrets: Secrets, url: str) -> dict[str, str]:
    made = {}
    for name, value in call.metadata.items():
        filled = secrets.filled(value, f"metadata/{name}", url, "target")
        if not re.fullmatch(r"[0-9a-z_.-]+", name) or name.startswith("grpc-") or name.endswith("-bin"):
            raise Permanent(
                f"metadata `{name}`: a name has small letters, digits and `_.-`, does not begin with `grpc-`, and "
                "does not end in `-bin`",
                type=INVALID_INPUT,
            )
        if not re.fullmatch(r"[\x20-\x7e]*", filled):
            raise Permanent(f"metadata `{name}` holds a character that gRPC does not carry", type=INVALID_INPUT)
        made[name] = filled
    return made
