"""The secrets that the definition of a call's input names; texts from expressions do not count.

A definition says which secret goes where: ``Authorization: "Bearer ${secret:TOKEN}"``, or ``{secret: TOKEN}``.
Inputs of sagas and outputs of steps are not trusted, and may contain the same text. So an activity gets the list of
secrets that the definition itself names, and looks up no others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sagadsl.immutable import Immutable

SECRET = re.compile(r"\$\{secret:([^}]*)\}")
"""How a text names a secret."""

_ORIGIN = re.compile(r"[a-z]+://([^/?#{}@\\\s]+)(?:[/?#]|\Z)", re.IGNORECASE)


class Named(Immutable):
    """The secrets that an input names.

    Attributes:
        places: The names of the secrets, by their place in the input (its keys joined by ``/``).
        host: Host (and port, if any) of the input's ``url``; empty if the definition does not write it out.
    """

    places: Mapping[str, tuple[str, ...]]
    host: str = ""

    def at(self, place: str) -> tuple[str, ...]:
        """Return the names at a place, or in an expression that gives a whole value around this place."""
        parts = place.split("/")
        around = ("/".join(parts[:count]) for count in range(len(parts) + 1))
        return tuple(name for each in around for name in self.places.get(each, ()))

    def to_json(self) -> dict[str, Any]:
        return {"places": {place: list(names) for place, names in self.places.items()}, "host": self.host}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Named:
        return cls({place: tuple(names) for place, names in data["places"].items()}, data["host"])


def named(written: Any) -> Named | None:
    """Return the secrets that an input names, written as in the definition; ``None`` if it names none."""
    places: dict[str, tuple[str, ...]] = {}
    for place, name in _names(written, ()):
        places[place] = (*places.get(place, ()), name)
    if not places:
        return None
    url = written.get("url") if isinstance(written, Mapping) else None
    found = _ORIGIN.match(url) if isinstance(url, str) else None
    return Named(places, found[1].lower() if found else "")


def _names(written: Any, place: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    match written:
        case str():
            yield from (("/".join(place), name) for name in SECRET.findall(written) if "{" not in name)
        case {"secret": str(name), **more} if not more and "{" not in name:
            yield "/".join(place), name
        case Mapping():
            for key, each in written.items():
                yield from _names(each, (*place, str(key)))
        case list() | tuple():
            for number, each in enumerate(written):
                yield from _names(each, (*place, str(number)))
