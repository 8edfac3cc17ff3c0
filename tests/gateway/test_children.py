"""Child sagas over HTTP: they have addresses, their parents tell of them, and operators reach them from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
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


def _child(found: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """Return what a saga tells of its child; empty while that has not begun."""
    return next((each for each in found["children"] if each["path"] == path), {})


def _needs(path: str, at: str) -> Callable[[Mapping[str, Any]], bool]:
    """Return whether a child waits for an operator at a step."""
    return lambda found: [each["path"] for each in _child(found, path).get("attention", ())] == [at]


def _awaits(path: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda found: bool(_child(found, path).get("waiting_for"))


def test_a_child_has_an_address_like_any_saga(house: House) -> None:
    """B4: the `/` of its id is `%2F` there, in whichever way the rest is written; a plain one is another address."""
    trip = _start(house, wait=True)
    child = f"{trip}/book/hotel"
    address = f"/sagas/{quote(child, safe='')}"
    found = house.until(trip, _awaits("book/hotel"))
    assert (found["status"], _child(found, "book/hotel")["id"]) == ("running", child)

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


def test_a_parent_says_that_its_child_waits_and_leads_operators_there(house: House, tmp_path: Path) -> None:
    """B4: two deep, while the innermost undoes itself; as status, explanation and result tell it."""
    broken = tmp_path / "broken"
    broken.touch()
    tour = _start(house, "tour", how="fail", broken=str(broken))
    found = house.until(tour, _needs("trip/book/hotel", "charge.compensation"))
    sentences = house.ask("GET", f"/sagas/{tour}/explanation").json()["sentences"]
    line = next(each for each in found["lines"] if each["key"] == "trip")
    unended = house.ask("GET", f"/sagas/{tour}/result")

    assert (found["status"], found["attention"]) == ("running", [])
    assert [(each["path"], each["status"]) for each in found["children"]] == [
        ("trip", "running"),
        ("trip/book/hotel", "paused"),
    ]
    assert line["note"] == "book/hotel waits for a decision: charge.compensation"
    assert f"     sagadsl retry {tour} trip/book/hotel/charge.compensation   once more" in sentences
    assert (unended.status_code, _child(unended.json(), "trip/book/hotel")["status"]) == (202, "paused")

    blind = house.ask("POST", f"/sagas/{tour}/retry", {})
    broken.unlink()
    done = house.ask("POST", f"/sagas/{tour}/retry", {"step": "trip/book/hotel/charge.compensation", "by": "ann"})
    ended = house.ask("GET", f"/sagas/{tour}/result?wait=20s").json()

    assert blind.status_code == 409
    assert "in child sagas: `trip/book/hotel/charge.compensation`" in blind.json()["detail"]
    assert (done.status_code, done.json()["status"]) in [(200, "compensating"), (200, "compensated")]
    assert (ended["status"], ended["error"]["type"]) == ("compensated", "AddressInvalid")
    child = house.ask("GET", f"/sagas/{tour}%2Ftrip%2Fbook%2Fhotel").json()
    assert [(each["verb"], each["path"], each["by"]) for each in child["actions"]] == [
        ("retry_step", "charge.compensation", "ann")
    ]


def test_a_completed_child_that_is_being_undone_waits_under_its_own_path(house: House, tmp_path: Path) -> None:
    """B4: `compensation: auto`; what is left out there stays not undone in the parent's report."""
    broken = tmp_path / "broken"
    broken.touch()
    trip = _start(house, last="fail", broken=str(broken))
    found = house.until(trip, _needs("book/hotel", "charge.compensation"))
    line = next(each for each in found["lines"] if each["key"] == "book/hotel.compensation")
    done = house.ask("POST", f"/sagas/{trip}/abort", {"step": "book/hotel", "why": "paid by hand"})
    after = house.until(trip, lambda status: bool(status["attention"]))
    house.ask("POST", f"/sagas/{trip}/skip", {"step": "book/hotel.compensation"})
    ended = house.ask("GET", f"/sagas/{trip}/result?wait=20s").json()

    assert (found["status"], line["note"]) == ("compensating", "waits for a decision: charge.compensation")
    assert done.status_code == 200
    assert [each["path"] for each in after["attention"]] == ["book/hotel.compensation"]
    assert (ended["status"], [each["path"] for each in ended["report"]["not_undone"]]) == ("failed", ["book/hotel"])


def test_a_pause_goes_down_and_tells_where_it_was_done(house: House) -> None:
    """B5: no child starts anything further, and the same way back; both are kept in each of them."""
    tour = _start(house, "tour", wait=True)
    house.until(tour, _awaits("trip/book/hotel"))
    held = house.ask("POST", f"/sagas/{tour}/pause", {"by": "ann", "why": "stock-taking"})
    house.ask("POST", f"/sagas/{tour}%2Ftrip%2Fbook%2Fhotel/signals/approve", {"by": "bo"})
    stood = house.until(tour, lambda status: not _child(status, "trip/book/hotel")["waiting_for"])
    went_on = house.ask("POST", f"/sagas/{tour}/resume")
    ended = house.ask("GET", f"/sagas/{tour}/result?wait=20s").json()

    children = [
        {"path": path, "id": f"{tour}/{path}", "status": "paused", "problem": None}
        for path in ("trip", "trip/book/hotel")
    ]
    assert (held.status_code, held.json()["status"], held.json()["children"]) == (200, "paused", children)
    assert [(each["status"], each["paused"]) for each in stood["children"]] == [("paused", True)] * 2
    assert (went_on.status_code, [each["problem"] for each in went_on.json()["children"]]) == (200, [None, None])
    assert ended["status"] == "completed"
    child = house.ask("GET", f"/sagas/{tour}%2Ftrip%2Fbook%2Fhotel").json()
    assert [(each["verb"], each["why"]) for each in child["actions"]] == [("pause", "stock-taking"), ("resume", "")]


def test_a_path_that_leads_nowhere_is_refused(house: House) -> None:
    trip = _start(house, wait=True)
    house.until(trip, _awaits("book/hotel"))
    refused = house.ask("POST", f"/sagas/{trip}/pause", {"step": "book/motel"})
    one = house.ask("POST", f"/sagas/{trip}/pause", {"step": "book/hotel"})
    found = house.until(trip, lambda status: bool(_child(status, "book/hotel")["paused"]))
    house.ask("POST", f"/sagas/{trip}/cancel")

    assert (refused.status_code, refused.json()["code"]) == (409, "SD925")
    assert "`book/motel` is no child saga that is open" in refused.json()["detail"]
    assert (one.json()["status"], found["paused"]) == ("paused", False)
