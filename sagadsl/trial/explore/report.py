"""Reports an exploration: as text for people, and as JSON."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from sagadsl.columns import row
from sagadsl.diagnostics.findings import Finding, Route
from sagadsl.language import walk
from sagadsl.language.model import Saga
from sagadsl.language.notation.durations import spell
from sagadsl.language.notation.plain_text import clean
from sagadsl.language.paths import step_id_in
from sagadsl.trial.explore.example import Example, as_yaml, example, timeline
from sagadsl.trial.explore.run import Explored
from sagadsl.trial.explore.summary import Violation

SCHEMA_VERSION = 1
_WIDEST = 76


def examples(explored: Explored) -> tuple[Example, ...]:
    """Return every violation with its case; each case is played once more."""
    return tuple(example(violation, explored.surroundings) for violation in in_order(explored))


def in_order(explored: Explored) -> list[Violation]:
    """Return the violations; those that need the fewest faults come first."""
    found = explored.summary.violations.values()
    return sorted(found, key=lambda each: (each.faults, len(each.way), each.kind, each.path))


def finding(explored: Explored, violation: Violation) -> Finding:
    """Return a violation as a finding in the definition: at the expression that it is about, or else at its step."""
    saga = explored.surroundings.saga
    id_ = step_id_in(violation.path)
    place = saga.places.get(id_)
    route, focus = (() if place is None else (*place.step.route, "id")), ""
    written = _WRITTEN.search(violation.message) if violation.kind == "expression-fails" else None
    if written is not None:
        route, focus = _site(saga, id_, written[1]) or (route, "")
    width = max((len(at) for at, _ in timeline(violation)), default=0)
    notes = tuple(f"{at:>{width}}  {what}" for at, what in timeline(violation))
    message = f"{clean(violation.message)} ({violation.kind}, {violation.rule})"
    return Finding("SD810", message, route, step="" if place is None else id_, notes=notes, focus=focus)


_WRITTEN = re.compile(r", in `(.+?)`(?:, at `|\Z)", re.DOTALL)
"""The part of an error's message that says which expression the error is about."""


def _site(saga: Saga, id_: str, written: str) -> tuple[Route, str] | None:
    """Return the route to an expression, in its step or in the saga's own output, and the expression."""
    for site in walk.sites(saga):
        if (site.step.id if site.step is not None else "") == id_:
            found = _inside(site.value.source, site.route, written)
            if found is not None:
                return found, written
    return None


def _inside(source: Any, route: Route, written: str) -> Route | None:
    match source:
        case str() if written in source:
            return route
        case dict() | list():
            parts = source.items() if isinstance(source, dict) else enumerate(source)
            found = (_inside(part, (*route, key), written) for key, part in parts)
            return next((each for each in found if each is not None), None)
        case _:
            return None


def text(explored: Explored, most: int, screen: int | None = None) -> Iterator[str]:
    """Yield the report for people, without the violations; *screen* is the width of its table, at most."""
    summary = explored.summary
    yield (
        f"{clean(explored.saga.name)}: {summary.runs:,} ways with up to {_count(most, 'fault')}, "
        f"{summary.states:,} states ({summary.merged:,} met again), in {explored.elapsed:.1f} s"
    )
    yield f"  ends: {_ends(summary.ends)}"
    yield f"  data: {data(explored)}"
    yield f"  at worst {summary.history:,} events of history; the longest way took {time(summary.longest)}"
    if summary.stays:
        yield f"  stays although the saga went back, as it says: {', '.join(sorted(summary.stays))}"
    if explored.unreached:
        yield f"  never reached: {', '.join(explored.unreached)}"
    if summary.left:
        yield f"  NOT COVERED: {summary.left:,} places and all that follows from them (--budget, --states)"
    yield ""
    rows = table(explored)
    width = min(_WIDEST, max((len(fault) for fault, _ in rows), default=0))
    fit = (2 + width, max((len(", ".join(ends)) for _, ends in rows), default=0))
    for fault, ends in rows:
        yield from row((f"  {clean(fault)}", ", ".join(ends)), fit, screen)


def data(explored: Explored) -> str:
    """Return how many inputs and outputs were tried."""
    outputs = [f"{number} outputs of {name}" for name, number in explored.outputs.items()]
    return ", ".join([_count(len(explored.tried), "input"), *outputs])


def table(explored: Explored) -> list[tuple[str, list[str]]]:
    """Return how the saga can end after each single fault, the usual end first; faults in the order of the steps."""
    order = {id_: number for number, id_ in enumerate(explored.saga.places)}

    def place(fault: str) -> tuple[int, bool, str]:
        named = fault.split("`")
        step = step_id_in(named[1]) if len(named) > 1 else ""
        return order.get(step, len(order)), "compensation" in fault, fault

    faults = {**explored.summary.elsewhere, **explored.summary.faults}  # also what only other data leads to
    return [(fault, [status for status, _ in faults[fault].most_common()]) for fault in sorted(faults, key=place)]


def example_lines(example: Example) -> Iterator[str]:
    """Yield a case as lines that people can put into a suite."""
    if example.replayed:
        yield "  as a case, which expects what comes of it now:"
        yield from (f"    {line}" for line in as_yaml(example.case).splitlines())
    else:
        yield f"  {UNPLAYABLE}"


UNPLAYABLE = "no case: mocks cannot bring these events about in this order"


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
        "outputs": dict(explored.outputs),
        "ends": dict(sorted(summary.ends.items())),
        "worst_history_events": summary.history,
        "longest_seconds": round(summary.longest, 3),
        "stays": sorted(summary.stays),
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
                    {"at": round(move.fact.at - each.violation.begin, 3), "what": move.what, "fault": bool(move.cost)}
                    for move in each.violation.way
                ],
                "case": dict(each.case) if each.replayed else None,
            }
            for each in shown
        ],
    }


def _ends(ends: Counter[str]) -> str:
    return ", ".join(f"{number:,} {status}" for status, number in ends.most_common())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def time(seconds: float) -> str:
    """Return a length of time in words, to the second."""
    return spell(timedelta(seconds=round(seconds)))
