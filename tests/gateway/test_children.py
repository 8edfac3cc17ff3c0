"""Child sagas over HTTP: they have addresses, their parents tell of them, and operators reach them from there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import Server
from tests.gateway.house import House, fresh, serve, trips, worker

pytestmark = pytest.mark.temporal


@pytest.fixture(scope="module")
def house(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway that wants no token, and a worker, both with sagas that have children."""
    folder = trips(tmp_path_factory.mktemp("trips"))
    with worker(folder, server.address), serve(folder, server.address, "--rate", "10000") as house:
        yield house


def _start(house: House, name: str = "trip", **values: Any) -> str:
    answer = house.ask("POST", f"/sagas/{name}", {"order": "1", **values}, Workflow_Id=fresh())
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def _waits(status: Mapping[str, Any]) -> bool:
    return bool(status.get("waiting_for"))


def test_a_child_has_an_address_like_any_saga(house: House) -> None:
    """B4: the `/` of its id is `%2F` there, in whichever way the rest is written; a plain one is another address."""
    trip = _start(house, wait=True)
    child = f"{trip}/book/hotel"
    address = f"/sagas/{quote(child, safe='')}"
    deadline = time.monotonic() + 30
    while house.ask("GET", address).status_code == 404:  # it has not begun
        assert time.monotonic() < deadline
    house.until(quote(child, safe=""), _waits)

    assert house.ask("GET", address).json()["id"] == child
    assert house.ask("GET", f"/s%61gas/{trip}%2fbook%2Fh%6ftel").json()["id"] == child
    for part in ("trace", "explanation", "graph", "result"):
        assert house.ask("GET", f"{address}/{part}").status_code in (200, 202), part
    assert house.ask("GET", f"/sagas/{child}").status_code == 404
    assert house.ask("GET", f"/sagas/{trip}%252Fbook%252Fhotel").json()["code"] == "SD923"

    refused = house.ask("POST", f"{address}/retry")
    sent = house.ask("POST", f"{address}/signals/approve", {"by": "ann"})
    assert (refused.status_code, refused.json()["code"]) == (409, "SD925")
    assert (sent.status_code, sent.json()["id"]) == (202, child)
    assert house.ask("GET", f"/sagas/{trip}/result?wait=20s").json()["status"] == "completed"
    assert [each["id"] for each in house.ask("GET", f"/sagas?id={quote(child, safe='')}").json()["sagas"]] == [child]
