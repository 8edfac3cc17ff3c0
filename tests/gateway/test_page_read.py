"""What somebody reads on the page: sentences without the command line's signs, enough contrast, whole words."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.gateway.house import House

pytestmark = pytest.mark.temporal

CONTRAST = """() => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((each, i) => each * a + below[i] * (1 - a));
  const light = (rgb) => rgb.map((each) => each / 255).map((c) => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const ground = (node) => parts(getComputedStyle(node).backgroundColor);
  const behind = (node) => node ? over(ground(node), behind(node.parentElement)) : [255, 255, 255];
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const text = [...node.childNodes].filter((each) => each.nodeType === 3).map((each) => each.data.trim()).join("");
    const style = getComputedStyle(node);
    const isElsewhere = node.disabled || node.closest(".unseen, .skip, section.graph, section.timeline");
    if (!text || isElsewhere || !node.getClientRects().length) continue;
    let opacity = 1;
    for (let each = node; each; each = each.parentElement) opacity *= Number(getComputedStyle(each).opacity);
    const back = behind(node), [r, g, b, a = 1] = parts(style.color), front = over([r, g, b, a * opacity], back);
    const [dark, bright] = [light(front), light(back)].sort((x, y) => x - y);
    const ratio = (bright + .05) / (dark + .05);
    const size = parseFloat(style.fontSize), isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (isLarge ? 3 : 4.5)) found.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""
"""The texts with less contrast than WCAG 2 asks for (AA, 1.4.3)."""

BROKEN_WORDS = """() => [...document.querySelectorAll("table.steps td")].flatMap((cell) => {
  const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const word of node.data.matchAll(/[A-Za-z]{2,20}/g)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((each) => Math.round(each.top))).size > 1) found.push(word[0]);
    }
  }
  return found;
})"""


@pytest.fixture(scope="module")
def failed(house: House) -> str:
    """A saga that has failed and undone itself."""
    saga = house.start(how="fail")
    house.until(saga, lambda found: found["status"] == "compensated")
    return saga


def _open(page: Page, saga: str) -> None:
    page.goto(f"/#/sagas/{saga}")
    expect(page.locator("section.explanation p").first).to_be_visible()


def test_sentences_have_no_back_quotes_and_times_are_local(page: Page, failed: str) -> None:
    _open(page, failed)
    expect(page.locator("section.explanation code").first).to_be_visible()
    read = page.locator("main").inner_text()
    assert "`" not in read
    assert not re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d", read)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_text_has_enough_contrast(page: Page, failed: str, theme: str) -> None:
    page.goto("/#/sagas")
    page.evaluate("(theme) => document.documentElement.setAttribute('data-theme', theme)", theme)
    views: dict[str, Any] = {
        f"/#/sagas/{failed}": page.locator("section.explanation p").first,
        "/#/start/order": page.get_by_label("how"),
        "/#/incidents": page.get_by_text(re.compile("^As of ")),
        "/#/sagas": page.get_by_role("link", name=failed),
    }
    for address, shown in views.items():
        page.evaluate("(address) => { location.hash = address.slice(1); }", address)
        expect(shown).to_be_visible()
        assert page.evaluate(CONTRAST) == [], address


def test_each_column_has_a_name(page: Page, failed: str) -> None:
    _open(page, failed)
    heads = page.locator("th[scope=col]").all_inner_texts()
    assert heads
    assert all(heads)


def test_words_stay_whole_on_a_phone(page: Page, failed: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    _open(page, failed)
    assert page.evaluate(BROKEN_WORDS) == []


def test_a_saga_that_waits_for_a_decision_is_not_offered_a_pause(page: Page, house: House) -> None:
    broken = house.folder / "waits-for-you"
    broken.touch()
    saga = house.start(how="fail", broken=str(broken))
    house.until(saga, lambda found: found["status"] == "paused")
    page.goto(f"/#/sagas/{saga}")
    expect(page.get_by_role("heading", name="Waits for you")).to_be_visible()
    expect(page.locator("section.head").get_by_role("button", name="Cancel")).to_be_visible()
    expect(page.locator("section.head").get_by_role("button", name="Pause")).to_have_count(0)
    broken.unlink()
    assert house.ask("POST", f"/sagas/{saga}/retry", {"step": "charge.compensation"}).status_code == 200
    house.until(saga, lambda found: found["status"] == "compensated")
