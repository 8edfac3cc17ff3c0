"""What is asked of a saga itself does not depend on the server's index, from which lists come.

The server here writes nothing into its index, or gives nothing out: limits of its own, set to zero.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.shell import Ran, inside
from tests.cli.shop import lay_out
from tests.conftest import serving
from tests.gateway.house import House, fresh, serve, worker

pytestmark = pytest.mark.temporal

WRITES_NOTHING = "system.visibilityPersistenceMaxWriteQPS=0"
TELLS_NOTHING = "system.visibilityPersistenceMaxReadQPS=0"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with the shop, its worker, and its gateway."""

    house: House
    tells: bool

    def say(self, *arguments: str) -> Ran:
        return inside(*arguments, "--address", self.house.address, cwd=self.house.folder)


@pytest.fixture(scope="module", params=[WRITES_NOTHING, TELLS_NOTHING], ids=["writes nothing", "tells nothing"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = lay_out(tmp_path_factory.mktemp("shop"))
    log = tmp_path_factory.mktemp("temporal") / "server.log"
    with serving(log, request.param) as address, worker(folder, address), serve(folder, address) as house:
        yield Place(house, request.param == WRITES_NOTHING)


def test_commands_that_name_a_saga_know_it(place: Place) -> None:
    """From its start to its end: `run`, `status`, `trace`, `signal`, `pause`, `resume`, `result`, `explain-run`."""
    id_ = fresh()
    order = ("order.saga.yaml", "--task-queue", place.house.queue, "--set", "order=1")
    begun = place.say("run", *order, "--set", "wait=true", "--id", id_, "--detach")
    twice = place.say("run", *order, "--id", id_, "--detach")
    waits = json.loads(place.say("status", id_, "--json").out)
    paused = place.say("pause", id_)
    resumed = place.say("resume", id_)
    sent = place.say("signal", id_, "approve")
    result = json.loads(place.say("result", id_, "--json").out)
    status = json.loads(place.say("status", id_, "--json").out)

    assert (begun.code, twice.code) == (0, 4), (begun.err, twice.err)
    assert waits["status"] == "running"
    assert (paused.code, resumed.code, sent.code) == (0, 0, 0), (paused.err, resumed.err, sent.err)
    assert (result["status"], result["output"]) == ("completed", {"tracking": "t_1"})
    assert status["status"] == "completed"
    assert "t_1" in place.say("trace", id_).out
    assert place.say("explain-run", id_).code == 0


def test_a_cancel_is_heard_and_undone(place: Place) -> None:
    id_ = fresh()
    order = ("order.saga.yaml", "--task-queue", place.house.queue, "--set", "order=1", "--set", "wait=true")
    begun = place.say("run", *order, "--id", id_, "--detach")
    cancelled = place.say("cancel", id_)
    result = json.loads(place.say("result", id_, "--json").out)

    assert (begun.code, cancelled.code) == (0, 0), (begun.err, cancelled.err)
    assert result["status"] == "cancelled"


def test_the_gateway_starts_waits_and_tells(place: Place) -> None:
    house, id_ = place.house, fresh()
    started = house.ask("POST", "/sagas/order", {"order": "2", "wait": True}, Workflow_Id=id_)
    again = house.ask("POST", "/sagas/order", {"order": "2", "wait": True}, Workflow_Id=id_)
    waits = house.until(id_, lambda found: bool(found.get("waiting_for")))
    sent = house.ask("POST", f"/sagas/{id_}/signals/approve", {})
    ended = house.ask("GET", f"/sagas/{id_}/result?wait=30s")

    assert (started.status_code, again.status_code) == (202, 202), (started.text, again.text)
    assert again.json()["run_id"] == started.json()["run_id"]
    assert waits["status"] == "running"
    assert sent.status_code == 202, sent.text
    assert (ended.status_code, ended.json()["output"]) == (200, {"tracking": "t_2"})
    assert house.ask("GET", f"/sagas/{id_}").json()["status"] == "completed"


def test_lists_say_as_of_when_they_are_or_that_there_are_none(place: Place) -> None:
    """An index that is empty is told with its time, one that does not answer as that; neither is a mistake of ours."""
    with ThreadPoolExecutor(1 if place.tells else 2) as pool:  # a client asks for ten seconds before it gives up
        listed = place.say("list", "--json") if place.tells else None
        asked = [pool.submit(place.house.ask, "GET", path) for path in ("/sagas", "/counts")]
        listed = listed or place.say("list", "--json")
        page, counts = (each.result() for each in asked)

    if place.tells:
        assert (listed.code, json.loads(listed.out)["sagas"]) == (0, [])
        assert (page.json()["sagas"], counts.json()["counts"]["running"]) == ([], 0)
        assert "by the server's index, which lags a little behind" in listed.err
        assert json.loads(listed.out)["as_of"] <= page.json()["as_of"] <= counts.json()["as_of"]
    else:
        assert json.loads(listed.out)["error"]["code"] == "SD906"
        assert "try again later" in listed.err
        assert (page.status_code, counts.status_code) == (503, 503), page.text
