"""How sagas stand, over HTTP: at once, as soon as something changes, as a stream, in lists."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import pytest
from temporalio.client import Client

from sagadsl.drawing.tree import tree
from sagadsl.language.paths import drawn
from sagadsl.temporal import client as sagas
from sagadsl.temporal.read import runs
from tests.cli.shell import inside
from tests.engine.scenes import built, plain, saga
from tests.gateway.house import House, fresh
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal


def test_the_status_has_what_the_command_shows(house: House) -> None:
    """The same words as `sagadsl status --json`."""
    saga = house.start(how="fail")
    found = house.until(saga, lambda status: not status["is_open"])

    assert (found["status"], found["name"], found["failure"]["type"]) == ("compensated", "order", "AddressInvalid")
    assert [(step["path"], step["status"]) for step in found["steps"]] == [
        ("charge", "completed"),
        ("approval", "skipped"),
        ("ship", "failed"),
    ]
    assert found["steps"][0]["compensation"]["status"] == "done"


def test_attempts_under_way_are_shown(house: House) -> None:
    """Which attempt it is, and why the last one failed."""
    saga = house.start(how="slow")
    found = house.until(saga, lambda status: any(each["call"] == "ship" for each in status["attempts"]))

    assert [(each["call"], each["attempt"]) for each in found["attempts"]] == [("ship", 1)]
    house.ask("POST", f"/sagas/{saga}/cancel")
    house.until(saga, lambda status: not status["is_open"])


def test_a_long_poll_ends_when_the_saga_changes(house: House) -> None:
    saga = house.start(wait=True)
    waiting = house.until(saga, lambda status: bool(status.get("waiting_for")))
    Thread(target=lambda: (time.sleep(0.3), house.ask("POST", f"/sagas/{saga}/signals/approve"))).start()
    answer = house.ask("GET", f"/sagas/{saga}?wait=30s&since={waiting['revision']}")

    assert answer.json()["revision"] != waiting["revision"]
    assert house.until(saga, lambda status: not status["is_open"])["status"] == "completed"


def test_a_long_poll_of_what_does_not_change_ends_with_its_time(house: House) -> None:
    saga = house.start(wait=True)
    waiting = house.until(saga, lambda status: bool(status.get("waiting_for")))
    answer = house.ask("GET", f"/sagas/{saga}?wait=1s&since={waiting['revision']}")
    same = house.ask("GET", f"/sagas/{saga}", If_None_Match=answer.headers["ETag"])

    assert (answer.status_code, answer.json()["revision"]) == (200, waiting["revision"])
    assert (same.status_code, same.content) == (304, b"")
    house.ask("POST", f"/sagas/{saga}/cancel")


def test_events_come_until_the_end(house: House) -> None:
    """Server-sent events: each change once, the last one says that it has ended."""
    saga = house.start(wait=True)
    seen: list[dict[str, Any]] = []
    kinds: list[str] = []
    approved = False
    with httpx2.stream("GET", f"{house.url}/sagas/{saga}/events", timeout=PATIENCE) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("event: "):
                kinds.append(line.removeprefix("event: "))
            elif line.startswith("data: {") and kinds[-1] == "status":
                seen.append(json.loads(line.removeprefix("data: ")))
                if seen[-1].get("waiting_for") and not approved:
                    approved = house.ask("POST", f"/sagas/{saga}/signals/approve").status_code == 202

    assert kinds[-1] == "end"
    assert seen[-1]["status"] == "completed"
    assert len({each["revision"] for each in seen}) == len(seen)


def test_a_result_that_is_not_there_yet_is_told_so(house: House) -> None:
    saga = house.start(wait=True)
    early = house.ask("GET", f"/sagas/{saga}/result")
    house.ask("POST", f"/sagas/{saga}/signals/approve")
    late = house.ask("GET", f"/sagas/{saga}/result?wait=20s")
    again = house.ask("GET", f"/sagas/{saga}/result")

    assert (early.status_code, early.json()["output"], early.headers["Retry-After"]) == (202, None, "1")
    assert (late.status_code, late.json()["output"]) == (200, {"tracking": "t_1"})
    assert again.json() == late.json()


def test_the_trace_has_what_was_sent_and_what_came_back(house: House) -> None:
    """What the status leaves out: inputs, outputs, and what came from outside."""
    saga = house.start(wait=True, how="fail")
    house.ask("POST", f"/sagas/{saga}/signals/approve", {"by": "ann"})
    house.until(saga, lambda status: not status["is_open"])
    found = house.ask("GET", f"/sagas/{saga}/trace").json()

    assert (found["id"], found["input"]) == (saga, {"order": "1", "wait": True, "how": "fail"})
    calls = {call["path"]: call for call in found["calls"]}
    assert list(calls) == ["charge", "ship", "charge.compensation"]
    assert (calls["charge"]["input"], calls["charge"]["output"]) == ({"order": "1"}, {"charge_id": "ch_1"})
    assert calls["ship"]["error"] == {"type": "AddressInvalid", "message": "carrier rejected address"}
    assert [(each["what"], each["name"], each["data"]) for each in found["outside"]] == [
        ("signalled", "approve", {"by": "ann"})
    ]


def test_what_happened_is_told_in_sentences(house: House) -> None:
    saga = house.start(how="fail")
    house.until(saga, lambda status: not status["is_open"])
    sentences = house.ask("GET", f"/sagas/{saga}/explanation").json()["sentences"]

    assert sentences[1:] == [
        "`charge` succeeded.",
        "Then `ship` failed: AddressInvalid: carrier rejected address.",
        "`charge` was undone.",
        "Nothing is left to do.",
    ]


def test_the_graph_is_that_of_the_run(house: House) -> None:
    saga = house.start()
    run = house.ask("GET", f"/sagas/{saga}/graph").json()

    assert run == house.ask("GET", "/definitions/order/graph").json()
    assert [(node["id"], node["kind"], node["what"]) for node in run["steps"]] == [
        ("charge", "activity", "charge"),
        ("approval", "wait_for", "approve"),
        ("ship", "activity", "ship"),
    ]
    assert (run["steps"][0]["undone_by"], run["steps"][1]["if"]) == (["refund"], "input.wait | default(false)")


def test_the_graph_has_one_box_for_what_tells_of_any_pause() -> None:
    """R64: a status names the box by the same path."""
    drawing = tree(
        built(saga(plain("pay", on_error="pause"), on_pause=[{"id": "tell", "activity": "mail.send"}]))
    ).as_json()

    assert [(node["path"], node["kind"], node["what"]) for node in drawing["on_pause"]] == [
        ("on_pause[]/tell", "activity", "mail.send")
    ]
    assert drawn("on_pause[3]/tell") == "on_pause[]/tell"


def test_what_may_be_started_is_listed_with_its_input(house: House) -> None:
    listed = house.ask("GET", "/definitions").json()["definitions"]
    one = house.ask("GET", "/definitions/order").json()

    assert [(each["name"], each["version"], each["may_start"]) for each in listed] == [("order", "1.0.0", True)]
    assert (one["input"]["required"], one["definition"]["name"]) == (["order"], "order")
    assert house.ask("GET", "/definitions/nothing").status_code == 404


def _listed(house: House, query: str, wanted: int) -> list[dict[str, Any]]:
    """Return a list as soon as it is as long as *wanted*: the server's index lags."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found: list[dict[str, Any]] = house.ask("GET", f"/sagas?{query}").json()["sagas"]
        if len(found) == wanted or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def test_lists_are_searched_and_paged(house: House) -> None:
    """By the beginning of the id, by name, by status; each page says where the next one begins."""
    mark = fresh()
    for number in range(5):
        house.ask("POST", "/sagas/order?wait=true", {"order": "1"}, Workflow_Id=f"{mark}-{number}")
    house.ask("POST", "/sagas/order?wait=true", {"order": "1", "how": "fail"}, Workflow_Id=f"{mark}-x")
    everything = _listed(house, f"id={mark}", 6)
    undone = _listed(house, f"id={mark}&status=compensated", 1)

    assert [each["id"] for each in everything] == [f"{mark}-{which}" for which in "x43210"]
    assert [(each["id"], each["status"]) for each in undone] == [(f"{mark}-x", "compensated")]
    assert _listed(house, f"id={mark}&name=other", 0) == []
    seen, page = [], ""
    for _ in range(5):
        answer = house.ask("GET", f"/sagas?id={mark}&limit=2&page={page}").json()
        seen += [each["id"] for each in answer["sagas"]]
        page = answer["next_page"]
        if page is None:
            break
    assert seen == [each["id"] for each in everything]
    counted = house.ask("GET", f"/counts?id={mark}").json()
    counts = counted["counts"]
    assert (counts["completed"], counts["compensated"], counts["running"]) == (5, 1, 0)
    assert answer["as_of"] < counted["as_of"]


