"""The same id again: a run that begins anew has keys of its own, and nothing of the run before answers for it."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from sagadsl.temporal.client import Started, start
from sagadsl.temporal.read.history import watch
from sagadsl.temporal.read.runs import result, status
from sagadsl.temporal.read.trace import trace
from sagadsl.temporal.refusals import AlreadyStarted
from tests.conftest import Server
from tests.engine.scenes import act, gives, no, plain, saga
from tests.temporal.play import SDK_RACE, Stage, replay, reset, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

KEYS = {"key": "{{ idempotency_key }}", "step": "{{ step.idempotency_key }}"}
TRANSFER = saga(
    act("out", input={"key": "{{ idempotency_key }}"}, compensation={"activity": "undo.out", "input": KEYS}),
    act("in", local=True, input={"key": "{{ idempotency_key }}"}, compensation={"activity": "undo.in", "input": KEYS}),
    plain("end"),
    name="transfer",
)


def _id() -> str:
    return f"again-{uuid.uuid4().hex[:12]}"


def _generation(key: str, id_: str) -> str:
    """Return the token of a key of the run *id_*; empty for a first run."""
    who = key.removeprefix(id_).partition("/")[0]
    assert key.startswith(id_)
    assert who == "" or who.startswith("~")
    return who.removeprefix("~")


async def _twice(made: Stage, definition: dict[str, Any], id_: str, **second: Any) -> tuple[Started, Started]:
    """Run a saga that is undone, then the same id again, which goes well."""
    made.script = {"end": no(), "do.end": no()}
    first = await made.start(definition, id=id_)
    assert (await made.end(first)).status == "compensated"
    made.script = {}
    return first, await made.start(definition, id=id_, **second)


def test_a_run_that_begins_anew_has_keys_of_its_own_and_paths_like_any_other(server: Server) -> None:
    """R49: engine and workers agree, also for local activities and undos; a person sees plain paths everywhere."""
    id_ = _id()

    async def scenario() -> Stage:
        async with stage(server.address) as made:
            first, second = await _twice(made, TRANSFER, id_)
            assert (first.earlier, second.earlier) == ("", "failed")
            assert (await made.end(second)).status == "completed"
            assert [step["path"] for step in (await status(made.client, id_))["steps"]] == ["out", "in", "end"]
            seen = {event.path async for event in watch(made.client, id_) if event.path}
            assert seen == {"out", "in", "end"}
            shown = (await trace(made.client, id_)).as_json()
            assert "~" not in str([call["path"] for call in shown["calls"]])
            await replay(made.client, id_)
            return made

    made = asyncio.run(scenario())
    assert made.keys["out"][0] == f"{id_}/out/do"
    token = _generation(made.keys["out"][1], id_)
    assert token
    assert made.keys["out"][1:] == [made.sent["out"]["key"]] == [f"{id_}~{token}/out/do"]
    assert made.keys["in"][1:] == [made.sent["in"]["key"]] == [f"{id_}~{token}/in/do"]
    assert made.keys["out.compensation"] == [f"{id_}/out/undo"]


def test_an_undo_of_a_run_that_began_anew_is_about_its_own_calls(server: Server) -> None:
    """R49: also in the second run, and its token is another one than the third's."""
    id_ = _id()

    async def scenario() -> Stage:
        async with stage(server.address, {"end": no()}) as made:
            for _ in range(3):
                assert (await made.end(await made.start(TRANSFER, id=id_))).status == "compensated"
            return made

    made = asyncio.run(scenario())
    tokens = [_generation(key, id_) for key in made.keys["out"]]
    assert tokens[0] == ""
    assert len(set(tokens)) == 3
    assert made.keys["out.compensation"] == [f"{key.removesuffix('/do')}/undo" for key in made.keys["out"]]
    assert made.sent["out.compensation"] == {"key": made.keys["out.compensation"][2], "step": made.keys["out"][2]}


