"""Compresses data to about a tenth, so that it fits into one payload. Replay-critical."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

_PLAIN_BYTES = 256 * 1024
_LARGEST_BYTES = 64 * 1024 * 1024


def compact(data: Any) -> bytes:
    """Return compact JSON."""
    return json.dumps(data, separators=(",", ":")).encode()


def squeezed(data: Any) -> tuple[bytes, bool] | None:
    """Return *data* as JSON, compressed if large, and whether it is; ``None`` if ``inflated`` would refuse it."""
    plain = compact(data)
    if len(plain) > _LARGEST_BYTES:
        return None
    return (plain, False) if len(plain) <= _PLAIN_BYTES else (zlib.compress(plain), True)


def inflated(compressed: bytes) -> Any:
    """Return the data that was compressed. Raises ``ValueError`` or ``zlib.error`` for foreign data."""
    inflate = zlib.decompressobj()
    plain = inflate.decompress(compressed, _LARGEST_BYTES)
    if not inflate.eof:
        raise ValueError(f"more than {_LARGEST_BYTES} bytes")
    return json.loads(plain)


def packed(data: Any) -> Any:
    """Return *data*, compressed if it is large: a payload holds at most 2 MB (R52).

    Packed data stays as it is.
    """
    if isinstance(data, dict) and data.keys() == {"zlib"}:
        return data
    plain = compact(data)
    if len(plain) <= _PLAIN_BYTES:
        return data
    return {"zlib": base64.b64encode(zlib.compress(plain)).decode()}


def unpacked(data: Any) -> Any:
    """Return the data before ``packed``. Raises ``ValueError`` or ``zlib.error`` for foreign data."""
    if isinstance(data, dict) and data.keys() == {"zlib"}:
        return inflated(base64.b64decode(data["zlib"]))
    return data
