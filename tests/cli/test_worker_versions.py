"""Workers as versions of a deployment: made current, ramped and drained by the commands of Temporal's own tool."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import SAGADSL, Ran, inside, ready
from tests.cli.shop import lay_out
from tests.conftest import Server
from tests.patience import PATIENCE

TEMPORAL = Path(sys.executable).with_name("temporal")


@dataclass(frozen=True, slots=True)
class Fleet:
    """A folder with a definition, a server, and a queue that is also the name of a deployment."""

    folder: Path
    address: str
    name: str

    def run(self, *arguments: str) -> Ran:
        return inside(*arguments, "--address", self.address, cwd=self.folder)

    def worker(self, build: str) -> list[str]:
        """Return the command of a worker of a build."""
        version = ("--deployment", self.name, "--build-id", build)
        return [*SAGADSL, "worker", "--task-queue", self.name, *version, "--drain", "1", "--address", self.address]

    def temporal(self, *arguments: str) -> str:
        """Run Temporal's own tool, again while the server has not heard of a new worker."""
        command = [str(TEMPORAL), *arguments, "--address", self.address]
        deadline = time.monotonic() + PATIENCE
        while True:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
            if ended.returncode == 0:
                return ended.stdout
            assert time.monotonic() < deadline, ended.stderr
            time.sleep(0.3)

    def make_current(self, build: str) -> None:
        """Let a build get the new sagas, and wait until the queue has heard of it."""
        of = ("--deployment-name", self.name, "--build-id", build)
        self.temporal("worker", "deployment", "set-current-version", *of, "--yes")
        deadline = time.monotonic() + PATIENCE
        while f"build {build} of {self.name} is current" not in (ran := self.doctor()).out or ran.code:
            assert time.monotonic() < deadline, ran
            time.sleep(0.2)

    def doctor(self) -> Ran:
        return self.run("doctor", "--task-queue", self.name)

    def start(self) -> str:
        """Start a saga that waits for approval, and return its id once it does."""
        saga = f"{self.name}-{uuid.uuid4().hex[:8]}"
        sets = ("--set", "order=1", "--set", "wait=true")
        begun = self.run("run", "order.saga.yaml", "--id", saga, "--task-queue", self.name, "--detach", *sets)
        assert begun.code == 0, begun.err
        deadline = time.monotonic() + PATIENCE
        while not self.status(saga).get("waiting_for"):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        return saga

    def status(self, saga: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("status", saga, "--json").out)
        return found

    def approve(self, saga: str) -> None:
        ran = self.run("signal", saga, "approve")
        assert ran.code == 0, ran.err


@pytest.fixture
def fleet(server: Server, tmp_path: Path) -> Fleet:
    return Fleet(lay_out(tmp_path), server.address, f"fleet-{uuid.uuid4().hex[:8]}")


@pytest.mark.temporal
def test_a_rollout_by_ramp_and_drain(fleet: Fleet) -> None:
    """R138: a pinned saga ends on its build; when no worker of it is left, status says how another build takes it."""
    with ready(fleet.worker("two"), fleet.folder):
        with ready(fleet.worker("one"), fleet.folder):
            deadline = time.monotonic() + PATIENCE
            while "no build of" not in (before := fleet.doctor()).out:
                assert time.monotonic() < deadline, before
                time.sleep(0.2)
            assert before.code == 3
            assert f"temporal worker deployment set-current-version --deployment-name {fleet.name} " in before.out

            fleet.make_current("one")
            first, last = fleet.start(), fleet.start()
            here = {"deployment": fleet.name, "build_id": "one", "versioning": "pinned"}
            assert fleet.status(first)["workers"] == here
            of_two = ("--deployment-name", fleet.name, "--build-id", "two")
            fleet.temporal("worker", "deployment", "set-ramping-version", *of_two, "--percentage", "25", "--yes")
            assert "; build two gets 25 % of the new sagas" in fleet.doctor().out

            fleet.make_current("two")
            assert "; build one is drain" in fleet.doctor().out
            newer = fleet.start()
            assert fleet.status(newer)["workers"]["build_id"] == "two"
            fleet.approve(first)
            assert fleet.run("result", first).code == 0
            shown = fleet.run("status", first).out
            assert f"\nworkers: deployment {fleet.name}, build one, pinned\n" in shown

        fleet.temporal("workflow", "signal", "--workflow-id", last, "--name", "approve")
        deadline = time.monotonic() + PATIENCE
        while "pinned to build one: no worker of another build takes it" not in (
            stays := fleet.run("status", last).out
        ):
            assert time.monotonic() < deadline, stays
            time.sleep(0.5)
        moving = f"temporal workflow update-options --workflow-id {last} --versioning-override-behavior auto_upgrade"
        assert f"\n   {moving}" in stays
        fleet.temporal(*moving.split()[1:])
        assert fleet.run("result", last).code == 0
        assert fleet.status(last)["workers"] == {**here, "build_id": "two", "versioning": "auto-upgrade"}


