"""Lets an open run go on with another definition, and says why it may not. Replay-critical, but for the judgement.

A run migrates at a quiet point: nothing is in flight, and while it waits for that point no block goes on. Then all that
is in its state needs its place in the new definition: each step that has begun, each open block, each wait, each signal
that is kept. Calls that were in flight have ended under the old definition.

What the old definition has promised to undo is undone as the old definition says (R72). So the record of such a
compensation keeps the digest of its definition, and the saga keeps that definition as one of ``Saga.former``.

The same judgement, asked about states that no run has, tells what a change means for open runs; see ``stations``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from sagadsl.engine import chunks
from sagadsl.engine.facts import MigrationRequested
from sagadsl.engine.journal import Action, FrameKind, Migration, Phase, State
from sagadsl.engine.promises import undone_otherwise
from sagadsl.engine.run import Run
from sagadsl.engine.verdict import Fits, Judgement, Judging, Reason
from sagadsl.engine.verdict_data import judge_data
from sagadsl.engine.verdict_places import judge_places
from sagadsl.immutable import replace
from sagadsl.language.model import Saga
from sagadsl.language.paths import parse_call
from sagadsl.language.schema.conform import checker

VERB = "migrate"
"""The name of the request in the list of what operators have asked."""

OF_A_PARENT = "a child saga keeps the definition that its parent has started it with"

STAYED = "stay"
"""The name under which that list has a migration that was accepted and could not be made."""


def fits_schema(schema: Any, what: str, value: Any) -> Sequence[str]:
    """Say what is wrong with a value; without a schema, nothing is."""
    return checker(schema, what)(value)


def no_data(_schema: Any, _what: str, _value: Any) -> Sequence[str]:
    """Take any value: for states that have steps and no data."""
    return ()


def judge(old: Saga, state: State, new: Saga, fits: Fits = fits_schema) -> Judgement:
    """Say whether a run of *old* in this state may go on as *new*."""
    if new.name != old.name:
        only = Reason("R70", "", ("name",), f"the new definition is of saga `{new.name}`, and this run of `{old.name}`")
        return Judgement((only,))
    judging = Judging(old, state, new)
    judge_places(judging)
    judge_data(judging, fits)
    order = {place.step.id: index for index, place in enumerate(new.places.values())}
    reasons = sorted(judging.reasons, key=lambda each: order.get(each.step, -1))
    return Judgement(tuple(reasons), tuple(dict.fromkeys(judging.notes)))


def refusal(saga: Saga, state: State, digest: str = "") -> str:
    """Return why a run can migrate to no definition now, or not to the one of *digest*; empty if it may be judged."""
    if state.phase is Phase.CLOSED:
        return "the saga is over"
    if state.undo_only:
        return OF_A_PARENT
    if state.returning:
        return f"it goes back to `{state.returning}`: wait until it has"
    if state.migrating:
        return f"it migrates already, to {state.migrating[:12]}"
    return "it has this definition already" if digest == saga.digest else ""


def asked(run: Run, fact: MigrationRequested) -> None:
    """Begin nothing more until the run has migrated."""
    state = run.state
    run.taken_in(fact.request, VERB)
    state.actions.append(Action(fact.at, VERB, "", fact.by, fact.why))
    state.migrating, state.draining = fact.digest, True


def stays(run: Run, at: float, why: str) -> None:
    """Go on with the old definition."""
    state = run.state
    state.migrating, state.draining = "", False
    state.actions.append(Action(at, STAYED, "", "", why))


def waits_for(state: State) -> list[str]:
    """Return the paths of the calls that have to end before the run can migrate."""
    return list(dict.fromkeys(parse_call(call).path for call in state.calls))


def migrate(
    old: Saga, state: State, new: Saga, at: float, is_same_child: Callable[[str], bool] = lambda _: True
) -> Saga:
    """Change a quiet state so that it goes on as *new*; return *new* with the former definitions that it still needs.

    Args:
        is_same_child: Whether both definitions have the child saga of this name in the same form.
    """
    former = {**old.former, old.digest: old}
    otherwise = {
        step_id
        for step_id, place in old.places.items()
        if step_id in new.places and undone_otherwise(place.step, new.places[step_id].step, is_same_child)
    }
    for path, record in state.records.items():
        if record.undo is not None and not record.undo.definition and record.step in otherwise:
            promised = dataclasses.replace(record.undo, definition=old.digest)
            state.records[path] = dataclasses.replace(record, undo=promised)  # others may share a record that has ended
    state.chunks = [chunks.promised_by(packed, otherwise, old.digest) for packed in state.chunks]
    for frame in state.frames.values():
        if frame.closing is None and frame.kind in (FrameKind.PARALLEL, FrameKind.LOOP):
            if frame.kind is FrameKind.PARALLEL:
                frame.cursor = 0  # branches that have begun are passed over
            state.held["advance", frame.path] = True
    state.migrations.append(Migration(at, old.digest, old.version, new.digest, new.version))
    state.migrating = ""
    needed = {record.undo.definition for record in state.records.values() if record.undo is not None}
    for packed in state.chunks:
        needed |= chunks.promises(packed)
    kept = {digest: replace(saga, former={}) for digest, saga in former.items() if digest in needed}
    return replace(new, former=kept)
