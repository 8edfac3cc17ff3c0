"""Given the definition and the state, what does a fact lead to?

Rule 1: every rule about sagas lives in this package. Hosts perform, they never judge.
Rule 2: nothing here waits, reads a clock, or can tell which host it serves; time comes with the facts.
Rule 3: the answer depends on ``(saga, state, fact)`` alone, and so does the state afterwards.
Rule 4: every fact is legal in every state; one that means nothing there changes nothing.

Forward, a saga is a tree of frames (``blocks``); a fact addresses a leaf, settles it
(``steps``) and bubbles up, so it costs the depth of the tree. What stops a saga (an error
at the root, a cancel, its timeout) closes the root frame; when all that runs has settled
(R12), the compensation pass begins (``undo``), then ``on_failure``, then it is over.

A theory of operation, with a picture of the phases: docs/engine.md.

Replay-critical, like all modules of this package: a change must replay the recorded
histories, or branch on ``state.rules``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_never

from sagadsl.engine import (
    blocks,
    ends,
    handover,
    late,
    migration,
    notices,
    operator,
    redriven,
    result,
    returning,
    tries,
    undo,
    waits,
)
from sagadsl.engine.calls import duration
from sagadsl.engine.facts import (
    Began,
    BeganUndo,
    CancelRequested,
    Close,
    Command,
    ContinueAsNew,
    DrainRequested,
    Error,
    Fact,
    HistoryFull,
    Inherited,
    LateEnd,
    MigrationDropped,
    MigrationRequested,
    OperatorAsked,
    Resumed,
    Settled,
    SignalReceived,
    StartTimer,
    Status,
    TimerFired,
)
from sagadsl.engine.journal import FIRST_RULES, Action, Closing, Frame, FrameKind, Phase, Refused, Sender, State
from sagadsl.engine.noted import Noted
from sagadsl.engine.run import (
    SAFE_HANDOVER,
    STEPS_AT_ONCE,
    TIMEOUT_TIMER,
    Mistake,
    Run,
    error_of,
)
from sagadsl.engine.scope import scope
from sagadsl.engine.snapshots import restore
from sagadsl.immutable import Immutable, replace
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.model import Fail, Repeat, Saga, WaitFor
from sagadsl.language.own_errors import (
    COMPENSATION_FAILED,
    EXPRESSION_ERROR,
    HISTORY_FULL,
    INVALID_INPUT,
    SAGA_TIMEOUT,
    SIGNAL_TIMEOUT,
    TOO_MANY_STEPS,
)
from sagadsl.language.paths import (
    ON_FAILURE,
    ROOT,
    Purpose,
    TimerKind,
    is_on_failure,
    parse_call,
    parse_timer,
    step_id_in,
)
from sagadsl.language.schema.defaults import TooManyDefaults, filled

_REQUESTS = (SignalReceived, OperatorAsked, MigrationRequested)
"""Facts with an id: each counts once."""

_WELL = (None, Closing.EARLY)
"""How the forward part closes when the saga completes."""


def decide(saga: Saga, state: State, fact: Fact) -> list[Command]:
    """Take *fact* into *state* and return the commands for the host, in order.

    An empty list means: wait for the next fact. ``Close`` or ``ContinueAsNew``, if given, is the last.
    """
    if state.phase is Phase.CLOSED and not isinstance(fact, Inherited):
        return []
    run = _begun(saga, state)
    while not _part(run, fact)[0]:
        pass
    return run.commands


class Consequence(Immutable):
    """A part of what follows from a fact.

    Attributes:
        work: The cost of computing it, in the units of ``expression_data.BUDGET``.
        is_last: Nothing more follows.
        noted: What those who watch the saga may want to know. Nothing follows from it.
    """

    commands: list[Command]
    work: int
    is_last: bool
    noted: list[Noted]


def parts(saga: Saga, state: State, fact: Fact) -> Iterator[Consequence]:
    """Do the same as ``decide``, one part at a time: after each part but the last, the host has to rest.

    Only the iterator knows what is left to compute, so exhaust it before you give the engine another fact.
    """
    if state.phase is Phase.CLOSED and not isinstance(fact, Inherited):
        return
    run = _begun(saga, state)
    is_last = False
    while not is_last:
        is_last, work = _part(run, fact)
        yield Consequence(run.commands, work, is_last, run.noted)
        run.commands, run.noted = [], []


def _begun(saga: Saga, state: State) -> Run:
    run = Run(saga, state)
    run.todo.append(("fact", ""))
    return run


def _part(run: Run, fact: Fact) -> tuple[bool, int]:
    """Compute until nothing follows or a rest is due; return whether nothing follows, and how much work it was."""
    run.resume()
    try:
        is_last = _work(run, fact)
    finally:
        work = run.rest()
    if is_last:
        _last_words(run)
    return is_last, work


def _last_words(run: Run) -> None:
    state = run.state
    if state.status is not None:
        state.phase = Phase.CLOSED
        notices.unheard(run)
        run.commands.append(Close(state.status, state.output, state.failure, run.journal))
    elif state.draining and not state.calls:
        run.commands.append(ContinueAsNew())


def _apply(run: Run, fact: Fact) -> None:
    state = run.state
    state.now = fact.at
    _take(run, fact)
    if not state.pivot_passed:
        _stop_at_last(run)


def _stop_at_last(run: Run) -> bool:
    """Stop a saga whose stop has waited for its pivot to settle; false if no stop waits, or not yet."""
    state = run.state
    if state.pending_stop is None or state.pivot_at or ROOT not in state.frames:
        return False
    blocks.stop(run, state.pending_stop)
    return True


def _take(run: Run, fact: Fact) -> None:
    if isinstance(fact, Settled):  # most facts are
        _settled(run, fact)
        return
    if isinstance(fact, _REQUESTS) and fact.request in run.state.requests:
        return  # a repeat of an earlier request
    match fact:
        case Began():
            _begin(run, fact)
        case BeganUndo():
            _begin_undo(run, fact)
        case Resumed(run_id=run_id):
            is_new = run_id != run.state.run_id
            run.state.run_id, run.state.draining, run.state.migrating = run_id, False, ""
            notices.resume(run, is_new=is_new)
            for timer_id, due in run.state.timers.items():
                run.commands.append(StartTimer(timer_id, due, timer_id))
        case Inherited():
            _inherited(run, fact)
        case LateEnd():
            late.heard(run, fact)
        case TimerFired(timer_id=timer_id):
            _timer_fired(run, timer_id)
        case SignalReceived():
            _signal(run, fact)
        case CancelRequested(at=at, by=by, why=why):
            if by or why:
                run.state.actions.append(Action(at, "cancel", "", by, why))
            _stop_forward(run, ends.SAGA_CANCELLED)
        case OperatorAsked():
            operator.asked(run, fact)
        case DrainRequested():
            run.state.draining = True
        case MigrationRequested():
            migration.asked(run, fact)
        case MigrationDropped(at=at, why=why):
            migration.stays(run, at, why)
            notices.send(run)
        case HistoryFull():
            _history_full(run)
        case _:
            assert_never(fact)


def _begin(run: Run, fact: Began) -> None:
    state = run.state
    state.saga_id, state.run_id, state.input, state.started_at = fact.saga_id, fact.run_id, fact.input, fact.at
    state.generation, state.page = fact.generation, fact.page
    state.wants_journal = fact.wants_journal and state.rules >= SAFE_HANDOVER
    root = Frame(ROOT, FrameKind.SEQUENCE, "", "steps")
    run.open(root)
    if state.rules > FIRST_RULES:
        try:
            state.input = filled(run.saga.input_schema, fact.input)
        except TooManyDefaults as problem:
            blocks.stop(run, Error(INVALID_INPUT, f"`input` cannot be taken: {problem}"))
            return
    if run.saga.timeout is None:
        return
    try:
        limit = duration(run.saga.timeout, scope(run.saga, state, root), "timeout")
    except (ExpressionError, Mistake) as mistake:
        blocks.stop(run, error_of(mistake, ""))
        return
    assert limit is not None
    run.set_timer(TIMEOUT_TIMER, fact.at + limit.total_seconds(), f"timeout of {run.saga.name}")


def _begin_undo(run: Run, fact: BeganUndo) -> None:
    """Take the state of the completed saga, and undo it. R46, R47."""
    done = restore(fact.journal)
    for name in handover.HANDED_OVER:
        setattr(run.state, name, getattr(done, name))
    run.state.run_id, run.state.undo_only = fact.run_id, True
    run.state.failure = fact.failure
    _compensate(run)


def _inherited(run: Run, fact: Inherited) -> None:
    """Take up the work of a closed run. R31, R45."""
    notices.unheard(run)
    match redriven.take_up(run, fact):
        case "stop":
            assert fact.failure is not None
            _stop_forward(run, fact.failure)
        case "compensate":
            _compensate(run)


def _settled(run: Run, fact: Settled) -> None:
    path = run.state.calls.pop(fact.call_id, None)
    if path is None:
        notices.settled(run, fact)
        return
    record = run.state.records[path]
    call = parse_call(fact.call_id)
    if fact.error is not None:  # a child saga names one of its own steps; for the parent, the call has failed
        fact = replace(fact, error=replace(fact.error, step=call.path))
    match call.purpose:
        case Purpose.DO:
            ends.settled(run, record, fact)
        case Purpose.UNDO:
            undo.settled(run, record, fact)
        case Purpose.PROBE:
            ends.probed(run, record, fact)
        case _:
            assert_never(call.purpose)


def _timer_fired(run: Run, timer_id: str) -> None:
    state = run.state
    if state.timers.pop(timer_id, None) is None:
        return
    if timer_id == TIMEOUT_TIMER:
        _stop_forward(run, Error(SAGA_TIMEOUT, "the saga did not end within its timeout"))
        return
    path, clock = parse_timer(timer_id)
    match clock:
        case None:
            _waited(run, path)
        case TimerKind.PAUSE:
            operator.nobody_came(run, path)
        case TimerKind.LIMIT:
            blocks.time_is_over(run, path)
        case TimerKind.AGAIN:
            run.todo.append(("again", path))
        case TimerKind.SETTLE:
            late.nothing_heard(run, path)
        case _:
            assert_never(clock)


def _waited(run: Run, timer_id: str) -> None:
    """End a sleep, a wait for a signal, or the pause between two rounds."""
    state = run.state
    record = state.records[timer_id]
    body = run.step(record).body
    if isinstance(body, Repeat):
        run.todo.append(("advance", timer_id))
        return
    ends.stop_waiting(run, record)
    if isinstance(body, WaitFor):
        ends.fail(run, record, Error(SIGNAL_TIMEOUT, _not_in_time(state, body), record.path))
    else:
        ends.succeed(run, record, None)


def _not_in_time(state: State, wait: WaitFor) -> str:
    late = not wait.since_now and any(each in state.signals for each in wait.signals)  # one in time would be taken
    came = "; it came when the time was over, and is kept for a later wait" if late else ""
    return f"signal `{'` or `'.join(wait.signals)}` did not come in time{came}"


def _signal(run: Run, fact: SignalReceived) -> None:
    came_at = fact.at if fact.came_at is None else fact.came_at
    sender = Sender(came_at, fact.by, fact.why) if fact.by or fact.why else None
    came = waits.Came(fact.name, fact.payload, came_at)
    path, why = waits.taker(run.saga, run.state, came)
    if why:
        waits.keep_refused(run.state, Refused(came_at, fact.name, why, fact.request, fact.by))
        return
    if path is None:
        run.state.signals.setdefault(fact.name, []).append(fact.payload)  # R59: it may come before the wait
        waits.keep_sender(run.state, fact.name, sender)
        run.taken_in(fact.request, "")
        return
    record = run.state.records[path]
    record.sender, record.reply = sender, waits.reply(run.saga, run.state, record, came)
    run.taken_in(fact.request, path)
    ends.stop_waiting(run, record)
    body = run.step(record).body
    assert isinstance(body, WaitFor)
    ends.succeed(run, record, body.output_of(fact.name, fact.payload))


def _stop_forward(run: Run, why: Error) -> None:
    """Handle a cancel or the timeout: stop what runs, unless it is too late. R9, R25, R27, R28, R30, R35."""
    state = run.state
    state.timed_out = state.timed_out or why.type == SAGA_TIMEOUT
    if state.returning and not state.pivot_passed:  # behind the pivot a stop comes too late (R30)
        returning.forsake(run)
        state.paused = state.paused and why.type == SAGA_TIMEOUT
        state.cancelled = state.failure is None and why == ends.SAGA_CANCELLED
        run.fail_with(why)
    elif state.phase is not Phase.FORWARD or state.pivot_passed or state.pending_stop is not None:
        run.note(why)
    elif ROOT not in state.frames:  # the saga has not begun yet
        state.pending_stop = why
    elif not state.pivot_at:
        blocks.stop(run, why)
    else:
        state.pending_stop = why  # wait until it is known whether the pivot happened
        record = state.records[state.pivot_at]
        if record.call_id in state.calls:
            blocks.cancel(run, record.path)


def _history_full(run: Run) -> None:
    """Begin only compensations from now on; after the pivot, where nothing is undone, fail the saga. R51."""
    state = run.state
    error = Error(HISTORY_FULL, "the history of the run is full, and what the saga has to keep fits into no new one")
    if state.pivot_passed and state.phase is Phase.FORWARD and ROOT in state.frames:
        blocks.stop(run, error)
    elif state.pivot_passed and state.returning:
        state.returning = ""
        run.fail_with(error)
    else:
        _stop_forward(run, error)


def _stop_endless(run: Run) -> None:
    """Stop a loop that waits for nothing: it would keep its worker busy for ever. R56."""
    state, run.began = run.state, 0
    error = Error(TOO_MANY_STEPS, f"{STEPS_AT_ONCE:,} steps have begun, and none of them waits for anything")
    if state.phase is Phase.FORWARD:
        blocks.stop(run, error)
    elif state.phase is Phase.FINISHING:
        run.note(error)
        blocks.close(run, state.frames[ON_FAILURE], Closing.CANCELLED)


def _work(run: Run, fact: Fact) -> bool:
    """Apply a fact, and visit every place that it touches until nothing follows; false: a rest is due."""
    state, todo = run.state, run.todo
    while todo or run.release() or (state.pivot_passed and _stop_at_last(run)):
        if run.tired:
            return False
        if run.began > STEPS_AT_ONCE:
            _stop_endless(run)
        kind, key = todo.popleft()
        match kind:
            case "fact":
                _apply(run, fact)
            case "ended":
                blocks.ended(run, state.records[key])
            case "advance":
                if key in state.frames:
                    blocks.advance(run, state.frames[key])
            case "unwind":
                if key in state.unwinds:
                    undo.advance(run, state.unwinds[key])
            case "action":
                if run.may_start("action", key):
                    undo.start_action(run, state.records[key])
            case "tell":
                notices.begin(run, key)
            case "returned":
                blocks.end_early(run)
            case "failed":
                tries.prepare(run, state.records[key])
            case "again":
                if key in state.records and run.may_start("again", key):
                    tries.begin(run, state.records[key])
            case "over":
                frame = state.frames.get(key)
                if frame is not None and blocks.is_over(run, frame):  # else the saga has gone back meanwhile
                    del state.frames[key]
                    _frame_over(run, frame)
            case "undone" | "not undone":
                _undone(run, key, failed=kind == "not undone")
            case _:
                assert_never(kind)
    return True


def _frame_over(run: Run, frame: Frame) -> None:
    """Handle the end of the forward part, or of ``on_failure``."""
    state = run.state
    if frame.body == ON_FAILURE:
        run.note(frame.failure)
        _close(run)
        return
    run.drop_timer(TIMEOUT_TIMER)
    if frame.closing in _WELL and (refusal := handover.refuse(run)) is not None:
        frame.closing, frame.failure = Closing.FAILED, refusal
    if frame.closing is Closing.EARLY or (frame.closing is None and state.rules >= result.OUTPUT_NEVER_FAILS):
        result.conclude(run, frame)
        state.status = Status.COMPLETED
        return
    if frame.closing is None:
        try:
            state.output = result.saga_output(run, frame)
            state.status = Status.COMPLETED
            return
        except ExpressionError as mistake:
            frame.failure = Error(EXPRESSION_ERROR, f"`output` of the saga: {mistake}")
    run.fail_with(frame.failure)
    _compensate(run)


def _compensate(run: Run) -> None:
    state = run.state
    state.phase = Phase.COMPENSATING
    run.count_afresh()
    if state.returning:
        if not returning.begin(run):
            returning.go_on(run)
        return
    if state.stopped or state.pivot_passed or not undo.begin(run, "", list(state.undoable)):
        _finish(run)


def _undone(run: Run, key: str, *, failed: bool) -> None:
    if key == "":
        if not (run.state.returning and returning.go_on(run)):
            _finish(run)
    elif (record := run.state.records[key]).next_try is not None:
        tries.undone(run, record)
    else:
        blocks.losers_undone(run, run.state.frames[key], failed)


def _finish(run: Run) -> None:
    """Run ``on_failure`` after the compensations, then close."""
    state = run.state
    if _rejection(run):  # a no that is no incident: nobody is told
        _close(run)
        return
    was_run = any(is_on_failure(path) for path in state.records)  # by the run whose work this one has taken up
    if run.saga.on_failure and not state.undo_only and not was_run:
        run.count_afresh()
        state.phase = Phase.FINISHING
        run.open(Frame(ON_FAILURE, FrameKind.SEQUENCE, "", ON_FAILURE))
    else:
        _close(run)


def _rejection(run: Run) -> tuple[Any, ...]:
    """Return the result with which the saga says no; empty if it fails, was cancelled, or has left something. R111.

    The error of a child that has said no is only an error for its parent: the parent's own ``fail`` has to say it.
    """
    state, error = run.state, run.state.failure
    if error is None or state.undo_only or state.undo_failed or state.stopped or state.pivot_passed:
        return ()
    place = run.saga.places.get(step_id_in(error.step)) if error.step else None
    return error.result if place is not None and isinstance(place.step.body, Fail) else ()


def _close(run: Run) -> None:
    state = run.state
    if said := _rejection(run):
        state.status, state.output = Status.REJECTED, said[0]
    elif state.undo_failed or state.stopped or state.pivot_passed:
        state.status = Status.FAILED
    elif state.cancelled:
        state.status = Status.CANCELLED
    else:
        state.status = Status.COMPENSATED
    if state.undo_only:
        state.failure = None if state.status is Status.COMPENSATED else Error(
            COMPENSATION_FAILED, "the completed saga could not be undone as a whole"
        )  # fmt: skip
