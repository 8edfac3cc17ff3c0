"""What tests of the workflow share."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Server


@pytest.fixture(params=[1000, 0], ids=["cached", "replayed"])
def where(request: pytest.FixtureRequest, server: Server) -> dict[str, Any]:
    """A worker that keeps its runs in memory, and one that replays them at every workflow task (R53)."""
    return {"address": server.address, "max_cached_workflows": request.param}
