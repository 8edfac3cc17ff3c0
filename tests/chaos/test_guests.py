"""What the inn and the ferry have in their books is judged by their own checks: these see what is untrue."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.chaos import guests

KEY = "weekend-1/{}/do"
_COLUMNS = "id, key, name, state, asked, changed_at"
_RECORD = f"INSERT INTO sagadsl_calls ({_COLUMNS}) VALUES ('1', ?, '', 'done', '', '')"
_INN = {
    "the room is free": "UPDATE rooms SET held_by = NULL",
    "two rooms are held": "UPDATE rooms SET held_by = 'weekend-1/room/do' WHERE number = 2",
    "it was booked twice": "INSERT INTO guest_book (key, leg, room) VALUES ('weekend-1/room/do', 'book', 2)",
    "it is undone, and stands": "UPDATE sagadsl_calls SET state = 'undone'",
}
_FERRY = {
    "the ticket is gone": "DELETE FROM sagadsl_ferry_ticket",
    "a place is gone": "UPDATE sagadsl_ferry_voyage SET free = free - 1",
    "it was sold twice": "INSERT INTO sagadsl_ferry_sale (key, leg) VALUES ('weekend-1/berth/do', 'sell')",
    "it was refused, and stands": "UPDATE sagadsl_calls SET state = 'refused'",
}


def _changed(file: Path, *statements: str, key: str = "") -> None:
    db = sqlite3.connect(file)
    for statement in statements:
        db.execute(statement, (key,) if "?" in statement else ())
    db.commit()
    db.close()


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the books of one weekend that has completed."""
    folder = tmp_path_factory.mktemp("guests")
    guests.open_both(guests.settings(folder))
    room, berth = KEY.format("room"), KEY.format("berth")
    booked = "INSERT INTO guest_book (key, leg, room) VALUES (?, 'book', 1)"
    _changed(folder / "inn.db", _RECORD, booked, "UPDATE rooms SET held_by = ? WHERE number = 1", key=room)
    ticket = "INSERT INTO sagadsl_ferry_ticket (key, voyage_id, passenger) VALUES (?, 'friday', 'ada')"
    sale = "INSERT INTO sagadsl_ferry_sale (key, leg) VALUES (?, 'sell')"
    _changed(folder / "ferry.db", _RECORD, ticket, sale, "UPDATE sagadsl_ferry_voyage SET free = free - 1", key=berth)
    return folder


def test_books_that_agree_are_no_problem_and_tell_what_became_of_each_key(settled: Path) -> None:
    env = guests.settings(settled)

    assert guests.problems(env) == []
    assert guests.states(env) == {KEY.format("room"): "done", KEY.format("berth"): "done"}


@pytest.mark.parametrize(("inn", "ferry"), list(zip(_INN, _FERRY, strict=True)))
def test_books_that_do_not_agree_are_found(settled: Path, tmp_path: Path, inn: str, ferry: str) -> None:
    """So that no violations means something."""
    for name in ("inn.db", "ferry.db"):
        source, copy = sqlite3.connect(settled / name), sqlite3.connect(tmp_path / name)
        source.backup(copy)
        source.close()
        copy.close()
    _changed(tmp_path / "inn.db", _INN[inn])
    _changed(tmp_path / "ferry.db", _FERRY[ferry])

    assert {each.partition(":")[0] for each in guests.problems(guests.settings(tmp_path))} == {
        "sagadsl_inn",
        "sagadsl_ferry",
    }
