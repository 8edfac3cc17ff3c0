"""A gateway whose sagas are encoded: with the workers' codec, with none, and with another key."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conftest import SEALED, Server
from tests.gateway.house import House, fresh, serve, shop, worker
from tests.patience import PATIENCE
from tests.temporal import codecs

pytestmark = pytest.mark.temporal

QUEUE = f"coded-{uuid.uuid4()}"
THERE = ("--namespace", SEALED, "--task-queue", QUEUE)
READING = ["", "/result", "/trace", "/graph", "/explanation", "/events"]


@pytest.fixture(scope="module")
def houses(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, House]]:
    """Gateways with the codec of the worker, without one, and with another key; errors are encrypted, too."""
    folder = shop(tmp_path_factory.mktemp("coded"))
    shutil.copy(codecs.__file__, folder / "payloads.py")
    chosen = {"same": ("--codec", "payloads:secretive"), "none": (), "other": ("--codec", "payloads:other_key")}
    with ExitStack() as stack:
        stack.enter_context(worker(folder, server.address, *THERE, *chosen["same"]))
        yield {
            name: stack.enter_context(serve(folder, server.address, "--rate", "10000", *THERE, *options))
            for name, options in chosen.items()
        }


def _events(house: House, saga: str) -> list[tuple[str, Any]]:
    found, event = [], ""
    with httpx2.stream("GET", f"{house.url}/sagas/{saga}/events", timeout=PATIENCE) as stream:
        for line in stream.iter_lines():
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif line.startswith("data: "):
                found.append((event, json.loads(line.removeprefix("data: "))))
    return found


def test_sagas_are_started_signalled_watched_and_listed_with_the_codec(houses: dict[str, House]) -> None:
    house = houses["same"]
    saga = house.start(wait=True)
    house.until(saga, lambda status: "approve" in status.get("waiting_for", {}))
    sent = house.ask("POST", f"/sagas/{saga}/signals/approve", {"by": "ann"})
    assert (sent.status_code, sent.json()["state"]) == (202, "taken"), sent.text

    events = _events(house, saga)
    assert events[-1][0] == "end"
    assert [each["status"] for what, each in events if what == "status"][-1] == "completed"
    assert house.ask("GET", f"/sagas/{saga}/result").json()["output"] == {"tracking": "t_1"}
    calls = house.ask("GET", f"/sagas/{saga}/trace").json()["calls"]
    assert [call["input"]["order"] for call in calls] == ["1", "1"]
    for path in READING:
        assert house.ask("GET", f"/sagas/{saga}{path}").status_code == 200
    assert house.ask("GET", "/").status_code == 200
    (row,) = (each for each in house.ask("GET", f"/sagas?id={saga}").json()["sagas"])
    assert (row["version"], row["status"]) == ("1.0.0", "completed")


def test_errors_that_are_encoded_are_read_wherever_they_are_shown(houses: dict[str, House]) -> None:
    """The server has `Encoded failure` instead of their messages."""
    house = houses["same"]
    saga = house.start(how="fail")
    result = house.ask("GET", f"/sagas/{saga}/result?wait=30s").json()
    assert result["report"]["failure"]["message"] == "carrier rejected address"
    for path in ("/trace", "/explanation"):
        body = house.ask("GET", f"/sagas/{saga}{path}").text
        assert "carrier rejected address" in body
        assert "Encoded failure" not in body


@pytest.mark.parametrize(
    ("which", "code", "detail"),
    [
        ("none", "SD915", "the data cannot be read here: it is encoded as `binary/aes`"),
        ("other", "SD914", "the payload codec cannot decode: InvalidTag"),
    ],
)
def test_without_the_codec_what_cannot_be_read_is_told_and_the_rest_goes_on(
    houses: dict[str, House], which: str, code: str, detail: str
) -> None:
    """A saga of others is one row of a list, like any other, and what can be started is started."""
    saga = houses["same"].start()
    houses["same"].ask("GET", f"/sagas/{saga}/result?wait=30s")
    house = houses[which]

    for path in READING:
        answer = house.ask("GET", f"/sagas/{saga}{path}")
        assert (answer.status_code, answer.json()["code"]) == (503, code), path
        assert answer.json()["detail"].startswith(detail)
    answer = house.ask("POST", f"/sagas/{saga}/signals/approve", {"by": "ann"})
    assert (answer.status_code, answer.json()["code"]) == (503, code)
    listed = house.ask("GET", f"/sagas?id={saga}")
    assert [(each["id"], each["name"]) for each in listed.json()["sagas"]] == [(saga, "order")]
    assert house.ask("GET", "/counts").status_code == 200
    assert house.ask("GET", "/healthz").status_code == 200


def test_a_start_without_the_codec_is_run_by_workers_that_have_it(houses: dict[str, House], tmp_path: Path) -> None:
    """Its own data is in clear, which the codec of the workers lets pass; its answer is not."""
    started = houses["none"].ask("POST", "/sagas/order", {"order": "7"}, Workflow_Id=fresh())
    assert started.status_code == 202, started.text
    result = houses["same"].ask("GET", f"/sagas/{started.json()['id']}/result?wait=30s")
    assert result.json()["output"] == {"tracking": "t_7"}
