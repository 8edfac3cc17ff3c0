"""``sagadsl doctor``: what is missing, and what to do about it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import uuid
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from tests.cli.shell import Ran, inside
from tests.cli.shop import lay_out
from tests.conftest import Server
from tests.gateway.house import queue_of, worker
from tests.temporal.nexus_handler import create_endpoint

pytestmark = pytest.mark.temporal


def test_where_everything_is_there_it_says_so(server: Server, tmp_path: Path) -> None:
    lay_out(tmp_path)
    with worker(tmp_path, server.address):
        ran = inside("doctor", "--address", server.address, "--task-queue", queue_of(tmp_path), cwd=tmp_path)

    assert ran.code == 0
    lines = ran.out.splitlines()
    assert [line[1] for line in lines] == ["✓"] * len(lines), ran.out
    assert re.search(r"server +\S+ answers, version 1\.\d+", ran.out)
    assert re.search(r"store +sqlite for runs and lists: a dev server: .* `STARTS_WITH` ignores case$", ran.out, re.M)
    assert re.search(rf"sagas on {queue_of(tmp_path)} +\d+ workers?, seen \d+s ago: ", ran.out)
    assert re.search(rf"activities on {queue_of(tmp_path)} +\d+ workers?, seen ", ran.out)


def test_a_queue_that_nobody_serves_and_definitions_with_mistakes_are_told(server: Server, tmp_path: Path) -> None:
    """Exit code 3; a program gets the same as JSON."""
    lay_out(tmp_path)
    (tmp_path / "wrong.saga.yaml").write_text("sagadsl: 1\nname: wrong\nsteps: []\n")
    ran = inside("doctor", ".", "--address", server.address, "--task-queue", "nobody", "--json", cwd=tmp_path)

    document = json.loads(ran.out)
    found = {each["what"]: each for each in document["checks"]}
    assert (ran.code, document["ok"]) == (3, False)
    assert found["definitions"]["found"] == "2 files, 1 with mistakes"
    assert found["definitions"]["help"] == "sagadsl validate ."
    assert found["sagas on nobody"]["help"] == "sagadsl worker --task-queue nobody"
    assert found["server"]["ok"] is found["namespace"]["ok"] is True
    assert (found["store"]["persistence_store"], found["store"]["visibility_store"]) == ("sqlite", "sqlite")


def test_without_a_server_the_rest_is_told_all_the_same(tmp_path: Path) -> None:
    ran = inside("doctor", "--address", "127.0.0.1:1", cwd=lay_out(tmp_path))

    assert ran.code == 3
    assert " ✗ server      cannot reach Temporal at 127.0.0.1:1" in ran.out
    assert " ✓ plugins " in ran.out


def test_a_namespace_that_is_not_there_is_told_with_the_command_that_makes_it(server: Server, tmp_path: Path) -> None:
    ran = inside("doctor", "--address", server.address, "-n", "elsewhere", cwd=lay_out(tmp_path))

    assert ran.code == 3
    assert "temporal operator namespace create --namespace elsewhere" in ran.out


def test_a_nexus_endpoint_that_is_missing_is_told_with_the_command_that_makes_it(
    server: Server, tmp_path: Path
) -> None:
    """R119."""
    lay_out(tmp_path)
    there, missing = f"there-{uuid.uuid4().hex[:8]}", f"missing-{uuid.uuid4().hex[:8]}"
    steps = [
        {"id": f"s{number}", "nexus": {"endpoint": name, "service": "S", "operation": "o"}, "compensation": "none"}
        for number, name in enumerate((there, missing))
    ]
    definition = {"sagadsl": 1, "name": "over-nexus", "steps": steps}
    (tmp_path / "over.saga.yaml").write_text(json.dumps(definition))

    async def make() -> None:
        await create_endpoint(await Client.connect(server.address), there, "q")

    asyncio.run(make())
    ran = inside("doctor", "over.saga.yaml", "--address", server.address, cwd=tmp_path)

    assert ran.code == 3
    assert re.search(rf" ✓ endpoint {there} +leads to task queue `q` of namespace `default`$", ran.out, re.M)
    assert re.search(rf" ✗ endpoint {missing} +there is no such Nexus endpoint$", ran.out, re.M)
    assert f"temporal operator nexus endpoint create --name {missing} --target-namespace" in ran.out


def test_what_a_server_does_not_tell_is_no_mistake_of_ours(tmp_path: Path) -> None:
    """As Temporal's test server knows few questions, and others do not let everybody ask them."""

    async def scenario() -> Ran:
        program = str(Path(sys.executable).with_name("temporal-test-server"))
        async with await WorkflowEnvironment.start_time_skipping(test_server_existing_path=program) as env:
            address = env.client.service_client.config.target_host
            return await asyncio.to_thread(inside, "doctor", "--address", address, cwd=lay_out(tmp_path))

    ran = asyncio.run(scenario())
    assert ran.code == 0, ran.err
    assert re.search(r" ✓ store +the server does not say which one it has \(unimplemented\)", ran.out)
    assert re.search(r" ! sagas on sagadsl +this server does not say who serves them \(unimplemented\)", ran.out)
