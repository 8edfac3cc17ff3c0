"""`forget`: the server keeps nothing of a saga any more, and everything of all others."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from temporalio import workflow
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from sagadsl.temporal.ask.forgetting import Forgotten, KeptRun, NotForgotten, delete, forget, kept_runs
from sagadsl.temporal.read.lineage import rows_of
from sagadsl.temporal.refusals import SagaNotFound
from tests.cli.shell import Ran, inside
from tests.conftest import Server
from tests.engine.scenes import act, plain, saga
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, Stage, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

LOOP = {"id": "rows", "for_each": {"items": "{{ [1, 2, 3, 4, 5, 6, 7, 8] }}"}, "steps": [plain("row")]}
KID = saga(plain("toy"), name="kid")
TOP = saga({"id": "kid", "saga": "kid"}, LOOP, name="top")
WAITS = saga(act("a"), {"id": "ask", "wait_for": {"signal": "go"}}, name="waits")


async def _is_gone(made: Stage, run: KeptRun) -> bool:
    """Whether neither the server itself nor its index knows a run, asked by the SDK's own call."""
    try:
        await made.client.get_workflow_handle(run.id, run_id=run.run_id).describe()
    except RPCError as error:
        listed = {row.execution.run_id for row in await rows_of(made.client, [run.id])}
        return error.status is RPCStatusCode.NOT_FOUND and run.run_id not in listed
    return False


def test_all_runs_of_a_saga_and_of_its_children_are_gone_and_no_others(server: Server) -> None:
    """Continued as new, and run once more under the same id; another saga with the same child's name stays."""

    async def scenario() -> tuple[tuple[KeptRun, ...], Forgotten, list[bool], str, str]:
        async with stage(server.address, {}) as made:
            other = await made.start(TOP, children={"kid": KID})
            first = await made.start(TOP, children={"kid": KID}, continue_after_events=20)
            await made.end(first)
            await made.end(await made.start(TOP, children={"kid": KID}, id=first.id, again=True))
            await made.end(other)
            async with asyncio.timeout(PATIENCE):  # the index hears of the runs some time later
                while len(kept := await kept_runs(made.client, first.id)) < 5:
                    await asyncio.sleep(0.1)
            found = await forget(made.client, first.id, patience=PATIENCE)
            gone = [await _is_gone(made, each) for each in found.runs]
            with pytest.raises(SagaNotFound):
                await forget(made.client, first.id)
            left = await kept_runs(made.client, other.id)
            return kept, found, gone, first.id, " ".join(sorted(each.name for each in left))

    kept, found, gone, id_, left = asyncio.run(scenario())
    assert set(found.runs) == set(kept)
    assert found.left == ()
    assert found.as_json()["forgotten"] is True
    assert all(gone)
    named = sorted((each.name, each.id.partition("~")[0].partition("/")[0], each.child) for each in found.runs)
    assert named == [("kid", id_, True)] * 2 + [("top", id_, False)] * (len(named) - 2)
    assert len(named) >= 5  # two runs and what each continued as, and a child of each
    assert left == "kid top"


def test_an_open_saga_is_refused_unless_that_is_said(server: Server) -> None:
    async def scenario() -> tuple[str, Forgotten]:
        async with stage(server.address, {}) as made:
            started = await made.start(WAITS)
            await made.until("a")
            with pytest.raises(NotForgotten) as refused:
                await forget(made.client, started.id)
            assert len(await kept_runs(made.client, started.id)) == 1
            words = ("forget", started.id, "--why", "w", "--yes", "--address", server.address)
            ran = await asyncio.to_thread(inside, *words)
            assert (ran.code, "--even-open" in ran.err) == (4, True), ran.err
            return str(refused.value), await forget(made.client, started.id, even_open=True, patience=PATIENCE)

    said, found = asyncio.run(scenario())
    assert said.endswith("is open")
    assert (len(found.runs), found.left) == (1, ())


