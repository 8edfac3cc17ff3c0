"""Finds the names that the calls and steps of a saga can have, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Any, assert_never

from sagadsl.immutable import Immutable, field, replace
from sagadsl.language.analysis.known import Signature
from sagadsl.language.calls import ActivityCall, Call, KeyedCall, SagaCall, Send
from sagadsl.language.checks.limits import most_rounds
from sagadsl.language.model import Loop, Place, Saga, Step
from sagadsl.language.paths import (
    ROOT,
    any_round,
    is_pattern,
    notice_path,
    parse_call,
    path_in,
    pattern_of,
    probe_path,
    rounds_in,
    undo_path,
    whole_path,
)


class Asks(Enum):
    """What a name in a suite or a command can mean."""

    ANY_CALL = auto()
    """A call, any round of it, or an activity: each call that it means."""
    CALL = auto()
    """One call, or an activity."""
    CALL_OR_STEP = auto()
    """One call, an activity, or one step."""
    STEP = auto()
    """One step."""
    DECISION = auto()
    """What an operator decides about: a step, or the compensation of one."""


class Names(Immutable):
    """The names in a saga and in its known child sagas.

    Attributes:
        calls: The calls of activities and the signals sent, by name: the pattern of a call's ids.
        steps: The ids of all steps of the saga itself, by the pattern of their paths.
        later: Activities that a later version of the saga calls, see ``all_names``.
        rounds: The most rounds that a loop of the saga itself can have, by the pattern of its paths, if that is known.
        errors: The error types that somebody names for a call, by its name: its retries, the handlers of its step and
            of the blocks around it, its activities.
        outputs: JSON Schemas of the outputs of the activities that declare one, by the activity's name.
    """

    calls: Mapping[str, KeyedCall]
    steps: Mapping[str, str]
    later: tuple[str, ...] = ()
    rounds: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def activities(self) -> tuple[str, ...]:
        called = (name for call in self.calls.values() for name in activities_of(call))
        return tuple(dict.fromkeys((*called, *self.later)))

    def is_call(self, name: str) -> bool:
        """Whether a call can have this name, or an activity has it."""
        return pattern_of(name) in self.calls or name in self.activities

    def is_local(self, name: str) -> bool:
        """Whether a local activity can have this name."""
        path = pattern_of(name)
        calls = ((each, call) for each, call in self.calls.items() if isinstance(call, ActivityCall))
        return any(call.local and (path == each or name in call.names) for each, call in calls)

    def is_sent(self, name: str) -> bool:
        """Whether this is the name of a signal to another workflow."""
        return isinstance(self.calls.get(pattern_of(name)), Send)

    def errors_of(self, name: str) -> tuple[str, ...]:
        """Return the error types that somebody names for a call, or for the calls of an activity."""
        return tuple(dict.fromkeys(type_ for each in self._meant(name) for type_ in self.errors.get(each, ())))

    def outputs_of(self, name: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the schemas of the outputs of an activity, or of those that a call can call, by the activity's name.

        They are empty when one of them may give anything.
        """
        called = {each: None for path in self._meant(name) for each in activities_of(self.calls[path])}
        names = [name] if name in called else [*called]
        return {each: self.outputs[each] for each in names} if all(each in self.outputs for each in names) else {}

    def _meant(self, name: str) -> list[str]:
        """Return the calls that a name means: that of a call, or that of an activity."""
        path = pattern_of(name)
        return [each for each, call in self.calls.items() if each == path or name in activities_of(call)]

    def is_step(self, path: str) -> bool:
        """Whether a step of the saga can have this path."""
        return pattern_of(path) in self.steps

    def of(self, asks: Asks) -> tuple[str, ...]:
        """Return every name that can be meant."""
        calls = (*self.calls, *self.activities)
        match asks:
            case Asks.ANY_CALL | Asks.CALL:
                return calls
            case Asks.CALL_OR_STEP:
                return (*calls, *self.steps)
            case Asks.STEP:
                return tuple(self.steps)
            case Asks.DECISION:
                return (*self.steps, *map(undo_path, self.steps))
            case _:
                assert_never(asks)

    def whole(self, asks: Asks, name: str) -> str | None:
        """Return a name with the blocks around it, which people may leave out; ``None`` if nothing, or not one, has it.

        A step in a loop needs its round, except where any round may be meant.
        """
        every = asks is Asks.ANY_CALL
        if is_pattern(name) and not every:
            return None
        known = self.of(asks)
        path = pattern_of(name)
        if path in known or name in known:
            return name
        if asks is Asks.DECISION and parse_call(path).step in self.steps:
            return name
        return whole_path(name, dict.fromkeys(known), any_round=every)

    def beyond(self, name: str) -> str:
        """Return why no run has this name: its round is beyond the last one of its loop; empty when it is not."""
        for loop, number, _ in rounds_in(name):
            most = self.rounds.get(pattern_of(loop))
            if most is not None and number >= most:
                return f"`{loop}` has at most {most} round{'' if most == 1 else 's'}, counted from 0"
        return ""


