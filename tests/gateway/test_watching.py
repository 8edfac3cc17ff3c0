"""Many who watch: they share one look at the server, none of them holds up another, and all are told of the end."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from urllib.parse import urlsplit

import pytest
from temporalio.api.workflowservice.v1 import PauseWorkflowExecutionRequest, UnpauseWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.gateway import lookout
from sagadsl.gateway.lookout import Allowance, Lookout
from sagadsl.gateway.metrics import Metrics
from sagadsl.gateway.watchers import Watchers
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.described import Described, describe
from sagadsl.temporal.read.remembered import FRESH_SECONDS, Remembered
from tests.conftest import Server
from tests.gateway.house import House, serve

pytestmark = pytest.mark.temporal

STREAMS = 40


@asynccontextmanager
async def _stream(url: str, saga: str) -> AsyncIterator[asyncio.StreamReader]:
    where = urlsplit(url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port, limit=4096)
    writer.write(f"GET /sagas/{saga}/events HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n".encode())
    try:
        yield reader
    finally:
        writer.close()


async def _until(reader: asyncio.StreamReader, word: bytes) -> None:
    seen = b""
    while word not in seen:
        more = await reader.read(4096)
        assert more, f"the stream ended before {word!r}"
        seen = seen[-100:] + more


async def _rest(reader: asyncio.StreamReader) -> Counter[bytes]:
    """Read until the last chunk; return how often each kind of event came."""
    seen = b""
    while not seen.endswith(b"0\r\n\r\n"):
        more = await reader.read(4096)
        assert more, "the stream was cut"
        seen += more
    return Counter(re.findall(rb"event: (\w+)", seen))


def _counted(house: House, name: str) -> float:
    text = house.ask("GET", "/metrics").text
    return float(next(line for line in text.splitlines() if line.startswith(name)).split()[-1])


def test_many_who_watch_one_saga_are_one_for_the_server(house: House) -> None:
    """Each gets every status; the worker is asked as often as if there were one of them."""
    saga = house.start(wait=True)
    house.until(saga, lambda status: "approve" in status["waiting_for"])
    before = {name: _counted(house, f"sagadsl_gateway_{name}") for name in ("followed", "questions_total")}
    during: dict[str, float] = {}

    async def play() -> list[Counter[bytes]]:
        async with AsyncExitStack() as opened, asyncio.timeout(60):
            readers = [await opened.enter_async_context(_stream(house.url, saga)) for _ in range(STREAMS)]
            await asyncio.gather(*(_until(each, b"event: status") for each in readers))
            for name in before:
                during[name] = await asyncio.to_thread(_counted, house, f"sagadsl_gateway_{name}")
            await asyncio.to_thread(house.ask, "POST", f"/sagas/{saga}/signals/approve", {})
            return await asyncio.gather(*(_rest(each) for each in readers))

    kinds = asyncio.run(play())

    assert during["followed"] - before["followed"] == 1
    assert during["questions_total"] - before["questions_total"] <= 2
    assert all(each[b"end"] == 1 and each[b"status"] >= 1 for each in kinds), kinds


def test_who_does_not_read_holds_up_nobody_and_hears_of_the_end(house: House) -> None:
    saga = house.start(wait=True)
    house.until(saga, lambda status: "approve" in status["waiting_for"])

    async def play() -> tuple[Counter[bytes], Counter[bytes]]:
        async with _stream(house.url, saga) as idle, _stream(house.url, saga) as other, asyncio.timeout(60):
            for verb in ("pause", "resume") * 3:
                answer = await asyncio.to_thread(house.ask, "POST", f"/sagas/{saga}/{verb}", {})
                assert answer.status_code == 200, answer.text
                await _until(other, b"event: status")
            await asyncio.to_thread(house.ask, "POST", f"/sagas/{saga}/signals/approve", {})
            heard = await _rest(other)
            return heard, await _rest(idle)

    heard, late = asyncio.run(play())

    assert (heard[b"end"], late[b"end"]) == (1, 1)


def test_a_gateway_that_stops_tells_all_who_watch_to_come_again(house: House) -> None:
    """And it stops at once, however many they are."""
    saga = house.start(wait=True)

    async def play() -> list[Counter[bytes]]:
        loop = asyncio.get_running_loop()
        stopping = serve(house.folder, house.address)
        async with AsyncExitStack() as opened, asyncio.timeout(60):
            other = await loop.run_in_executor(None, stopping.__enter__)
            readers = [await opened.enter_async_context(_stream(other.url, saga)) for _ in range(STREAMS)]
            await asyncio.gather(*(_until(each, b"event: status") for each in readers))
            ending = loop.run_in_executor(None, stopping.__exit__, None, None, None)  # it checks the exit code
            kinds = await asyncio.gather(*(_rest(each) for each in readers))
            await ending
            assert "Traceback" not in "\n".join(other.lines)
            return kinds

    kinds = asyncio.run(play())
    house.ask("POST", f"/sagas/{saga}/cancel")

    assert all(each[b"leave"] == 1 for each in kinds), kinds


def test_polls_of_a_saga_that_waits_ask_its_worker_once_and_show_what_the_caller_did(house: House) -> None:
    saga = house.start(wait=True)
    house.until(saga, lambda status: "approve" in status["waiting_for"])
    before = _counted(house, "sagadsl_gateway_questions_total")
    seen = [house.ask("GET", f"/sagas/{saga}").json() for _ in range(10)]
    asked = _counted(house, "sagadsl_gateway_questions_total") - before
    house.ask("POST", f"/sagas/{saga}/pause", {"why": "stocktaking"})
    paused = house.ask("GET", f"/sagas/{saga}").json()
    house.ask("POST", f"/sagas/{saga}/cancel")

    assert asked <= 2
    assert len({each["revision"] for each in seen}) == 1
    assert (paused["status"], paused["actions"][0]["why"]) == ("paused", "stocktaking")


def test_more_sagas_than_long_polls_are_all_followed_to_their_end(house: House, server: Server) -> None:
    """The server's long polls are the workers' too: a gateway must not take them all."""
    sagas = [house.start(wait=True) for _ in range(6)]
    most = 0

    async def play() -> list[bool]:
        client = await Client.connect(server.address)
        all_of_them = Lookout(client, Remembered(), Metrics(), Allowance(ears=2, waits=1, looks=50))
        waiting = asyncio.Semaphore(0)

        async def watch(saga: str) -> bool:
            nonlocal most
            async with aclosing(all_of_them.pictures(saga)) as pictures:
                async for each in pictures:
                    most = max(most, len(all_of_them._ears))
                    if each.status.get("waiting_for"):
                        waiting.release()
            return each.is_open

        async with asyncio.timeout(60):
            watching = [asyncio.create_task(watch(each)) for each in sagas]
            ends = [asyncio.create_task(all_of_them.ended(each)) for each in sagas]
            for _ in sagas:
                await waiting.acquire()
            for each in sagas:
                await client.get_workflow_handle(each).signal("approve", {})
            assert {(await each).status for each in ends} == {"completed"}
            return await asyncio.gather(*watching)

    assert asyncio.run(play()) == [False] * 6
    assert most == 2


def test_a_saga_that_temporal_holds_has_no_long_poll(
    house: House, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends a long poll of it at once: whoever asked again at once would never rest."""
    monkeypatch.setattr(lookout, "TICK_SECONDS", 0.01)
    saga = house.start(wait=True)
    house.until(saga, lambda status: "approve" in status["waiting_for"])
    which = {"namespace": "default", "workflow_id": saga, "identity": "ann", "reason": "the bank is down"}

    async def play() -> tuple[list[tuple[str, int]], bool]:
        client = await Client.connect(server.address)
        service, followed = client.workflow_service, Lookout(client, Remembered(), Metrics())
        async with aclosing(followed.pictures(saga)) as pictures, asyncio.timeout(60):
            assert (await anext(pictures)).status["status"] == "running"
            assert len(followed._ears) == 1
            await service.pause_workflow_execution(PauseWorkflowExecutionRequest(request_id="1", **which))
            while (await anext(pictures)).status["status"] != "held":
                pass
            held = [((await anext(pictures)).status["status"], len(followed._ears)) for _ in range(3)]
            await service.unpause_workflow_execution(UnpauseWorkflowExecutionRequest(request_id="2", **which))
            await client.get_workflow_handle(saga).signal("approve", {})
            return held, [each.is_open async for each in pictures][-1]

    assert asyncio.run(play()) == ([("held", 0)] * 3, False)


