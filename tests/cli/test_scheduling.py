"""``sagadsl schedule``, against a real server and a worker process that has the saga."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.shell import SAGADSL, Ran, inside, ready
from tests.conftest import Server
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal

QUEUE = f"schedules-{uuid.uuid4()}"
DEFINITION = """\
sagadsl: 1
name: NAME
task_queue: QUEUE
input: {type: object, required: [region], properties: {region: {type: string}}}
schedule:
  - {id: NAME-eu, cron: "30 4 * * mon-fri", time_zone: Europe/Berlin, overlap: buffer_one, jitter: 5m,
     input: {region: eu}}
  - {id: NAME-us, calendar: {hour: 4, minute: "*/30"}, every: 12h, offset: 5m, catch_up: 1h, input: {region: us}}
steps: [{id: a, set: {region: "{{ input.region }}"}}]
output: "{{ steps.a.output }}"
"""


class Clock:
    """A folder with a scheduled saga of its own name, and a server."""

    def __init__(self, folder: Path, address: str) -> None:
        self.name = f"clock-{uuid.uuid4().hex[:8]}"
        self.file, self.address = folder / f"{self.name}.saga.yaml", address
        self.text = DEFINITION.replace("NAME", self.name).replace("QUEUE", QUEUE)
        self.file.write_text(self.text)

    def ran(self, *arguments: str) -> Ran:
        return inside(*arguments, "--address", self.address, cwd=self.file.parent)

    def schedule(self, *arguments: str, code: int = 0) -> Any:
        """Run a command on schedules and return its JSON."""
        ran = self.ran("schedule", *arguments, "--json")
        assert ran.code == code, ran.err
        return json.loads(ran.out)

    def applied(self, *options: str) -> dict[str, tuple[str, dict[str, tuple[str, str]]]]:
        found = self.schedule("apply", self.file.name, *options)["schedules"]
        return {
            each["id"].removeprefix(f"{self.name}-"): (
                each["outcome"],
                {change["what"]: (change["before"], change["after"]) for change in each["changes"]},
            )
            for each in found
        }

    def listed(self) -> dict[str, dict[str, Any]]:
        found = self.schedule("list")["schedules"]
        return {each["id"]: each for each in found if each["saga"] == self.name}

    def until(self, holds: Callable[[dict[str, dict[str, Any]]], bool]) -> None:
        """Wait until the list *holds*: the server's index lags behind."""
        deadline = time.monotonic() + PATIENCE
        while not holds(found := self.listed()):
            assert time.monotonic() < deadline, found
            time.sleep(0.2)

    def runs(self, status: str) -> list[dict[str, Any]]:
        found = json.loads(self.ran("list", "--name", self.name, "--json").out)["sagas"]
        return [each for each in found if each["status"] == status]


@pytest.fixture
def clock(server: Server, tmp_path: Path) -> Iterator[Clock]:
    made = Clock(tmp_path, server.address)
    yield made
    for id in made.listed():
        made.ran("schedule", "delete", id, "--yes")


def test_applying_says_what_differs_and_once_more_changes_nothing(clock: Clock) -> None:
    """What the server has is compared, and not what somebody remembers."""
    planned = clock.applied("--dry-run")
    assert {name: outcome for name, (outcome, _) in planned.items()} == {"eu": "created", "us": "created"}
    assert clock.schedule("pause", f"{clock.name}-eu", code=2)["error"]["code"] == "SD980", "nothing was made"

    assert clock.applied() == planned
    again = {name: ("unchanged", {}) for name in ("eu", "us")}
    assert clock.applied() == again
    clock.file.write_text(
        clock.text.replace("30 4 * * mon-fri", "30 5 * * 1,2,3-5").replace("region: us", "region: ca")
    )
    changes = {
        "eu": ("changed", {"times": ("`30 4 * * 1-5`", "`30 5 * * 1-5`")}),
        "us": ("changed", {"input": ('{"region":"us"}', '{"region":"ca"}')}),
    }
    assert clock.applied("--dry-run") == changes
    assert clock.applied() == changes
    assert clock.applied() == again


