"""When the namespace's retention is over: every command says so, and nothing is taken for done or undone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker
from temporalio import activity

from sagadsl.authoring import Permanent
from sagadsl.cli.commands import cli
from sagadsl.engine.facts import How
from sagadsl.language.paths import key_of_activity_id
from sagadsl.once.records import KeptCall
from sagadsl.once.sqlalchemy import calls_table, once, undo
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask.recovery import look, take_up
from sagadsl.temporal.read.runs import Ended
from tests.cli.shell import Ran, inside
from tests.conftest import Server
from tests.engine.scenes import act, gives, saga
from tests.temporal.fleeting import delete, forgetful, gone
from tests.temporal.play import SDK_RACE, Stage, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

ASK = {"id": "ask", "wait_for": {"signal": "go"}}
KID = saga(act("toy"), name="kid")
SHORT = saga(act("a"), name="short")
WAITS = saga(act("a"), ASK, name="waits")

OF_ONE_SAGA = {
    "status": (),
    "trace": (),
    "explain-run": (),
    "result": (),
    "query": ("progress",),
    "signal": ("go",),
    "cancel": (),
    "terminate": ("--yes",),
    "history export": ("--to", "kept"),
    "migrate": ("--to", "waits.saga.yaml"),
    "forget": ("--why", "w", "--yes"),
    "recover": ("--yes",),
    "redrive": ("--yes",),
    "retry": (),
    "complete": ("a", "--step-output", "1"),
    "skip": ("a",),
    "abort": (),
    "pause": (),
    "resume": (),
    "reset": ("--to", "a", "--yes"),
    "graph show": ("--run",),
}
"""The commands that name a saga, with what else they want."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with forgetful(tmp_path_factory.mktemp("retention")) as address:
        yield address


@pytest.fixture(scope="module")
def ended(address: str) -> tuple[str, str]:
    """The ids of a saga that has completed and of one that was killed; the server keeps neither."""

    async def scenario() -> tuple[str, str]:
        async with stage(address) as made:
            done, killed = await made.start(SHORT), await made.start(WAITS)
            await made.until_status(killed, lambda found: "go" in found["waiting_for"])
            await sagas.terminate(made.client, killed.id, "killed")
            for each in (done, killed):
                await gone(made.client, each.id)
            return done.id, killed.id

    return asyncio.run(scenario())


def _asked(command: str, id_: str, *more: str, address: str, folder: Path | None = None) -> Ran:
    words = [*command.split(), *OF_ONE_SAGA[command], id_] if "graph" in command else [*command.split(), id_]
    rest = () if "graph" in command else OF_ONE_SAGA[command]
    return inside(*words, *rest, *more, "--address", address, cwd=folder)


@pytest.mark.parametrize("command", OF_ONE_SAGA)
@pytest.mark.parametrize("how", ["completed", "killed"])
def test_each_command_says_that_there_is_no_such_saga_and_since_when(
    address: str, ended: tuple[str, str], tmp_path: Path, how: str, command: str
) -> None:
    """Nobody can know how it has ended. A killed one cannot be recovered any more."""
    (tmp_path / "waits.saga.yaml").write_text(json.dumps(WAITS))
    id_ = ended[how == "killed"]

    ran = _asked(command, id_, address=address, folder=tmp_path)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error[SD923]: no saga `{id_}` in namespace `default`\n")
    assert "this namespace keeps a saga for 1s after its end, and deletes it then\n" in ran.err


def test_no_command_that_names_a_saga_is_left_out() -> None:
    found = set()
    with cli.make_context("sagadsl", ["--help"], resilient_parsing=True) as context:
        for name in cli.list_commands(context):
            command = cli.get_command(context, name)
            below = command.commands if isinstance(command, click.Group) else {}
            for words, each in {name: command, **{f"{name} {sub}": it for sub, it in below.items()}}.items():
                assert each is not None
                if any(isinstance(param, click.Argument) and param.name == "id" for param in each.params):
                    found.add(words)
    of_schedules = {each for each in found if each.startswith("schedule ")}
    assert found - of_schedules == set(OF_ONE_SAGA) - {"graph show"}


