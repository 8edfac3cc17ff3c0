"""R134: a workflow task that takes over from a lost one hears first what that one had heard.

The server refuses the end of a workflow task if something has come while its local calls ran. So every cancel and
every signal that comes then loses a task, without any crash. `tests/crash/test_local_overtaken.py` kills workers.
"""

from __future__ import annotations

import pytest

from sagadsl.temporal.client import Started
from tests.conftest import Server
from tests.engine.scenes import act, saga, slow
from tests.temporal.play import Stage, play

pytestmark = pytest.mark.temporal

FAILED = "WORKFLOW_TASK_FAILED"


@pytest.mark.parametrize("at", ["a", "b"])
def test_a_cancel_during_the_last_local_calls_leaves_none_of_them_out(server: Server, at: str) -> None:
    """All of them had been made when the cancel was heard; it came too late."""

    async def cancel(made: Stage, started: Started) -> None:
        await made.until(at)
        await made.client.get_workflow_handle(started.id).cancel()

    definition = saga(act("a", local=True), act("b", local=True))

    played = play(server.address, definition, {"do.a": slow(0.5), "do.b": slow(0.5)}, act=cancel)

    assert played.events.count(FAILED) == 1
    assert played.ended.status == "completed"
    assert [each for each in played.calls if "compensation" in each] == []
