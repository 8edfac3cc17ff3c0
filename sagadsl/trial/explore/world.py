"""The surroundings of an explored saga: outputs and errors of its calls, its child sagas, its signals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import Any

from sagadsl.engine.call_errors import queue_limit
from sagadsl.engine.facts import RetryPlan, StartActivity, StartChild, Status
from sagadsl.engine.snapshots import snapshot
from sagadsl.immutable import Immutable
from sagadsl.language import walk
from sagadsl.language.analysis.known import Signature
from sagadsl.language.calls import ActivityCall
from sagadsl.language.expressions import nodes
from sagadsl.language.expressions.code import chain_of
from sagadsl.language.expressions.values import trees
from sagadsl.language.model import Place, Saga, Step
from sagadsl.language.own_errors import (
    CANCELLED,
    EXPRESSION_ERROR,
    NO_MATCHING_CASE,
    SAGA_TIMEOUT,
    SIGNAL_TIMEOUT,
    TIMEOUT,
)
from sagadsl.language.schema.conform import checker
from sagadsl.trial.draw import draw
from sagadsl.trial.mocks import Mocks, participant
from sagadsl.trial.outputs import Outputs, input_wanted, overlaid
from sagadsl.trial.played import ID
from sagadsl.trial.target import Target
from sagadsl.virtual.clock import BEGIN
from sagadsl.virtual.world import World

OTHER_ERROR = "Refused"
"""Type of an error that no handler names."""

MOST = 6
"""How many values are tried for one output, input field or payload, at most."""


class ChildRun(Immutable):
    """A child saga in which nothing goes wrong.

    Attributes:
        journal: The snapshot with which the child can undo itself.
        seconds: How long it takes, in virtual time.
        first: Name of its first call; empty when it has none.
    """

    output: Any = None
    journal: Any = None
    seconds: float = 0.0
    first: str = ""


@dataclass
class Surroundings:
    """Everything that is not the saga itself.

    Attributes:
        sagas: Child sagas by name.
        activities: Signatures of the installed activities; ``None`` when no activity is known.
        always: Activities that never give the usual output: by name, the index into ``outputs`` of what they give.
        pauses: Operators pause the saga, once, at any moment. ``resets``: they let it go back to a step, once.
        kills: The server ends the run, once, at any moment, and a new run takes it up; a failed saga is redriven, once.
        later: The definition with which the saga may go on, once, at any moment.
        later_name: How a case names that definition.
        now: When the saga begins, in seconds since 1970.
    """

    saga: Saga
    sagas: Mapping[str, Saga]
    activities: Mapping[str, Signature] | None = None
    always: Mapping[str, int] = field(default_factory=dict)
    pauses: bool = False
    resets: bool = False
    kills: bool = False
    later: Target | None = None
    later_name: str = ""
    now: float = BEGIN
    _outputs: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    _errors: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _children: dict[str, ChildRun | None] = field(default_factory=dict)

    @property
    def versions(self) -> tuple[Saga, ...]:
        """The definitions that the saga may have."""
        return (self.saga,) if self.later is None else (self.saga, self.later.saga)

    @cached_property
    def drawn(self) -> Outputs:
        return Outputs((*self.versions, *self._children_by_name.values()), self.activities)

    @cached_property
    def _children_by_name(self) -> Mapping[str, Saga]:
        return {**({} if self.later is None else self.later.sagas), **self.sagas}

    def signature(self, activity: str) -> Signature | None:
        return self.activities.get(activity) if self.activities is not None else None

    def outputs(self, activity: str) -> tuple[Any, ...]:
        """Return the outputs that an activity may give: the usual one, then others with one deviation each."""
        if activity not in self._outputs:
            schema = self.drawn.schema(activity)
            name = activity.rpartition(".")[2]
            usual = draw(schema, 0, name, items=2) if schema else None
            self._outputs[activity] = tuple(_unlike((usual, *variations(schema, usual, filled=True))))[:MOST]
        return self._outputs[activity]

    @cached_property
    def called(self) -> tuple[str, ...]:
        """The activities that the saga's own steps call."""
        bodies = (place.step.body for saga in self.versions for place in saga.places.values())
        return tuple(dict.fromkeys(name for body in bodies if isinstance(body, ActivityCall) for name in body.names))

    def repeated(self) -> tuple[str, ...]:
        """Return the activities that may be called more than once in one run: in loops, or by several steps."""
        found: dict[str, None] = {}
        for saga in self.versions:
            numbers: dict[str, int] = {}
            for place in saga.places.values():
                if isinstance(place.step.body, ActivityCall):
                    for name in place.step.body.names:
                        numbers[name] = numbers.get(name, 0) + (2 if any(place.loops) else 1)
            found.update((name, None) for name, number in numbers.items() if number > 1)
        return tuple(found)

    def errors(self, step: Step) -> tuple[str, ...]:
        """Return the types of errors that lead a step different ways: one that nobody names, and all that are named.

        The step's handlers name types, and so do those of the blocks around it, and comparisons with ``error.type``.
        """
        if step.id not in self._errors:
            assert isinstance(step.body, ActivityCall)
            signatures = map(self.signature, step.body.names)
            places = [(saga, saga.places[step.id]) for saga in self.versions if step.id in saga.places]
            handled = (type_ for saga, place in places for type_ in _named(saga, place))
            named = dict.fromkeys((*handled, *self._compared))
            errors = (error for each in signatures if each is not None for error in each.errors)
            declared = [error for error in errors if error not in named]
            usual = declared[0] if declared else OTHER_ERROR
            while usual in named:
                usual += "Otherwise"
            self._errors[step.id] = (usual, *named)
        return self._errors[step.id]

    @cached_property
    def _compared(self) -> tuple[str, ...]:
        """Types with which expressions compare ``error.type`` or ``failure.type``."""
        found: dict[str, None] = {}
        for tree in (tree for saga in self.versions for site in walk.sites(saga) for tree in trees(site.value)):
            for node in (tree, *tree.inside(nodes.Compare)):
                if isinstance(node, nodes.Compare) and chain_of(node.expr) in (("error", "type"), ("failure", "type")):
                    operands = [const for each in node.ops for const in (each.expr, *each.expr.children())]
                    consts = (each.value for each in operands if isinstance(each, nodes.Const))
                    found.update({value: None for value in consts if isinstance(value, str)})
        return tuple(type_ for type_ in found if type_ not in _OURS)[:MOST]

    def activity_of(self, step: str) -> str:
        """Return the activity that a step calls."""
        body = next(saga.places[step].step.body for saga in self.versions if step in saga.places)
        assert isinstance(body, ActivityCall)
        return body.names[0]

    def payloads(self, signal: str, saga: Saga) -> tuple[Any, ...]:
        """Return the payloads that a signal may carry, as a version of the saga declares them."""
        schema = dict(saga.signals.get(signal) or {})
        usual = draw(schema, 0, signal) if schema else None
        return tuple(_unlike((usual, *variations(schema, usual))))[:MOST]

    def inputs(self) -> tuple[Any, ...]:
        """Return inputs of the saga: the usual one with everything in it, then others with one deviation each."""
        schema = overlaid(dict(self.saga.input_schema or {}), input_wanted(self.saga))
        check = checker(self.saga.input_schema, "input", fill=True)
        full, least = draw(schema, 0, "input", items=2), draw(schema, 0, "input", full=False)
        found = [each for each in _unlike((full, *variations(schema, full), least)) if not check(each)]
        return tuple(found) or ((least,) if not check(least) else ())

    def child(self, command: StartChild) -> ChildRun | None:
        """Return how a child saga goes when it goes well; ``None`` when there is no such saga."""
        saga = self._children_by_name.get(command.saga)
        if saga is None:
            return None
        if command.journal is not None:
            return ChildRun()
        key = f"{command.saga} {json.dumps(command.input, sort_keys=True)}"
        if key not in self._children:
            world = World(participant(Mocks(), self.drawn.draw, ID), sagas=self._children_by_name, start=self.now)
            run = world.start(saga, command.input, ID)
            world.run(until=_LONG)
            well = run.close is not None and run.close.status is Status.COMPLETED
            output = run.close.output if run.close is not None and well else None
            first = next((each.call for each in world.events if each.what == "start"), "")
            self._children[key] = ChildRun(output, snapshot(run.state), world.now - world.begin, first)
        return self._children[key]


