"""What an operator changes in an explored saga as a whole: its definition, or the step at which it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sagadsl.engine import migration
from sagadsl.engine.facts import Fact, StartActivity
from sagadsl.engine.journal import Phase, State
from sagadsl.engine.resetting import heading
from sagadsl.engine.tries import awaited
from sagadsl.language.calls import ActivityCall
from sagadsl.language.paths import Purpose, parse_call
from sagadsl.trial.explore.circumstances import Move, Silence
from sagadsl.trial.explore.summary import Violation
from sagadsl.trial.explore.world import Surroundings
from sagadsl.trial.played import ID
from sagadsl.virtual.runs import Event

if TYPE_CHECKING:
    from sagadsl.trial.explore.nodes import Node


def migrates(node: Node, surroundings: Surroundings) -> bool:
    """Give a saga the definition that somebody has asked for; false when it cannot have it any more (R75)."""
    later = surroundings.later
    assert later is not None
    if migration.judge(node.saga, node.state, later.saga).reasons:
        return False
    before, after = surroundings.sagas, later.sagas

    def is_same_child(name: str) -> bool:
        return before.get(name) == after.get(name)

    node.saga = migration.migrate(node.saga, node.state, later.saga, node.here.now, is_same_child)
    return True


def promised(node: Node, command: StartActivity) -> Mapping[str, str]:
    """Return under which definition each step has begun, by digest, when this call has begun, too."""
    call = parse_call(command.call_id)
    return {**node.promised, call.step: node.saga.digest} if call.purpose is Purpose.DO else node.promised


def broken_promise(node: Node, command: StartActivity, surroundings: Surroundings) -> Violation | None:
    """R72: a step is undone by the call that the definition has promised under which the step began."""
    call = parse_call(command.call_id)
    digest = node.promised.get(call.step)
    if not call.undoes or digest is None:
        return None
    under = next(each for each in surroundings.versions if each.digest == digest)
    compensation = under.places[node.state.records[call.step].step].step.compensation
    actions = () if compensation is None else compensation.actions
    names = [name for each in actions if isinstance(each.call, ActivityCall) for name in each.call.names]
    if not names or command.activity in names:
        return None
    what = f"`{command.call_id}` calls `{command.activity}`, and `{names[0]}` was promised"
    return Violation("promise-broken", "R72", call.step, what)


def went_back(node: Node, state: State, move: Move) -> Event | None:
    """Return the event of a saga that has gone back to a step with this move (R80); *state* is the one after it."""
    fact = move.fact
    if isinstance(fact, Silence) or not (node.state.returning or move.detail == "reset"):
        return None
    to = heading(node.saga, node.state, fact)
    has_gone = to and not state.returning and state.phase is Phase.FORWARD
    return Event(fact.at, ID, "went_back", to) if has_gone else None


def tried_again(node: Node, state: State, fact: Fact | Silence) -> Iterator[Event]:
    """Yield the events of steps whose next try begins with a fact (R92); *state* is the one after it."""
    for path, began in awaited(node.state).items():
        if not isinstance(fact, Silence) and path in state.records and state.records[path].began != began:
            yield Event(fact.at, ID, "tried_again", path)
