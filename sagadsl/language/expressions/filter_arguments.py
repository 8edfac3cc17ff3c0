"""Checks the arguments of filters and tests: each returns its argument if acceptable. Replay-critical."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagadsl.language.expressions.data import Budget, Missing, finite, lookup, nulls_of, refuse, step_text


def as_text(value: Any, asker: str) -> str:
    return value if isinstance(value, str) else refuse(f"{asker} needs text", value)


def as_number(value: Any, asker: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse(f"{asker} needs a number", value)
    return finite(value)


def as_whole(value: Any, asker: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        refuse(f"{asker} must be a whole number from {low} to {high}", value)
    return value


def as_elements(value: Any, budget: Budget, asker: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        refuse(f"{asker} needs a list", value)
    budget.spend(1 + len(value))
    return list(value)


def as_members(value: Any, budget: Budget, asker: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        refuse(f"{asker} needs an object", value)
    budget.spend(1 + len(value))
    return value


def attribute_of(item: Any, attribute: Any) -> Any:
    """Return the value that ``attribute="a.b.0"`` reads in an item, or the missing value at which it stops."""
    label, nothing = "each element", None
    for part in str(attribute).split(".") if isinstance(attribute, str) else [attribute]:
        key = int(part) if isinstance(part, str) and part.isascii() and part.isdigit() else part
        try:
            found = lookup(item, key)
        except KeyError:
            return Missing(item, key, label) if nothing is None else nothing
        nothing = Missing(item, key, label) if found is None and key in nulls_of(item) else None
        item, label = found, label + step_text(key)
    return item


def there(value: Any) -> Any:
    return value.or_null() if isinstance(value, Missing) else value
