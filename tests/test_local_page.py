"""The page of local calls: its example is a definition, and its calls are where the page says."""

from __future__ import annotations

import re
from pathlib import Path

from sagadsl.language.calls import ActivityCall
from sagadsl.language.load import load
from sagadsl.language.model import Saga
from sagadsl.language.walk import calls
from sagadsl.virtual.world import World

PAGE = (Path(__file__).parents[1] / "docs" / "local.md").read_text("utf-8")


def _local(saga: Saga) -> list[str]:
    found = [call for step in saga.steps for call, _, _ in calls(step)]
    return [call.activity for call in found if isinstance(call, ActivityCall) and call.local]


def test_the_example_of_the_page_runs_and_its_short_calls_are_local() -> None:
    """R132."""
    (example,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
    loaded = load(example)
    assert loaded.findings == ()
    assert loaded.saga is not None
    world = World()
    run = world.start(loaded.saga, {})
    world.run()

    assert run.close is not None
    assert run.close.status.value == "completed"
    assert _local(loaded.saga) == ["bank.withdraw", "bank.undo_withdraw", "bank.deposit", "bank.undo_deposit"]
