"""A misspelt id, name or file is one error, which names what was probably meant."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import PauseWorkflowExecutionRequest
from temporalio.client import Client

from tests.cli.shell import SAGADSL, inside, ready, sagadsl
from tests.cli.shop import lay_out
from tests.conftest import Server
from tests.patience import PATIENCE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lay_out(tmp_path_factory.mktemp("misspelt"))


@pytest.fixture(scope="module")
def queue(folder: Path, server: Server) -> Iterator[str]:
    """The task queue of a worker that has the shop's saga."""
    name = f"misspelt-{uuid.uuid4()}"
    with ready([*SAGADSL, "worker", ".", "--task-queue", name, "--address", server.address], folder):
        yield name


@pytest.mark.temporal
@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("trace",),
        ("explain-run",),
        ("result",),
        ("cancel",),
        ("signal", "approval"),
        ("skip", "ship"),
        ("query", "q"),
        ("graph", "--run"),
    ],
    ids=" ".join,
)
def test_the_id_that_was_meant_is_named(folder: Path, server: Server, queue: str, command: tuple[str, ...]) -> None:
    saga = f"trip-{uuid.uuid4().hex}"
    served = ("--task-queue", queue, "--address", server.address)
    assert sagadsl("run", "order", "--id", saga, "--set", "order=1", "-q", *served, cwd=folder).code == 0
    _until_listed(saga, server)

    name, *more = command
    wrong = saga.replace("trip", "trp")
    words = (name, *more, wrong) if name == "graph" else (name, wrong, *more)
    ran = inside(*words, "--address", server.address, cwd=folder)
    assert ran.code == 2
    assert ran.err.startswith(f"error[SD923]: no saga `{wrong}` in namespace `default`\n")
    assert f"= help: did you mean `{saga}`?\n" in ran.err
    assert ran.err.count("error") == 1


@pytest.mark.temporal
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ordr", "knows saga `ordr`: it has `order`\n   = help: did you mean `order`?\n"),
        ("order@9.0.0", "knows saga `order@9.0.0`: it has `order@1.0.0`\n   = help: did you mean `order@1.0.0`?\n"),
        ("nobody", "knows saga `nobody`: it has `order`\n   = help: name its file, or start a worker"),
    ],
)
def test_a_name_that_no_worker_knows_is_one_error_at_once(
    folder: Path, server: Server, queue: str, name: str, message: str
) -> None:
    saga = f"never-{uuid.uuid4()}"
    served = ("--task-queue", queue, "--address", server.address)
    ran = inside("run", name, "--id", saga, *served, cwd=folder)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error[SD929]: no worker of task queue ")
    assert message in ran.err
    assert inside("status", saga, "--address", server.address).code == 2  # nothing was started


@pytest.mark.temporal
def test_a_version_that_a_worker_has_is_started(folder: Path, server: Server, queue: str) -> None:
    served = ("--task-queue", queue, "--address", server.address)
    ran = sagadsl("run", "order@1.0.0", "--set", "order=1", "-q", *served, cwd=folder)
    assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ordr", "in this folder or below; did you mean `order`?"),
        ("order@1.0", "in this folder or below; did you mean `order@1.0.0`?"),
        ("oder.saga.yaml", "there is no file `oder.saga.yaml`; did you mean `order.saga.yaml`?"),
    ],
)
def test_a_name_and_a_file_of_this_folder_are_suggested(folder: Path, name: str, message: str) -> None:
    ran = inside("run", name, cwd=folder)
    assert ran.code == 2
    assert ran.err.rstrip().endswith(message)


FOLDERS = {
    "definitions/order.saga.yaml": "sagadsl: 1\nname: order\nsteps:\n  - {id: a, sleep: 1s}\n",
    "definitions/policies.yaml": "sagadsl_library: 1\npolicies: {}\n",
    "definitions/uses.saga.yaml": (
        "sagadsl: 1\nname: uses\nimports: {p: ./polices.yaml}\nsteps:\n  - {id: a, sleep: 1s}\n"
    ),
    "definitions/order.saga-test.yaml": "sagadsl_test: 1\nsaga: order.saga.yaml\ncases: []\n",
    "inputs/small.json": "{}",
    "guide.md": "# Guide\n",
}


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("validate definitons", "definitions"),
        ("validate definitons/order.saga.yaml", "definitions/order.saga.yaml"),
        ("validate definitions/ordr.saga.yaml", "definitions/order.saga.yaml"),
        ("validate definitions/order.yaml", "definitions/order.saga.yaml"),
        ("validate definitions/ordr.saga.yaml#order", "definitions/order.saga.yaml#order"),
        ("validate definitions/uses.saga.yaml", "./policies.yaml"),
        ("diff definitions/ordr.saga.yaml definitions/order.saga.yaml", "definitions/order.saga.yaml"),
        ("graph definitions/ordr.saga.yaml", "definitions/order.saga.yaml"),
        ("graph inject guid.md", "guide.md"),
        ("simulate definitions/ordr.saga.yaml", "definitions/order.saga.yaml"),
        ("simulate definitions/order.saga.yaml -i @inputs/smal.json", "inputs/small.json"),
        ("explore definitions/ordr.saga.yaml", "definitions/order.saga.yaml"),
        ("test definitons", "definitions"),
        ("test definitions/ordr.saga-test.yaml", "definitions/order.saga-test.yaml"),
        ("run definitions/ordr.saga.yaml", "definitions/order.saga.yaml"),
        ("new suite definitions/ordr.saga.yaml", "definitions/order.saga.yaml"),
        ("worker definitons --address 127.0.0.1:1", "definitions"),
        ("replay definitons", "definitions"),
        ("list --status complted", "completed"),
        ("validate --formt json", "--format"),
        ("schedule lst", "list"),
        ("completion bsh", "bash"),
    ],
)
def test_what_was_meant_by_a_path_a_word_or_an_option_is_named(tmp_path: Path, words: str, meant: str) -> None:
    for name, text in FOLDERS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    ran = inside(*words.split(), cwd=tmp_path)
    assert ran.code != 0
    assert f"did you mean `{meant}`?" in ran.err + ran.out
    assert "internal error" not in ran.err


