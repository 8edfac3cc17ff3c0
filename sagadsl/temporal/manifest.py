"""What a worker tells the server that it knows, so that `doctor` can say which one lacks what.

The server keeps of each worker the names of its plugins, for as long as it sends heartbeats (measured with 1.32:
`ListWorkers`; older servers keep nothing). So what a worker knows is the name of one plugin: it costs no task, no
queue and no history, and every worker says it of itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from sagadsl.engine.journal import RULES
from sagadsl.immutable import Immutable
from sagadsl.temporal.arguments import to_bytes
from sagadsl.temporal.knowledge import Knowledge
from sagadsl.temporal.registry import Registry

_PREFIX = "sagadsl "
_MAX_CHARACTERS = 60_000
_DIGEST = 12


class Manifest(Immutable):
    """What a worker has said of itself.

    Attributes:
        sagas: Fingerprints of its definitions by name, see ``fingerprint``; ``None`` when it does not say.
        activities: ``None`` when it does not say: it takes every name, or none.
    """

    version: str
    rules: int
    sagas: Mapping[str, str] | None
    activities: frozenset[str] | None


def manifest(registry: Registry, knowledge: Knowledge, only: str | None = None) -> str:
    """Return what a worker tells of itself, on one line.

    Args:
        only: It serves this half, ``workflows`` or ``activities``, and says nothing of the other.
    """
    about: dict[str, Any] = {"version": version("sagadsl"), "rules": RULES}
    full = about | {
        "sagas": None
        if only == "activities"
        else {name: fingerprint(registry.definition(name)) for name in knowledge.sagas},
        "activities": None if only == "workflows" else knowledge.activities,
    }
    text = json.dumps(full, separators=(",", ":"))
    return _PREFIX + (text if len(text) <= _MAX_CHARACTERS else json.dumps(about))


def fingerprint(definition: Mapping[str, Any]) -> str:
    """Return a few characters that differ where definitions differ."""
    return hashlib.sha256(to_bytes(definition)).hexdigest()[:_DIGEST]


def read(name: str) -> Manifest | None:
    """Return what the *name* of a plugin says of its worker; ``None`` when it is another plugin's."""
    if not name.startswith(_PREFIX):
        return None
    try:
        data = json.loads(name.removeprefix(_PREFIX))
        sagas, activities = data.get("sagas"), data.get("activities")
        return Manifest(
            str(data["version"]),
            int(data["rules"]),
            None if sagas is None else dict(sagas),
            None if activities is None else frozenset(activities),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
