"""The definitions that a gateway offers: what can be started by name, with what input, and how it looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from sagadsl.frozen import frozen
from sagadsl.language.model import (
    ActivityCall,
    Body,
    ForEach,
    Group,
    Parallel,
    Repeat,
    Saga,
    SagaCall,
    Sleep,
    Step,
    Switch,
    WaitFor,
)
from sagadsl.temporal.arguments import Package

Data = Mapping[str, Any]


@frozen
class Shelf:
    """Definitions by name."""

    packages: Mapping[str, Package] = field(default_factory=dict)

    def get(self, name: str) -> Package | None:
        """Return the definition of this name."""
        return self.packages.get(name)

    def __iter__(self) -> Iterator[Package]:
        return iter(self.packages.values())


def summary(package: Package) -> dict[str, Any]:
    """Return what a list of definitions shows."""
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
    """Return all that a form, or a client's author, needs."""
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
        "steps": [_node(step, "") for step in saga.steps],
        "on_failure": [_node(step, "on_failure/") for step in saga.on_failure],
    }


def _node(step: Step, prefix: str) -> dict[str, Any]:
    path = f"{prefix}{step.id}"
    kind, what, lanes = _inside(step.body, path)
    node: dict[str, Any] = {"id": step.id, "path": path, "kind": kind, "what": what}
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
        node["undone_by"] = ["itself"] if step.compensation.auto else [_called(call) for call in calls]
    if step.on_error:
        node["on_error"] = [
            {"label": ", ".join(handler.types) or "any error", "steps": _nodes(handler.steps, f"{path}.on_error/")}
            for handler in step.on_error
        ]
    return node


def _nodes(steps: tuple[Step, ...], prefix: str) -> list[dict[str, Any]]:
    return [_node(step, prefix) for step in steps]


def _inside(body: Body, path: str) -> tuple[str, str, list[dict[str, Any]]]:
    """Return kind, what is done, and the lanes of what is inside."""
    match body:
        case ActivityCall() | SagaCall():
            return ("activity" if isinstance(body, ActivityCall) else "saga"), _called(body), []
        case Group(steps):
            return "group", "", [{"label": "", "steps": _nodes(steps, f"{path}/")}]
        case Parallel(steps):
            return "parallel", "", [{"label": "", "steps": [_node(step, f"{path}/")]} for step in steps]
        case Switch(arms):
            lanes = [
                {
                    "label": "else" if arm.condition is None else str(arm.condition.source),
                    "steps": _nodes(arm.steps, f"{path}/"),
                }
                for arm in arms
            ]
            return "switch", "", lanes
        case ForEach(steps=steps):
            return "for_each", "", [{"label": "", "steps": _nodes(steps, f"{path}[]/")}]
        case Repeat(steps=steps):
            return "repeat", "", [{"label": "", "steps": _nodes(steps, f"{path}[]/")}]
        case WaitFor(signal=signal):
            return "wait_for", signal, []
        case Sleep():
            return "sleep", "", []
        case _:
            return type(body).__name__.lower(), "", []


def _called(call: ActivityCall | SagaCall) -> str:
    return call.activity if isinstance(call, ActivityCall) else call.saga
