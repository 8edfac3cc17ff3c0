"""Reads time zones from the package `tzdata`, never from the machine. Replay-critical.

All workers of one release have the same package, whatever their machines have.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from zoneinfo import ZoneInfo

_PACKAGE = "tzdata"


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo | None:
    """Return the zone of this name, e.g. ``Europe/Berlin``; ``None`` when there is none."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415 # late: few definitions name a zone

    at = _data("zoneinfo")
    for part in name.split("/"):
        found = [each for each in at.iterdir() if each.name == part] if at.is_dir() else []
        if not found:  # by its exact name: some machines would also open `europe/berlin`
            return None
        at = found[0]
    try:
        with at.open("rb") as data:
            return ZoneInfo.from_file(data, key=name)
    except (OSError, ValueError):  # a folder, or a file that describes no zone
        return None


@lru_cache(maxsize=1)
def zone_names() -> tuple[str, ...]:
    """Return the names of zones, without those that only stand for another name."""
    return tuple(_data("zones").read_text("utf-8").split())


def _data(name: str) -> Traversable:
    from importlib.resources import files  # noqa: PLC0415 # late, too

    return files(_PACKAGE).joinpath(name)
