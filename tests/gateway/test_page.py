"""The web page in a real Chromium: start, watch, approve, step in; and hostile text stays text."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from temporalio.client import Client

from sagadsl.language.document import parse
from sagadsl.temporal import client as sagas
from tests.conftest import Server
from tests.gateway.house import House, fresh, serve, trips, window, worker

pytestmark = pytest.mark.temporal
T = TypeVar("T")

HOSTILE = """\
sagadsl: 1
name: hostile
version: "<i>1</i>"
description: "<script>document.title = 'taken'</script><img src=x onerror=\\"document.title='taken'\\">"
input:
  type: object
  properties:
    "<b>key</b>": {type: string, description: "<img src=x onerror=\\"document.title='taken'\\">"}
steps:
  - id: stop
    fail: {type: "<b>Error</b>", message: "<img src=x onerror=\\"document.title='taken'\\">{{ input | to_json }}"}
"""

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


@pytest.fixture
def page(browser: Browser, house: House) -> Iterator[Page]:
    """A window on the gateway; whatever the page complains of fails the test."""
    yield from window(browser, house.url)


def _each_view(page: Page, saga: str) -> Iterator[str]:
    """Go to the list, to a form and to a saga's page; yield the address once what it is there for is shown."""
    _goto(page, "/#/sagas", page.get_by_role("link", name=saga))
    yield "the list"
    _goto(page, "/#/start/order", page.get_by_label("how"))
    yield "the form"
    _goto(page, "/#/incidents", page.get_by_text(re.compile("^As of ")))
    yield "what needs somebody"
    _goto(page, f"/#/sagas/{saga}", page.locator(".bars li").first)
    yield "the saga"


def _goto(page: Page, address: str, shown: Locator) -> None:
    page.goto(address)
    shown.wait_for()


