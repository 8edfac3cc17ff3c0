"""The names that the calls and steps of a saga can have, known before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import assert_never

from sagadsl.immutable import Immutable
from sagadsl.language.model import ActivityCall, Call, Place, Saga, SagaCall, Step

_INDEX = re.compile(r"(?<!\.compensation)\[(?:\d+|\*)\](?=/|\Z|\.|#)")
_REPEATED = re.compile(r"#\d+(?=/|\Z)")


class Names(Immutable):
    """What can be named of a saga and the child sagas that are known.

    Attributes:
        calls: Names of calls of activities, ``[*]`` for any round of a loop, with the call.
        steps: Paths of all steps of the saga itself, by id of the step.
    """

    calls: Mapping[str, ActivityCall]
    steps: Mapping[str, str]

    @property
    def activities(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(call.activity for call in self.calls.values()))

    def is_call(self, name: str) -> bool:
        """Whether some call can have this name, or an activity has it."""
        return plain(name) in self.calls or name in self.activities

    def is_local(self, name: str) -> bool:
        """Whether a local activity can have this name."""
        path = plain(name)
        return any(call.local and (path == each or name == call.activity) for each, call in self.calls.items())

    def is_step(self, path: str) -> bool:
        """Whether some step of the saga can have this path."""
        return plain(path) in self.steps


def plain(name: str) -> str:
    """Return a name with ``[*]`` for the round of each loop, without the number of a repetition."""
    return _INDEX.sub("[*]", _REPEATED.sub("", name))


def names(saga: Saga, sagas: Mapping[str, Saga] | None = None) -> Names:
    """Return the names of a saga; *sagas* are the children that are known, by name."""
    steps = {path_of(place): id_ for id_, place in saga.places.items()}
    return Names(dict(_calls(saga, sagas or {}, "", ())), steps)


def path_of(place: Place) -> str:
    """Return the path of a step, with ``[*]`` for the round of each loop around it."""
    around = [block + ("[*]" if loop else "") for block, loop in zip(place.blocks, place.loops, strict=True)]
    return "/".join((*around, place.step.id))


def _calls(
    saga: Saga, sagas: Mapping[str, Saga], prefix: str, around: tuple[str, ...]
) -> Iterator[tuple[str, ActivityCall]]:
    for place in saga.places.values():
        step, path = place.step, prefix + path_of(place)
        if isinstance(step.body, Call):
            yield from _of_call(step.body, path, sagas, around)
        if step.probe is not None:
            yield f"{path}.probe", step.probe
        yield from _undos(step, sagas, path, around)


def _undos(
    step: Step, sagas: Mapping[str, Saga], path: str, around: tuple[str, ...]
) -> Iterator[tuple[str, ActivityCall]]:
    actions = step.compensation.actions if step.compensation is not None else ()
    for index, action in enumerate(actions):
        name = path + (f".compensation[{index}]" if len(actions) > 1 else ".compensation")
        yield from _of_call(action.call, name, sagas, around)


def _of_call(
    call: Call, path: str, sagas: Mapping[str, Saga], around: tuple[str, ...]
) -> Iterator[tuple[str, ActivityCall]]:
    match call:
        case ActivityCall():
            yield path, call
        case SagaCall(saga=name):
            if name in sagas and name not in around:
                yield from _calls(sagas[name], sagas, f"{path}/", (*around, name))
        case _:
            assert_never(call)
