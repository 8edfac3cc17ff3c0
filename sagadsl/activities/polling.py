"""Goes on asking what became of a request that was accepted and is not done yet: 202, an address, Retry-After.

The address is in the heartbeat, so that a later attempt goes on asking instead of sending the request again.
From the moment on at which the request was accepted, no error is a clean no except the operation's own verdict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from time import monotonic, time
from typing import Annotated, Any
from urllib.parse import urljoin, urlsplit

from pydantic import BaseModel, ConfigDict, Field

from sagadsl.activities.exchange import Final, Reply
from sagadsl.activities.inputs import Duration
from sagadsl.activities.reach import FORBIDDEN, permitted_host
from sagadsl.activities.replies import TRY_LATER, Expect, details_of, is_expected, json_of, retry_after
from sagadsl.authoring import Context, Failure, Permanent, Unknown
from sagadsl.immutable import Immutable
from sagadsl.language.notation.durations import parse

TOO_LONG = "HttpPollTimeout"
"""It was accepted, and not done in time: nobody knows what becomes of it."""
LOST = "HttpPollLost"
"""It was accepted, and nobody can say any more how it stands."""
FAILED = "HttpOperationFailed"
"""It was accepted, and its address says that it has failed."""

_ACCEPTED = 202
_BEAT = 1.0
_SHORTEST = 0.1
_FIELD = "status"
"""Where an operation that ``Operation-Location`` names says how it stands."""
_PATH = r"^[^.\s]+(\.[^.\s]+)*$"

_Value = str | bool | int
_Origin = Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+$")]


class Poll(BaseModel):
    """What to do when the answer is `202 Accepted`: ask its address until it says how the operation ended."""

    model_config = ConfigDict(extra="forbid")
    every: Annotated[Duration, Field(description="Pause between two questions, if `Retry-After` says nothing")] = "2s"
    at_most: Annotated[Duration, Field(description="From the moment at which the request was accepted")] = "10m"
    address: Annotated[
        str | None,
        Field(pattern=_PATH, description="Field of the accepting reply with the address; left out: its headers"),
    ] = None
    field: Annotated[
        str | None,
        Field(
            pattern=_PATH,
            description="Field of a reply that says how it stands; left out: `status` after an Operation-Location, "
            "else 202 means that it goes on",
        ),
    ] = None
    done: Annotated[list[_Value], Field(min_length=1, description="Values of the field that mean success")] = [
        "Succeeded"
    ]
    failed: Annotated[list[_Value], Field(description="Values of the field that mean that it has failed")] = [
        "Failed",
        "Canceled",
        "Cancelled",
    ]
    failed_statuses: Annotated[
        list[Annotated[int, Field(ge=300, le=599)]], Field(description="Statuses that mean that it has failed")
    ] = []
    origins: Annotated[
        list[_Origin], Field(description="Other origins that may be asked; no credentials are sent there")
    ] = []


class Accepted(Immutable):
    """Where to ask about an accepted request.

    Attributes:
        since: Unix time at which it was accepted.
        field: The field that says how it stands; empty if the status says it.
        after: The pause that the accepting reply asks for.
    """

    url: str
    since: float
    field: str
    after: timedelta | None = None

    def beat(self, ctx: Context) -> None:
        """Let a later attempt know of it."""
        ctx.heartbeat({"poll": self.url, "since": self.since, "field": self.field})


Ask = Callable[[str, bool], Awaitable[Reply]]
"""Asks an address, with the credentials of the request or without them."""


def resumed(ctx: Context) -> Accepted | None:
    """Return where an earlier attempt has asked; ``None`` if none is known to have come so far."""
    match ctx.heartbeat_details:
        case ({"poll": str(url), "since": int() | float() as since, "field": str(field)}, *_):
            return Accepted(url, since, field)
    return None


def accepted(poll: Poll, url: str, reply: Reply, secrets: Iterable[str]) -> Accepted | None:
    """Return where to ask about a request that was answered as expected; ``None`` if it is done already."""
    operation = next(iter(reply.operation.values()), None)
    field = poll.field or (_FIELD if operation and not poll.address else "")
    address = operation or (reply.headers.get("location") if reply.status == _ACCEPTED else None)
    if poll.address:
        address = _at(json_of(reply), poll.address)
    if not isinstance(address, str) or not address:
        standing = _standing(poll, poll.field or "", reply)
        if standing == "done":
            return None
        if standing == "failed":
            raise _failed(url, reply, secrets)
        where = f"field `{poll.address}`" if poll.address else "header Operation-Location or Location"
        raise Final(f"the request was accepted, but its reply has no {where} to ask how it ends", type=LOST)
    if any(each in address for each in secrets):
        raise Final("the request was accepted, but the address to ask repeats a secret", type=LOST)
    try:
        joined = urljoin(url, address)
    except ValueError:
        raise Final("the request was accepted, but the address to ask cannot be read", type=LOST) from None
    return Accepted(joined, time(), field, retry_after(reply.headers.get("retry-after")))


async def outcome(
    poll: Poll, expect: Expect, url: str, place: Accepted, ctx: Context, *, ask: Ask, secrets: Iterable[str]
) -> Reply:
    """Ask until it is done, and return the last reply.

    Raises ``Permanent`` when the operation has failed, and ``Unknown`` when nobody can say how it ends.
    """
    place.beat(ctx)
    own = _is_permitted(poll, url, place)
    end = place.since + parse(poll.at_most).total_seconds()
    every = parse(poll.every)
    after = place.after
    while True:
        pause = max((after or every).total_seconds(), _SHORTEST)
        await _rest(min(pause, end - time()), place, ctx)
        after = None
        try:
            reply = await ask(place.url, own)
            after = retry_after(reply.headers.get("retry-after"))
            said, standing = f"status {reply.status}", _judged(poll, expect, place, reply)
        except Failure as failure:
            if not failure.retryable:
                raise lost(failure) from None
            said, standing = failure.message, "pending"
        match standing:
            case "done":
                return reply
            case "failed":
                raise _failed(place.url, reply, secrets)
            case "unclear":
                raise Unknown(
                    f"the request was accepted; then {_shown(place.url)} gave status {reply.status}, "
                    "which does not say how it stands",
                    details_of(reply, secrets),
                    type=LOST,
                )
        if time() >= end:
            raise Final(
                f"the request was accepted, but not done within {poll.at_most}; last: {_shown(place.url)}: {said}",
                type=TOO_LONG,
            )


def lost(failure: Failure) -> Failure:
    """Return what a failure means after the request was accepted: nobody can ask about it any more."""
    return Final(f"the request was accepted; then: {failure.message}", *failure.details, type=LOST)


def _is_permitted(poll: Poll, url: str, place: Accepted) -> bool:
    """Whether the address is at the request's own origin. Raises ``Unknown`` for one that must not be asked."""
    try:
        permitted_host(place.url)
    except Failure as failure:
        raise Final(f"the request was accepted, but must not be asked about: {failure}", type=FORBIDDEN) from None
    origin = _origin(place.url)
    if origin == _origin(url):
        return True
    if origin not in map(_origin, poll.origins):
        raise Final(
            f"the request was accepted, but the address to ask, {_shown(place.url)}, is at another origin, which "
            "`poll.origins` does not name",
            type=FORBIDDEN,
        )
    return False


