"""Reads addresses as they were sent: the ids of child sagas contain `/`, which an address has as `%2F`.

Servers hand over a decoded path, in which the two look the same.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

_KEPT = "~:@!$&'()*+,;="
"""Characters that a part of an address may have beside letters, digits and `-._`."""


def encoded(part: str) -> str:
    """Return an id or a name encoded as a part of an address."""
    return quote(part, safe=_KEPT)


def decoded(part: str) -> str:
    """Return the id or name that a part of an address means."""
    return unquote(part)


class AsSent:
    """Middleware that gives routes the path with each part encoded, always in the same way."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raw = scope.get("raw_path")
        if raw is not None:  # a server need not give it
            parts = raw.decode("latin-1").split("/")
            scope = {**scope, "path": "/".join(encoded(decoded(part)) for part in parts)}
        await self._app(scope, receive, send)