def _open(page: Page, saga: str) -> None:
    page.goto(f"/#/sagas/{saga}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(saga)


def test_a_saga_is_started_from_the_form_and_watched_to_its_end(page: Page) -> None:
    """A value that is missing is told at its field; corrected, the saga starts, and its page shows it completed."""
    page.goto("/")
    page.get_by_role("link", name="Start one").click()
    page.get_by_role("link", name="order", exact=True).click()
    page.get_by_label("how").select_option("flaky")
    page.get_by_label("order").fill("page-1")
    page.get_by_role("button", name="Start").click()

    expect(page).to_have_url(re.compile(r"#/sagas/order-"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    expect(page.get_by_role("row", name=re.compile("ship"))).to_contain_text("after 3 attempts")
    expect(page.locator("g.step:has(.c-completed) .id")).to_contain_text(["charge", "ship"])
    page.get_by_text("charge · charge").click()
    expect(page.locator("details.call[open]")).to_contain_text('"charge_id":"ch_page-1"')


def test_a_mistake_in_the_form_is_told_at_its_field(page: Page, house: House) -> None:
    page.goto("/#/start/order")
    page.get_by_text("As JSON instead").click()
    page.get_by_label("Input", exact=True).fill('{"how": "fast"}')
    page.get_by_role("button", name="Start").click()

    expect(page.locator("#field-how-problem")).to_contain_text("must be one of")
    expect(page.locator("#field-order-problem")).to_contain_text("order is missing")
    expect(page.get_by_role("alert")).to_contain_text("the input does not fit")
    page.get_by_label("Input", exact=True).fill("{")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("alert")).to_contain_text("JSON")


def test_a_compensation_is_seen_while_it_happens(page: Page, house: House) -> None:
    saga = house.start(wait=True, how="fail")
    _open(page, saga)
    expect(page.get_by_role("heading", level=1)).to_contain_text("running")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("dialog").get_by_role("button", name="Send").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("compensated")
    expect(page.locator(".failure").first).to_contain_text("AddressInvalid: carrier rejected address (step ship)")
    expect(page.locator("g.undo:has(.c-undone)")).to_contain_text("undone")
    expect(page.get_by_role("row", name=re.compile("undone"))).to_be_visible()
    expect(page.locator(".bars li")).to_have_count(3)
    expect(page.locator(".axis .tick").first).to_have_text("0")
    expect(page.locator(".axis .tick").nth(1)).to_have_text(re.compile(r"\d+ ms|\ds"))
    expect(page.locator("section.explanation")).to_contain_text(
        "Then ship failed: AddressInvalid: carrier rejected address."
    )
    said = re.compile("is compensated|taken by")  # the answer to the signal may come after the end of the saga
    expect(page.get_by_role("status").filter(has_text=said)).to_be_attached()


def test_a_signal_takes_a_payload_and_a_wrong_one_is_told(page: Page, house: House) -> None:
    saga = house.start(wait=True)
    _open(page, saga)
    page.get_by_role("button", name="Send").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Payload").fill("{")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog.get_by_role("alert")).to_contain_text("this is not JSON")
    dialog.get_by_label("Payload").fill('{"approved": true}')
    dialog.get_by_role("button", name="Send").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    expect(page.get_by_text("signalled approve")).to_contain_text('{"approved":true}')


def test_a_click_is_sent_with_a_key_and_the_page_says_what_became_of_it(page: Page, house: House) -> None:
    """B6, B7: sent again it counts once; what was refused or is kept stands on the page."""
    saga = house.start(wait=True)
    house.until(saga, lambda status: bool(status.get("waiting_for")))
    house.ask("POST", f"/sagas/{saga}/pause")
    _send(house, saga, "aprove")
    _open(page, saga)
    expect(page.locator("section.actions")).to_contain_text("aprove was refused: the saga does not wait for it")
    page.get_by_role("button", name="Send").click()
    with page.expect_request(lambda request: "/signals/" in request.url) as asked:
        page.get_by_role("dialog").get_by_role("button", name="Send").click()

    expect(page.locator("#said")).to_have_text("approve: taken by approval")
    assert re.fullmatch(r"[0-9a-f]{32}", asked.value.headers["idempotency-key"])
    _send(house, saga, "approve")
    page.reload()
    expect(page.locator("section.actions")).to_contain_text("approve is kept for a later wait")
    house.ask("POST", f"/sagas/{saga}/cancel")


def _aside(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* in another thread: this one has the browser's loop."""
    with ThreadPoolExecutor(1) as aside:
        return aside.submit(lambda: asyncio.run(work)).result()


def _send(house: House, saga: str, name: str) -> None:
    """Send a signal as a client of any language may: nobody checks it."""

    async def send() -> None:
        await sagas.signal(await Client.connect(house.address), saga, name)

    _aside(send())


def test_a_paused_compensation_is_tried_again_with_a_reason(page: Page, house: House, tmp_path: Path) -> None:
    """R18, R22: what waits for somebody stands at the top; a click asks why, and the saga keeps it."""
    broken = tmp_path / "broken"
    broken.touch()
    saga = house.start(how="fail", broken=str(broken))
    _open(page, saga)
    expect(page.locator(".decision")).to_contain_text("charge.compensation BankDown: the bank is down")
    broken.unlink()
    page.get_by_role("button", name="Try again: charge.compensation").click()
    page.get_by_role("dialog").get_by_label("Why").fill("the bank is back")
    page.get_by_role("dialog").get_by_role("button", name="Try again").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("compensated")
    expect(page.locator("section.actions")).to_contain_text(
        "retry step charge.compensation by anybody: the bank is back"
    )


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
    page.get_by_role("button", name="Try again: ship").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Input as JSON").fill('{"order": 7, "how": "ok"}')
    dialog.get_by_label("Why").fill("another address")
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog.get_by_role("alert")).to_contain_text("input.order: must be text, got 7")
    dialog.get_by_label("Input as JSON").fill('{"order": "8", "how": "ok"')
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog.get_by_role("alert")).to_contain_text("this is not JSON")
    dialog.get_by_label("Input as JSON").fill('{"order": "8", "how": "ok"}')
    dialog.get_by_role("button", name="Try again").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    expect(page.locator("section.actions")).to_contain_text("another address")
    expect(page.locator('[data-path="on_pause[]/tell"]:has(.c-completed)')).to_contain_text("charge")
    assert house.ask("GET", f"/sagas/{saga}/result").json()["output"] == {"tracking": "t_8"}


def test_a_step_that_was_done_by_hand_has_the_output_that_is_given(page: Page, house: House) -> None:
    """R62."""
    saga = _paused(house)
    _open(page, saga)
    page.get_by_role("button", name="Done by hand: ship").click()
    page.get_by_role("dialog").get_by_label("Output as JSON").fill('{"tracking": "by hand"}')
    page.get_by_role("dialog").get_by_role("button", name="Done by hand").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    assert house.ask("GET", f"/sagas/{saga}/result").json()["output"] == {"tracking": "by hand"}


def test_one_of_several_that_wait_is_mended_with_a_value(page: Page, house: House) -> None:
    """R62, R63: each output is another, so that "Done by hand" is for one alone."""
    ids = [_paused(house) for _ in range(2)]
    page.goto("/#/incidents?name=mended")
    by_hand = page.get_by_role("button", name="Done by hand")
    for each in ids:
        page.get_by_role("checkbox", name=f"{each} ship").check()
    expect(by_hand).to_be_disabled()
    page.get_by_role("checkbox", name=f"{ids[1]} ship").uncheck()
    by_hand.click()
    page.get_by_role("dialog").get_by_label("Output as JSON").fill('{"tracking": "by hand"}')
    page.get_by_role("dialog").get_by_role("button", name="Done by hand").click()
    expect(page.locator("section.answers")).to_contain_text(f"{ids[0]}: Done by hand: done")
    page.get_by_role("checkbox", name=f"{ids[1]} ship").check()
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("dialog").get_by_label("Input as JSON").fill('{"order": "9", "how": "ok"}')
    page.get_by_role("dialog").get_by_role("button", name="Try again").click()
    expect(page.locator("section.answers")).to_contain_text(f"{ids[1]}: Try again: done")

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
    page.get_by_role("link", name="Needs somebody").click()
    page.get_by_label("Error").fill("BankDown")
    page.get_by_role("button", name="Search").click()

    expect(page.get_by_role("heading", name=re.compile(r" order charge\.compensation: BankDown$"))).to_be_visible()
    expect(page.get_by_role("link", name="Needs somebody")).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name=saga).click()
    broken.unlink()
    page.get_by_role("button", name="Try again: charge.compensation").click()
    page.get_by_role("dialog").get_by_role("button", name="Try again").click()
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
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("dialog")).to_contain_text("Try again: 2")
    page.get_by_role("dialog").get_by_label("Why").fill("the bank is back")
    page.get_by_role("dialog").get_by_role("button", name="Try again").click()

    expect(page.locator("section.answers")).to_contain_text("Try again: 2 of 2 done")
    for each in ids[:2]:
        _open(page, each)
        expect(page.get_by_role("heading", level=1)).to_contain_text("compensated")
        expect(page.locator("section.actions")).to_contain_text("the bank is back")
    assert house.ask("GET", f"/sagas/{ids[2]}").json()["status"] == "paused"
    house.ask("POST", f"/sagas/{ids[2]}/retry", {})


