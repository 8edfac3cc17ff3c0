"""How a saga goes back to a step: what lies behind the step is undone, then the saga goes on from it. Replay-critical.

``behind`` has judged before that it may. The pass that undoes is the pass over the whole saga, with fewer steps: an
operator decides about it, and it survives continue-as-new and a kill, like any other. What is done once more has new
keys, since the effect of the old ones was undone.
"""

from __future__ import annotations

from dataclasses import replace

from sagadsl.engine import undo
from sagadsl.engine.behind import Row
from sagadsl.engine.child_ids import remember
from sagadsl.engine.chunks import forget_undone, taken_out
from sagadsl.engine.facts import Error
from sagadsl.engine.records import LEFT, Progress
from sagadsl.engine.reopened import go_forward
from sagadsl.engine.run import Run
from sagadsl.engine.verbs import Verb
from sagadsl.language.model import Order
from sagadsl.language.own_errors import COMPENSATION_FAILED
from sagadsl.language.paths import enclosing_path


def begin(run: Run) -> bool:
    """Begin to undo what lies behind ``State.returning``; false when nothing has to be undone."""
    return undo.begin(run, "", taken_out(run, Row(run.saga, run.state.returning).has))


def go_on(run: Run) -> bool:
    """Go on from the step; false when something behind it was not undone: then the saga does not go back."""
    state = run.state
    to, state.returning = state.returning, ""
    row = Row(run.saga, to)
    inside = [record for record in state.records.values() if row.has(record.path)]
    left = next((each.path for each in inside if each.undo is not None and each.undo.progress in LEFT), None)
    if left is not None:
        if state.failure is None:
            message = f"it could not go back to `{to}`: `{left}` behind it was not undone"
            run.fail_with(Error(COMPENSATION_FAILED, message, left))
        undo.leave(run, [path for path in state.undoable if not row.has(path)])
        return False
    _renew_keys(run, row)
    forget_undone(run.saga, state, row.has)
    for record in inside:
        remember(state, record)
        del state.records[record.path]
        state.undoable.pop(record.path, None)
    around = enclosing_path(to)
    while around:
        if any(enclosing_path(path) == around for path in state.records):
            state.records[around] = replace(state.records[around], progress=Progress.RUNNING, handled=False)
        else:
            del state.records[around]  # nothing in the block has begun any more, so the block begins as a whole
        around = enclosing_path(around)
    go_forward(run)
    return True


def _renew_keys(run: Run, row: Row) -> None:
    """Note a number for each step that has begun behind the one to go on from, higher than all that its calls had."""
    state = run.state
    repeated: dict[str, int] = {}
    for record in state.records.values():
        if row.has(record.path):
            repeated[record.step] = max(record.repeats, repeated.get(record.step, 0))
    retries = sum(action.verb == Verb.RETRY_STEP.value for action in state.actions)
    for key in list(state.gone):
        id_ = key.partition(" ")[0]
        if row.has_step(id_):  # nobody knows any more how often an operator had it repeated: not more often than this
            repeated[id_] = max(max(state.anew.values(), default=0) + retries, repeated.get(id_, 0))
            del state.gone[key]
    for id_, number in repeated.items():
        state.anew[id_] = number + 1


def forsake(run: Run) -> None:
    """Undo the whole saga instead of going back in it."""
    state = run.state
    state.returning = ""
    before = state.unwinds.pop("", None)
    if before is None:
        return
    if not undo.begin(run, "", list(state.undoable)):
        state.unwinds[""] = before
        return
    whole = state.unwinds[""]
    whole.running, whole.stopped, whole.failed = before.running, before.stopped, before.failed
    if run.saga.order is Order.PARALLEL:
        whole.order = sorted({*whole.order, *whole.running}, key=lambda path: state.records[path].began)
