"""What waits for a person in a saga, told from its status, and the same of many sagas in groups."""

from __future__ import annotations

from typing import Any

from sagadsl.status.incidents import grouped, incidents_of
from sagadsl.status.lines import PendingAttempt


def status(id_: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "name": "order", "status": "paused", **more}


def decision(path: str, type_: str = "BankDown", since: str = "", occurrence: int = 1) -> dict[str, Any]:
    return {"path": path, "type": type_, "message": "no", "step": path, "since": since, "occurrence": occurrence}


def test_a_running_saga_waits_for_nobody() -> None:
    running = status("a", attention=[], paused=False, children=[])
    assert list(incidents_of(running, {"pay": PendingAttempt(3, "Busy: later")})) == []


def test_everything_that_waits_is_an_incident_of_the_saga_that_was_asked() -> None:
    child = {
        "path": "book",
        "id": "a/book",
        "name": "trip",
        "status": "paused",
        "paused": False,
        "attention": [decision("hotel.compensation")],
        "paused_calls": {"flight": "flight"},
    }
    found = incidents_of(
        status(
            "a",
            attention=[decision("lines[3]/pay", since="2026-01-01T00:00:00.000Z", occurrence=2)],
            held={"by": "ann", "why": "audit", "at": "2026-01-02T00:00:00+00:00"},
            stuck={"message": "bug", "attempt": 6, "since": "2026-01-03T00:00:00.000Z"},
            paused=True,
            actions=[
                {"at": "2025-01-01T00:00:00.000Z", "verb": "pause", "path": "", "by": "x", "why": "before"},
                {"at": "2025-01-02T00:00:00.000Z", "verb": "resume", "path": "", "by": "x", "why": ""},
                {"at": "2026-01-04T00:00:00.000Z", "verb": "pause", "path": "", "by": "x", "why": "bank is down"},
            ],
            children=[child],
        ),
        {"ship": PendingAttempt(2, "Busy: later", paused=True)},
    )
    assert [(each.id, each.path, each.kind, each.type, each.message, each.since) for each in found] == [
        ("a", "", "held", "", "audit", "2026-01-02T00:00:00+00:00"),
        ("a", "", "stuck", "", "bug", "2026-01-03T00:00:00.000Z"),
        ("a", "lines[3]/pay", "decision", "BankDown", "no", "2026-01-01T00:00:00.000Z"),
        ("a", "", "paused", "", "bank is down", "2026-01-04T00:00:00.000Z"),
        ("a", "ship", "call paused", "", "Busy: later", ""),
        ("a", "book/hotel.compensation", "decision", "BankDown", "no", ""),
        ("a", "book/flight", "call paused", "", "", ""),
    ]


def test_an_incident_names_the_run_so_that_a_saga_that_began_anew_is_told_from_the_one_before() -> None:
    """Both may wait for the same step for the first time."""
    waits = [decision("pay")]
    runs = [
        each.run_id for run in ("r-1", "r-2") for each in incidents_of(status("a", run_id=run, attention=waits), {})
    ]
    assert runs == ["r-1", "r-2"]


def test_groups_are_by_step_and_error_and_the_longest_wait_comes_first() -> None:
    """Rounds of a loop are one step; what nobody knows the age of comes last."""
    sagas = {
        "a": [decision("lines[0]/pay", since="2026-01-03"), decision("ship", "NoCarrier")],
        "b": [decision("lines[7]/pay", since="2026-01-01"), decision("ship", "NoCarrier", since="2026-01-02")],
        "c": [decision("lines[1]/pay", "Fraud", since="2026-01-04")],
    }
    groups = grouped(each for id_, waits in sagas.items() for each in incidents_of(status(id_, attention=waits), {}))
    assert [(group.step, group.type, group.since, [each.id for each in group.incidents]) for group in groups] == [
        ("lines[]/pay", "BankDown", "2026-01-01", ["b", "a"]),
        ("ship", "NoCarrier", "2026-01-02", ["b", "a"]),
        ("lines[]/pay", "Fraud", "2026-01-04", ["c"]),
    ]
