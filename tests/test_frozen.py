"""Records of the engine and the language: dataclasses, but for what they cost."""

from __future__ import annotations

import pickle
from dataclasses import field, replace

import pytest

from sagadsl.frozen import frozen


@frozen
class Place:
    name: str
    row: int = 0
    seen: list[str] = field(default_factory=list, compare=False, repr=False)


@frozen
class Seat:
    name: str
    row: int = 0


@frozen
class Nothing:
    def __repr__(self) -> str:
        return "nothing"


def test_what_has_the_same_fields_and_class_is_equal() -> None:
    assert Place("a", 1) == Place("a", 1, ["x"])
    assert Place("a", 1) != Place("a", 2)
    assert Place("a") != Seat("a")
    assert Nothing() == Nothing()
    assert len({Place("a"), Place("a", 0, ["x"]), Place("b"), Seat("a")}) == 3


def test_it_shows_what_it_is_unless_it_says_so_itself() -> None:
    assert repr(Place("a", 1, ["x"])) == "Place(name='a', row=1)"
    assert repr(Nothing()) == "nothing"


def test_it_can_be_replaced_sent_and_matched_and_has_no_room_for_more() -> None:
    match replace(Place("a", 1), row=2):
        case Place(name, row):
            assert (name, row) == ("a", 2)
    assert pickle.loads(pickle.dumps(Seat("a", 3))) == Seat("a", 3)
    with pytest.raises(AttributeError):
        Seat("a").colour = "red"  # type: ignore[attr-defined]
