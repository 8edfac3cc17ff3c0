"""Brings one event to the gateway, and says what became of it. Knows nothing of Kafka and SQS.

An event counts once, however often it is delivered: the id of its saga is made of the order's number, and the event's
own id is the idempotency key of a signal. So whoever reads the events commits after the gateway's answer, never before.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2

PATIENCE = 300.0
"""Seconds for which an event waits for the saga that it belongs to; an event of its own may still be on its way."""
LONGEST_PAUSE = 30.0

_RETRYABLE = (401, 403, 408, 425, 429)  # a token that is wrong is our trouble, and not the event's
_TOO_EARLY = ("SD967",)
_NEVER = ("SD963",)

_log = logging.getLogger(__name__)


class Poison(Exception):
    """An event that nobody can handle, however often it comes."""


@dataclass(frozen=True)
class Request:
    """What an event asks of the gateway."""

    path: str
    body: Any
    headers: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """What the gateway said.

    Attributes:
        verdict: ``done``; ``dead``, if it will never count; ``later``, if the gateway is in trouble; ``not yet``, if
            there is no such saga so far.
        after: The pause that the gateway asks for, in seconds.
    """

    verdict: str
    reason: str = ""
    after: float = 0.0


def request_of(raw: bytes) -> Request | None:
    """Return what an event asks; ``None`` if it is none of ours. Raises ``Poison``."""
    try:
        event = json.loads(raw)
        kind, key, order, data = event["type"], str(event["id"]), str(event["order"]), event["data"]
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", order):
            raise ValueError(f"`{order[:100]}` is no number of an order")
        headers = {"Idempotency-Key": key}
        if kind == "order.placed":
            body = {"order": order, "item": data["item"]}
            return Request("/sagas/ship-order", body, headers | {"Workflow-Id": f"order-{order}"})
        if kind == "payment.received":
            return Request(f"/sagas/order-{order}/signals/paid", {"amount": data["amount"]}, headers)
    except (ValueError, TypeError, KeyError) as error:
        raise Poison(f"no event of a known form: {type(error).__name__} {error}") from None
    return None


class Gateway:
    """The gateway, as a sender of events sees it. A context manager: its connections end with it."""

    def __init__(self, url: str, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx2.Client(base_url=url, headers=headers, timeout=60.0)

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(self, request: Request) -> Answer:
        """Send a request. Whatever goes wrong is an answer, too."""
        try:
            answer = self._client.post(request.path, json=request.body, headers=request.headers)
        except httpx2.TransportError as error:
            return Answer("later", f"the gateway does not answer: {error}")
        status = answer.status_code
        if status < 300:
            return Answer("done")
        try:
            problem = answer.json()
            code, detail = str(problem["code"]), str(problem["detail"])
        except (ValueError, TypeError, KeyError):
            code, detail = "", answer.text[:200]
        reason = f"{status} {code} {detail}".replace("  ", " ")
        if status >= 500 or status in _RETRYABLE:
            after = answer.headers.get("Retry-After", "")
            return Answer("later", reason, float(after) if after.isdecimal() else 0.0)
        if code in _TOO_EARLY or (status == 404 and code not in _NEVER):
            return Answer("not yet", reason)
        return Answer("dead", reason)


def deliver(gateway: Gateway, raw: bytes, wait: Callable[[float], None], patience: float = PATIENCE) -> str | None:
    """Bring an event to the gateway. Return ``None`` when it counts, or the reason why it never will.

    As long as the gateway is in trouble this waits, so that no event is lost or takes the place of another one.

    Args:
        wait: Waits for so many seconds, and keeps the message ours meanwhile.
    """
    try:
        request = request_of(raw)
    except Poison as poison:
        return str(poison)
    if request is None:
        return None
    pause = 1.0
    while True:
        answer = gateway.send(request)
        if answer.verdict == "done":
            return None
        if answer.verdict == "dead" or (answer.verdict == "not yet" and patience <= 0):
            return answer.reason
        rest = min(max(answer.after, pause), LONGEST_PAUSE)
        _log.warning("%s: %s; again in %.0f s", request.path, answer.reason, rest)
        wait(rest)
        if answer.verdict == "not yet":
            patience -= rest
        pause = min(pause * 2, LONGEST_PAUSE)
