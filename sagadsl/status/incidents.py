"""What waits for a person in a saga, from its status; and the same of many sagas, grouped by what has failed where.

It is pure, like :mod:`sagadsl.status.lines`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from sagadsl.immutable import Immutable, replace
from sagadsl.language.paths import parse_call, path_in, without_rounds
from sagadsl.status.lines import PendingAttempt

Kind = Literal["decision", "paused", "held", "stuck", "call paused"]
"""Why it waits: a step or compensation needs a decision; an operator has paused the saga; Temporal's own pause holds
it; its worker fails again and again; an operator has paused one call at the server."""


class Incident(Immutable):
    """One thing that waits for a person.

    Attributes:
        id: Id of the saga that was asked; ``path`` leads into its children.
        name: Name of the definition of that saga.
        path: The step or call that waits, seen from the saga; empty for the saga as a whole.
        type, message: The error of a step or of a worker; empty where there is none.
        since: When it began to wait; empty when nobody knows.
        occurrence: Which time it is that the path waits; counts from 1.
        run_id: The run of the saga that was asked.
    """

    id: str
    name: str
    path: str
    kind: Kind
    type: str = ""
    message: str = ""
    since: str = ""
    occurrence: int = 1
    run_id: str = ""

    @property
    def step(self) -> str:
        """The path without the numbers of rounds: the same for each round of a loop."""
        return without_rounds(self.path)

    def as_json(self) -> dict[str, Any]:
        """Return what programs get."""
        return {
            "id": self.id,
            "name": self.name,
            "path": self.path,
            "undoes": parse_call(self.path).undoes,
            "kind": self.kind,
            "type": self.type,
            "message": self.message,
            "since": self.since or None,
            "occurrence": self.occurrence,
        }


class IncidentGroup(Immutable):
    """Incidents of one definition, at one step, for one reason; the oldest first."""

    name: str
    step: str
    kind: Kind
    type: str
    incidents: tuple[Incident, ...]

    @property
    def since(self) -> str:
        """When the oldest began to wait; empty when that is not known."""
        return self.incidents[0].since

    def as_json(self) -> dict[str, Any]:
        """Return what programs get."""
        return {
            "name": self.name,
            "step": self.step,
            "kind": self.kind,
            "type": self.type,
            "count": len(self.incidents),
            "since": self.since or None,
            "incidents": [each.as_json() for each in self.incidents],
        }


def incidents_of(status: Mapping[str, Any], attempts: Mapping[str, PendingAttempt]) -> Iterator[Incident]:
    """Yield what waits for a person in a saga and its children."""
    run_id = status.get("run_id") or ""
    yield from (replace(each, run_id=run_id) for each in _found(status, attempts))


def _found(status: Mapping[str, Any], attempts: Mapping[str, PendingAttempt]) -> Iterator[Incident]:
    id_, name = status["id"], status["name"]
    yield from _own(id_, name, "", status)
    for call, attempt in attempts.items():
        if attempt.paused:
            yield Incident(id_, name, call, "call paused", message=attempt.failure)
    for child in status.get("children", ()):
        yield from _own(id_, name, child["path"], child)
        for call in child.get("paused_calls", ()):
            yield Incident(id_, name, path_in(child["path"], call), "call paused")


def _own(id_: str, name: str, at: str, status: Mapping[str, Any]) -> Iterator[Incident]:
    """Yield what waits in one saga; *at* is its path, empty for the saga that was asked."""
    held, stuck = status.get("held"), status.get("stuck")
    if held:
        yield Incident(id_, name, at, "held", message=held.get("why") or "", since=held.get("at") or "")
    if stuck:
        yield Incident(id_, name, at, "stuck", message=stuck["message"], since=stuck["since"])
    for each in status.get("attention", ()):
        yield Incident(
            id_,
            name,
            path_in(at, each["path"]),
            "decision",
            each["type"],
            each["message"],
            each.get("since") or "",
            each.get("occurrence", 1),
        )
    if status.get("paused"):
        pause = next((each for each in reversed(status.get("actions", ())) if each["verb"] == "pause"), None)
        why, since = ("", "") if pause is None else (pause["why"], pause["at"])
        yield Incident(id_, name, at, "paused", message=why, since=since)


def grouped(incidents: Iterable[Incident]) -> list[IncidentGroup]:
    """Return the incidents by definition, step and reason: the group with the oldest incident first."""
    groups: dict[tuple[str, str, Kind, str], list[Incident]] = {}
    for each in sorted(incidents, key=lambda each: (each.since or "~", each.id, each.path)):
        groups.setdefault((each.name, each.step, each.kind, each.type), []).append(each)
    return [IncidentGroup(*key, tuple(found)) for key, found in groups.items()]
