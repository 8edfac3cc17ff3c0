"""What to do when a server does not take the credentials. It shows no key."""

from __future__ import annotations

import base64
import binascii
import json
import time
from datetime import UTC, datetime

from sagadsl.temporal.link.settings import ConnectionSettings


def credentials_remedy(settings: ConnectionSettings, known: str = "check the API key or the certificate") -> str:
    """Return what to do: get a new key if this one is over, give one if none is there, else what is *known*."""
    key = settings.secrets["api_key"]
    if key is None:
        if any(name == "authorization" for name in settings.secrets["rpc_metadata"]):
            return "check what `--grpc-meta authorization=…` gives, and what that may do"
        return f"no API key is given: `--api-key`, or `--api-key-from` for a file or a command; or {known}"
    over = _over_since(key)
    if over is not None:
        when = datetime.fromtimestamp(over, UTC).strftime("%Y-%m-%d %H:%M")
        return f"the API key has expired ({when} UTC): get a new one"
    return known


def _over_since(key: str) -> float | None:
    """Return the moment at which a key that is a signed token (JWT) has expired; ``None`` if it has not."""
    parts = key.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        over = float(claims["exp"])
    except (binascii.Error, ValueError, TypeError, KeyError, RecursionError):
        return None
    return over if 0 < over < time.time() < 1e11 else None