def test_what_waits_for_a_person_is_told_by_step_and_error(house: House, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.touch()
    saga = house.start(how="fail", broken=str(broken))
    deadline = time.monotonic() + PATIENCE
    while not (mine := [group for group in _incidents(house) if saga in [each["id"] for each in group["incidents"]]]):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    others = _incidents(house, "?name=nothing")
    broken.unlink()

    assert house.ask("POST", f"/sagas/{saga}/retry", {}).status_code == 200
    (group,) = mine
    assert (group["name"], group["step"], group["kind"], group["type"]) == (
        "order",
        "charge.compensation",
        "decision",
        "BankDown",
    )
    assert group["count"] == len(group["incidents"])
    assert others == []


def _incidents(house: House, query: str = "") -> list[dict[str, Any]]:
    answer = house.ask("GET", f"/incidents{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["groups"]
    return found


def test_what_the_index_cannot_count_is_said(house: House) -> None:
    """A text with a quote finds something else there, on every database; a list leaves that out, a number cannot."""
    refused = house.ask("GET", "/counts?id=it's")

    assert (refused.status_code, house.ask("GET", "/sagas?id=it's").json()["sagas"]) == (400, [])
    assert "cannot count ids with a quote" in refused.json()["detail"]


@pytest.mark.parametrize(
    "query",
    [
        *("status=odd", "limit=0", "limit=201", "limit=x", "limit=%C2%B2", f"limit={'1' * 5000}"),
        *("page=!", "page=AAAA", "order=1", "id=a&id=b", "id=%00"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused(house: House, query: str) -> None:
    answer = house.ask("GET", f"/sagas?{query}")

    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] in ("SD947", "SD906")


def test_a_hostile_search_is_only_text(house: House) -> None:
    """Y: quotes and conditions of the server's own filter stay text."""
    answer = house.ask("GET", "/sagas?id=" + "x' OR WorkflowType != '".replace(" ", "%20"))

    assert (answer.status_code, answer.json()["sagas"]) == (200, [])


def test_what_is_not_there_is_not_found(house: House) -> None:
    for path in ("/sagas/none", "/sagas/none/result", "/sagas/none/events", "/sagas/none/trace", "/sagas/none/graph"):
        answer = house.ask("GET", path)
        assert (answer.status_code, answer.json()["detail"]) == (404, "there is no saga `none`"), path
    assert house.ask("GET", "/nothing").json()["code"] == "SD954"
    assert house.ask("PUT", "/sagas").headers["Allow"] == "GET, HEAD"


def test_it_says_whether_it_lives_and_whether_it_can_work(house: House) -> None:
    assert house.ask("GET", "/healthz").json() == {"status": "ok"}
    assert house.ask("GET", "/readyz").json() == {"status": "ok"}  # strangers may ask: no word of what is here


def test_it_counts_by_route_and_not_by_id(house: House) -> None:
    saga = house.start()
    house.ask("GET", f"/sagas/{saga}")
    page = house.ask("GET", "/metrics").text

    assert 'sagadsl_gateway_requests_total{method="GET",route="/sagas/{id}",status="200"}' in page
    assert 'sagadsl_gateway_starts_total{result="started",saga="order"}' in page
    assert saga not in page


OUTPUTS = {
    "careless": ("Receipt {{ steps.maybe.output.id }}", "ExpressionError", "null cannot stand inside text"),
    "large": ("{{ 'x' * 1000000 ~ ('x' * 40000) }}", "PayloadTooLarge", "bytes, at most 2,000,000 fit"),
}


@pytest.mark.parametrize("name", sorted(OUTPUTS))
def test_an_output_that_cannot_be_given_is_completed_with_a_warning_in_every_view(house: House, name: str) -> None:
    """B8, N16: gateway, list and commands tell the same, and so does Temporal."""
    output, type_, says = OUTPUTS[name]
    steps = [
        {"id": "pay", "set": {"paid": True}},
        {"id": "maybe", "if": "false", "set": {"id": 1}},
    ]
    whole = [output, output] if name == "large" else output
    definition = {"sagadsl": 1, "name": name, "version": "1", "steps": steps, "output": whole}
    saga = fresh()

    async def scenario() -> str:
        client = await Client.connect(house.address)
        started = await sagas.start(client, definition, {}, id=saga, task_queue=house.queue)
        await runs.result(client, started.id)
        described = await client.get_workflow_handle(saga).describe()
        return described.status.name if described.status else ""

    assert asyncio.run(scenario()) == "COMPLETED"
    views = [house.ask("GET", f"/sagas/{saga}").json(), house.ask("GET", f"/sagas/{saga}/result").json()]
    place = ("--address", house.address)
    for command in ("status", "result"):
        ran = inside(command, saga, "--json", *place)
        assert ran.code == 0
        views.append(json.loads(ran.out))
    views.append(_ended_in_list(lambda: house.ask("GET", f"/sagas?id={saga}").json()))
    views.append(
        _ended_in_list(lambda: json.loads(inside("list", "--query", f"WorkflowId = '{saga}'", "--json", *place).out))
    )

    assert [view["status"] for view in views] == ["completed"] * 6
    (warning,) = views[0]["warnings"]
    assert warning["type"] == type_
    assert says in warning["message"]
    assert [view["warnings"] for view in views] == [[warning]] * 6
    assert [view["output"] for view in (views[1], views[3])] == [None, None]
    assert "warning: `output` of the saga is null" in inside("result", saga, *place).err
    assert "warning: `output` of the saga is null" in inside("status", saga, *place).out
    assert type_ in inside("explain-run", saga, *place).out


def _ended_in_list(ask: Callable[[], Any]) -> Any:
    """Return the one saga of a list, which lags a little behind, once it has ended there too."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = ask()["sagas"]
        if found and found[0]["status"] == "completed":
            return found[0]
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def test_a_workflow_that_temporal_has_paused_is_held_in_every_answer(house: House) -> None:
    """The SDK has no word for it, and every list that held one broke."""
    saga = house.start(wait=True)
    house.until(saga, lambda found: bool(found.get("waiting_for")))
    temporal = [Path(sys.executable).with_name("temporal"), "workflow", "pause", "-w", saga, "--reason", "no bank"]
    subprocess.run([*temporal, "--address", house.address], check=True, capture_output=True)
    found = house.ask("GET", f"/sagas/{saga}").json()
    listed = _listed(house, f"id={saga}&status=held", 1)
    refused = house.ask("POST", f"/sagas/{saga}/resume", {})
    result = house.ask("GET", f"/sagas/{saga}/result")

    assert (found["status"], found["is_open"]) == ("held", True)
    assert found["trouble"][0].endswith(": no bank")
    assert found["release"] == f"temporal workflow unpause --workflow-id {saga}"
    assert [(each["id"], each["status"]) for each in listed] == [(saga, "held")]
    assert house.ask("GET", f"/counts?id={saga}").json()["counts"]["held"] == 1
    assert (refused.status_code, refused.json()["code"]) == (409, "SD928")
    assert (result.status_code, result.json()["status"]) == (202, "held")
    assert any(
        "Temporal's own pause" in each for each in house.ask("GET", f"/sagas/{saga}/explanation").json()["sentences"]
    )
    assert house.ask("POST", f"/sagas/{saga}/cancel", {}).status_code == 202


def test_sagas_are_chosen_by_their_search_attributes(house: House) -> None:
    """Only comparisons get to the server; what it does not know, or nobody can read, is refused."""
    saga = house.start()
    house.until(saga, lambda status: not status["is_open"])
    deadline = time.monotonic() + PATIENCE
    while [each["id"] for each in house.ask("GET", f"/sagas?where=WorkflowId='{saga}'").json()["sagas"]] != [saga]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert house.ask("GET", f"/counts?where=WorkflowId='{saga}'").json()["counts"]["completed"] == 1
    for where, why in (("Nobodys = 1", "Nobodys"), ("a = 1) or (1 = 1", "cannot be read from `) or (1 = 1` on")):
        refused = house.ask("GET", f"/sagas?where={where}")
        assert (refused.status_code, why in refused.text) == (400, True), refused.text
