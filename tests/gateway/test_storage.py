"""A gateway whose workers keep large payloads in a storage, encrypted: what is started, shown and taken up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from temporalio.client import Client

from sagadsl.temporal.link.storage import references_in
from tests.conftest import SEALED, Server
from tests.gateway.house import House, fresh, serve, shop, window, worker

pytestmark = pytest.mark.temporal

LARGE = "hush-" * 70_000
ECHO = """\
sagadsl: 1
name: echo
version: "1.0.0"
input: {type: object, properties: {text: {type: string}, fails: {type: boolean, default: false}}}
steps:
  - {id: keep, set: {text: "{{ input.text }}"}}
  - {id: ask, wait_for: {signal: go, reply: "{{ payload }}"}}
  - {id: no, if: input.fails, fail: {type: Bad, message: "no"}}
output: {text: "{{ input.text }}", went: "{{ steps.ask.output }}"}
"""
SETTINGS = """
[storage]
folder = "{folder}"
[encryption]
keys = [{{id = "one", env = "STORED_KEY"}}]
"""


@pytest.fixture(scope="module")
def stored(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = shop(tmp_path_factory.mktemp("stored"))
    (folder / "echo.saga.yaml").write_text(ECHO)
    settings = folder / "sagadsl.toml"
    written = settings.read_text() if settings.exists() else ""
    settings.write_text(written + SETTINGS.format(folder=folder / "kept"))
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("STORED_KEY", "11" * 32)
        stack.enter_context(worker(folder, server.address, "--namespace", SEALED))
        yield stack.enter_context(
            serve(folder, server.address, "--namespace", SEALED, "--rate", "10000", STORED_KEY="11" * 32)
        )


@pytest.fixture
def page(browser: Browser, stored: House) -> Iterator[Page]:
    yield from window(browser, stored.url)


def _start(house: House, **more: Any) -> str:
    answer = house.ask("POST", "/sagas/echo", {"text": LARGE, **more}, Workflow_Id=fresh())
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def _end(house: House, saga: str) -> Any:
    """Send the signal with a large payload, and return how the saga ends."""
    house.until(saga, lambda status: "go" in status.get("waiting_for", {}))
    sent = house.ask("POST", f"/sagas/{saga}/signals/go", LARGE)
    assert (sent.status_code, sent.json().get("reply")) == (202, LARGE), sent.text[:500]
    return house.ask("GET", f"/sagas/{saga}/result?wait=30s").json()


async def _raw(address: str, saga: str) -> tuple[int, bytes]:
    """Return how many payloads the history refers to, and its bytes."""
    client = await Client.connect(address, namespace=SEALED)
    events = [each async for each in client.get_workflow_handle(saga).fetch_history_events()]
    return sum(1 for each in events for _ in references_in(each)), b"".join(each.SerializeToString() for each in events)


def test_a_saga_with_large_data_is_started_shown_and_ended_over_http(stored: House) -> None:
    saga = _start(stored)
    ended = _end(stored, saga)
    assert ended["output"] == {"text": LARGE, "went": LARGE}
    references, raw = asyncio.run(_raw(stored.address, saga))
    assert references >= 3  # input, signal, output
    assert b"hush" not in raw
    kept = [each.read_bytes() for each in Path(stored.folder / "kept").rglob("*") if each.is_file()]
    assert kept
    assert not [each for each in kept if b"hush" in each]
    told = stored.ask("GET", f"/sagas/{saga}/trace").json()
    assert told["input"]["bytes"] > 0
    for path in ("", "/explanation", "/graph", "/picture"):
        assert stored.ask("GET", f"/sagas/{saga}{path}").status_code == 200, path
    (row,) = stored.ask("GET", f"/sagas?id={saga}").json()["sagas"]
    assert row["status"] == "completed"


def test_its_work_is_taken_up_and_it_is_forgotten_over_http(stored: House) -> None:
    saga = _start(stored, fails=True)
    assert _end(stored, saga)["status"] == "compensated"
    again = stored.ask("POST", f"/sagas/{saga}/redrive", {"why": "once more"})
    assert again.status_code == 202, again.text
    stored.until(saga, lambda status: "go" in status.get("waiting_for", {}))
    assert stored.ask("POST", f"/sagas/{saga}/terminate", {"why": "x"}).status_code == 202
    taken = stored.ask("POST", f"/sagas/{saga}/recover", {"why": "it was killed", "forward": True})
    assert taken.status_code == 202, taken.text
    assert _end(stored, saga)["status"] == "compensated"
    gone = stored.ask("POST", f"/sagas/{saga}/forget", {"why": "request 17"})
    assert gone.status_code in (200, 202), gone.text
    assert gone.json()["unreached"] == 0


def test_the_page_shows_a_saga_with_large_data(stored: House, page: Page) -> None:
    saga = _start(stored)
    _end(stored, saga)
    page.goto(f"/#/sagas/{saga}")
    expect(page.get_by_text("completed").first).to_be_visible()
    expect(page.get_by_text("ask").first).to_be_visible()
