"""Who asks, and what that one may do: tokens from a file, signed tokens of an identity provider, names of sagas.

Knows nothing of HTTP beyond the token itself. A token is never kept, logged or shown.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from sagadsl.errors import SagadslError
from sagadsl.frozen import frozen
from sagadsl.language.document import parse

Scope = Literal["start", "read", "operate"]
SCOPES: tuple[Scope, ...] = ("start", "read", "operate")
PREFIX = "sagadsl_"
"""Of tokens that ``new_token`` makes, so that scanners for leaked secrets know one when they see it."""

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""What a JWKS can hold a public key for. Nothing symmetric, and not ``none``."""


class TokensUnusable(SagadslError):
    """The file of tokens cannot be used."""

    code = "SD941"
    exit_code = 2

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path, self.why = path, why

    def __str__(self) -> str:
        return f"the tokens in {self.path} cannot be used: {self.why}"

    @property
    def help(self) -> str:
        return "`sagadsl token NAME` makes a token, and prints its entry for the file"


@frozen
class Principal:
    """Somebody who asks.

    Attributes:
        rights: Names of sagas, by scope: ``*`` is any, ``order-*`` any that begins so.
        is_known: Has shown who it is; else it may say so itself.
    """

    name: str
    rights: Mapping[Scope, tuple[str, ...]]
    is_known: bool = True

    def may(self, scope: Scope, saga: str) -> bool:
        """Whether this one may do so with sagas of this name."""
        return any(_covers(pattern, saga) for pattern in self.rights.get(scope, ()))

    def may_all(self, scope: Scope) -> bool:
        """Whether this one may do so with every saga."""
        return "*" in self.rights.get(scope, ())


ANYBODY = Principal("anybody", dict.fromkeys(SCOPES, ("*",)), is_known=False)
"""Whoever can reach a gateway that listens on loopback only."""


class Door(Protocol):
    """A way to find out who a token stands for."""

    async def who(self, token: str) -> Principal | None:
        """Return who has this token; ``None`` when it is worth nothing here."""
        ...


@dataclass(slots=True)
class TokenFile:
    """Tokens from a file, which is read again when it has changed.

    Raises:
        TokensUnusable: When it is first read. Later the last good tokens stay.
    """

    path: Path
    _by_digest: Mapping[bytes, Principal] = field(default_factory=dict, repr=False)
    _stamp: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self._by_digest, self._stamp = _read(self.path)

    async def who(self, token: str) -> Principal | None:
        try:
            stat = self.path.stat()
            if (stat.st_mtime_ns, stat.st_size) != self._stamp:
                self._by_digest, self._stamp = _read(self.path)
        except (OSError, TokensUnusable):
            pass  # somebody is writing it
        # Looked up by its digest: a comparison byte by byte would tell nothing of the token itself.
        return self._by_digest.get(hashlib.sha256(token.encode()).digest())


@dataclass(slots=True)
class SignedTokens:
    """Tokens that an identity provider has signed (JWT), by the keys that it publishes (JWKS).

    Rights come from the claims ``scope`` (words) and ``sagadsl`` (a list):
    ``sagadsl:start:order-*``, ``sagadsl:read:*``.
    """

    url: str
    issuer: str
    audience: str
    _keys: Any = None

    def __post_init__(self) -> None:
        import jwt  # noqa: PLC0415 # only who has an identity provider pays for it

        self._keys = jwt.PyJWKClient(self.url, cache_keys=True, lifespan=300, timeout=5)

    async def who(self, token: str) -> Principal | None:
        if token.count(".") != 2:
            return None
        return await asyncio.to_thread(self._who, token)

    def _who(self, token: str) -> Principal | None:
        import jwt  # noqa: PLC0415

        try:
            key = self._keys.get_signing_key_from_jwt(token)
            claims = jwt.decode(
                token,
                key.key,
                algorithms=list(_ALGORITHMS),
                audience=self.audience,
                issuer=self.issuer,
                leeway=30,
                options={"require": ["exp", "sub", "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError):
            return None
        return Principal(str(claims["sub"])[:200], _claimed(claims))


def new_token(name: str, rights: Mapping[Scope, Sequence[str]]) -> tuple[str, dict[str, Any]]:
    """Return a new token, and the entry of the file that knows it by its digest."""
    token = PREFIX + secrets.token_urlsafe(32)
    allow = {scope: list(rights[scope]) for scope in SCOPES if rights.get(scope)}
    return token, {"name": name, "sha256": hashlib.sha256(token.encode()).hexdigest(), "allow": allow}


def _covers(pattern: str, saga: str) -> bool:
    return saga.startswith(pattern[:-1]) if pattern.endswith("*") else saga == pattern


def _claimed(claims: Mapping[str, Any]) -> dict[Scope, tuple[str, ...]]:
    words = claims.get("scope") or ""
    named = claims.get("sagadsl") or []
    found = [*(words.split() if isinstance(words, str) else []), *(named if isinstance(named, list) else [])]
    rights: dict[Scope, tuple[str, ...]] = {}
    for scope in SCOPES:
        start = f"sagadsl:{scope}:"
        rights[scope] = tuple(
            each.removeprefix(start) for each in found if isinstance(each, str) and each.startswith(start)
        )
    return rights


def _read(path: Path) -> tuple[dict[bytes, Principal], tuple[int, int]]:
    try:
        stat, raw = path.stat(), path.read_bytes()
    except OSError as error:
        raise TokensUnusable(str(path), error.strerror or str(error)) from None
    document, findings = parse(raw, str(path))
    for finding in findings:  # its message would quote the file
        if finding.code != "SD012":
            line = document.spans[document.nearest(finding.route)].line
            reason = f"line {line} is not the YAML that is read here: see `sagadsl explain {finding.code}`"
            raise TokensUnusable(str(path), reason)
    data = document.data
    if not isinstance(data, dict) or not isinstance(data.get("tokens"), list):
        raise TokensUnusable(str(path), "it is no mapping with a list `tokens`")
    found: dict[bytes, Principal] = {}
    for index, entry in enumerate(data["tokens"]):
        digest, principal = _entry(str(path), index, entry)
        if digest in found:
            raise TokensUnusable(str(path), f"`tokens[{index}]` is the token of `tokens` before it")
        found[digest] = principal
    return found, (stat.st_mtime_ns, stat.st_size)


def _entry(path: str, index: int, entry: Any) -> tuple[bytes, Principal]:
    place = f"`tokens[{index}]`"
    if not isinstance(entry, dict) or set(entry) - {"name", "sha256", "allow"}:
        raise TokensUnusable(path, f"{place} is no mapping of `name`, `sha256` and `allow`")
    name, allow = entry.get("name"), entry.get("allow")
    if not isinstance(name, str) or not name:
        raise TokensUnusable(path, f"{place} has no `name`")
    try:
        digest = bytes.fromhex(str(entry.get("sha256")))
    except ValueError:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise TokensUnusable(path, f"`sha256` of {place} is no SHA-256 of 64 hexadecimal digits")
    if not isinstance(allow, dict) or set(allow) - set(SCOPES):
        raise TokensUnusable(path, f"`allow` of {place} is no mapping of {', '.join(SCOPES)} to names of sagas")
    rights: dict[Scope, tuple[str, ...]] = {}
    for scope in SCOPES:
        names = allow.get(scope, [])
        if not isinstance(names, list) or not all(isinstance(each, str) and each for each in names):
            raise TokensUnusable(path, f"`{scope}` of {place} is {json.dumps(names)}, not a list of names")
        rights[scope] = tuple(names)
    return digest, Principal(name, rights)
