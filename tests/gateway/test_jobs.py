"""One request to many sagas over HTTP: seen first, then carried out at a rate, followed, cancelled, taken over."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from sagadsl.gateway.jobs.orders import workflow_id
from tests.cli.shell import SAGADSL, environment, inside
from tests.conftest import APART, Server
from tests.gateway.house import House, fresh, serve, shop, worker
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal


@pytest.fixture(scope="module")
def counter(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway and a worker in a namespace in which nobody else has sagas."""
    folder = shop(tmp_path_factory.mktemp("jobs"))
    with (
        worker(folder, server.address, "-n", APART),
        serve(folder, server.address, "-n", APART, "--rate", "10000") as house,
    ):
        yield house


def _stuck(house: House, folder: Path, count: int) -> tuple[list[str], Path]:
    """Start sagas whose compensation waits for a decision, and wait until the index knows it; return what they lack."""
    broken = folder / f"broken-{fresh()}"
    broken.touch()
    ids = [house.start(how="fail", broken=str(broken)) for _ in range(count)]

    def waiting() -> set[str]:
        groups = house.ask("GET", "/incidents?error=BankDown").json()["groups"]
        return {each["id"] for group in groups for each in group["incidents"]}

    _until(lambda: waiting() >= set(ids))
    return ids, broken


def _until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def _over(house: House, job: str) -> Mapping[str, Any]:
    """Return a job with all answers once it is over."""

    def look() -> Mapping[str, Any] | None:
        found = house.ask("GET", f"/jobs/{job}?answers=true").json()
        return found if found["state"] not in ("running", "stopping") else None

    found: Mapping[str, Any] = _until(look)
    return found


def test_those_that_wait_because_of_an_error_are_seen_first_and_then_retried(counter: House, tmp_path: Path) -> None:
    """Nothing happens at a dry run; then each saga keeps who and why, and the job has what each has answered."""
    ids, broken = _stuck(counter, tmp_path, 3)
    asked = {"verb": "retry", "error": "BankDown", "with": {"why": "the bank is back", "by": "ann"}}
    seen = counter.ask("POST", "/jobs", asked | {"dry_run": True})
    stood = counter.ask("GET", f"/sagas/{ids[0]}").json()
    broken.unlink()
    begun = counter.ask("POST", "/jobs", asked, Idempotency_Key="night-1")
    again = counter.ask("POST", "/jobs", asked, Idempotency_Key="night-1")
    other = counter.ask("POST", "/jobs", asked | {"rate": 7}, Idempotency_Key="night-1")
    job = begun.json()["id"]
    over = _over(counter, job)

    assert (seen.status_code, seen.json()["count"], stood["status"]) == (200, 3, "paused")
    assert sorted(each["id"] for each in seen.json()["examples"]) == sorted(ids)
    assert seen.json()["kinds"] == [{"name": "order", "step": "charge.compensation", "reason": "BankDown", "count": 3}]
    assert (begun.status_code, begun.headers["Location"]) == (202, f"/jobs/{job}")
    assert (again.status_code, again.json()["id"], again.headers["Idempotent-Replayed"]) == (202, job, "true")
    assert (other.status_code, other.json()["code"]) == (409, "SD952")
    assert (over["state"], over["asked"], over["done"], over["left"]) == ("done", 3, 3, 0)
    assert sorted(each["id"] for each in over["answers"]) == sorted(ids)
    for each in ids:
        ended = counter.until(each, lambda status: not status["is_open"])
        assert ended["status"] == "compensated"
        assert [(action["by"], action["why"]) for action in ended["actions"]] == [("ann", "the bank is back")]
        (line,) = [json.loads(line.partition("sagadsl.audit: ")[2]) for line in counter.audit(each)][1:]
        assert (line["request"], line["action"], line["saga"], line["why"]) == (job, "retry", each, "the bank is back")


