"""A database of SQLAlchemy and one of Django, behind one face: what holds of one holds of the other.

The effect of a call is a line in the table `effects`, which has no key of its own: two effects would be two lines.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from sagadsl.once import sqlalchemy as with_sqlalchemy
from sagadsl.once.records import KeptCall, TakenBack

FERRY = Path(__file__).parents[2] / "examples" / "ferry"
NAME = "acme.pay"
_TABLE = "CREATE TABLE effects (id {}, effect_key TEXT NOT NULL, leg TEXT NOT NULL)"
_IDS = {"sqlite": "INTEGER PRIMARY KEY", "postgresql": "SERIAL PRIMARY KEY"}
_INSERT = "INSERT INTO effects (effect_key, leg) VALUES "
_READ = "SELECT effect_key, leg FROM effects ORDER BY id"
_LOCK = {"timeout": 60}

Meanwhile = Callable[[], Any]


def _nothing() -> None:
    pass


class Place(Protocol):
    """A database with the records and the effects. *meanwhile* runs between an effect and its end."""

    def do(self, key: str, asked: Any, *, name: str = NAME, answer: Any = None, meanwhile: Meanwhile = _nothing) -> Any:
        """Have the effect `do` once."""

    def undo(self, key: str, *, name: str = NAME, meanwhile: Meanwhile = _nothing) -> TakenBack:
        """Have the effect `undo` once; answers what the call was asked and has answered."""

    def effects(self) -> list[tuple[str, str]]:
        """Return the effects, oldest first."""

    def forget(self, older_than: timedelta, open_sagas: set[str]) -> int:
        """Remove old records."""


class Plain:
    """SQLAlchemy with plain sessions."""

    options: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, url: str) -> None:
        self.engine = sa.create_engine(url, connect_args=_LOCK if url.startswith("sqlite") else {}, max_overflow=-1)
        self.sessions = orm.sessionmaker(self.engine)
        metadata = sa.MetaData()
        with_sqlalchemy.calls_table(metadata)
        with self.engine.begin() as db:
            if not sa.inspect(db).has_table("effects"):
                metadata.create_all(db)
                db.execute(sa.text(_TABLE.format(_IDS[db.dialect.name])))

    def do(self, key: str, asked: Any, *, name: str = NAME, answer: Any = None, meanwhile: Meanwhile = _nothing) -> Any:
        def act(session: orm.Session) -> Any:
            session.execute(sa.text(f"{_INSERT} (:key, 'do')"), {"key": key})
            meanwhile()
            return {"paid": asked} if answer is None else answer

        return with_sqlalchemy.once(self.sessions, key, act, name=name, asked=asked)

    def undo(self, key: str, *, name: str = NAME, meanwhile: Meanwhile = _nothing) -> TakenBack:
        def act(session: orm.Session, call: KeptCall) -> Any:
            session.execute(sa.text(f"{_INSERT} (:key, 'undo')"), {"key": call.key})
            meanwhile()
            return [call.asked, call.answer]

        return with_sqlalchemy.undo(self.sessions, key, act, name=name)

    def effects(self) -> list[tuple[str, str]]:
        with self.sessions() as session:
            return [(row[0], row[1]) for row in session.execute(sa.text(_READ))]

    def forget(self, older_than: timedelta, open_sagas: set[str]) -> int:
        return with_sqlalchemy.forget(self.sessions, older_than=older_than, open_sagas=open_sagas)


class BySavepoint(Plain):
    """As databases are served for which there is no statement of their own: the dialect has another name."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.engine.dialect.name = "another"


