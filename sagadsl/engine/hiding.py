"""What a run knows and does not show: the values that schemas mark as secret, taken out of its projections.

Nothing of a run follows from it. A value that the run no longer holds, as that of a step long undone, is not found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sagadsl.engine.facts import Error, Given
from sagadsl.engine.journal import State
from sagadsl.engine.records import Record
from sagadsl.immutable import Immutable, replace
from sagadsl.language.calls import ActivityCall, SagaCall
from sagadsl.language.model import Saga, Step, WaitFor
from sagadsl.language.paths import parse_call, step_id_in
from sagadsl.language.schema.secrecy import NOTHING, Hiding, Place, found, hiding, places
from sagadsl.language.walk import calls, spots

Marks = Mapping[str, Mapping[str, Sequence[Sequence[str]]]]
"""Places of secrets in ``input`` and ``output`` of activities, by their names, as their models mark them."""

NO_MARKS: Marks = {}
NO_CHILDREN: Mapping[str, Mapping[str, Any]] = {}

_FORMER = " "
"""Stands among the marks of a run that has migrated, for the inputs of the sagas that it was before; with the name of a
signal, for its payloads. No activity has such a name."""

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
    return Marked.of(saga, marks).is_any


class Marked(Immutable):
    """Where the data of a saga has secrets.

    Attributes:
        input: In its input.
        signals: In the payloads of its signals, by name.
        sent: In what activities and child sagas get, by name.
        given: In what activities give, by name.
        is_any: Anything that a run gets may be secret. What its child sagas get alone does not count: they hide it.
        has_migrated: An earlier definition of the run has marked something, too.
    """

    input: tuple[Place, ...] = ()
    signals: Mapping[str, tuple[Place, ...]] = {}
    sent: Mapping[str, tuple[Place, ...]] = {}
    given: Mapping[str, tuple[Place, ...]] = {}
    is_any: bool = False
    has_migrated: bool = False

    @classmethod
    def of(cls, saga: Saga, marks: Marks = NO_MARKS, children: Mapping[str, Mapping[str, Any]] = NO_CHILDREN) -> Marked:
        """Return what a definition and the models of its activities mark.

        Args:
            children: The definitions of its child sagas, by name.
        """
        names = {name for spot in spots(saga) for name in _called(spot[-1].step)} if marks else set[str]()
        has_migrated = _FORMER in marks
        own = {name: each for name, each in marks.items() if has_migrated or name in names}
        input_ = (*places(saga.input_schema), *marked(marks, _FORMER, "input"))
        signals = {
            name: (*places(payload), *marked(marks, _FORMER + name, "input")) for name, payload in saga.signals.items()
        }
        of_children = {name: places(child.get("input")) for name, child in children.items()}
        return cls(
            input_,
            signals,
            {name: at for name, at in of_children.items() if at} | {name: marked(own, name, "input") for name in own},
            {name: marked(own, name, "output") for name in own},
            bool(input_ or own or any(signals.values())),
            has_migrated,
        )

    @property
    def delivered(self) -> tuple[Place, ...]:
        """The places in a request that delivers a signal, whichever it is."""
        return tuple(("payload", *place) for each in self.signals.values() for place in each)

    def asked(self, saga: Saga, path: str) -> tuple[Place, ...]:
        """Return the places in what an operator gives for the step or the call at *path*; for an unknown one, in what
        anybody could give."""
        call = parse_call(path)
        sent, given = self._of_step(_step(saga, step_id_in(call.step)) if path else None, undoes=call.undoes)
        return (*(("input", *each) for each in sent), *(("output", *each) for each in given))

    def _of_step(self, step: Step | None, *, undoes: bool = False) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
        """Return the places in what a step gets, and in what it gives, or its undo; without a step, of all of them."""
        if step is None or self.has_migrated:  # the step may have called something else
            waits = [(at, says_which) for at in self.signals.values() for says_which in (False, True)]
            return _joined(self.sent.values()), _joined([*self.given.values(), *_payloads(waits)])
        body, names, waits = step.body, list(_names(step, undoes=undoes)), []
        if isinstance(body, WaitFor):
            waits = [(self.signals.get(name, ()), body.says_which) for name in body.signals]
        sent = _joined(self.sent.get(name, ()) for name in names)
        return sent, _joined([*(self.given.get(name, ()) for name in names), *_payloads(waits)])

    def values(self, saga: Saga, state: State) -> Iterator[Any]:
        """Yield the secrets that a run holds."""
        yield from found(state.input, self.input)
        for signal, payloads in state.signals.items():
            for payload in payloads:
                yield from self.of_signal(signal, payload)
        for record in state.records.values():
            yield from self.of_record(saga, record)

    def of_signal(self, signal: str, payload: Any) -> Iterator[Any]:
        """Yield the secrets in the payload of a signal."""
        return found(payload, self.signals.get(signal, ()))

    def of_record(self, saga: Saga, record: Record) -> Iterator[Any]:
        """Yield the secrets that a record holds."""
        step = _step(saga, record.step)
        sent, given = self._of_step(step)
        yield from found(record.input, sent)
        yield from found(record.output, given)
        if record.undo is not None and record.undo.inputs:
            sent, _ = self._of_step(step, undoes=True)
            for each in record.undo.inputs:
                yield from found(each, sent)


def hidden(saga: Saga, state: State, marked: Marked) -> Hiding:
    """Return what takes the secrets of a run out of what it shows. It looks at all that the state has; see
    ``known_secrets``."""
    return hiding(marked.values(saga, state)) if marked.is_any else NOTHING


def told(given: Given, saga: Saga, path: str, marked: Marked) -> Given:
    """Return what an operator gives without what is marked as secret: the words for it stay in the state."""
    at = marked.asked(saga, path)
    values = {"input": given.input, "output": given.output}
    covered = NOTHING.data({name: value[0] for name, value in values.items() if value}, at)
    shown = {name: (covered[name],) if name in covered else () for name in values}
    return replace(given, input=shown["input"], output=shown["output"])


def of_child(marks: Marks) -> Marks:
    """Return the marks for a child saga: without those of what its parent was before."""
    return {name: each for name, each in marks.items() if not name.startswith(_FORMER)}


def handed_on(saga: Saga, marks: Marks, new: Marks) -> Marks:
    """Return the marks of a run that goes on with another definition: those of the new one, and of the one before.

    What was recorded before is as secret as it was.
    """
    if not has_secrets(saga, marks):
        return new
    signals = {_FORMER + name: places(payload) for name, payload in saga.signals.items()}
    own: Marks = {name: {"input": list(map(list, at))} for name, at in signals.items() if at}
    own = {**own, _FORMER: {"input": list(map(list, places(saga.input_schema)))}}
    made: dict[str, dict[str, list[list[str]]]] = {}
    for name, each in (pair for part in (marks, own, new) for pair in part.items()):
        for what, at in each.items():
            listed = made.setdefault(name, {}).setdefault(what, [])
            listed += [list(place) for place in at if list(place) not in listed]
    return made


def _step(saga: Saga, id: str) -> Step | None:
    return None if (place := saga.places.get(id)) is None else place.step


def _called(step: Step) -> Iterator[str]:
    """Yield the activities that a step, its probe and its compensation call."""
    for call, _, _ in calls(step):
        yield from call.names if isinstance(call, ActivityCall) else ()


def _names(step: Step, *, undoes: bool) -> Iterator[str]:
    """Yield the activities and child sagas that a step calls, or its compensation."""
    actions = () if step.compensation is None else step.compensation.actions
    for call in (each.call for each in actions) if undoes else (step.body,):
        if isinstance(call, ActivityCall):
            yield from call.names
        elif isinstance(call, SagaCall):
            yield call.saga


def _payloads(waits: Iterable[tuple[tuple[Place, ...], bool]]) -> Iterator[tuple[Place, ...]]:
    """Yield the places in what a wait gives, for each of its signals."""
    for at, says_which in waits:
        yield tuple(("payload", *each) for each in at) if says_which else at


def _joined(parts: Iterable[tuple[Place, ...]]) -> tuple[Place, ...]:
    return tuple(dict.fromkeys(place for part in parts for place in part))


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
