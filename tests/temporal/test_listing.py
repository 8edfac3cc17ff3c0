"""What the server's index, and so every list, knows of sagas: however they were started, however they ended."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.converter import DataConverter

from sagadsl.engine.facts import Verb
from sagadsl.status.lines import OPEN
from sagadsl.temporal import client as sagas
from sagadsl.temporal.read import runs, windows
from sagadsl.temporal.read.filters import Chosen
from sagadsl.temporal.read.listing import Page, counts, page
from sagadsl.temporal.wire.arguments import InvalidDefinition
from sagadsl.temporal.wire.attributes import SAGA_NAME, SAGA_STATUS, SAGA_VERSION
from tests.conftest import Server
from tests.engine.scenes import act, no, saga
from tests.patience import PATIENCE
from tests.temporal.codecs import sealed
from tests.temporal.play import SDK_RACE, Stage, events, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

BY_NAME = saga(act("a"), act("b"), name="by_name", version="3", compensation={"on_failure": "continue"})


async def foreign(made: Stage, name: str, *arguments: Any) -> WorkflowHandle[Any, Any]:
    """Start a saga as a client in another language, or a schedule, does: by its name, with nothing beside it."""
    return await made.client.start_workflow(
        name, args=arguments, id=f"f-{uuid.uuid4().hex[:12]}", task_queue=made.queue
    )


async def ends(handle: WorkflowHandle[Any, Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        try:
            await handle.result()
        except WorkflowFailureError:
            return


async def known(handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
    """Return what the index has of a run."""
    described = await handle.describe()
    found = {key.name: described.typed_search_attributes.get(key) for key in (SAGA_NAME, SAGA_VERSION, SAGA_STATUS)}
    return {**{key: value for key, value in found.items() if value}, "memo": await described.memo()}


def test_a_saga_by_its_name_carries_what_the_others_carry(server: Server) -> None:
    """Whoever started it: a client in another language, ours by name, or ours with the definition at hand."""

    async def scenario() -> list[tuple[dict[str, Any], int]]:
        broken = {"do.b": no("Refused"), "undo.a": no("BankDown")}
        async with stage(server.address, broken, definitions=[BY_NAME]) as made:
            by_us = await sagas.start(made.client, "by_name", {}, task_queue=made.queue)
            known_to_us = await made.start(BY_NAME, {}, by_name=True)
            inline = await made.start(BY_NAME, {})
            theirs = await foreign(made, "by_name", {})
            handles = [made.client.get_workflow_handle(each.id) for each in (by_us, known_to_us, inline)]
            found = []
            for handle in (theirs, *handles):
                await ends(handle)
                found.append((await known(handle), len(await events(handle))))
            return found

    (theirs, _), (by_us, _), (known_to_us, by_name_events), (inline, inline_events) = asyncio.run(scenario())

    attributes = {"SagaName": "by_name", "SagaVersion": "3", "SagaStatus": "failed"}
    for each in (theirs, by_us, known_to_us, inline):
        memo = each.pop("memo")
        assert each == attributes
        assert (memo["saga"], memo["version"], len(memo["digest"])) == ("by_name", "3", 64)
    assert by_name_events == inline_events + 1  # the definition's marker alone


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("by_name", ({"nope": 1}, None, None, None)), ("by_name", ({}, {"sagadsl": 1}))],
)
def test_a_run_that_was_refused_can_be_found(server: Server, name: str, arguments: tuple[Any, ...]) -> None:
    """B10: a schedule that starts a saga with a mistake."""

    async def scenario() -> tuple[dict[str, Any], str]:
        async with stage(server.address, definitions=[BY_NAME]) as made:
            handle = await foreign(made, name, *arguments)
            await ends(handle)
            status = (await runs.status(made.client, handle.id))["status"]
            (row,) = (await listed(made.client, handle.id, lambda page: len(page.sagas) == 1)).sagas
            assert (row.name, row.status) == (name, status)
            return await known(handle), status

    found, status = asyncio.run(scenario())
    assert found["memo"]["saga"] == name
    assert status == "compensated"


def test_a_saga_whose_codec_is_not_here_hides_no_other(server: Server) -> None:
    """It is listed with what the index says."""

    async def scenario() -> list[tuple[str, str]]:
        sealing = replace(DataConverter.default, payload_codec=sealed())
        client = await Client.connect(server.address)
        other = await Client.connect(server.address, data_converter=sealing)
        begin, queue = f"sealed-{uuid.uuid4()}", f"q-{uuid.uuid4()}"
        for who, id_ in ((client, f"{begin}-open"), (other, f"{begin}-sealed")):
            await who.start_workflow("by_name", {}, id=id_, task_queue=queue, memo={"saga": "by_name"})
        found = await listed(client, begin, lambda page: len(page.sagas) == 2)
        for each in found.sagas:
            await client.get_workflow_handle(each.id).terminate()
        return sorted((each.id.removeprefix(begin), each.name) for each in found.sagas)

    assert asyncio.run(scenario()) == [("-open", "by_name"), ("-sealed", "by_name")]


def test_a_saga_that_is_cancelled_before_its_definition_is_read_is_cancelled(server: Server) -> None:
    """N4, R26."""

    async def scenario() -> tuple[dict[str, Any], str, str]:
        client = await Client.connect(server.address)
        queue = f"n4-{uuid.uuid4()}"
        handle = await client.start_workflow("by_name", {}, id=queue, task_queue=queue)
        await handle.cancel()
        async with stage(server.address, definitions=[BY_NAME], queue=queue) as made:
            await ends(handle)
            status = await runs.status(made.client, handle.id)
            return await known(handle), status["status"], status["close_status"]

    found, status, closed = asyncio.run(scenario())
    assert found["memo"]["saga"] == "by_name"
    assert (status, closed) == ("cancelled", "canceled")


@dataclass(frozen=True, slots=True)
class Among:
    """Sagas whose ids and names differ by a character, which nobody runs."""

    address: str
    prefix: str
    names: str
    ids: tuple[str, ...]


@pytest.fixture(scope="module")
def among(server: Server) -> Iterator[Among]:
    ids = ("Order-1", "order-2", "order-'3", "order-\\4", 'order-"5', "order_6", "ORDER-7", "order-\U0001f600")
    mark = uuid.uuid4().hex[:8]
    made = Among(server.address, f"{mark}-", f"n{mark}", ids)

    async def begin() -> None:
        client = await Client.connect(server.address)
        for number, id_ in enumerate(ids):
            name = made.names + ("kin" if number else "Kin")
            await client.start_workflow(name, {}, id=made.prefix + id_, task_queue=mark, memo={"saga": name})
        await listed(client, made.prefix, lambda found: len(found.sagas) == len(ids), questions=0)

    async def end() -> None:
        client = await Client.connect(server.address)
        for id_ in ids:
            await client.get_workflow_handle(made.prefix + id_).terminate()

    asyncio.run(begin())
    yield made
    asyncio.run(end())


async def listed(client: Client, prefix: str, until: Callable[[Page], bool], **how: Any) -> Page:
    """Return a list as soon as the index has what is waited for."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = await page(client, Chosen(beginning=prefix), **how)
        if until(found):
            return found
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("beginning", "name", "found"),
    [
        ("Order-", "", ["Order-1"]),
        ("order-", "", ["order-2", 'order-"5', "order-'3", "order-\\4", "order-\U0001f600"]),
        ("order-'", "", ["order-'3"]),
        ('order-"', "", ['order-"5']),
        ("order-\\", "", ["order-\\4"]),
        ("order-\U0001f600", "", ["order-\U0001f600"]),
        ("order_", "", ["order_6"]),
        ("order%", "", []),
        ("", "kin*", ["ORDER-7", "order-2", 'order-"5', "order-'3", "order-\\4", "order-\U0001f600", "order_6"]),
        ("", "Kin", ["Order-1"]),
        ("", "K*", ["Order-1"]),
        ("", "*", None),
        ("", "no'such", []),
    ],
)
def test_what_an_id_or_a_name_begins_with_is_taken_as_it_is_written(
    among: Among, beginning: str, name: str, found: list[str] | None
) -> None:
    """Whatever the database makes of capitals, quotes and wildcards; numbers are those of the list."""
    expected = sorted(among.ids if found is None else found)

    async def scenario() -> tuple[list[str], int | None]:
        client = await Client.connect(among.address)
        chosen = Chosen(((among.names + name,),) if name else (), among.prefix + beginning)
        assert chosen.is_exact == (not set(beginning) & set("'\"\\"))
        rows = (await page(client, chosen, size=50, questions=0)).sagas
        number = sum((await counts(client, chosen)).values()) if chosen.is_exact else None
        return sorted(each.id.removeprefix(among.prefix) for each in rows), number

    listed_, counted = asyncio.run(scenario())
    assert listed_ == expected
    assert counted in (None, len(expected))


