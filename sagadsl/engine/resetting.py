"""An operator lets an open saga go back to a step. R80, R81. Replay-critical.

What runs is asked to stop and settles, as when the saga fails. Then what lies behind the step is undone, and the saga
goes on from it: see ``returning``.
"""

from __future__ import annotations

from typing import Any

from sagadsl.engine import blocks
from sagadsl.engine.behind import behind
from sagadsl.engine.facts import Fact, Inherited, OperatorAsked
from sagadsl.engine.journal import Closing, Phase, State
from sagadsl.engine.run import Run
from sagadsl.engine.verbs import Verb
from sagadsl.immutable import Immutable
from sagadsl.language.model import Saga
from sagadsl.language.paths import ROOT, parse_call


class ResetPlan(Immutable):
    """What a reset would do.

    Attributes:
        to: Path of the step to which the saga goes back.
        stops: Calls in flight, which are asked to stop first.
        undo: Steps that have to be undone, the newest first; those that run, if they have happened by then.
        again: Steps that are done once more, in the order in which they began, without forgotten rounds.
        why: Why the saga cannot go back; empty if it can.
    """

    to: str
    stops: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        names = ("stops", "undo", "again")
        return {"to": self.to, "why": self.why} | {name: list(getattr(self, name)) for name in names}


def plan(saga: Saga, state: State, to: str) -> ResetPlan:
    """Return what a reset would do now. Nothing changes."""
    if (why := refusal(saga, state, to)) is not None:
        return ResetPlan(to, why=why)
    found = behind(saga, state, to)
    stops = tuple(dict.fromkeys(parse_call(call).path for call in state.calls))
    return ResetPlan(found.to, stops, found.undo, found.steps)


def refusal(saga: Saga, state: State, to: str) -> str | None:
    """Return why an open saga cannot go back to the step *to*, in one sentence; ``None`` when it can."""
    if state.undo_only:
        return "it only undoes a saga that has completed"
    if state.returning:
        return f"it goes back to `{state.returning}` already"
    if state.migrating:
        return "it is about to go on with another definition: wait until it has"
    if state.phase is not Phase.FORWARD:
        return "it is being undone already"
    if state.pending_stop is not None or state.stopped:
        return "it is being stopped"
    if state.unwinds:
        return "branches that a block did not need are being undone: wait until they are"
    return "; ".join(behind(saga, state, to).reasons) or None


def heading(saga: Saga, state: State, fact: Fact) -> str:
    """Return the step to which a saga is going back, or will when it has taken *fact* in; empty: to none."""
    if state.returning:
        return state.returning
    match fact:
        case Inherited(to=to) if to:
            return behind(saga, state, to).to
        case OperatorAsked(verb=Verb.RESET, path=to) if refusal(saga, state, to) is None:
            return behind(saga, state, to).to
        case _:
            return ""


def set_out(run: Run, to: str) -> str:
    """Stop what runs, so that the saga goes back to *to* when all of it has settled; return the path of the step."""
    state = run.state
    state.returning, state.phase = behind(run.saga, state, to).to, Phase.SETTLING
    blocks.close(run, state.frames[ROOT], Closing.CANCELLED)
    return state.returning
