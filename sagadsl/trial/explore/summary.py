"""The results of a search: counts, a table of faults, the steps reached, and violations with their shortest ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sagadsl.engine.journal import State
from sagadsl.immutable import Immutable
from sagadsl.language.paths import parse_call, pattern_of, undo_path
from sagadsl.virtual.clock import BEGIN

if TYPE_CHECKING:
    from sagadsl.trial.explore.circumstances import Move


class Violation(Immutable):
    """Something that must not happen, but can.

    Attributes:
        kind: A stable name, e.g. ``effect-left``.
        rule: The rule of a run that is broken.
        path: Path of the step that it is about; empty for the saga as a whole.
        way: The moves that lead to it, in order. ``began``: when each call begins, in seconds since 1970.
        status: The status of the saga at the end of the way.
        begin: When the saga began, in seconds since 1970.
    """

    kind: str
    rule: str
    path: str
    message: str
    way: tuple[Move, ...] = ()
    began: tuple[tuple[str, float], ...] = ()
    faults: int = 0
    input: Any = None
    status: str = ""
    begin: float = BEGIN

    @property
    def place(self) -> tuple[str, str]:
        """What makes violations the same: their kind, and their step in any round of its loops."""
        return self.kind, pattern_of(self.path)


@dataclass(slots=True)
class Summary:
    """The sum of one search, or of several.

    Attributes:
        runs: Ways followed to their end. ``states``: places on them. ``merged``: places that had been seen before.
        left: Places that were not followed, because the budget was spent.
        ends: How often a run ended with each status.
        usual: All data is the usual data, so that one fault is the only deviation.
        faults: How often a run ended with each status, for each single fault and each compensation that fails after
            one. ``elsewhere``: the same with other data than the usual.
        steps: Ids of steps that began.
        stays: Paths of steps whose effect stays when the saga goes back, since the definition undoes nothing there.
        longest: The longest run in seconds of virtual time; a call takes a tenth of a second. ``history``: the most
            events in Temporal's history.
    """

    runs: int = 0
    states: int = 0
    merged: int = 0
    left: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    usual: bool = True
    faults: dict[str, Counter[str]] = field(default_factory=dict)
    elsewhere: dict[str, Counter[str]] = field(default_factory=dict)
    steps: set[str] = field(default_factory=set)
    stays: set[str] = field(default_factory=set)
    longest: float = 0.0
    history: int = 0
    violations: dict[tuple[str, str], Violation] = field(default_factory=dict)

    def ended(self, status: str, faults: Sequence[str]) -> None:
        """Count the end of a run."""
        self.ends[status] += 1
        # A compensation can fail only after another fault.
        if len(faults) == 1 or (len(faults) == 2 and _is_failed_undo(faults[1])):
            table = self.faults if self.usual else self.elsewhere
            table.setdefault(faults[-1], Counter())[status] += 1

    def reached(self, state: State) -> None:
        """Note which steps have begun."""
        self.steps.update(record.step for record in state.records.values())

    def wants(self, place: tuple[str, str], faults: int, length: int) -> bool:
        """Say whether a way to a violation is better than the known one: it has fewer faults, or else is shorter."""
        best = self.violations.get(place)
        return best is None or (faults, length) < (best.faults, len(best.way))

    def violated(self, violation: Violation) -> None:
        """Keep a violation with the best way to it."""
        if self.wants(violation.place, violation.faults, len(violation.way)):
            self.violations[violation.place] = violation

    def add(self, other: Summary) -> None:
        """Take in what another search has found."""
        self.runs += other.runs
        self.states += other.states
        self.merged += other.merged
        self.left += other.left
        self.ends.update(other.ends)
        for mine, others in ((self.faults, other.faults), (self.elsewhere, other.elsewhere)):
            for fault, ends in others.items():
                mine.setdefault(fault, Counter()).update(ends)
        self.steps |= other.steps
        self.stays |= other.stays
        self.longest = max(self.longest, other.longest)
        self.history = max(self.history, other.history)
        for violation in other.violations.values():
            self.violated(violation)


def _is_failed_undo(fault: str) -> bool:
    """Whether a fault, given in the words of its move, is the failure of a step's only compensation."""
    call, _, rest = fault.removeprefix("`").partition("`")
    return rest.startswith(" fails") and call == undo_path(parse_call(call).step)
