"""Payload codecs of users: that lengthen, shorten, seal and encrypt, and one whose server is away at times."""

from __future__ import annotations

import base64
import os
import zlib
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

from sagadsl.temporal.link.encryption import EncryptionCodec
from sagadsl.temporal.link.keys import LONGEST_ID, EncryptionKey

SEAL_BYTES = 60
WRAPPED_KEY_BYTES = 700
_MIRROR = bytes(range(255, -1, -1))


class Coded(PayloadCodec):
    """A codec made of two functions on bytes."""

    def __init__(self, name: str, to: Callable[[bytes], bytes], back: Callable[[bytes], bytes]) -> None:
        self.encoding = f"binary/{name}".encode()
        self.to, self.back = to, back

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(metadata={"encoding": self.encoding}, data=self.to(each.SerializeToString())) for each in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload.FromString(self.back(each.data)) if each.metadata["encoding"] == self.encoding else each
            for each in payloads
        ]


class Away(Coded):
    """A codec whose server does not answer at times: it fails whenever ``fails`` says so of what it shall do."""

    def __init__(self) -> None:
        super().__init__("away", bytes, bytes)
        self.fails: Callable[[str, Sequence[Payload]], bool] = lambda doing, payloads: False
        self.failures = 0

    def _ask(self, doing: str, payloads: Sequence[Payload]) -> None:
        if self.fails(doing, payloads):
            self.failures += 1
            raise ConnectionRefusedError("the key server is away")

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        self._ask("encode", payloads)
        return await super().encode(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        self._ask("decode", payloads)
        return await super().decode(payloads)


def base64_codec() -> PayloadCodec:
    """Lengthens by a third."""
    return Coded("base64", base64.b64encode, base64.b64decode)


def zlib_codec() -> PayloadCodec:
    """Shortens."""
    return Coded("zlib", zlib.compress, zlib.decompress)


def sealed() -> PayloadCodec:
    """Adds what encryption adds: a nonce, a key's name and a tag."""
    seal = b"#" * SEAL_BYTES
    return Coded("sealed", lambda data: data.translate(_MIRROR) + seal, _opened)


def _opened(data: bytes) -> bytes:
    return data[:-SEAL_BYTES].translate(_MIRROR)


def aes_codec(secret: bytes = b"k" * 32) -> PayloadCodec:
    """Encrypts each payload: AES-GCM with a nonce of its own."""
    key, nonce_bytes = AESGCM(secret), 12

    def seal(data: bytes) -> bytes:
        nonce = os.urandom(nonce_bytes)
        return nonce + key.encrypt(nonce, data, b"")

    return Coded("aes", seal, lambda data: key.decrypt(data[:nonce_bytes], data[nonce_bytes:], b""))


def ours() -> PayloadCodec:
    """Encrypts as sagadsl itself does, with the longest id of a key."""
    return EncryptionCodec([EncryptionKey("k" * LONGEST_ID, b"k" * 32)])


def another_of_ours() -> PayloadCodec:
    """The same with a key of another id."""
    return EncryptionCodec([EncryptionKey("other", b"o" * 32)])


def other_key() -> PayloadCodec:
    """The same with another key."""
    return aes_codec(b"o" * 32)


def wrapped() -> PayloadCodec:
    """Adds what a key server adds: the payload's own key, encrypted."""
    key = b"k" * WRAPPED_KEY_BYTES
    return Coded(
        "wrapped", lambda data: key + data.translate(_MIRROR), lambda data: data[WRAPPED_KEY_BYTES:].translate(_MIRROR)
    )


def secretive() -> DataConverter:
    """Encrypts what an error says, too."""
    return DataConverter(
        payload_codec=aes_codec(), failure_converter_class=DefaultFailureConverterWithEncodedAttributes
    )


def twelvefold() -> PayloadCodec:
    """Lengthens more than any codec should."""
    return Coded("twelvefold", lambda data: data * 12, lambda data: data[: len(data) // 12])


def broken() -> PayloadCodec:
    """Cannot even be made."""
    raise ValueError("no key")


def never() -> PayloadCodec:
    """Its server never answers."""
    codec = Away()
    codec.fails = lambda doing, payloads: True
    return codec
