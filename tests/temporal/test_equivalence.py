"""Virtual time tells the truth: every shipped definition, with every fault of its suite, on both hosts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sagadsl.temporal.trial.suites import real
from sagadsl.trial.played import Played
from sagadsl.trial.runner import Host, chosen, virtual
from sagadsl.trial.suite import Playable, Suite, load_suite
from tests.temporal.play import agreed

ROOT = Path(__file__).parents[2]


def _suites() -> list[Suite]:
    return [load_suite(path) for path in sorted((ROOT / "definitions").glob("*.saga-test.yaml"))]


def _journal(played: Played) -> dict[str, Any]:
    """Return what both hosts have to agree on: everything but times."""
    return {
        "status": played.status,
        "output": played.output,
        # Of two errors at the same moment, either may be the first on a real server.
        "errors": sorted(json.dumps(error, sort_keys=True) for error in _errors(played)),
        "calls": sorted((call.name, call.activity, call.attempts) for call in played.calls),
        "steps": [agreed(step) for step in played.status_document["steps"]],
        "undone": played.report["undone"],
        "not_undone": [line["path"] for line in played.report["not_undone"]],
        "waiting": [line["path"] for line in played.status_document["attention"]],
    }


def _errors(played: Played) -> list[Mapping[str, Any]]:
    return [*([] if played.failure is None else [played.failure]), *played.status_document["other_errors"]]


def _differences(playable: Playable, foreseen: Host, happened: Host) -> dict[str, Any]:
    one, other = foreseen(playable), happened(playable)
    if isinstance(other, str) or isinstance(one, str):
        return {}  # it would take minutes of real time; counted below
    before, after = _journal(one), _journal(other)
    return {key: (before[key], after[key]) for key in before if before[key] != after[key]}


def test_the_journals_of_both_hosts_are_the_same() -> None:
    """Retries, timeouts, heartbeats, back-off and compensations are modelled as the server does them."""
    playables = [playable for _, playable in chosen(_suites(), "")]
    with real(playables, {}) as happened:
        foreseen = virtual({})
        differences = {
            f"{playable.target.saga.name}: {playable.case.name}": found
            for playable in playables
            if (found := _differences(playable, foreseen, happened))
        }
        played = [playable for playable in playables if not isinstance(happened(playable), str)]

    assert differences == {}
    assert len(played) > 60
    assert {playable.target.saga.name for playable in played} == {
        "book-trip",
        "call-http",
        "fulfil-order",
        "poll-until-ready",
        "prepare-parcel",
        "three-steps",
        "transfer-money",
    }
