"""Says what the change from one definition to another means: for open runs, and for whoever calls the saga.

``engine.migration`` judges runs that shall migrate. The same code, asked about a run at each step, tells what a change
means for open runs. Callers send the input and signals, and read the output and what else a saga shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

from sagadsl.changes import outputs, schemas
from sagadsl.changes.schemas import Difference, Effect
from sagadsl.engine.migration import judge, no_data
from sagadsl.engine.promises import called
from sagadsl.engine.stations import stations
from sagadsl.engine.verdict import Reason
from sagadsl.immutable import Immutable
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.analysis.known import Known
from sagadsl.language.calls import Send
from sagadsl.language.model import Answer, Route, Saga, Step, WaitFor


class Impact(Enum):
    """How much a change matters, the least first."""

    SAFE = "safe"
    SOME = "some"
    BREAKS = "breaks"


_ORDER = tuple(Impact)


class About(Enum):
    """For whom a change matters."""

    OPEN_RUNS = "open runs"
    INPUT = "input"
    OUTPUT = "output"
    SIGNALS = "signals"
    QUERIES = "queries"
    SEARCH_ATTRIBUTES = "search attributes"
    EARLY_ANSWER = "early answer"


class Change(Immutable):
    """One thing that the change means.

    Attributes:
        message: One sentence.
        steps: For open runs: the steps at which these runs stand.
        rule: For open runs that cannot migrate: the rule that forbids it.
        route: The place in the new definition; ``None`` when there is none.
    """

    about: About
    level: Impact
    message: str
    steps: tuple[str, ...] = ()
    rule: str = ""
    route: Route | None = None


class Comparison(Immutable):
    """All that the change from one definition to another means."""

    changes: tuple[Change, ...]

    @property
    def level(self) -> Impact:
        """That of the gravest change."""
        return max((each.level for each in self.changes), key=_ORDER.index, default=Impact.SAFE)

    def of(self, about: About) -> tuple[Change, ...]:
        return tuple(each for each in self.changes if each.about is about)


def compare(old: Saga, new: Saga, known: Known | None = None) -> Comparison:
    """Compare two definitions.

    Args:
        known: The activities and sagas beside the files: what they return makes more of the output known.
    """
    if old.digest == new.digest:
        return Comparison(())
    return Comparison(
        (
            *_open_runs(old, new),
            *_input(old, new),
            *_output(old, new, Known() if known is None else known),
            *_signals(old, new),
            *_queries(old, new),
            *_search_attributes(old, new),
            *_early_answer(old, new),
        )
    )


def _open_runs(old: Saga, new: Saga) -> Iterator[Change]:
    groups: list[tuple[tuple[Reason, ...], list[str]]] = []
    notes: dict[str, None] = {}
    for station in stations(old):
        judged = judge(old, station.state, new, no_data)
        notes.update(dict.fromkeys(judged.notes))
        if groups and groups[-1][0] == judged.reasons:
            groups[-1][1].append(station.step)
        else:
            groups.append((judged.reasons, [station.step]))
    can = any(not reasons for reasons, _ in groups)
    for reasons, steps in groups:
        who = _runs_at(steps)
        if not reasons:
            yield Change(About.OPEN_RUNS, Impact.SAFE, f"{who} can migrate", tuple(steps))
        for reason in reasons:
            level = Impact.SOME if can else Impact.BREAKS
            message = f"{who} cannot migrate: {reason.message}"
            yield Change(About.OPEN_RUNS, level, message, tuple(steps), reason.rule, reason.route)
    for note in notes:
        yield Change(About.OPEN_RUNS, Impact.SAFE, f"in runs that migrate, {note}")
    for step, before, after in _other_calls(old, new):
        does = "sends" if isinstance(step.body, Send) else "calls"
        yield Change(
            About.OPEN_RUNS,
            Impact.SAFE,
            f"`{step.id}` {does} `{after}` instead of `{before}`; runs that have passed it keep its output",
            (step.id,),
            route=step.route,
        )
    if any(each.effect is not Effect.WIDER for each in _input_differences(old, new)):
        message = "runs whose input does not fit the new schema cannot migrate"
        yield Change(About.OPEN_RUNS, Impact.SOME, message, rule="R74", route=("input",))


def _runs_at(steps: Sequence[str]) -> str:
    match steps:
        case [only]:
            return f"runs at `{only}`"
        case [first, last]:
            return f"runs at `{first}` and `{last}`"
        case _:
            return f"runs from `{steps[0]}` to `{steps[-1]}` ({len(steps)} steps)"


def _other_calls(old: Saga, new: Saga) -> Iterator[tuple[Step, str, str]]:
    for step_id, place in new.places.items():
        then = old.places.get(step_id)
        before, after = ("" if then is None else called(then.step)), called(place.step)
        if before and after and before != after:
            yield place.step, before, after


def _input_differences(old: Saga, new: Saga) -> list[Difference]:
    return schemas.compare(old.input_schema, new.input_schema, "input", fills=True)


_LEVELS = {Effect.NARROWER: Impact.BREAKS, Effect.WIDER: Impact.SAFE, Effect.UNCLEAR: Impact.SOME}


def _input(old: Saga, new: Saga) -> Iterator[Change]:
    for each in _input_differences(old, new):
        yield Change(About.INPUT, _LEVELS[each.effect], str(each), route=_property(each.place))


def _property(place: str) -> Route:
    """Return the place of a part of the input in the definition, as far as it leads through properties."""
    route: list[str | int] = ["input"]
    for name in place.split(".")[1:]:
        if name.endswith("[]"):
            break
        route += ["properties", name]
    return tuple(route)


def _output(old: Saga, new: Saga, known: Known) -> Iterator[Change]:
    before, after = (Analysis(saga, known).shapes.saga_output() for saga in (old, new))
    for each in outputs.compare(before, after, "output"):
        yield Change(About.OUTPUT, _LEVELS[each.effect], str(each), route=("output",))


def _signals(old: Saga, new: Saga) -> Iterator[Change]:
    for name in old.signals:
        if name not in new.signals:
            yield Change(About.SIGNALS, Impact.BREAKS, f"nothing waits for the signal `{name}` any more: it is refused")
    for name, schema in new.signals.items():
        route = _wait(new, name)
        if name not in old.signals:
            yield Change(About.SIGNALS, Impact.SAFE, f"the signal `{name}` is new", route=route)
            continue
        for each in schemas.compare(old.signals[name], schema, f"signal {name}"):
            yield Change(About.SIGNALS, _LEVELS[each.effect], str(each), route=route)


def _wait(saga: Saga, signal: str) -> Route | None:
    steps = (place.step for place in saga.places.values())
    return next((step.route for step in steps if isinstance(step.body, WaitFor) and signal in step.body.signals), None)


def _queries(old: Saga, new: Saga) -> Iterator[Change]:
    for name in old.queries:
        if name not in new.queries:
            yield Change(About.QUERIES, Impact.BREAKS, f"new runs do not answer the query `{name}`")
    for name in new.queries:
        if name not in old.queries:
            yield Change(About.QUERIES, Impact.SAFE, f"the query `{name}` is new", route=("queries", name))


def _search_attributes(old: Saga, new: Saga) -> Iterator[Change]:
    before = {each.name: each.type for each in old.search_attributes}
    after = {each.name: each.type for each in new.search_attributes}
    for name, type_ in before.items():
        if name not in after:
            yield Change(About.SEARCH_ATTRIBUTES, Impact.BREAKS, f"new runs are not found by `{name}`")
        elif after[name] != type_:
            message = f"`{name}` is {after[name]} now, and was {type_}: no index has both"
            yield Change(About.SEARCH_ATTRIBUTES, Impact.BREAKS, message, route=("search_attributes", name))
    for name in sorted(after.keys() - before.keys()):
        message = f"`{name}` is new: `sagadsl doctor` says whether the server has it"
        yield Change(About.SEARCH_ATTRIBUTES, Impact.SAFE, message, route=("search_attributes", name))


def _early_answer(old: Saga, new: Saga) -> Iterator[Change]:
    before, after = _answering(old), _answering(new)
    if before is not None and after is None:
        message = "no step answers any more: who waits for it gets nothing before the end"
        yield Change(About.EARLY_ANSWER, Impact.BREAKS, message)
    elif before is None and after is not None:
        yield Change(About.EARLY_ANSWER, Impact.SAFE, f"`{after.id}` answers before the end", route=after.route)


def _answering(saga: Saga) -> Step | None:
    return next((place.step for place in saga.places.values() if isinstance(place.step.body, Answer)), None)


def as_json(change: Change, line: int | None) -> dict[str, Any]:
    """Return a change for programs; *line* is its place in the new file."""
    data: dict[str, Any] = {"about": change.about.value, "level": change.level.value, "message": change.message}
    data |= {"steps": list(change.steps)} if change.steps else {}
    data |= {"rule": change.rule} if change.rule else {}
    return data | ({"line": line} if line is not None else {})