def test_the_first_view_is_what_needs_somebody_and_old_addresses_lead_where_they_led(page: Page, house: House) -> None:
    """The list was at `#/`, with its search behind it."""
    waits = page.get_by_role("heading", name="Needs somebody", level=1)
    listed = page.get_by_role("heading", name="Sagas", level=1)
    for address, shown, here in (
        ("/", waits, "Needs somebody"),
        ("/#/", waits, "Needs somebody"),
        ("/#/incidents?error=BankDown", waits, "Needs somebody"),
        ("/#/sagas", listed, "All"),
        ("/#/sagas?status=paused", listed, "All"),
        ("/#/?status=paused&name=order", listed, "All"),
    ):
        _goto(page, address, shown)
        expect(page.get_by_role("link", name=here, exact=True)).to_have_attribute("aria-current", "page")
    expect(page.get_by_role("button", name=re.compile("^.*paused"))).to_have_attribute("aria-pressed", "true")


def test_a_refusal_among_many_is_told_and_does_not_stop_the_others(page: Page, house: House, tmp_path: Path) -> None:
    """Somebody else was faster with one of them."""
    broken = tmp_path / "broken"
    broken.touch()
    ids = [house.start(how="fail", broken=str(broken)) for _ in range(2)]
    page.goto("/#/incidents?error=BankDown")
    for each in ids:
        page.get_by_role("checkbox", name=f"{each} charge.compensation").check()
    house.ask("POST", f"/sagas/{ids[0]}/abort", {"why": "somebody was faster"})
    page.get_by_role("button", name="Try again").click()
    broken.unlink()
    page.get_by_role("dialog").get_by_role("button", name="Try again").click()

    expect(page.locator("section.answers")).to_contain_text("Try again: 1 of 2 done, 1 refused")
    expect(page.locator("section.answers li")).to_contain_text(f"{ids[0]} charge.compensation: ")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)


