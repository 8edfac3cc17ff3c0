"""The picture of a saga, over HTTP and on the page in a real Chromium: live, for hand and ear."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.cli.shell import inside
from tests.cli.shop import lay_out
from tests.conftest import Server
from tests.gateway.house import House, fresh, serve, window, worker

pytestmark = pytest.mark.temporal

TEXT = '<img src=x onerror="document.title=1">'
HOSTILE = {
    "sagadsl": 1,
    "name": "hostile",
    "version": "<script>document.title=1</script>",
    "input": {"type": "object"},
    "steps": [
        {"id": "stop", "if": f"input.x | default('{TEXT}') == '{TEXT}'", "set": {"x": 1}},
        {"id": "wait", "wait_for": {"signal": TEXT, "timeout": "1h"}},
    ],
}
STEPS = 240
LONG = f"""\
sagadsl: 1
name: long
version: "1.0.0"
steps:
  - {{id: go, wait_for: {{signal: go, timeout: 1h}}}}
{"".join(f"  - {{id: step_{number}, set: {{x: {number}}}}}{chr(10)}" for number in range(1, STEPS))}"""


@pytest.fixture(scope="module")
def drawn(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway with the shop, a saga with very many steps, and one whose texts mean something to a browser."""
    folder = lay_out(tmp_path_factory.mktemp("drawn"))
    (folder / "long.saga.yaml").write_text(LONG, encoding="utf-8")
    (folder / "hostile.saga.yaml").write_text(json.dumps(HOSTILE), encoding="utf-8")
    with worker(folder, server.address), serve(folder, server.address, "--rate", "10000") as house:
        yield house


@pytest.fixture
def page(browser: Browser, drawn: House) -> Iterator[Page]:
    yield from window(browser, drawn.url)


def _begin(house: House, name: str) -> str:
    answer = house.ask("POST", f"/sagas/{name}", {}, Workflow_Id=fresh())
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_it_is_the_picture_that_the_command_draws(drawn: House) -> None:
    """Of a run and of a definition: one layout, one set of words."""
    saga = drawn.start(how="fail")
    drawn.until(saga, lambda status: not status["is_open"])
    run = drawn.ask("GET", f"/sagas/{saga}/picture")
    definition = drawn.ask("GET", "/definitions/order/picture")
    command = inside("graph", "--run", saga, "-f", "svg", "--address", drawn.address)

    assert run.text.strip() == command.out.strip()
    assert definition.text.strip() == inside("graph", "order.saga.yaml", "-f", "svg", cwd=drawn.folder).out.strip()
    assert run.headers["content-type"].startswith("image/svg+xml")
    assert "script-src" not in run.headers["content-security-policy"]
    assert "default-src 'none'" in run.headers["content-security-policy"]


def test_it_is_as_wide_as_there_is_room(drawn: House) -> None:
    sizes = [
        ElementTree.fromstring(drawn.ask("GET", f"/definitions/long/picture?width={width}").text).attrib
        for width in (400, 1100, 1800)
    ]

    assert [float(each["width"]) <= width for each, width in zip(sizes, (400, 1100, 1800), strict=True)] == [True] * 3
    assert float(sizes[0]["height"]) > float(sizes[1]["height"]) > float(sizes[2]["height"])


@pytest.mark.parametrize("width", ["0", "199", "10001", "wide", "-5", "1e3", ""])
def test_a_width_that_is_none_is_refused(drawn: House, width: str) -> None:
    answer = drawn.ask("GET", f"/definitions/order/picture?width={width}")

    assert (answer.status_code, answer.json()["code"]) == (400, "SD947")
    assert "a number of pixels from 200 to 10,000" in answer.text


def test_what_has_not_changed_stays_and_keeps_the_focus(page: Page, drawn: House) -> None:
    """The picture follows the saga; the box in which somebody reads is still the same one."""
    saga = drawn.start(wait=True, how="fail")
    page.goto(f"/#/sagas/{saga}")
    approval = page.locator('g.step[data-path="approval"]')
    expect(approval).to_have_attribute("aria-label", re.compile("running"))
    page.locator('g.step[data-path="charge"]').focus()
    page.evaluate("window.before = [...document.querySelectorAll('[data-path]')]")
    drawn.ask("POST", f"/sagas/{saga}/signals/approve")

    expect(approval).to_have_attribute("aria-label", re.compile("completed"))
    expect(page.locator('g.undo[data-path="charge"]')).to_have_attribute(
        "aria-label", "compensation of charge, refund, undone"
    )
    expect(page.locator('g.step[data-path="charge"]')).to_be_focused()
    assert page.evaluate("window.before.every((each, at) => each === document.querySelectorAll('[data-path]')[at])")


