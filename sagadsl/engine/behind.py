"""What lies behind a step, and whether a saga may go back to the step: to do it, and all that follows, once more.

A saga goes back only to a step that stands in a row: at the top, in a group, or in an arm of a switch. A branch or a
round has others beside it, so the saga goes back to their block as a whole. What lies behind the step is undone first,
in the order of the rules (R10). So each step there must either have an undo that is not in doubt, or need none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sagadsl.engine.chunks import begun
from sagadsl.engine.facts import Outcome
from sagadsl.engine.journal import Phase, State
from sagadsl.engine.records import Progress, Record, UndoProgress
from sagadsl.engine.scope import step_path, step_to_undo
from sagadsl.engine.undo import is_due
from sagadsl.immutable import Immutable
from sagadsl.language.calls import Call
from sagadsl.language.kinds import parts
from sagadsl.language.model import Branching, Loop, Saga, Step
from sagadsl.language.paths import enclosing_ids, handled_by, is_on_failure, is_path_end, step_id_in

_CLOSED_WELL = (UndoProgress.REGISTERED, UndoProgress.DONE, UndoProgress.NOT_DUE)


class Behind(Immutable):
    """What lies behind a step, the step itself included.

    Attributes:
        to: Path of the step.
        steps: Paths of the steps that have begun there, in the order of their beginnings, without the packed ones.
        undo: Paths of those that have to be undone, the newest first; packed ones are among them.
        reasons: Why the saga cannot go back, each in one sentence; empty when it can.
    """

    to: str
    steps: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def behind(saga: Saga, state: State, step: str) -> Behind:
    """Return what lies behind *step*: a path, or the end of one. Nothing changes."""
    to = _found(state, step)
    if to is None:
        return Behind(step, reasons=(f"no step `{step}` has begun",))
    if (why := _no_row(saga, to)) is not None:
        return Behind(to, reasons=(why,))
    row = Row(saga, to)
    records = sorted((each for each in state.records.values() if row.has(each.path)), key=lambda each: each.began)
    packed = [(began, path) for began, path in begun(saga, state, undone=False) if row.has(path)]
    due = [*((each.began, each.path) for each in records if _is_due(saga, each)), *packed]
    reasons = list(_of_the_saga(saga, state, records, is_undone=bool(due)))
    for record in records:
        if (why := _of_a_step(saga, record)) is not None:
            reasons.append(why)
    reasons += _of_forgotten(saga, state, row)
    return Behind(
        to,
        tuple(each.path for each in records),
        tuple(path for _, path in sorted(due, reverse=True)),
        tuple(dict.fromkeys(reasons)),
    )


def _found(state: State, step: str) -> str | None:
    if step in state.records:
        return step
    ends = [path for path in state.records if is_path_end(step, path)]
    return ends[0] if len(ends) == 1 else None


def _no_row(saga: Saga, to: str) -> str | None:
    """Return why the step does not stand in a row; ``None`` when it does."""
    if is_on_failure(to):
        return f"`{to}` belongs to `on_failure`, which runs when the saga has failed"
    if (handled := handled_by(to)) is not None:
        return f"`{to}` handles an error of `{handled}`: go back to `{handled}`"
    for id_ in enclosing_ids(to):  # the outermost block that is no row: all in it is done once more
        place = saga.places[id_]
        if isinstance(place.step.body, Branching | Loop):
            what = "a round" if isinstance(place.step.body, Loop) else "a branch"
            block = step_path(place, {})
            return f"`{to}` is in {what} of `{block}`, and others stand beside it: go back to `{block}`"
    return None


class Row:
    """The steps behind one step, by their ids: those after it in its row, and after each block around it."""

    def __init__(self, saga: Saga, to: str) -> None:
        self._saga = saga
        self._ids = (*enclosing_ids(to), step_id_in(to))
        self._places: list[Mapping[str, int]] = []
        steps: tuple[tuple[Step, ...], ...] = (saga.steps,)
        for id_ in self._ids:
            inside = next(each for each in steps if any(step.id == id_ for step in each))
            self._places.append({step.id: index for index, step in enumerate(inside)})
            block = next(step for step in inside if step.id == id_)
            steps = tuple(each.steps for each in parts(block))

    def has(self, path: str) -> bool:
        """Whether the step at *path* is the step itself, or behind it, or inside one of these."""
        return not is_on_failure(path) and self._has((*enclosing_ids(path), step_id_in(path)))

    def has_step(self, id_: str) -> bool:
        """Whether the step of the definition is the step itself, or behind it, or inside one of these."""
        place = self._saga.places[id_]
        return not place.is_on_failure and self._has((*(step_id_in(block) for block in place.blocks), id_))

    def _has(self, ids: tuple[str, ...]) -> bool:
        for own, other, places in zip(self._ids, ids, self._places, strict=False):
            if own != other:  # a step that is not in the row handles an error of a block around it
                return places.get(other, len(places)) > places[own]
        return len(ids) >= len(self._ids)


def _is_due(saga: Saga, record: Record) -> bool:
    compensation = step_to_undo(saga, record).compensation
    if record.undo is None or compensation is None or record.undo.progress is not UndoProgress.REGISTERED:
        return False
    return is_due(compensation, record.outcome)


def _of_the_saga(saga: Saga, state: State, records: list[Record], *, is_undone: bool) -> Iterator[str]:
    """Yield the reasons that lie in the saga as a whole."""
    if state.phase is Phase.CLOSED and not (state.stopped or state.pivot_passed):
        yield "what it had done was undone: it can only begin anew"
    elif state.phase not in (Phase.FORWARD, Phase.CLOSED):
        yield "it is being undone already"
    if state.pivot_at:
        yield f"nobody knows yet whether its pivot `{state.pivot_at}` has happened"
    if not state.pivot_passed:
        return
    pivots = (each for each in records if saga.places[each.step].step.pivot)  # it may have failed when it was repeated
    passed = (each for each in pivots if each.outcome is not Outcome.NOT_STARTED)
    if (pivot := next(passed, None)) is not None:
        yield f"its pivot `{pivot.path}` has passed, and nothing is undone that lies before the pivot's end"
    elif is_undone:
        yield "its pivot has passed, and nothing is undone behind it"


def _of_a_step(saga: Saga, record: Record) -> str | None:
    """Return why what a step has done cannot be undone; ``None`` when it can, or when there is nothing to undo."""
    step, undo = step_to_undo(saga, record), record.undo
    if undo is not None and undo.progress not in _CLOSED_WELL:
        return f"`{record.path}` could not be undone before ({undo.progress.value})"
    if record.progress is Progress.ABANDONED:
        return f"the child saga of `{record.path}` goes on by itself, and nothing undoes it"
    if not isinstance(step.body, Call) or step.pivot or step.nothing_to_undo:
        return None
    if record.outcome not in (Outcome.SUCCEEDED, Outcome.UNKNOWN):
        return None
    what = "has happened" if record.outcome is Outcome.SUCCEEDED else "may have happened"
    if step.compensation is None:
        return f"`{record.path}` {what}, and it has no compensation"
    if undo is None:
        return None  # an operator has said that there is nothing to undo
    is_open = undo.progress is UndoProgress.REGISTERED
    if is_open and not is_due(step.compensation, record.outcome):
        return f"`{record.path}` {what}, and its compensation is only for a step that has"
    if step.compensation.auto and is_open and record.ended and record.journal is None:
        return f"child saga `{record.path}` did not say what it has done, so it cannot undo itself"
    return None


def _of_forgotten(saga: Saga, state: State, row: Row) -> Iterator[str]:
    """Yield the reasons that lie in rounds of loops that the run has forgotten."""
    for key in state.gone:
        id_, _, word = key.partition(" ")
        place = saga.places[id_]
        is_known = not isinstance(place.step.body, Call) or place.step.compensation is not None
        if is_known or place.step.nothing_to_undo or word not in ("completed", "cancelled"):
            continue
        if row.has_step(id_):
            yield f"rounds of `{id_}` have happened, and it has no compensation"
