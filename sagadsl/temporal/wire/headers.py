"""Puts a header into a call, as plain JSON: what one worker tells another about it, beside its input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from temporalio.api.common.v1 import Payload


def with_header(headers: Mapping[str, Payload], name: str, data: Any) -> Mapping[str, Payload]:
    """Return *headers* with one more, which holds *data*."""
    return {**headers, name: Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(data).encode())}
