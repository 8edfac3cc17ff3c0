"""Authentication and rights: tokens from a file, signed tokens of an identity provider, names of sagas.

It knows nothing of HTTP beyond the token. It never keeps, logs or shows a token.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from sagadsl.errors import SagadslError, reason_of
from sagadsl.immutable import Immutable
from sagadsl.language.document import parse

log = logging.getLogger("sagadsl.gateway")

Scope = Literal["start", "read", "operate", "forget", "payloads"]
SCOPES: tuple[Scope, ...] = ("start", "read", "operate", "forget", "payloads")
"""What a token may do; `payloads` is for `encode` and `decode`, the others are for names of sagas."""

PREFIX = "sagadsl_"
"""Prefix of the tokens that ``new_token`` makes, by which scanners for leaked secrets recognise them."""

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Algorithms for which a JWKS can hold a public key: nothing symmetric, and not ``none``."""

HOLD_SECONDS = 60.0
"""How long tokens stay valid when their file is gone or has a mistake: somebody may just be writing it."""

_FRESH_SECONDS = 300.0
_KEYS_HOLD_SECONDS = 900.0
"""How long keys stay valid when their provider does not answer any more."""
_ASK_SECONDS = 10.0
"""Shortest time between two requests to a provider: anybody can send a token that names an unknown key."""
_LONGEST_NAME = 255

Clock = Callable[[], float]


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


class TokensLost(SagadslError):
    """Tokens cannot be checked at this moment."""

    code = "SD957"
    exit_code = 4

    def __str__(self) -> str:
        return "the gateway cannot tell at this moment who may do what"

    @property
    def help(self) -> str:
        return "try again; the log of the gateway says what is wrong"


class Principal(Immutable):
    """The caller of a request.

    Attributes:
        rights: Names of sagas, by scope: ``*`` means any, ``order-*`` any with this beginning. ``payloads`` has
            ``encode`` and ``decode`` instead.
        is_known: A token proves who the caller is; otherwise the caller may give any name.
        realm: The issuer that vouches for the name; empty for the file of tokens.
    """

    name: str
    rights: Mapping[Scope, tuple[str, ...]]
    is_known: bool = True
    realm: str = ""

    @property
    def identity(self) -> str:
        """A text that no other caller has: two issuers may give the same name."""
        return f"{self.realm}\n{self.name}" if self.realm else self.name

    def may(self, scope: Scope, saga: str) -> bool:
        """Whether the caller has this scope for sagas of this name."""
        return any(_covers(pattern, saga) for pattern in self.rights.get(scope, ()))

    def may_all(self, scope: Scope) -> bool:
        """Whether the caller has this scope for every saga."""
        return "*" in self.rights.get(scope, ())


ANYBODY = Principal("anybody", dict.fromkeys(SCOPES, ("*",)), is_known=False)
"""Any caller of a gateway that listens on loopback only."""


class Authenticator(Protocol):
    """A way to find out to whom a token belongs.

    Attributes:
        edition: How often the tokens or their rights have changed here.
    """

    edition: int

    async def who(self, token: str) -> Principal | None:
        """Return the owner of a token; ``None`` when the token is not valid here. Raises ``TokensLost``."""
        ...

    def check(self) -> bool:
        """Return whether tokens can be checked as usual. Raises ``TokensLost`` when it lets nobody in any more."""
        ...


_Stamp = tuple[int, int, int, int]


@dataclass(slots=True)
class TokenFile:
    """Tokens from a file, which is read again when it has changed.

    If the file is gone, cannot be read or has a mistake, the log says so at once. The tokens that were read before stay
    valid for ``HOLD_SECONDS`` after the file was last in order. Then none is valid until the file is in order again.

    Raises:
        TokensUnusable: Only at the first reading.
    """

    path: Path
    clock: Clock = time.monotonic
    _by_digest: Mapping[bytes, Principal] = field(default_factory=dict, repr=False)
    _stamp: _Stamp = (0, 0, 0, 0)
    _seen: float = 0.0
    _refused: tuple[_Stamp | None, str] = (None, "")
    _logged: Literal["", "holds", "shut"] = ""
    edition: int = 0

    def __post_init__(self) -> None:
        self._by_digest, self._stamp = _read(self.path)
        self._seen = self.clock()

    async def who(self, token: str) -> Principal | None:
        self.check()
        # Look up the digest: the time of a comparison then tells nothing of the token itself.
        return self._by_digest.get(hashlib.sha256(token.encode()).digest())

    def check(self) -> bool:
        why = self._look()
        now = self.clock()
        if not why:
            if self._logged:
                log.warning("the tokens in %s can be used again", self.path)
            self._seen, self._logged = now, ""
            return True
        left = self._seen + HOLD_SECONDS - now
        if left > 0:
            if not self._logged:
                log.error("%s; the tokens read before hold for %.0f s more", TokensUnusable(str(self.path), why), left)
                self._logged = "holds"
            return False
        if self._logged != "shut":
            log.error("%s; no token is accepted until the file is in order", TokensUnusable(str(self.path), why))
            self._logged = "shut"
        raise TokensLost

    def _look(self) -> str:
        """Read the file if it has changed. Return what is wrong with it."""
        try:
            stamp = _stamp_of(self.path)
            if stamp == self._stamp:
                return ""
            if stamp != self._refused[0]:  # otherwise each request would read the file again
                try:
                    self._by_digest, self._stamp = _read(self.path)
                except TokensUnusable as error:
                    self._refused = stamp, error.why
                else:
                    self.edition += 1
                    return ""
        except OSError as error:
            return reason_of(error)
        return self._refused[1]


