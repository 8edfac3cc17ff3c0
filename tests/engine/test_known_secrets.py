"""What a run knows to be secret is what its state holds, however the facts came, and each call looks at few records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from sagadsl.engine.decide import parts
from sagadsl.engine.facts import Began, Command, Fact, SignalReceived, StartActivity
from sagadsl.engine.hiding import Marked, hidden
from sagadsl.engine.journal import State
from sagadsl.engine.known_secrets import KnownSecrets
from sagadsl.engine.records import Record
from sagadsl.immutable import replace
from sagadsl.language.build import build
from sagadsl.language.model import Saga
from sagadsl.virtual import world
from sagadsl.virtual.calls import Attempt, Participant
from sagadsl.virtual.world import World
from tests.engine import test_any_saga
from tests.engine.scenes import Script, act, no, saga, scripted
from tests.engine.test_any_saga import Case, cases, played

MOST = 3
"""Records that one fact may concern here: the step that is over, and the one that begins, by its call and its start."""


@dataclass
class Followed:
    """Plays sagas, and follows what each run knows to be secret; all that activities get and give is."""

    patch: pytest.MonkeyPatch
    compares: bool
    known: dict[int, tuple[State, KnownSecrets]] = field(default_factory=dict)
    looks: list[int] = field(default_factory=list)
    _looked: int = 0

    def __post_init__(self) -> None:
        of_record = Marked.of_record

        def counted(marked: Marked, saga: Saga, record: Record) -> Iterator[Any]:
            self._looked += 1
            return of_record(marked, saga, record)

        self.patch.setattr(Marked, "of_record", counted)
        self.patch.setattr(world, "decide", self._decide)

    def _decide(self, saga: Saga, state: State, fact: Fact) -> list[Command]:
        names = {name for id_ in saga.places for name in (f"act.{id_}", f"undo.{id_}", f"do.{id_}")}
        names |= {"act.one", "undo.one", "undo.two", "act.probe"}
        marked = Marked.of(saga, {name: {"input": [[]], "output": [[]]} for name in names})
        _, known = self.known.setdefault(id(state), (state, KnownSecrets(saga, marked)))
        commands: list[Command] = []
        for part in parts(saga, state, fact):
            before = self._looked
            known.learn(state, fact, part.noted, part.commands)
            if any(isinstance(each, StartActivity) for each in part.commands):
                self.looks.append(self._looked - before)
            commands += part.commands
        if self.compares:
            values, looked_at_all = list(marked.values(saga, state)), hidden(saga, state, marked)
            assert [known.hides.data(each) for each in values] == [looked_at_all.data(each) for each in values]
        return commands


def _with_tokens(script: Script) -> Participant:
    """Do what a script says; what succeeds gives a value of its own."""
    plays, numbers = scripted(script), count()

    def attempt(saga_id: str, command: StartActivity, number: int) -> Attempt:
        found = plays(saga_id, command, number)
        given = found.output if isinstance(found.output, bool) else {"ok": True, "token": f"token-{next(numbers)}"}
        return replace(found, output=given) if found.error is None else found

    return attempt


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_a_run_knows_the_secrets_that_its_state_holds(case: Case) -> None:
    """Whatever fails, is cancelled, undone, or decided by operators; also in runs that continue others."""
    for drain in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            followed = Followed(patch, compares=True)
            patch.setattr(test_any_saga, "scripted", _with_tokens)
            played(case, drain=drain)
            assert followed.known


@pytest.mark.parametrize("undone", [False, True])
def test_a_call_looks_at_as_few_records_in_a_long_saga_as_in_a_short_one(
    monkeypatch: pytest.MonkeyPatch, undone: bool
) -> None:
    followed, numbers = Followed(monkeypatch, compares=False), count()
    last = [act("last", compensation="none")]
    steps = [act(f"s{number}", input={"n": f"number {number:05}"}) for number in range(300)]

    def attempt(_saga: str, command: StartActivity, _attempt: int) -> Attempt:
        return no() if command.call_id == "last" and undone else Attempt(output=f"token-{next(numbers)}")

    playing = World(attempt)
    run = playing.start(build(saga(*steps, *last)), None)
    playing.run()

    assert run.close is not None
    assert len(followed.looks) == (601 if undone else 301)
    assert max(followed.looks) <= MOST


def test_a_run_knows_the_secrets_of_rounds_that_it_has_packed_and_undoes(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a run that continues another one they are in records again when the saga goes back."""
    followed = Followed(monkeypatch, compares=True)
    undo = {"activity": "undo.x", "retry": "none"}
    step = act("x", input={"n": "number {{ item }}"}, compensation=undo)
    loop = {"id": "l", "for_each": {"items": "input"}, "steps": [step]}
    playing = World(scripted({"do.last": no()}), drain=True)
    run = playing.start(build(saga(loop, act("last", compensation="none"))), [1001, 1002, 1003])
    playing.run()

    assert run.close is not None
    assert len(followed.known) > 2


def test_a_run_knows_the_secrets_of_a_signal_that_no_step_has_taken() -> None:
    go = {"type": "object", "properties": {"card": {"type": "string", "x-secret": True}}}
    model = build(saga(act("a"), {"id": "w", "wait_for": {"signal": "go", "payload": go}}))
    state, known = State(), KnownSecrets(model, Marked.of(model))
    for fact in (Began(0.0, "s", "r", None), SignalReceived(1.0, "go", {"card": "4111-1111"})):
        for part in parts(model, state, fact):
            known.learn(state, fact, part.noted, part.commands)

    assert state.signals
    assert known.hides.text("of 4111-1111") == "of ***"
