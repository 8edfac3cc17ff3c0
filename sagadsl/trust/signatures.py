"""Signatures of definitions: what is signed, and the file beside a definition that keeps them.

What is signed is the digest of the definition as a run of it is pinned to, and one of the order in which its keys are
written: what it imports and uses is in place, so it is covered; its schedules are no part of it. The file is
``FILE.sig``, JSON, with an entry for each saga of ``FILE``.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sagadsl.errors import SagadslError, reason_of
from sagadsl.immutable import Immutable
from sagadsl.language.build import digest, ordered_digest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FORMAT = 1
SUFFIX = ".sig"
_KEY = "sagadsl_signatures"
_STATEMENT = "sagadsl definition 1\n{}\n{}\n"
_LONGEST = 1_000_000
"""Bytes of a file of signatures: far more than a file of definitions has sagas."""

Signatures = Mapping[str, Mapping[str, str]]
"""Signatures in base64, by the digest of the definition and the id of the key."""
NO_SIGNATURES: Signatures = {}


class SignaturesUnreadable(SagadslError):
    """A file of signatures is there, and is none."""

    code: ClassVar[str] = "SD992"
    exit_code: ClassVar[int] = 2

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"`{self.path}` cannot be read as signatures: {self.reason}"

    @property
    def help(self) -> str:
        return "`sagadsl sign` writes it anew once it is deleted"


class SignedDigest(Immutable):
    """One signature, as its file has it; the name, the version and the order are for people and other tools."""

    saga: str
    version: str
    digest: str
    order: str
    key: str
    signature: str

    def to_json(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in self.__struct_fields__}


class SignedFile(Immutable):
    """A file of definitions, with the signatures that lie beside it."""

    name: str
    signatures: tuple[SignedDigest, ...]


def statement(definition: Mapping[str, Any]) -> bytes:
    """Return the bytes that are signed for a definition."""
    return _STATEMENT.format(digest(definition), ordered_digest(definition)).encode()


def signed(definition: Mapping[str, Any], key: Ed25519PrivateKey) -> str:
    """Return the signature of a definition, in base64. The same key gives the same one again."""
    return base64.b64encode(key.sign(statement(definition))).decode()


def raw_signature(text: str) -> bytes:
    """Return the bytes of a signature; empty for a text that is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def beside(file: str | Path) -> Path:
    """Return where the signatures of a file of definitions are."""
    return Path(f"{file}{SUFFIX}")


def read(path: Path) -> tuple[SignedDigest, ...]:
    """Return the signatures in a file; none when there is no file. Raises ``SignaturesUnreadable``."""
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise SignaturesUnreadable(str(path), reason_of(error)) from None
    if len(text) > _LONGEST:
        raise SignaturesUnreadable(str(path), f"it has more than {_LONGEST:,} bytes")
    try:
        data = json.loads(text)
        if data[_KEY] != FORMAT:
            raise SignaturesUnreadable(str(path), f"its format is `{data[_KEY]}`, this release knows {FORMAT}")
        names = SignedDigest.__struct_fields__
        return tuple(SignedDigest(**{name: str(each[name]) for name in names}) for each in data["signatures"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SignaturesUnreadable(str(path), f"{type(error).__name__}: {error}") from None


def write(path: Path, signatures: Iterable[SignedDigest]) -> None:
    """Write a file of signatures, in an order that does not depend on chance."""
    ordered = sorted(signatures, key=lambda each: (each.saga, each.version, each.digest, each.key))
    document: dict[str, Any] = {_KEY: FORMAT, "signatures": [each.to_json() for each in ordered]}
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def by_digest(signatures: Iterable[SignedDigest]) -> dict[str, dict[str, str]]:
    """Return signatures in the form in which runs carry them."""
    found: dict[str, dict[str, str]] = {}
    for each in signatures:
        found.setdefault(each.digest, {})[each.key] = each.signature
    return found


def signed_files(files: Iterable[str]) -> dict[str, SignedFile]:
    """Return *files* by name, with the signatures that lie beside them. Raises ``SignaturesUnreadable``."""
    return {file: SignedFile(file, read(beside(file))) for file in dict.fromkeys(files)}