def test_a_saga_with_very_many_steps_is_shown_and_only_what_changes_is_put_in(page: Page, drawn: House) -> None:
    saga = _begin(drawn, "long")
    page.goto(f"/#/sagas/{saga}")
    boxes = page.locator("g.step")
    expect(boxes).to_have_count(STEPS)
    expect(page.locator(".picture [tabindex='0']")).to_have_count(2)  # the frame that scrolls, and one box
    page.evaluate(
        """() => {
          window.added = 0;
          new MutationObserver((all) => { for (const each of all) window.added += each.addedNodes.length; })
            .observe(document.querySelector(".picture svg g.step").parentNode, { childList: true });
        }"""
    )
    drawn.ask("POST", f"/sagas/{saga}/signals/go")

    expect(page.locator("g.step:has(.c-completed)")).to_have_count(STEPS)
    assert page.evaluate("window.added") == 0


def test_arrows_go_from_box_to_box_and_enter_leads_to_the_row(page: Page, drawn: House) -> None:
    saga = drawn.start(how="fail")
    drawn.until(saga, lambda status: not status["is_open"])
    page.goto(f"/#/sagas/{saga}")
    page.locator('g.step[data-path="charge"]').focus()
    reached = []
    for key in ("ArrowDown", "ArrowRight", "End", "ArrowUp", "Home"):
        page.keyboard.press(key)
        reached.append(page.evaluate("document.activeElement.ariaLabel"))

    assert reached == [
        "compensation of charge, refund, undone",
        "approval, waits for signal approve, at most 1h, if input.wait | default(false), skipped",
        "ship, ship, failed",
        "approval, waits for signal approve, at most 1h, if input.wait | default(false), skipped",
        "charge, charge, completed",
    ]
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.locator("table.steps tr:focus")).to_contain_text("ship")


def test_the_text_of_a_definition_stays_text(page: Page, drawn: House) -> None:
    """In the page, and for whoever opens the picture itself."""
    saga = _begin(drawn, "hostile")
    drawn.until(saga, lambda status: bool(status.get("waiting_for")))
    page.goto(f"/#/sagas/{saga}")
    expect(page.locator('g.step[data-path="stop"] title')).to_contain_text("<img src=x onerror=")
    expect(page.locator('g.step[data-path="wait"]')).to_contain_text("waits for signal <img")
    assert page.locator("main img, main script, main style, main a[onclick]").count() == 0
    assert page.title() != "1"
    page.goto(f"{drawn.url}/sagas/{saga}/picture")
    expect(page.locator('g[data-path="stop"] title')).to_contain_text("<img src=x onerror=")
    assert page.locator("img, script").count() == 0
    drawn.ask("POST", f"/sagas/{saga}/cancel")


def test_the_form_shows_what_the_saga_does(page: Page) -> None:
    page.goto("/#/start/order")
    page.get_by_text("What it does").click()

    expect(page.locator('g.step[data-path="ship"]')).to_contain_text("ship")
    expect(page.locator("svg.saga rect.c-undo").first).to_be_visible()


@pytest.mark.parametrize(("theme", "colour"), [("light", "rgb(217, 242, 225)"), ("dark", "rgb(20, 48, 31)")])
def test_it_has_the_colours_of_the_page(browser: Browser, drawn: House, theme: str, colour: str) -> None:
    """Those of the system, until somebody chooses the others."""
    saga = drawn.start()
    drawn.until(saga, lambda status: not status["is_open"])
    for page in window(browser, drawn.url, theme=theme):
        page.goto(f"/#/sagas/{saga}")
        box = page.locator('g.step[data-path="charge"] rect')
        expect(box).to_have_css("fill", colour)
        page.get_by_role("button", name="Switch between light and dark").click()
        expect(box).not_to_have_css("fill", colour)


def test_without_a_worker_the_states_are_those_of_the_history(server: Server, tmp_path: Path) -> None:
    """The gateway has the definition, the server knows which calls have ended."""
    folder = lay_out(tmp_path)
    with serve(folder, server.address, "--rate", "10000") as house:
        with worker(folder, server.address):
            saga = house.start(wait=True)
            house.until(saga, lambda status: bool(status.get("waiting_for")))
        house.ask("POST", f"/sagas/{saga}/cancel")
        seen = house.ask("GET", f"/sagas/{saga}/picture")

        assert 'aria-label="charge, charge, completed"' in seen.text
        house.ask("POST", f"/sagas/{saga}/terminate", {"undo": False})


def test_an_earlier_run_has_a_picture_of_its_own(drawn: House, tmp_path: Path) -> None:
    """Redriven, the saga completes; the run before it stays as it has ended."""
    broken = tmp_path / "broken"
    broken.touch()
    saga = drawn.start(how="fail", broken=str(broken))
    waits = drawn.until(saga, lambda status: bool(status["attention"]))
    drawn.ask("POST", f"/sagas/{saga}/abort", {"why": "a test"})
    drawn.until(saga, lambda status: not status["is_open"])
    broken.unlink()
    again = drawn.ask("POST", f"/sagas/{saga}/redrive", {"undo": True, "why": "the bank is back"})
    assert again.status_code == 202, again.text
    drawn.until(saga, lambda status: not status["is_open"])

    before, now = (drawn.ask("GET", f"/sagas/{saga}/picture{query}").text for query in (f"?run={waits['run_id']}", ""))
    assert "compensation of charge, refund, not undone" in before
    assert "compensation of charge, refund, undone" in now
