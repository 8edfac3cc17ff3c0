"""SD6xx: what can be undone, by which call, and until when. It knows R1 to R44 as far as a file can break them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import assert_never

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.immutable import Immutable
from sagadsl.language.analysis import order
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.analysis.known import Known
from sagadsl.language.calls import ActivityCall, Call, SagaCall, Send
from sagadsl.language.kinds import RenderedAt, parts
from sagadsl.language.model import (
    Answer,
    Fail,
    ForEach,
    Group,
    Leaf,
    Parallel,
    Repeat,
    Return,
    Set,
    Sleep,
    Step,
    Switch,
    Then,
    WaitFor,
)


def one_pivot_on_a_path(analysis: Analysis) -> Iterator[Finding]:
    """SD601: a saga has one point of no return, not two, and not one in every round of a loop. R42."""
    pivots = analysis.pivots
    for second, first in pivots.second:
        yield Finding(
            "SD601",
            f"step `{second.id}` is a second pivot: `{first.id}` is the point of no return already",
            (*second.route, "pivot"),
            help="keep `pivot: true` on the step after which nothing may be undone, and remove the other",
            step=second.id,
            related=(((*first.route, "pivot"), "the first pivot"),),
        )
    for pivot, loop in pivots.repeated:
        yield Finding(
            "SD601",
            f"step `{pivot.id}` is a pivot inside the loop `{loop.id}`, so every round would have a point of no return",
            (*pivot.route, "pivot"),
            help="make one step after the loop the pivot",
            step=pivot.id,
        )


def steps_that_nothing_undoes(analysis: Analysis) -> Iterator[Finding]:
    """SD602: a step that may change something has no compensation, although a later step can fail."""
    after = analysis.pivots.after
    for step, later in _with_later(analysis):
        call = step.body
        silent = step.compensation is None and not step.nothing_to_undo and not step.pivot
        if not silent or step.id in after or not later.count or not isinstance(call, Call):
            continue
        steps = "a later step" if later.count == 1 else f"{later.count} later steps"
        yield Finding(
            "SD602",
            f"nothing undoes step `{step.id}`, and {steps} can fail",
            (*step.route, "id"),
            severity=Severity.WARNING,
            help=_how_to_undo(call, analysis.known),
            step=step.id,
            related=tuple(
                ((*each.route, "id"), f"when this step fails, `{step.id}` is not undone") for each in later.first
            ),
        )


def pivots_after_the_end(analysis: Analysis) -> Iterator[Finding]:
    """SD603: in `on_failure` the saga has failed already, and there is no way back to cut off."""
    for step in analysis.afterwards:
        if step.pivot:
            yield Finding(
                "SD603",
                f"step `{step.id}` runs after the compensations: too late for a pivot",
                (*step.route, "pivot"),
                help="remove `pivot` here",
                step=step.id,
                at_key=True,
            )


def steps_after_the_pivot_that_can_give_up(analysis: Analysis) -> Iterator[Finding]:
    """SD604: a step after the pivot can give up. Nothing is undone any more, so the saga pauses. R44."""
    for step, pivot, _certain in _after_pivot(analysis):
        key = _limit(step)
        if key and not order.handled(step) and all(each.then is not Then.PAUSE for each in step.on_error):
            yield Finding(
                "SD604",
                f"step `{step.id}` runs after the pivot `{pivot.id}` and can give up: the saga then has to wait",
                (*step.route, *key),
                severity=Severity.WARNING,
                help="leave the limit out, so that it is tried until it succeeds, or handle its error with `on_error`",
                step=step.id,
                related=(((*pivot.route, "pivot"), "the point of no return"),),
            )


def aborts_after_the_pivot(analysis: Analysis) -> Iterator[Finding]:
    """SD605: `fail` after the pivot asks to undo the saga, but nothing is undone any more."""
    for step, pivot, certain in _after_pivot(analysis):
        if isinstance(step.body, Fail) and not order.handled(step):
            may = "comes" if certain else "may come"
            yield Finding(
                "SD605",
                f"step `{step.id}` aborts, but it {may} after the pivot `{pivot.id}`, when nothing can be undone",
                (*step.route, "fail"),
                severity=Severity.ERROR if certain else Severity.WARNING,
                help="decide before the pivot whether to abort",
                step=step.id,
                related=(((*pivot.route, "pivot"), "the point of no return"),),
            )


def steps_beside_the_pivot_that_can_fail(analysis: Analysis) -> Iterator[Finding]:
    """SD606: a step beside the pivot can fail. This may be before or after it: to undo or not is both wrong. R42."""
    for step, pivot in analysis.pivots.beside:
        if _fails_for_good(step):
            yield Finding(
                "SD606",
                f"step `{step.id}` can fail while the pivot `{pivot.id}` runs beside it",
                (*step.route, "id"),
                help=f"run it before the pivot (`needs` on `{pivot.id}`), or let it not fail: "
                "`on_error: continue`, or `retry: {maximum_attempts: unlimited}`",
                step=step.id,
                related=(((*pivot.route, "pivot"), "the pivot"),),
            )


def handlers_that_retry_and_would_be_undone(analysis: Analysis) -> Iterator[Finding]:
    """SD608: the steps of a handler with `then: retry` run at every try, so none of them can be undone."""
    for place in analysis.saga.places.values():
        for handler in place.step.on_error:
            for inner in _all(handler.steps) if handler.then is Then.RETRY else ():
                if inner.compensation is not None:
                    yield Finding(
                        "SD608",
                        f"step `{inner.id}` runs before each new try of `{place.step.id}`, so it cannot be undone",
                        (*inner.route, "compensation"),
                        help="write `compensation: none`, or do what has to be undone in a step of its own",
                        step=inner.id,
                        at_key=True,
                        related=(((*place.step.route, "on_error"), "what it handles"),),
                    )


def _all(steps: Sequence[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        for part in parts(step):
            yield from _all(part.steps)


def compensations_that_never_run(analysis: Analysis) -> Iterator[Finding]:
    """SD607: a step has a compensation after the pivot or in `on_failure`, where nothing is undone. R13, R43."""
    never = [(step, f"runs after the pivot `{pivot.id}`") for step, pivot, certain in _after_pivot(analysis) if certain]
    never += ((step, "runs when the compensations are over") for step in analysis.afterwards)
    for step, why in never:
        if step.compensation is not None:
            yield Finding(
                "SD607",
                f"the compensation of step `{step.id}` never runs: the step {why}",
                (*step.route, "compensation"),
                severity=Severity.WARNING,
                help="remove it, or move the step",
                step=step.id,
                at_key=True,
            )


def undos_that_know_only_their_own_key(analysis: Analysis) -> Iterator[Finding]:
    """SD609: an undo is told its own key, and nothing that says what it is to undo.

    `idempotency_key` is the key of the call that is made (R7); `step.idempotency_key` that of the call to undo.
    """
    for spot, call, route, phase in analysis.activity_calls:
        given = call.input
        if phase is not RenderedAt.UNDO or given is None or set(given.reads) != {_OWN_KEY}:
            continue
        where = next((key for key, each in (given.items or {}).items() if _OWN_KEY in each.reads), None)
        step = spot[-1].step
        yield Finding(
            "SD609",
            f"all that the compensation of step `{step.id}` is told is its own key, and not what it is to undo",
            (*route, "input") if where is None else (*route, "input", where),
            severity=Severity.WARNING,
            help="`step.idempotency_key` is the key of the call to undo; `idempotency_key` is that of the undo itself",
            step=step.id,
        )


_OWN_KEY = ("idempotency_key",)
_SHOWN = 3


class _Later(Immutable):
    """The steps that may fail later: their number, and the nearest few to show."""

    count: int = 0
    first: tuple[Step, ...] = ()

    def __add__(self, other: _Later) -> _Later:
        return _Later(self.count + other.count, (self.first + other.first)[:_SHOWN])


_Judge = Callable[[Step], _Later]
_Needs = Callable[[Step], order.Needs]


def _with_later(analysis: Analysis) -> Iterator[tuple[Step, _Later]]:
    """Yield every step of the forward part, with the steps whose failure would make the saga undo it."""
    after = analysis.pivots.after

    def judge(step: Step) -> _Later:
        found = [each for each in order.failing(step) if not (each.id in after and after[each.id][1])]
        return _Later(len(found), tuple(found[:_SHOWN]))

    yield from _sequence(analysis.saga.steps, _Later(), judge, analysis.structure.needs)


def _sequence(steps: Sequence[Step], later: _Later, judge: _Judge, needs: _Needs) -> Iterator[tuple[Step, _Later]]:
    for step in reversed(steps):
        yield step, later
        yield from _inside(step, later, _no_failure if order.handled(step) else judge, needs)
        later = judge(step) + later


def _inside(step: Step, later: _Later, judge: _Judge, needs: _Needs) -> Iterator[tuple[Step, _Later]]:
    if isinstance(step.body, Leaf):
        return
    match step.body:
        case Parallel(steps=branches):
            risks = [judge(branch) for branch in branches]
            for number, beside in enumerate(_beside(needs(step), branches, risks)):
                yield from _sequence((branches[number],), beside + later, judge, needs)
        case ForEach(steps=steps) | Repeat(steps=steps):
            again = sum((judge(each) for each in steps), _Later())
            yield from _sequence(steps, again + later, judge, needs)
        case Group() | Switch():
            for steps in order.sequences(step):
                yield from _sequence(steps, later, judge, needs)
        case _:
            assert_never(step.body)


def _beside(needs: order.Needs, branches: Sequence[Step], risks: Sequence[_Later]) -> Iterator[_Later]:
    """Yield for each branch the steps that may fail in those branches that have not ended before it begins."""
    every = sum(risk.count for risk in risks)
    weighing: dict[int, int] = {}  # number of risks -> the branches with so many risks
    for number, risk in enumerate(risks):
        weighing[risk.count] = weighing.get(risk.count, 0) | 1 << number
    risky = sum(branches for count, branches in weighing.items() if count)
    for number, branch in enumerate(branches):
        over = needs.before[needs.index[branch.id]] | 1 << number
        count = every - sum(weight * (over & same).bit_count() for weight, same in weighing.items())
        open_ones, first = risky & ~over, list[Step]()
        while open_ones and len(first) < _SHOWN:
            nearest = open_ones & -open_ones
            first += risks[nearest.bit_length() - 1].first
            open_ones ^= nearest
        yield _Later(count, tuple(first[:_SHOWN]))


def _no_failure(_step: Step) -> _Later:
    return _Later()


def _after_pivot(analysis: Analysis) -> Iterator[tuple[Step, Step, bool]]:
    for name, (pivot, certain) in analysis.pivots.after.items():
        yield analysis.saga.places[name].step, pivot, certain


def _limit(step: Step) -> tuple[str, ...]:
    """Return the place where the step says how it can give up; empty when it does not say so."""
    match step.body:
        case ActivityCall(retry=retry, timeouts=timeouts, operation=operation):
            if retry.explicit and retry.maximum_attempts is not None:
                return ("retry", "maximum_attempts")
            if timeouts.schedule_to_close is not None:
                return ("timeouts", "schedule_to_close")
            if operation is not None and timeouts.schedule_to_start is not None:
                return ("timeouts", "schedule_to_start")
            return ("failed_if",) if step.failed_if else ()
        case SagaCall():
            return ("failed_if",) if step.failed_if else ()
        case WaitFor(timeout=timeout):
            return ("wait_for", "timeout") if timeout is not None else ()
        case Repeat(maximum_attempts=rounds):
            return ("repeat", "maximum_attempts") if rounds is not None else ()
        case Group() | Parallel() | ForEach() | Switch() | Sleep() | Set() | Fail() | Return() | Answer() | Send():
            return ()
        case _:
            assert_never(step.body)


def _fails_for_good(step: Step) -> bool:
    """Whether a step can fail even if it is retried without limit."""
    if not isinstance(step.body, ActivityCall):
        return True
    is_operation = step.body.operation is not None  # it can say no, however often it is tried
    return is_operation or not order.is_endless(step.body) or bool(step.failed_if)


def _how_to_undo(call: Call, known: Known) -> str:
    silence = "or say `compensation: none` if there is nothing to undo"
    if isinstance(call, SagaCall) and call.detached:
        return f"name an activity in `compensation` that stops or undoes the child, {silence}"
    if isinstance(call, SagaCall):
        return f"let the child undo itself with `compensation: auto`, {silence}"
    signature = known.signature(call.activity) if isinstance(call, ActivityCall) else None
    if signature is not None and signature.compensated_by:
        declared = f"`compensation: {{activity: {signature.compensated_by}}}`"
        return f"add {declared}, as {signature.package} declares, {silence}"
    return f"add a `compensation`, {silence}"
