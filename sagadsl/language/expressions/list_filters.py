"""The filters that make lists of numbers, pairs and groups. Replay-critical."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sagadsl.language.expressions.data import Budget, ExpressionError, as_json
from sagadsl.language.expressions.filter_arguments import as_elements, as_whole, attribute_of, there

_FARTHEST = 10**15
"""The largest number of a ``range``: beyond it, numbers lose digits in other languages."""


def identity(budget: Budget, value: Any) -> str:
    """Return a text that only equal values share, as JSON compares: 1 is 1.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    data, separators = as_json(value, budget), (",", ":")
    return budget.text(json.dumps(data, sort_keys=True, ensure_ascii=False, separators=separators, allow_nan=False))


def _range(budget: Budget, value: Any, stop: Any = None) -> list[int]:
    first = as_whole(value, "what `range` begins with", -_FARTHEST, _FARTHEST)
    end = first if stop is None else as_whole(stop, "the end of `range`", -_FARTHEST, _FARTHEST)
    numbers = range(0 if stop is None else first, end)
    budget.spend(1 + len(numbers))
    return list(numbers)


def _zip(budget: Budget, value: Any, other: Any, *others: Any) -> list[list[Any]]:
    lists = [as_elements(each, budget, "`zip`") for each in (value, other, *others)]
    if len({len(each) for each in lists}) > 1:
        raise ExpressionError(
            f"`zip` needs lists of one length, found {' and '.join(str(len(each)) for each in lists)}"
        )
    return [list(row) for row in zip(*lists, strict=True)]


def _group_by(budget: Budget, value: Any, attribute: Any) -> list[dict[str, Any]]:
    groups: dict[str, dict[str, Any]] = {}
    for item in as_elements(value, budget, "`group_by`"):
        key = there(attribute_of(item, attribute))
        groups.setdefault(identity(budget, key), {"key": key, "items": []})["items"].append(item)
    return list(groups.values())


LIST_FILTERS: Mapping[str, Callable[..., Any]] = {
    "group_by": _group_by,
    "range": _range,
    "zip": _zip,
}
