"""The codec of the gateway for others, by Temporal's protocol of codec servers: for its Web UI and its command.

Who asks needs a right of its own, ``payloads``: this is the key to the data of every saga, whatever its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from google.protobuf import json_format
from starlette.responses import JSONResponse, Response
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import PayloadCodec

from sagadsl.gateway.problems import BadBody, BadParameter, NoRoute, NotAllowed
from sagadsl.gateway.requests import Handler, Inquiry
from sagadsl.temporal.link.codec import patient_codec

MOST_BYTES = 6_000_000
"""Bytes of a body: what the server sends in one message (4 MiB), in base64."""

Doing = Literal["encode", "decode"]


def coding(doing: Doing) -> Handler:
    """Return the handler that encodes, or that decodes."""

    async def handle(inquiry: Inquiry) -> Response:
        """Send the payloads back, encoded or decoded; what is in clear is decoded already."""
        inquiry.query()
        if not inquiry.who.may("payloads", doing):
            raise NotAllowed(f"`{inquiry.who.name}` may not {doing} payloads")
        _check_namespace(inquiry)
        codec = patient_codec(inquiry.client.data_converter)
        if codec.codec is None:
            raise NoRoute("this gateway has no codec", "give it the keys of the workers, see `[encryption]`")
        given = _payloads(await inquiry.body(limit=MOST_BYTES))
        inquiry.audit(doing, "", "done" if given else "nothing", payloads=str(len(given)))
        made = Payloads(payloads=await _coded(codec.once(), doing, given))
        return JSONResponse({"payloads": json_format.MessageToDict(made).get("payloads", [])})

    return handle


def _check_namespace(inquiry: Inquiry) -> None:
    named = inquiry.request.headers.get("x-namespace")
    if named is not None and named != inquiry.client.namespace:
        own = inquiry.client.namespace
        raise BadParameter(f"`X-Namespace` is `{named[:200]}`, and the keys of this gateway are for `{own}`")


def _payloads(body: object) -> Sequence[Payload]:
    """Return the payloads in a body. Raises ``BadBody``."""
    try:
        if not isinstance(body, dict):
            raise json_format.ParseError("it is no object")
        return json_format.ParseDict(body, Payloads()).payloads
    except (json_format.ParseError, ValueError, TypeError, AttributeError) as error:
        reason = str(error)[:200]
        raise BadBody(f"the body is no list of payloads: {reason}", 'as in `{"payloads": […]}`, in base64') from None


async def _coded(codec: PayloadCodec, doing: Doing, payloads: Sequence[Payload]) -> Sequence[Payload]:
    if not payloads:
        return payloads
    return await (codec.encode(payloads) if doing == "encode" else codec.decode(payloads))
