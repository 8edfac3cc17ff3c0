"""Payloads encrypted by AES-256-GCM, in the form that the encryption samples of Temporal's SDKs write and read.

A payload ``{metadata: {encoding: binary/encrypted, encryption-key-id: ID}, data: NONCE + CIPHERTEXT + TAG}`` holds the
whole payload that it replaces, serialised, with a nonce of 12 random bytes and a tag of 16 bytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

from sagadsl.temporal.link.codec import DataUnreadable, patient_codec
from sagadsl.temporal.link.keys import EncryptionKey, KeyUnusable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
_NONCE_BYTES = 12


class NotDecrypted(DataUnreadable):
    """Data is encrypted, and no key of this process opens it."""

    code = "SD918"

    @property
    def help(self) -> str:
        return (
            "give this process the keys that the workers have, the earlier ones too: `[encryption]` of sagadsl.toml, "
            "`--encryption-key`, or `SAGADSL_ENCRYPTION_KEYS`"
        )


class EncryptionCodec(PayloadCodec):
    """Encrypts by the first key, and decrypts by whichever key the data names. Data in clear is let through."""

    def __init__(self, keys: Sequence[EncryptionKey]) -> None:
        if not keys:
            raise ValueError("there is no key")
        self.key_id = keys[0].id
        self._first = self.key_id.encode()
        self._ciphers: Mapping[bytes, AESGCM] = {key.id.encode(): _cipher(key) for key in keys}

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt each payload."""
        return [self._sealed(each) for each in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt each payload that is encrypted. Raises ``NotDecrypted``."""
        return [self._opened(each) if each.metadata.get("encoding") == ENCODING else each for each in payloads]

    def _sealed(self, payload: Payload) -> Payload:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self._first].encrypt(nonce, payload.SerializeToString(), None)
        return Payload(metadata={"encoding": ENCODING, KEY_ID: self._first}, data=nonce + sealed)

    def _opened(self, payload: Payload) -> Payload:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 # as in `_cipher`

        id_ = payload.metadata.get(KEY_ID, b"")
        named = id_[:200].decode("utf-8", "replace")
        cipher = self._ciphers.get(id_)
        if cipher is None:
            known = ", ".join(f"`{each.decode()}`" for each in self._ciphers)
            raise NotDecrypted(f"it is encrypted with key `{named}`, and this process has only {known}")
        try:
            return Payload.FromString(cipher.decrypt(payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:], None))
        except (InvalidTag, ValueError, DecodeError):
            reason = f"key `{named}` of this process does not open it: it is another key under this id"
            raise NotDecrypted(f"{reason}, or the data was changed") from None


def key_in_use(converter: DataConverter) -> str | None:
    """Return the id of the key by which a converter encrypts; ``None`` if it does not encrypt by keys."""
    own = patient_codec(converter).codec
    return own.key_id if isinstance(own, EncryptionCodec) else None


def key_of_payload(payload: Payload) -> str:
    """Return the id of the key by which a payload is encrypted; empty if it is not."""
    is_ours = payload.metadata.get("encoding") == ENCODING
    return payload.metadata.get(KEY_ID, b"").decode("utf-8", "replace") if is_ours else ""


def encrypting(keys: Sequence[EncryptionKey]) -> DataConverter:
    """Return the converter that encrypts payloads, and what errors say. Raises ``KeyUnusable``."""
    return DataConverter(
        payload_codec=EncryptionCodec(keys), failure_converter_class=DefaultFailureConverterWithEncodedAttributes
    )


def _cipher(key: EncryptionKey) -> AESGCM:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 # only who encrypts pays for it
    except ModuleNotFoundError:
        reason = "the package `cryptography` is not installed; `pip install 'sagadsl[encryption]'` brings it"
        raise KeyUnusable(key.id, "AES-256-GCM", reason) from None
    return AESGCM(key.secret)