def test_who_knows_something_newer_than_those_who_watch_gets_nothing_older(house: House, server: Server) -> None:
    saga = house.start(wait=True)
    house.until(saga, lambda status: "approve" in status["waiting_for"])

    async def play() -> tuple[str, str]:
        client = await Client.connect(server.address)
        watchers = Watchers(client, Metrics(), Allowance(ears=0, waits=1, looks=0.001))  # it never looks again
        async with aclosing(watchers.views(saga, await watchers.now(saga))) as views, asyncio.timeout(60):
            await anext(views)
            while not watchers._watched[saga].came:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(house.ask, "POST", f"/sagas/{saga}/pause", {})
            known = await watchers.now(saga)
            after = await watchers.after(known, 0.05)
            return str(after.document["status"]), str((await anext(views)).document["status"])

    found = asyncio.run(play())
    house.ask("POST", f"/sagas/{saga}/cancel")

    assert found == ("paused", "paused")


def test_a_worker_that_is_gone_is_waited_for_by_one_of_all_who_ask(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others get what the server knows, and not a wait of ten seconds each."""
    monkeypatch.setattr(runs, "ANSWER_SECONDS", 1.0)

    async def play() -> tuple[list[int], set[str]]:
        client = await Client.connect(server.address)
        id_, asked = f"nobody-{uuid.uuid4()}", [0]

        def count() -> None:
            asked[-1] += 1

        handle = await client.start_workflow("order", id=id_, task_queue=id_)
        described, statuses = await describe(client, id_), Remembered(count)
        found = [await statuses.status_of(client, described)]
        asked.append(0)
        found += await asyncio.gather(*(statuses.status_of(client, described) for _ in range(8)))
        await handle.terminate()
        return asked, {each["source"] for each in found}

    asked, sources = asyncio.run(play())

    assert asked == [1, 1]
    assert sources == {"history"}


def test_who_asked_before_the_worker_was_gone_lets_nobody_else_wait_for_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[asyncio.Future[None]] = []

    async def no_answer(*_: object) -> None:
        asked.append(asyncio.get_running_loop().create_future())
        await asked[-1]
        raise runs.NoAnswerInTime

    monkeypatch.setattr(runs, "answer_of", no_answer)

    async def play() -> int:
        client = await Client.connect(server.address)
        id_, statuses = f"nobody-{uuid.uuid4()}", Remembered()
        handle = await client.start_workflow("order", id=id_, task_queue=id_)
        described, waiting = await describe(client, id_), list[asyncio.Task[object]]()

        async def until_asked(count: int) -> None:
            waiting.append(asyncio.create_task(statuses.status_of(client, described)))
            while len(asked) < count:
                await asyncio.sleep(0.01)

        async with asyncio.timeout(60):
            await until_asked(1)
            await until_asked(2)
            asked[0].set_result(None)
            await waiting[0]
            await until_asked(3)
            asked[1].set_result(None)
            await waiting[1]
            last = asyncio.create_task(statuses.status_of(client, described))
            while not last.done() and len(asked) == 3:
                await asyncio.sleep(0.01)
            count = len(asked)
            for each in asked[2:]:
                each.set_result(None)
            await asyncio.gather(*waiting, last)
        await handle.terminate()
        return count

    assert asyncio.run(play()) == 3


def test_an_answer_is_believed_only_while_the_queue_has_a_worker(house: House, server: Server) -> None:
    saga = house.start(wait=True)
    house.until(saga, lambda status: "approve" in status["waiting_for"])
    now, asked = 0.0, 0

    def count() -> None:
        nonlocal asked
        asked += 1

    async def play() -> list[int]:
        nonlocal now
        client = await Client.connect(server.address)
        statuses, counts = Remembered(count, lambda: now), []
        for seconds in (0.0, FRESH_SECONDS / 2, FRESH_SECONDS):
            now += seconds
            assert (await statuses.status_of(client, await describe(client, saga)))["status"] == "running"
            counts.append(asked)
        return counts

    counts = asyncio.run(play())
    house.ask("POST", f"/sagas/{saga}/cancel")

    assert counts == [1, 1, 2]


def test_a_stream_outlives_a_server_that_has_too_much_to_do(
    house: House, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If all streams ended, all their clients would come again at the same moment."""
    monkeypatch.setattr(lookout, "TICK_SECONDS", 0.01)
    saga = house.start(wait=True)
    refusals = [
        RPCError("namespace rate limit exceeded", RPCStatusCode.RESOURCE_EXHAUSTED, b""),
        RPCError("Timeout expired", RPCStatusCode.CANCELLED, b""),
    ]

    async def describe_at_last(client: Client, id: str) -> Described:
        if refusals:
            raise refusals.pop()
        return await describe(client, id)

    monkeypatch.setattr(lookout, "describe", describe_at_last)

    async def play() -> str:
        client = await Client.connect(server.address)
        async with aclosing(Lookout(client, Remembered(), Metrics()).pictures(saga)) as pictures:
            return str((await anext(pictures)).status["status"])

    assert asyncio.run(play()) == "running"
    assert refusals == []
    house.ask("POST", f"/sagas/{saga}/cancel")
