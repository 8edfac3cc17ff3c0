"""What somebody decides on the web page, in a real Chromium: repeat, skip, go back, migrate, recover, redrive."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Browser, Page, expect
from temporalio.client import Client

from sagadsl.language.document import parse
from sagadsl.temporal import client as sagas
from tests.conftest import Server
from tests.gateway.house import House, fresh, serve, trips, window, worker

pytestmark = pytest.mark.temporal
T = TypeVar("T")
MENDED = """\
sagadsl: 1
name: mended
version: "1"
defaults: {retry: none, on_error: pause}
steps:
  - {id: ship, activity: ship, input: {order: "7", how: fail}, compensation: none}
on_pause:
  - {id: tell, activity: charge, input: {order: "{{ pause.path }}"}}
output: {tracking: "{{ steps.ship.output.tracking }}"}
"""


def _open(page: Page, saga: str) -> None:
    page.goto(f"/#/sagas/{saga}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(saga)


def _aside(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* in another thread: this one has the browser's loop."""
    with ThreadPoolExecutor(1) as aside:
        return aside.submit(lambda: asyncio.run(work)).result()


def test_a_paused_compensation_is_tried_again_with_a_reason(page: Page, house: House, tmp_path: Path) -> None:
    """R18, R22: what waits for somebody stands at the top; a click asks why, and the saga keeps it."""
    broken = tmp_path / "broken"
    broken.touch()
    saga = house.start(how="fail", broken=str(broken))
    _open(page, saga)
    expect(page.locator(".decision")).to_contain_text("charge.compensation BankDown: the bank is down")
    broken.unlink()
    page.get_by_role("button", name="Retry: charge.compensation").click()
    page.get_by_role("dialog").get_by_label("Why").fill("the bank is back")
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("compensated")
    expect(page.locator("section.actions")).to_contain_text("retry charge.compensation by anybody: the bank is back")


def _paused(house: House) -> str:
    """Start a saga whose step cannot be done as it is, and return its id once the step waits for somebody."""
    definition, _ = parse(MENDED)
    saga = fresh()

    async def start() -> None:
        client = await Client.connect(house.address)
        await sagas.start(client, dict(definition.data), None, id=saga, task_queue=house.queue)

    _aside(start())
    house.until(saga, lambda status: bool(status["attention"]))
    return saga


def test_a_step_is_tried_again_with_another_input(page: Page, house: House) -> None:
    """R63, R64: what does not fit is told in the dialog, which stays; the graph shows who was told of the pause."""
    saga = _paused(house)
    _open(page, saga)
    expect(page.locator(".told")).to_contain_text("on_pause[0]/tell")
    page.get_by_role("button", name="Retry: ship").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Input as JSON").fill('{"order": 7, "how": "ok"}')
    dialog.get_by_label("Why").fill("another address")
    dialog.get_by_role("button", name="Retry").click()
    expect(dialog.get_by_role("alert")).to_contain_text("input.order: must be text, got 7")
    dialog.get_by_label("Input as JSON").fill('{"order": "8", "how": "ok"')
    dialog.get_by_role("button", name="Retry").click()
    expect(dialog.get_by_role("alert")).to_contain_text("this is not JSON")
    dialog.get_by_label("Input as JSON").fill('{"order": "8", "how": "ok"}')
    dialog.get_by_role("button", name="Retry").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    expect(page.locator("section.actions")).to_contain_text("another address")
    expect(page.locator('[data-path="on_pause[]/tell"]:has(.c-completed)')).to_contain_text("charge")
    assert house.ask("GET", f"/sagas/{saga}/result").json()["output"] == {"tracking": "t_8"}


def test_a_step_that_was_done_by_hand_has_the_output_that_is_given(page: Page, house: House) -> None:
    """R62."""
    saga = _paused(house)
    _open(page, saga)
    page.get_by_role("button", name="Complete by hand: ship").click()
    page.get_by_role("dialog").get_by_label("Output as JSON").fill('{"tracking": "by hand"}')
    page.get_by_role("dialog").get_by_role("button", name="Complete by hand").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    assert house.ask("GET", f"/sagas/{saga}/result").json()["output"] == {"tracking": "by hand"}