class Asynchronous(Plain):
    """SQLAlchemy with asynchronous sessions: each call in a loop of its own, with an engine that *options* make."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url

    def do(self, key: str, asked: Any, *, name: str = NAME, answer: Any = None, meanwhile: Meanwhile = _nothing) -> Any:
        async def act(session: AsyncSession) -> Any:
            await session.execute(sa.text(f"{_INSERT} (:key, 'do')"), {"key": key})
            await asyncio.to_thread(meanwhile)
            return {"paid": asked} if answer is None else answer

        return self._in_a_loop(with_sqlalchemy.once_async, key, act, name=name, asked=asked)

    def undo(self, key: str, *, name: str = NAME, meanwhile: Meanwhile = _nothing) -> TakenBack:
        async def act(session: AsyncSession, call: KeptCall) -> Any:
            await session.execute(sa.text(f"{_INSERT} (:key, 'undo')"), {"key": call.key})
            await asyncio.to_thread(meanwhile)
            return [call.asked, call.answer]

        taken: TakenBack = self._in_a_loop(with_sqlalchemy.undo_async, key, act, name=name)
        return taken

    def _in_a_loop(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        async def run() -> Any:
            engine = create_async_engine(self.url, **self.options)
            try:
                return await call(async_sessionmaker(engine), *args, **options)
            finally:
                await engine.dispose()

        return asyncio.run(run())


class Django:
    """Django with a database of its own among those of the process."""

    def __init__(self, url: str) -> None:
        ready()
        from django.db import connections

        self.alias = f"test-{len(connections.settings)}"
        connections.settings[self.alias] = _settings(url)
        from django.core.management import call_command

        with connections[self.alias].cursor() as cursor:
            is_new = "effects" not in connections[self.alias].introspection.table_names(cursor)
        if is_new:
            call_command("migrate", "sagadsl_once", database=self.alias, verbosity=0)
            self._execute(_TABLE.format(_IDS[connections[self.alias].vendor]))
        connections[self.alias].close()

    def do(self, key: str, asked: Any, *, name: str = NAME, answer: Any = None, meanwhile: Meanwhile = _nothing) -> Any:
        from sagadsl.once.django import once

        def act() -> Any:
            self._execute(f"{_INSERT} (%s, 'do')", key)
            meanwhile()
            return {"paid": asked} if answer is None else answer

        return once(key, act, name=name, asked=asked, using=self.alias)

    def undo(self, key: str, *, name: str = NAME, meanwhile: Meanwhile = _nothing) -> TakenBack:
        from sagadsl.once.django import undo

        def act(call: KeptCall) -> Any:
            self._execute(f"{_INSERT} (%s, 'undo')", call.key)
            meanwhile()
            return [call.asked, call.answer]

        return undo(key, act, name=name, using=self.alias)

    def effects(self) -> list[tuple[str, str]]:
        from django.db import connections

        with connections[self.alias].cursor() as cursor:
            cursor.execute(_READ)
            found = [(key, leg) for key, leg in cursor.fetchall()]
        connections[self.alias].close()
        return found

    def forget(self, older_than: timedelta, open_sagas: set[str]) -> int:
        from sagadsl.once.django import forget

        return forget(older_than=older_than, open_sagas=open_sagas, using=self.alias)

    def _execute(self, statement: str, *values: str) -> None:
        from django.db import connections

        with connections[self.alias].cursor() as cursor:
            cursor.execute(statement, values)


def ready() -> None:
    """Let Django begin with the settings of the ferry: a process has one project."""
    if str(FERRY) not in sys.path:
        sys.path.insert(0, str(FERRY))
    os.environ["DJANGO_SETTINGS_MODULE"] = "sagadsl_ferry.settings"
    import django

    django.setup()


def _settings(url: str) -> dict[str, Any]:
    from django.db import connections

    found = urlsplit(url)
    settings: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": found.path[1:], "OPTIONS": _LOCK}
    if found.scheme.startswith("postgresql"):
        options = {"options": parse_qs(found.query)["options"][0]}
        settings = {"ENGINE": "django.db.backends.postgresql", "NAME": found.path[1:], "OPTIONS": options}
        settings |= {"USER": found.username, "PASSWORD": found.password, "HOST": found.hostname, "PORT": found.port}
    return connections.configure_settings({"default": {}, "new": settings})["new"]  # type: ignore[no-any-return]


PLACES: dict[str, tuple[Callable[[str], Place], str]] = {
    "sqlalchemy, sqlite": (Plain, "sqlite"),
    "sqlalchemy, postgresql": (Plain, "postgresql"),
    "sqlalchemy by savepoint, postgresql": (BySavepoint, "postgresql"),
    "sqlalchemy async, postgresql": (Asynchronous, "postgresql"),
    "django, sqlite": (Django, "sqlite"),
    "django, postgresql": (Django, "postgresql"),
}
