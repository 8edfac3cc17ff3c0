"""What sagas say, on the page and over HTTP: early answers, replies, signals that they send, queries. And two things
of the page that only a browser shows: the list by search attribute, and a job that is stopped."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.cli.shell import sagadsl
from tests.cli.shop import lay_out
from tests.conftest import Server
from tests.gateway.house import House, fresh, serve, window, worker

pytestmark = pytest.mark.temporal

QUEUE = f"talk-{uuid.uuid4()}"

TALK = """\
sagadsl: 1
name: talk
version: "1"
input: {type: object, properties: {to: {type: string}}}
queries:
  progress: {told: "{{ steps.tell.status == 'completed' }}", by: "{{ steps.ask.output.by }}"}
  share: "{{ 1 / (input.to | length - input.to | length) }}"
steps:
  - {id: early, answer: {order: "{{ saga.id }}"}}
  - {id: tell, send: {signal: heard, to: "{{ input.to }}", payload: {from: "{{ saga.id }}"}}, compensation: none}
  - {id: ask, wait_for: {signal: approve, timeout: 1h, reply: {thanks: "{{ payload.by }}"}}}
"""

LISTEN = """\
sagadsl: 1
name: listen
version: "1"
steps:
  - {id: heard, wait_for: {signal: heard, timeout: 1h}}
output: {from: "{{ steps.heard.output.from }}"}
"""


@pytest.fixture(scope="module")
def talking(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway with two sagas that talk, and the shop."""
    folder = lay_out(tmp_path_factory.mktemp("talking"))
    (folder / "talk.saga.yaml").write_text(TALK, encoding="utf-8")
    (folder / "listen.saga.yaml").write_text(LISTEN, encoding="utf-8")
    queue = ("--task-queue", QUEUE)
    with worker(folder, server.address, *queue), serve(folder, server.address, "--rate", "10000", *queue) as house:
        yield house


@pytest.fixture
def page(browser: Browser, talking: House) -> Iterator[Page]:
    yield from window(browser, talking.url)


def _talk(house: House) -> tuple[str, str]:
    """Start both, and return their ids once the one waits for an approval."""
    there, here = fresh(), fresh()
    for id_, name, input_ in ((there, "listen", {}), (here, "talk", {"to": there})):
        answer = house.ask("POST", f"/sagas/{name}", input_, Workflow_Id=id_)
        assert answer.status_code == 202, answer.text
    house.until(here, lambda status: bool(status.get("waiting_for")))
    return here, there


def test_a_definitions_queries_are_asked_over_http_before_and_after_the_end(talking: House) -> None:
    """R104: one that it does not have, or that cannot be computed, is a problem that says so."""
    saga, _ = _talk(talking)
    path = f"/sagas/{saga}/queries"
    first = talking.ask("GET", f"{path}/progress")
    unknown, failing = (talking.ask("GET", f"{path}/{name}") for name in ("progres", "share"))
    nobody = talking.ask("GET", "/sagas/nobody/queries/progress")
    talking.ask("POST", f"/sagas/{saga}/signals/approve", {"by": "ann"})
    talking.until(saga, lambda status: not status["is_open"])
    last = talking.ask("GET", f"{path}/progress")

    assert (first.status_code, first.json()) == (
        200,
        {"id": saga, "query": "progress", "answer": {"told": True, "by": None}},
    )
    assert [(each.status_code, each.json()["code"]) for each in (unknown, failing)] == [(409, "SD969")] * 2
    assert "its queries are `progress`, `share`" in unknown.text
    assert "cannot be computed now" in failing.text
    assert nobody.status_code == 404
    assert last.json()["answer"] == {"told": True, "by": "ann"}


