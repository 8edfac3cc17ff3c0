"""The shapes and the shipped definitions on a Temporal server, as they run in virtual time.

Those that wait longer than a test may are played on the server that skips time.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.testing import WorkflowEnvironment

from sagadsl.authoring import Permanent
from sagadsl.language.document import parse
from sagadsl.language.raw_steps import children_of
from sagadsl.temporal import client as sagas
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.runs import Ended
from sagadsl.temporal.worker import build_worker
from tests.conftest import Server
from tests.patience import PATIENCE
from tests.temporal.play import replay
from tests.test_shapes_run import CHILD_DATA, FILES, STORIES, Story, tell

pytestmark = pytest.mark.temporal

ALL = {path.name: parse(path.read_bytes(), name=path.name)[0].data for path in FILES.values()}
BY_NAME = {data["name"]: data for data in (*ALL.values(), *CHILD_DATA.values())}
SERVER = Path(sys.executable).with_name("temporal-test-server")
SHORT = 4.0
"""Seconds that a story may take by the clock."""


async def _play(story: Story, address: str) -> tuple[Ended, list[str]]:
    calls: list[str] = []

    @activity.defn(dynamic=True)
    async def act(_args: Sequence[RawValue]) -> Any:
        info = activity.info()
        if info.attempt == 1:
            calls.append(info.activity_type)
        if info.activity_type in story.fails:
            raise Permanent("no", type=story.fails[info.activity_type])
        return story.answers.get(info.activity_type)

    definition = ALL[FILES[story.name].name]
    children = children_of(definition["name"], BY_NAME)
    queue, id_ = f"q-{uuid.uuid4().hex[:12]}", f"story-{uuid.uuid4().hex[:12]}"
    async with _world(story, address) as (client, wait), build_worker(client, task_queue=queue, activities=[act]):
        await sagas.start(client, definition, story.input, children=children, id=id_, task_queue=queue)
        for name, (_seconds, payload) in story.signals.items():
            await sagas.signal(client, id_, name, payload)
        await wait()
        async with asyncio.timeout(PATIENCE):
            ended = await runs.result(client, id_)
        await replay(client, id_)
    return ended, calls


Wait = Callable[[], Awaitable[None]]


@contextlib.asynccontextmanager
async def _world(story: Story, address: str) -> AsyncIterator[tuple[Client, Wait]]:
    """Open the server that suits a story, with what lets a day go by on it."""
    run, _calls = tell(story)
    if run.state.now - run.state.started_at < SHORT:
        yield await Client.connect(address), partial(asyncio.sleep, 0)
        return
    async with await WorkflowEnvironment.start_time_skipping(test_server_existing_path=str(SERVER)) as env:
        yield env.client, partial(env.sleep, timedelta(days=1))


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_a_story_ends_on_temporal_as_in_virtual_time(story: Story, server: Server) -> None:
    """W1 to W17 and the shipped ones; the history is replayed."""
    ended, calls = asyncio.run(_play(story, server.address))

    assert ended.status == story.status.value
    assert sorted(calls) == sorted(story.does.split())  # which of several at once begins first is the server's choice
    if story.failure:
        assert ended.error is not None
        assert ended.error[0] == story.failure
    if story.output is not ...:
        assert ended.output == story.output
