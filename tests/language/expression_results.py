"""What an expression gives, and how it fails, for tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sagadsl.language.expressions.values import ExpressionError, compile_value, problems

LINES = [{"sku": "b", "price": 2, "stock": True}, {"sku": "a", "price": 10.5, "stock": False}]


def render(data: Any, scope: Mapping[str, Any] | None = None, **names: Any) -> Any:
    return compile_value(data).render({"input": names} if scope is None else scope)


def fails(data: Any, scope: Mapping[str, Any] | None = None, **names: Any) -> str:
    with pytest.raises(ExpressionError) as caught:
        render(data, scope, **names)
    return str(caught.value)


def refused(text: str, *, bare: bool = False) -> tuple[str, str]:
    found = problems(text, bare=bare)
    assert len(found) == 1, found
    return found[0].message, found[0].help


class Lazy(Mapping[str, Any]):
    """A view that is no dict and computes its values, as the engine's are."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)


class Plain(Lazy):
    def to_data(self) -> dict[str, Any]:
        return dict(self._data)
