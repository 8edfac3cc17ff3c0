"""Open sagas go on with another definition, on a real server. R70 to R76."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import Any

import pytest
from temporalio.client import Client

from sagadsl.engine.facts import Given
from sagadsl.engine.verbs import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import migrating
from sagadsl.temporal.ask.many import Addressee, carried_out
from sagadsl.temporal.ask.migrating import CannotMigrate
from sagadsl.temporal.client import Started
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.described import describe
from sagadsl.temporal.refusals import NotPossible
from sagadsl.temporal.wire.arguments import Package
from sagadsl.temporal.wire.requests import Asked
from sagadsl.virtual.calls import Attempt
from tests.conftest import Server
from tests.engine.scenes import act, gives, no, plain, saga
from tests.patience import PATIENCE
from tests.temporal.play import Stage, play, replay, stage

pytestmark = pytest.mark.temporal

WAIT = {"id": "approval", "wait_for": {"signal": "approved"}}
ONE = saga(act("pay"), WAIT, act("ship"))
TWO = saga(
    act("pay", compensation={"activity": "undo.new", "retry": "none"}), WAIT, act("pack"), act("ship"), version="2"
)


async def _packed(client: Client, definition: dict[str, Any], children: dict[str, Any] | None = None) -> Any:
    return await sagas.packed(client, definition, children or {})


async def _until_waiting(client: Client, id: str, signal: str = "approved") -> None:
    async with asyncio.timeout(PATIENCE):
        while signal not in (await runs.status(client, id)).get("waiting_for", {}):
            await asyncio.sleep(0.02)


async def _migrated(made: Stage, started: Started, new: dict[str, Any]) -> None:
    await _until_waiting(made.client, started.id)
    found = await migrating.migrate(made.client, started.id, await _packed(made.client, new), by="ann", why="new box")
    assert found.outcome == "migrated"


def test_a_saga_that_waits_goes_on_with_the_new_definition_and_keeps_the_old_promise(server: Server) -> None:
    """R72: memo, status and actions tell of it; both runs replay."""

    async def act_out(made: Stage, started: Started) -> None:
        await _migrated(made, started, TWO)
        described = await describe(made.client, started.id)
        assert described.memo["version"] == "2"
        status = await runs.status(made.client, started.id)
        assert status["version"] == "2"
        assert status["digest"] == described.memo["digest"] == status["migrations"][0]["digest"]
        assert [(each["verb"], each["by"], each["why"]) for each in status["actions"]] == [
            ("migrate", "ann", "new box")
        ]
        await sagas.signal(made.client, started.id, "approved")

    played = play(server.address, ONE, {"ship": no()}, act=act_out)
    assert played.calls == ["pay", "pack", "ship", "pack.compensation", "pay.compensation"]
    assert played.ended.status == "compensated"
    assert played.status["version"] == "2"


def test_a_saga_with_a_call_in_flight_migrates_when_it_has_ended(server: Server) -> None:
    """R75."""
    held = asyncio.Event()

    async def act_out(made: Stage, started: Started) -> None:
        await made.until("pay")
        found = await migrating.migrate(made.client, started.id, await _packed(made.client, TWO))
        assert (found.outcome, found.waits_for) == ("waits", ("pay",))
        status = await runs.status(made.client, started.id)
        assert status["migrating_to"] == found.digest
        again = await migrating.migrate(made.client, started.id, await _packed(made.client, TWO))
        assert again.outcome == "waits"
        held.set()
        await _until_waiting(made.client, started.id)
        assert (await describe(made.client, started.id)).memo["version"] == "2"
        await sagas.signal(made.client, started.id, "approved")

    played = play(server.address, ONE, {"pay": Attempt(takes=2)}, act=act_out)
    assert played.calls == ["pay", "pack", "ship"]
    assert played.ended.status == "completed"


def test_a_refused_migration_and_a_dry_run_leave_nothing_in_the_history(server: Server) -> None:
    """R76."""

    async def act_out(made: Stage, started: Started) -> None:
        await _until_waiting(made.client, started.id)
        handle = made.client.get_workflow_handle(started.id)
        before = (await handle.describe()).history_length
        late = await _packed(made.client, saga(act("pay"), act("check"), WAIT, act("ship")))
        for refused in (migrating.preview, migrating.migrate):
            with pytest.raises(CannotMigrate) as caught:
                await refused(made.client, started.id, late)
            assert [(each.rule, each.step) for each in caught.value.reasons] == [("R71", "check")]
        can = await migrating.preview(made.client, started.id, await _packed(made.client, TWO))
        assert (can.outcome, can.notes) == (
            "can",
            ("`pay` is undone as the old definition says, if it has to be",),
        )
        assert (await migrating.preview(made.client, started.id, await _packed(made.client, ONE))).outcome == "already"
        assert (await handle.describe()).history_length == before
        await sagas.signal(made.client, started.id, "approved")

    assert play(server.address, ONE, act=act_out).calls == ["pay", "ship"]


def test_sleeps_parallel_blocks_and_pauses_go_along(server: Server) -> None:
    """R75: the timer keeps its moment, the pause stays, a new branch begins."""

    def both(*more: Any, version: str) -> dict[str, Any]:
        branches = [{"id": "rest", "sleep": "3s"}, WAIT, *more]
        return saga({"id": "both", "parallel": branches}, act("ship"), version=version)

    async def act_out(made: Stage, started: Started) -> None:
        await _until_waiting(made.client, started.id)
        before = await runs.status(made.client, started.id)
        await _migrated(made, started, both(act("label"), version="2"))
        after = await runs.status(made.client, started.id)
        due = [[each.get("due_at") for each in found["steps"] if each["step"] == "rest"] for found in (before, after)]
        assert due[0] == due[1]
        assert due[0][0] is not None
        await sagas.signal(made.client, started.id, "approved")

    played = play(server.address, both(version="1"), act=act_out)
    assert played.calls == ["both/label", "ship"]
    assert played.ended.status == "completed"


def test_a_worker_that_is_replaced_meanwhile_knows_it_too(server: Server) -> None:
    """R48: the new run has its definition in its history, and the old one beside it."""

    async def scene() -> None:
        async with stage(server.address, {"ship": no()}) as made:
            started = await made.start(ONE)
            await _migrated(made, started, TWO)
        async with stage(server.address, {"ship": no()}, queue=made.queue, max_cached_workflows=0) as again:
            await sagas.signal(again.client, started.id, "approved")
            ended = await again.end(started)
            assert ended.status == "compensated"
            assert "pay.compensation" in {each.partition("@")[0] for each in again.begun}
            await replay(again.client, started.id)

    asyncio.run(scene())


def test_a_child_saga_keeps_its_definition_and_is_undone_with_it(server: Server) -> None:
    """R72, R46: the parent has another definition of the child by then."""
    child = saga(act("book"), name="child")
    other = saga(act("book", compensation={"activity": "undo.other", "retry": "none"}), name="child", version="2")

    def parent(version: str) -> dict[str, Any]:
        call = {"id": "trip", "saga": "child", "compensation": "auto"}
        return saga(call, WAIT, act("ship"), name="parent", version=version)

    async def act_out(made: Stage, started: Started) -> None:
        await _until_waiting(made.client, started.id)
        package = await _packed(made.client, parent("2"), {"child": other})
        assert (await migrating.migrate(made.client, started.id, package)).outcome == "migrated"
        await sagas.signal(made.client, started.id, "approved")

    played = play(server.address, parent("1"), {"ship": no()}, act=act_out, children=[child])
    assert played.ended.status == "compensated"
    assert played.stage.sent["book.compensation"] == {"key": f"{played.started.id}/trip/book/do"}


def test_a_child_saga_itself_does_not_migrate(server: Server) -> None:
    """R77."""
    child = saga(WAIT, name="child")

    async def act_out(made: Stage, started: Started) -> None:
        id = f"{started.id}/trip"
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(Exception):
                    await _until_waiting(made.client, id)
                    break
                await asyncio.sleep(0.05)
        with pytest.raises(NotPossible, match="a child saga keeps the definition"):
            await migrating.migrate(made.client, id, await _packed(made.client, saga(WAIT, act("a"), name="child")))
        await sagas.signal(made.client, id, "approved")

    played = play(server.address, saga({"id": "trip", "saga": "child"}, name="parent"), act=act_out, children=[child])
    assert played.ended.status == "completed"


async def _candidates(client: Client, package: Package, count: int) -> tuple[Addressee, ...]:
    """Return the sagas that have another definition, once the index, which lags, knows that they are so many."""
    async with asyncio.timeout(PATIENCE):
        while len(found := (await migrating.to_migrate(client, package, most=100)).targets) != count:
            await asyncio.sleep(0.1)
    return found


def test_many_sagas_migrate_at_a_rate_and_a_second_run_goes_on_where_the_first_stopped(server: Server) -> None:
    async def scene() -> None:
        async with stage(server.address) as made:
            name = f"many-{made.queue}"
            one, two = (saga(WAIT, *more, name=name, version=v) for v, more in (("1", ()), ("2", (plain("tell"),))))
            ids = [(await made.start(one)).id for _ in range(5)]
            for each in ids:
                await _until_waiting(made.client, each)
            package = await _packed(made.client, two)
            seen = await _candidates(made.client, package, 5)

            async def migrate(target: Addressee) -> str:
                return (await migrating.migrate(made.client, target.id, package)).outcome

            first = [each async for each in carried_out(seen[:3], migrate, rate=50.0)]
            assert [each.status for each in first] == ["migrated"] * 3
            left = await _candidates(made.client, package, 2)
            assert {each.id for each in left} == {each.id for each in seen[3:]}
            rest = [each async for each in carried_out(seen, migrate, rate=50.0)]
            assert sorted(each.status for each in rest) == ["already"] * 3 + ["migrated"] * 2
            for each in ids:
                await sagas.signal(made.client, each, "approved")

    asyncio.run(scene())


def test_a_definition_that_is_wrong_is_refused(server: Server) -> None:
    async def act_out(made: Stage, started: Started) -> None:
        await _until_waiting(made.client, started.id)
        handle = made.client.get_workflow_handle(started.id)
        for wrong in ({}, {"definition": {"sagadsl": 1}}, {"definition": ONE, "former": {}}):
            with pytest.raises(Exception, match="Workflow update failed"):
                await handle.execute_update("migrate", wrong)
        await sagas.signal(made.client, started.id, "approved")

    assert play(server.address, ONE, {"pay": gives(1)}, act=act_out).ended.status == "completed"


def test_a_saga_that_cannot_migrate_any_more_goes_on_as_it_was(server: Server) -> None:
    """R75: its call has failed meanwhile, and the handler that took the error is gone in the new definition."""
    handler = {"types": ["Refused"], "steps": [act("help")], "then": "continue"}
    old, new = saga(act("pay", on_error=[handler]), act("ship")), saga(act("pay"), act("ship"), version="2")

    async def act_out(made: Stage, started: Started) -> None:
        await made.until("pay")
        assert (await migrating.migrate(made.client, started.id, await _packed(made.client, new))).outcome == "waits"

    played = play(server.address, old, {"pay": no(takes=2)}, act=act_out)
    assert played.calls == ["pay", "pay.on_error/help", "ship"]
    assert played.status["version"] == "1"
    assert [each["verb"] for each in played.status["actions"]] == ["migrate", "stay"]
    assert "error handler 1 of `pay`" in played.status["actions"][1]["why"]


def test_a_paused_saga_migrates_and_stays_paused_until_somebody_resumes_it(server: Server) -> None:
    """R75: a pause of an operator, and a step that waits for a decision."""
    stuck = {"id": "pay", "on_error": "pause"}
    old, new = (
        saga(act("pay", **stuck), *more, act("ship"), version=version)
        for version, more in (("1", ()), ("2", (act("pack"),)))
    )

    async def act_out(made: Stage, started: Started) -> None:
        await made.until_status(started, lambda status: bool(status["attention"]))
        await sagas.operate(made.client, started.id, Verb.PAUSE)
        found = await migrating.migrate(made.client, started.id, await _packed(made.client, new))
        assert found.outcome == "migrated"
        status = await made.until_status(started, lambda status: status["version"] == "2")
        assert (status["paused"], [each["path"] for each in status["attention"]]) == (True, ["pay"])
        await sagas.operate(made.client, started.id, Verb.COMPLETE_STEP, Asked("pay", given=Given(output=(1,))))
        held = await made.until_status(started, lambda status: not status["attention"])
        assert held["status"] == "paused"
        await sagas.operate(made.client, started.id, Verb.RESUME)

    played = play(server.address, old, {"pay": no()}, act=act_out)
    assert played.calls == ["pay", "pack", "ship"]
    assert played.ended.status == "completed"


def test_a_saga_that_undoes_migrates_when_the_compensation_in_flight_has_ended(server: Server) -> None:
    """R72, R75: the rest is undone as promised, and what the new definition says for the end follows."""
    undo = {"activity": "undo.new", "retry": "none"}
    old = saga(act("one"), act("two"), act("three"), version="1")
    new = saga(act("one", compensation=undo), act("two"), act("three"), version="2", on_failure=[plain("tell")])

    async def act_out(made: Stage, started: Started) -> None:
        await made.until("two.compensation")
        found = await migrating.migrate(made.client, started.id, await _packed(made.client, new))
        assert (found.outcome, found.waits_for) == ("waits", ("two.compensation",))

    script = {"three": no(), "two.compensation": Attempt(takes=2)}
    played = play(server.address, old, script, act=act_out)
    assert played.calls == ["one", "two", "three", "two.compensation", "one.compensation", "on_failure/tell"]
    assert played.stage.sent["one.compensation"] == {"key": f"{played.started.id}/one/do"}
    assert (played.ended.status, played.status["version"]) == ("compensated", "2")


def test_a_saga_waits_for_its_child_and_starts_later_children_with_their_new_definition(server: Server) -> None:
    """R75, R77."""
    child, other = (
        saga(*steps, name="child", version=version) for version, steps in (("1", (WAIT,)), ("2", (act("b"),)))
    )

    def parent(version: str, *more: Any) -> dict[str, Any]:
        return saga({"id": "trip", "saga": "child"}, *more, name="parent", version=version)

    async def act_out(made: Stage, started: Started) -> None:
        trip = f"{started.id}/trip"
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(Exception):
                    await _until_waiting(made.client, trip)
                    break
                await asyncio.sleep(0.05)
        package = await _packed(made.client, parent("2", {"id": "next", "saga": "child"}), {"child": other})
        found = await migrating.migrate(made.client, started.id, package)
        assert (found.outcome, found.waits_for) == ("waits", ("trip",))
        assert (await runs.status(made.client, trip))["version"] == "1"
        await sagas.signal(made.client, trip, "approved")

    played = play(server.address, parent("1"), act=act_out, children=[child])
    assert played.ended.status == "completed"
    assert played.calls == ["b"]
    assert played.status["version"] == "2"


def test_a_saga_migrates_to_the_definition_of_the_workers_folder(server: Server) -> None:
    """R76: by name; a definition that the folder does not have, or that the run has already, is refused."""

    async def scene() -> None:
        name = f"named-{uuid.uuid4().hex[:8]}"
        one, two = ({**each, "name": name} for each in (ONE, TWO))
        async with stage(server.address, definitions=[one]) as made:
            started = await made.start(one, by_name=True)
            await _until_waiting(made.client, started.id)
            package = await _packed(made.client, two)
            with pytest.raises(NotPossible, match="the workers' folder has another definition"):
                await migrating.migrate(made.client, started.id, package, by_name=True)
        async with stage(server.address, queue=made.queue, definitions=[two]) as newer:
            found = await migrating.migrate(newer.client, started.id, package, by="ann", by_name=True)
            assert found.outcome == "migrated"
            again = await migrating.migrate(newer.client, started.id, package, by_name=True)
            assert again.outcome == "already"
            await sagas.signal(newer.client, started.id, "approved")
            assert (await newer.end(started)).status == "completed"
            assert [each.partition("@")[0] for each in newer.begun] == ["pack", "ship"]
            await replay(newer.client, started.id)

    asyncio.run(scene())
