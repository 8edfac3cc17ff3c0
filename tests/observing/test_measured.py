"""Numbers and logs of a worker and a gateway, as Prometheus and whoever collects logs get them."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from temporalio.client import Client

from tests.cli.shell import SAGADSL, environment, inside
from tests.cli.shop import lay_out
from tests.conftest import APART, Server
from tests.gateway import house
from tests.gateway.house import House
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal

QUEUE = f"measured-{uuid.uuid4().hex[:8]}"
SECRET = "4111-1111"


@dataclass(frozen=True, slots=True)
class Scene:
    """A worker with metrics and JSON on stderr, and a gateway."""

    gateway: House
    metrics: str
    log: Path

    def worker(self) -> dict[str, float]:
        """Return the worker's numbers, by name and labels."""
        return numbers(httpx2.get(self.metrics).text)

    def fleet(self) -> dict[str, float]:
        """Return the gateway's numbers."""
        return numbers(self.gateway.ask("GET", "/metrics").text)

    def lines(self) -> list[dict[str, Any]]:
        """Return what the worker has written; each line has to be a document."""
        whole = self.log.read_text().rpartition("\n")[0]  # the last line may be half written
        return [json.loads(line) for line in whole.splitlines()]

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.1)


def numbers(page: str) -> dict[str, float]:
    """Return what a page for Prometheus says, by name and labels, without the label that the SDK adds."""
    found: dict[str, float] = {}
    for line in page.splitlines():
        if line and not line.startswith("#"):
            name, _, number = line.rpartition(" ")
            found[re.sub(r'service_name="[^"]*",?', "", name).replace(",}", "}").replace("{}", "")] = float(number)
    return found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Scene]:
    folder = lay_out(tmp_path_factory.mktemp("measured"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        metrics = f"127.0.0.1:{probe.getsockname()[1]}"
    where = ("--task-queue", QUEUE, "--address", server.address, "-n", APART)
    command = [*SAGADSL, "worker", ".", *where, "--metrics", metrics, "--log-format", "json"]
    log = folder / "worker.log"
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=folder, env=environment(**TRACED), stderr=output) as process,
    ):
        try:
            while '"message": "ready' not in log.read_text():
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            with house.serve(folder, server.address, "--task-queue", QUEUE, "-n", APART) as gateway:
                yield Scene(gateway, f"http://{metrics}/metrics", log)
        finally:
            process.terminate()


TRACED = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_METRICS_EXPORTER": "none"}
"""Nobody listens there: that is told, and stops nothing."""


def test_a_saga_that_succeeds_is_counted_with_its_retries(scene: Scene) -> None:
    before = scene.worker()
    ended = 'sagadsl_sagas_ended_total{saga="order",status="completed"}'
    scene.gateway.ask("POST", "/sagas/order?wait=30s", {"order": SECRET, "how": "flaky"})

    scene.until(lambda: scene.worker().get(ended, 0) == before.get(ended, 0) + 1)
    found = {name: number - before.get(name, 0) for name, number in scene.worker().items()}
    assert found['sagadsl_sagas_started_total{saga="order"}'] == 1
    assert found['sagadsl_saga_seconds_count{saga="order",status="completed"}'] == 1
    assert found['sagadsl_step_seconds_count{saga="order",status="completed",step="ship"}'] == 1
    assert found['sagadsl_retries_total{saga="order",step="ship",what="do"}'] == 2
    assert not any("approval" in name for name in found if name.startswith("sagadsl_step_seconds"))


def test_an_undo_that_fails_is_counted_and_shows_in_the_gauges_until_somebody_decides(scene: Scene) -> None:
    broken = scene.gateway.folder / "broken"
    broken.touch()
    order = {"order": SECRET, "how": "fail", "broken": str(broken)}
    saga = scene.gateway.start(**order)
    scene.gateway.until(saga, lambda found: found["status"] == "paused")

    scene.until(lambda: scene.worker().get('sagadsl_pauses_total{saga="order",what="undo"}') == 1)
    assert scene.worker()['sagadsl_undo_failures_total{saga="order",step="charge"}'] == 1
    assert scene.worker()['sagadsl_undo_age_seconds_count{saga="order",step="charge"}'] == 1
    scene.until(lambda: saga in scene.gateway.ask("GET", "/sagas?status=paused").text)  # the index lags
    seen = scene.fleet()
    assert seen['sagadsl_open_sagas{saga="order"}'] >= 1
    assert seen['sagadsl_paused_sagas{saga="order"}'] >= 1
    assert seen['sagadsl_oldest_pause_seconds{saga="order"}'] > 0
    assert seen['sagadsl_oldest_paused_undo_seconds{saga="order"}'] > 0
    assert seen["sagadsl_fleet_looked_timestamp_seconds"] > 0
    assert "sagadsl_fleet_whole" in seen
    broken.unlink()
    path = {"step": "charge.compensation", "why": "the bank is back"}
    assert scene.gateway.ask("POST", f"/sagas/{saga}/retry", path).status_code == 200
    scene.gateway.until(saga, lambda found: found["status"] == "compensated")
    scene.until(lambda: 'sagadsl_sagas_ended_total{saga="order",status="compensated"}' in scene.worker())
    found = scene.worker()
    assert found['sagadsl_undo_seconds_count{saga="order",status="done",step="charge"}'] == 1
    assert found['sagadsl_pause_seconds_count{saga="order",what="undo"}'] == 1


def test_labels_are_names_and_never_ids_or_values(scene: Scene) -> None:
    saga = scene.gateway.start(order=SECRET)
    scene.gateway.until(saga, lambda found: found["status"] == "completed")

    pages = httpx2.get(scene.metrics).text + scene.gateway.ask("GET", "/metrics").text
    assert saga not in pages
    assert SECRET not in pages


def test_each_line_of_a_log_is_json_with_saga_step_attempt_and_trace(scene: Scene) -> None:
    saga = scene.gateway.start(order=SECRET, how="flaky")
    scene.gateway.until(saga, lambda found: found["status"] == "completed")

    scene.until(lambda: any("opentelemetry" in each["logger"] for each in scene.lines()))
    lines = scene.lines()
    assert all(each["level"] == "error" for each in lines if "opentelemetry" in each["logger"])
    assert {"time", "level", "logger", "message"} <= lines[0].keys()
    assert [each["message"] for each in lines if each["message"].startswith("ready")]
    (first, second) = (each for each in lines if each.get("saga_id") == saga)
    assert (first["saga"], first["step"], first["activity"], first["attempt"]) == ("order", "ship", "ship", 1)
    assert (second["attempt"], second["level"]) == (2, "warning")
    assert "Busy" in first["message"]
    assert re.fullmatch("[0-9a-f]{32}", first["trace_id"])
    assert first["trace_id"] == second["trace_id"]
    assert first["span_id"] != second["span_id"]
    assert "activity_id" not in first["message"]


def test_what_the_native_part_of_the_sdk_logs_is_json_too(scene: Scene, server: Server) -> None:
    """It tells of each workflow task that fails, here of a saga that no worker knows."""
    where = ("--address", server.address, "-n", APART)
    saga = f"unknown-{uuid.uuid4().hex[:8]}"

    async def start() -> None:
        client = await Client.connect(server.address, namespace=APART)
        await client.start_workflow("nobody-knows", {}, id=saga, task_queue=QUEUE, memo={"saga": "nobody-knows"})

    asyncio.run(start())
    scene.until(lambda: any(each["logger"] == "temporalio.core" for each in scene.lines()))
    assert inside("terminate", saga, "--yes", *where, cwd=scene.gateway.folder).code == 0
