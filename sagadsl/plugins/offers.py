"""What the installed packages offer, activities above all, from their metadata alone: nothing is imported."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sagadsl.immutable import Immutable
from sagadsl.plugins.cache import Cache

if TYPE_CHECKING:
    from importlib.metadata import Distribution

GROUP = "sagadsl.activities"


class Offer(Immutable):
    """One entry point in the metadata of a package. Nothing has been imported yet.

    Attributes:
        name: The entry point's name. Of activities: the name of one, or the prefix for those of a class or module.
        package: Distribution and version, for people.
        distribution: The distribution's normalised name.
        value: Where it points, e.g. ``acme_pay:charge``.
    """

    name: str
    package: str
    distribution: str
    value: str


def find_offers(installed: Iterable[Distribution] | None = None, group: str = GROUP) -> tuple[Offer, ...]:
    """List every offer of a group of entry points, sorted, so that two machines agree. It imports none of them.

    A distribution that is visible twice counts once, as for Python itself. A distribution
    whose metadata cannot be read offers nothing.
    """
    from importlib.metadata import distributions  # noqa: PLC0415 # 25 ms that `--no-plugins` need not pay

    offers: list[Offer] = []
    seen: set[str] = set()
    for distribution in distributions() if installed is None else installed:
        try:
            points = [each for each in distribution.entry_points if each.group == group]
            if not points:
                continue
            name, version = distribution.name, distribution.version
        except Exception:  # noqa: BLE001 # somebody else's metadata, which can be broken in any way
            continue
        if normal(name) in seen:
            continue
        seen.add(normal(name))
        offers.extend(
            {Offer(each.name, f"{name} {version}", normal(name), each.value) for each in points},
        )
    return tuple(sorted(offers, key=lambda offer: (offer.name, offer.distribution, offer.value)))


def remembered(cache: Cache) -> tuple[Offer, ...]:
    """List every offer as ``find_offers`` does, but search only after something was installed or removed."""
    kept = cache.offers()
    if kept is None:
        found = find_offers()
        cache.keep_offers((each.name, each.package, each.distribution, each.value) for each in found)
        return found
    return tuple(Offer(*each) for each in kept)


def normal(distribution: str) -> str:
    """Return the name of a distribution as packaging tools compare it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