def test_a_saga_is_cancelled_after_a_question(page: Page, house: House) -> None:
    """Nothing is done before somebody has said yes; Escape is no."""
    saga = house.start(wait=True)
    _open(page, saga)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_contain_text("what it has done is undone")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_contain_text("running")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("cancelled")


def test_the_list_is_searched_and_filtered_and_shows_new_ones_by_itself(page: Page, house: House) -> None:
    mark = fresh()
    house.ask("POST", "/sagas/order?wait=true", {"order": "1", "how": "fail"}, Workflow_Id=f"{mark}-a")
    page.goto("/")
    page.get_by_role("link", name="All").click()
    page.get_by_label("Id begins with").fill(mark)
    page.get_by_role("button", name="Search").click()
    expect(page.locator("table.sagas tbody tr")).to_have_count(1)
    house.ask("POST", "/sagas/order?wait=true", {"order": "2"}, Workflow_Id=f"{mark}-b")
    expect(page.locator("table.sagas tbody tr")).to_have_count(2)
    expect(page.get_by_text(re.compile("^As of .+ by the server's index, which lags"))).to_be_visible()
    page.get_by_role("button", name=re.compile("compensated")).click()

    expect(page.locator("table.sagas tbody tr")).to_have_count(1)
    expect(page.get_by_role("link", name=f"{mark}-a")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("compensated"))).to_have_attribute("aria-pressed", "true")
    page.get_by_role("link", name=f"{mark}-a").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("compensated")


def test_all_of_it_is_reached_by_the_keyboard(page: Page, house: House) -> None:
    saga = house.start(wait=True)
    _open(page, saga)
    page.get_by_role("button", name="Send").wait_for()
    reached: list[str] = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(str(page.evaluate("document.activeElement.textContent || document.activeElement.ariaLabel")))
    assert reached[0] == "Skip to the content"
    assert {"Pause", "Cancel", "Send"} <= {each.strip() for each in reached}
    page.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Why")).to_be_focused()
    page.keyboard.press("Escape")
    house.ask("POST", f"/sagas/{saga}/cancel")
    expect(page.get_by_role("heading", level=1)).to_contain_text("cancelled")