def test_one_of_several_that_wait_is_mended_with_a_value(page: Page, house: House) -> None:
    """R62, R63: each output is another, so that "Complete by hand" is for one alone."""
    ids = [_paused(house) for _ in range(2)]
    page.goto("/#/incidents?name=mended")
    by_hand = page.get_by_role("button", name="Complete by hand")
    for each in ids:
        page.get_by_role("checkbox", name=f"{each} ship").check()
    expect(by_hand).to_be_disabled()
    page.get_by_role("checkbox", name=f"{ids[1]} ship").uncheck()
    by_hand.click()
    page.get_by_role("dialog").get_by_label("Output as JSON").fill('{"tracking": "by hand"}')
    page.get_by_role("dialog").get_by_role("button", name="Complete by hand").click()
    expect(page.locator("section.answers")).to_contain_text(f"{ids[0]}: Complete by hand: done")
    page.get_by_role("checkbox", name=f"{ids[1]} ship").check()
    page.get_by_role("button", name="Retry").click()
    page.get_by_role("dialog").get_by_label("Input as JSON").fill('{"order": "9", "how": "ok"}')
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    expect(page.locator("section.answers")).to_contain_text(f"{ids[1]}: Retry: done")

    found = [house.until(each, lambda status: not status["is_open"])["id"] for each in ids]
    results = [house.ask("GET", f"/sagas/{each}/result").json()["output"]["tracking"] for each in found]
    assert results == ["by hand", "t_9"]


def test_what_waits_for_a_person_has_a_tab_of_its_own(page: Page, house: House, tmp_path: Path) -> None:
    """The step, the error and the saga; a click leads to the saga."""
    broken = tmp_path / "broken"
    broken.touch()
    saga = house.start(how="fail", broken=str(broken))
    _open(page, saga)
    expect(page.locator(".decision")).to_contain_text("BankDown")
    page.get_by_role("link", name="Waits for a person").click()
    page.get_by_label("Error").fill("BankDown")
    page.get_by_role("button", name="Search").click()

    expect(page.get_by_role("heading", name=re.compile(r" order charge\.compensation: BankDown$"))).to_be_visible()
    expect(page.get_by_role("link", name="Waits for a person")).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name=saga).click()
    broken.unlink()
    page.get_by_role("button", name="Retry: charge.compensation").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("compensated")


def test_several_that_wait_are_decided_together(page: Page, house: House, tmp_path: Path) -> None:
    """Ticked one by one or all at once; each saga keeps the reason, and the page says how many were done."""
    broken = tmp_path / "broken"
    broken.touch()
    ids = [house.start(how="fail", broken=str(broken)) for _ in range(3)]
    page.goto("/#/incidents?error=BankDown")
    for each in ids:
        page.get_by_role("checkbox", name=f"{each} charge.compensation").check()
    page.get_by_role("checkbox", name=f"{ids[2]} charge.compensation").uncheck()
    broken.unlink()
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("dialog")).to_contain_text("Retry: 2")
    page.get_by_role("dialog").get_by_label("Why").fill("the bank is back")
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()

    expect(page.locator("section.answers")).to_contain_text("Retry: 2 of 2 done")
    for each in ids[:2]:
        _open(page, each)
        expect(page.get_by_role("heading", level=1)).to_contain_text("compensated")
        expect(page.locator("section.actions")).to_contain_text("the bank is back")
    assert house.ask("GET", f"/sagas/{ids[2]}").json()["status"] == "paused"
    house.ask("POST", f"/sagas/{ids[2]}/retry", {})


