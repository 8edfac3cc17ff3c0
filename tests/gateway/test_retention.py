"""Over HTTP, when the server keeps a saga no longer: each address says so, and the key starts it again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from temporalio.client import Client

from sagadsl.gateway.openapi import document
from tests.conftest import Server
from tests.gateway.house import House, fresh, serve, shop, window, worker
from tests.patience import PATIENCE
from tests.temporal.fleeting import delete

pytestmark = pytest.mark.temporal

BODIES = {
    "forget": {"why": "w"},
    "reset": {"to": "charge"},
    "complete": {"step": "charge", "output": 1},
    "skip": {"step": "charge"},
    "migrate": {"to": "order"},
}
"""What a request has to say before the saga is looked for."""


@pytest.fixture(scope="module")
def gone(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, str, str]]:
    """A gateway, the key with which a saga was started that it keeps no longer, and the saga's id."""
    folder = shop(tmp_path_factory.mktemp("retention"))
    with worker(folder, server.address), serve(folder, server.address, "--rate", "10000") as house:
        key = fresh()
        id_ = _start(house, key)["id"]
        assert house.ask("GET", f"/sagas/{id_}/result?wait=60s").json()["status"] == "completed"
        asyncio.run(_delete(server.address, id_))
        yield house, key, id_


async def _delete(address: str, id_: str) -> None:
    await delete(await Client.connect(address), id_)


def _start(house: House, key: str) -> dict[str, object]:
    answer = house.ask("POST", "/sagas/order", {"order": "1"}, Idempotency_Key=key)
    assert answer.status_code == 202, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_each_address_of_a_saga_says_that_there_is_none(gone: tuple[House, str, str]) -> None:
    """Also the stream, which would wait for ever."""
    house, _, id_ = gone
    asked = 0
    for path, methods in document([])["paths"].items():
        if not path.startswith("/sagas/{id}"):
            continue
        for method in methods.keys() & {"get", "post"}:
            where = path.format(id=id_, query="progress", signal="approve")
            body = BODIES.get(where.rpartition("/")[2], {}) if method == "post" else None
            answer = house.ask(method.upper(), where, body)
            assert answer.status_code == 404, (where, answer.text)
            told = answer.json()
            assert (told["code"], told["detail"]) == ("SD923", f"there is no saga `{id_}`"), where
            assert "is deleted when the server has kept it for its time" in told["help"]
            asked += 1
    assert asked > 20


def test_the_list_the_counts_and_the_incidents_have_it_no_longer(gone: tuple[House, str, str]) -> None:
    house, _, id_ = gone
    assert house.ask("GET", f"/sagas?id={id_}").json()["sagas"] == []
    assert not any(house.ask("GET", f"/counts?id={id_}").json()["counts"].values())
    assert id_ not in house.ask("GET", "/incidents").text


def test_its_key_starts_it_again_and_says_so(gone: tuple[House, str, str]) -> None:
    """`repeated` is false: whoever repeats a request so late is not told that it was answered."""
    house, key, id_ = gone
    begun = _start(house, key)
    assert (begun["id"], begun["repeated"]) == (id_, False)
    assert _start(house, key)["repeated"] is True
    assert house.ask("GET", f"/sagas/{id_}/result?wait=60s").json()["status"] == "completed"
    asyncio.run(_delete(house.address, id_))


def test_a_stream_of_an_open_saga_ends_with_the_saga_and_not_with_its_run(server: Server, house: House) -> None:
    """The run is gone when the client comes back: 404 tells it not to come again."""
    id_ = house.start(wait=True)
    house.until(id_, lambda found: "approve" in found["waiting_for"])
    with house.client() as client, client.stream("GET", f"/sagas/{id_}/events") as stream:
        lines = stream.iter_lines()
        assert next(line for line in lines if line.startswith("event:")) == "event: status"
        assert house.ask("POST", f"/sagas/{id_}/signals/approve", {}).status_code in (200, 202)
        deadline = time.monotonic() + PATIENCE
        while next(line for line in lines if line.startswith("event:")) != "event: end":
            assert time.monotonic() < deadline
    asyncio.run(_delete(server.address, id_))
    assert house.ask("GET", f"/sagas/{id_}/events", Last_Event_ID="1").status_code == 404


def test_the_page_says_so(gone: tuple[House, str, str], browser: Browser) -> None:
    """Somebody opens a link of last week. This test is the last: while there is a browser, no event loop may run."""
    house, _, id_ = gone
    for page in window(browser, house.url):
        page.goto(f"/#/sagas/{id_}")
        expect(page.get_by_role("alert")).to_contain_text(f"there is no saga {id_}")
        expect(page.get_by_text("is deleted when the server has kept it for its time")).to_have_count(1)