def test_every_field_and_button_has_a_name(page: Page, house: House) -> None:
    """What a screen reader says of it is not nothing."""
    saga = house.start(wait=True)
    for view in _each_view(page, saga):
        nameless = page.evaluate(
            """() => [...document.querySelectorAll('input, select, textarea, button')].filter((each) =>
              !(each.labels?.length || each.ariaLabel || each.textContent.trim())).map((each) => each.outerHTML)"""
        )
        assert nameless == [], view
    house.ask("POST", f"/sagas/{saga}/cancel")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone_nothing_hangs_over(browser: Browser, house: House, theme: str) -> None:
    saga = house.start(how="fail")
    house.ask("GET", f"/sagas/{saga}/result?wait=20s")
    for page in window(browser, house.url, width=360, theme=theme):
        for view in _each_view(page, saga):
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, view


def test_hostile_names_inputs_and_errors_stay_text(browser: Browser, server: Server, tmp_path: Path) -> None:
    """No markup of a saga becomes markup of the page; the policy would stop what did."""
    (tmp_path / "hostile.saga.yaml").write_text(HOSTILE)
    (tmp_path / "sagadsl.toml").write_text("plugins = {allow = []}\n")
    hostile = "<img src=x onerror=\"document.title='taken'\">"
    with worker(tmp_path, server.address), serve(tmp_path, server.address) as house:
        answer = house.ask("POST", "/sagas/hostile?wait=true", {"<b>key</b>": hostile, "other": [hostile]})
        assert answer.json()["status"] == "compensated", answer.text
        for page in window(browser, house.url):
            _open(page, answer.json()["id"])
            expect(page.locator(".failure")).to_contain_text("<b>Error</b>: <img src=x onerror=")
            for details in page.locator("details").all():
                details.evaluate("each => each.open = true")
            expect(page.locator("section.data")).to_contain_text('"other"')
            page.goto("/#/start/hostile")
            expect(page.get_by_label("<b>key</b>")).to_be_visible()
            expect(page.locator("main")).to_contain_text("<script>document.title")
            assert page.locator("main img, main script, main b").count() == 0
            assert page.title() != "taken"


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
            page.get_by_role("button", name="Go on", exact=True).click()
            page.get_by_role("dialog").get_by_role("button", name="Go on").click()
            expect(waits).not_to_contain_text("is paused")
            page.get_by_role("button", name="Send").click()
            page.get_by_role("dialog").get_by_role("button", name="Send").click()
            expect(waits).to_contain_text("book/hotel → charge.compensation BankDown: the bank is down")
            broken.unlink()
            page.get_by_role("button", name="Try again: book/hotel/charge.compensation").click()
            page.get_by_role("dialog").get_by_role("button", name="Try again").click()
            expect(page.get_by_role("heading", level=1)).to_contain_text("compensated")


def test_where_a_token_is_wanted_the_page_asks_for_it(browser: Browser, house: House) -> None:
    """It is kept in the tab alone, and sent with every request, the stream of events included."""
    from tests.cli.shell import inside

    made = inside("token", "ann", "--start", "*", "--read", "*", "--operate", "*")
    tokens = house.folder / "page-tokens.yaml"
    tokens.write_text(f"tokens:\n{made.out}")
    token = made.err.strip().rpartition(" ")[2]
    with serve(house.folder, house.address, "--tokens", str(tokens)) as guarded:
        for page in window(browser, guarded.url):
            page.goto("/")
            page.get_by_label("Token").fill("wrong")
            page.get_by_role("button", name="Enter").click()
            expect(page.locator("main")).to_contain_text("not valid here")
            page.get_by_label("Token").fill(token)
            page.get_by_role("button", name="Enter").click()
            expect(page.get_by_role("heading", level=1)).to_have_text("Needs somebody")
            expect(page.locator("#who")).to_contain_text("ann")
            saga = guarded.ask("POST", "/sagas/order", {"order": "1", "wait": True}, token=token).json()["id"]
            _open(page, saga)
            page.get_by_role("button", name="Cancel").click()
            page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
            expect(page.locator("section.actions")).to_contain_text("cancel by ann")
            assert page.evaluate("localStorage.length") == 0
            page.get_by_role("button", name="Leave").click()
            expect(page.get_by_label("Token")).to_be_visible()


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
