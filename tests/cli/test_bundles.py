"""Several sagas in one file, through the commands."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
from temporalio.client import Client

from sagadsl.testing import load
from tests.cli.shell import SAGADSL, inside, ready
from tests.conftest import Server
from tests.gateway.house import serve

PAGE = (Path(__file__).parents[2] / "docs" / "bundles.md").read_text("utf-8")
BUNDLE = """\
sagadsl: 1
sagas:
  PARENT:
    version: "3"
    input: {type: object, required: [sum], properties: {sum: {type: integer}}}
    schedule: {every: 1d, input: {sum: 1}}
    steps:
      - {id: c, saga: CHILD, input: {sum: "{{ input.sum + 1 }}"}, compensation: none}
    output: "{{ steps.c.output }}"
  CHILD:
    input: {type: object, required: [sum], properties: {sum: {type: integer}}}
    steps: [{id: d, set: {value: "{{ input.sum * 2 }}"}}]
    output: "{{ steps.d.output.value }}"
"""
SUITE = """\
sagadsl_test: 1
saga: numbers.saga.yaml#parent
cases:
  - {name: eight, given: {input: {sum: 3}}, then: {status: completed, output: 8}}
  - {name: two, saga: numbers.saga.yaml#child, given: {input: {sum: 1}}, then: {status: completed, output: 2}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "numbers.saga.yaml").write_text(BUNDLE.replace("PARENT", "parent").replace("CHILD", "child"))
    (tmp_path / "numbers.saga-test.yaml").write_text(SUITE)
    return tmp_path


def test_the_page_shows_what_the_commands_say(tmp_path: Path) -> None:
    (definition,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
    (tmp_path / "orders.saga.yaml").write_text(definition)
    (session,) = re.findall(r"^```console\n(.*?)^```", PAGE, re.M | re.S)
    shown = re.findall(r"^\$ sagadsl (.*)\n((?:(?!\$ ).*\n)*)", session, re.M)

    assert len(shown) == 4
    for command, told in shown:
        ran = inside(*shlex.split(command), cwd=tmp_path)
        usage = r"Usage: .*\nTry .*\n\n?"
        assert re.sub(rf" \(\d+ ms\)|{usage}", "", ran.out + ran.err) == told


def test_every_command_takes_one_saga_of_a_file(folder: Path) -> None:
    assert inside("validate", "numbers.saga.yaml#parent", cwd=folder).out.startswith("✓ 1 saga, 1 step")
    played = inside("simulate", "numbers.saga.yaml#parent", "--set", "sum=3", "-f", "json", cwd=folder)
    assert json.loads(played.out)["output"] == 8
    tested = inside("test", cwd=folder)
    assert (tested.code, "2 cases passed" in tested.out) == (0, True), tested.out
    explored = inside("explore", "numbers.saga.yaml#child", "--faults", "1", "-f", "json", cwd=folder)
    assert [each["saga"] for each in json.loads(explored.out)["sagas"]] == ["child"]
    both = inside("explore", "numbers.saga.yaml", "--faults", "1", "-f", "json", cwd=folder)
    assert [each["saga"] for each in json.loads(both.out)["sagas"]] == ["parent", "child"]
    assert load(folder / "numbers.saga.yaml#parent").given(input={"sum": 3}).play().output == 8


@pytest.mark.parametrize("command", ["simulate", "run", "diff"])
def test_a_command_that_needs_one_says_which_there_are(folder: Path, command: str) -> None:
    again = ("numbers.saga.yaml",) if command == "diff" else ()
    ran = inside(command, "numbers.saga.yaml", *again, cwd=folder)

    assert ran.code == 2
    assert "`numbers.saga.yaml` has 2 sagas (`child`, `parent`), and " in ran.err
    assert "say which, as in `numbers.saga.yaml#parent`" in ran.err


@pytest.mark.parametrize("command", ["simulate", "run", "explore", "validate", "worker"])
def test_a_name_that_is_not_there_is_a_wrong_call(folder: Path, command: str) -> None:
    ran = inside(command, "numbers.saga.yaml#chld", cwd=folder)

    assert (ran.code, "error[SD018]" in ran.out + ran.err) == (2, True)
    assert "did you mean `numbers.saga.yaml#child`?" in ran.out + ran.err
    gone = inside(command, "nothing.saga.yaml#child", cwd=folder)
    assert (gone.code, "nothing.saga.yaml#child" in gone.out + gone.err) == (2, True)


def test_a_suite_says_which_saga_is_meant(folder: Path) -> None:
    suite = folder / "numbers.saga-test.yaml"
    suite.write_text(SUITE.replace("saga.yaml#parent", "saga.yaml"))
    assert "say which: `numbers.saga.yaml#parent`" in inside("test", cwd=folder).err
    suite.write_text(SUITE.replace("saga.yaml#parent", "saga.yaml#parnt"))
    assert "did you mean `numbers.saga.yaml#parent`?" in inside("test", cwd=folder).err


def test_a_bundle_comes_through_stdin_too(folder: Path) -> None:
    text = (folder / "numbers.saga.yaml").read_text()
    checked = inside("validate", "-", "--stdin-filename", "x/numbers.saga.yaml", cwd=folder, stdin=text)
    assert (checked.code, checked.out.startswith("✓ 2 sagas")) == (0, True), checked.out
    wrong = inside(
        "validate",
        "-",
        "-f",
        "concise",
        "--stdin-filename",
        "./n.yaml",
        cwd=folder,
        stdin=text.replace("set:", "sett:"),
    )
    assert wrong.out.startswith("./n.yaml:12:21: error[SD104]"), wrong.out
    changed = text.replace("sum * 2", "sum * 3")
    assert "the same definition" in inside("diff", "-", "numbers.saga.yaml#parent", cwd=folder, stdin=changed).out
    assert "runs at `d`" in inside("diff", "-", "numbers.saga.yaml#child", cwd=folder, stdin=changed).out


def test_machines_get_places_in_the_file(folder: Path) -> None:
    """R125: SARIF and JSON, each finding once."""
    file = folder / "numbers.saga.yaml"
    file.write_text(file.read_text().replace("sagadsl: 1", "sagadsl: 1\ndefaults: {retyr: none}"))
    found = json.loads(inside("validate", "-f", "json", cwd=folder).out)["findings"]
    assert [(each["path"], each["range"]["start"]["line"]) for each in found] == [("/defaults/retyr", 2)]
    (run,) = json.loads(inside("validate", "-f", "sarif", "--exit-zero", cwd=folder).out)["runs"]
    (result,) = run["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "numbers.saga.yaml"


@pytest.mark.parametrize("command", [("worker",), ("serve", "--bind", "127.0.0.1:0"), ("schedule", "apply")])
def test_two_definitions_of_one_name_are_refused(folder: Path, command: tuple[str, ...]) -> None:
    """R124: nobody would know which of them the name means."""
    (folder / "again.saga.yaml").write_text("sagadsl: 1\nname: child\nsteps: [{id: a, sleep: 1s}]\n")
    ran = inside(*command, ".", cwd=folder)

    assert ran.code in (2, 3)
    assert "saga `child` is defined in again.saga.yaml and in numbers.saga.yaml#child" in ran.err


@pytest.mark.temporal
def test_a_run_on_a_server_is_of_its_saga_alone(folder: Path, server: Server) -> None:
    """R123 and R124: with the child saga of the bundle; a file of its own would give the same digest."""
    id, queue = f"bundle-{uuid.uuid4()}", f"bundle-{uuid.uuid4()}"
    on = ("--address", server.address, "--task-queue", queue, "--id", id, "--worker", "--set", "sum=3")
    (folder / "broken.saga.yaml").write_text("sagadsl: 1\nsagas: {x: {steps: [{id: a}]}}\n")
    ran = inside("run", "numbers.saga.yaml#parent", *on, cwd=folder)
    assert (ran.code, json.loads(ran.out)) == (0, 8), ran.err
    alone = (
        BUNDLE.partition("  PARENT:\n")[2].partition("  CHILD:")[0].replace("\n    ", "\n").replace("CHILD", "child")
    )
    (folder / "alone.saga.yaml").write_text(f"sagadsl: 1\nname: parent\n{alone.strip()}\n")
    side = json.loads(inside("diff", "numbers.saga.yaml", "alone.saga.yaml", "--json", cwd=folder).out)
    assert side["old"]["digest"] == side["new"]["digest"] == asyncio.run(_memo(server, id))["digest"]


@pytest.mark.temporal
def test_worker_gateway_and_schedules_know_sagas_and_not_files(tmp_path: Path, server: Server) -> None:
    """R123: by name, over all files of a folder, and to migrate to."""
    parent, child = f"p-{uuid.uuid4().hex[:8]}", f"c-{uuid.uuid4().hex[:8]}"
    file = tmp_path / "numbers.saga.yaml"
    file.write_text(BUNDLE.replace("PARENT", parent).replace("CHILD", child))
    queue, address = f"bundle-{uuid.uuid4()}", ("--address", server.address)
    planned = inside("schedule", "apply", ".", "--dry-run", "--json", *address, cwd=tmp_path)
    assert [each["id"] for each in json.loads(planned.out)["schedules"]] == [parent]
    command = [*SAGADSL, "worker", ".", "--task-queue", queue, *address]
    with ready(command, tmp_path), serve(tmp_path, server.address, "--task-queue", queue) as house:
        on = ("--task-queue", queue, *address)
        for name, output in ((parent, 8), (child, 6)):
            ran = inside("run", name, "-i", '{"sum": 3}', *on, "-q", cwd=tmp_path)
            assert (ran.code, json.loads(ran.out)) == (0, output), ran.err
        started: httpx2.Response = house.ask("POST", f"/sagas/{parent}?wait=30s", {"sum": 4})
        assert started.json()["output"] == 10, started.text
        ended = started.json()["id"]
        other = inside("migrate", ended, "--to", f"{file.name}#{child}", "--dry-run", *address, cwd=tmp_path)
        assert other.code != 0
        several = inside("migrate", ended, "--to", file.name, "--dry-run", *address, cwd=tmp_path)
        assert (several.code, "a saga migrates to one: say which" in several.err) == (2, True), several.err


async def _memo(server: Server, id: str) -> Mapping[str, Any]:
    client = await Client.connect(server.address)
    return await (await client.get_workflow_handle(id).describe()).memo()


@pytest.mark.temporal
def test_a_worker_of_one_saga_serves_its_children_in_the_file(folder: Path, server: Server) -> None:
    """R124."""
    on = ("--task-queue", f"bundle-{uuid.uuid4()}", "--address", server.address)
    with ready([*SAGADSL, "worker", "numbers.saga.yaml#parent", *on], folder):
        ran = inside("run", "parent", "-i", '{"sum": 3}', *on, "-q", cwd=folder)
        assert (ran.code, json.loads(ran.out)) == (0, 8), ran.err
