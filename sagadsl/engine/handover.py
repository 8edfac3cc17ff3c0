"""The handover of a completed child saga to its parent: all that undoing it needs (R46, R47). Replay-critical.

A child that has closed runs no code any more. So a child completes only if its handover fits into the
message. Otherwise its parent could never undo it, so it undoes itself while it can.
"""

from __future__ import annotations

from typing import Any

from sagadsl.engine.facts import Error
from sagadsl.engine.journal import State
from sagadsl.engine.pack import pack
from sagadsl.engine.run import Run
from sagadsl.engine.snapshots import restore, snapshot
from sagadsl.engine.squeeze import compact, packed
from sagadsl.language.kinds import RenderedAt
from sagadsl.language.model import Saga
from sagadsl.language.own_errors import STATE_TOO_LARGE
from sagadsl.language.walk import is_input, sites

HANDED_OVER = (
    *("rules", "saga_id", "generation", "started_at", "input", "page", "told"),
    *("clock", "records", "undoable", "chunks", "gone"),
)
"""Fields of the state that are handed over to the run that undoes a completed saga."""

LARGEST_JOURNAL = 1_500_000
"""Bytes. The journal goes back with the definition in one message of 2 MB (R52); a codec may leave less."""


def refuse(run: Run) -> Error | None:
    """Put the handover into ``run.journal``, or return why the saga must not complete.

    After its pivot the saga cannot be undone. Then it completes without a journal, and if its parent fails later, the
    parent asks an operator.
    """
    state = run.state
    if not state.wants_journal:
        return None
    run.journal = packed(journal_of(run.saga, state))
    size = len(compact(run.journal))
    most = LARGEST_JOURNAL * 100 // state.journal_percent
    if size <= most:
        return None
    run.journal = None
    if state.pivot_passed:
        return None
    text = f"what undoing this saga needs has {size:,} bytes, at most {most:,} fit: pass references to data"
    return Error(STATE_TOO_LARGE, f"all steps are done, but they could not be undone later: {text}")


def journal_of(saga: Saga, state: State) -> dict[str, Any]:
    """Return a snapshot of only what undoing a completed saga needs; *state* does not change."""
    copy = restore(snapshot(state))
    pack(saga, copy, is_over=True)
    left = State()
    for name in HANDED_OVER:
        setattr(left, name, getattr(copy, name))
    if not left.records and not _reads_input(saga):
        left.input = None
    return snapshot(left)


def _reads_input(saga: Saga) -> bool:
    """Whether undoing reads the saga's input, apart from the inputs of compensations, which are computed by then."""
    return any(
        chain[0] == "input"
        for site in sites(saga)
        if site.phase is RenderedAt.UNDO and not is_input(site)
        for chain in site.value.reads
    )
