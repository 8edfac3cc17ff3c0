"""Copies of states, and what tells two states apart that lead to the same.

``State.restore(state.snapshot())`` is a copy too, eight times slower; explorers copy at every step.
A test keeps this in line with the fields that a state has.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import fields
from typing import Any

from sagadsl.engine.journal import Frame, Record, State, Undo, Unwind

_STATE = tuple(each.name for each in fields(State))
_RECORD = tuple(each.name for each in fields(Record) if each.name != "undo")
_FRAME = tuple(each.name for each in fields(Frame))


def copied(state: State) -> State:
    """Return an independent copy; users' data is shared, since nothing changes it."""
    made = State.__new__(State)
    for name in _STATE:
        value = getattr(state, name)
        kind = type(value)
        setattr(made, name, value.copy() if kind is dict or kind is list else value)
    made.records = {path: _record(record) for path, record in state.records.items()}
    made.frames = {path: _frame(frame) for path, frame in state.frames.items()}
    made.unwinds = {key: _unwind(unwind) for key, unwind in state.unwinds.items()}
    made.signals = {name: list(payloads) for name, payloads in state.signals.items()}
    made.waiting = {name: list(paths) for name, paths in state.waiting.items()}
    return made


def _record(record: Record) -> Record:
    made = Record.__new__(Record)
    for name in _RECORD:
        setattr(made, name, getattr(record, name))
    made.undo = None if record.undo is None else _undo(record.undo)
    return made


def _undo(undo: Undo) -> Undo:
    return Undo(
        undo.progress,
        undo.early,  # rendered once, before its step begins
        undo.action,
        undo.attempts,
        undo.repeats,
        dict(undo.errors),
        undo.skipped,
        undo.loops,
        undo.variables,
        undo.started_at,
        undo.ended_at,
    )


def _frame(frame: Frame) -> Frame:
    made = Frame.__new__(Frame)
    for name in _FRAME:
        value = getattr(frame, name)
        kind = type(value)
        setattr(made, name, value.copy() if kind is dict or kind is list else value)
    return made


def _unwind(unwind: Unwind) -> Unwind:
    return Unwind(
        unwind.key, list(unwind.pending), list(unwind.order), dict(unwind.running), unwind.stopped, unwind.failed
    )


def fingerprint(state: State) -> Hashable:
    """Return what decides how a run may go on: not when things happened, but what had ended before what began."""
    records = state.records
    ends = sorted((record.ended, path) for path, record in records.items() if record.ended)
    return (
        tuple(_of_record(record, ends) for record in records.values()),
        tuple(map(_of_frame, state.frames.values())),
        tuple(
            (each.key, tuple(each.pending), tuple(each.order), tuple(each.running), each.stopped, each.failed)
            for each in state.unwinds.values()
        ),
        (state.phase, state.failure and (state.failure.type, state.failure.step), len(state.others), state.pivot_at),
        (state.cancelled, state.timed_out, state.pivot_passed, state.stopped, state.aborted, state.paused),
        (state.undo_failed, state.pending_stop and state.pending_stop.type),
        tuple(state.undoable),
        tuple(state.calls),
        tuple(state.timers),
        tuple(state.attention),
        tuple((name, tuple(paths)) for name, paths in state.waiting.items()),
        tuple((name, len(payloads)) for name, payloads in state.signals.items()),
        tuple(state.held),
    )


def _of_record(record: Record, ends: list[tuple[int, str]]) -> Hashable:
    undo = record.undo
    return (
        record.path,
        record.progress,
        record.outcome,
        record.handled,
        record.has_output,
        record.error and record.error.type,
        record.cancel_asked,
        record.repeats,
        # With their order: compensations in parallel begin by it.
        tuple(path for ended, path in ends if ended < record.began),
        undo and (undo.progress, undo.action, undo.repeats, undo.skipped, tuple(undo.errors)),
    )


def _of_frame(frame: Frame) -> Hashable:
    values: list[Any] = [frame.path, frame.body, frame.cursor, frame.closing, frame.failed, frame.undone]
    values += [tuple(frame.open), tuple(frame.ended), tuple(frame.begun), tuple(frame.done)]
    return (*values, frame.failure and frame.failure.type)