_LONG = 30 * 24 * 3600.0


def variations(schema: Mapping[str, Any], usual: Any, *, filled: bool = False) -> Iterator[Any]:
    """Yield *usual* with one place changed each: other choices, absent keys, lists of other sizes.

    Args:
        filled: Leave out no key: a plugin's output has all keys that its type names.
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
    """Return the seconds after which a call must have ended: its attempts, their waits for a worker, the pauses.

    Infinite if nothing bounds the wait for a worker, or the number of attempts.
    """
    attempts, queue = command.retry.maximum_attempts, queue_limit(command)
    waits = 0.0 if command.local else inf if queue is None else queue.total_seconds()
    return _of_attempts(command, inf if attempts is None else attempts, waits)


def silence(command: StartActivity, *, once: bool) -> float:
    """Return the seconds until the server gives up a call that workers take, but of which nobody hears again.

    Args:
        once: The call has been cancelled, so that it is not attempted again.
    """
    if command.operation is not None:
        limits = (command.schedule_to_close, command.schedule_to_start)
        return min((limit.total_seconds() for limit in limits if limit is not None), default=inf)
    once = once or TIMEOUT in command.retry.non_retryable_error_types
    return _of_attempts(command, 1 if once else command.retry.maximum_attempts or 1, 0.0)


def refusal(command: StartActivity, type_: str, tick: float) -> float:
    """Return the seconds until a call is given up, if each attempt reports the same error after *tick* seconds."""
    retry = command.retry
    attempts = 1 if type_ in retry.non_retryable_error_types else retry.maximum_attempts or 1
    total = attempts * tick + pauses(retry, attempts)
    limit = inf if command.schedule_to_close is None else command.schedule_to_close.total_seconds()
    return total if total < limit else tick


def _of_attempts(command: StartActivity, attempts: float, waits: float) -> float:
    total = inf if command.schedule_to_close is None else command.schedule_to_close.total_seconds()
    if command.start_to_close is None or attempts == inf:
        return total
    one = command.start_to_close.total_seconds() + waits
    return min(total, attempts * one + pauses(command.retry, int(attempts)))


def pauses(retry: RetryPlan, attempts: int) -> float:
    """Return the sum of the pauses between so many attempts, in seconds."""
    pause, longest, total = retry.initial_interval.total_seconds(), retry.maximum_interval.total_seconds(), 0.0
    for _ in range(min(attempts - 1, 10_000)):
        total += min(pause, longest)
        pause = min(pause * retry.backoff_coefficient, longest)
    return total


def _named(saga: Saga, place: Place) -> Iterator[str]:
    """Yield the types of errors that the handlers of a step take, and those of the blocks around it."""
    enclosing = (saga.places[block].step for block in place.blocks if block in saga.places)
    for step in (place.step, *enclosing):
        yield from (type_ for handler in step.on_error for type_ in handler.types if type_ not in _OURS)


_OURS = frozenset({TIMEOUT, CANCELLED, EXPRESSION_ERROR, SAGA_TIMEOUT, SIGNAL_TIMEOUT, NO_MATCHING_CASE})
"""Types of errors that no participant reports."""
