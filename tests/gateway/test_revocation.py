"""A token that is taken away: what waits with it ends at once, and not when its time is over."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from sagadsl.gateway import reading
from sagadsl.gateway.revocation import Revocation
from sagadsl.gateway.watchers import Snapshot
from tests.cli.shell import inside
from tests.cli.shop import lay_out
from tests.conftest import Server
from tests.gateway.house import House, serve, worker
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal


@dataclass(frozen=True, slots=True)
class Door:
    """A gateway that wants a token, its file, and who may do everything."""

    house: House
    tokens: Path
    chief: str

    def guest(self, *rights: str) -> str:
        """Add a token for a guest, and return it."""
        return _added(self.tokens, "guest", *rights)

    def lock_out(self) -> None:
        """Take the guest's token away."""
        entries = yaml.safe_load(self.tokens.read_text())["tokens"]
        self.tokens.write_text(yaml.safe_dump({"tokens": [each for each in entries if each["name"] != "guest"]}))

    def waits(self) -> str:
        """Start a saga that waits for a signal, and return its id."""
        started = self.house.ask("POST", "/sagas/order", {"order": "1", "wait": True}, token=self.chief)
        return str(started.json()["id"])

    def settled(self, saga: str) -> str:
        """Return the revision of a saga that waits, once it does."""
        deadline = time.monotonic() + PATIENCE
        while not (view := self.house.ask("GET", f"/sagas/{saga}", token=self.chief).json()).get("waiting_for"):
            assert time.monotonic() < deadline, view
            time.sleep(0.05)
        return str(view["revision"])


def _added(file: Path, name: str, *rights: str) -> str:
    made = inside("token", name, *rights)
    assert made.code == 0, made
    file.write_text(file.read_text() + made.out)
    return made.err.rpartition(": ")[2].strip()


@pytest.fixture(scope="module")
def door(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = lay_out(tmp_path_factory.mktemp("door"))
    tokens = folder / "tokens.yaml"
    tokens.write_text("tokens:\n")
    chief = _added(tokens, "chief", "--start", "*", "--read", "*", "--operate", "*")
    options = ("--tokens", str(tokens), "--longest-wait", "600")
    with worker(folder, server.address), serve(folder, server.address, *options) as house:
        yield Door(house, tokens, chief)


def _while_it_waits(
    door: Door, method: str, path: str, token: str, body: Any = None, *, cancel: str = ""
) -> httpx2.Response:
    """Send a request that waits for long; take the guest's token away while it does; return its answer.

    Args:
        cancel: The id of a saga that is cancelled afterwards.
    """
    answers: list[httpx2.Response] = []
    sent = threading.Thread(target=lambda: answers.append(door.house.ask(method, path, body, token=token)))
    sent.start()
    deadline = time.monotonic() + PATIENCE
    while "\nsagadsl_gateway_waiting 1.0\n" not in (page := door.house.ask("GET", "/metrics", token=door.chief).text):
        assert time.monotonic() < deadline, page
        time.sleep(0.05)
    door.lock_out()
    if cancel:
        door.house.ask("POST", f"/sagas/{cancel}/cancel", token=door.chief)
    sent.join(PATIENCE)
    return answers[0]


@pytest.mark.parametrize("path", ["/sagas/{id}?wait=600s&since={revision}", "/sagas/{id}/result?wait=600s"])
def test_a_request_that_waits_is_refused_when_its_token_is_taken_away(door: Door, path: str) -> None:
    """It would wait for ten minutes, and then tell."""
    guest, saga = door.guest("--read", "*"), door.waits()
    # what nobody knows yet is no change: the saga has begun, and waits
    revision = door.settled(saga)
    answer = _while_it_waits(door, "GET", path.format(id=saga, revision=revision), guest)
    door.house.ask("POST", f"/sagas/{saga}/cancel", token=door.chief)

    assert (answer.status_code, answer.json()["code"]) == (401, "SD942")
    assert door.house.ask("GET", f"/sagas/{saga}", token=guest).status_code == 401


def test_a_start_that_waits_tells_no_more_than_that_it_has_started(door: Door) -> None:
    """It has started: an answer that it was refused would be wrong."""
    guest = door.guest("--start", "order")
    answer = _while_it_waits(door, "POST", "/sagas/order?wait=600s", guest, {"order": "1", "wait": True})
    door.house.ask("POST", f"/sagas/{answer.json()['id']}/cancel", token=door.chief)

    assert answer.status_code == 202


def test_other_tokens_stay_when_one_is_taken_away(door: Door) -> None:
    door.guest("--read", "*")
    reader, saga = _added(door.tokens, "reader", "--read", "*"), door.waits()
    revision = door.settled(saga)
    answer = _while_it_waits(door, "GET", f"/sagas/{saga}?wait=600s&since={revision}", reader, cancel=saga)

    assert answer.status_code == 200


def test_a_stream_looks_at_its_token_as_soon_as_tokens_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not when it gives its next sign of life."""
    monkeypatch.setattr(reading, "BEAT", 3600.0)

    async def nothing() -> AsyncGenerator[Snapshot]:
        await asyncio.Event().wait()
        yield  # type: ignore[misc] # never reached: it makes this a generator

    async def main() -> Snapshot | None:
        revocation = Revocation()
        async with aclosing(reading._with_beats(nothing(), revocation.told)) as seen:
            coming = asyncio.create_task(anext(seen))
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(revocation.tell)
            return await asyncio.wait_for(coming, PATIENCE)

    assert asyncio.run(main()) is None