@dataclass(slots=True)
class SignedTokens:
    """Tokens that an identity provider has signed (JWT), by the keys that it publishes (JWKS).

    Rights come from the claims ``scope`` (words) and ``sagadsl`` (a list):
    ``sagadsl:start:order-*``, ``sagadsl:read:*``. The keys are fetched every five minutes, and when a token names an
    unknown key. When the provider does not answer, the last keys stay valid for ``_KEYS_HOLD_SECONDS``.
    """

    url: str
    issuer: str
    audience: str
    clock: Clock = time.monotonic
    _source: Any = None
    _keys: Mapping[str, Any] = field(default_factory=dict, repr=False)
    _fetched: float = float("-inf")
    _asked: float = float("-inf")
    _fails: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    edition: int = 0  # a signed token is valid until it expires

    def __post_init__(self) -> None:
        import jwt  # noqa: PLC0415 # only who has an identity provider pays for it

        self._source = jwt.PyJWKClient(self.url, timeout=5)

    async def who(self, token: str) -> Principal | None:
        if token.count(".") != 2:
            return None
        return await asyncio.to_thread(self._who, token)

    def check(self) -> bool:
        if self._fails and self.clock() - self._fetched > _KEYS_HOLD_SECONDS:
            raise TokensLost
        return not self._fails

    def _who(self, token: str) -> Principal | None:
        import jwt  # noqa: PLC0415

        try:
            key = self._key(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                return None
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
        name = str(claims["sub"])
        if not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME:
            return None  # a name that is cut, or has line ends, could pass for somebody else's
        return Principal(name, _claimed(claims), realm=self.issuer)

    def _key(self, kid: str) -> Any:
        with self._lock:
            now = self.clock()
            is_wanted = kid not in self._keys or now - self._fetched > _FRESH_SECONDS
            if is_wanted and now - self._asked > _ASK_SECONDS:
                self._asked = now
                self._fetch()
            self.check()
            return self._keys.get(kid)

    def _fetch(self) -> None:
        import jwt  # noqa: PLC0415

        try:
            self._keys = {str(each.key_id): each for each in self._source.get_signing_keys(refresh=True)}
        except (jwt.PyJWTError, ValueError, OSError) as error:
            if not self._fails:
                log.error("the keys at %s cannot be fetched: %s", self.url, str(error)[:200])
            self._fails = True
        else:
            self._fetched, self._fails = self.clock(), False


def new_token(name: str, rights: Mapping[Scope, Sequence[str]]) -> tuple[str, dict[str, Any]]:
    """Return a new token, and its entry for the file, which holds only the digest."""
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


def _stamp_of(path: Path) -> _Stamp:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_size


def _read(path: Path) -> tuple[dict[bytes, Principal], _Stamp]:
    try:
        stamp, raw = _stamp_of(path), path.read_bytes()
    except OSError as error:
        raise TokensUnusable(str(path), reason_of(error)) from None
    document, findings = parse(raw, str(path))
    for finding in findings:  # the message of this finding would quote the file
        if finding.code != "SD012":
            line = document.spans[document.nearest(finding.route)].line
            reason = f"line {line} is not valid YAML here: see `sagadsl explain {finding.code}`"
            raise TokensUnusable(str(path), reason)
    data = document.data
    if not isinstance(data, dict) or not isinstance(data.get("tokens"), list):
        raise TokensUnusable(str(path), "it is not a mapping with a list `tokens`")
    found: dict[bytes, Principal] = {}
    for index, entry in enumerate(data["tokens"]):
        digest, principal = _entry(str(path), index, entry)
        if digest in found:
            raise TokensUnusable(str(path), f"`tokens[{index}]` has the same token as an earlier entry")
        found[digest] = principal
    return found, stamp


def _entry(path: str, index: int, entry: Any) -> tuple[bytes, Principal]:
    place = f"`tokens[{index}]`"
    if not isinstance(entry, dict) or set(entry) - {"name", "sha256", "allow"}:
        raise TokensUnusable(path, f"{place} is not a mapping of `name`, `sha256` and `allow`")
    name, allow = entry.get("name"), entry.get("allow")
    if not isinstance(name, str) or not name:
        raise TokensUnusable(path, f"{place} has no `name`")
    try:
        digest = bytes.fromhex(str(entry.get("sha256")))
    except ValueError:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise TokensUnusable(path, f"`sha256` of {place} is not a SHA-256 of 64 hexadecimal digits")
    if not isinstance(allow, dict) or set(allow) - set(SCOPES):
        raise TokensUnusable(path, f"`allow` of {place} is not a mapping of {', '.join(SCOPES)} to lists of names")
    rights: dict[Scope, tuple[str, ...]] = {}
    for scope in SCOPES:
        names = allow.get(scope, [])
        if not isinstance(names, list) or not all(isinstance(each, str) and each for each in names):
            raise TokensUnusable(path, f"`{scope}` of {place} is {json.dumps(names)}, not a list of names")
        rights[scope] = tuple(names)
    return digest, Principal(name, rights)
