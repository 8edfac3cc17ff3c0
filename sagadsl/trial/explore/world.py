"""What surrounds a saga that is explored: what its calls may return and report, its child sagas, its signals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sagadsl.engine.facts import RetryPlan, StartActivity, StartChild, Status
from sagadsl.engine.virtual import World
from sagadsl.language.checks.known import Signature
from sagadsl.language.conform import checker
from sagadsl.language.model import ActivityCall, Saga, Step
from sagadsl.trial.draw import draw
from sagadsl.trial.mocks import Mocks, participant
from sagadsl.trial.outputs import Outputs, input_wanted, overlaid
from sagadsl.trial.played import ID

OTHER_ERROR = "Refused"
"""Type of the error that no handler names."""

MOST = 6
"""Values tried of one output, input field or payload."""


@dataclass
class Surroundings:
    """Everything that is not the saga itself.

    Attributes:
        sagas: Child sagas by name.
        activities: Signatures of what is installed; ``None`` knows none.
    """

    saga: Saga
    sagas: Mapping[str, Saga]
    activities: Mapping[str, Signature] | None = None
    _outputs: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    _children: dict[str, tuple[Any, Any] | None] = field(default_factory=dict)

    @cached_property
    def drawn(self) -> Outputs:
        return Outputs((self.saga, *self.sagas.values()), self.activities)

    def signature(self, activity: str) -> Signature | None:
        return self.activities.get(activity) if self.activities is not None else None

    def outputs(self, activity: str) -> tuple[Any, ...]:
        """Return what an activity may return: the usual output, then one deviation each."""
        if activity not in self._outputs:
            schema = self.drawn.schema(activity)
            name = activity.rpartition(".")[2]
            usual = draw(schema, 0, name, items=2) if schema else None
            self._outputs[activity] = tuple(_unlike((usual, *variations(schema, usual, filled=True))))[:MOST]
        return self._outputs[activity]

    def errors(self, step: Step, activity: str) -> tuple[str, ...]:
        """Return types of errors that tell this step's ways apart: one that no handler names, and those named."""
        signature = self.signature(activity)
        named = [type_ for handler in step.on_error for type_ in handler.types if type_ != "timeout"]
        declared = [type_ for type_ in (signature.errors if signature is not None else ()) if type_ not in named]
        return tuple(dict.fromkeys((declared[0] if declared else OTHER_ERROR, *named)))

    def undo_errors(self, step: Step) -> tuple[str, ...]:
        """Return the same for what undoes a step."""
        actions = step.compensation.actions if step.compensation is not None else ()
        return tuple(dict.fromkeys((OTHER_ERROR, *(each for action in actions for each in action.already_undone))))

    def payloads(self, signal: str) -> tuple[Any, ...]:
        """Return what a signal may carry."""
        schema = dict(self.saga.signals.get(signal) or {})
        usual = draw(schema, 0, signal) if schema else None
        return tuple(_unlike((usual, *variations(schema, usual))))[:MOST]

    def inputs(self) -> tuple[Any, ...]:
        """Return inputs of the saga: the usual one with everything in it, then one deviation each."""
        schema = overlaid(dict(self.saga.input_schema or {}), input_wanted(self.saga))
        check = checker(self.saga.input_schema, "input")
        full, least = draw(schema, 0, "input", items=2), draw(schema, 0, "input", full=False)
        found = [each for each in _unlike((full, *variations(schema, full), least)) if not check(each)]
        return tuple(found) or ((least,) if not check(least) else ())

    def child(self, command: StartChild) -> tuple[Any, Any] | None:
        """Return output and journal of a child saga that goes well; ``None`` when there is no such saga."""
        saga = self.sagas.get(command.saga)
        if saga is None:
            return None
        if command.journal is not None:
            return None, None
        key = f"{command.saga} {json.dumps(command.input, sort_keys=True)}"
        if key not in self._children:
            world = World(participant(Mocks(), self.drawn.draw, ID), sagas=self.sagas)
            run = world.start(saga, command.input, ID)
            world.run(until=_LONG)
            well = run.close is not None and run.close.status is Status.COMPLETED
            output = run.close.output if run.close is not None and well else None
            self._children[key] = output, run.state.snapshot()
        return self._children[key]


_LONG = 30 * 24 * 3600.0


def variations(schema: Mapping[str, Any], usual: Any, *, filled: bool = False) -> Iterator[Any]:
    """Yield *usual* with one place changed each: other choices, absent keys, lists of other sizes.

    Args:
        filled: No key is ever absent: a plugin's output has all that its type names.
    """
    yield from _vary(schema, usual, filled, 0)


def _vary(schema: Any, value: Any, filled: bool, depth: int) -> Iterator[Any]:
    if not isinstance(schema, Mapping) or depth > 3:
        return
    for other in (*schema.get("examples", ()), *schema.get("enum", ())):
        if not _same(other, value):
            yield other
    kind = schema.get("type")
    if kind == "boolean" and isinstance(value, bool) and not schema.get("examples"):
        yield not value
    if isinstance(kind, list) and "null" in kind and value is not None:
        yield None
    if (
        any(isinstance(each, Mapping) and each.get("type") == "null" for each in schema.get("anyOf") or ())
        and value is not None
    ):
        yield None
    if isinstance(value, Mapping) and isinstance(schema.get("properties"), Mapping):
        required = schema.get("required") or ()
        for key, inner in schema["properties"].items():
            if key in value:
                for other in _vary(inner, value[key], filled, depth + 1):
                    yield {**value, key: other}
                if not filled and key not in required and schema.get("required") is not None:
                    yield {name: each for name, each in value.items() if name != key}
    if isinstance(value, list) and "items" in schema:
        least, most = schema.get("minItems", 0), schema.get("maxItems", 3)
        for size in (0, 1):
            if least <= size <= most and size != len(value):
                yield value[:size]
        if value:
            for other in _vary(schema["items"], value[0], filled, depth + 1):
                yield [other, *value[1:]]


def _unlike(values: Sequence[Any]) -> Iterator[Any]:
    seen: list[Any] = []
    for value in values:
        if not any(_same(value, each) for each in seen):
            seen.append(value)
            yield value


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def longest_life(command: StartActivity) -> float:
    """Return the seconds after which a call must have ended: attempts, their limits, the pauses between them."""
    total = command.schedule_to_close.total_seconds() if command.schedule_to_close is not None else float("inf")
    if command.start_to_close is None or command.retry.maximum_attempts is None:
        return total
    one = command.start_to_close.total_seconds()
    attempts = command.retry.maximum_attempts
    return min(total, attempts * one + _pauses(command.retry, attempts))


def _pauses(retry: RetryPlan, attempts: int) -> float:
    pause, longest, total = retry.initial_interval.total_seconds(), retry.maximum_interval.total_seconds(), 0.0
    for _ in range(min(attempts - 1, 10_000)):
        total += min(pause, longest)
        pause = min(pause * retry.backoff_coefficient, longest)
    return total


def activities_of(saga: Saga) -> tuple[str, ...]:
    """Return the activities that a saga's own steps call."""
    bodies = (place.step.body for place in saga.places.values())
    return tuple(dict.fromkeys(body.activity for body in bodies if isinstance(body, ActivityCall)))
