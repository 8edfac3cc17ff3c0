"""The header that tells an activity which secrets the definition of its step names.

The input cannot tell: a text from an expression looks the same as a text from the definition. The saga's own worker
sets the header, which is as public as the definition.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import ContextVar

from temporalio.api.common.v1 import Payload

from sagadsl.language.expressions.secrets import Named
from sagadsl.temporal.wire.headers import with_header
from sagadsl.temporal.wire.marker import MARKER

HEADER = f"{MARKER}-secrets"

NAMED: ContextVar[Named | None] = ContextVar("named_secrets", default=None)
"""The secrets that the running activity may look up."""


def headers_naming(headers: Mapping[str, Payload], named: Named | None) -> Mapping[str, Payload]:
    """Return the headers of an activity with the secrets that its definition names."""
    if named is None:
        return headers
    return with_header(headers, HEADER, named.to_json())


def named_in(headers: Mapping[str, Payload]) -> Named:
    """Return the secrets that the headers of an activity name."""
    header = headers.get(HEADER)
    try:
        return Named({}) if header is None else Named.from_json(json.loads(header.data))
    except (ValueError, TypeError, KeyError, AttributeError):  # whoever calls an activity may send any header
        return Named({})
