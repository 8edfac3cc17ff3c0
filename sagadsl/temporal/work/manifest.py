"""The list of sagas and activities that a worker gives the server, so that `doctor` can say what a worker lacks.

The server keeps the names of a worker's plugins for as long as the worker sends heartbeats (measured with 1.32:
`ListWorkers`; older servers keep nothing). So a worker puts its list into the name of one plugin. That costs no task,
no queue and no history, and each worker speaks for itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sagadsl.engine.journal import RULES
from sagadsl.immutable import Immutable
from sagadsl.language.versions import of_version
from sagadsl.temporal.link.release import release
from sagadsl.temporal.run.knowledge import Knowledge
from sagadsl.temporal.wire.arguments import to_bytes
from sagadsl.temporal.work.registry import Registry

_PREFIX = "sagadsl "
_MAX_CHARACTERS = 60_000
_DIGEST = 12


class Manifest(Immutable):
    """The list of one worker.

    Attributes:
        sagas: Fingerprints of its definitions by name, see ``fingerprint``; ``None`` when it does not list them.
        activities: ``None`` when it does not list them: it takes every name, or none.
        newest: The versions of the definitions that it takes for a name alone; ``None`` when it does not list them.
    """

    version: str
    rules: int
    sagas: Mapping[str, str] | None
    activities: frozenset[str] | None
    newest: Mapping[str, str] | None = None

    def lacks(self, name: str, version: str) -> bool:
        """Whether the worker certainly does not have saga *name*, in *version* if that is not empty."""
        if self.sagas is None or of_version(name, version) in self.sagas:
            return False
        if not version or name not in self.sagas:
            return True
        return self.newest is not None and self.newest.get(name) != version


def manifest(registry: Registry, knowledge: Knowledge, only: str | None = None) -> str:
    """Return the list of a worker, on one line.

    Args:
        only: The half that the worker serves, ``workflows`` or ``activities``; it does not list the other half.
    """
    about: dict[str, Any] = {"version": release(), "rules": RULES}
    full = about | {
        "sagas": None
        if only == "activities"
        else {name: fingerprint(registry.definition(name)) for name in knowledge.sagas},
        "activities": None if only == "workflows" else knowledge.activities,
        "newest": None if only == "activities" else {name: _version(registry, name) for name in knowledge.sagas},
    }
    text = json.dumps(full, separators=(",", ":"))
    return _PREFIX + (text if len(text) <= _MAX_CHARACTERS else json.dumps(about))


def _version(registry: Registry, name: str) -> str:
    return str(registry.definition(name).get("version", ""))


def fingerprint(definition: Mapping[str, Any]) -> str:
    """Return a short text that differs when definitions differ."""
    return hashlib.sha256(to_bytes(definition)).hexdigest()[:_DIGEST]


def read(name: str) -> Manifest | None:
    """Return the list that the *name* of a plugin holds; ``None`` for any other plugin."""
    if not name.startswith(_PREFIX):
        return None
    try:
        data = json.loads(name.removeprefix(_PREFIX))
        sagas, activities, newest = data.get("sagas"), data.get("activities"), data.get("newest")
        return Manifest(
            str(data["version"]),
            int(data["rules"]),
            None if sagas is None else dict(sagas),
            None if activities is None else frozenset(activities),
            None if newest is None else dict(newest),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
