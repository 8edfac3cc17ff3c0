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
from sagadsl.later import compiled_later

SECRET = compiled_later(r"\$\{secret:([^}]*)\}")
"""How a text names a secret."""

_ORIGIN = compiled_later(r"[a-z]+://([^/?#{}@\\\s]+)(?:[/?#]|\Z)", re.IGNORECASE)
_BARE = compiled_later(r"([^/?#{}@\\\s]+)\Z")
_ADDRESSES = {"url": _ORIGIN, "target": _BARE, "auth/oauth2/token_url": _ORIGIN}
"""Where inputs have addresses, and how those look when the definition writes out their host."""


class Named(Immutable):
    """The secrets that an input names.

    Attributes:
        places: The names of the secrets, by their place in the input (its keys joined by ``/``).
        host: Host (and port, if any) of the input's ``url``; empty if the definition does not write it out.
        hosts: The hosts of its other addresses, by their place; without those that the definition does not write out.
    """

    places: Mapping[str, tuple[str, ...]]
    host: str = ""
    hosts: Mapping[str, str] = {}

    def at(self, place: str) -> tuple[str, ...]:
        """Return the names at a place, or in an expression that gives a whole value around this place."""
        parts = place.split("/")
        enclosing = ("/".join(parts[:count]) for count in range(len(parts) + 1))
        return tuple(name for each in enclosing for name in self.places.get(each, ()))

    def host_at(self, place: str) -> str:
        """Return the host of an address, as the definition writes it; empty if it does not write it out."""
        return self.host if place == "url" else self.hosts.get(place, "")

    def to_json(self) -> dict[str, Any]:
        more = {"hosts": dict(self.hosts)} if self.hosts else {}
        return {"places": {place: list(names) for place, names in self.places.items()}, "host": self.host, **more}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Named:
        return cls(
            {place: tuple(names) for place, names in data["places"].items()}, data["host"], dict(data.get("hosts", {}))
        )


def named(written: Any) -> Named | None:
    """Return the secrets that an input names, written as in the definition; ``None`` if it names none."""
    places: dict[str, tuple[str, ...]] = {}
    for place, name in _names(written, ()):
        places[place] = (*places.get(place, ()), name)
    if not places:
        return None
    hosts: dict[str, str] = {}
    for place, form in _ADDRESSES.items():
        address = _at(written, place)
        if isinstance(address, str) and (found := form.match(address)):
            hosts[place] = found[1].lower()
    return Named(places, hosts.pop("url", ""), hosts)


def _at(written: Any, place: str) -> Any:
    for key in place.split("/"):
        written = written.get(key) if isinstance(written, Mapping) else None
    return written


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
