"""Data in a tenth of the space, for what travels in one payload. Replay-critical."""

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
    """Return *data* as JSON, compressed if large, and whether it is; ``None`` for more than ``inflated`` takes."""
    plain = compact(data)
    if len(plain) > _LARGEST_BYTES:
        return None
    return (plain, False) if len(plain) <= _PLAIN_BYTES else (zlib.compress(plain), True)


def inflated(compressed: bytes) -> Any:
    """Return the data that was compressed. Raises ``ValueError`` or ``zlib.error`` for any that is not ours."""
    inflate = zlib.decompressobj()
    plain = inflate.decompress(compressed, _LARGEST_BYTES)
    if not inflate.eof:
        raise ValueError(f"more than {_LARGEST_BYTES} bytes")
    return json.loads(plain)


def packed(data: Any) -> Any:
    """Return *data*, or when it is large, the same in a tenth of the space: a payload holds 2 MB at most (R52).

    What is packed already stays as it is.
    """
    if isinstance(data, dict) and data.keys() == {"zlib"}:
        return data
    plain = compact(data)
    if len(plain) <= _PLAIN_BYTES:
        return data
    return {"zlib": base64.b64encode(zlib.compress(plain)).decode()}


def unpacked(data: Any) -> Any:
    """Return what ``packed`` was given. Raises ``ValueError`` or ``zlib.error`` for any that is not ours."""
    if isinstance(data, dict) and data.keys() == {"zlib"}:
        return inflated(base64.b64decode(data["zlib"]))
    return data
