"""A worker that trusts keys takes no other definition, whichever way it comes. On a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from sagadsl.engine.facts import How
from sagadsl.language.build import digest
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import migrating
from sagadsl.temporal.read import runs
from sagadsl.temporal.refusals import NotPossible
from sagadsl.temporal.wire.inheritance import TakeUpRequest
from sagadsl.trust.judge import Trust, Untrusted
from sagadsl.trust.keys import key_id
from sagadsl.trust.signatures import signed
from tests.conftest import Server
from tests.engine.scenes import act, saga
from tests.patience import PATIENCE
from tests.temporal.play import Stage, replay, stage

pytestmark = pytest.mark.temporal

KEY = Ed25519PrivateKey.generate()
STRANGER = Ed25519PrivateKey.generate()
ID = key_id(KEY.public_key())
TRUST = Trust({ID: KEY.public_key()})
GOOD = saga(act("pay"), {"id": "w", "wait_for": {"signal": "go"}}, act("ship"), name="good")
NEXT = saga(act("pay"), {"id": "w", "wait_for": {"signal": "go"}}, act("pack"), act("ship"), name="good", version="2")
KID = saga(act("x"), name="kid")
TOP = saga({"id": "kid", "saga": "kid"}, name="top")


def _signed(*definitions: dict[str, Any], by: Ed25519PrivateKey = KEY) -> dict[str, dict[str, str]]:
    return {digest(each): {key_id(by.public_key()): signed(each, by)} for each in definitions}


async def _tried(made: Stage, definition: dict[str, Any], **more: Any) -> tuple[str, str]:
    """Start a saga that is to be refused, and return the error. The refusal replays where nobody asks for trust."""
    started = await made.start(definition, **more)
    ended = await made.end(started)
    await replay(made.client, started.id)
    assert ended.error is not None, ended.status
    return ended.error[0], ended.error[1]


async def _until_waiting(made: Stage, id: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while "go" not in (await runs.status(made.client, id)).get("waiting_for", {}):
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("signatures", "why"),
    [
        ({}, f"has no signature of a trusted key; trusted is {ID}"),
        (_signed(saga(act("x"), name="kid", version="7")), "has no signature of a trusted key"),
        (_signed(KID, by=STRANGER), f"is signed by key {key_id(STRANGER.public_key())}, which is not trusted"),
        ({digest(KID): {ID: signed(GOOD, KEY)}}, f"has a wrong signature of key {ID}"),
        ({digest(KID): {ID: "§"}}, f"has a wrong signature of key {ID}"),
    ],
    ids=["unsigned", "changed since", "by a stranger", "of another digest", "no signature"],
)
def test_what_nobody_trusted_has_signed_is_refused_before_anything_runs(
    server: Server, signatures: Mapping[str, Mapping[str, str]], why: str
) -> None:
    async def scenario() -> None:
        async with stage(server.address, trust=TRUST) as made:
            type_, message = await _tried(made, KID, signatures=signatures)
            assert type_ == "UntrustedDefinition"
            assert f"`kid` with the digest {digest(KID)} {why}" in message
            assert made.begun == []

    asyncio.run(scenario())


def test_what_is_signed_runs_with_its_children_and_so_does_what_is_on_the_list(server: Server) -> None:
    async def scenario() -> None:
        async with stage(server.address, trust=TRUST) as made:
            started = await made.start(TOP, children={"kid": KID}, signatures=_signed(TOP, KID))
            assert (await made.end(started)).status == "completed"
            await replay(made.client, f"{started.id}/kid")
            type_, message = await _tried(made, TOP, children={"kid": KID}, signatures=_signed(TOP))
            assert (type_, "`kid`" in message, made.begun) == ("UntrustedDefinition", True, ["x"])
        async with stage(server.address, trust=Trust({}, [digest(KID)])) as made:
            assert (await made.end(await made.start(KID))).status == "completed"
            type_, message = await _tried(made, GOOD, signatures=_signed(GOOD))
            assert type_ == "UntrustedDefinition"
            assert "is not on the list of allowed digests" in message

    asyncio.run(scenario())


@pytest.mark.parametrize("signatures", [{}, _signed(KID)], ids=["unsigned", "signed"])
def test_a_parent_elsewhere_brings_nothing_past_the_trust_of_its_childs_worker(
    server: Server, signatures: dict[str, dict[str, str]]
) -> None:
    async def scenario() -> None:
        async with stage(server.address, trust=TRUST) as strict, stage(server.address) as lenient:
            top = saga({"id": "kid", "saga": "kid", "task_queue": strict.queue}, name="top")
            started = await lenient.start(top, children={"kid": KID}, signatures=signatures and _signed(top, KID))
            ended = await lenient.end(started)
            expected = ("completed", ["x"]) if signatures else ("UntrustedDefinition", [])
            assert (ended.error[0] if ended.error else ended.status, strict.begun) == expected
            await replay(lenient.client, f"{started.id}/kid")

    asyncio.run(scenario())


def test_a_worker_serves_its_own_definitions_only_if_they_are_signed(server: Server) -> None:
    async def scenario() -> None:
        with pytest.raises(Untrusted, match=r"`top`.*; .*`kid`"):
            async with stage(server.address, definitions=[TOP, KID], trust=TRUST):
                pass
        async with stage(
            server.address, definitions=[TOP, KID], trust=TRUST, signatures=_signed(TOP, KID), inline=False
        ) as made:
            assert (await made.end(await made.start(TOP, by_name=True))).status == "completed"

    asyncio.run(scenario())


def test_a_run_that_was_taken_goes_on_where_it_would_be_refused_now(server: Server) -> None:
    """Also over continue-as-new: otherwise nobody would undo what it has done. But it migrates to nothing unsigned."""

    async def scenario() -> None:
        async with stage(server.address) as first:
            started = await first.start(GOOD, continue_after_events=12)
            await _until_waiting(first, started.id)
        async with stage(server.address, queue=first.queue, trust=TRUST) as strict:
            unsigned = await sagas.packed(strict.client, NEXT, {})
            for refused in (migrating.preview, migrating.migrate):
                with pytest.raises(
                    NotPossible, match=r"takes trusted definitions only: definition `good`.*no signature"
                ):
                    await refused(strict.client, started.id, unsigned)
            package = await sagas.packed(strict.client, NEXT, {}, signatures=_signed(NEXT))
            assert (await migrating.migrate(strict.client, started.id, package)).outcome == "migrated"
            await sagas.signal(strict.client, started.id, "go")
            assert (await strict.end(started)).status == "completed"
            assert strict.begun == ["pack", "ship"]
            await replay(strict.client, started.id)

    asyncio.run(scenario())


@pytest.mark.parametrize("how", [{"trust": TRUST}, {"inline": False}], ids=["trust", "folder"])
def test_a_migration_that_comes_before_the_run_knows_itself_is_judged_all_the_same(
    server: Server, how: dict[str, Any]
) -> None:
    """No validator judges it then: it is dropped when the run could go over. The reason is also told after a replay."""

    async def why_it_stayed(made: Stage, id: str) -> str:
        actions = (await runs.status(made.client, id))["actions"]
        return str(next((each["why"] for each in actions if each["verb"] == "stay"), ""))

    async def scenario() -> None:
        async with stage(server.address, definitions=[GOOD], signatures=_signed(GOOD), **how) as made:
            operation = WithStartWorkflowOperation(
                "good",
                args=[{}],
                id=f"{made.queue}-early",
                task_queue=made.queue,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            )
            await made.client.execute_update_with_start_workflow(
                "migrate", {"definition": NEXT}, start_workflow_operation=operation
            )
            handle = await operation.workflow_handle()
            await _until_waiting(made, handle.id)
            async with asyncio.timeout(PATIENCE):
                while not (why := await why_it_stayed(made, handle.id)):
                    await asyncio.sleep(0.02)
            assert why.startswith("this worker takes ")
        async with stage(
            server.address, definitions=[GOOD], signatures=_signed(GOOD), queue=made.queue, **how
        ) as later:  # it has to replay
            assert await why_it_stayed(later, handle.id) == why
        async with stage(server.address, queue=made.queue) as made:  # which takes all, by now
            assert "did not take the definition, or" in await why_it_stayed(made, handle.id)
            await sagas.signal(made.client, handle.id, "go")
            async with asyncio.timeout(PATIENCE):
                await handle.result()
            assert made.begun == ["ship"]
            await replay(made.client, handle.id)

    asyncio.run(scenario())


@pytest.mark.parametrize("is_signed", [False, True], ids=["unsigned", "signed"])
def test_the_work_of_a_closed_run_is_taken_up_only_if_its_definition_is_trusted(
    server: Server, is_signed: bool
) -> None:
    async def scenario() -> None:
        async with stage(server.address) as first:
            started = await first.start(GOOD, signatures=_signed(GOOD) if is_signed else {})
            await _until_waiting(first, started.id)
            await sagas.terminate(first.client, started.id, "gone")
        async with stage(server.address, queue=first.queue, trust=TRUST) as strict:
            asked = TakeUpRequest(started.run_id, How.UNDO, "recover")
            handle = await strict.client.start_workflow(
                "good", args=[None, None, {"inherit": asked.to_json()}], id=started.id, task_queue=first.queue
            )
            ended = await runs.result(strict.client, started.id, run_id=handle.first_execution_run_id)
            expected = ["pay.compensation"] if is_signed else []
            assert strict.begun == expected
            assert ended.error is not None
            assert (ended.error[0] == "UntrustedDefinition") is not is_signed
            await replay(strict.client, started.id)

    asyncio.run(scenario())
