"""What a saga cannot tell by itself: Temporal's own pause, a worker that fails, a kill, a reset."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.cli.shell import inside
from tests.cli.test_operate import QUEUE, Shop, shop
from tests.patience import PATIENCE

__all__ = ["shop"]

pytestmark = pytest.mark.temporal


def temporal(shop: Shop, *arguments: str) -> None:
    """Run a command of Temporal's own."""
    binary = Path(sys.executable).with_name("temporal")
    subprocess.run([binary, *arguments, "--address", shop.address], check=True, capture_output=True, timeout=PATIENCE)


@pytest.fixture
def held(shop: Shop) -> Iterator[str]:
    """A saga that waits for a signal, and that somebody has paused behind its back."""
    saga = shop.start(f"held-{uuid.uuid4()}", wait="true")
    shop.until(saga, lambda status: bool(status.get("waiting_for")))
    temporal(shop, "workflow", "pause", "-w", saga, "--reason", "the bank is down", "--identity", "ann")
    yield saga
    shop.run("terminate", saga, "--yes")


def test_a_workflow_that_temporal_has_paused_is_shown_as_held(shop: Shop, held: str) -> None:
    """And how to release it; the SDK has no word for it, and breaks."""
    shown, explanation = shop.run("status", held), shop.run("explain-run", held)
    trace, waited = shop.run("trace", held), shop.run("result", held, "--timeout", "2")

    assert [each.code for each in (shown, explanation, trace, waited)] == [0, 0, 0, 15]
    lines = shown.out.splitlines()
    assert lines[0] == f"order   id {held}   held"
    assert lines[1].startswith("held by Temporal's own pause by ann since ")
    assert lines[1].endswith(": the bank is down")
    assert lines[2] == "this is what the server knows"
    assert lines[-1] == f"held: temporal workflow unpause --workflow-id {held} {shop.there}"
    assert f"  held: temporal workflow unpause --workflow-id {held} {shop.there}" in explanation.out.splitlines()
    assert "is held by Temporal's own pause" in explanation.out


def test_operators_are_told_that_a_held_saga_takes_nothing_in(shop: Shop, held: str) -> None:
    resumed, retried = shop.run("resume", held), shop.run("retry", held)
    signalled, cancelled = shop.run("signal", held, "approve"), shop.run("cancel", held)

    assert [each.code for each in (resumed, retried, cancelled)] == [4, 4, 0]
    assert signalled.code != 70
    assert "SD928" in resumed.err
    assert f"`temporal workflow unpause --workflow-id {held}`" in resumed.err
    assert cancelled.out == (
        f"asked {held} to stop; it hears of it when it is released: temporal workflow unpause --workflow-id {held}\n"
    )
    temporal(shop, "workflow", "unpause", "-w", held)
    assert shop.run("result", held).code == 12


def test_a_list_with_a_held_saga_in_it_is_a_list(shop: Shop, held: str) -> None:
    deadline = time.monotonic() + PATIENCE
    only = ("list", "--query", f"WorkflowId = '{held}'")
    while "held" not in (ran := shop.run(*only)).out.split():
        assert ran.code == 0, ran.err
        assert time.monotonic() < deadline, ran
        time.sleep(0.2)
    assert held in shop.run(*only, "--status", "held").out
    assert shop.run(*only, "--status", "running").out == ""
    assert shop.run("list").code == 0


