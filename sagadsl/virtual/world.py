"""A world without a clock and a network: time jumps to the next event.

It performs the engine's commands as a Temporal server and its workers would: activities,
child sagas, timers, signals, continue-as-new. A *participant* decides what an attempt does;
everything else follows from the commands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, assert_never

from sagadsl.engine.call_errors import never_sent
from sagadsl.engine.decide import decide
from sagadsl.engine.facts import (
    Began,
    BeganUndo,
    Cancel,
    CancelRequested,
    CancelTimer,
    Close,
    Command,
    ContinueAsNew,
    DrainRequested,
    Error,
    Fact,
    OperatorAsked,
    Outcome,
    Resumed,
    Settled,
    SignalReceived,
    StartActivity,
    StartChild,
    StartTimer,
    Status,
    TimerFired,
)
from sagadsl.engine.journal import State
from sagadsl.engine.pack import pack
from sagadsl.engine.projection import report, summary
from sagadsl.engine.run import TIMEOUT_TIMER
from sagadsl.engine.squeeze import unpacked
from sagadsl.language.model import Saga
from sagadsl.language.own_errors import CANCELLED, DEFINITION_NOT_FOUND
from sagadsl.virtual.calls import Attempt, Calls, Participant
from sagadsl.virtual.clock import Clock


@dataclass(slots=True)
class VirtualRun:
    """One saga in the world.

    Attributes:
        close: How it ended; ``None`` while it is open.
        parent: The run and the call in it that wait for this run.
        since: The number of events when it began; a child that undoes itself begins again under the same id.
        calls: Its activities that have not ended; ``None`` for a run that nobody plays.
    """

    saga: Saga
    state: State
    close: Close | None = None
    parent: tuple[str, str] | None = None
    since: int = 0
    calls: Calls | None = None
    children: dict[str, str] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)


class Event(NamedTuple):
    """Something that happened in the world, for timelines and tests.

    Attributes:
        saga: Id of the run; empty for an event that happens to all runs.
        error: With ``retry`` and ``end``: the type of the error, if there is one.
        what: ``start``, ``attempt``, ``retry``, ``cancel`` and ``end`` of a call; ``timer`` (detail ``set`` or
            ``fired``), ``signal`` (the call is its name), ``operator`` (detail: the verb), ``cancel_request``,
            ``timeout`` of the saga, ``crash`` of its worker, ``continue_as_new``, ``close`` (detail: the status).
    """

    at: float
    saga: str
    what: str
    call: str
    attempt: int = 0
    detail: str = ""
    error: str = ""


class World:
    """Sagas that run in virtual time.

    Args:
        participant: Decides what each attempt does; by default it succeeds with null after 0.1 s.
        sagas: Definitions that child steps may name.
        replay: Serialise and restore every state after each fact, as the harshest continue-as-new would.
        drain: Ask for continue-as-new after each fact, so that nothing ever begins beside something else.
        start: The instant at which time begins, in seconds since 1970.
        on_event: Called with every event when it happens.
        after_fact: Called with the id of a saga whenever it has taken in a fact.
    """

    def __init__(
        self,
        participant: Participant | None = None,
        *,
        sagas: Mapping[str, Saga] | None = None,
        replay: bool = False,
        drain: bool = False,
        start: float = 1_700_000_000.0,
        on_event: Callable[[Event], None] | None = None,
        after_fact: Callable[[str], None] | None = None,
    ) -> None:
        self.clock = Clock(start)
        self.runs: dict[str, VirtualRun] = {}
        self.events: list[Event] = []
        self._starts: dict[str, int] = {}
        self._participant = participant or (lambda _saga, _command, _attempt: Attempt())
        self._sagas = dict(sagas or {})
        self._replay, self._drain = replay, drain
        self._on_event, self._after_fact = on_event, after_fact

    @property
    def now(self) -> float:
        """The current instant, in seconds since 1970."""
        return self.clock.now

    @property
    def begin(self) -> float:
        """The instant at which time began."""
        return self.clock.begin

    def start(self, saga: Saga, input_: Any = None, saga_id: str = "saga-1") -> VirtualRun:
        """Begin a saga now. Under the id of a closed saga it begins anew, with keys of its own. R49."""
        number = self._starts[saga_id] = self._starts.get(saga_id, 0) + 1
        assert number == 1 or self.runs[saga_id].close is not None, f"`{saga_id}` is open"
        run = self._begun(saga_id, VirtualRun(saga, State(), since=len(self.events)))
        self.tell(saga_id, Began(self.now, saga_id, f"run-{saga_id}", input_, "" if number == 1 else str(number)))
        return run

    def at(self, seconds: float, make: Callable[[float], Fact], saga_id: str = "saga-1") -> None:
        """Deliver the fact that ``make(instant)`` gives, *seconds* after the world began."""
        self.clock.later(self.begin + seconds - self.now, lambda: self.tell(saga_id, make(self.now)))

    def cancel_at(self, seconds: float, saga_id: str = "saga-1") -> None:
        """Ask a saga to stop, *seconds* after the world began."""
        self.at(seconds, CancelRequested, saga_id)

    def crash(self) -> None:
        """Lose every worker at this moment; others take over at once."""
        self._note("", "crash", "")
        for run in self.runs.values():
            if run.calls is not None:
                run.calls.crash()

    def pass_timeout(self, saga_id: str = "saga-1") -> None:
        """Let a saga's own timeout pass at this moment, if it has one that has not passed yet."""
        token = self.runs[saga_id].timers.get(TIMEOUT_TIMER)
        if token is not None:
            self._fire(saga_id, TIMEOUT_TIMER, token)

    def run(self, until: float | None = None) -> None:
        """Perform all that is due, in order, until nothing more is due (or *until* seconds have passed)."""
        self.clock.run(until)

    def _begun(self, saga_id: str, run: VirtualRun) -> VirtualRun:
        run.calls = Calls(
            self.clock, saga_id, self._participant, partial(self._happened, saga_id), partial(self.tell, saga_id)
        )
        self.runs[saga_id] = run
        return run

    def _note(self, saga_id: str, what: str, call: str, detail: str = "", error: str = "") -> None:
        self._happened(saga_id, what, call, 0, detail, error)

    def _happened(self, *what: Any) -> None:
        """Record an event; the arguments are its fields without the instant, in order."""
        event = Event(self.clock.now, *what)
        self.events.append(event)
        if self._on_event is not None:
            self._on_event(event)

    def tell(self, saga_id: str, fact: Fact) -> None:
        """Deliver a fact to a saga now, and perform its commands. A closed saga gets no facts."""
        run = self.runs[saga_id]
        if run.close is not None:
            return
        if not isinstance(fact, Settled):
            self._note_fact(saga_id, fact)
        if self._replay and not isinstance(fact, Began | BeganUndo):
            run.state = State.restore(_sent(run.state.snapshot()))
        self._perform_all(saga_id, run, decide(run.saga, run.state, fact))
        if self._after_fact is not None:
            self._after_fact(saga_id)
        if self._drain and not isinstance(fact, DrainRequested | Resumed):
            self.tell(saga_id, DrainRequested(self.now))

    def _note_fact(self, saga_id: str, fact: Fact) -> None:
        """Note a fact that comes from outside. Calls and timers note their own events."""
        match fact:
            case CancelRequested():
                self._note(saga_id, "cancel_request", "")
            case OperatorAsked(verb=verb, path=path):
                self._note(saga_id, "operator", path, detail=verb.value)
            case SignalReceived(name=name):
                self._note(saga_id, "signal", name)
            case _:
                pass

    def _perform_all(self, saga_id: str, run: VirtualRun, commands: list[Command]) -> None:
        """Perform the commands of a saga. If it starts and cancels a call at once, no worker ever sends this call."""
        cancelled = {command.call_id for command in commands if isinstance(command, Cancel)}
        for command in commands:
            if cancelled and isinstance(command, StartActivity | StartChild) and command.call_id in cancelled:
                fact = never_sent(command.call_id, self.now)
                self.clock.later(0, partial(self.tell, saga_id, fact))
            else:
                self._perform(saga_id, run, command)

    def _perform(self, saga_id: str, run: VirtualRun, command: Command) -> None:
        assert run.calls is not None
        match command:
            case StartActivity():
                run.calls.start(command)
            case StartChild():
                self._start_child(saga_id, run, command)
            case StartTimer(timer_id=timer_id, due=due):
                token = run.timers[timer_id] = self.clock.unique()
                self._note(saga_id, "timer", timer_id, detail="set")
                self.clock.later(due - self.now, lambda: self._fire(saga_id, timer_id, token))
            case CancelTimer(timer_id=timer_id):
                run.timers.pop(timer_id, None)
            case Cancel(call_id=call_id):
                self._cancel(saga_id, run, call_id)
            case ContinueAsNew():
                assert not run.calls, "nobody would hear of them"
                assert not run.children, "nobody would hear of them"
                pack(run.saga, run.state)
                run.state = State.restore(_sent(run.state.snapshot()))
                run.timers.clear()
                self._note(saga_id, "continue_as_new", "")
                self.clock.later(0, lambda: self.tell(saga_id, Resumed(self.now, f"run-{self.clock.unique()}")))
            case Close():
                self._close(saga_id, run, command)
            case _:
                assert_never(command)

    def _fire(self, saga_id: str, timer_id: str, token: int) -> None:
        if self.runs[saga_id].timers.get(timer_id) == token:
            del self.runs[saga_id].timers[timer_id]
            if timer_id == TIMEOUT_TIMER:
                self._note(saga_id, "timeout", "")
            else:
                self._note(saga_id, "timer", timer_id, detail="fired")
            self.tell(saga_id, TimerFired(self.now, timer_id))

    def _cancel(self, saga_id: str, run: VirtualRun, call_id: str) -> None:
        child_id = run.children.get(call_id)
        if child_id is not None:
            self._note(saga_id, "cancel", call_id)
            self.clock.later(0, lambda: self.tell(child_id, CancelRequested(self.now)))
        elif run.calls is not None:
            run.calls.cancel(call_id)

    def _start_child(self, saga_id: str, run: VirtualRun, command: StartChild) -> None:
        self._note(saga_id, "start", command.call_id, detail=command.saga)
        saga = self._sagas.get(command.saga)
        if saga is None:
            error = Error(DEFINITION_NOT_FOUND, f"there is no saga `{command.saga}`")
            fact = Settled(self.now, command.call_id, Outcome.FAILED, error=error)
            self.clock.later(0, lambda: self._child_over(saga_id, fact))
            return
        child_id = command.workflow_id
        child = VirtualRun(
            saga,
            State(),
            parent=(saga_id, command.call_id),
            since=len(self.events),
        )
        self._begun(child_id, child)
        run.children[command.call_id] = child_id
        first: Fact
        if command.journal is None:
            first = Began(self.now, child_id, f"run-{child_id}", command.input, wants_journal=command.wants_journal)
        else:
            assert command.failure is not None
            first = BeganUndo(self.now, f"run-{child_id}", unpacked(command.journal), command.failure)
        self.clock.later(0, lambda: self.tell(child_id, first))

    def _close(self, saga_id: str, run: VirtualRun, command: Close) -> None:
        run.close = command
        self._note(saga_id, "close", "", detail=command.status.value)
        if run.parent is None:
            return
        parent_id, call_id = run.parent
        del self.runs[parent_id].children[call_id]
        outcome = {
            Status.COMPLETED: Outcome.SUCCEEDED,
            Status.COMPENSATED: Outcome.SUCCEEDED if command.failure is None else Outcome.FAILED,
            Status.CANCELLED: Outcome.FAILED,
        }.get(command.status, Outcome.UNKNOWN)
        fact = Settled(
            self.now,
            call_id,
            outcome,
            output=command.output,
            error=_as_told(run, command),
            cancelled=command.status is Status.CANCELLED,
            journal=_sent(command.journal),
        )
        self.clock.later(0, lambda: self._child_over(parent_id, fact))

    def _child_over(self, parent_id: str, fact: Settled) -> None:
        error = "" if fact.error is None else fact.error.type
        self._note(parent_id, "end", fact.call_id, detail=fact.outcome.value, error=error)
        self.tell(parent_id, fact)

    def report(self, saga_id: str = "saga-1") -> dict[str, Any]:
        """Return the final report of a saga."""
        run = self.runs[saga_id]
        return report(run.saga, run.state)


def _as_told(run: VirtualRun, close: Close) -> Error | None:
    """Return the error of a child saga for its parent: how the child ended, with the child's own error as the cause."""
    error = close.failure
    if close.status is Status.CANCELLED:
        return Error(CANCELLED, f"child saga `{run.saga.name}` was cancelled")
    if error is None:
        return None
    return Error(error.type, summary(run.saga, run.state), causes=((error.type, error.message), *error.causes))


def _sent(data: Any) -> Any:
    """Return *data* as a receiver gets it: Temporal's converter sorts the keys of objects."""
    return json.loads(json.dumps(data, sort_keys=True))