def test_a_refusal_among_many_is_told_and_does_not_stop_the_others(page: Page, house: House, tmp_path: Path) -> None:
    """Somebody else was faster with one of them."""
    broken = tmp_path / "broken"
    broken.touch()
    ids = [house.start(how="fail", broken=str(broken)) for _ in range(2)]
    page.goto("/#/incidents?error=BankDown")
    for each in ids:
        page.get_by_role("checkbox", name=f"{each} charge.compensation").check()
    house.ask("POST", f"/sagas/{ids[0]}/abort", {"why": "somebody was faster"})
    page.get_by_role("button", name="Retry").click()
    broken.unlink()
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()

    expect(page.locator("section.answers")).to_contain_text("Retry: 1 of 2 done, 1 refused")
    expect(page.locator("section.answers li")).to_contain_text(f"{ids[0]} charge.compensation: ")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)


def test_a_child_that_waits_is_seen_at_its_parent_and_decided_there(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    """B4: its path leads to its own page; a pause of the parent is one of the child, too (B5)."""
    broken = tmp_path / "broken"
    broken.touch()
    with worker(trips(tmp_path), server.address), serve(tmp_path, server.address) as house:
        trip = house.ask("POST", "/sagas/trip", {"order": "1", "wait": True, "how": "fail", "broken": str(broken)})
        for page in window(browser, house.url):
            _open(page, trip.json()["id"])
            waits = page.locator("section.attention")
            expect(waits).to_contain_text("book/hotel → Signal approve")
            page.get_by_role("link", name="book/hotel").click()
            expect(page.get_by_role("heading", level=1)).to_contain_text(f"{trip.json()['id']}/book/hotel")
            page.go_back()
            page.get_by_role("button", name="Pause").click()
            page.get_by_role("dialog").get_by_role("button", name="Pause").click()
            expect(waits).to_contain_text("book/hotel → is paused")
            page.get_by_role("button", name="Resume", exact=True).click()
            page.get_by_role("dialog").get_by_role("button", name="Resume").click()
            expect(waits).not_to_contain_text("is paused")
            page.get_by_role("button", name="Send").click()
            page.get_by_role("dialog").get_by_role("button", name="Send").click()
            expect(waits).to_contain_text("book/hotel → charge.compensation BankDown: the bank is down")
            broken.unlink()
            page.get_by_role("button", name="Retry: book/hotel/charge.compensation").click()
            page.get_by_role("dialog").get_by_role("button", name="Retry").click()
            expect(page.get_by_role("heading", level=1)).to_contain_text("compensated")


def test_an_open_saga_goes_back_to_a_step_once_its_plan_was_seen(page: Page, house: House) -> None:
    """R80, R81: what would be undone stands in the dialog; a step to which it cannot go back says why."""
    saga = house.start(wait=True)
    house.until(saga, lambda status: bool(status.get("waiting_for")))
    _open(page, saga)
    page.get_by_role("button", name="Go back to a step").click()
    box = page.get_by_role("dialog")
    expect(box.locator(".plan")).to_contain_text("undone: charge")
    box.get_by_label("The step that is done once more").select_option("approval")
    expect(box.locator(".plan")).to_contain_text("done once more: approval")
    expect(box.locator(".plan")).not_to_contain_text("undone")
    box.get_by_label("The step that is done once more").select_option("charge")
    expect(box.locator(".plan")).to_contain_text("undone: charge")
    box.get_by_label("Why").fill("another card")
    box.get_by_role("button", name="Go back").click()

    expect(page.get_by_text("reset charge by")).to_contain_text("another card")
    expect(page.locator(".bars li")).to_contain_text(["charge", "charge.compensation", "charge@2#2"])
    house.ask("POST", f"/sagas/{saga}/signals/approve")
    expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    expect(page.get_by_role("button", name="Go back to a step")).to_have_count(0)


def test_an_open_saga_moves_to_the_gateways_definition_once_it_is_judged(page: Page, house: House) -> None:
    """R72, R76: the judgement stands in the dialog first."""
    document, _ = parse((house.folder / "order.saga.yaml").read_bytes())
    older = {**document.data, "version": "0.9", "timeout": "2d"}

    async def start(definition: dict[str, Any]) -> str:
        client = await Client.connect(house.address)
        started = await sagas.start(
            client, definition, {"order": "1", "wait": True}, id=fresh(), task_queue=house.queue
        )
        return started.id

    saga = _aside(start(older))
    house.until(saga, lambda status: bool(status.get("waiting_for")))
    _open(page, saga)
    page.get_by_role("button", name="Move to a new definition").click()
    box = page.get_by_role("dialog")
    expect(box.locator(".plan")).to_contain_text("It can go on with order 1.0.0.")
    expect(box.locator(".plan")).to_contain_text("the timeout of the saga keeps its moment")
    box.get_by_label("Why").fill("the carrier has changed")
    box.get_by_role("button", name="Move", exact=True).click()
    expect(page.get_by_text("order 1.0.0")).to_be_visible()
    expect(page.get_by_text("migrate by")).to_contain_text("the carrier has changed")

    page.get_by_role("button", name="Move to a new definition").click()
    expect(box.locator(".plan")).to_contain_text("It has order 1.0.0 already")
    box.get_by_role("button", name="Move", exact=True).click()
    expect(box.locator(".plan")).to_contain_text("It has order 1.0.0 already")
    box.get_by_role("button", name="No").click()

    strange = {**older, "steps": [{"id": "before", "set": {"done": True}}, *older["steps"]]}
    other = _aside(start(strange))
    house.until(other, lambda status: bool(status.get("waiting_for")))
    _open(page, other)
    page.get_by_role("button", name="Move to a new definition").click()
    expect(box.locator(".plan")).to_contain_text("before has run, and the new definition has no such step")


def test_a_killed_saga_is_recovered_once_its_plan_was_seen(page: Page, house: House) -> None:
    """R31: the plan stands in the dialog; the page then follows the new run, and leads to the earlier one."""
    saga = house.start(wait=True)
    house.until(saga, lambda status: bool(status.get("waiting_for")))
    old = house.ask("GET", f"/sagas/{saga}").json()["run_id"]
    house.ask("POST", f"/sagas/{saga}/terminate")
    _open(page, saga)
    page.get_by_role("button", name="Recover").click()
    box = page.get_by_role("dialog")
    expect(box.locator(".plan")).to_contain_text("undo   charge.compensation (refund)")
    box.get_by_label("What shall be done").select_option("Finish it")
    expect(box.locator(".plan")).to_contain_text("it goes on")
    box.get_by_label("What shall be done").select_option("Undo what it has done")
    expect(box.locator(".plan")).to_contain_text("it ends as compensated")
    box.get_by_label("Why").fill("the server lost it")
    box.get_by_role("button", name="Recover").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("compensated")
    expect(page.get_by_text("recover by")).to_contain_text("the server lost it")
    page.get_by_role("link", name="an earlier run").click()
    expect(page).to_have_url(re.compile(f"run={old}"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("terminated")
    expect(page.locator("p.later")).to_contain_text("A later run has taken up its work")
    expect(page.get_by_role("button", name="Recover")).to_have_count(0)


def test_a_failed_saga_is_redriven_and_a_step_that_never_began_is_told(
    page: Page, house: House, tmp_path: Path
) -> None:
    """R45: what cannot be is said in the dialog, and nothing is done."""
    broken = tmp_path / "broken"
    broken.touch()
    saga = house.start(how="fail", broken=str(broken))
    house.until(saga, lambda status: bool(status["status"] == "paused"))
    house.ask("POST", f"/sagas/{saga}/abort")
    house.until(saga, lambda status: not status["is_open"])
    broken.unlink()
    _open(page, saga)
    page.get_by_role("button", name="Redrive").click()
    box = page.get_by_role("dialog")
    expect(box.locator(".plan")).to_contain_text("undo   charge.compensation (refund)")
    box.get_by_label("What shall be done").select_option("Go back to a step, and on from there")
    expect(box.locator(".plan")).to_contain_text("Name the step.")
    box.get_by_label("Step", exact=True).fill("nobody")
    box.get_by_label("Step", exact=True).blur()
    expect(box.locator(".plan")).to_contain_text("no step nobody has begun")
    box.get_by_label("What shall be done").select_option("What its end asks for")
    expect(box.locator(".plan")).to_contain_text("charge.compensation")
    box.get_by_role("button", name="Redrive").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("compensated")
