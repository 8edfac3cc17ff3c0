"""Child sagas at the command line: their parents tell of them, and operators reach them from there."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import SAGADSL, inside, ready
from tests.cli.shop import lay_out_trips
from tests.cli.test_operate import Shop
from tests.cli.test_stuck_sagas import temporal
from tests.conftest import Server

pytestmark = pytest.mark.temporal

QUEUE = f"cli-children-{uuid.uuid4()}"


@pytest.fixture(scope="module")
def shop(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop with its trips, and one worker process for the whole module."""
    folder = lay_out_trips(tmp_path_factory.mktemp("trips"))
    lost = (folder / "trip.saga.yaml").read_text().replace("name: trip", "name: lost")
    lost = lost.replace("saga: order", f"saga: order\n        task_queue: nobody-{uuid.uuid4()}")
    (folder / "lost.saga.yaml").write_text(lost)
    command = [*SAGADSL, "worker", "--task-queue", QUEUE, "--address", server.address]
    with ready(command, folder):
        yield Shop(folder, server.address)


def _start(shop: Shop, name: str, **values: Any) -> str:
    saga, data = f"{name}-{uuid.uuid4()}", json.dumps({"order": "1", **values})
    ran = shop.run("run", f"{name}.saga.yaml", "--id", saga, "--task-queue", QUEUE, "--detach", "--input", data)
    assert ran.code == 0, ran.err
    return saga


def _children(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["path"], each["status"]) for each in found["children"]]


def test_run_and_result_end_when_a_child_needs_an_operator_and_say_where(shop: Shop, tmp_path: Path) -> None:
    """B4: with exit code 15, as for the saga itself, and with commands that lead there."""
    broken = tmp_path / "broken"
    broken.touch()
    saga = f"trip-{uuid.uuid4()}"
    sets = ("--set", "order=1", "--set", "how=fail", "--set", f"broken={broken}", "--task-queue", QUEUE)
    ran = shop.run("run", "trip.saga.yaml", "--id", saga, *sets)
    result, document = shop.run("result", saga), json.loads(shop.run("result", saga, "--json").out)
    shown, explanation = shop.run("status", saga).out, shop.run("explain-run", saga).out
    advice = (
        "needs a decision: book/hotel → charge.compensation: BankDown: the bank is down\n"
        f"   sagadsl retry {saga} book/hotel/charge.compensation {shop.there}   once more\n"
        f"   sagadsl complete {saga} book/hotel/charge.compensation {shop.there}   it was done by hand\n"
        f"   sagadsl skip {saga} book/hotel/charge.compensation {shop.there}   leave it and go on\n"
        f"   sagadsl abort {saga} book/hotel {shop.there}   give book/hotel up, and leave the rest as it is\n"
    )

    assert (ran.code, ran.err.splitlines()[-1]) == (15, "‖ paused: child saga book/hotel; left open (exit 15)")
    assert (result.code, result.err) == (15, f"‖ paused: child saga book/hotel (exit 15)\n{advice}")
    assert (document["status"], _children(document)) == ("running", [("book/hotel", "paused")])
    assert shown.endswith(f"\n\n{advice}")
    assert all(f"  {line}" in explanation.splitlines() for line in advice.splitlines())
    assert "▶   hotel" in shown
    assert "waits for a decision: charge.compensation" in shown

    broken.unlink()
    retried = shop.run("retry", saga, "book/hotel/charge.compensation", "--why", "the bank is back")
    assert retried.code == 0
    assert retried.out in (f"{saga}/book/hotel is compensating\n", f"{saga}/book/hotel is compensated\n")
    assert shop.run("result", saga).code == 10


def test_a_child_that_waits_for_a_signal_is_told_of_with_its_own_id(shop: Shop) -> None:
    """B4: nobody has to act on the saga itself, so that `result` goes on waiting."""
    saga = _start(shop, "tour", wait=True)
    shop.until(saga, lambda found: any(each["waiting_for"] for each in found["children"]))
    command = f"sagadsl signal {saga}/trip/book/hotel approve --payload JSON {shop.there}"

    assert f"trip/book/hotel waits for signal `approve`: {command}\n" in shop.run("status", saga).out
    assert shop.run("result", saga, "--timeout", "1").err.startswith(f"saga `{saga}` is still open")
    assert shop.run("signal", f"{saga}/trip/book/hotel", "approve").code == 0
    assert shop.run("result", saga).code == 0


