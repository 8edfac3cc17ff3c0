"""The secrets that a run has held since it began, found where its facts put them.

To look for them in all records at each call would cost a long saga the square of its length. So each fact is followed
by a look at the records that it concerns: those of steps that are over, and of calls that begin. Nothing of a run
follows from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sagadsl.engine.facts import (
    Began,
    BeganUndo,
    Command,
    Fact,
    Inherited,
    OperatorAsked,
    Resumed,
    SignalReceived,
    StartActivity,
    StartChild,
)
from sagadsl.engine.hiding import Marked
from sagadsl.engine.journal import State
from sagadsl.engine.noted import Noted
from sagadsl.engine.records import Record
from sagadsl.language.model import Saga
from sagadsl.language.paths import parse_call
from sagadsl.language.schema.secrecy import Hiding, SecretValues

_WITH_A_STATE = (Began, BeganUndo, Inherited, Resumed)
"""Facts after which a run may hold what no fact has told it."""


class KnownSecrets:
    """What a run knows and does not show.

    It has at least what the state has, and also what the state has forgotten since the run began. What an earlier run
    had forgotten before continue-as-new, it does not have.
    """

    def __init__(self, saga: Saga, marked: Marked) -> None:
        self._saga, self._marked = saga, marked
        self._values = SecretValues()
        self._looked_at_all: Fact | None = None

    @property
    def hides(self) -> Hiding:
        """What takes them out of what is shown."""
        return self._values.hides

    def learn(self, state: State, fact: Fact, noted: Sequence[Noted], commands: Sequence[Command]) -> None:
        """Look at what a part of what followed from a fact has brought."""
        is_first = self._looked_at_all is None or isinstance(fact, _WITH_A_STATE)
        if is_first and fact is not self._looked_at_all:
            self._looked_at_all = fact
            self._values.add(self._marked.values(self._saga, state))
            return
        if isinstance(fact, SignalReceived):
            self._values.add(self._marked.of_signal(fact.name, fact.payload))
        for record in _concerned(state, fact, noted, commands):
            self._values.add(self._marked.of_record(self._saga, record))


def _concerned(state: State, fact: Fact, noted: Sequence[Noted], commands: Sequence[Command]) -> Iterator[Record]:
    paths = [state.calls.get(each.call_id) for each in commands if isinstance(each, StartActivity | StartChild)]
    if isinstance(fact, OperatorAsked) and state.actions and (path := state.actions[-1].path):
        paths.append(parse_call(path).step)
    yield from (each.record for each in noted if each.record is not None)
    yield from (state.records[path] for path in paths if path in state.records)