def test_lists_and_counts_are_of_what_is_left(address: str, ended: tuple[str, str], tmp_path: Path) -> None:
    for command in ("list", "incidents"):
        ran = inside(command, "--json", "--address", address, cwd=tmp_path)
        assert ran.code == 0
        assert not any(each in ran.out for each in ended)
    exported = inside("history", "export", "--name", "short", "--to", "kept", "--address", address, cwd=tmp_path)
    assert (exported.code, "Traceback" in exported.err) == (0, False)
    assert not list((tmp_path / "kept").glob("*.json*"))
    replayed = inside("replay", "--name", "short", "--no-plugins", "--address", address, cwd=tmp_path)
    assert (replayed.code, "✓" in replayed.out, "nothing was played" in replayed.out) == (0, False, True)


def test_a_saga_goes_on_when_the_run_of_its_child_is_gone_and_undoes_it(server: Server) -> None:
    """R47: what the child has done, the parent knows; it is undone by a run that has it from there."""
    parent = saga({"id": "kid", "saga": "kid", "compensation": "auto"}, ASK, name="parent")

    async def scenario() -> tuple[Stage, dict[str, Ran], str, str]:
        async with stage(server.address, {"toy": gives({"n": 7})}) as made:
            started = await made.start(parent, children={"kid": KID})
            await made.until_status(started, lambda found: "go" in found["waiting_for"])
            await delete(made.client, f"{started.id}/kid")
            said = {}
            for command in ("status", "trace", "explain-run"):
                said[command] = await asyncio.to_thread(_asked, command, started.id, "--json", address=server.address)
            await sagas.cancel(made.client, started.id)
            return made, said, started.id, (await made.end(started)).status

    made, said, id_, status = asyncio.run(scenario())
    assert {command: ran.code for command, ran in said.items()} == dict.fromkeys(said, 0)
    told = json.loads(said["status"].out)
    assert (told["status"], told.get("children", [])) == ("running", [])
    assert (told["steps"][0]["path"], told["steps"][0]["status"]) == ("kid", "completed")
    assert "Traceback" not in "".join(ran.err for ran in said.values())
    assert (status, made.begun) == ("cancelled", ["toy", "toy.compensation"])
    assert made.keys == {"toy": [f"{id_}/kid/toy/do"], "toy.compensation": [f"{id_}/kid/toy/undo"]}


def test_a_run_that_has_taken_up_one_that_is_gone_undoes_the_work_of_both(server: Server) -> None:
    """R31: each was killed, and `recover` has all that it needs from the run that is left."""
    definition = saga(act("a"), ASK, act("b"), {**ASK, "id": "more"}, name="twice")

    async def scenario() -> tuple[Stage, dict[str, Ran], str]:
        async with stage(server.address) as made:
            started = await made.start(definition)
            await made.until_status(started, lambda found: "go" in found["waiting_for"])
            await sagas.terminate(made.client, started.id, "killed")
            second = await take_up(made.client, await look(made.client, started.id, "recover", How.FORWARD))
            await made.until_status(second, lambda found: "go" in found["waiting_for"])  # it has read the first
            await delete(made.client, started.id, started.run_id)
            await sagas.signal(made.client, started.id, "go")
            await made.until_status(second, lambda found: found["waiting_for"] == {"go": ["more"]})
            said = {}
            for command in ("status", "trace", "explain-run"):
                said[command] = await asyncio.to_thread(_asked, command, started.id, address=server.address)
            old = ("--run", started.run_id)
            said["old"] = await asyncio.to_thread(_asked, "trace", started.id, *old, address=server.address)
            await sagas.terminate(made.client, started.id, "killed")
            third = await take_up(made.client, await look(made.client, started.id, "recover"))
            return made, said, (await made.end(third)).status

    made, said, status = asyncio.run(scenario())
    assert {command: ran.code for command, ran in said.items()} == {"status": 0, "trace": 0, "explain-run": 0, "old": 2}
    assert "this namespace keeps a run for 1d after its end" in said["old"].err
    assert (status, made.begun) == ("compensated", ["a", "b", "b.compensation", "a.compensation"])
    assert [keys[0].partition("/")[2] for keys in made.keys.values()] == ["a/do", "b/do", "b/undo", "a/undo"]


BOOKS = saga(
    act("book", compensation={"activity": "undo.book", "input": {"key": "{{ step.idempotency_key }}"}}),
    act("pay", compensation="none"),
    name="books",
)


