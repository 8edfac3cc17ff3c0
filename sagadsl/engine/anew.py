"""The numbers of steps that begin once more after they were undone: their calls and keys are new. Replay-critical.

``State.anew`` has them by the path of a block or a child saga that was tried again, and by the id of a step over which
the saga went back. No number depends on a record, since a new run may have forgotten it.
"""

from __future__ import annotations

from sagadsl.engine.records import Record
from sagadsl.engine.run import Run
from sagadsl.engine.verbs import Verb
from sagadsl.language.paths import blocks_around, handler_path, step_id_in


def next_try(run: Run, record: Record, *, is_same: bool) -> None:
    """Note that a step is tried again, so that what begins in it has higher numbers than all that began before.

    Args:
        is_same: The step itself is repeated under its own key; only the steps of its error handlers are new.
    """
    anew, path = run.state.anew, record.path
    if is_same:
        anew[handler_path(path)] = record.tries - 1
        return
    repeats = sum(action.verb == Verb.RETRY_STEP.value for action in run.state.actions)  # each may have taken a number
    anew[path] = max(record.repeats, anew.get(path, 0)) + repeats + 1


def number_of(run: Run, path: str) -> int | None:
    """Return the number with which the step at *path* begins; ``None`` when no earlier time was undone.

    A block or a child saga that was tried again takes the number, so it has a higher one when it begins once more.
    """
    anew = run.state.anew
    if not anew:
        return None
    known = [anew[key] for key in (step_id_in(path), *blocks_around(path)) if key in anew]
    if path in anew and path != step_id_in(path):
        anew[path] = max([*known, anew[path] + 1])
        return anew[path]
    return max(known, default=None)
