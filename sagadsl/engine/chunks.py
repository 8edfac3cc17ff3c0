"""Chunks: compressed steps of rounds that are over, to be undone if the saga fails. Replay-critical.

A chunk is compressed JSON. It has rows by step: for steps to undo, what undoing needs; for undone steps, what
the report tells of them. ``State.gone`` counts all steps without a record.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from sagadsl.engine.facts import Outcome
from sagadsl.engine.journal import Chunk, Progress, Record, State, Undo
from sagadsl.engine.run import Run
from sagadsl.engine.scope import step_path
from sagadsl.language.model import Saga
from sagadsl.language.paths import path_around

Rows = dict[str, list[list[Any]]]
"""Rows by step id."""

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
    return [record.path for record in records]


def begun(saga: Saga, state: State, *, undone: bool) -> list[tuple[int, str]]:
    """Return beginning and path of each step in chunks: of the undone ones, or of those not undone."""
    return [
        (numbers[1], _path(saga, step_id, numbers[0]))
        for packed in state.chunks
        if packed.undone is undone
        for step_id, numbers in _rows(packed)
    ]


def done(record: Record, undo: Undo) -> list[Any]:
    """Return the row of a step that has been undone: its place, and when it began."""
    return [list(undo.loops.values()), record.began]


def _rows(packed: Chunk) -> Iterator[tuple[str, list[Any]]]:
    for step_id, rows in json.loads(zlib.decompress(base64.b64decode(packed.data))).items():
        yield from ((step_id, row) for row in rows)


def _loops(saga: Saga, step_id: str, indices: list[int]) -> dict[str, int]:
    place = saga.places[step_id]
    around = [block for block, is_loop in zip(place.blocks, place.loops, strict=True) if is_loop]
    return dict(zip(around, indices, strict=True))


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
    return [*numbers, extras] if extras else numbers


def _record(run: Run, step_id: str, row: list[Any]) -> Record:
    indices, began, ended, settled, started_at, took, early, *extras = row
    more = extras[0] if extras else {}
    loops, path = _loops(run.saga, step_id, indices), _path(run.saga, step_id, indices)
    start = run.state.started_at + started_at
    return Record(
        path,
        step_id,
        path_around(path),
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
        undo=Undo(early=early, loops=loops),
    )


def count(state: State, step_id: str, word: str, by: int = 1) -> None:
    key = f"{step_id} {word}"
    number = state.gone.get(key, 0) + by
    if number:
        state.gone[key] = number
    else:
        state.gone.pop(key, None)