def test_named_sagas_get_a_signal_and_each_that_refuses_it_is_told(counter: House) -> None:
    """A refusal of one saga does not stop the others."""
    ids = [counter.start(wait=True) for _ in range(3)]
    for each in ids:
        counter.until(each, lambda status: bool(status.get("waiting_for")))
    counter.ask("POST", f"/sagas/{ids[0]}/cancel")
    counter.until(ids[0], lambda status: not status["is_open"])
    asked = {"verb": "signal", "sagas": [{"id": each} for each in ids], "with": {"signal": "approve", "payload": 1}}
    over = _over(counter, counter.ask("POST", "/jobs", asked).json()["id"])
    unknown = counter.ask("POST", "/jobs", asked | {"sagas": [{"id": ids[1]}, {"id": "nobody"}]})

    assert (over["done"], over["refused"], over["statuses"]) == (2, 1, {"taken": 2})
    assert [(each["id"], each["code"]) for each in over["problems"]] == [(ids[0], "SD924")]
    assert unknown.status_code == 404


def test_a_job_is_followed_by_events_and_a_cancelled_one_asks_nobody_any_more(counter: House) -> None:
    """What has been asked stays asked; the rest is left, and the job says how many."""
    ids = [counter.start(wait=True) for _ in range(6)]
    asked = {"verb": "cancel", "sagas": [{"id": each} for each in ids], "rate": 0.02}
    job = counter.ask("POST", "/jobs", asked).json()["id"]
    _until(lambda: counter.ask("GET", f"/jobs/{job}").json()["done"])
    stopped = counter.ask("POST", f"/jobs/{job}/cancel")
    events = counter.ask("GET", f"/jobs/{job}/events").text
    over = _over(counter, job)

    assert stopped.status_code == 202
    assert events.endswith("event: end\ndata: {}\n\n")
    last = json.loads(events.rpartition("event: progress\ndata: ")[2].partition("\n")[0])
    assert (last["state"], over["state"]) == ("cancelled", "cancelled")
    assert 0 < over["done"] < 6
    assert over["left"] == 6 - over["done"]
    left = {each["id"] for each in over["answers"]} ^ set(ids)
    assert all(counter.ask("GET", f"/sagas/{each}").json()["status"] == "running" for each in left)
    for each in left:
        counter.ask("POST", f"/sagas/{each}/cancel")


def test_another_gateway_goes_on_with_the_job_of_one_that_is_killed(counter: House, tmp_path: Path) -> None:
    """Nobody is left out, and nobody is asked in vain; any gateway tells how far the job is."""
    ids = [counter.start(wait=True) for _ in range(8)]
    for each in ids:
        counter.until(each, lambda status: bool(status.get("waiting_for")))
    with _doomed(shop(tmp_path), counter.address) as (pid, url):
        job = _until(lambda: _begun_at(counter, pid, ids))
        _until(lambda: counter.ask("GET", f"/jobs/{job}").json()["done"] >= 2)
        os.kill(pid, signal.SIGKILL)
    over = _over(counter, job)

    assert (url != counter.url, over["state"], over["left"]) == (True, "done", 0)
    assert (over["done"], over["statuses"]) == (8, {"paused": 8})
    for each in ids:
        status = counter.ask("GET", f"/sagas/{each}").json()
        verbs = [action["verb"] for action in status["actions"]]
        assert verbs.count("pause") - verbs.count("resume") == 1
        counter.ask("POST", f"/sagas/{each}/cancel")


def _begun_at(house: House, pid: int, ids: list[str]) -> str | None:
    """Begin a job; return it if this process works on it, and cancel it otherwise."""
    asked = {"verb": "pause", "sagas": [{"id": each} for each in ids], "rate": 1}
    job = str(house.ask("POST", "/jobs", asked).json()["id"])
    worker_of = _until(lambda: asyncio.run(_works_on(house.address, job)))
    if worker_of.startswith(f"{pid}@"):
        return job
    house.ask("POST", f"/jobs/{job}/cancel")
    for each in {each["id"] for each in _over(house, job)["answers"]}:
        house.ask("POST", f"/sagas/{each}/resume")
    return None


async def _works_on(address: str, job: str) -> str:
    client = await Client.connect(address, namespace=APART)
    described = await client.get_workflow_handle(workflow_id(job)).describe()
    return "".join(each.last_worker_identity for each in described.raw_description.pending_activities)


@contextmanager
def _doomed(folder: Path, address: str) -> Iterator[tuple[int, str]]:
    """Run a gateway that may be killed; give its process id and its address."""
    command = [*SAGADSL, "serve", ".", "--bind", "127.0.0.1:0", "--address", address, "-n", APART]
    with subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            found = re.search(r"gateway at (\S+)", process.stderr.readline())
            assert found is not None
            yield process.pid, found[1]
        finally:
            process.kill()


