"""Operators may leave out the blocks around a step that waits, if it is clear which one they mean. R22."""

from __future__ import annotations

import pytest

from sagadsl.engine.verbs import Verb
from sagadsl.temporal.ask import decisions
from sagadsl.temporal.client import Started
from sagadsl.temporal.refusals import NotPossible
from sagadsl.temporal.wire.requests import Asked
from tests.conftest import Server
from tests.engine.scenes import act, gives, no, plain, saga
from tests.temporal.play import Stage, play

pytestmark = pytest.mark.temporal


def test_a_step_that_waits_may_be_named_without_its_blocks_but_not_without_its_round(server: Server) -> None:
    """R22: also what undoes it; a request that was refused by its short name is the same request with the whole one."""
    block = {"id": "book", "steps": [act("a")]}
    loop = {"id": "rows", "for_each": {"items": "[1]"}, "steps": [act("c")]}

    async def repair(made: Stage, started: Started) -> None:
        await made.until_status(started, lambda found: found["status"] == "paused")
        with pytest.raises(NotPossible, match=r"`c.compensation` does not wait for an operator; `rows\[0\]/c"):
            await decisions.operate(made.client, started.id, Verb.SKIP_STEP, Asked("c.compensation"))
        await decisions.operate(made.client, started.id, Verb.SKIP_STEP, Asked("rows[0]/c.compensation"))
        await made.until_status(
            started, lambda found: [at["path"] for at in found["attention"]] == ["book/a.compensation"]
        )
        asked = Asked("a.compensation", by="ann")
        await decisions.operate(made.client, started.id, Verb.RETRY_STEP, asked, request="r-1")

    script = {
        "do.b": no(),
        "rows[0]/c.compensation": no("Down"),
        "book/a.compensation": no("Down"),
        "book/a.compensation#2": gives(None),
    }
    played = play(server.address, saga(block, loop, plain("b"), name="named"), script, act=repair)

    assert [(each["verb"], each["path"]) for each in played.status["actions"]] == [
        ("skip_step", "rows[0]/c.compensation"),
        ("retry_step", "book/a.compensation"),
    ]
    assert played.report["undone"] == ["book/a"]
