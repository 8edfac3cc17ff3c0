"""Immutable classes: nothing changes them once they are made, whoever tries."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
from collections.abc import Iterator

import pytest

import sagadsl
from sagadsl.immutable import Derived, Hidden, Immutable, field, replace


class Place(Immutable):
    name: str
    row: int = 0
    seen: Derived[list[str]] = field(default_factory=list)


class Seat(Immutable):
    name: str
    row: int = 0


class Account(Immutable):
    name: str
    key: Hidden[str] = ""


class Nothing(Immutable):
    def __repr__(self) -> str:
        return "nothing"


def _all(kind: type[Immutable] = Immutable) -> Iterator[type[Immutable]]:
    for each in kind.__subclasses__():
        yield each
        yield from _all(each)


def test_what_has_the_same_fields_and_class_is_equal() -> None:
    assert Place("a", 1) == Place("a", 1, ["x"])
    assert Place("a", 1) != Place("a", 2)
    assert Place("a") != Seat("a")
    assert Nothing() == Nothing()
    assert len({Place("a"), Place("a", 0, ["x"]), Place("b"), Seat("a")}) == 3


def test_what_is_hidden_is_compared_but_never_shown() -> None:
    assert Account("a", "secret") != Account("a")
    assert repr(Account("a", "secret")) == "Account(name='a')"
    assert [*Account("a", "secret").__rich_repr__()] == [("name", "a")]


def test_it_shows_what_it_is_unless_it_says_so_itself() -> None:
    assert repr(Place("a", 1, ["x"])) == "Place(name='a', row=1)"
    assert repr(Nothing()) == "nothing"


def test_it_can_be_replaced_sent_and_matched_and_has_no_room_for_more() -> None:
    match replace(Place("a", 1), row=2):
        case Place(name, row):
            assert (name, row) == ("a", 2)
    assert pickle.loads(pickle.dumps(Seat("a", 3))) == Seat("a", 3)
    assert copy.deepcopy(Place("a", 3, ["x"])).seen == ["x"]
    with pytest.raises(AttributeError):
        Seat("a").colour = "red"  # type: ignore[attr-defined]


def test_nothing_writes_to_a_field_of_any_of_them() -> None:
    """Of every module: what is the key of a map stays what it is."""
    for module in pkgutil.walk_packages(sagadsl.__path__, "sagadsl."):
        if not module.name.endswith(("__main__", "once.django.models")):  # that one wants a project of Django
            importlib.import_module(module.name)
    kinds = [each for each in _all() if each.__module__.startswith("sagadsl.")]
    assert len(kinds) > 150
    for kind in kinds:
        made = kind(**dict.fromkeys(kind.__struct_fields__))
        for name in kind.__struct_fields__:
            with pytest.raises(AttributeError, match="immutable"):
                setattr(made, name, None)
            with pytest.raises(AttributeError):
                delattr(made, name)
