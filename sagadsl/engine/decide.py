"""Given the definition and the state, what does a fact lead to?

Rule 1: every rule about sagas lives in this package. Hosts perform, they never judge.
Rule 2: nothing here waits, reads a clock, or can tell which host it serves; time comes with the facts.
Rule 3: the answer depends on ``(saga, state, fact)`` alone, and so does the state afterwards.
Rule 4: every fact is legal in every state; one that means nothing there changes nothing.

Forward, a saga is a tree of frames (``blocks``); a fact addresses a leaf, settles it
(``ends``) and bubbles up, so it costs the depth of the tree. What stops a saga (an error
at the root, a cancel, its timeout) closes the root frame; when all that runs has settled
(R12), the compensation pass begins (``undo``), then ``on_failure``, then it is over: so it
goes from phase to phase (``phases``).

A theory of operation, with a picture of the phases: docs/engine.md.

Replay-critical, like all modules of this package: a change must replay the recorded
histories, or branch on ``state.rules``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from sagadsl.engine import (
    blocks,
    ends,
    handover,
    late,
    migration,
    notices,
    operator,
    phases,
    redriven,
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
    TimerFired,
)
from sagadsl.engine.journal import FIRST_RULES, Action, Frame, FrameKind, Phase, Refused, State
from sagadsl.engine.noted import Noted
from sagadsl.engine.records import Sender
from sagadsl.engine.run import SAFE_HANDOVER, STEPS_AT_ONCE, TIMEOUT_TIMER, Mistake, Run, error_of
from sagadsl.engine.scope import scope
from sagadsl.engine.snapshots import restore
from sagadsl.immutable import Immutable, replace
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.model import Repeat, Saga, WaitFor
from sagadsl.language.own_errors import INVALID_INPUT, SAGA_TIMEOUT, SIGNAL_TIMEOUT
from sagadsl.language.paths import ROOT, Purpose, TimerKind, parse_call, parse_timer
from sagadsl.language.schema.defaults import TooManyDefaults, filled

_REQUESTS = (SignalReceived, OperatorAsked, MigrationRequested)
"""Facts with an id: each counts once."""


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
    if state.pending_stop is not None and not state.pivot_passed:
        phases.stop_at_last(run)


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
            phases.stop_forward(run, ends.SAGA_CANCELLED)
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
            phases.history_full(run)
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
    phases.compensate(run)


def _inherited(run: Run, fact: Inherited) -> None:
    """Take up the work of a closed run. R31, R45."""
    notices.unheard(run)
    match redriven.take_up(run, fact):
        case "stop":
            assert fact.failure is not None
            phases.stop_forward(run, fact.failure)
        case "compensate":
            phases.compensate(run)


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
        phases.stop_forward(run, Error(SAGA_TIMEOUT, "the saga did not end within its timeout"))
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


def _work(run: Run, fact: Fact) -> bool:
    """Apply a fact, and visit every place that it touches until nothing follows; false: a rest is due."""
    state, todo = run.state, run.todo
    while todo or (state.held and run.release()) or (state.pivot_passed and phases.stop_at_last(run)):
        if run.tired:
            return False
        if run.began > STEPS_AT_ONCE:
            phases.stop_endless(run)
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
                    phases.frame_over(run, frame)
            case "undone" | "not undone":
                phases.undone(run, key, failed=kind == "not undone")
            case _:
                assert_never(kind)
    return True
