"""The workflow ids of child sagas: those that follow from their calls, and those that are chosen. Replay-critical.

A chosen id stands in the record of its step (``Record.child``), and nowhere else can it be computed once more: what an
expression gave then, it need not give again. So whoever means the child of a step asks here (R113, R114).
"""

from __future__ import annotations

from sagadsl.engine.journal import State
from sagadsl.engine.records import Record
from sagadsl.language.paths import child_id


def derived_id(state: State, call_id: str) -> str:
    """Return the workflow id of the child saga that a call begins if none is chosen."""
    return child_id(state.caller, call_id, cut=state.rules >= 2)


def id_of(state: State, record: Record) -> str:
    """Return the workflow id of the child saga that a step has begun."""
    return record.child or derived_id(state, record.call_id)


def remember(state: State, record: Record) -> None:
    """Keep a chosen id beyond the record of its step: the step is done once more."""
    if record.child:
        state.chosen[record.path] = record.child
