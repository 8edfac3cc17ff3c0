"""The steps of a run as lines, in the order of the definition: all of them, so many that matter, or a part.

The status, the page of Markdown and whoever counts steps read them here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from sagadsl.engine import chunks
from sagadsl.engine.journal import Phase, State
from sagadsl.engine.records import Record, UndoProgress
from sagadsl.immutable import Immutable
from sagadsl.language.kinds import is_loop, parts
from sagadsl.language.model import Saga, Step
from sagadsl.language.paths import ON_FAILURE, ROOT, handler_path, path_in, round_path, rounds_in
from sagadsl.status.parts import MOST, Part

Rounds = Mapping[str, Sequence[int]]

NO_UNDO_YET = (UndoProgress.REGISTERED, UndoProgress.NOT_DUE)


class StepLine(Immutable):
    """One step of the tree with its status: ``record`` is ``None`` for a step that has not begun."""

    path: str
    step: Step
    depth: int
    progress: str
    record: Record | None


class _Tree(Immutable):
    """A run, and for each loop the rounds that have records."""

    state: State
    rounds: Rounds


def walk(saga: Saga, state: State) -> Iterator[StepLine]:
    """Yield every step in the order of the definition, also in rounds of loops and in handlers that ran."""
    rest = "pending" if state.phase is Phase.FORWARD else "not_started"
    tree = _Tree(state, _rounds(state))
    yield from _walk(tree, saga.steps, ROOT, 0, rest)
    if state.phase in (Phase.FINISHING, Phase.CLOSED):
        ran = tuple(step for step in saga.on_failure if path_in(ON_FAILURE, step.id) in state.records)
        yield from _walk(tree, ran, ON_FAILURE, 0, rest)


def overview(saga: Saga, state: State) -> tuple[list[StepLine], list[dict[str, Any]]]:
    """Return the steps to show one by one, and the numbers of the others, by step.

    Rounds long over are only numbers already. If there are more than ``MOST`` steps, completed ones become numbers
    first.
    """
    lines = list(walk(saga, state))
    numbers = Counter(state.gone)
    if len(lines) > MOST:
        well = [index for index, line in enumerate(lines) if line.depth and _went_well(line)]
        dropped = frozenset(islice(well, len(lines) - MOST))
        numbers.update(f"{line.step.id} {line.progress}" for index, line in enumerate(lines) if index in dropped)
        lines = [line for index, line in enumerate(lines) if index not in dropped]
        for line in lines[MOST:]:
            numbers[f"{line.step.id} {line.progress}"] += 1
    return lines[:MOST], chunks.by_step(numbers)


def lines_of(saga: Saga, state: State, part: Part) -> tuple[list[StepLine], list[dict[str, Any]], dict[str, Any]]:
    """Return the steps of a part, the numbers of those that have no records any more, and what is said of the part."""
    lines = list(walk(saga, state))
    where, said = part.of([line.path for line in lines])
    return lines[where], chunks.by_step(state.gone), said


def _went_well(line: StepLine) -> bool:
    undo = None if line.record is None else line.record.undo
    open_undo = undo is not None and undo.progress not in (*NO_UNDO_YET, UndoProgress.DONE)
    return line.progress in ("completed", "skipped", "pending", "not_started") and not open_undo


def _rounds(state: State) -> Rounds:
    """Return for each loop the rounds that have records: rounds long over have none any more."""
    found: dict[str, set[int]] = {}
    for path in state.records:
        for loop, index, _ in rounds_in(path):
            found.setdefault(loop, set()).add(index)
    return {path: sorted(indices) for path, indices in found.items()}


def _walk(tree: _Tree, steps: tuple[Step, ...], enclosing: str, depth: int, rest: str) -> Iterator[StepLine]:
    for step in steps:
        path = path_in(enclosing, step.id)
        record = tree.state.records.get(path)
        progress = rest if record is None else record.progress.value
        yield StepLine(path, step, depth, progress, record)
        inner = "skipped" if progress in ("skipped", "completed") else rest
        yield from _inside(tree, step, path, depth + 1, inner)
        for handler in step.on_error:
            handler_frame = handler_path(path)
            ran = tuple(each for each in handler.steps if path_in(handler_frame, each.id) in tree.state.records)
            yield from _walk(tree, ran, handler_frame, depth + 1, rest)


def _inside(tree: _Tree, step: Step, path: str, depth: int, rest: str) -> Iterator[StepLine]:
    blocks = [round_path(path, index) for index in tree.rounds.get(path, ())] if is_loop(step) else [path]
    for block in blocks:
        for part in parts(step):
            yield from _walk(tree, part.steps, block, depth, rest)
