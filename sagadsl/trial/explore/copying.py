"""Copies states, and makes fingerprints by which equivalent states are recognised.

``restore(snapshot(state))`` also copies, but eight times slower, and an exploration copies at every
move. A test keeps this module in line with the fields of a state.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import fields
from operator import attrgetter

from sagadsl.engine.journal import Frame, State, Unwind
from sagadsl.engine.records import Record, Undo, UndoProgress, Unheard
from sagadsl.language.kinds import complete_when
from sagadsl.language.model import Order, Saga

_STATE = attrgetter(*(each.name for each in fields(State)))
_FRAME = attrgetter(*(each.name for each in fields(Frame)))
_BY_HAND = frozenset({"records", "frames", "unwinds", "signals", "waiting"})
_HOLDERS = tuple(
    each.name for each in fields(State) if each.default_factory in (dict, list) and each.name not in _BY_HAND
)


def copied(state: State) -> State:
    """Return an independent copy; it shares users' data and everything that does not change any more."""
    made = State(*_STATE(state))
    for name in _HOLDERS:
        setattr(made, name, getattr(made, name).copy())
    made.records = {path: _record(record) for path, record in state.records.items()}
    made.frames = {path: _frame(frame) for path, frame in state.frames.items()}
    made.unwinds = {key: _unwind(unwind) for key, unwind in state.unwinds.items()}
    made.signals = {name: list(payloads) for name, payloads in state.signals.items()}
    made.waiting = {name: list(paths) for name, paths in state.waiting.items()}
    return made


_SETTLED = frozenset(
    {
        UndoProgress.DONE,
        UndoProgress.FAILED,
        UndoProgress.SKIPPED,
        UndoProgress.NOT_ATTEMPTED,
        UndoProgress.NOT_DUE,
    }
)
"""A compensation that has come to one of these goes no further."""


def _record(record: Record) -> Record:
    undo = record.undo
    if record.ended and (undo is None or undo.progress in _SETTLED):
        return record  # nothing in it changes any more
    return Record(
        record.path,
        record.step,
        record.frame,
        record.began,
        record.started_at,
        record.progress,
        record.ended,
        record.ended_at,
        record.settled,
        record.outcome,
        record.input,
        record.output,
        record.has_output,
        record.handled,
        record.error,
        record.attempts,
        record.cancel_asked,
        record.repeats,
        record.journal,
        None if undo is None else _undo(undo),
        record.took_kept,
        record.sender,
        record.given,
        record.key,
        record.doubt,
        record.by_hand,
        record.activity,
        record.tries,
        record.next_try,
        record.expired,
        record.reply,
        record.to,
        None if record.unheard is None else _unheard(record.unheard),
    )


def _undo(undo: Undo) -> Undo:
    return Undo(
        undo.progress,
        undo.early,  # rendered once, before its step begins
        undo.action,
        undo.attempts,
        undo.repeats,
        dict(undo.errors),
        undo.skipped,
        undo.done_before,  # replaced as a whole
        undo.loops,
        undo.variables,
        undo.definition,
        undo.started_at,
        undo.ended_at,
        undo.inputs.copy(),
    )


def _unheard(unheard: Unheard) -> Unheard:
    return Unheard(unheard.seconds, unheard.until, unheard.began, unheard.output)  # `output` is replaced as a whole


def _frame(frame: Frame) -> Frame:
    made = Frame(*_FRAME(frame))
    made.open, made.ended, made.begun = frame.open.copy(), frame.ended.copy(), frame.begun.copy()
    made.done, made.outputs = frame.done.copy(), frame.outputs.copy()
    return made


def _unwind(unwind: Unwind) -> Unwind:
    return Unwind(
        unwind.key, list(unwind.pending), list(unwind.order), dict(unwind.running), unwind.stopped, unwind.failed
    )


def order_counts(saga: Saga) -> bool:
    """Say whether the order in which concurrent calls end makes a difference.

    It decides when parallel compensations begin. ``complete_when`` sees it, and so do compensations that read
    other steps.
    """
    for place in saga.places.values():
        step = place.step
        if complete_when(step) is not None:
            return True
        for action in step.compensation.actions if step.compensation is not None else ():
            reads = () if action.call.input is None else action.call.input.reads
            if any(chain[0] == "steps" and chain[1:2] != (step.id,) for chain in reads):
                return True
    return saga.order is Order.PARALLEL


def fingerprint(state: State, *, exact: bool = True) -> Hashable:
    """Return what decides how a run may go on: not the times, but which steps had ended before others began.

    Args:
        exact: Also distinguish the order of ends; see ``order_counts``.
    """
    records = state.records
    if exact:
        ends = sorted((record.ended, path) for path, record in records.items() if record.ended)
    else:  # what is undone before what is decided by what can be undone alone
        ends = sorted((records[path].settled, path) for path in state.undoable if records[path].settled)
    lines = [_of_record(record, ends) for record in records.values()]
    return (
        (tuple(lines), tuple([path for _, path in ends])) if exact else frozenset(lines),
        tuple([_of_frame(frame, exact=exact) for frame in state.frames.values()]),
        tuple(
            [
                (each.key, tuple(each.pending), tuple(each.order), tuple(each.running), each.stopped, each.failed)
                for each in state.unwinds.values()
            ]
        ),
        (state.phase._value_, state.failure and (state.failure.type, state.failure.step), state.pivot_at),
        (state.cancelled, state.timed_out, state.pivot_passed, state.stopped, state.paused),
        (state.undo_failed, state.pending_stop and state.pending_stop.type),
        tuple(state.undoable),
        frozenset(state.calls),
        tuple(state.timers),
        tuple(state.attention),
        tuple([(name, tuple(paths)) for name, paths in state.waiting.items()]),
        tuple([(name, len(payloads)) for name, payloads in state.signals.items()]),
        (tuple(state.held), state.draining, state.migrating, len(state.migrations)),
        (state.returning, tuple(state.anew.items())),
        tuple([(each.data, each.undone) for each in state.chunks]),
    )


def _of_record(record: Record, ends: list[tuple[int, str]]) -> Hashable:
    undo, began = record.undo, record.began
    return (
        record.path,
        record.progress._value_,
        record.outcome._value_,
        record.handled,
        record.has_output,
        record.error and record.error.type,
        record.cancel_asked,
        record.repeats,
        (record.key, record.given, record.doubt, record.by_hand),
        (record.tries, record.next_try is not None, record.expired),
        record.unheard and (record.unheard.until is not None, bool(record.unheard.output)),
        # What had ended when it began, in order: that order decides when parallel compensations begin.
        undo and (
            tuple([path for ended, path in ends if ended < began]),
            undo.progress._value_, undo.action, undo.repeats, undo.skipped, tuple(undo.errors), undo.definition,
            tuple(undo.done_before),
        ),
    )  # fmt: skip


def _of_frame(frame: Frame, *, exact: bool) -> Hashable:
    ended: Hashable = tuple(frame.ended) if exact else frozenset(frame.ended)
    return (
        (frame.path, frame.body, frame.cursor, frame.closing and frame.closing._value_, frame.failed),
        (frozenset(frame.open), ended, frozenset(frame.begun), frozenset(frame.done)),
        frame.failure and frame.failure.type,
    )
