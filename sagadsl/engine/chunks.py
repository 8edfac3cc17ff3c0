"""Chunks: compressed steps of rounds that are over, to be undone if the saga fails. Replay-critical.

A chunk is compressed JSON. It has rows by step: for steps to undo, what undoing needs; for undone steps, what
the report tells of them. ``State.gone`` counts all steps without a record.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from sagadsl.engine.facts import Outcome
from sagadsl.engine.journal import Chunk, State
from sagadsl.engine.noted import Noted
from sagadsl.engine.records import Progress, Record, Undo
from sagadsl.engine.run import Run
from sagadsl.engine.scope import step_path
from sagadsl.language.model import Saga
from sagadsl.language.paths import enclosing_path

Rows = dict[str, list[list[Any]]]
"""Rows by step id."""

_CHILD = 2
"""Where the row of a step that has been undone has the chosen id of its child, if there is one."""

TO_UNDO = "to_undo"
"""The word under which ``State.gone`` counts rows, beside the word for how their steps ended."""


def chunk(last: int, rows: Rows, *, undone: bool = False) -> Chunk:
    """Return *rows* as a chunk; *last* is the moment at which the last of the steps was over."""
    text = json.dumps(rows, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    return Chunk(last, base64.b64encode(zlib.compress(text, 9)).decode(), undone)


def waiting(state: State) -> list[Chunk]:
    """Return the chunks of steps that have to be undone if the saga fails."""
    return [packed for packed in state.chunks if not packed.undone]


def to_undo(state: State) -> int:
    """Return how many steps would have to be undone now, at most."""
    return len(state.undoable) + sum(number for key, number in state.gone.items() if key.endswith(f" {TO_UNDO}"))


def unpack(run: Run, packed: Chunk) -> list[str]:
    """Make the rows of *packed* into records to be undone, and return their paths in the order of their beginnings.

    A row is dropped when its step has begun again since: only the last time counts.
    """
    state = run.state
    state.chunks.remove(packed)
    records = [_record(run, step_id, row) for step_id, row in _rows(packed)]
    for record in records:
        count(state, record.step, TO_UNDO, -1)
        count(state, record.step, record.progress.value, -1)
    records = [record for record in records if record.path not in state.records]
    records.sort(key=lambda record: record.began)
    state.records.update((record.path, record) for record in records)
    undoable = [*state.undoable, *(record.path for record in records)]
    undoable.sort(key=lambda path: state.records[path].began)
    state.undoable = dict.fromkeys(undoable, True)
    run.noted += [Noted("unpacked", record) for record in records]
    return [record.path for record in records]


def taken_out(run: Run, is_meant: Callable[[str], bool]) -> list[str]:
    """Unpack each chunk that holds a step that is meant, by its path; return the paths of all such steps that may have
    to be undone, in the order of their beginnings."""
    for packed in waiting(run.state):
        if any(is_meant(path) for _, path in begun_in(run.saga, packed)):
            unpack(run, packed)
    return [path for path in run.state.undoable if is_meant(path)]


def begun(saga: Saga, state: State, *, undone: bool) -> list[tuple[int, str]]:
    """Return beginning and path of each step in chunks: of the undone ones, or of those not undone."""
    return [each for packed in state.chunks if packed.undone is undone for each in begun_in(saga, packed)]


def begun_in(saga: Saga, packed: Chunk) -> list[tuple[int, str]]:
    """Return beginning and path of each step in one chunk."""
    return [(numbers[1], _path(saga, step_id, numbers[0])) for step_id, numbers in _rows(packed)]


def forget_undone(saga: Saga, state: State, is_forgotten: Callable[[str], bool]) -> None:
    """Drop what was told of steps that have been undone and are done once more; the steps are named by their paths."""
    kept: list[Chunk] = []
    for packed in state.chunks:
        rows: Rows = {}
        for step_id, row in _rows(packed) if packed.undone else ():
            if not is_forgotten(path := _path(saga, step_id, row[0])):
                rows.setdefault(step_id, []).append(row)
            elif len(row) > _CHILD:
                state.chosen[path] = row[_CHILD]
        if not packed.undone:
            kept.append(packed)
        elif rows:
            kept.append(chunk(packed.last, rows, undone=True))
    state.chunks = kept


def done(record: Record, undo: Undo) -> list[Any]:
    """Return the row of a step that has been undone: its place, when it began, and the chosen id of its child."""
    return [list(undo.loops.values()), record.began, *([record.child] if record.child else [])]


def promised_by(packed: Chunk, steps: Collection[str], digest: str) -> Chunk:
    """Return a chunk whose rows of these *steps* are undone as the definition with this *digest* says (R72)."""
    if packed.undone or not steps:
        return packed
    rows: Rows = {}
    for step_id, row in _rows(packed):
        *numbers, last = row
        more = last if isinstance(last, dict) else {}
        is_new = step_id in steps and "definition" not in more
        kept = [*(numbers if more else row), {**more, "definition": digest}] if is_new else row
        rows.setdefault(step_id, []).append(kept)
    return chunk(packed.last, rows)


def promises(packed: Chunk) -> set[str]:
    """Return the digests of the former definitions that say how to undo steps of a chunk."""
    if packed.undone:
        return set()
    extras = [row[-1] for _, row in _rows(packed) if isinstance(row[-1], dict)]
    return {str(each["definition"]) for each in extras if "definition" in each}


def _rows(packed: Chunk) -> Iterator[tuple[str, list[Any]]]:
    for step_id, rows in json.loads(zlib.decompress(base64.b64decode(packed.data))).items():
        yield from ((step_id, row) for row in rows)


def _loops(saga: Saga, step_id: str, indices: list[int]) -> dict[str, int]:
    place = saga.places[step_id]
    loops = [block for block, is_loop in zip(place.blocks, place.loops, strict=True) if is_loop]
    return dict(zip(loops, indices, strict=True))


def _path(saga: Saga, step_id: str, indices: list[int]) -> str:
    path = step_path(saga.places[step_id], _loops(saga, step_id, indices))
    assert path is not None
    return path


def by_step(numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return numbers such as those of ``State.gone`` by step: ``[{"step": "pay", "completed": 3, "undone": 1}]``."""
    found: dict[str, dict[str, Any]] = {}
    for key, number in numbers.items():
        step_id, _, word = key.partition(" ")
        found.setdefault(step_id, {"step": step_id})[word] = number
    return list(found.values())


