"""Immutable classes that cost little: to define, when a command starts, and to make, at every step of a run.

``dataclass(frozen=True, slots=True)`` compiles six methods for each class, and sets each field through
``object.__setattr__``. With Python 3.11 a class is made in about a third of the time here, and an object of ten
fields in a quarter. What is given up: a write to a field is found by the type checker alone. So what the code of
users gets into its hands (``authoring``, ``testing``, ``Played``) stays a frozen dataclass. See docs/decisions/0010.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Protocol, TypeVar, cast, dataclass_transform

__all__ = ["frozen"]

T = TypeVar("T")


class _Frozen(Protocol):
    _compared: Callable[[Any], Any]
    _shown: tuple[str, ...]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Make *cls* a dataclass with slots, equality and a hash by its fields, which nothing changes once it is made."""
    made: Any = dataclass(slots=True, eq=False, repr=False)(cls)
    compared = [each.name for each in fields(made) if each.compare]
    made._compared = staticmethod(attrgetter(*compared) if compared else lambda _: ())
    made._shown = tuple(each.name for each in fields(made) if each.repr)
    for name, method in (("__eq__", _equal), ("__hash__", _hash), ("__repr__", _text)):
        if name not in cls.__dict__:
            setattr(made, name, method)
    return cast(type[T], made)


def _equal(self: _Frozen, other: object) -> Any:
    if type(self) is not type(other):
        return NotImplemented
    return self._compared(self) == self._compared(other)


def _hash(self: _Frozen) -> int:
    return hash((type(self), self._compared(self)))


def _text(self: _Frozen) -> str:
    return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._shown)})"
