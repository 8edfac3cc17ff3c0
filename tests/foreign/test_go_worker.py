"""Worker B, and a client, in Go: ``examples/go-worker``."""

from __future__ import annotations

import json

import pytest

from tests.foreign.transfers import Place, Transfers

pytestmark = [pytest.mark.temporal, pytest.mark.timeout(1200)]  # the first build takes minutes


class TestGo(Transfers):
    language = "go"
    unregistered = "ActivityNotRegisteredError"

    def test_a_queue_that_nobody_serves_has_an_end(self, place: Place) -> None:
        """``schedule_to_close`` bounds the silence; what never began is not undone."""
        text = (place.folder / "transfer_abroad.saga.yaml").read_text()
        (place.folder / "bounded.saga.yaml").write_text(
            text.replace("schedule_to_close: 5m", "start_to_close: 1s, heartbeat: 1s, schedule_to_close: 2s")
        )
        ran = place.run("carol", definition="bounded.saga.yaml")

        report = json.loads(ran.out)["report"]
        assert (ran.code, report["failure"]["type"], report["undone"]) == (10, "timeout", ["withdraw"])
        assert "no worker took `partner.credit`" in report["failure"]["message"]
        assert place.moved() == (0, {})