@pytest.mark.parametrize("which", ["mid", "kid"])
def test_a_child_is_refused_while_a_saga_above_it_is_open(which: str, server: Server) -> None:
    """Whatever is said. What is above goes on in a new run: the one that has begun the child is over."""
    mid = saga({"id": "kid", "saga": "kid"}, name="mid")
    top = saga({"id": "mid", "saga": "mid"}, LOOP, {"id": "ask", "wait_for": {"signal": "go"}}, name="top")

    async def scenario() -> tuple[str, list[str], Ran, Forgotten]:
        async with stage(server.address, {}) as made:
            started = await made.start(top, children={"mid": mid, "kid": KID}, continue_after_events=20)
            await made.until_status(started, lambda found: "go" in found["waiting_for"])
            child = {each.name: each.id for each in await kept_runs(made.client, started.id)}[which]
            kept = await kept_runs(made.client, child)
            assert not any(each.is_open for each in kept)
            said = []
            for even_open in (False, True):
                with pytest.raises(NotForgotten) as refused:
                    await forget(made.client, child, even_open=even_open)
                said.append(refused.value.above)
            with pytest.raises(NotForgotten):  # as the gateway does, which has looked before
                await delete(made.client, child, kept, even_open=True, patience=0)
            words = ("forget", child, "--why", "w", "--yes", "--even-open", "--address", server.address)
            ran = await asyncio.to_thread(inside, *words)
            assert set(kept) == set(await kept_runs(made.client, child))
            await made.client.get_workflow_handle(started.id).signal("go")
            assert (await made.end(started)).status == "completed"
            return started.id, said, ran, await forget(made.client, child, patience=PATIENCE)

    id_, said, ran, found = asyncio.run(scenario())
    assert said == [id_, id_]
    assert (ran.code, f"`{id_}`, of which it is a child saga, is open" in ran.err) == (4, True)
    assert found.as_json()["forgotten"] is True


def test_what_the_server_still_knows_is_never_told_to_be_gone(server: Server) -> None:
    """Without patience it is looked once, right after the server was asked."""

    async def scenario() -> Forgotten:
        async with stage(server.address, {}) as made:
            started = await made.start(KID)
            await made.end(started)
            found = await forget(made.client, started.id, patience=0)
            for each in found.runs:
                assert (each not in found.left) <= await _is_gone(made, each)
            return found

    assert asyncio.run(scenario()).runs


def test_an_id_that_no_filter_can_name_is_forgotten_with_all_its_runs(server: Server) -> None:
    """A filter loses a quote or a backslash. The index is asked for the ids that begin alike."""

    async def scenario() -> list[tuple[int, int, bool]]:
        async with stage(server.address, {}) as made:
            found = []
            for beginning in (f"{made.queue}", ""):
                id_ = f"{beginning}\"it's\\{made.queue}'"
                await made.end(await made.start(KID, id=id_))
                await made.end(await made.start(KID, id=id_, again=True))
                await made.end(await made.start(KID, id=f'{beginning}"it'))
                async with asyncio.timeout(PATIENCE):  # the index hears of the runs some time later
                    while len(kept := await kept_runs(made.client, id_)) < 2:
                        await asyncio.sleep(0.1)
                forgotten = await forget(made.client, id_, patience=PATIENCE)
                found.append((len(kept), len(forgotten.runs), forgotten.as_json()["forgotten"]))
                assert len(await kept_runs(made.client, f'{beginning}"it')) == 1
                await forget(made.client, f'{beginning}"it', patience=PATIENCE)
            return found

    assert asyncio.run(scenario()) == [(2, 2, True)] * 2


def test_a_saga_that_goes_on_in_a_new_run_meanwhile_is_forgotten_with_it(server: Server) -> None:
    """What was found first has ended, and the run that goes on is one that nobody has seen."""
    definition = saga(
        {"id": "ask", "wait_for": {"signal": "go"}},
        LOOP,
        {"id": "last", "saga": "waits"},
        name="long",
    )

    async def scenario() -> tuple[Forgotten, list[str]]:
        async with stage(server.address, {}) as made:
            started = await made.start(definition, children={"waits": WAITS}, continue_after_events=20)
            await made.until_status(started, lambda found: "go" in found["waiting_for"])
            runs = await kept_runs(made.client, started.id)
            await made.client.get_workflow_handle(started.id).signal("go")
            await made.until("a")  # of the child
            permitted: list[str] = []
            found = await delete(
                made.client,
                started.id,
                runs,
                even_open=True,
                patience=PATIENCE,
                permit=lambda run: permitted.append(run.name),
            )
            with pytest.raises(SagaNotFound):
                await kept_runs(made.client, started.id)
            assert all([await _is_gone(made, each) for each in found.runs])
            return found, permitted

    found, permitted = asyncio.run(scenario())
    assert found.left == ()
    assert len(found.runs) >= 3
    assert {"long", "waits"} == set(permitted)