def test_a_list_is_newest_first_whatever_is_open(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's own order has open runs first, so that a limit hid newer ones; many slices make one list."""
    monkeypatch.setattr(windows, "_SLICE", 3)
    prefix = f"order-{uuid.uuid4().hex[:8]}"
    waits = saga({"id": "w", "wait_for": {"signal": "go"}}, name="waits")

    async def scenario() -> tuple[list[str], list[list[str]]]:
        async with stage(server.address) as made:
            for number in range(8):
                is_open = number in (0, 5)
                started = await made.start(waits if is_open else saga(act("a"), name="one"), id=f"{prefix}-{number}")
                if not is_open:
                    await made.end(started)
            whole = await listed(made.client, prefix, lambda found: len(found.sagas) == 8)
            pages, before = [], None
            while True:
                here = await listed(made.client, prefix, lambda found: True, size=3, before=before)
                pages.append([each.id[-1] for each in here.sagas])
                before = here.next
                if before is None:
                    break
            for number in (0, 5):
                await sagas.terminate(made.client, f"{prefix}-{number}", "the test is over")
            return [each.id[-1] for each in whole.sagas], pages

    whole, pages = asyncio.run(scenario())
    assert whole == list("76543210")
    assert pages == [list("765"), list("432"), list("10")]


def test_what_the_index_does_not_know_is_asked_of_the_runs(server: Server) -> None:
    """Runs that tell the index nothing, as an older worker began them, or clients that bring the definition."""
    prefix = f"untold-{uuid.uuid4().hex[:8]}"
    broken = {"do.b": no("Refused"), "undo.a": no("BankDown")}
    pauses = saga(act("a"), act("b"), name="pauses")

    async def scenario() -> tuple[list[tuple[str, str]], list[Page], dict[str, int]]:
        async with stage(server.address, broken) as made:
            for number, definition in enumerate((BY_NAME, pauses, saga(act("a"), {**act("b"), "activity": "do.c"}))):
                envelope = {"sagadsl": 1, "definition": definition}
                await made.client.start_workflow(
                    definition["name"], args=[{}, envelope], id=f"{prefix}-{number}", task_queue=made.queue
                )
            expected = {f"{prefix}-0": "failed", f"{prefix}-1": "paused", f"{prefix}-2": "completed"}
            whole = await listed(
                made.client, prefix, lambda found: {each.id: each.status for each in found.sagas} == expected
            )
            chosen = [
                await listed(made.client, prefix, lambda found: True, status=word)
                for word in ("failed", "compensated", "paused", "running")
            ]
            chosen.append(await listed(made.client, prefix, lambda found: True, status="paused", questions=0))
            counted = await counts(made.client, Chosen(beginning=prefix))
            await sagas.terminate(made.client, f"{prefix}-1", "the test is over")
            return [(each.id[-1], each.status) for each in whole.sagas], chosen, counted

    whole, chosen, counted = asyncio.run(scenario())
    assert whole == [("2", "completed"), ("1", "paused"), ("0", "failed")]
    assert [[each.id[-1] for each in found.sagas] for found in chosen] == [["0"], [], ["1"], [], []]
    assert [found.unanswered for found in chosen] == [0, 0, 0, 0, 1]
    assert {word: number for word, number in counted.items() if number} == {"completed": 1, "unknown": 2}


def test_continue_as_new_does_not_keep_what_is_no_longer_so(server: Server) -> None:
    """A saga that was paused and resumed before it went over to a new run, and that failed there, is not `running`."""
    definition = saga(
        {"id": "w", "wait_for": {"signal": "go"}}, *(act(f"s{number}") for number in range(4)), act("b"), name="long"
    )

    async def scenario() -> tuple[dict[str, Any], str]:
        async with stage(server.address, {"do.b": no("Refused")}) as made:
            started = await made.start(definition, {}, continue_after_events=25)
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
            for verb in (Verb.PAUSE, Verb.RESUME):
                await sagas.operate(made.client, started.id, verb)
            await sagas.signal(made.client, started.id, "go")
            await made.end(started)
            handle = made.client.get_workflow_handle(started.id)
            assert "CONTINUED" in " ".join(
                await events(made.client.get_workflow_handle(started.id, run_id=started.run_id))
            )
            (row,) = (await listed(made.client, started.id, lambda page: page.sagas[0].status not in OPEN)).sagas
            return await known(handle), row.status

    found, status = asyncio.run(scenario())
    assert (found["SagaStatus"], status) == ("compensated", "compensated")


@pytest.mark.parametrize("how", ["inline", "by name", "from elsewhere"])
def test_what_is_as_long_as_may_be_is_found(server: Server, how: str) -> None:
    """Texts of four bytes a character: in the index, in the memo, in the id; whoever sets them, on every database."""
    wide, longest = "\U0001f600", uuid.uuid4().hex
    labels = {f"label-{number}": wide * 1000 for number in range(50)}
    definition = saga(act("a"), name="n" * 100, version=wide * 170, labels=labels)
    id_ = longest + wide * (255 - len(longest))

    async def scenario() -> tuple[str, dict[str, Any], list[tuple[str, str]]]:
        queue = longest + "\u00e9" * (255 - len(longest))
        async with stage(server.address, definitions=[definition], queue=queue) as made:
            if how == "from elsewhere":
                await made.client.start_workflow(definition["name"], {}, id=id_, task_queue=queue)
            else:
                await made.start(definition, {}, id=id_, by_name=how == "by name")
            async with asyncio.timeout(PATIENCE):
                ended = await runs.result(made.client, id_)
            row = await listed(made.client, id_, lambda found: [each.status for each in found.sagas] == ["completed"])
            attributes = await known(made.client.get_workflow_handle(id_))
            return ended.status, attributes, [(each.id, each.version) for each in row.sagas]

    status, attributes, rows = asyncio.run(scenario())
    assert (status, rows) == ("completed", [(id_, wide * 170)])
    assert (attributes["SagaVersion"], attributes["memo"]["labels"]) == (wide * 170, labels)


@pytest.mark.parametrize("longer", [{"version": "\U0001f600" * 171}, {"labels": {"a": "x" * 1001}}])
def test_what_would_not_fit_is_refused_where_it_is_written(server: Server, longer: dict[str, Any]) -> None:
    """Also as a stranger's start brings it: the server would terminate the run, or its task would fail for ever."""
    definition = saga(act("a"), name="longer", **longer)

    async def scenario() -> tuple[str, list[str]]:
        async with stage(server.address) as made:
            with pytest.raises(InvalidDefinition, match="must have at most"):
                await made.start(definition, {})
            theirs = await foreign(made, "longer", {}, {"sagadsl": 1, "definition": definition})
            await ends(theirs)
            ended = await runs.result(made.client, theirs.id)
            return ended.error[0] if ended.error else ended.status, made.begun

    assert asyncio.run(scenario()) == ("InvalidDefinition", [])