class Rooms:
    """Whose books are kept by `sagadsl.once`, so that it knows the keys of all sagas there ever were."""

    def __init__(self, folder: Path) -> None:
        metadata = sa.MetaData()
        self._room = sa.Table("room", metadata, sa.Column("key", sa.Text))
        calls_table(metadata)
        engine = sa.create_engine(f"sqlite:///{folder}/rooms.db")
        metadata.create_all(engine)
        self._sessions = sessionmaker(engine)
        self.pays = True

    @property
    def activities(self) -> list[Callable[..., Any]]:
        @activity.defn(name="do.book")
        def book(_: Any = None) -> str:
            def do(session: Session) -> str:
                session.execute(self._room.insert().values(key=key))
                return key

            key = key_of_activity_id(activity.info().workflow_id or "", activity.info().activity_id)
            return str(once(self._sessions, key, do, name="book", asked={}))

        @activity.defn(name="undo.book")
        def give_back(sent: dict[str, str]) -> None:
            def take_back(session: Session, call: KeptCall) -> None:
                session.execute(self._room.delete().where(self._room.c.key == call.key))

            undo(self._sessions, sent["key"], take_back, name="book")

        @activity.defn(name="do.pay")
        def pay(_: Any = None) -> None:
            if not self.pays:
                raise Permanent("the card is empty", type="CardEmpty")

        return [book, give_back, pay]

    def booked(self) -> list[str]:
        """The keys under which a room is booked."""
        with self._sessions() as session:
            return list(session.scalars(sa.select(self._room.c.key)))


async def _twice(rooms: Rooms, address: str, pays: tuple[bool, bool], **second: Any) -> tuple[str, list[Ended]]:
    """Run a saga, have the server delete it, and start its id once more."""
    async with stage(address, activities=rooms.activities) as made:
        rooms.pays = pays[0]
        first = await made.start(BOOKS)
        ends = [await made.end(first)]
        await delete(made.client, first.id)
        rooms.pays = pays[1]
        again = await made.start(BOOKS, id=first.id, **second)
        assert again.earlier == ""  # nobody knows of one
        return first.id, [*ends, await made.end(again)]


def test_an_id_that_comes_again_after_all_is_gone_books_no_second_room(server: Server, tmp_path: Path) -> None:
    """R49: it has the same keys, and whoever has kept them knows. So a client that repeats itself late does no harm."""
    rooms = Rooms(tmp_path)
    id_, ends = asyncio.run(_twice(rooms, server.address, (True, True)))
    assert [each.status for each in ends] == ["completed", "completed"]
    assert rooms.booked() == [f"{id_}/book/do"]


def test_an_id_that_comes_again_after_its_undoing_is_gone_is_told_so(server: Server, tmp_path: Path) -> None:
    """R49: `once` refuses a key that was undone. It never says `completed` with nothing in the books."""
    rooms = Rooms(tmp_path)
    _, ends = asyncio.run(_twice(rooms, server.address, (False, True)))
    assert [each.status for each in ends] == ["compensated", "compensated"]
    assert ends[1].report is not None
    assert ends[1].report["failure"]["type"] == "AlreadyUndone"
    assert rooms.booked() == []


@pytest.mark.parametrize("pays", [True, False], ids=["after success", "after a failure"])
def test_who_says_again_gets_new_keys_also_when_the_server_has_forgotten(
    server: Server, tmp_path: Path, pays: bool
) -> None:
    """R49: the work happens this time, whatever was done or undone before."""
    rooms = Rooms(tmp_path)
    id_, ends = asyncio.run(_twice(rooms, server.address, (pays, True), again=True))
    assert [each.status for each in ends] == ["completed" if pays else "compensated", "completed"]
    old = [f"{id_}/book/do"] if pays else []
    assert rooms.booked()[: len(old)] == old
    (new,) = rooms.booked()[len(old) :]
    assert new.startswith(f"{id_}~")


def test_an_id_that_comes_again_and_fails_undoes_what_has_its_keys(server: Server, tmp_path: Path) -> None:
    """The one that nobody can tell apart: what docs/operations/retention.md warns of."""
    rooms = Rooms(tmp_path)
    _, ends = asyncio.run(_twice(rooms, server.address, (True, False)))
    assert [each.status for each in ends] == ["completed", "compensated"]
    assert rooms.booked() == []
