"""``--codec``: the same one for whoever starts, serves and looks at a saga."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import SAGADSL, environment, inside
from tests.cli.shop import lay_out
from tests.conftest import SEALED, Server

pytestmark = pytest.mark.temporal

CODEC = "tests.temporal.codecs:sealed"
QUEUE = f"cli-codec-{uuid.uuid4()}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Path]:
    """A folder with a definition, and a worker that has the codec."""
    folder = tmp_path_factory.mktemp("shop")
    lay_out(folder)
    command = [*SAGADSL, "worker", "--task-queue", QUEUE, "--codec", CODEC]
    command += ["--address", server.address, "--namespace", SEALED]
    here = environment(PYTHONPATH=str(Path(__file__).parents[2]))
    with subprocess.Popen(command, cwd=folder, env=here, stderr=subprocess.DEVNULL) as worker:
        try:
            yield folder
        finally:
            worker.kill()


def _order(folder: Path, server: Server, *more: str, **env: str) -> str:
    id_ = f"codec-{uuid.uuid4()}"
    words = ("run", "order.saga.yaml", "--id", id_, "--task-queue", QUEUE, "--set", "order=1", "-o", "json")
    ran = inside(*words, *more, "--address", server.address, "-n", SEALED, cwd=folder, env=env)
    assert ran.code == 0, ran.err
    return id_


def test_a_saga_runs_with_the_codec_that_an_option_or_a_variable_names(folder: Path, server: Server) -> None:
    """Whoever has it reads what others do not even see."""
    there = ("--address", server.address, "-n", SEALED)
    by_option = _order(folder, server, "--codec", CODEC)
    by_variable = _order(folder, server, SAGADSL_CODEC=CODEC)

    for id_ in (by_option, by_variable):
        ran = inside("status", id_, "--json", *there, "--codec", CODEC)
        assert (ran.code, json.loads(ran.out)["status"]) == (0, "completed"), ran.err
    listed = inside("list", "--json", *there, env={"SAGADSL_CODEC": CODEC})
    assert {each["id"] for each in json.loads(listed.out)["sagas"]} >= {by_option, by_variable}


@pytest.mark.parametrize("command", ["status", "result", "trace", "explain-run", "cancel"])
def test_a_command_without_the_codec_says_what_it_cannot_read_and_why(
    folder: Path, server: Server, command: str
) -> None:
    id_ = _order(folder, server, "--codec", CODEC)

    ran = inside(command, id_, "--address", server.address, "-n", SEALED)

    assert (ran.code, ran.out) == (3, ""), ran.err
    assert "error[SD915]: the data cannot be read here: it is encoded as `binary/sealed`" in ran.err
    assert "--codec MODULE:NAME" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("codec", "why"),
    [
        ("tests.temporal.codecs", "it names no module and attribute"),
        ("nowhere:codec", "ModuleNotFoundError: No module named 'nowhere'"),
        ("tests.temporal.codecs:nothing", "AttributeError: module 'tests.temporal.codecs' has no attribute 'nothing'"),
        ("tests.temporal.codecs:SEAL_BYTES", "it is `int`"),
        ("tests.temporal.codecs:broken", "ValueError: no key"),
    ],
)
def test_what_is_no_codec_is_refused_before_anything_is_sent(codec: str, why: str) -> None:
    ran = inside("status", "x", "--address", "127.0.0.1:1", "--codec", codec)

    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(f"error[SD916]: `{codec}` (--codec) cannot be used as payload codec: {why}")


def test_a_codec_that_fails_is_told_as_such(server: Server, folder: Path) -> None:
    ran = inside(
        *("run", "order.saga.yaml", "--set", "order=1", "--task-queue", QUEUE, "--detach"),
        *("--address", server.address, "-n", SEALED, "--codec", "tests.temporal.codecs:never"),
        cwd=folder,
    )

    assert (ran.code, ran.out) == (3, "")
    said = "error[SD914]: the payload codec cannot encode: ConnectionRefusedError: the key server is away"
    assert ran.err.startswith(said)
