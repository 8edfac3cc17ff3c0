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

from sagadsl.temporal import client as sagas
from tests.conftest import Server
from tests.gateway.house import House, fresh, serve, window, worker

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


def test_the_first_view_is_what_needs_somebody_and_old_addresses_lead_where_they_led(page: Page, house: House) -> None:
    """The list was at `#/`, with its search behind it."""
    waits = page.get_by_role("heading", name="Waits for a person", level=1)
    listed = page.get_by_role("heading", name="Sagas", level=1)
    for address, shown, here in (
        ("/", waits, "Waits for a person"),
        ("/#/", waits, "Waits for a person"),
        ("/#/incidents?error=BankDown", waits, "Waits for a person"),
        ("/#/sagas", listed, "All"),
        ("/#/sagas?status=paused", listed, "All"),
        ("/#/?status=paused&name=order", listed, "All"),
    ):
        _goto(page, address, shown)
        expect(page.get_by_role("link", name=here, exact=True)).to_have_attribute("aria-current", "page")
    expect(page.get_by_role("button", name=re.compile("^.*paused"))).to_have_attribute("aria-pressed", "true")


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
            expect(page.get_by_role("heading", level=1)).to_have_text("Waits for a person")
            expect(page.locator("#who")).to_contain_text("ann")
            saga = guarded.ask("POST", "/sagas/order", {"order": "1", "wait": True}, token=token).json()["id"]
            _open(page, saga)
            page.get_by_role("button", name="Cancel").click()
            page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
            expect(page.locator("section.actions")).to_contain_text("cancel by ann")
            assert page.evaluate("localStorage.length") == 0
            page.get_by_role("button", name="Leave").click()
            expect(page.get_by_label("Token")).to_be_visible()
