"""Ed25519 keys that sign definitions, as PEM files: the form that ``openssl`` reads and writes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from sagadsl.errors import NeedsExtra, SagadslError, reason_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_LONGEST = 10_000
"""Bytes of a file: a key is shorter, and a device would never end."""
_ID = 16


class SigningKeyUnusable(SagadslError):
    """A key that signs definitions, or proves their signatures, cannot be had, or is none."""

    code: ClassVar[str] = "SD990"
    exit_code: ClassVar[int] = 3

    def __init__(self, path: str, reason: str, remedy: str = "") -> None:
        super().__init__(path, reason, remedy)
        self.path, self.reason, self.remedy = path, reason, remedy

    def __str__(self) -> str:
        return f"signing key `{self.path}` cannot be used: {self.reason}"

    @property
    def help(self) -> str:
        return self.remedy or "a key is an Ed25519 key in a PEM file: `sagadsl keygen FILE` makes one"


def key_id(public: Ed25519PublicKey) -> str:
    """Return the name of a key: the beginning of the SHA-256 of its 32 bytes, in hexadecimal."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()[:_ID]


def new_key(path: Path) -> tuple[Path, str]:
    """Write a new key to *path*, readable by its owner alone, and its public part beside it.

    Returns the path of the public part, and the id. Raises ``SigningKeyUnusable``; a file that is there stays.
    """
    _need()
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 # an extra
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    made = Ed25519PrivateKey.generate()
    public = made.public_key()
    pem = serialization.Encoding.PEM
    secret = made.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    beside = path.with_name(f"{path.name}.pub")
    if beside.exists():
        raise SigningKeyUnusable(str(beside), "the file is there already", "choose another name")
    _write(path, secret, 0o600)
    _write(beside, public.public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo), 0o644)
    return beside, key_id(public)


def private_key(path: str) -> Ed25519PrivateKey:
    """Return the key that signs. Raises ``SigningKeyUnusable``."""
    _need()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 # an extra
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    text = _read(path)
    try:
        found = load_pem_private_key(text, None)
    except TypeError:
        raise SigningKeyUnusable(path, "a password protects it", "sign with a copy without a password") from None
    except Exception:  # noqa: BLE001 # whatever a library says of a secret stays unsaid
        if b"PUBLIC KEY" in text:
            raise SigningKeyUnusable(path, "it is the public part", "name the private part, without `.pub`") from None
        raise SigningKeyUnusable(path, "it holds no private key in PEM form") from None
    if not isinstance(found, Ed25519PrivateKey):
        raise SigningKeyUnusable(path, f"it is of another kind: {type(found).__name__.lstrip('_')}")
    return found


def public_key(path: str) -> Ed25519PublicKey:
    """Return the key that proves signatures. Raises ``SigningKeyUnusable``, also for a private key."""
    _need()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 # an extra
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    text = _read(path)
    if b"PRIVATE KEY" in text:
        raise SigningKeyUnusable(path, "it is the private part", "name the public part, `FILE.pub`, and keep that safe")
    try:
        found = load_pem_public_key(text)
    except Exception:  # noqa: BLE001 # as above
        raise SigningKeyUnusable(path, "it holds no public key in PEM form") from None
    if not isinstance(found, Ed25519PublicKey):
        raise SigningKeyUnusable(path, f"it is of another kind: {type(found).__name__.lstrip('_')}")
    return found


def _need() -> None:
    try:
        import cryptography  # noqa: F401, PLC0415 # an extra
    except ModuleNotFoundError as error:
        raise NeedsExtra(error.name or str(error), "encryption") from None


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(_LONGEST)
    except (OSError, ValueError) as error:
        raise SigningKeyUnusable(path, reason_of(error)) from None


def _write(path: Path, text: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise SigningKeyUnusable(str(path), "the file is there already", "choose another name") from None
    except FileNotFoundError:
        raise SigningKeyUnusable(str(path), f"there is no folder `{path.parent}`", "make it first") from None
    except OSError as error:
        raise SigningKeyUnusable(str(path), reason_of(error)) from None
    with os.fdopen(handle, "wb") as file:
        file.write(text)
