"""Immutable classes that cost little: to define, when a command starts, and to make, at every step of a run.

``class Error(Immutable)`` reads like a dataclass, and is a struct of msgspec: whoever writes to a field gets an
``AttributeError``. What the code of users gets into its hands (``authoring``, ``testing``, ``Played``) stays a frozen
dataclass. Figures: docs/decisions/0010.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar, dataclass_transform

from msgspec import Struct, field

if TYPE_CHECKING:
    from dataclasses import replace  # it has the same signature, and mypy checks the names and types of the changes
else:
    from msgspec.structs import replace

__all__ = ["Derived", "Hidden", "Immutable", "field", "replace"]

T = TypeVar("T")

Derived = Annotated[T, "derived"]
"""A field that follows from the others: it is neither compared nor shown. Its module needs annotations as text:
``from __future__ import annotations``."""

Hidden = Annotated[T, "hidden"]
"""A field that ``repr`` does not show, as it is long or secret."""


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Immutable(Struct, frozen=True):
    """A class with slots whose fields nobody can set once it is made; equality, hash and ``repr`` go by the fields."""

    _compared: ClassVar[Any]
    _shown: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        marks = {name: text.partition("[")[0] for name, text in cls.__annotations__.items()}
        if "Derived" in marks.values():  # msgspec compares all fields or none
            cls._compared = attrgetter(*(name for name, mark in marks.items() if mark != "Derived"))
            cls.__eq__ = _equal  # type: ignore[assignment]
            cls.__hash__ = _hash  # type: ignore[assignment]
        if {"Derived", "Hidden"} & set(marks.values()):
            cls._shown = tuple(name for name, mark in marks.items() if mark not in ("Derived", "Hidden"))
            cls.__rich_repr__ = _pairs  # type: ignore[method-assign,assignment]
            if "__repr__" not in cls.__dict__:
                cls.__repr__ = _text  # type: ignore[assignment]


def _equal(self: Immutable, other: object) -> Any:
    if type(self) is not type(other):
        return NotImplemented
    return self._compared(self) == self._compared(other)


def _hash(self: Immutable) -> int:
    return hash((type(self), self._compared(self)))


def _pairs(self: Immutable) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(self, name)) for name in self._shown)


def _text(self: Immutable) -> str:
    return f"{type(self).__qualname__}({', '.join(f'{name}={value!r}' for name, value in _pairs(self))})"
