"""A mistake in the code of an activity is shown with its file and line, in JSON and on the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.cli.shell import SAGADSL, ready, sagadsl
from tests.gateway.house import House, fresh

pytestmark = pytest.mark.temporal

ACTIVITIES = """\
from sagadsl import activity

@activity
def price() -> int:
    return {}["price"]
"""
SAGA = """\
sagadsl: 1
name: bug
steps:
  - {id: price, activity: price, compensation: none, retry: none}
"""
PLACE = "gateway_prices.py:5 in price"


def test_the_place_of_an_authors_mistake_is_in_the_answers_and_on_the_page(
    house: House, page: Page, tmp_path: Path
) -> None:
    saga = fresh()
    (tmp_path / "gateway_prices.py").write_text(ACTIVITIES)
    (tmp_path / "bug.saga.yaml").write_text(SAGA)
    (tmp_path / "sagadsl.toml").write_text('modules = ["gateway_prices"]\nplugins = {allow = []}\n')
    served = ("--task-queue", saga, "--address", house.address)
    with ready([*SAGADSL, "worker", *served], tmp_path):
        assert sagadsl("run", "bug.saga.yaml", "--id", saga, "-q", *served, cwd=tmp_path).code == 10
        status = house.ask("GET", f"/sagas/{saga}").json()
        assert status["failure"] == {"type": "KeyError", "message": "'price'", "step": "price", "place": PLACE}
        (call,) = house.ask("GET", f"/sagas/{saga}/trace").json()["calls"]
        assert call["error"]["place"] == PLACE

        page.goto(f"/#/sagas/{saga}")
        expect(page.locator("p.failure")).to_have_text(f"{PLACE}: KeyError: 'price' (step price)")
