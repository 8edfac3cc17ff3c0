"""The page's list of sagas whose records are needed, on a real server: ended children with ids of their own too."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sagadsl.language.paths import caller_of, child_generation, forward_key
from sagadsl.temporal import client as sagas
from tests.conftest import Server
from tests.engine.scenes import plain, saga
from tests.once.places import Plain
from tests.once.test_page import BLOCK, PAGE
from tests.patience import PATIENCE
from tests.temporal.play import stage

pytestmark = pytest.mark.temporal


def _of_the_page() -> Any:
    (text,) = (text for name, text, _ in BLOCK.findall(PAGE) if name == "still_needed.py")
    names: dict[str, Any] = {}
    exec(text, names)
    return names["still_needed"]


def test_records_of_an_ended_child_with_a_chosen_id_stay_while_its_parent_is_open(
    server: Server, tmp_path: Path
) -> None:
    """R12: the parent may still undo it. Of a saga that has ended with its child, none stay."""
    still_needed, kid = _of_the_page(), saga(plain("label"), name="kid")
    numbers = [f"parcel-{uuid.uuid4().hex[:12]}" for _ in range(2)]

    def top(number: str, *more: Any) -> Any:
        return saga({"id": "ship", "saga": "kid", "workflow_id": number, "compensation": "none"}, *more, name="top")

    async def listed() -> tuple[set[str], list[str]]:
        async with stage(server.address, {}) as made, asyncio.timeout(PATIENCE):
            over = await made.start(top(numbers[0]), children={"kid": kid})
            await made.end(over)
            waits = top(numbers[1], {"id": "ask", "wait_for": {"signal": "go"}})
            opened = await made.start(waits, children={"kid": kid})
            ended = f"WorkflowId = '{numbers[1]}' AND ExecutionStatus = 'Completed'"
            while not [each async for each in made.client.list_workflows(ended)]:
                await asyncio.sleep(0.1)
            wanted = {opened.id, numbers[1]}
            while True:  # the server's index is behind
                found = await still_needed(made.client)
                if wanted <= found and not {over.id, numbers[0]} & found:
                    break
                await asyncio.sleep(0.1)
            await sagas.cancel(made.client, opened.id)
            await made.end(opened)
            return found, [over.id, opened.id]

    open_sagas, parents = asyncio.run(listed())
    place = Plain(f"sqlite:///{tmp_path}/acme.db")
    for number, parent in zip(numbers, parents, strict=True):
        key = forward_key(caller_of(number, child_generation(parent, "ship")), "label")
        place.do(key, None)
    assert place.forget(timedelta(0), open_sagas) == 1
    assert place.undo(place.effects()[1][0]).undone
    place.engine.dispose()
