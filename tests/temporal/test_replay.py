"""What goes over to another worker or to another run, on a real server: a replay, a release, continue-as-new."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHistory

from sagadsl.temporal import client as sagas
from sagadsl.temporal.client import Started
from sagadsl.temporal.run import accepting
from tests.conftest import Server
from tests.engine.scenes import act, beats, no, plain, saga, slow
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, Played, Stage, cancelling, play, replayer, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]


def _drained(played: Played) -> bool:
    """Whether the end was in another run than the beginning."""
    return str(played.status["run_id"]) != played.started.run_id


def test_continue_as_new_goes_on_where_it_was(where: dict[str, Any]) -> None:
    """R34, R50: the journal goes along, so that the undo reaches over it."""
    steps = [act(f"s{number}") for number in range(6)]
    definition = saga(*steps, name="long", timeout="1h")
    played = play(
        definition=definition,
        script={"do.s5": no()},
        options={"continue_after_events": 12},
        **where,
    )

    assert _drained(played)
    assert played.ended.status == "compensated"
    assert [each for each in played.calls if "." not in each] == [f"s{number}" for number in range(6)]
    assert [each for each in played.calls if "." in each] == [f"s{number}.compensation" for number in (4, 3, 2, 1, 0)]


def test_a_cancel_survives_continue_as_new(where: dict[str, Any]) -> None:
    """R50: the new run does not get the old run's cancel, and still closes Canceled."""
    steps = [act(f"s{number}") for number in range(5)]
    definition = saga(*steps, beats("last"), name="long")
    played = play(
        definition=definition,
        script={"do.last": slow(60)},
        act=cancelling("last"),
        options={"continue_after_events": 9},
        **where,
    )

    assert _drained(played)
    assert played.ended.status == "cancelled"
    assert played.calls[-6:] == ["last.compensation", *(f"s{number}.compensation" for number in (4, 3, 2, 1, 0))]


def test_signals_go_along_with_continue_as_new(server: Server) -> None:
    """R50, R59."""
    steps = [plain(f"s{number}") for number in range(4)]
    definition = saga(
        *steps, {"id": "wait", "wait_for": {"signal": "go"}}, name="long", output="{{ steps.wait.output }}"
    )

    async def early(made: Stage, started: Started) -> None:
        await sagas.signal(made.client, started.id, "go", 42)
        await sagas.signal(made.client, started.id, "nix", 1)

    played = play(server.address, definition, act=early, options={"continue_after_events": 9})

    assert _drained(played)
    assert played.ended.output == 42
    assert [each["signal"] for each in played.status["refused_signals"]] == ["nix"]


def test_a_run_whose_client_names_no_rules_keeps_those_that_it_began_with(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that began under the second rules gives their commands, to the worker of a later release too."""
    bad = {"id": "bad", "fail": {"type": "Bad", "message": "no"}}
    definition = saga({"id": "both", "parallel": [act("a", local=True), bad]}, name="unsaid")
    monkeypatch.setattr(accepting, "_RULES", {2: "sagadsl.rules.2"})

    async def scenario() -> tuple[list[str], WorkflowHistory]:
        async with stage(server.address) as made:
            envelope = {"sagadsl": 1, "definition": definition}
            handle = await made.client.start_workflow(
                "unsaid", args=[None, envelope], id=f"t-{uuid.uuid4()}", task_queue=made.queue
            )
            with pytest.raises(WorkflowFailureError):
                await handle.result()
            return made.begun, await handle.fetch_history()

    calls, history = asyncio.run(scenario())
    assert calls == ["both/a.compensation"]

    monkeypatch.undo()
    asyncio.run(replayer().replay_workflow(history))


_REPLAY = """
import asyncio, sys
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from sagadsl.temporal.run.workflow import SagaWorkflow
replayer = Replayer(workflows=[SagaWorkflow], workflow_runner=UnsandboxedWorkflowRunner())
asyncio.run(replayer.replay_workflow(WorkflowHistory.from_json("t-wide", open(sys.argv[1]).read())))
print("replayed", flush=True)
import os
os._exit(0)
"""


def test_branches_that_end_together_replay_whatever_the_order_of_hashes(server: Server, tmp_path: Path) -> None:
    """Twenty branches, two of which fail in one workflow task, replayed by processes with other hash seeds."""
    branches = [act(f"b{number}") for number in range(20)]
    definition = saga({"id": "all", "parallel": branches, "on_branch_failure": "wait"}, name="wide")
    file = tmp_path / "history.json"

    async def scenario() -> None:
        async with stage(server.address, {"do.b3": no("Three"), "do.b9": no("Nine")}) as made:
            started = await made.start(definition, id="t-wide", again=True)
            assert (await made.end(started)).status == "compensated"
            history = await made.client.get_workflow_handle(started.id).fetch_history()
            file.write_text(history.to_json())

    asyncio.run(scenario())
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", _REPLAY, str(file)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE)
        assert done.stdout == "replayed\n", done.stderr
