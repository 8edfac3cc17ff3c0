"""The page about Nexus does what it shows: its endpoint, its handler, its saga and its suite."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
import sys
import types
import uuid
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from sagadsl.language.load import load
from sagadsl.language.own_errors import NEXUS_ENDPOINT_NOT_FOUND
from sagadsl.temporal import client as sagas
from sagadsl.temporal.client import Started
from sagadsl.trial.runner import run, virtual
from sagadsl.trial.suite import load_suite
from tests.cli.shell import sagadsl
from tests.conftest import Server
from tests.engine.scenes import gives, no, saga
from tests.patience import PATIENCE
from tests.temporal.nexus_handler import Desk, create_endpoint, delete_endpoint, serving
from tests.temporal.play import Played, Stage, data, playing
from tests.temporal.test_nexus import nexus

PAGE = (Path(__file__).parents[2] / "docs" / "nexus.md").read_text("utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.M | re.S)
YAML = [text for kind, text in BLOCKS if kind == "yaml"]
(SHELL,) = (text for kind, text in BLOCKS if kind == "sh")
(PYTHON,) = (text for kind, text in BLOCKS if kind == "python")
ORDER, SUITE = YAML[0], YAML[-1]


@pytest.mark.parametrize("block", YAML[:-1], ids=range(len(YAML) - 1))
def test_every_definition_of_the_page_is_one(block: str) -> None:
    head = "sagadsl: 1\nname: example\ntimeout: 1h\nsteps:\n"
    loaded = load(head + block if block.startswith("- ") else block)

    assert [(finding.code, finding.message) for finding in loaded.errors] == []


def test_the_suite_of_the_page_passes(tmp_path: Path) -> None:
    (tmp_path / "nexus-order.saga.yaml").write_text(ORDER, encoding="utf-8")
    path = tmp_path / "nexus-order.saga-test.yaml"
    path.write_text(SUITE, encoding="utf-8")

    assert [(result.name, result.passed) for result in run([load_suite(path)], virtual(None))] == [
        ("what was charged is refunded", True)
    ]


def test_the_page_names_the_error_of_a_missing_endpoint() -> None:
    assert f"`{NEXUS_ENDPOINT_NOT_FOUND}`" in PAGE


@pytest.fixture(scope="module")
def endpoint(server: Server) -> str:
    """The endpoint that the command of the page makes, under a name of this run's own; its queue has the same name."""
    name = f"payments-{uuid.uuid4().hex[:8]}"
    command = SHELL.replace("payments-nexus", name).replace("--name payments", f"--name {name}")
    program, *arguments = shlex.split(command)
    binary = str(Path(sys.executable).with_name(program))
    subprocess.run([binary, *arguments, "--address", server.address], check=True, capture_output=True)
    return name


@pytest.mark.temporal
@pytest.mark.parametrize(
    ("amount", "truck", "status"),
    [(5, gives("sent"), "completed"), (5, no("NoTruck"), "compensated"), (5000, no(), "compensated")],
    ids=["well", "undone", "refused"],
)
def test_the_handler_of_the_page_charges_once_and_refunds(
    server: Server, endpoint: str, amount: int, truck: Any, status: str
) -> None:
    module = types.ModuleType("payments_of_the_page")
    sys.modules[module.__name__] = module
    exec(compile(PYTHON, "nexus.md", "exec", dont_inherit=True), module.__dict__)
    definition = data(ORDER.replace("endpoint: payments", f"endpoint: {endpoint}"))

    async def played() -> Played:
        client = await Client.connect(server.address)
        async with Worker(client, task_queue=endpoint, nexus_service_handlers=[module.PaymentsHandler()]):
            return await playing(server.address, definition, {"parcels.ship": truck}, input_={"amount": amount})

    found = asyncio.run(played())
    assert found.ended.status == status
    assert list(module.charged.values()) == ([5] if status == "completed" else [])
    if amount > 1000:
        assert found.ended.error[0] == "OverLimit"


@pytest.mark.temporal
def test_an_endpoint_that_is_deleted_stops_a_saga_until_it_is_there_again(server: Server) -> None:
    desk, name = Desk(), f"gone-{uuid.uuid4().hex[:12]}"
    wait = {"id": "wait", "wait_for": {"signal": "go", "timeout": "1h"}}
    definition = saga(nexus("one", "charge", name), wait, nexus("two", "charge", name))

    async def delete(made: Stage, started: Started) -> None:
        await made.until_status(started, lambda found: "go" in found["waiting_for"])
        await delete_endpoint(made.client, name)
        await sagas.signal(made.client, started.id, "go")
        stuck = f'the worker cannot go on: BadScheduleNexusOperationAttributes: endpoint "{name}" not found'
        async with asyncio.timeout(PATIENCE):
            while (
                stuck not in (await asyncio.to_thread(sagadsl, "status", started.id, "--address", server.address)).out
            ):
                assert desk.calls == ["one"]
        await create_endpoint(made.client, name, f"q-{name}")

    async def played() -> Played:
        client = await Client.connect(server.address)
        await create_endpoint(client, name, f"q-{name}")
        async with serving(client, desk, f"q-{name}"):
            return await playing(server.address, definition, act=delete)

    assert (asyncio.run(played()).ended.status, desk.calls) == ("completed", ["one", "two"])
