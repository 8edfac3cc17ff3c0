"""What a run knows and does not show: the values that schemas mark as secret, taken out of its projections.

Nothing of a run follows from it. A value that the run no longer holds, as that of a step long undone, is not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sagadsl.engine.facts import Error
from sagadsl.engine.journal import State
from sagadsl.engine.records import Record
from sagadsl.immutable import replace
from sagadsl.language.calls import ActivityCall
from sagadsl.language.model import Saga, Step, WaitFor
from sagadsl.language.schema.secrecy import NOTHING, Hiding, Place, found, hiding, places

Marks = Mapping[str, Mapping[str, Sequence[Sequence[str]]]]
"""Places of secrets in ``input`` and ``output`` of activities, by their names, as their models mark them."""

NO_MARKS: Marks = {}

_SHOWN = frozenset({"message", "why", "gave", "reason", "result", "answer"})
"""The fields of a status that hold data, or may quote it."""


def marked(marks: Marks, activity: str, what: str) -> tuple[Place, ...]:
    """Return the places of secrets in the ``input`` or ``output`` of an activity."""
    return tuple(tuple(each) for each in marks.get(activity, {}).get(what, ()))


def are_marks(data: Any) -> bool:
    """Whether data from outside has the form of ``Marks``."""

    def are_places(found: Any) -> bool:
        lists = isinstance(found, list) and all(isinstance(each, list) for each in found)
        return lists and all(isinstance(key, str) for each in found for key in each)

    return isinstance(data, dict) and all(
        isinstance(each, dict) and each.keys() <= {"input", "output"} and all(map(are_places, each.values()))
        for each in data.values()
    )


def has_secrets(saga: Saga, marks: Marks = NO_MARKS) -> bool:
    """Whether anything that a run of *saga* gets may be secret."""
    if places(saga.input_schema) or any(map(places, saga.signals.values())):
        return True
    return bool(marks) and any(name in marks for place in saga.places.values() for name in _called(place.step))


def _called(step: Step) -> Iterator[str]:
    actions = step.compensation.actions if step.compensation is not None else ()
    for call in (step.body, *(each.call for each in actions)):
        if isinstance(call, ActivityCall):
            yield from call.names


def hidden(saga: Saga, state: State, marks: Marks = NO_MARKS) -> Hiding:
    """Return what takes the secrets of a run out of what it shows."""
    return hiding(_values(saga, state, marks)) if has_secrets(saga, marks) else NOTHING


def _values(saga: Saga, state: State, marks: Marks) -> Iterator[Any]:
    yield from found(state.input, places(saga.input_schema))
    of_signals = {name: places(payload) for name, payload in saga.signals.items()}
    for signal, payloads in state.signals.items():
        for payload in payloads:
            yield from found(payload, of_signals.get(signal, ()))
    for record in state.records.values():
        yield from _of_record(saga, record, of_signals, marks)


def _of_record(saga: Saga, record: Record, of_signals: Mapping[str, tuple[Place, ...]], marks: Marks) -> Iterator[Any]:
    place = saga.places.get(record.step)
    body = None if place is None else place.step.body
    if isinstance(body, ActivityCall):
        name = record.activity or body.activity
        yield from found(record.input, marked(marks, name, "input"))
        yield from found(record.output, marked(marks, name, "output"))
    elif isinstance(body, WaitFor):
        for each in body.expected:
            at = of_signals.get(each.signal, ())
            yield from found(record.output, [("payload", *one) for one in at] if body.says_which else at)


def status(found: dict[str, Any], hides: Hiding) -> dict[str, Any]:
    """Return a status without secrets. The names in it stay, even if a secret is spelt like one."""
    return dict(hides.fields(found, _SHOWN)) if hides else found


def error(error: Error, hides: Hiding) -> Error:
    """Return an error whose messages quote no secret; what a saga gives that says no stays, as it is data."""
    if not hides:
        return error
    causes = tuple((type_, hides.text(message)) for type_, message in error.causes)
    return replace(error, message=hides.text(error.message), causes=causes)


def report(found: dict[str, Any], hides: Hiding) -> dict[str, Any]:
    """Return the report of a closed saga without secrets in its messages."""
    return dict(hides.fields(found, frozenset({"message"}))) if hides else found
