"""Tells who has begun a run, and so which arguments it may have. Replay-critical.

A client in any language may send any arguments. But some arguments only a run may hand on: its state, a journal to
undo, the note that its definition came from a worker's folder. They are accepted only from the run before, by
continue-as-new, or from the parent. A client may ask a run to take up the work of a closed one, and sends no state
for it: the worker reads that from the closed run's history (see ``inheriting``). The server alone records who has
begun a run. With a cron schedule or a retry policy, a client can make the server begin a run that names an earlier
one, with the client's own arguments. Such a run has a cron schedule, or is a second attempt; a run that was continued
as new has neither (measured).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue

from sagadsl.temporal.wire.arguments import holds_anything
from sagadsl.temporal.wire.carry import is_compressed

REFUSES_INLINE = "sagadsl.refuses_inline"
"""Name of the function by which a worker says that it takes only definitions from its own folder."""

TRUST = "sagadsl.trust"
"""Name of the function by which a worker says why it does not trust an envelope; it is empty if it does."""


class Origin(Enum):
    """Who has begun a run."""

    CLIENT = "client"
    PARENT = "parent"
    RUN_BEFORE = "run before"


_MAY_CARRY = {
    Origin.CLIENT: {"generation", "inherit", "version"},
    Origin.PARENT: {"wants_journal", "journal", "failure", "generation", "from_folder"},
    Origin.RUN_BEFORE: {"wants_journal", "state", "refused", "from_folder"},
}

KNOWN_CARRY = frozenset().union(*_MAY_CARRY.values())
"""Everything that this release hands on; any other key may come from a newer release."""


def origin() -> Origin:
    """Return who has begun this run, as the server records it."""
    info = workflow.info()
    if info.continued_run_id is not None and info.attempt == 1 and info.cron_schedule is None:
        return Origin.RUN_BEFORE
    return Origin.CLIENT if info.parent is None else Origin.PARENT


def forged(args: Sequence[RawValue], plain: Any) -> str:
    """Return which part of the third argument this run cannot have been handed; empty when all is in order.

    Args:
        plain: The third argument as data; a compressed one is not looked into.
    """
    if len(args) < 3 or not holds_anything(args[2].payload):
        return ""
    who = origin()
    if is_compressed(args[2].payload):
        return "" if who is Origin.RUN_BEFORE else "state"
    if not isinstance(plain, dict):
        return ""
    return next((name for name in sorted(plain) if name not in _MAY_CARRY[who]), "")


def refuses_inline() -> bool:
    """Whether this worker takes only definitions from its own folder. Not for decisions that a replay repeats."""
    asked = workflow.extern_functions().get(REFUSES_INLINE)
    return asked is not None and bool(asked())


def distrusted(raw: bytes) -> str:
    """Return why this worker does not trust what is in an envelope; empty if it does.

    Not for decisions that a replay repeats.

    Raises ``InvalidDefinition`` for anything that is no envelope.
    """
    asked = workflow.extern_functions().get(TRUST)
    return "" if asked is None else str(asked(raw))