def test_the_trace_tells_what_was_sent_and_what_the_sender_of_a_signal_got(talking: House) -> None:
    """R102: the same in JSON, over HTTP and on the screen."""
    saga, there = _talk(talking)
    talking.ask("POST", f"/sagas/{saga}/signals/approve", {"by": "ann"})
    talking.until(saga, lambda status: not status["is_open"])
    found = talking.ask("GET", f"/sagas/{saga}/trace").json()
    ran = sagadsl("trace", saga, "--address", talking.address, cwd=talking.folder)

    assert [(each["path"], each["name"], each["status"], each["input"]) for each in found["calls"]] == [
        ("tell", f"signal heard to {there}", "completed", {"from": saga})
    ]
    (signal,) = found["outside"]
    assert (signal["what"], signal["name"], signal["data"], signal["reply"]) == (
        "signalled",
        "approve",
        {"by": "ann"},
        {"thanks": "ann"},
    )
    assert ran.code == 0, ran
    assert 'signalled approve  {"by": "ann"}  from anybody  reply {"thanks": "ann"}' in ran.out
    assert f'sent    {{"from": "{saga}"}}' in ran.out


def test_the_page_shows_what_a_saga_has_answered_replied_and_sent(page: Page, talking: House) -> None:
    """R102, R103, R105."""
    saga, there = _talk(talking)
    page.goto(f"/#/sagas/{saga}")
    expect(page.locator("div.answer")).to_have_text(f'Answered early: {{"order":"{saga}"}}')
    expect(page.locator('[data-path="tell"]:has(.c-completed)')).to_contain_text("sends signal heard")
    expect(page.get_by_role("row", name=re.compile("tell"))).to_contain_text(f"signal heard to {there}")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("dialog").get_by_label("Payload").fill('{"by": "ann"}')
    page.get_by_role("dialog").get_by_role("button", name="Send").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("completed")
    expect(page.get_by_text("signalled approve")).to_contain_text('{"by":"ann"} reply {"thanks":"ann"}')
    expect(page.locator(".bars li")).to_contain_text(["tell"])
    page.get_by_text(f"tell · signal heard to {there}").click()
    expect(page.locator("details.call[open]")).to_contain_text(f'{{"from":"{saga}"}}')
    assert talking.ask("GET", f"/sagas/{there}/result?wait=20s").json()["output"] == {"from": saga}


def test_the_list_is_narrowed_by_a_search_attribute(page: Page, talking: House) -> None:
    """What cannot be read is told, and the list stays as it was."""
    saga, _ = _talk(talking)
    page.goto("/#/sagas")
    page.get_by_label("Where").fill(f'WorkflowId = "{saga}"')
    page.get_by_role("button", name="Search").click()

    expect(page.locator("table.sagas tbody tr")).to_have_count(1)
    expect(page.get_by_role("link", name=saga)).to_be_visible()
    expect(page).to_have_url(re.compile("where="))
    expect(page.get_by_label("Where")).to_have_value(f'WorkflowId = "{saga}"')
    page.get_by_label("Where").fill("a = 1) or (1 = 1")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("main")).to_contain_text("cannot be read from ) or (1 = 1 on")
    talking.ask("POST", f"/sagas/{saga}/cancel")


def test_a_job_is_stopped_from_the_page(page: Page, talking: House, tmp_path: Path) -> None:
    """Those that it has not asked yet stay as they are."""
    broken = tmp_path / "broken"
    broken.touch()
    ids = [talking.start(how="fail", broken=str(broken)) for _ in range(3)]
    for each in ids:
        talking.until(each, lambda status: bool(status["status"] == "paused"))

    def slowly(route: Route) -> None:
        body = json.loads(route.request.post_data or "{}")
        route.continue_(post_data=json.dumps({**body, "rate": 0.01}))

    page.route("**/jobs", slowly)
    page.goto("/#/incidents?error=BankDown")
    for each in ids:
        page.get_by_role("checkbox", name=f"{each} charge.compensation").check()
    page.get_by_role("button", name="Retry").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    answers = page.locator("section.answers")
    expect(answers).to_contain_text("Retry: 1 of 3 done")
    answers.get_by_role("button", name="Stop").click()

    expect(answers).to_contain_text("Retry: stopped; 1 of 3 done")
    expect(answers.get_by_role("button", name="Stop")).to_have_count(0)
    assert [talking.ask("GET", f"/sagas/{each}").json()["status"] for each in ids] == ["paused"] * 3
    for each in ids:
        talking.ask("POST", f"/sagas/{each}/abort", {})