def test_a_run_that_begins_while_its_saga_is_forgotten_is_told(server: Server) -> None:
    """Nobody has said that open runs are deleted, too."""

    async def scenario() -> tuple[Forgotten, str]:
        async with stage(server.address, {}) as made:
            started = await made.start(KID)
            await made.end(started)
            runs = await kept_runs(made.client, started.id)
            again = await made.start(WAITS | {"name": "kid"}, id=started.id, again=True)
            await made.until_status(again, lambda found: "go" in found["waiting_for"])
            return await delete(made.client, started.id, runs, even_open=False, patience=0), again.run_id

    found, run_id = asyncio.run(scenario())
    assert run_id in [each.run_id for each in found.left]
    assert found.as_json()["forgotten"] is False


def test_the_command_lists_asks_and_deletes(server: Server) -> None:
    async def begun() -> Any:
        async with stage(server.address, {}) as made:
            started = await made.start(KID)
            await made.end(started)
            return started

    id_ = asyncio.run(begun()).id

    def forgets(*words: str) -> Ran:
        return inside("forget", id_, *words, "--address", server.address)

    assert forgets("--dry-run").code == 2  # it does not say why
    listed = forgets("--why", "request 17", "--dry-run", "--json")
    assert [each["name"] for each in json.loads(listed.out)["runs"]] == ["kid"]
    assert forgets("--why", "request 17").code == 2  # nobody is there to ask
    done = forgets("--why", "request 17", "--yes", "--json", "--timeout", str(PATIENCE))
    assert (done.code, json.loads(done.out)["forgotten"], json.loads(done.out)["why"]) == (0, True, "request 17")
    again = forgets("--why", "request 17", "--yes")
    assert (again.code, "SD923" in again.err) == (2, True)


@workflow.defn(sandboxed=False)
class OfOthers:
    """A workflow of another team."""

    @workflow.run
    async def run(self) -> None:
        return


def test_workflows_that_are_no_sagas_are_not_found(server: Server) -> None:
    async def scenario() -> None:
        async with stage(server.address, {}) as made:
            queue = f"{made.queue}-others"
            async with Worker(made.client, task_queue=queue, workflows=[OfOthers]):
                await made.client.execute_workflow("OfOthers", id=queue, task_queue=queue)
            with pytest.raises(SagaNotFound):
                await kept_runs(made.client, queue)

    asyncio.run(scenario())


def test_children_of_one_id_are_found_below_each_of_their_parents(server: Server) -> None:
    leaf = saga({"id": "no", "fail": {"type": "Bad", "message": "no"}}, name="leaf")  # its id may be used again
    call = {"id": "leaf", "saga": "leaf", "workflow_id": "{{ input.leaf }}", "on_error": "continue"}
    mid = saga(call, name="mid")
    both = [{"id": name, "saga": "mid", "input": {"leaf": "{{ input.leaf }}"}} for name in ("one", "two")]

    async def scenario() -> list[str]:
        async with stage(server.address, {}) as made:
            started = await made.start(
                saga(*both, name="top"), {"leaf": f"{made.queue}-leaf"}, children={"mid": mid, "leaf": leaf}
            )
            await made.end(started)
            async with asyncio.timeout(PATIENCE):  # the index hears of the runs some time later
                while len(kept := await kept_runs(made.client, started.id)) < 5:
                    await asyncio.sleep(0.1)
            return sorted(each.name for each in kept)

    assert asyncio.run(scenario()) == ["leaf", "leaf", "mid", "mid", "top"]
