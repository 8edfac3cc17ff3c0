"""Definitions that import, through the commands: the same definition everywhere, and a library is none."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from tests.cli.shell import inside
from tests.conftest import Server

LIBRARY = """\
sagadsl_library: 1
schemas: {order: {type: object, required: [sum], properties: {sum: {type: integer}}}}
fragments:
  double:
    parameters: {of: {}}
    steps:
      - {id: twice, set: {value: "{{ with.of * 2 }}"}}
    output: "{{ steps.twice.output.value }}"
"""
CHILD = """\
sagadsl: 1
name: child
imports: {m: ./lib/math.yaml}
input: {use: m.order}
steps: [{id: d, use: m.double, with: {of: "{{ input.sum }}"}}]
output: "{{ steps.d.output }}"
"""
PARENT = """\
sagadsl: 1
name: parent
imports: {m: ./lib/math.yaml}
input: {use: m.order}
schedule: {every: 1d, input: {sum: 1}}
steps:
  - {id: d, use: m.double, with: {of: "{{ input.sum }}"}}
  - {id: c, saga: child, input: {sum: "{{ steps.d.output }}"}, compensation: none}
output: "{{ steps.c.output }}"
"""
SUITE = """\
sagadsl_test: 1
saga: parent.saga.yaml
cases:
  - {name: four times, given: {input: {sum: 3}}, then: {status: completed, output: 12}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "math.yaml").write_text(LIBRARY)
    (tmp_path / "child.saga.yaml").write_text(CHILD)
    (tmp_path / "parent.saga.yaml").write_text(PARENT)
    (tmp_path / "parent.saga-test.yaml").write_text(SUITE)
    return tmp_path


def test_every_command_sees_the_expanded_definition(folder: Path) -> None:
    """R120: also of child sagas, whichever way a command comes by them."""
    checked = inside("validate", cwd=folder)
    assert (checked.code, checked.out.startswith("✓ 2 sagas, 5 steps")) == (0, True), checked.out
    played = inside("simulate", "parent.saga.yaml", "--set", "sum=3", "-f", "json", cwd=folder)
    assert json.loads(played.out)["output"] == 12
    assert inside("test", cwd=folder).code == 0
    assert inside("explore", "parent.saga.yaml", "--faults", "1", cwd=folder).code == 0
    piped = inside("validate", "-", "--stdin-filename", "x.saga.yaml", cwd=folder, stdin=PARENT)
    assert piped.code == 0, piped.out


def test_an_edited_library_is_a_change(folder: Path) -> None:
    old = folder / "old"
    (old / "lib").mkdir(parents=True)
    (old / "child.saga.yaml").write_text(CHILD)
    (old / "lib" / "math.yaml").write_text(LIBRARY.replace("id: twice", "id: two").replace("steps.twice", "steps.two"))
    found = inside("diff", "old/child.saga.yaml", "child.saga.yaml", cwd=folder)
    assert "d_two" in found.out
    same = inside("diff", "child.saga.yaml", "child.saga.yaml", cwd=folder)
    assert same.out == "child (no version) -> (no version): the same definition\n"


def test_a_library_is_checked_and_not_run(folder: Path) -> None:
    assert inside("validate", "lib/math.yaml", cwd=folder).code == 0
    (folder / "lib" / "math.yaml").write_text(LIBRARY.replace("parameters", "paramters"))
    ran = inside("validate", "lib/math.yaml", cwd=folder)
    assert (ran.code, "error[SD104]: unknown key `paramters` in `fragments.double`" in ran.out) == (1, True)
    for command in ("simulate", "explore", "run"):
        ran = inside(command, "lib/math.yaml", cwd=folder)
        assert (ran.code, "error[SD012]: this is a library, not a definition" in ran.err) == (1, True), ran.err


def test_a_misspelt_use_is_told_what_was_meant(folder: Path) -> None:
    """Without imports `uses` stands for an activity, as in other tools; where there are some it is `use`."""
    (folder / "child.saga.yaml").write_text(CHILD.replace(" use: ", " uses: ", 1))
    told = inside("validate", "child.saga.yaml", cwd=folder)
    assert "unknown key `uses` in step" in told.out
    assert "did you mean `use`?" in told.out


def test_editors_get_the_schema_of_libraries(folder: Path) -> None:
    assert json.loads(inside("schema", "--library", cwd=folder).out)["title"] == "sagadsl library"
    assert inside("schema", "--library", "--suite", cwd=folder).code == 2


@pytest.mark.temporal
def test_a_run_on_a_server_knows_nothing_of_imports(folder: Path, server: Server) -> None:
    """R120: with its child saga; the digest of the run is that of the expanded definition."""
    id, queue = f"reuse-{uuid.uuid4()}", f"reuse-{uuid.uuid4()}"
    on = ("--address", server.address, "--task-queue", queue, "--id", id, "--worker", "--set", "sum=3")
    ran = inside("run", "parent.saga.yaml", *on, cwd=folder)
    assert (ran.code, json.loads(ran.out)) == (0, 12), ran.err
    side = json.loads(inside("diff", "parent.saga.yaml", "parent.saga.yaml", "--json", cwd=folder).out)["new"]
    assert asyncio.run(_memo(server, id))["digest"] == side["digest"]


async def _memo(server: Server, id: str) -> Mapping[str, Any]:
    client = await Client.connect(server.address)
    return await (await client.get_workflow_handle(id).describe()).memo()