def test_a_path_that_nothing_is_like_gets_no_suggestion(tmp_path: Path) -> None:
    """The ends of the names are alike: they do not count."""
    (tmp_path / "order.saga.yaml").write_text(FOLDERS["definitions/order.saga.yaml"])
    ran = inside("validate", "trip.saga.yaml", cwd=tmp_path)
    assert "`trip.saga.yaml`: there is no such file or folder" in ran.out
    assert "did you mean" not in ran.out


@pytest.mark.temporal
@pytest.mark.parametrize(
    "command", ["list", "incidents", "retry --all-of --yes", "replay", "history export --to there"], ids=str
)
def test_a_name_of_a_definition_that_chooses_nothing(
    folder: Path, server: Server, queue: str, tmp_path: Path, command: str
) -> None:
    saga, name = f"named-{uuid.uuid4().hex}", f"shop-{uuid.uuid4().hex[:12]}"
    (tmp_path / "named.saga.yaml").write_text(f"sagadsl: 1\nname: {name}\nsteps:\n  - {{id: a, sleep: 1h}}\n")
    served = ("--address", server.address)
    started = inside("run", "named.saga.yaml", "--id", saga, "--detach", *served, cwd=tmp_path)
    assert started.code == 0, started
    _until_listed(saga, server)
    words = command.replace(" --all-of", "").split()
    ran = inside(*words, "--name", name[:-1], *served, cwd=tmp_path)
    assert f"none of the newest sagas is called `{name[:-1]}`; did you mean `--name {name}`?" in ran.err, ran
    assert inside("terminate", saga, "--yes", *served).code == 0


def test_a_saga_of_this_folder_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    text = "sagadsl: 1\nname: shut\nsteps:\n  - {id: pay, activity: nobody.has_it, compensation: none}\n"
    (tmp_path / "shut.saga.yaml").write_text(text)
    ran = inside("run", "shut", cwd=tmp_path)
    assert ran.code == 1
    assert ran.err.startswith(
        "error[SD401]: no activity named `nobody.has_it` is installed\n  --> shut.saga.yaml:4:25 in step `pay`\n"
    )


def _until_listed(saga: str, server: Server) -> None:
    """Wait until the server's index knows a saga: it lags."""
    deadline = time.monotonic() + PATIENCE
    while saga not in {each["id"] for each in _listed(server)}:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _listed(server: Server) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(inside("list", "--json", "--address", server.address).out)["sagas"]
    return found


@pytest.mark.temporal
def test_a_misspelt_id_while_temporal_itself_holds_a_saga(server: Server, queue: str, tmp_path: Path) -> None:
    """The SDK cannot list such a saga."""
    saga = f"held-{uuid.uuid4().hex}"
    served = ("--address", server.address)
    (tmp_path / "held.saga.yaml").write_text("sagadsl: 1\nname: held\nsteps:\n  - {id: a, sleep: 1h}\n")
    started = inside("run", "held.saga.yaml", "--id", saga, "--detach", *served, cwd=tmp_path)
    assert started.code == 0, started

    async def hold() -> None:
        client = await Client.connect(server.address)
        asked = PauseWorkflowExecutionRequest(namespace="default", workflow_id=saga, identity="ann", request_id="1")
        await client.workflow_service.pause_workflow_execution(asked)

    asyncio.run(hold())
    deadline = time.monotonic() + PATIENCE
    while {"id": saga, "status": "held"} not in [
        {key: each[key] for key in ("id", "status")} for each in _listed(server)
    ]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    ran = inside("status", saga[:-1], *served)
    assert inside("terminate", saga, "--yes", *served).code == 0

    assert (ran.code, "internal error" in ran.err, saga in ran.err) == (2, False, True), ran


@pytest.mark.temporal
def test_a_misspelt_key_in_the_payload_of_a_signal_is_told_what_was_meant(
    server: Server, queue: str, tmp_path: Path
) -> None:
    """SD964, at every level."""
    saga = f"asked-{uuid.uuid4().hex}"
    served = ("--address", server.address)
    by = "by: {type: object, required: [name], properties: {name: {type: string}}}"
    (tmp_path / "asked.saga.yaml").write_text(
        "sagadsl: 1\nname: asked\nsteps:\n  - id: a\n    wait_for:\n      signal: approve\n      timeout: 1h\n"
        f"      payload: {{type: object, properties: {{{by}}}}}\n"
    )
    start = ("run", "asked.saga.yaml", "--id", saga, "--task-queue", queue, "--detach")
    assert inside(*start, *served, cwd=tmp_path).code == 0
    ran = inside("signal", saga, "approve", "--payload", '{"by": {"nmae": "ann"}}', *served)
    assert inside("terminate", saga, "--yes", *served).code == 0

    assert (ran.code, "error[SD964]: the payload does not fit signal `approve`" in ran.err) == (2, True), ran
    assert "= help: did you mean `by.name` by `by.nmae`?\n" in ran.err
