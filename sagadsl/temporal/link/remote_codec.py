"""A codec that runs elsewhere and is asked over HTTP, by the protocol of Temporal's codec servers."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

from sagadsl.temporal.link.shown import SettingsUnusable

_SECONDS = 10.0
_LONGEST_ANSWER = 16 * 1024 * 1024


class EndpointRefused(Exception):
    """The endpoint has not answered with payloads."""


class RemoteCodec(PayloadCodec):
    """Asks ``ENDPOINT/encode`` and ``ENDPOINT/decode``."""

    def __init__(self, endpoint: str, namespace: str, auth: str | None = None) -> None:
        self.endpoint = endpoint.replace("{namespace}", quote(namespace, safe=""))
        self._headers: Mapping[str, str] = {
            "Content-Type": "application/json",
            "X-Namespace": namespace,
            **({"Authorization": auth} if auth else {}),
        }
        if any(not value.isascii() or not value.isprintable() for value in self._headers.values()):
            raise SettingsUnusable(
                "what the codec endpoint would get as a header has characters that no header has",
                "the namespace and `TEMPORAL_CODEC_AUTH` are visible ASCII characters",
            )

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Have the payloads encoded. Raises ``EndpointRefused``."""
        return await asyncio.to_thread(self._ask, "encode", payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Have the payloads decoded. Raises ``EndpointRefused``."""
        return await asyncio.to_thread(self._ask, "decode", payloads)

    def _ask(self, doing: Literal["encode", "decode"], payloads: Sequence[Payload]) -> list[Payload]:
        if not payloads:
            return []
        body = json_format.MessageToJson(Payloads(payloads=payloads), indent=None).encode()
        url = f"{self.endpoint}/{doing}"
        request = urllib.request.Request(url, body, dict(self._headers), method="POST")
        try:
            with _OPENER.open(request, timeout=_SECONDS) as answer:
                raw = answer.read(_LONGEST_ANSWER + 1)
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(300).decode("utf-8", "replace").strip()
            raise EndpointRefused(f"{url} answers {error.code}{f': {said}' if said else ''}") from None
        except OSError as error:
            raise EndpointRefused(f"{url} does not answer: {getattr(error, 'reason', error)}") from None
        return _payloads(raw, len(payloads), url)


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: credentials and data are for the address that the operator has named."""


_OPENER = urllib.request.build_opener(NoRedirects)


def asking(endpoint: str, namespace: str, auth: str | None) -> DataConverter:
    """Return the converter whose payloads, and what errors say, an endpoint encodes."""
    return DataConverter(
        payload_codec=RemoteCodec(endpoint, namespace, auth),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def _payloads(raw: bytes, number: int, url: str) -> list[Payload]:
    try:
        found = list(json_format.Parse(raw, Payloads(), ignore_unknown_fields=True).payloads)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError):
        raise EndpointRefused(f"{url} answers something that is no list of payloads") from None
    if len(found) != number:
        raise EndpointRefused(f"{url} answers {len(found)} payloads for {number}")
    return found
