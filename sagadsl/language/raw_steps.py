"""Walks through steps as they are written: data that nothing has checked yet.

The kinds (:mod:`sagadsl.language.kinds`) know where a step contains steps; data in another form is
skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sagadsl.language.kinds import LISTS, WAYS

Definition = Mapping[str, Any]

ON_PAUSE = "on_pause"
"""The key whose value is a list of calls in the form of steps."""

TOP_LISTS = ("steps", "on_failure", ON_PAUSE)
"""The keys of a definition whose values are lists of steps."""

WAY_LISTS = ("steps", "else")
"""The keys of an arm or a handler whose values are lists of steps."""

STEP_LISTS = tuple(dict.fromkeys((*LISTS, *WAY_LISTS, *TOP_LISTS)))
"""Every key whose value is a list of steps."""


def everywhere(definition: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every step of a definition that is a mapping; a block comes before the steps in it."""
    for key in TOP_LISTS:
        for step in _listed(definition.get(key)):
            yield from _below(step)


def children_of(name: str, definitions: Mapping[str, Definition]) -> dict[str, Definition]:
    """Return the definitions of all sagas below saga *name*.

    A saga that is not among *definitions* is left out: another worker may serve it.
    """
    needed: dict[str, Definition] = {}
    waiting = [name]
    while waiting:
        for child in dict.fromkeys(sagas_in(definitions[waiting.pop(0)])):
            if child in definitions and child not in needed:
                needed[child] = definitions[child]
                waiting.append(child)
    return needed


def sagas_in(definition: Definition) -> Iterator[str]:
    """Yield the names of the child sagas of a definition. Parts with a wrong form are skipped."""
    for step in everywhere(definition):
        undo = step.get("compensation")
        for call in (step, *(undo if isinstance(undo, list) else [undo])):
            if isinstance(call, dict) and isinstance(call.get("saga"), str):
                yield call["saga"]


def inside(step: Any) -> Iterator[Any]:
    """Yield the items at the places of the steps directly inside *step*; it may also be an arm or a handler."""
    for key, value in step.items() if isinstance(step, Mapping) else ():
        if key in STEP_LISTS:
            yield from _listed(value)
        elif key in WAYS:
            for way in _listed(value):
                yield from inside(way)


def _below(step: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(step, Mapping):
        yield step
        for each in inside(step):
            yield from _below(each)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
