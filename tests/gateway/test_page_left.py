"""Answers that do not arrive whole: the view was left, or the connection was lost. The page complains of none of them
where nobody looks (`window` fails the test), and tells of them where somebody waits."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from tests.gateway.house import House, fresh

pytestmark = pytest.mark.temporal

# The first bytes of such an answer are there, the rest never comes; it is torn off when the request is given up.
HALF = """
window.whole = window.fetch;
window.fetch = (path, options = {}) => {
  if (!path.includes("%s")) return window.whole(path, options);
  document.documentElement.dataset.half = "begun";
  const start = (sending) => {
    sending.enqueue(new TextEncoder().encode('{"calls": ['));
    options.signal?.addEventListener("abort", () => sending.error(options.signal.reason));
  };
  return Promise.resolve(new Response(new ReadableStream({ start })));
};
"""


@pytest.mark.parametrize("half", ["/trace", "/explanation", "/picture", "/me"])
def test_a_view_is_left_while_an_answer_is_on_its_way(page: Page, house: House, half: str) -> None:
    saga = house.start(wait=True)
    page.add_init_script(HALF % half)
    page.goto(f"/#/sagas/{saga}")
    expect(page.locator("html")).to_have_attribute("data-half", "begun")
    page.evaluate("window.fetch = window.whole")
    page.get_by_role("link", name="All", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sagas")
    expect(page.locator("table.sagas")).to_contain_text(saga)


def test_a_start_whose_answer_is_lost_is_told_as_unknown_and_stays_one_saga(page: Page, house: House) -> None:
    order = fresh()
    page.goto("/#/start/order")
    page.get_by_label("order").fill(order)
    begun: list[str] = []

    def lost(route: Route) -> None:
        answer = route.fetch()
        begun.append(answer.json()["id"])
        route.abort()

    page.route("**/sagas/order", lost)
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("alert")).to_contain_text("Nobody knows whether it began")
    page.unroute("**/sagas/order")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(begun[0])


def test_older_sagas_that_cannot_be_had_are_told(page: Page, house: House) -> None:
    first = {"sagas": [], "untold": 0, "as_of": "2026-01-01T00:00:00Z", "next_page": "x"}
    page.route("**/sagas?*", lambda route: route.fulfill(json=first))
    page.goto("/#/sagas")
    older = page.get_by_role("button", name="Older ones")
    expect(older).to_be_visible()
    page.unroute("**/sagas?*")
    page.route("**/sagas?*page=x*", lambda route: route.abort())
    older.click()
    expect(page.locator("#said")).to_contain_text("Failed to fetch")