def _judged(poll: Poll, expect: Expect, place: Accepted, reply: Reply) -> str:
    """Return how it stands, by an answer to a question: ``done``, ``failed``, ``pending`` or ``unclear``."""
    if reply.status in poll.failed_statuses:
        return "failed"
    if reply.status >= 500 or reply.status in TRY_LATER:
        return "pending"
    if reply.status != _ACCEPTED and not is_expected(reply.status, expect):
        return "unclear"
    return _standing(poll, place.field, reply)


def _standing(poll: Poll, field: str, reply: Reply) -> str:
    going_on = reply.status == _ACCEPTED
    if not field:
        return "pending" if going_on else "done"
    value = _at(json_of(reply), field)
    for values, meaning in ((poll.done, "done"), (poll.failed, "failed")):
        if any(type(value) is type(each) and value == each for each in values):
            return meaning
    return "pending" if going_on or isinstance(value, str | bool | int) else "unclear"


def _failed(url: str, reply: Reply, secrets: Iterable[str]) -> Failure:
    return Permanent(
        f"the request was accepted, and has failed: {_shown(url)}: status {reply.status}",
        details_of(reply, secrets),
        type=FAILED,
    )


async def _rest(seconds: float, place: Accepted, ctx: Context) -> None:
    """Wait, with a sign of life every now and then: the pause may be longer than the heartbeat timeout."""
    end = monotonic() + seconds
    while (left := end - monotonic()) > 0:
        await asyncio.sleep(min(left, _BEAT))
        place.beat(ctx)


def _at(data: Any, path: str) -> Any:
    for key in path.split("."):
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or {"http": 80, "https": 443}.get(scheme)


def _shown(url: str) -> str:
    return url.partition("?")[0][:200]
