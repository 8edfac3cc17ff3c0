"""An exploration as text for people and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sagadsl.diagnostics import Finding
from sagadsl.engine.keys import step_of_activity_id
from sagadsl.excerpt import clean
from sagadsl.language.durations import spell
from sagadsl.language.model import Saga
from sagadsl.trial.case import case as read_case
from sagadsl.trial.explore.example import as_yaml, case, timeline
from sagadsl.trial.explore.run import Explored
from sagadsl.trial.explore.search import START
from sagadsl.trial.explore.summary import Violation
from sagadsl.trial.play import play

SCHEMA_VERSION = 1
_WIDEST = 64


@dataclass(frozen=True, slots=True)
class Example:
    """A violation with what shows it again.

    Attributes:
        case: An entry of ``cases``; ``replayed`` tells whether playing it ends as the exploration did.
    """

    violation: Violation
    case: Mapping[str, Any]
    replayed: bool


def examples(explored: Explored, sagas: Mapping[str, Saga]) -> tuple[Example, ...]:
    """Return every violation with its case, each played once more."""
    made = []
    for violation in in_order(explored):
        data = case(violation, START)
        played = play(explored.saga, read_case(data, {}, ()), sagas=sagas, until=_LONG)
        made.append(Example(violation, data, played.status == violation.status))
    return tuple(made)


_LONG = 400 * 24 * 3600.0


def in_order(explored: Explored) -> list[Violation]:
    """Return the violations: those that need the fewest faults first."""
    found = explored.summary.violations.values()
    return sorted(found, key=lambda each: (each.faults, len(each.way), each.kind, each.path))


def finding(explored: Explored, violation: Violation) -> Finding:
    """Return a violation as a finding of the definition, at its step."""
    place = explored.saga.places.get(violation.path.rpartition("/")[2].partition(".")[0])
    route = () if place is None else (*place.step.route, "id")
    step = "" if place is None else place.step.id
    notes = tuple(line.strip() for line in timeline(violation.way, START))
    message = f"{clean(violation.message)} ({violation.kind}, {violation.rule})"
    return Finding("SD810", message, route, step=step, notes=notes)


def text(explored: Explored, most: int) -> Iterator[str]:
    """Yield the report for people, but for the violations."""
    summary = explored.summary
    yield (
        f"{clean(explored.saga.name)}: {summary.runs:,} ways with up to {_count(most, 'fault')}, "
        f"{summary.states:,} states ({summary.merged:,} met again), {_count(len(explored.tried), 'input')}, "
        f"in {explored.elapsed:.1f} s"
    )
    yield f"  ends: {_ends(summary.ends)}"
    yield f"  at worst {summary.history:,} events of history, {_time(summary.longest)} of waiting"
    if explored.unreached:
        yield f"  never reached: {', '.join(explored.unreached)}"
    if summary.left:
        yield f"  NOT COVERED: {summary.left:,} places and all that follows from them, for want of time (--budget)"
    yield ""
    rows = table(explored)
    width = min(_WIDEST, max((len(fault) for fault, _ in rows), default=0))
    for fault, ends in rows:
        yield f"  {clean(fault).ljust(width)}  {', '.join(ends)}"


def table(explored: Explored) -> list[tuple[str, list[str]]]:
    """Return, for every single fault in the order of the steps, how the saga can end after it: the usual end first."""
    order = {id_: number for number, id_ in enumerate(explored.saga.places)}

    def place(fault: str) -> tuple[int, bool, str]:
        named = fault.split("`")
        step = step_of_activity_id(named[1]).rpartition("/")[2] if len(named) > 1 else ""
        return order.get(step, len(order)), "compensation" in fault, fault

    faults = explored.summary.faults
    return [(fault, [status for status, _ in faults[fault].most_common()]) for fault in sorted(faults, key=place)]


def example_lines(example: Example) -> Iterator[str]:
    """Yield a case, ready to be put into a suite."""
    told = "as a case" if example.replayed else "as a case (its timing differs: played, it ends otherwise)"
    yield f"  {told}:"
    yield from (f"    {line}" for line in as_yaml(example.case).splitlines())


def document(explored: Explored, shown: Sequence[Example], most: int) -> dict[str, Any]:
    """Return everything as JSON data."""
    summary = explored.summary
    return {
        "saga": explored.saga.name,
        "faults": most,
        "runs": summary.runs,
        "states": summary.states,
        "merged": summary.merged,
        "not_covered": summary.left,
        "inputs": list(explored.tried),
        "ends": dict(sorted(summary.ends.items())),
        "worst_history_events": summary.history,
        "longest_wait_seconds": round(summary.longest, 3),
        "never_reached": list(explored.unreached),
        "table": [{"fault": fault, "ends": ends} for fault, ends in table(explored)],
        "violations": [
            {
                "kind": each.violation.kind,
                "rule": each.violation.rule,
                "path": each.violation.path,
                "message": each.violation.message,
                "faults": each.violation.faults,
                "status": each.violation.status,
                "way": [
                    {"at": round(move.fact.at - START, 3), "what": move.what, "fault": bool(move.cost)}
                    for move in each.violation.way
                ],
                "case": dict(each.case),
                "replayed": each.replayed,
            }
            for each in shown
        ],
    }


def _ends(ends: Counter[str]) -> str:
    return ", ".join(f"{number:,} {status}" for status, number in ends.most_common())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _time(seconds: float) -> str:
    return spell(timedelta(seconds=round(seconds)))