def _waiting(house: House, count: int = 2, folder: Path | None = None) -> list[str]:
    """Start sagas that wait for a signal; if *folder* is given, with the definition there, as people do."""
    ids = []
    for _ in range(count):
        if folder is None:
            ids.append(house.start(wait=True))
            continue
        ids.append(fresh())
        more = ("--set", "order=1", "--set", "wait=true", "--address", house.address, "-n", APART)
        ran = inside(
            "run", "order.saga.yaml", "--id", ids[-1], "--task-queue", house.queue, "--detach", *more, cwd=folder
        )
        assert ran.code == 0, ran.err
    for each in ids:
        house.until(each, lambda status: bool(status.get("waiting_for")))
    return ids


def _indexed(house: House, asked: Mapping[str, Any], count: int) -> Mapping[str, Any]:
    """Return which sagas a job would ask, once the index knows all of them."""

    def look() -> Mapping[str, Any] | None:
        found = house.ask("POST", "/jobs", {**asked, "dry_run": True}).json()
        return found if found.get("count") == count else None

    found: Mapping[str, Any] = _until(look)
    return found


def _these(ids: list[str]) -> str:
    return f"WorkflowId IN ({', '.join(repr(each) for each in ids)})"


def _done(house: House, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """Carry out a job, and return it with all answers."""
    begun = house.ask("POST", "/jobs", asked)
    assert begun.status_code == 202, begun.text
    return _over(house, begun.json()["id"])


def test_killed_sagas_are_recovered_and_failed_ones_redriven(counter: House, tmp_path: Path) -> None:
    """R31, R45: only what has ended so is chosen; a saga that was taken up already refuses."""
    ids = _waiting(counter)
    for each in ids:
        counter.ask("POST", f"/sagas/{each}/terminate")
    killed = {"verb": "recover", "query": _these(ids), "with": {"why": "killed by mistake"}}
    seen = _indexed(counter, killed, 2)
    recovered = _done(counter, killed)
    for each in ids:
        ended = counter.until(each, lambda status: status["status"] != "terminated" and not status["is_open"])
        assert (ended["status"], ended["actions"][0]["why"]) == ("compensated", "killed by mistake")
    again = _done(counter, {"verb": "recover", "sagas": [{"id": each} for each in ids]})

    failed, broken = _stuck(counter, tmp_path, 2)
    for each in failed:
        counter.ask("POST", f"/sagas/{each}/skip", {"step": "charge.compensation"})
        counter.until(each, lambda status: status["status"] == "failed")
    broken.unlink()
    left = {"verb": "redrive", "query": _these(failed), "error": "AddressInvalid"}
    _indexed(counter, left, 2)
    redriven = _done(counter, left)
    for each in failed:
        assert counter.until(each, lambda status: status["status"] == "compensated")

    assert {each["reason"] for each in seen["kinds"]} == {"terminated"}
    assert (recovered["done"], recovered["statuses"]) == (2, {"being undone": 2})
    assert (again["refused"], {each["code"] for each in again["problems"]}) == (2, {"SD974"})
    assert (redriven["done"], redriven["statuses"]) == (2, {"being undone": 2})


def test_sagas_go_back_to_a_step(counter: House) -> None:
    """R81: each is judged by itself."""
    ids = _waiting(counter)
    over = _done(counter, {"verb": "reset", "sagas": [{"id": each} for each in ids], "with": {"to": "charge"}})
    wrong = _done(counter, {"verb": "reset", "sagas": [{"id": ids[0]}], "with": {"to": "ship"}})

    assert over["done"] == 2
    assert (wrong["refused"], wrong["problems"][0]["code"]) == (1, "SD925")
    for each in ids:
        back = counter.until(each, lambda status: bool(status["actions"]) and bool(status.get("waiting_for")))
        assert [(action["verb"], action["path"]) for action in back["actions"]] == [("reset", "charge")]
        counter.ask("POST", f"/sagas/{each}/cancel")


def test_sagas_migrate_to_the_definition_that_the_gateway_has(counter: House, tmp_path: Path) -> None:
    """R72: the job keeps the digest with which it began; a saga without a definition here refuses the job."""
    older = shop(tmp_path)
    text = (older / "order.saga.yaml").read_text()
    (older / "order.saga.yaml").write_text(text.replace('"1.0.0"', '"0.9.0"'))
    ids = _waiting(counter, folder=older)
    asked = {"verb": "migrate", "sagas": [{"id": each} for each in ids]}
    other = counter.ask("POST", "/jobs", asked | {"with": {"digest": "0"}})
    over, again = _done(counter, asked), _done(counter, asked)
    (older / "order.saga.yaml").write_text(text.replace("name: order", "name: elsewhere", 1))
    (stranger,) = _waiting(counter, 1, older)
    missing = counter.ask("POST", "/jobs", {"verb": "migrate", "sagas": [{"id": stranger}]})

    assert (other.status_code, other.json()["code"]) == (409, "SD953")
    assert (over["done"], over["statuses"], again["statuses"]) == (2, {"migrated": 2}, {"migrated already": 2})
    assert (missing.status_code, missing.json()["code"]) == (404, "SD950")
    for each in (*ids, stranger):
        counter.until(each, lambda status: status["version"] == "1.0.0")
        counter.ask("POST", f"/sagas/{each}/cancel")


def test_jobs_are_listed_the_newest_first(counter: House) -> None:
    (saga,) = _waiting(counter, 1)
    made = [_done(counter, {"verb": verb, "sagas": [{"id": saga}]})["id"] for verb in ("pause", "resume", "cancel")]

    def listed() -> list[Mapping[str, Any]] | None:
        found = counter.ask("GET", "/jobs").json()["jobs"]
        done = {each["id"] for each in found if each["state"] == "done"}
        return found if done >= set(made) else None

    found = _until(listed)
    first = counter.ask("GET", "/jobs?limit=1").json()
    second = counter.ask("GET", f"/jobs?limit=1&page={first['next_page']}").json()
    told = [each["id"] for each in found if each["id"] in made]

    assert told == made[::-1]
    assert [each["started_at"] for each in found] == sorted((each["started_at"] for each in found), reverse=True)
    assert [each["id"] for each in (*first["jobs"], *second["jobs"])] == [each["id"] for each in found[:2]]
    assert (found[0]["verb"], found[0]["who"], found[0]["asked"]) == ("cancel", "anybody", 1)
    assert counter.ask("GET", "/jobs?limit=0").status_code == 400
    assert counter.ask("PUT", "/jobs").headers["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"verb": "retry"}, "does not say which sagas"),
        ({"verb": "explode", "name": "order"}, "not what a job can ask"),
        ({"verb": "signal", "name": "order"}, "lacks `signal`"),
        ({"verb": "retry", "name": "order", "with": {"signal": "x"}}, "not such a request"),
        ({"verb": "retry", "name": "order", "sagas": [{"id": "a"}]}, "nothing else can choose"),
        ({"verb": "cancel", "name": "order", "rate": 0}, "`rate`"),
        ({"verb": "cancel", "status": "completed"}, "`status`"),
        ({"verb": "recover", "status": "running"}, "`status`"),
        ({"verb": "redrive", "error": "BankDown", "with": None}, "`with`"),
        ({"verb": "reset", "name": "order"}, "lacks `to`"),
        ({"verb": "redrive", "name": "order", "with": {"undo": False, "from": "charge"}}, "`undo` and `from`"),
        ({"verb": "recover", "name": "order", "with": {"forward": 1}}, "`forward`"),
        ({"verb": "signal", "name": "order", "with": {"signal": "x", "payload": "y" * 20_000}}, "more than"),
    ],
)
def test_what_is_no_job_is_refused_and_says_why(counter: House, body: Any, says: str) -> None:
    answer = counter.ask("POST", "/jobs", body)

    assert (answer.status_code, answer.json()["code"]) == (422, "SD953")
    assert says in answer.json()["detail"]


def test_a_filter_that_the_server_refuses_is_the_callers_mistake(counter: House) -> None:
    answer = counter.ask("POST", "/jobs", {"verb": "cancel", "query": "Nothing ~ 7", "dry_run": True})

    assert (answer.status_code, answer.json()["code"]) == (400, "SD906")