def test_a_pause_goes_down_and_comes_back_up(shop: Shop) -> None:
    """B5: each saga that was held is named."""
    saga = _start(shop, "tour", wait=True)
    shop.until(saga, lambda found: any(each["waiting_for"] for each in found["children"]))
    held = shop.run("pause", saga)
    shown = shop.run("status", saga).out
    alone = shop.run("resume", saga, "trip/book/hotel", "--json")
    rest = shop.run("resume", saga)
    again = shop.run("resume", saga)
    shop.run("cancel", saga)

    children = (f"{saga}/trip", f"{saga}/trip/book/hotel")
    assert (held.code, held.out.splitlines()) == (0, [f"{each} is paused" for each in (saga, *children)])
    assert f"paused: trip: sagadsl resume {saga} trip {shop.there}\n" in shown
    assert f"paused: trip/book/hotel: sagadsl resume {saga} trip/book/hotel {shop.there}\n" in shown
    assert (alone.code, json.loads(alone.out)["status"]) == (0, "running")
    assert (rest.code, rest.out.splitlines()) == (0, [f"{saga} is running", f"{saga}/trip is running"])
    assert (again.code, "the saga is not paused" in again.err) == (4, True)


def test_a_child_that_temporal_itself_holds_is_told_of_with_what_releases_it(shop: Shop) -> None:
    """B4: and a pause of its parent does not claim to have reached it."""
    saga = _start(shop, "trip", wait=True)
    shop.until(saga, lambda found: any(each["waiting_for"] for each in found["children"]))
    temporal(shop, "workflow", "pause", "-w", f"{saga}/book/hotel", "--reason", "the bank is down", "--identity", "ann")
    found = shop.until(saga, lambda found: _children(found) == [("book/hotel", "held")])
    shown, held = shop.run("status", saga).out, shop.run("pause", saga)
    temporal(shop, "workflow", "unpause", "-w", f"{saga}/book/hotel")
    shop.run("cancel", saga)

    assert (found["status"], found["children"][0]["held"]["by"]) == ("running", "ann")
    assert f"held: book/hotel: temporal workflow unpause --workflow-id {saga}/book/hotel {shop.there}\n" in shown
    assert held.out == f"{saga} is paused\n"
    assert held.code != 0
    assert f"warning: NOT done in {saga}/book/hotel: " in held.err


def test_what_could_not_be_paused_is_said_and_is_an_error(shop: Shop) -> None:
    """B5: a child whose worker does not answer is not told to be paused, and of its standing nothing is claimed."""
    saga = _start(shop, "lost")
    shop.until(saga, lambda found: bool(found["children"]))
    held = shop.run("pause", saga)
    shown = shop.status(saga)
    said = shop.run("status", saga).out
    shop.run("terminate", saga, "--yes")
    shop.run("terminate", f"{saga}/book/hotel", "--yes")

    assert (held.code, held.out) == (16, f"{saga} is paused\n")
    assert f"warning: not known to be done in {saga}/book/hotel: `pause` was sent to saga" in held.err
    assert (shown["status"], _children(shown)) == ("paused", [("book/hotel", "unknown")])
    assert f"nobody knows whether child saga book/hotel waits: sagadsl status {saga}/book/hotel {shop.there}\n" in said


def test_a_server_that_goes_does_not_keep_a_run_whose_child_waits(tmp_path: Path) -> None:
    """B4: the command used to hang there."""
    folder = lay_out_trips(tmp_path)
    broken = tmp_path / "broken"
    broken.touch()
    ran = inside(
        "run", "trip.saga.yaml", "--set", "order=1", "--set", "last=fail", "--set", f"broken={broken}", cwd=folder
    )

    assert ran.code == 15, ran.err
    assert (
        ran.err.splitlines()[-1]
        == "‖ paused: child saga book/hotel; its server is gone with this command, so nothing reaches it (exit 15)"
    )
