"""Judges the end of a run: by the invariants of every saga, and by the participants' books."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sagadsl.engine.facts import Error, Outcome, Status
from sagadsl.engine.journal import State
from sagadsl.engine.projection import report
from sagadsl.engine.projection import status as status_of
from sagadsl.engine.records import Progress, Record, UndoProgress
from sagadsl.language.calls import ActivityCall, Call, On
from sagadsl.language.model import Saga, Step
from sagadsl.language.own_errors import EXPRESSION_ERROR
from sagadsl.language.paths import is_on_failure, pattern_of, step_id_in
from sagadsl.status.narrative import NOTHING_LEFT, sentences
from sagadsl.trial.explore.summary import Violation
from sagadsl.trial.explore.world import Surroundings
from sagadsl.trial.invariants import breaches, untrue
from sagadsl.trial.played import ID

if TYPE_CHECKING:
    from sagadsl.trial.explore.nodes import Node


def judged(saga: Saga, node: Node, surroundings: Surroundings) -> Iterator[Violation]:
    """Yield everything that is wrong with a run that has ended."""
    if node.close is None:
        yield Violation("never-ends", "R56", "", "the saga goes on and on")
        return
    for breach in breaches(saga, node.state, node.close, node.all_events, ID):
        yield Violation(breach.kind, breach.rule, breach.path, breach.message)
    yield from _expressions(node.state)
    yield from _effects(saga, node, surroundings)


def stuck(state: State, *, ways: int) -> Iterator[Violation]:
    """Yield what is wrong with a run in which nothing happens by itself any more."""
    if not ways:
        if state.attention:
            yield Violation(
                "no-way-out", "R22", next(iter(state.attention)), "no verb of an operator leads out of the pause"
            )
        else:
            yield Violation("never-ends", "R56", "", "the saga is open, and nothing can happen to it any more")
    elif state.waiting and not state.calls and not state.timers:
        for signal, paths in state.waiting.items():
            message = f"nothing ends the wait for signal `{signal}`: no timeout of the step, none of the saga"
            yield Violation("unbounded-wait", "R59", paths[0], message)


def _expressions(state: State) -> Iterator[Violation]:
    """R14 to R17, R56: what cannot be computed."""
    for error, path, what in _errors(state):
        if error.type == EXPRESSION_ERROR:
            yield Violation("expression-fails", "R16" if what else "R56", path, f"{what}{error.message}")


def _errors(state: State) -> Iterator[tuple[Error, str, str]]:
    for record in state.records.values():
        if record.error is not None:
            yield record.error, record.path, ""
        for error in record.undo.errors.values() if record.undo is not None else ():
            yield error, record.path, "its compensation: "
    for own in (state.failure, *state.others, *state.warnings):
        if own is not None and not own.step:
            yield own, "", ""


def _effects(saga: Saga, node: Node, surroundings: Surroundings) -> Iterator[Violation]:
    """R1, R3, R20: what stands in the participants' books, and what the saga says of its end."""
    assert node.close is not None
    state, status = node.state, node.close.status
    stands = [path for path in sorted(node.here.effects) if _must_go(saga, path, surroundings)]
    reported, shown = report(saga, state), status_of(saga, state)
    if not reported["status"] == shown["status"] == status.value:
        said = f"its report says `{reported['status']}`, its status `{shown['status']}`"
        views = f"the saga closes `{status.value}`, {said}"
        yield Violation("views-disagree", "R60", "", views)
    for breach in untrue(status.value, reported, stands):
        why = breach.message
        if breach.rule == "R1":
            why = _why_left(state.records.get(breach.path), _step(saga, breach.path), status)
        yield Violation(
            breach.kind, breach.rule, breach.path, breach.message if breach.kind == "report-untrue" else why
        )
    if status is Status.COMPLETED:
        yield from _completed(saga, node, stands)
    elif status is Status.FAILED and stands and not state.pivot_passed and NOTHING_LEFT in sentences(shown):
        yield Violation(
            "views-disagree", "R20", stands[0], "the explanation says that nothing is left to do, but this stands"
        )


def _must_go(saga: Saga, path: str, surroundings: Surroundings) -> bool:
    return _is_undoable(_step(saga, path), surroundings) and not is_on_failure(path)


def _step(saga: Saga, path: str) -> Step:
    """Return the step of a path; in a round that is over it may have no record any more."""
    return saga.places[step_id_in(path)].step


def _completed(saga: Saga, node: Node, stands: Sequence[str]) -> Iterator[Violation]:
    """R1, R3: once a saga has completed, every effect of a success stands, and no effect that stands is in doubt."""
    yield from _left_out(saga, node.state)
    for path in stands:
        record = node.state.records.get(path)
        if record is None:
            continue
        if record.outcome is Outcome.UNKNOWN and record.progress is not Progress.COMPLETED:
            why = "the saga completed, and nobody knows that the effect of this step happened"
            yield Violation("effect-left", "R3", path, why)
    for path, record in node.state.records.items():
        body = saga.places[record.step].step.body
        done = record.outcome is Outcome.SUCCEEDED and record.progress is Progress.COMPLETED
        lost = record.undo is not None and record.undo.progress is not UndoProgress.REGISTERED  # of `complete_when`
        if isinstance(body, Call) and done and not lost and path not in node.here.effects:
            why = "the saga completed, and the effect of this step does not stand"
            yield Violation("effect-missing", "R1", path, why)


def _left_out(saga: Saga, state: State) -> Iterator[Violation]:
    """R71: a saga that has migrated has come to every step of its new definition."""
    known = {key.partition(" ")[0] for key in state.gone} | {record.step for record in state.records.values()}
    for step in saga.steps if state.migrations else ():
        if step.id not in known:
            what = f"the saga completed, and `{step.id}` of its new definition never had its turn"
            yield Violation("step-left-out", "R71", step.id, what)


def stays(saga: Saga, node: Node, surroundings: Surroundings) -> Iterator[str]:
    """Yield the steps whose effect stays although the saga went back: their authors say there is nothing to undo."""
    if node.close is not None and node.close.status in (Status.COMPENSATED, Status.CANCELLED, Status.REJECTED):
        for path in node.here.effects:
            step = _step(saga, path)
            if not (_is_undoable(step, surroundings) or is_on_failure(path)):
                yield pattern_of(path)


def _is_undoable(step: Step, surroundings: Surroundings) -> bool:
    """Whether the effect of a step must be gone once the saga has gone back; that of a pivot must be, too (R43)."""
    return step.compensation is not None or step.pivot or _has_inverse(step, surroundings)


def _has_inverse(step: Step, surroundings: Surroundings) -> bool:
    """Whether the plugin names an activity that undoes this one, though the definition does not."""
    if step.nothing_to_undo or not isinstance(step.body, ActivityCall):
        return False
    signatures = map(surroundings.signature, step.body.names)
    return any(each is not None and each.compensated_by is not None for each in signatures)


def _why_left(record: Record | None, step: Step, status: Status) -> str:
    said = f"the saga is `{status.value}`, but the effect of this step stands"
    if step.pivot:
        return f"{said}: it is the pivot, after which nothing may be undone"
    if step.compensation is None:
        return f"{said}: it has no compensation, although its plugin names what undoes it"
    if record is None:
        return said
    if record.outcome is Outcome.UNKNOWN and step.compensation.on is On.COMPLETED:
        return f"{said}: its outcome was unknown, and its compensation is due `on: completed` only"
    return f"{said}: it reported an error although it had happened" if record.outcome is Outcome.FAILED else said
