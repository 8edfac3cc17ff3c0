"""A saga of thousands of steps: the status is one answer, and parts of it are read one after the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.cli.shell import inside
from tests.conftest import Server
from tests.gateway.house import House, fresh, serve, worker

pytestmark = pytest.mark.temporal

ROUNDS = 1_200
STEPS = 2 * ROUNDS + 2
SAGA = """\
sagadsl: 1
name: long
version: "1"
input: {type: object}
steps:
  - id: lines
    for_each: {items: "{{ input.items }}"}
    steps:
      - {id: ask, if: item < 0, fail: {type: Asked, message: no}}
      - {id: tell, if: item < 0, fail: {type: Told, message: no}}
  - {id: go, wait_for: {signal: go}}
"""


@pytest.fixture(scope="module")
def house(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("long")
    (folder / "long.saga.yaml").write_text(SAGA)
    with worker(folder, server.address), serve(folder, server.address) as made:
        yield made


@pytest.fixture(scope="module")
def saga(house: House) -> str:
    """A saga that waits behind its loop."""
    answer = house.ask("POST", "/sagas/long", {"items": list(range(ROUNDS))}, Workflow_Id=fresh())
    assert answer.status_code == 202, answer.text
    id_ = str(answer.json()["id"])
    house.until(id_, lambda found: bool(found.get("waiting_for")))
    return id_


def test_parts_of_the_status_together_are_all_steps(house: House, saga: str) -> None:
    paths: list[str] = []
    after: str | None = ""
    while after is not None:
        found = house.ask("GET", f"/sagas/{saga}?limit=1000&after={after}").json()
        assert (found["part"]["first"], found["part"]["of"]) == (len(paths) + 1, STEPS)
        paths += [step["path"] for step in found["steps"]]
        after = found["part"]["next"]
    whole = house.ask("GET", f"/sagas/{saga}").json()

    assert (len(paths), len(set(paths))) == (STEPS, STEPS)
    assert (paths[0], paths[1], paths[-2], paths[-1]) == ("lines", "lines[0]/ask", "lines[1199]/tell", "go")
    assert "part" not in whole
    assert len(whole["steps"]) + sum(each.get("skipped", 0) for each in whole["left_out"]) == STEPS


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [("limit=0", 400, "SD947"), ("limit=2001", 400, "SD947"), ("after=lines[7000]/ask", 409, "SD925")],
)
def test_a_part_that_is_not_there_is_refused(house: House, saga: str, asked: str, status: int, code: str) -> None:
    answer = house.ask("GET", f"/sagas/{saga}?{asked}")

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_the_command_shows_what_matters_and_then_each_part(house: House, saga: str) -> None:
    def command(*more: str) -> tuple[int, str, str]:
        ran = inside("status", saga, "--address", house.address, *more)
        return ran.code, ran.out, ran.err

    at = f"--address {house.address}"
    code, shown, _ = command()
    assert code == 0
    assert len(shown.splitlines()) < 220
    assert " ▶ go" in shown
    assert f"   sagadsl status {saga} --limit 100 {at}   the steps one by one, in their order" in shown

    _, part, _ = command("--limit", "3")
    assert f" steps 1 to 3 of {STEPS:,}" in part
    assert f"   sagadsl status {saga} --limit 3 --after 'lines[0]/tell' {at}   the next ones" in part

    document = json.loads(command("--limit", "2", "--after", "lines[1199]/ask", "--json")[1])
    assert [step["path"] for step in document["steps"]] == ["lines[1199]/tell", "go"]
    assert document["part"] == {"first": STEPS - 1, "of": STEPS, "next": None}

    code, _, err = command("--after", "lines[7000]/ask")
    assert code == 4
    assert f"cannot show a part of saga `{saga}`: it shows no step `lines[7000]/ask`" in err


def test_the_page_shows_all_steps_when_somebody_wants_to_see_them(page: Page, saga: str) -> None:
    page.goto(f"/#/sagas/{saga}")
    page.get_by_role("button", name="Show the steps one by one").click()
    rows = page.locator(".each tbody tr")
    expect(rows).to_have_count(100)
    page.get_by_role("button", name=f"Show more: 100 of {STEPS} are shown").click()
    expect(rows).to_have_count(200)
    expect(rows.nth(101)).to_contain_text("[50] ask")


def test_the_page_draws_a_part_of_many_steps_at_first(page: Page, house: House) -> None:
    some = fresh()
    assert house.ask("POST", "/sagas/long", {"items": list(range(300))}, Workflow_Id=some).status_code == 202
    house.until(some, lambda found: bool(found.get("waiting_for")))
    page.goto(f"/#/sagas/{some}")
    rows = page.locator("section.steps tbody tr")
    expect(rows).to_have_count(200)
    page.get_by_role("button", name="Show more: 200 of 602 are shown").click()
    expect(rows).to_have_count(400)
    assert house.ask("POST", f"/sagas/{some}/signals/go").is_success
    expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    expect(rows).to_have_count(400)  # what somebody has unfolded stays so


def test_steps_that_are_shown_one_by_one_are_drawn_anew_when_the_saga_goes_on(
    page: Page, house: House, saga: str
) -> None:
    """The last test here: it ends the saga."""
    page.goto(f"/#/sagas/{saga}")
    page.get_by_role("button", name="Show the steps one by one").click()
    rows = page.locator(".each tbody tr")
    expect(rows).to_have_count(100)

    def later(route: Route) -> None:
        answer = route.fetch()
        document = answer.json()
        document["lines"][0]["note"] = "as it is now"
        route.fulfill(response=answer, json=document)

    page.route(re.compile(r"limit=100"), later)
    assert house.ask("POST", f"/sagas/{saga}/signals/go").is_success
    expect(rows.first).to_contain_text("as it is now")
    expect(rows).to_have_count(100)
