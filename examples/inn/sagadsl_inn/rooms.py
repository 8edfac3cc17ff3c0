"""The rooms, in a database of SQLAlchemy: each key books one room at most, and gives it back at most once."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cache

import sqlalchemy as sa
from sagadsl import Permanent
from sagadsl.once.records import KeptCall, TakenBack
from sagadsl.once.sqlalchemy import calls_table, once, undo
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

BOOK = "inn.book_room"
LOCK_SECONDS = 20
_LEGS = {"done": ["book"], "undone": ["book", "give back"], "refused": []}


class Base(DeclarativeBase):
    """The tables of the inn; with the one of the records, as a migration would make it."""


CALLS = calls_table(Base.metadata)


class Room(Base):
    """A room, and the key of the call that holds it."""

    __tablename__ = "rooms"

    number: Mapped[int] = mapped_column(primary_key=True)
    held_by: Mapped[str | None]


class Entry(Base):
    """One line of the guest book, to which lines are only ever added: the evidence that `problems` looks at."""

    __tablename__ = "guest_book"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str]
    leg: Mapped[str]
    room: Mapped[int]


def book(sessions: sessionmaker[Session], key: str, guest: str) -> dict[str, object]:
    """Book the first free room; the answer to a repetition is the first one."""

    def do(session: Session) -> dict[str, object]:
        free = sa.select(Room).where(Room.held_by.is_(None)).order_by(Room.number).limit(1)
        room = session.scalars(free.with_for_update(skip_locked=True)).first()
        if room is None:
            raise Permanent("no room is free", type="NoRoom")
        room.held_by = key
        session.add(Entry(key=key, leg="book", room=room.number))
        return {"room": room.number, "guest": guest}

    answer: dict[str, object] = once(sessions, key, do, name=BOOK, asked={"guest": guest})
    return answer


def give_back(sessions: sessionmaker[Session], key: str) -> TakenBack:
    """Give the room of that key back, or make sure that none is booked under it."""

    def take_back(session: Session, call: KeptCall) -> dict[str, object]:
        number = call.answer["room"]
        session.get_one(Room, number).held_by = None
        session.add(Entry(key=call.key, leg="give back", room=number))
        return {"room": number}

    return undo(sessions, key, take_back, name=BOOK)


def open_inn(sessions: sessionmaker[Session], rooms: int) -> None:
    """Make the tables, and so many rooms."""
    with sessions.begin() as session:
        Base.metadata.create_all(session.connection())
        session.add_all(Room(number=number, held_by=None) for number in range(1, rooms + 1))


def states(session: Session) -> dict[str, str]:
    """Return what became of each key."""
    return {row.key: row.state for row in session.execute(sa.select(CALLS.c.key, CALLS.c.state))}


def problems(sessions: sessionmaker[Session]) -> list[str]:
    """Compare rooms, guest book and keys with each other; one sentence for each thing that does not agree."""
    with sessions() as session:
        held = {room.number: room.held_by for room in session.scalars(sa.select(Room)) if room.held_by}
        entries = session.scalars(sa.select(Entry).order_by(Entry.id)).all()
        known = states(session)
    return [*_held_wrongly(held, known), *_entered_wrongly(entries, known)]


def _held_wrongly(held: dict[int, str], known: dict[str, str]) -> Iterator[str]:
    for key, times in Counter(held.values()).items():
        if times > 1:
            yield f"key `{key}` holds {times} rooms"
    holders = set(held.values())
    done = {key for key, state in known.items() if state == "done"}
    for key in sorted(holders ^ done):
        yield f"key `{key}` is {known.get(key, 'unknown')}, and holds {'a' if key in holders else 'no'} room"


def _entered_wrongly(entries: Sequence[Entry], known: dict[str, str]) -> Iterator[str]:
    legs: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        legs[entry.key].append(entry.leg)
    for key in sorted(legs.keys() | known.keys()):
        due = _LEGS.get(known.get(key, ""), [])
        if legs[key] != due:
            yield f"key `{key}` is {known.get(key, 'unknown')}, and the guest book has {legs[key]} for it"


def sessions_of_this_process() -> sessionmaker[Session]:
    """Return where sessions come from: the database that `SAGADSL_INN_URL` names, or `inn.db` in the current folder."""
    return _sessions(os.environ.get("SAGADSL_INN_URL") or "sqlite:///inn.db", os.getpid())


@cache
def _sessions(url: str, _process: int) -> sessionmaker[Session]:
    """One engine a process: a connection that a fork shares with its parent is broken for both."""
    return connect(url)


def connect(url: str) -> sessionmaker[Session]:
    """Return where sessions on that database come from."""
    timeout = {"timeout": LOCK_SECONDS} if url.startswith("sqlite") else {}
    return sessionmaker(sa.create_engine(url, hide_parameters=True, connect_args=timeout))
