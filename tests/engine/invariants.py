"""The laws of every saga (``sagadsl.trial.invariants``), asserted; and that its state survives being written down."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sagadsl.engine.snapshots import restore, snapshot
from sagadsl.trial.invariants import breaches
from sagadsl.virtual.runs import Event, VirtualRun


def check(events: Sequence[Event], saga_id: str, run: VirtualRun) -> None:
    """Check everything that can be said of a saga at any moment, and more once it has closed."""
    state = run.state
    assert restore(json.loads(json.dumps(snapshot(state), sort_keys=True))) == state
    assert list(breaches(run.saga, state, run.close, events[run.since :], saga_id)) == []