@pytest.mark.temporal
def test_before_the_first_build_is_current_workers_without_a_version_get_the_sagas(fleet: Fleet) -> None:
    plain = [*SAGADSL, "worker", "--task-queue", fleet.name, "--drain", "1", "--address", fleet.address]
    with ready(plain, fleet.folder), ready(fleet.worker("one"), fleet.folder):
        said = f"no build of {fleet.name} is current, so only workers without a version get new sagas"
        deadline = time.monotonic() + PATIENCE
        while said not in (found := fleet.doctor()).out:
            assert time.monotonic() < deadline, found
            time.sleep(0.2)
        assert found.code == 0
        assert f"temporal worker deployment set-current-version --deployment-name {fleet.name} " in found.out
        fleet.start()


@pytest.mark.temporal
def test_a_saga_goes_over_by_itself_when_its_worker_is_told(fleet: Fleet) -> None:
    """R139."""
    with ExitStack() as workers:
        for build in ("one", "two"):
            workers.enter_context(ready([*fleet.worker(build), "--versioning", "on-continue"], fleet.folder))
        fleet.make_current("one")
        saga = fleet.start()
        run = fleet.status(saga)["run_id"]
        fleet.make_current("two")
        fleet.approve(saga)
        assert fleet.run("result", saga).code == 0
        after = fleet.status(saga)
        assert (after["workers"]["build_id"], after["workers"]["versioning"]) == ("two", "pinned")
        assert after["run_id"] != run


@pytest.mark.temporal
def test_a_worker_serves_two_versions_of_a_definition(fleet: Fleet) -> None:
    """R140: two files of one name and of one version are refused as before."""
    both = fleet.folder / "both"
    both.mkdir()
    for version in ("9", "10"):
        text = f'sagadsl: 1\nname: two\nversion: "{version}"\nsteps: [{{id: a, set: {{of: "{version}"}}}}]\n'
        (both / f"two.{version}.saga.yaml").write_text(text + 'output: "{{ steps.a.output.of }}"\n')
    serving = [*SAGADSL, "worker", "both", "--task-queue", fleet.name, "--address", fleet.address]
    with ready(serving, fleet.folder):
        for name, output in (("two", "10"), ("two@9", "9"), ("two@10", "10")):
            ran = fleet.run("run", name, "--task-queue", fleet.name, "--json")
            assert (ran.code, json.loads(ran.out)["output"]) == (0, output)
    assert json.loads(inside("run", "two@9", "--json", cwd=both).out)["output"] == "9"
    (both / "again.saga.yaml").write_text(text)
    refused = fleet.run("worker", "both")
    assert refused.code == 3
    assert "saga `two@10` is defined in " in refused.err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--deployment", "a"), "`--deployment` and `--build-id` go together"),
        (("--build-id", "a"), "`--deployment` and `--build-id` go together"),
        (("--versioning", "auto-upgrade"), "`--versioning` is for a worker with"),
        (("--deployment", "a.b", "--build-id", "1"), "Temporal takes no name with a dot or a colon"),
        (("--deployment", "a", "--build-id", "1" * 256), "`--build-id` has 256 characters, and may have 255"),
    ],
)
def test_a_version_has_both_names_and_both_can_be_used(options: tuple[str, ...], why: str) -> None:
    ran = inside("worker", *options)
    assert (ran.code, ran.out) == (2, "")
    assert why in ran.err
