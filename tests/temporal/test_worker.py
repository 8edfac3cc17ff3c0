"""Workers: ours, and somebody else's with our plugin."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from datetime import timedelta
from importlib.metadata import version
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.exceptions import ApplicationError
from temporalio.plugin import SimplePlugin
from temporalio.worker import Worker, WorkerConfig, WorkerDeploymentConfig

from sagadsl.plugins.catalogue import Catalogue
from sagadsl.temporal.client import start
from sagadsl.temporal.read.runs import result
from sagadsl.temporal.run.knowledge import Knowledge
from sagadsl.temporal.worker import SagaPlugin, build_worker
from tests.conftest import Server
from tests.engine.scenes import act, plain, saga
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]


@workflow.defn
class Own:
    """Somebody's own workflow, in the SDK's sandbox."""

    @workflow.run
    async def run(self, name: str) -> str:
        answer: str = await workflow.execute_activity("own.greet", name, start_to_close_timeout=timedelta(seconds=5))
        return answer


@activity.defn(name="own.greet")
async def greet(name: str) -> str:
    return f"hello {name}"


def test_a_plugin_brings_sagas_to_a_worker_that_is_there_already(server: Server) -> None:
    """In the sandboxed worker of a user, beside its own workflows and activities."""
    definition = saga(
        {"id": "hi", "activity": "own.greet", "input": "{{ input.who }}", "compensation": "none"}, name="g"
    )
    queue = f"own-{uuid.uuid4()}"

    async def scenario() -> tuple[str, Any, Any]:
        client = await Client.connect(server.address)
        own = Worker(
            client, task_queue=queue, workflows=[Own], activities=[greet], plugins=[SagaPlugin({"g": definition})]
        )
        async with own, asyncio.timeout(PATIENCE):
            theirs = await client.execute_workflow(Own.run, "ann", id=f"own-{uuid.uuid4()}", task_queue=queue)
            inline = await start(client, definition, {"who": "bob"}, task_queue=queue)
            named = await start(client, definition, {"who": "cid"}, task_queue=queue, by_name=True)
            return theirs, (await result(client, inline.id)).output, (await result(client, named.id)).output

    theirs, inline, named = asyncio.run(scenario())
    assert theirs == "hello ann"
    assert inline == {"hi": "hello bob"}
    assert named == {"hi": "hello cid"}


def test_the_halves_of_a_worker_work_together(server: Server) -> None:
    """One process holds the sagas, another one the activities."""

    async def scenario() -> str:
        async with (
            stage(server.address, only="workflows", activities=[], definitions=[saga(act("a"), name="one")]) as sagas_,
            stage(server.address, only="activities", queue=sagas_.queue) as activities,
        ):
            started = await sagas_.start(saga(act("a"), name="one"), by_name=True)
            ended = await sagas_.end(started)
            assert activities.begun == ["a"]
            return ended.status

    assert asyncio.run(scenario()) == "completed"


def test_the_activities_of_a_catalogue_are_served_and_plain_functions_run_in_threads(server: Server) -> None:
    async def scenario() -> Any:
        client = await Client.connect(server.address)
        catalogue = Catalogue(modules=["tests.temporal.plugin_for_worker"])
        async with build_worker(client, task_queue=(queue := f"w-{uuid.uuid4()}"), catalogue=catalogue):
            definition = saga(plain("a", activity="worker.where"), name="one")
            started = await start(client, definition, None, task_queue=queue)
            return (await result(client, started.id)).output

    assert asyncio.run(scenario()) == {"a": "activity"}


def test_a_worker_tells_the_server_its_release_as_its_build(server: Server) -> None:
    """The SDK's own digest of all modules takes a tenth of a second at each start, and says nothing to a reader."""

    async def scenario() -> list[str]:
        async with stage(server.address) as made:
            started = await made.start(saga(act("a"), name="one"))
            await made.end(started)
            history = await made.client.get_workflow_handle(started.id).fetch_history()
            done = [each.workflow_task_completed_event_attributes for each in history.events]
            return [each.worker_version.build_id for each in done if each.worker_version.build_id]

    assert set(asyncio.run(scenario())) == {f"sagadsl-{version('sagadsl')}"}


def test_a_plugin_may_say_of_which_deployment_version_a_worker_is(server: Server) -> None:
    """The SDK takes a build id or a deployment version, and not both."""
    version_ = WorkerDeploymentVersion(deployment_name="ours", build_id="7")

    class Versioned(SimplePlugin):
        def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
            configured = super().configure_worker(config)
            configured["deployment_config"] = WorkerDeploymentConfig(version=version_, use_worker_versioning=False)
            return configured

    async def scenario() -> Any:
        client = await Client.connect(server.address)
        return build_worker(client, task_queue="versioned", plugins=[Versioned("versioned")]).config(active_config=True)

    assert asyncio.run(scenario())["deployment_config"].version == version_


def test_an_unknown_activity_is_named_with_what_was_probably_meant() -> None:
    """R15."""
    error = Knowledge((), ["bank.pay", "bank.refund"]).without_activity("bank.pya")
    assert isinstance(error, ApplicationError)
    assert error.message == (
        "activity `bank.pya` is not installed on this worker; installed: `bank.pay`, `bank.refund`; "
        "did you mean `bank.pay`?"
    )


def test_a_long_list_of_installed_activities_is_cut() -> None:
    assert Knowledge((), [f"a{number}" for number in range(60)]).without_activity("x").message.endswith("and 10 more")


def test_what_judges_schemas_is_imported_before_a_task_comes() -> None:
    """Beside some packages that import takes seconds; a workflow task in which it begins would be taken for dead."""
    program = "import sys, sagadsl.temporal.worker; print('jsonschema' in sys.modules)"
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)

    assert ended.stdout == "True\n"
