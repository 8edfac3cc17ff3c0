"""The definitions that a gateway offers by name: their list, their inputs, and their steps as a graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sagadsl.immutable import Immutable, field
from sagadsl.language.kinds import Lane, is_loop, kind_of, parts, subject
from sagadsl.language.model import Saga, Step
from sagadsl.language.paths import ON_FAILURE, ROOT, drawn_round, handler_path, path_in
from sagadsl.temporal.arguments import Package

Data = Mapping[str, Any]


class Shelf(Immutable):
    """Definitions by name."""

    packages: Mapping[str, Package] = field(default_factory=dict)

    def get(self, name: str) -> Package | None:
        """Return the definition of this name."""
        return self.packages.get(name)

    def __iter__(self) -> Iterator[Package]:
        return iter(self.packages.values())


def summary(package: Package) -> dict[str, Any]:
    """Return the entry for a list of definitions."""
    saga = package.saga
    return {
        "name": saga.name,
        "version": saga.version,
        "description": saga.description,
        "digest": saga.digest,
        "steps": len(saga.places),
        "signals": sorted(saga.signals),
    }


def whole(package: Package) -> dict[str, Any]:
    """Return everything that a form or a client's author needs."""
    return {
        **summary(package),
        "input": package.definition.get("input", True),
        "signal_payloads": dict(package.saga.signals),
        "definition": package.definition,
    }


def graph(saga: Saga) -> dict[str, Any]:
    """Return the steps as a tree that a page can draw."""
    return {
        "name": saga.name,
        "version": saga.version,
        "steps": [_node(step, ROOT) for step in saga.steps],
        "on_failure": [_node(step, ON_FAILURE) for step in saga.on_failure],
    }


def _node(step: Step, around: str) -> dict[str, Any]:
    path = path_in(around, step.id)
    kind = kind_of(step)
    _, what = subject(step.body)
    node: dict[str, Any] = {"id": step.id, "path": path, "kind": kind.drawn or kind.key, "what": what}
    lanes = list(_lanes(step, drawn_round(path) if is_loop(step) else path))
    if lanes:
        node["lanes"] = lanes
    if step.needs:
        node["needs"] = list(step.needs)
    if step.condition is not None:
        node["if"] = str(step.condition.source)
    if step.pivot:
        node["pivot"] = True
    if step.compensation is not None:
        calls = [action.call for action in step.compensation.actions]
        node["undone_by"] = ["itself"] if step.compensation.auto else [subject(call)[1] for call in calls]
    if step.on_error:
        node["on_error"] = [
            {"label": ", ".join(handler.types) or "any error", "steps": _nodes(handler.steps, handler_path(path))}
            for handler in step.on_error
        ]
    return node


def _nodes(steps: tuple[Step, ...], around: str) -> list[dict[str, Any]]:
    return [_node(step, around) for step in steps]


def _lanes(step: Step, around: str) -> Iterator[dict[str, Any]]:
    """Yield the parts that are side by side in a block: each branch, each arm."""
    for part in parts(step):
        if part.lane is Lane.BRANCH:
            yield from ({"label": "", "steps": [_node(branch, around)]} for branch in part.steps)
        else:
            other = "else" if part.lane is Lane.ARM else ""
            label = other if part.condition is None else str(part.condition.source)
            yield {"label": label, "steps": _nodes(part.steps, around)}
