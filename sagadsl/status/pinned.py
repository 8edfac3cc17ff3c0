"""Says to which version of its workers a saga belongs, and what to do when no worker of that version is left. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Any

PINNED = "pinned"


def version(status: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line about the version of its workers to which a saga belongs, if they have versions."""
    if workers := status.get("workers"):
        yield f"workers: deployment {workers['deployment']}, build {workers['build_id']}, {workers['versioning']}"


def ways_out(status: Mapping[str, Any], tail: str = "") -> Iterator[str]:
    """Yield what a person can do when no worker answers for a saga that is pinned to a version."""
    workers = status.get("workers") or {}
    if status.get("source") != "history" or status.get("held") or workers.get("versioning") != PINNED:
        return
    if status.get("close_status", "running") != "running":
        return
    name, build = quote(workers["deployment"]), quote(workers["build_id"])
    yield f"pinned to build {workers['build_id']}: no worker of another build takes it"
    yield f"   sagadsl worker --deployment {name} --build-id {build}{tail}   start one of its build"
    move = f"temporal workflow update-options --workflow-id {quote(status['id'])}"
    yield f"   {move} --versioning-override-behavior auto_upgrade{tail}   let the current build go on with it"
