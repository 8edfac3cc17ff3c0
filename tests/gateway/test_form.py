"""The form of the page in a real Chromium: what is typed is what arrives, and what is not typed is not sent."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import Server
from tests.gateway.house import House, serve, window, worker

pytestmark = pytest.mark.temporal

PAYOUT = """\
sagadsl: 1
name: payout
version: "1"
input:
  type: object
  required: [account, name, urgent, size]
  properties:
    account: {type: integer}
    name: {type: string}
    urgent: {type: boolean}
    size: {enum: [small, large]}
    amount: {type: number, multipleOf: 0.01}
    day: {type: string, format: date}
    more: {type: object}
steps:
  - id: answer
    wait_for: {signal: answer, timeout: 1h}
output: {input: "{{ input }}", answer: "{{ steps.answer.output }}"}
"""
DECISION = """\
sagadsl: 1
name: decision
version: "1"
steps:
  - id: decide
    wait_for:
      signal: decide
      timeout: 1h
      payload:
        type: object
        required: [approved, by]
        properties:
          approved: {type: boolean}
          by: {type: string, minLength: 2}
          amount: {type: integer}
output: "{{ steps.decide.output }}"
"""
BIG = "3544790567247868102"


@pytest.fixture(scope="module")
def offices(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("forms")
    (folder / "payout.saga.yaml").write_text(PAYOUT)
    (folder / "decision.saga.yaml").write_text(DECISION)
    (folder / "sagadsl.toml").write_text("plugins = {allow = []}\n")
    with worker(folder, server.address), serve(folder, server.address, "--rate", "10000") as house:
        yield house


@pytest.fixture
def page(browser: Browser, offices: House) -> Iterator[Page]:
    yield from window(browser, offices.url)


def _sent(page: Page) -> list[str]:
    """Return the bodies of starts from now on, as they leave the page."""
    bodies: list[str] = []
    page.on("request", lambda request: bodies.append(request.post_data or "") if request.method == "POST" else None)
    return bodies


def _start(page: Page) -> None:
    page.get_by_role("button", name="Start").click()


def test_a_needed_text_that_is_left_empty_is_told_and_nothing_is_sent(page: Page) -> None:
    """An order without a name was charged: what nobody typed or chose is missing, for every kind of field."""
    sent = _sent(page)
    page.goto("/#/start/payout")
    _start(page)

    for key in ("account", "name", "urgent", "size"):
        expect(page.locator(f"#field-{key}-problem")).to_contain_text("This is needed. Nothing was sent.")
    expect(page.locator("#field-account")).to_be_focused()
    expect(page.locator("#field-amount-problem")).to_have_text("")
    assert sent == []


def test_an_empty_text_can_be_sent_on_purpose(page: Page) -> None:
    sent = _sent(page)
    page.goto("/#/start/payout")
    page.get_by_label("account").fill("7")
    page.get_by_label("urgent").select_option("false")
    page.get_by_label("size").select_option(label="large")
    expect(page.get_by_label("Send an empty text")).to_be_hidden()
    _start(page)
    page.get_by_label("Send an empty text").check()
    _start(page)

    expect(page).to_have_url(re.compile(r"#/sagas/payout-"))
    assert sent == ['{"account":7,"name":"","urgent":false,"size":"large"}']


def test_every_digit_of_a_number_arrives_and_is_shown(page: Page, offices: House) -> None:
    """B9: numbers above 2^53 are sent as they are typed, in fields, in JSON and in payloads, and shown as they are."""
    page.goto("/#/start/payout")
    page.get_by_label("account").fill(BIG)
    page.get_by_label("name").fill("Ann")
    page.get_by_label("urgent").select_option("true")
    page.get_by_label("size").select_option("small")
    page.get_by_label("amount").fill("19.90")
    page.get_by_label("more").fill(f'{{"inner": [{BIG}], "text": "\\u0000n{BIG}"}}')
    _start(page)
    expect(page).to_have_url(re.compile(r"#/sagas/payout-"))
    page.get_by_role("button", name="Send").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Payload").fill(f'{{"paid": {BIG}, "rate": 1.0}}')
    dialog.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("completed")

    saga = page.url.rpartition("/")[2]
    output = offices.ask("GET", f"/sagas/{saga}/result").json()["output"]
    assert (output["input"]["account"], output["answer"]["paid"]) == (int(BIG), int(BIG))
    assert output["input"]["more"] == {"inner": [int(BIG)], "text": f"\0n{BIG}"}
    for details in page.locator("section.data details").all():
        details.evaluate("each => each.open = true")
    expect(page.locator("section.data dd").nth(1)).to_contain_text(f'"account": {BIG}')
    expect(page.locator("section.data dd").nth(1)).to_contain_text(f'"inner": [ {BIG} ]')
    expect(page.get_by_text("signalled answer")).to_contain_text(f'"paid":{BIG},"rate":1.0')


def test_json_of_ones_own_is_sent_as_it_stands(page: Page) -> None:
    """B9: the page reads it to find mistakes, and sends what was typed."""
    typed = f'{{"account": {BIG}, "name": "Ann", "urgent": true, "size": "small", "more": {{"rate": 1.10}}}}'
    sent = _sent(page)
    page.goto("/#/start/payout")
    page.get_by_text("As JSON instead").click()
    page.get_by_label("Input", exact=True).fill(typed)
    _start(page)

    expect(page).to_have_url(re.compile(r"#/sagas/payout-"))
    assert sent == [typed]


def test_a_date_that_is_half_typed_is_not_left_out(page: Page) -> None:
    sent = _sent(page)
    page.goto("/#/start/payout")
    page.get_by_label("day").focus()
    page.keyboard.type("12")
    _start(page)

    expect(page.locator("#field-day-problem")).to_contain_text("not complete")
    assert sent == []


def test_a_signal_has_a_form_made_from_the_schema_of_its_payload(page: Page, offices: House) -> None:
    """What the saga refuses stands at the field; a corrected one is taken, and every digit arrives."""
    answer = offices.ask("POST", "/sagas/decision", {})
    saga = answer.json()["id"]
    offices.until(saga, lambda status: bool(status.get("waiting_for")))
    page.goto(f"/#/sagas/{saga}")
    page.get_by_role("button", name="Send").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Send").click()
    expect(dialog.locator("#field-approved-problem")).to_contain_text("This is needed. Nothing was sent.")
    dialog.get_by_label("approved").select_option("true")
    dialog.get_by_label("by").fill("a")
    dialog.get_by_label("amount").fill(BIG)
    dialog.get_by_role("button", name="Send").click()
    expect(dialog.locator("#field-by-problem")).to_contain_text('must have at least 2 characters, got "a"')
    expect(dialog.get_by_role("alert")).to_contain_text("Nothing was sent.")
    dialog.get_by_label("by").fill("ann")
    dialog.get_by_role("button", name="Send").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    output = offices.ask("GET", f"/sagas/{saga}/result").json()["output"]
    assert output == {"approved": True, "by": "ann", "amount": int(BIG)}
