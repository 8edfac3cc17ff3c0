"""The invariants: what holds for every saga, whatever its definition, its participants and the time of a stop.

They are judged by the events of the world, that is by what the participants have seen. Where no
participant can see something, only the records of the state are trusted. A breach is a mistake in
the interpreter, or in a definition that demands something impossible.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Any

from sagadsl.engine.behind import Row
from sagadsl.engine.facts import Close, Outcome, Status
from sagadsl.engine.journal import State
from sagadsl.engine.records import LEFT, Progress, Record, UndoProgress
from sagadsl.engine.scope import step_to_undo
from sagadsl.engine.verbs import Verb
from sagadsl.immutable import Immutable
from sagadsl.language.calls import KeyedCall, On, SagaCall
from sagadsl.language.kinds import complete_when
from sagadsl.language.model import Order, Saga, Step, Then
from sagadsl.language.paths import (
    Purpose,
    enclosing_ids,
    is_compensation,
    is_notice,
    is_on_failure,
    is_path_at,
    key_of_activity_id,
    parse_call,
    step_id_in,
    step_of_activity_id,
)
from sagadsl.virtual.runs import Event

_is_undo = lru_cache(maxsize=4096)(is_compensation)
_path = lru_cache(maxsize=4096)(step_of_activity_id)
_TRIED = (UndoProgress.DONE, UndoProgress.FAILED, UndoProgress.SKIPPED)


class Breach(Immutable):
    """An invariant that was broken.

    Attributes:
        kind: A stable name, e.g. ``undone-twice``.
        rule: The rule of a run that was broken, e.g. ``R10``.
        path: Path of the step; empty for the saga.
    """

    kind: str
    rule: str
    path: str
    message: str


class CallSpan(Immutable):
    """When a call began and ended, as places in the list of events; ``end`` is ``None`` while it runs."""

    call: str
    path: str
    start: int
    end: int | None
    outcome: str

    @property
    def is_undo(self) -> bool:
        return _is_undo(self.call)


def breaches(saga: Saga, state: State, close: Close | None, events: Sequence[Event], saga_id: str) -> Iterator[Breach]:
    """Yield every broken invariant of one run. A closed run is checked for more of them.

    Args:
        events: The events of the run from its beginning on; events of other runs do no harm.
    """
    calls, wrong = spans(events, saga_id)
    yield from wrong
    yield from _every_call_has_a_key_of_its_own(calls)
    calls = [each for each in calls if not is_notice(each.path)]  # nothing waits for them (R64)
    taken_up = [place for place, event in enumerate(events) if (event.saga, event.what) == (saga_id, "taken_up")]
    for place, event in enumerate(events):
        if event.saga == saga_id and event.what == "went_back":
            row = Row(saga, event.call)
            until = [each for each in calls if each.start < place]
            yield from _in_order(saga, until, taken_up)
            over = [each for each in until if row.has(each.path)]
            yield from _nothing_is_left_behind(saga, state, over, "R80")
            calls = [each for each in calls if each not in over]
        elif event.saga == saga_id and (block := _tried_again(saga, event)):
            over = [each for each in calls if each.start < place and is_path_at(each.path, block)]
            yield from _in_order(saga, over, taken_up)
            yield from _nothing_is_left_behind(saga, state, over, "R92")
            calls = [each for each in calls if each not in over]
    yield from _in_order(saga, calls, taken_up)
    undos: dict[str, list[CallSpan]] = {}
    for each in calls:
        if each.is_undo:
            undos.setdefault(each.path, []).append(each)
    for record in state.records.values():
        yield from _undone_when_due(saga, state, close, record, undos.get(record.path, []))
    if close is not None:
        yield from _nothing_is_left(state, calls)
        yield from _the_status_is_true(state, close)


def _in_order(saga: Saga, calls: Sequence[CallSpan], taken_up: Sequence[int]) -> Iterator[Breach]:
    yield from _nothing_is_undone_while_something_runs(saga, calls)
    yield from _what_began_later_is_undone_first(saga, calls, taken_up)


def _tried_again(saga: Saga, event: Event) -> str:
    """Return the path of the block, or of the child saga, whose next try begins with an event; empty for none."""
    body = saga.places[step_id_in(event.call)].step.body if event.what == "tried_again" else None
    is_call = isinstance(body, KeyedCall)
    return event.call if event.what == "tried_again" and not is_call else ""  # a call that has failed is only repeated


def _nothing_is_left_behind(saga: Saga, state: State, over: Sequence[CallSpan], rule: str) -> Iterator[Breach]:
    """R80, R92: a saga that has gone back over these calls has undone their effects."""
    undone = {each.path for each in over if each.is_undo and each.outcome == Outcome.SUCCEEDED.value}
    if state.migrations:  # the definition under which a call began may have asked for no undo, or for one under an `if`
        return
    for each in over:
        step = saga.places[step_id_in(each.path)].step
        # A result that means no is not undone, and a call whose `if` does not hold is not made.
        is_due = step.compensation is not None and not step.failed_if and not _conditions(step)
        is_work = parse_call(each.call).purpose is Purpose.DO
        happened = is_work and each.outcome == Outcome.SUCCEEDED.value and is_due
        if happened and each.path not in undone and not _by_hand(state, each.path):
            yield Breach("left-behind", rule, each.path, f"the saga went back over `{each.path}`, which is not undone")


def untrue(status: str, report: Mapping[str, Any], stands: Iterable[str]) -> Iterator[Breach]:
    """Yield the differences between a saga's own report of its end and the participants' books (R1, R20).

    Args:
        report: What was undone and what was not, as users see it; may be empty.
        stands: Paths of the steps whose effect remains, although it must not when the saga went back.
    """
    undone = report.get("undone", ())
    named = {line["path"] for line in report.get("not_undone", ())} | set(report.get("not_attempted", ()))
    for path in stands:
        if path in undone:
            yield Breach(
                "report-untrue", "R1", path, f"the report says that `{path}` was undone, and its effect stands"
            )
        if status in (Status.COMPENSATED.value, Status.CANCELLED.value, Status.REJECTED.value):
            yield Breach("effect-left", "R1", path, f"the saga is `{status}`, but the effect of this step stands")
        elif status == Status.FAILED.value and path not in named and not report.get("why_not"):
            yield Breach(
                "effect-left",
                "R20",
                path,
                "the effect stands, and the report of the failed saga does not name the step",
            )


def spans(events: Sequence[Event], saga_id: str) -> tuple[list[CallSpan], list[Breach]]:
    """Return the calls of a saga in the order of their beginnings, and the breaches that belong to no call."""
    found: list[CallSpan] = []
    latest: dict[str, int] = {}
    wrong: list[Breach] = []
    for place, event in enumerate(events):
        if event.saga != saga_id or event.what not in ("start", "end"):
            continue
        path = _path(event.call)
        before = latest.get(event.call)
        runs = before is not None and found[before].end is None
        if event.what == "start":
            if runs:
                wrong.append(Breach("began-twice", "R8", path, f"`{event.call}` began again while it ran"))
            latest[event.call] = len(found)
            found.append(CallSpan(event.call, path, place, None, ""))
        elif not runs or before is None:
            wrong.append(Breach("ended-twice", "R8", path, f"`{event.call}` ended and was not running"))
        else:
            begun = found[before]
            found[before] = CallSpan(begun.call, begun.path, begun.start, place, event.detail)
    return found, wrong


def _every_call_has_a_key_of_its_own(calls: Sequence[CallSpan]) -> Iterator[Breach]:
    """R49: but for repetitions of a call, and for the probe that asks about it."""
    owners: dict[str, str] = {}
    for each in calls:
        call = parse_call(each.call)
        name = call.step if call.purpose is Purpose.PROBE else call.path
        owner = owners.setdefault(key_of_activity_id("", each.call), name)
        if owner != name:
            yield Breach("key-shared", "R49", each.path, f"`{name}` has the idempotency key of `{owner}`")


def _nothing_is_undone_while_something_runs(saga: Saga, calls: Sequence[CallSpan]) -> Iterator[Breach]:
    """R12; the losers of ``complete_when`` are undone while other branches go on."""
    forwards = [each for each in calls if not each.is_undo and not is_on_failure(each.path)]
    for undo in calls:
        if not undo.is_undo or _may_lose(saga, undo.path):
            continue
        for forward in forwards:
            if forward.start > undo.start:
                why = f"`{forward.call}` began after `{undo.call}`"
            elif forward.end is None or forward.end > undo.start:
                why = f"`{undo.call}` began before `{forward.call}` had settled"
            else:
                continue
            yield Breach("undo-before-settled", "R12", forward.path, why)


def _what_began_later_is_undone_first(
    saga: Saga, calls: Sequence[CallSpan], taken_up: Sequence[int]
) -> Iterator[Breach]:
    """R10, and for ``order: reverse`` one at a time.

    What an undoing has left, a new run may undo although older steps were undone meanwhile (R45).
    """
    undos = [each for each in calls if each.is_undo]
    if saga.order is Order.REVERSE:
        for first, second in pairwise(undos):
            beside = first.end is None or first.end > second.start
            if beside and not (_may_lose(saga, first.path) or _may_lose(saga, second.path)):
                yield Breach("wrong-order", "R11", second.path, f"`{second.call}` began beside `{first.call}`")
    forward = {each.path: each for each in calls if not each.is_undo}
    last = {each.path: each for each in undos}
    first_undo = {each.path: each for each in reversed(undos)}
    for one, other in combinations([path for path in last if path in forward], 2):
        for earlier, later in ((one, other), (other, one)):
            a, b = forward[earlier], forward[later]
            if a.end is None or b.start < a.end or _may_lose(saga, earlier):
                continue
            end, begun = last[later].end, first_undo[earlier].start
            if first_undo[later].start < begun and any(begun < each < last[later].start for each in taken_up):
                continue
            if end is None or end > begun:
                yield Breach(
                    "wrong-order", "R10", earlier, f"`{earlier}` is undone before `{later}`, which began after it"
                )


def _undone_when_due(
    saga: Saga, state: State, close: Close | None, record: Record, undos: Sequence[CallSpan]
) -> Iterator[Breach]:
    """R1, R2, R3, R43."""
    path, compensation = record.path, step_to_undo(saga, record).compensation
    if compensation is None or record.undo is None:
        if undos:
            yield Breach("undone-without-effect", "R2", path, f"`{path}` has nothing to undo, and was undone")
        return
    outcome, progress = record.outcome, record.undo.progress
    if record.progress is Progress.ABANDONED:
        if undos:
            yield Breach("undone-beside-its-child", "R116", path, f"`{path}` was undone, and its child saga goes on")
        return
    due = {
        On.AUTO: outcome in (Outcome.SUCCEEDED, Outcome.UNKNOWN),
        On.COMPLETED: outcome is Outcome.SUCCEEDED,
        On.ATTEMPTED: outcome is not Outcome.NOT_STARTED,
    }[compensation.on]
    if undos and not due and not record.repeats:
        yield Breach("undone-without-effect", "R3", path, f"`{path}` was undone although it is {outcome.value}")
    actions = max(1, len(compensation.actions)) * (record.repeats + 1)  # a block that was repeated lost again
    effective = [each for each in undos if each.outcome == Outcome.SUCCEEDED.value]
    if len(effective) > actions:
        yield Breach("undone-twice", "R1", path, f"`{path}` was undone {len(effective)} times")
    # A child that undoes itself may have undone losers when it ran forward.
    if (
        progress is UndoProgress.DONE
        and not state.undo_only
        and not any(action.already_undone for action in compensation.actions)
        and len(effective) + _by_hand(state, path) + _conditions(step_to_undo(saga, record)) < len(compensation.actions)
    ):
        yield Breach("undo-untrue", "R1", path, f"`{path}` says that it was undone, and was not")
    if close is None:
        return
    went_back = not (state.pivot_passed or state.stopped or close.status is Status.COMPLETED)
    if went_back and due and progress not in (*_TRIED, UndoProgress.NOT_ATTEMPTED):
        yield Breach("forgotten", "R1", path, f"`{path}` was forgotten when the saga went back")
    if not went_back and undos and not _may_lose(saga, path):
        rule, kind = ("R43", "undo-after-pivot") if state.pivot_passed else ("R1", "undone-without-need")
        yield Breach(kind, rule, path, f"`{path}` was undone although the saga did not go back")


def _by_hand(state: State, path: str) -> int:
    """Return how many compensations of a step operators have done by hand."""
    said = (parse_call(each.path) for each in state.actions if each.verb == Verb.COMPLETE_STEP.value)
    return sum(call.undoes and call.step == path for call in said)


def _nothing_is_left(state: State, calls: Sequence[CallSpan]) -> Iterator[Breach]:
    running = [each.call for each in calls if each.end is None]
    left: Mapping[str, Iterable[str]] = {
        "calls": running or state.calls,
        "timers": state.timers,
        "waits": state.waiting,
        "blocks": state.frames,
        "compensation passes": state.unwinds,
        "decisions": state.attention,
    }
    for what, which in left.items():
        if which:
            yield Breach("left-open", "R12", "", f"the saga closed with {what} open: {', '.join(which)}")
    for record in state.records.values():
        if not record.ended:
            yield Breach("left-open", "R12", record.path, f"the saga closed before `{record.path}` had ended")
        if record.undo is not None and record.undo.progress in (UndoProgress.RUNNING, UndoProgress.PAUSED):
            yield Breach("left-open", "R12", record.path, f"the saga closed while `{record.path}` was being undone")


def _the_status_is_true(state: State, close: Close) -> Iterator[Breach]:
    """The table of final states."""
    left = [record.path for record in state.records.values() if record.undo and record.undo.progress in LEFT]
    match close.status:
        case Status.COMPLETED:
            true = close.failure is None
        case Status.COMPENSATED | Status.CANCELLED | Status.REJECTED:
            true = not left and (state.undo_only or close.failure is not None)
        case _:
            stays = bool(left) or state.pivot_passed or state.stopped
            true = state.status is Status.FAILED and close.failure is not None and stays
    if not true or close.status is not state.status:
        yield Breach(
            "status-untrue", "R20", "", f"the saga is `{close.status.value}`, and not undone is: {left or 'none'}"
        )


def _may_lose(saga: Saga, path: str) -> bool:
    """Whether a step may be undone while the saga goes on: a block can do without it, or is tried again after it."""
    own = saga.places[step_id_in(path)].step
    return any(complete_when(block) is not None or _is_retried(block) for block in _blocks(saga, path)) or (
        isinstance(own.body, SagaCall) and _is_retried(own)
    )


def _is_retried(step: Step) -> bool:
    return step.retry is not None or any(handler.then is Then.RETRY for handler in step.on_error)


def _conditions(step: Step) -> int:
    """Return how many calls of a step's compensation are made only if a condition holds."""
    return sum(each.condition is not None for each in step.compensation.actions) if step.compensation is not None else 0


def _blocks(saga: Saga, path: str) -> Iterator[Step]:
    for name in enclosing_ids(path):
        if name in saga.places:
            yield saga.places[name].step