def test_every_kind_of_time_and_policy_is_what_the_server_has(clock: Clock) -> None:
    """Each key is brought to the server, and read back from it."""
    clock.applied()
    bare = (
        clock.text.partition("schedule:")[0]
        + f"schedule: {{id: {clock.name}-us, every: 1h}}\nsteps: [{{id: a, set: {{b: 1}}}}]\n"
    )
    clock.file.write_text(bare.replace("input:", "x-input:"))
    assert clock.applied("--dry-run") == {
        "us": (
            "changed",
            {
                "times": ("`0,30 4 * * *`; every 12h, 5m later", "every 1h"),
                "catch up": ("1h", "365d"),
                "input": ('{"region":"us"}', "{}"),
            },
        )
    }
    clock.file.write_text(bare.replace("input:", "x-input:").replace("-us, every: 1h", "-eu, every: 1h, paused: true"))
    assert clock.applied("--dry-run")["eu"][1] == {
        "times": ("`30 4 * * 1-5`", "every 1h"),
        "time zone": ("Europe/Berlin", "UTC"),
        "overlap": ("buffer_one", "skip"),
        "jitter": ("5m", "0s"),
        "input": ('{"region":"eu"}', "{}"),
        "paused": ("no", "yes"),
    }


def test_operators_pause_resume_and_delete(clock: Clock) -> None:
    """What an operator has paused stays so when the file, which says nothing of it, is applied with a change."""
    clock.applied()
    id = f"{clock.name}-eu"
    assert clock.ran("schedule", "pause", id, "--by", "ann", "--why", "bank is closed").out == f"paused {id}\n"
    clock.file.write_text(clock.text.replace("30 4", "45 4"))
    assert clock.applied()["eu"][0] == "changed"
    clock.until(lambda found: id in found and found[id]["paused"])
    assert clock.listed()[id]["note"] == "bank is closed (by ann)"
    assert clock.listed()[id]["next"] is None
    assert f"‖ {id}: paused (bank is closed (by ann)), starts {clock.name}\n" in clock.ran("schedule", "list").out

    assert clock.schedule("resume", id) == {"schema_version": 1, "id": id, "outcome": "resumed"}
    clock.until(lambda found: not found[id]["paused"] and found[id]["next"] is not None)
    clock.file.write_text(clock.text.replace("input: {region: eu}", "input: {region: eu}, paused: true"))
    assert clock.applied()["eu"][1] == {"paused": ("no", "yes"), "times": ("`45 4 * * 1-5`", "`30 4 * * 1-5`")}
    clock.ran("schedule", "delete", id, "--yes")
    clock.until(lambda found: id not in found)
    for verb in ("pause", "resume", "trigger", "delete"):
        yes = ["--yes"] if verb == "delete" else []
        assert clock.schedule(verb, id, *yes, code=2)["error"]["code"] == "SD980"


def test_a_schedule_starts_what_the_worker_has_with_its_input(clock: Clock) -> None:
    """R48: by its name; what a run is pinned to has no schedule in it, so its digest is that of the file without."""
    clock.applied()
    worker = [*SAGADSL, "worker", clock.file.name, "--address", clock.address]
    with ready(worker, clock.file.parent):
        assert clock.ran("schedule", "trigger", f"{clock.name}-us").code == 0
        deadline = time.monotonic() + PATIENCE
        while not (runs := clock.runs("completed")):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        (run,) = runs
        assert run["id"].startswith(f"{clock.name}-us-20")
        assert json.loads(clock.ran("result", run["id"]).out) == {"region": "us"}


def test_a_schedule_of_somebody_else_is_left_alone(clock: Clock) -> None:
    """Nothing is changed, also no other schedule of the same call."""
    clock.applied()
    other = Clock(clock.file.parent, clock.address)
    other.file.write_text(other.text.replace(f"{other.name}-us", f"{clock.name}-us"))
    ran = other.ran("schedule", "apply", other.file.name)
    assert ran.code == 4
    assert ran.err.splitlines()[0] == (
        f"error[SD981]: schedule `{clock.name}-us` is to start `{other.name}`, "
        f"but on the server it starts `{clock.name}`"
    )
    assert other.schedule("pause", f"{other.name}-eu", code=2)["error"]["code"] == "SD980"
    both = clock.ran("schedule", "apply", ".")
    assert both.code == 2
    assert f"both have a schedule with the id `{clock.name}-us`" in both.err


def test_a_mistake_in_a_file_and_no_schedule_at_all(clock: Clock) -> None:
    clock.file.write_text(clock.text.replace("30 4 * * mon-fri", "30 4 * *"))
    ran = clock.ran("schedule", "apply")
    assert (ran.code, "error[SD120]: `30 4 * *` has 4 fields" in ran.err) == (1, True)
    clock.file.write_text("sagadsl: 1\nname: never\nsteps: [{id: a, set: {b: 1}}]\n")
    ran = clock.ran("schedule", "apply")
    assert (ran.code, ran.out, ran.err) == (0, "", "no definition there has a `schedule`\n")
    assert clock.ran("schedule", "delete", "x").code == 2, "nobody there to ask"
