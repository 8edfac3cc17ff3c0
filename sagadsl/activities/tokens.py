"""Access tokens of OAuth 2, by client credentials (RFC 6749, 4.4): fetched once, kept in this process alone.

A token is in no result, error, log or heartbeat. A failure here is clean: the call itself was not sent.
Why there is no library: docs/decisions/0033.
"""

from __future__ import annotations

import asyncio
import base64
from time import monotonic
from typing import Annotated, Any, Literal
from urllib.parse import quote_plus

from pydantic import BaseModel, ConfigDict, Field

from sagadsl.activities.exchange import Outgoing, Reply, exchange, target
from sagadsl.activities.inputs import Secret, Secrets, clean
from sagadsl.activities.reach import NO_ANSWER, NO_CONNECTION, permitted_host
from sagadsl.activities.replies import TRY_LATER
from sagadsl.authoring import Failure, Permanent, Transient
from sagadsl.immutable import Hidden, Immutable
from sagadsl.language.notation.json_text import read_json

REFUSED = "TokenRefused"
"""The token endpoint says no, or something that is no token: the configuration is wrong."""
UNAVAILABLE = "TokenUnavailable"
"""The token endpoint cannot be reached, or is in trouble."""

_KEPT = 1_000
_DEFAULT_LIFE = 300.0
_EARLY = 60.0
_EXCERPT = 200


class OAuth2(BaseModel):
    """Client credentials: the worker fetches a token with them, and sends it as `Authorization: Bearer …`."""

    model_config = ConfigDict(extra="forbid")
    token_url: Annotated[
        str, Field(pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://", description="Of the token endpoint; reach rules apply to it")
    ]
    client_id: Annotated[str | Secret, Field(description="May name a secret")]
    client_secret: Annotated[
        Annotated[str, Field(pattern=r"^\$\{secret:[^}]+\}$")] | Secret,
        Field(description="Names a secret: `{secret: NAME}` or `${secret:NAME}`"),
    ]
    scope: Annotated[str | list[str] | None, Field(description="One text with spaces, or a list")] = None
    audience: Annotated[str | None, Field(description="Whom the token is for, if the endpoint asks")] = None
    client_auth: Annotated[
        Literal["basic", "body"], Field(description="Where the credentials stand in the request for a token")
    ] = "basic"


class Auth(BaseModel):
    """How the call shows who makes it."""

    model_config = ConfigDict(extra="forbid")
    oauth2: OAuth2


class Grant(Immutable):
    """What a token is fetched with; equal grants share one.

    Attributes:
        named: Those of the values that are secrets.
    """

    url: str
    client: Hidden[str]
    secret: Hidden[str]
    scope: str
    audience: str
    client_auth: str
    named: Hidden[tuple[str, ...]]


_tokens: dict[Grant, tuple[str, float]] = {}
_fetches: dict[tuple[int, Grant], asyncio.Task[str | Failure]] = {}


def grant(auth: OAuth2, secrets: Secrets, url: str, address: str = "url") -> Grant:
    """Return the grant for a call to *url*. Raises ``Permanent`` unless credentials and token may go where they go.

    A token can do what its secret can, so that it goes only where the secret itself may go.
    """
    permitted_host(auth.token_url)
    place = "auth/oauth2"
    where = (auth.token_url, f"{place}/token_url")
    secrets.may_go(auth.client_secret, url, address)
    before = len(secrets.used)
    client = secrets.filled(auth.client_id, f"{place}/client_id", *where)
    secret = secrets.filled(auth.client_secret, f"{place}/client_secret", *where)
    scope = auth.scope if isinstance(auth.scope, str) else " ".join(auth.scope or ())
    named = tuple(secrets.used[before:])
    return Grant(auth.token_url, client, secret, scope, auth.audience or "", auth.client_auth, named)


async def token(wanted: Grant, timeout: str, refused: str | None = None) -> str:
    """Return a token; calls that want the same one at the same time wait for one fetch.

    Args:
        refused: A token that was not accepted, so that a new one is needed.
    """
    kept = _tokens.get(wanted)
    if kept is not None and kept[1] > monotonic() and kept[0] != refused:
        return kept[0]
    key = (id(asyncio.get_running_loop()), wanted)
    fetch = _fetches.get(key)
    if fetch is None:
        # A task of its own: a call that is cancelled while it waits takes nothing from the others.
        fetch = _fetches[key] = asyncio.create_task(_fetched(wanted, timeout))
        fetch.add_done_callback(lambda _: _fetches.pop(key, None))
    found = await asyncio.shield(fetch)
    if isinstance(found, str):
        return found
    raise type(found)(found.message, *found.details, type=found.type, retry_after=found.retry_after)


async def _fetched(wanted: Grant, timeout: str) -> str | Failure:
    """Fetch a token and keep it. An error is a value here, as it may have several readers, or none."""
    fields = {"grant_type": "client_credentials", "scope": wanted.scope, "audience": wanted.audience}
    headers = {"Accept": "application/json"}
    if wanted.client_auth == "basic":
        pair = f"{quote_plus(wanted.client)}:{quote_plus(wanted.secret)}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        fields |= {"client_id": wanted.client, "client_secret": wanted.secret}
    body = {"data": {name: value for name, value in fields.items() if value}}
    message = Outgoing("POST", wanted.url, headers, timeout, body, reads=True)
    try:
        reply = await exchange(message, wanted.named)
        value, life = _read(reply, message, wanted.named)
    except Failure as failure:
        if failure.type in (NO_CONNECTION, NO_ANSWER):
            return Transient(f"no access token: {failure.message}", type=UNAVAILABLE)
        return failure
    if len(_tokens) >= _KEPT:
        now = monotonic()
        gone = [each for each, (_, until) in _tokens.items() if until <= now] or list(_tokens)[: _KEPT // 2]
        for each in gone:
            del _tokens[each]
    _tokens[wanted] = (value, monotonic() + life)
    return value


def _read(reply: Reply, message: Outgoing, secrets: tuple[str, ...]) -> tuple[str, float]:
    """Return the token of a reply, and for how many seconds to keep it."""
    where = f"no access token: {target(message)}: status {reply.status}"
    if reply.status >= 500 or reply.status in TRY_LATER:
        raise Transient(where, type=UNAVAILABLE)
    try:
        data: Any = read_json(reply.body)
    except (ValueError, RecursionError):
        data = None
    data = data if isinstance(data, dict) else {}
    if reply.status != 200:
        said = ": ".join(str(data[key])[:_EXCERPT] for key in ("error", "error_description") if data.get(key))
        raise Permanent(f"{where} {clean(said, secrets)}".rstrip(), type=REFUSED)
    value = data.get("access_token")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or not value.strip():
        raise Permanent(f"{where}, but the reply has no `access_token`", type=REFUSED)
    if str(data.get("token_type", "bearer")).lower() != "bearer":
        raise Permanent(f"{where}, but the token is of another type than `Bearer`", type=REFUSED)
    return value, _life(data.get("expires_in"))


def _life(expires_in: Any) -> float:
    """Return for how many seconds a token is used: until shortly before its end, a few minutes if nobody tells."""
    try:
        seconds = float(expires_in)
    except (TypeError, ValueError):
        return _DEFAULT_LIFE
    if not 0 <= seconds < 1e9:
        return _DEFAULT_LIFE
    return seconds - min(_EARLY, seconds / 5)