def row(state: State, record: Record, undo: Undo, *, keeps_input: bool) -> list[Any]:
    """Return the row from which ``_record`` makes the record again; numbers are differences, so that they repeat."""
    began = round(record.started_at - state.started_at)
    ended = round((record.ended_at or record.started_at) - record.started_at)
    numbers = [
        list(undo.loops.values()),
        record.began,
        record.ended - record.began,
        record.settled - record.began,
        began,
        ended,
        undo.early,
    ]
    extras: dict[str, Any] = {}
    if keeps_input:
        extras["input"] = record.input
    if record.journal is not None:
        extras["journal"] = record.journal
    if record.outcome is not Outcome.SUCCEEDED:
        extras["outcome"] = record.outcome.value
    if record.progress is not Progress.COMPLETED:
        extras["progress"] = record.progress.value
    if record.repeats:
        extras["repeats"] = record.repeats
    if undo.definition:
        extras["definition"] = undo.definition
    if record.given:
        extras["given"] = True
    if record.key != 1:
        extras["key"] = record.key
    if record.child:
        extras["child"] = record.child
    return [*numbers, extras] if extras else numbers


def _record(run: Run, step_id: str, row: list[Any]) -> Record:
    indices, began, ended, settled, started_at, took, early, *extras = row
    more = extras[0] if extras else {}
    loops, path = _loops(run.saga, step_id, indices), _path(run.saga, step_id, indices)
    start = run.state.started_at + started_at
    return Record(
        path,
        step_id,
        enclosing_path(path),
        began,
        start,
        Progress(more.get("progress", Progress.COMPLETED.value)),
        began + ended,
        start + took,
        began + settled,
        Outcome(more.get("outcome", Outcome.SUCCEEDED.value)),
        input=more.get("input"),
        journal=more.get("journal"),
        repeats=more.get("repeats", 0),
        given=more.get("given", False),
        key=more.get("key", 1),
        child=more.get("child", ""),
        undo=Undo(early=early, loops=loops, definition=more.get("definition", "")),
    )


def count(state: State, step_id: str, word: str, by: int = 1) -> None:
    key = f"{step_id} {word}"
    number = state.gone.get(key, 0) + by
    if number:
        state.gone[key] = number
    else:
        state.gone.pop(key, None)