def test_children_of_a_run_that_began_anew_are_other_ones_and_undo_under_their_keys(server: Server) -> None:
    """R46, R49: the first run's child has that id, and its keys were used."""
    child = saga(act("c"), name="child")
    definition = saga({"id": "part", "saga": "child", "compensation": "auto"}, plain("end"), name="parent")
    id_ = _id()

    async def scenario() -> Stage:
        async with stage(server.address, {"end": no()}) as made:
            for _ in range(2):
                started = await made.start(definition, id=id_, children={"child": child})
                assert (await made.end(started)).status == "compensated"
                assert {event.path async for event in watch(made.client, id_) if event.path} == {"part", "end"}
            return made

    made = asyncio.run(scenario())
    first, second = made.keys["c"]
    assert first == f"{id_}/part/c/do"
    assert second == f"{id_}~{_generation(second, id_)}/part/c/do" != first
    assert made.keys["c.compensation"] == [first.replace("/do", "/undo"), second.replace("/do", "/undo")]


def test_continue_as_new_keeps_the_keys_of_a_run_that_began_anew(server: Server) -> None:
    """R49, R50."""
    id_, steps = _id(), [plain(f"s{number}") for number in range(6)]

    async def scenario() -> Stage:
        async with stage(server.address) as made:
            _, second = await _twice(made, saga(*steps, plain("end"), name="long"), id_, continue_after_events=12)
            assert (await made.end(second)).status == "completed"
            described = await made.client.get_workflow_handle(id_).describe()
            assert described.run_id != second.run_id
            return made

    made = asyncio.run(scenario())
    tokens = {_generation(made.keys[f"s{number}"][1], id_) for number in range(6)}
    assert len(tokens) == 1
    assert "" not in tokens


def test_a_reset_of_a_run_that_began_anew_keeps_its_keys(server: Server) -> None:
    """R49, R58: it is the same run, so what it does a second time is answered as before."""
    id_ = _id()

    async def scenario() -> Stage:
        async with stage(server.address) as made:
            _, second = await _twice(made, TRANSFER, id_)
            await made.end(second)
            await reset(made.client, id_)
            assert (await made.end(second)).status == "completed"
            return made

    made = asyncio.run(scenario())
    assert len(made.keys["out"]) == 3
    assert made.keys["out"][1] == made.keys["out"][2]


def test_by_name_too(server: Server) -> None:
    """R49: the token goes with a start that has no definition."""
    id_ = _id()

    async def scenario() -> Stage:
        async with stage(server.address, {"end": no()}, definitions=[TRANSFER]) as made:
            for _ in range(2):
                started = await start(made.client, "transfer", {}, id=id_, task_queue=made.queue)
                assert (await made.end(started)).status == "compensated"
            return made

    made = asyncio.run(scenario())
    assert made.keys["out"][0] == f"{id_}/out/do" != made.keys["out"][1]


@pytest.mark.parametrize("again", [False, True])
def test_of_those_who_begin_it_anew_at_once_one_wins(server: Server, again: bool) -> None:
    """R49: the others hear that it runs; nothing is done twice by accident."""
    id_ = _id()

    async def scenario() -> None:
        async with stage(server.address, {"end": gives(1) if again else no()}) as made:
            first = await made.start(TRANSFER, id=id_)
            await made.end(first)
            made.script = {"out": gives(1, takes=2.0)}
            all_ = await asyncio.gather(
                *(made.start(TRANSFER, id=id_, again=again) for _ in range(4)), return_exceptions=True
            )
            (won,) = (each for each in all_ if isinstance(each, Started))
            assert sum(isinstance(each, AlreadyStarted) for each in all_) == 3
            assert (await made.end(won)).status == "completed"
            assert len(made.keys["out"]) == 2

    asyncio.run(scenario())


def test_a_token_that_is_none_is_refused(server: Server) -> None:
    """N13: it stands in ids and keys."""

    async def scenario() -> None:
        async with stage(server.address, definitions=[TRANSFER]) as made:
            for token in ("", "a/b", "x" * 33, "a\n", 7):
                handle = await made.client.start_workflow(
                    "transfer", args=[{}, None, {"generation": token}], id=_id(), task_queue=made.queue
                )
                ended = await result(made.client, handle.id)
                assert (ended.status == "completed") == (token == "")

    asyncio.run(scenario())