def names(
    saga: Saga, sagas: Mapping[str, Saga] | None = None, activities: Mapping[str, Signature] | None = None
) -> Names:
    """Return the names in a saga; *sagas* are the known child sagas, by name, and *activities* what is installed."""
    steps = {path_of(place): id_ for id_, place in saga.places.items()}
    loops = {path_of(place): place.step.body for place in saga.places.values() if isinstance(place.step.body, Loop)}
    bounds = {path: most for path, loop in loops.items() if (most := most_rounds(loop, saga)) is not None}
    calls = {name: (call, handled) for name, call, handled in _calls(saga, sagas or {}, ROOT, (), ())}
    errors = {name: _errors(call, handled, activities or {}) for name, (call, handled) in calls.items()}
    found = Names({name: call for name, (call, _) in calls.items()}, steps, rounds=bounds, errors=errors)
    signatures = (activities[name] for name in found.activities if name in activities) if activities else ()
    outputs = {each.name: each.output_schema for each in signatures if each.output_schema is not None}
    return replace(found, outputs=outputs)


def all_names(*several: Names) -> Names:
    """Return the names of several versions of a saga together; the first version that has a name counts."""
    calls = {name: call for each in reversed(several) for name, call in each.calls.items()}
    steps = {path: id_ for each in reversed(several) for path, id_ in each.steps.items()}
    bounded = [loop for loop in several[0].rounds if all(loop in each.rounds for each in several)]
    rounds = {loop: max(each.rounds[loop] for each in several) for loop in bounded}
    errors = {name: tuple(type_ for each in several for type_ in each.errors.get(name, ())) for name in calls}
    outputs = {name: schema for each in several for name, schema in each.outputs.items()}
    later = tuple(name for each in several[1:] for name in each.activities)
    return Names(calls, steps, later, rounds, errors, outputs)


def activities_of(call: KeyedCall) -> tuple[str, ...]:
    """Return the names of the activities that a call can call."""
    return call.names if isinstance(call, ActivityCall) else ()


def path_of(place: Place) -> str:
    """Return the pattern of a step's paths: it stands for any round of each loop around the step."""
    path = ROOT
    for block, is_loop in zip(place.blocks, place.loops, strict=True):
        path = path_in(path, any_round(block) if is_loop else block)
    return path_in(path, place.step.id)


_Named = tuple[str, KeyedCall, tuple[str, ...]]
"""A call by its name, with the error types that its saga, and those above it, name for it."""


def _errors(call: KeyedCall, handled: tuple[str, ...], activities: Mapping[str, Signature]) -> tuple[str, ...]:
    declared = (activities[name].errors for name in activities_of(call) if name in activities)
    return tuple(dict.fromkeys((*handled, *(type_ for each in declared for type_ in each))))


def _calls(
    saga: Saga, sagas: Mapping[str, Saga], inside: str, outer: tuple[str, ...], above: tuple[str, ...]
) -> Iterator[_Named]:
    for place in saga.places.values():
        step, path = place.step, path_in(inside, path_of(place))
        around = (saga.places[block].step for block in place.blocks if block in saga.places)
        handled = (*above, *(type_ for each in (*around, step) for type_ in _handled(each)))
        if isinstance(step.body, Call):
            yield from _of_call(step.body, path, sagas, outer, handled)
        if step.probe is not None:
            yield probe_path(path), step.probe, step.probe.retry.non_retryable_error_types
        yield from _undos(step, sagas, path, outer)
    for step in saga.on_pause:
        assert isinstance(step.body, ActivityCall)
        yield path_in(inside, notice_path(None, step.id)), step.body, step.body.retry.non_retryable_error_types


def _handled(step: Step) -> tuple[str, ...]:
    """Return the error types that a step names for what happens in it."""
    types = [type_ for handler in step.on_error for type_ in handler.types]
    retried = () if step.retry is None else step.retry.non_retryable_error_types
    return (*types, *retried, *(each.type for each in step.failed_if))


def _undos(step: Step, sagas: Mapping[str, Saga], path: str, outer: tuple[str, ...]) -> Iterator[_Named]:
    actions = step.compensation.actions if step.compensation is not None else ()
    for index, action in enumerate(actions):
        name = undo_path(path, index if len(actions) > 1 else None)
        yield from _of_call(action.call, name, sagas, outer, action.already_undone)


def _of_call(
    call: Call, path: str, sagas: Mapping[str, Saga], outer: tuple[str, ...], handled: tuple[str, ...]
) -> Iterator[_Named]:
    match call:
        case ActivityCall():
            yield path, call, (*handled, *call.retry.non_retryable_error_types)
        case Send():
            yield path, call, handled
        case SagaCall(saga=name):
            if name in sagas and name not in outer:
                yield from _calls(sagas[name], sagas, path, (*outer, name), handled)
        case _:
            assert_never(call)
