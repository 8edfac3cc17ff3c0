"""Coverage: which outcomes and compensations of each step the cases have shown, and which branches they took."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

from sagadsl.immutable import Immutable
from sagadsl.language.calls import ActivityCall, SagaCall, Send
from sagadsl.language.model import (
    Answer,
    Fail,
    ForEach,
    Group,
    Parallel,
    Repeat,
    Return,
    Saga,
    Set,
    Sleep,
    Step,
    Switch,
    WaitFor,
)
from sagadsl.language.paths import handled_by, is_path_at, notice_path, path_in, pattern_of, rounds_in
from sagadsl.trial.names import path_of
from sagadsl.trial.played import Played

_UNDONE = {"done": "undone", "failed": "undo failed", "skipped": "undo failed", "paused": "undo failed"}
_TOLD = {"completed": "told", "failed": "not told", "skipped": "skipped"}


class CoverageLine(Immutable):
    """One step: its possible ends, and those that happened.

    Attributes:
        path: Path of the step, with ``[*]`` for any round of a loop.
        possible: Names of the possible ends, in order.
        seen: The names that some case has shown.
    """

    path: str
    possible: tuple[str, ...]
    seen: frozenset[str]

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(each for each in self.possible if each not in self.seen)


class Coverage(Immutable):
    """All steps of a saga."""

    saga: str
    lines: tuple[CoverageLine, ...]

    @property
    def possible(self) -> int:
        return sum(len(line.possible) for line in self.lines)

    @property
    def seen(self) -> int:
        return sum(len(line.possible) - len(line.missing) for line in self.lines)

    @property
    def percent(self) -> float:
        """Percentage of the possible ends that were seen; a saga with nothing to count is covered."""
        return 100.0 * self.seen / self.possible if self.possible else 100.0


def coverage(saga: Saga, trials: Iterable[Played]) -> Coverage:
    """Return what *trials* of a saga have shown."""
    seen: dict[str, set[str]] = {}
    for played in trials:
        for path, what in _shown(played):
            seen.setdefault(path, set()).add(what)
    lines = []
    for place in saga.places.values():
        possible = tuple(_possible(place.step))
        if possible:
            path = path_of(place)
            lines.append(CoverageLine(path, possible, frozenset(_derived(place.step, path, seen) & set(possible))))
    for step in saga.on_pause:
        path, possible = notice_path(None, step.id), ("skipped",) * (step.condition is not None) + ("told", "not told")
        lines.append(CoverageLine(path, possible, frozenset(seen.get(path, ()))))
    return Coverage(saga.name, tuple(lines))


def _possible(step: Step) -> Iterator[str]:
    if step.condition is not None:
        yield "skipped"
    match step.body:
        case SagaCall(detached=True):
            yield "succeeded"
        case ActivityCall() | SagaCall():
            yield from ("succeeded", "failed", "unknown")
            if isinstance(step.body, SagaCall) and step.body.abandons:
                yield "abandoned"
        case Send():
            yield from ("succeeded", "failed")  # the server always knows
        case WaitFor(timeout=timeout):
            yield "came"
            if timeout is not None:
                yield "timed out"
        case Switch(arms=arms):
            yield from (f"arm {number + 1}" for number in range(len(arms)))
        case ForEach():
            yield from ("no round", "one round", "more rounds")
        case Repeat(goes_on=condition):
            yield from ("one round", "more rounds") if condition is None else ("no round", "one round", "more rounds")
        case Group() | Parallel() | Sleep() | Set() | Fail() | Return() | Answer():
            pass  # the steps inside are counted by themselves, and the other kinds always do the same
        case _:
            assert_never(step.body)
    if step.on_error:
        yield "handled"
    if step.compensation is not None:
        yield from ("undone", "undo failed")


def _shown(played: Played) -> Iterator[tuple[str, str]]:
    reported = _reported(played)
    for step in played.status_document.get("steps") or ():
        path = pattern_of(step["path"])
        if step["status"] in ("skipped", "completed", "failed", "cancelled", "abandoned") and step.get("started_at"):
            yield path, step["status"]
        if step["status"] == "skipped":
            yield path, "skipped"
        if step.get("outcome") not in (None, "not_started"):
            yield path, step["outcome"]
        if step.get("kind") == "wait_for" and step["status"] == "completed":
            yield path, "came"
        if step.get("kind") == "wait_for" and step["status"] == "failed":
            yield path, "timed out"
        if step["status"] == "failed" and not any(is_path_at(each, step["path"]) for each in reported):
            yield path, "handled"  # it failed, and nothing more was heard of it
        undo = step.get("compensation")
        if undo is not None and undo["status"] in _UNDONE:
            yield path, _UNDONE[undo["status"]]
    for notice in played.status_document.get("notices") or ():
        if notice["status"] in _TOLD:
            yield pattern_of(notice["call"]), _TOLD[notice["status"]]
    yield from _rounds(played)
    for call in played.calls:
        if (handled := handled_by(call.name)) is not None:
            yield pattern_of(handled), "handled"


def _reported(played: Played) -> list[str]:
    """Return the paths of steps whose errors are known: from the saga's failure, or from requests for an operator."""
    document = played.status_document
    errors = [document.get("failure"), *(document.get("other_errors") or ())]
    paths = [error["step"] for error in errors if error is not None]
    return paths + [line["path"] for key in ("attention", "actions") for line in document.get(key) or ()]


def _rounds(played: Played) -> Iterator[tuple[str, str]]:
    """Yield how many rounds each loop had."""
    steps = played.status_document.get("steps") or ()
    rounds: dict[str, set[int]] = {}
    for step in steps:
        if step["status"] != "pending":
            for loop, number, _ in rounds_in(step["path"]):
                rounds.setdefault(loop, set()).add(number)
    for step in steps:
        if step.get("kind") in ("for_each", "repeat") and step["status"] == "completed":
            had = len(rounds.get(step["path"], ()))
            yield pattern_of(step["path"]), ("no round", "one round")[had] if had < 2 else "more rounds"


def _derived(step: Step, path: str, seen: Mapping[str, set[str]]) -> set[str]:
    """Return what was seen of a step, including what only the steps inside it show."""
    shown = set(seen.get(path, ()))
    if isinstance(step.body, Switch):
        for number, arm in enumerate(step.body.arms):
            inside = [seen.get(path_in(path, each.id), set()) for each in arm.steps]
            if any(what - {"skipped"} for what in inside):
                shown.add(f"arm {number + 1}")
    return shown
