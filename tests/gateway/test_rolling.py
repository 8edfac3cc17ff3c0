"""Workers replaced one after the other, by a release with more activities and sagas, while a gateway starts sagas."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.cli.shell import Ran, inside
from tests.cli.shop import ACTIVITIES, DEFINITION, lay_out
from tests.conftest import Server
from tests.gateway.house import House, queue_of, serve, worker
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal

SHIP = ACTIVITIES.index("\n@activity\nasync def ship")
EXPRESS = DEFINITION.replace("name: order", "name: express")


@contextmanager
def load(house: House, name: str, *, at_least: int = 3) -> Iterator[list[str]]:
    """Start sagas, each with a key of its own, for as long as the block lasts, but some at least; give their ids."""
    ids: list[str] = []
    wrong: list[str] = []
    over = threading.Event()

    def start() -> None:
        while not over.is_set():
            answer = house.ask("POST", f"/sagas/{name}", {"order": "1"}, Idempotency_Key=uuid.uuid4().hex)
            if answer.status_code != 202:
                wrong.append(answer.text)
                return
            ids.append(answer.json()["id"])
            over.wait(0.3)

    thread = threading.Thread(target=start)
    thread.start()
    try:
        yield ids
        while len(ids) < at_least and not wrong:
            over.wait(0.1)
    finally:
        over.set()
        thread.join(PATIENCE)
    assert not wrong


@pytest.fixture
def releases(tmp_path: Path) -> tuple[Path, Path]:
    """The folders of two releases: the old one has neither the activity `ship` nor the saga `express`."""
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        lay_out(folder)
    (old / "shop_activities.py").write_text(ACTIVITIES[:SHIP])
    (old / "order.saga.yaml").write_text(DEFINITION[: DEFINITION.index("  - id: ship")])
    (new / "express.saga.yaml").write_text(EXPRESS)
    return old, new


@pytest.mark.parametrize(("name", "options"), [("order", ()), ("express", ("--by-name",))])
def test_no_saga_is_lost_or_undone_while_workers_are_replaced(
    server: Server, releases: tuple[Path, Path], name: str, options: tuple[str, ...]
) -> None:
    """B3, in the order of the page: worker by worker. The gateway is already of the new release: the worse case."""
    old, new = releases
    queue = ("--task-queue", queue_of(new))
    with ExitStack() as running, serve(new, server.address, *options) as house:
        before = running.enter_context(ExitStack())
        before.enter_context(worker(old, server.address, *queue))
        with load(house, name) as ids:
            running.enter_context(worker(new, server.address))
            before.close()
        ends = [_end(house, each) for each in ids]

    assert set(ends) == {"completed"}


def _end(house: House, saga: str) -> str:
    """Wait for the end; each task that the old worker has drawn takes ten seconds until it is given to another."""
    for _ in range(3):
        status = str(house.ask("GET", f"/sagas/{saga}/result?wait=30s").json()["status"])
        if status != "running":
            break
    return status


def test_the_doctor_says_which_worker_lacks_what(server: Server, releases: tuple[Path, Path]) -> None:
    """Others have it, so that sagas wait for those; what no worker has is an ill."""
    old, new = releases
    queue = f"doctor-{uuid.uuid4()}"  # of workers that have stopped, the server tells for a while
    with worker(old, server.address, "--task-queue", queue):
        alone = _doctor(server, new, queue)
        with worker(new, server.address, "--task-queue", queue):
            both = _doctor(server, new, queue)

    assert (alone.code, both.code) == (3, 0), alone.out + both.out
    lacks = r"worker `\d+@\S+` lacks activity `ship`, saga `express`, this version of saga `order`"
    assert re.search(rf"✗ what workers of {queue} know +{lacks}\n", alone.out), alone.out
    assert re.search(rf"! what workers of {queue} know +{lacks}\n", both.out), both.out
    assert "no worker has `ship`: start one that does" in alone.out


def _doctor(server: Server, folder: Path, queue: str) -> Ran:
    """Ask until the server has heard of a worker that lacks something: they tell it every ten seconds."""
    deadline = time.monotonic() + PATIENCE
    while True:
        ran = inside("doctor", ".", "--task-queue", queue, "--address", server.address, cwd=folder)
        if " lacks " in ran.out or time.monotonic() > deadline:
            return ran
        time.sleep(0.5)
