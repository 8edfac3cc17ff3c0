"""The header that tells an activity where its input has secrets, so that its worker writes none of them into a log or
an error. It holds places, and no value: headers are not encrypted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from temporalio.api.common.v1 import Payload

from sagadsl.language.schema.secrecy import NOTHING, Hiding, Place, found, hiding
from sagadsl.temporal.wire.headers import with_header
from sagadsl.temporal.wire.marker import MARKER

HEADER = f"{MARKER}-hidden"

_MOST_PLACES = 1_000
_KEPT = 512


@lru_cache(maxsize=_KEPT)
def public_words(raw: bytes) -> frozenset[str]:
    """Return the keys that a header may name: those that an envelope has itself, in its definitions and in the places
    of secrets in the models of activities. Any other key came with data."""
    data = json.loads(raw)
    marks = data.get("options", {}).get("secrets", {})
    of_models = (key for each in marks.values() for at in each.values() for place in at for key in place)
    return frozenset([*_keys([data["definition"], data.get("children")]), *of_models])


def _keys(data: Any) -> Iterator[str]:
    match data:
        case Mapping():
            for key, each in data.items():
                yield str(key)
                yield from _keys(each)
        case list():
            for each in data:
                yield from _keys(each)


def headers_hiding(headers: Mapping[str, Payload], places: Sequence[Place]) -> Mapping[str, Payload]:
    """Return the headers of an activity with the places of the secrets in its input."""
    if not places:
        return headers
    told = [list(each) for each in places] if len(places) <= _MOST_PLACES else [[]]
    return with_header(headers, HEADER, told)


def hidden_in(headers: Mapping[str, Payload], sent: Sequence[Any]) -> Hiding:
    """Return what takes the secrets out of what is written about a call that was *sent* JSON data."""
    header = headers.get(HEADER)
    if header is None or not sent:
        return NOTHING
    try:
        at = [tuple(map(str, each)) for each in json.loads(header.data)]
    except (ValueError, TypeError):  # whoever calls an activity may send any header
        return NOTHING
    return hiding(found(sent[0], at))
