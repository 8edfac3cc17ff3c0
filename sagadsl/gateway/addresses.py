"""Addresses as they were sent: an id may hold a `/`, as those of child sagas do, and it is `%2F` there.

Servers hand over a path that is decoded already, in which nobody can tell the two apart.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

_KEPT = "~:@!$&'()*+,;="
"""What may stand in a part of an address, beside letters, digits and `-._`."""


def encoded(part: str) -> str:
    """Return an id or a name as part of an address."""
    return quote(part, safe=_KEPT)


def decoded(part: str) -> str:
    """Return what a part of an address stands for."""
    return unquote(part)


class AsSent:
    """Middleware that gives routes the path part by part, each of them encoded in one way."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raw = scope.get("raw_path")
        if raw is not None:  # a server need not say
            parts = raw.decode("latin-1").split("/")
            scope = {**scope, "path": "/".join(encoded(decoded(part)) for part in parts)}
        await self._app(scope, receive, send)
