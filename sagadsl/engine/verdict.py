"""The judgement whether an open run may go on with another definition: its words, and what all parts of it share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sagadsl.engine.journal import Phase, State
from sagadsl.immutable import Immutable
from sagadsl.language.model import Route, Saga

Fits = Callable[[Any, str, Any], Sequence[str]]
"""Says what is wrong with a value, by a JSON Schema and the name of the value."""


class Reason(Immutable):
    """Why a run cannot migrate.

    Attributes:
        rule: The rule that forbids it, e.g. ``R71``.
        step: Id of the step; empty for the saga as a whole.
        route: The place in the new definition.
        message: One sentence, with the step's name in it.
    """

    rule: str
    step: str
    route: Route
    message: str

    def as_json(self) -> dict[str, Any]:
        return {"rule": self.rule, "step": self.step, "route": list(self.route), "message": self.message}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Reason:
        return cls(str(data["rule"]), str(data["step"]), tuple(data["route"]), str(data["message"]))


class Judgement(Immutable):
    """Whether a run may migrate.

    Attributes:
        reasons: Why it may not, in the order of the new definition; empty if it may.
        notes: What stays as the old definition has it, one sentence each.
    """

    reasons: tuple[Reason, ...] = ()
    notes: tuple[str, ...] = ()


class Judging:
    """One judgement: the reasons and notes so far. Rounds of a loop give the same reason only once.

    Attributes:
        misplaced: Ids of the steps that have begun and have no place in the new definition: no more is said of them.
        forward: The run goes forward; otherwise it goes back, and only steps of ``on_failure`` begin still.
    """

    def __init__(self, old: Saga, state: State, new: Saga) -> None:
        self.old, self.state, self.new = old, state, new
        self.reasons: list[Reason] = []
        self.notes: list[str] = []
        self.misplaced: set[str] = set()
        self.forward = state.phase is Phase.FORWARD

    def no(self, rule: str, step: str, message: str, *keys: str | int) -> None:
        """Note a reason; *keys* lead from the step to the place in the new definition."""
        reason = Reason(rule, step, self._route(step, keys), message)
        if reason not in self.reasons:
            self.reasons.append(reason)

    def may_begin(self, step: str) -> bool:
        """Whether steps beside this one may begin still: those of the forward part do not when the run goes back."""
        return self.forward or (step in self.new.places and self.new.places[step].is_on_failure)

    def _route(self, step: str, keys: Sequence[str | int]) -> Route:
        """Return the place of a step in the new definition, or of the nearest block around it that is still there."""
        if step in self.new.places:
            return (*self.new.places[step].step.route, *keys)
        around = self.old.places[step].blocks if step in self.old.places else ()
        near = next((self.new.places[each].step.route for each in reversed(around) if each in self.new.places), None)
        return (("steps",) if step else tuple(keys)) if near is None else near
