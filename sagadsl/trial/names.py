"""Finds the names that the calls and steps of a saga can have, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

from sagadsl.immutable import Immutable
from sagadsl.language.model import ActivityCall, Call, Place, Saga, SagaCall, Step
from sagadsl.language.paths import ROOT, any_round, path_in, pattern_of, probe_path, undo_path


class Names(Immutable):
    """The names in a saga and in its known child sagas.

    Attributes:
        calls: The calls of activities, by name: the pattern of a call's ids.
        steps: The ids of all steps of the saga itself, by the pattern of their paths.
    """

    calls: Mapping[str, ActivityCall]
    steps: Mapping[str, str]

    @property
    def activities(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(call.activity for call in self.calls.values()))

    def is_call(self, name: str) -> bool:
        """Whether a call can have this name, or an activity has it."""
        return pattern_of(name) in self.calls or name in self.activities

    def is_local(self, name: str) -> bool:
        """Whether a local activity can have this name."""
        path = pattern_of(name)
        return any(call.local and (path == each or name == call.activity) for each, call in self.calls.items())

    def is_step(self, path: str) -> bool:
        """Whether a step of the saga can have this path."""
        return pattern_of(path) in self.steps


def names(saga: Saga, sagas: Mapping[str, Saga] | None = None) -> Names:
    """Return the names in a saga; *sagas* are the known child sagas, by name."""
    steps = {path_of(place): id_ for id_, place in saga.places.items()}
    return Names(dict(_calls(saga, sagas or {}, ROOT, ())), steps)


def path_of(place: Place) -> str:
    """Return the pattern of a step's paths: it stands for any round of each loop around the step."""
    path = ROOT
    for block, is_loop in zip(place.blocks, place.loops, strict=True):
        path = path_in(path, any_round(block) if is_loop else block)
    return path_in(path, place.step.id)


def _calls(
    saga: Saga, sagas: Mapping[str, Saga], inside: str, around: tuple[str, ...]
) -> Iterator[tuple[str, ActivityCall]]:
    for place in saga.places.values():
        step, path = place.step, path_in(inside, path_of(place))
        if isinstance(step.body, Call):
            yield from _of_call(step.body, path, sagas, around)
        if step.probe is not None:
            yield probe_path(path), step.probe
        yield from _undos(step, sagas, path, around)


def _undos(
    step: Step, sagas: Mapping[str, Saga], path: str, around: tuple[str, ...]
) -> Iterator[tuple[str, ActivityCall]]:
    actions = step.compensation.actions if step.compensation is not None else ()
    for index, action in enumerate(actions):
        name = undo_path(path, index if len(actions) > 1 else None)
        yield from _of_call(action.call, name, sagas, around)


def _of_call(
    call: Call, path: str, sagas: Mapping[str, Saga], around: tuple[str, ...]
) -> Iterator[tuple[str, ActivityCall]]:
    match call:
        case ActivityCall():
            yield path, call
        case SagaCall(saga=name):
            if name in sagas and name not in around:
                yield from _calls(sagas[name], sagas, path, (*around, name))
        case _:
            assert_never(call)