@workflow.defn(dynamic=True, sandboxed=False)
class Broken:
    """What a worker with a bug is to a saga: each task of it fails."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> None:
        raise RuntimeError("the deploy of monday cannot read this")


def _output_of(shop: Shop, *command: str) -> str:
    return inside(*command, "--address", shop.address).out


def test_a_worker_that_cannot_go_on_is_told_with_its_message(shop: Shop) -> None:
    """N15: it is not that no worker answers."""
    saga, queue = f"stuck-{uuid.uuid4()}", f"stuck-{uuid.uuid4()}"
    shop.run("run", "order.saga.yaml", "--id", saga, "--task-queue", queue, "--detach", "--set", "order=1")

    async def scenario() -> tuple[str, str]:
        client = await Client.connect(shop.address)
        worker = Worker(client, task_queue=queue, workflows=[Broken], workflow_runner=UnsandboxedWorkflowRunner())
        async with worker:
            while "cannot go on" not in (shown := await asyncio.to_thread(_output_of, shop, "status", saga)):
                await asyncio.sleep(0.2)
            return shown, await asyncio.to_thread(_output_of, shop, "explain-run", saga)

    shown, explanation = asyncio.run(asyncio.wait_for(scenario(), PATIENCE))
    shop.run("terminate", saga, "--yes")
    assert "the worker cannot go on: the deploy of monday cannot read this; attempt " in shown
    assert "Its worker cannot go on: the deploy of monday cannot read this; attempt " in explanation
    assert "no worker answers" not in shown + explanation


def test_a_saga_that_was_terminated_offers_nothing_that_cannot_work(shop: Shop) -> None:
    """R31: what stands, and of what nobody knows."""
    waits, runs = (shop.start(f"killed-{uuid.uuid4()}", **how) for how in ({"wait": "true"}, {"how": "slow"}))
    shop.until(waits, lambda status: bool(status.get("waiting_for")))
    shop.until(
        runs, lambda status: any(step["path"] == "ship" and step["status"] == "running" for step in status["steps"])
    )
    for saga in (waits, runs):
        assert shop.run("terminate", saga, "--yes").code == 0
    shown, explanation = shop.run("status", waits).out, shop.run("explain-run", runs).out.splitlines()

    assert "sagadsl signal" not in shown + shop.run("explain-run", waits).out
    assert shop.status(waits).get("waiting_for", {}) == {}
    assert explanation[0].endswith("was terminated: none of its code ran any more.")
    assert explanation[1:] == [
        "`charge` succeeded.",
        "Nobody knows whether `ship` happened.",
        "Not undone: `charge`.",
        "Nobody knows whether it stands: `ship`.",
        f"`sagadsl recover {runs} {shop.there} --yes` undoes what it has done; with `--forward` it finishes it.",
    ]
    assert "? ship" in shop.run("status", runs).out


def test_incidents_says_how_many_sagas_were_killed_and_left(shop: Shop) -> None:
    """R31: nothing of theirs waits for a person, and what they have done is not undone."""
    killed = shop.start(f"killed-{uuid.uuid4()}", wait="true")
    shop.until(killed, lambda status: bool(status.get("waiting_for")))
    assert shop.run("terminate", killed, "--yes").code == 0
    chosen = ("--query", f"WorkflowId = '{killed}'")
    deadline = time.monotonic() + PATIENCE
    while not (ran := shop.run("incidents", *chosen)).err:  # the index hears of it some time later
        assert time.monotonic() < deadline, ran
        time.sleep(0.2)

    assert (ran.code, ran.out) == (0, "no open saga waits for a person\n")
    said = "nobody has taken up the work of 1 saga that was terminated; it may not be undone"
    assert ran.err == f"{said}: sagadsl list --status terminated {shop.there}\n"
    assert json.loads(shop.run("incidents", *chosen, "--json").out)["killed"] == {"terminated": 1}


def test_a_run_that_was_reset_says_what_the_first_one_had_undone(shop: Shop) -> None:
    """R58: the new run knows nothing of it, and the history of the first one does."""
    saga = shop.start(f"reset-{uuid.uuid4()}", how="fail")
    assert shop.run("result", saga).code == 10
    first = shop.status(saga)["run_id"]
    assert "reset" not in shop.status(saga)
    temporal(shop, "workflow", "reset", "-w", saga, "--type", "FirstWorkflowTask", "--reason", "once more")
    assert shop.run("result", saga).code == 10

    reset = shop.status(saga)["reset"]
    assert (reset["run_id"], reset["done"], reset["undone"]) == (first, ["charge"], ["charge"])
    sentence = "once more; after that point that run had done `charge`; had undone `charge`"
    assert f"from run {first}: " in shop.run("explain-run", saga).out
    assert sentence in shop.run("explain-run", saga).out
    assert sentence in shop.run("status", saga).out


def test_a_quiet_run_says_in_one_line_that_it_has_failed(shop: Shop) -> None:
    options = ("--address", shop.address, "--task-queue", QUEUE, "-q", "--set", "order=1")
    failed = inside("run", "order.saga.yaml", *options, "--set", "how=fail", cwd=shop.folder)
    went_well = inside("run", "order.saga.yaml", *options, cwd=shop.folder)

    assert (failed.code, failed.out) == (10, "")
    assert re.fullmatch(
        r"\S compensated after \d+\.\ds: it failed, and all that was done has been undone \(exit 10\): "
        r"AddressInvalid: carrier rejected address\n",
        failed.err,
    )
    assert (went_well.code, went_well.err) == (0, "")
