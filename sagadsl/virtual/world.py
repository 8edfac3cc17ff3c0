"""A world without a clock and a network: time jumps to the next event.

It performs the engine's commands as a Temporal server and its workers would: activities,
child sagas, timers, signals, continue-as-new. A *participant* decides what an attempt does;
everything else follows from the commands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, assert_never

from sagadsl.engine import migration
from sagadsl.engine.acted_out import acted_out
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
    How,
    Inherited,
    LateEnd,
    MigrationDropped,
    MigrationRequested,
    OperatorAsked,
    Outcome,
    Resumed,
    SendSignal,
    Settled,
    SignalReceived,
    StartActivity,
    StartChild,
    StartTimer,
    Status,
    TimerFired,
)
from sagadsl.engine.journal import Phase, State
from sagadsl.engine.pack import pack
from sagadsl.engine.projection import report
from sagadsl.engine.redriven import begins_again
from sagadsl.engine.resetting import heading
from sagadsl.engine.run import TIMEOUT_TIMER
from sagadsl.engine.snapshots import restore, snapshot
from sagadsl.engine.squeeze import unpacked
from sagadsl.engine.tries import awaited
from sagadsl.engine.verdict import Judgement
from sagadsl.language.model import Saga
from sagadsl.language.own_errors import DEFINITION_NOT_FOUND, WORKFLOW_ALREADY_STARTED
from sagadsl.language.paths import path_in
from sagadsl.virtual.calls import Attempt, Calls, Participant
from sagadsl.virtual.clock import BEGIN, Clock
from sagadsl.virtual.runs import KILLED, Event, VirtualRun, end_for_parent, sent

_ENDS = (Settled, LateEnd)


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
        start: float = BEGIN,
        on_event: Callable[[Event], None] | None = None,
        after_fact: Callable[[str], None] | None = None,
    ) -> None:
        self.clock = Clock(start)
        self.runs: dict[str, VirtualRun] = {}
        self.events: list[Event] = []
        self._starts: dict[str, int] = {}
        self._addresses: dict[str, str] = {}
        usual = Attempt()
        self._participant = participant or (lambda _saga, _command, _attempt: usual)
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

    def migrate(
        self,
        new: Saga,
        saga_id: str = "saga-1",
        *,
        sagas: Mapping[str, Saga] | None = None,
        by: str = "",
        why: str = "",
    ) -> Judgement:
        """Let a run go on with another definition as soon as nothing is in flight, unless the answer has reasons.

        Args:
            sagas: The child sagas that the new definition names; if left out, those of the world.
        """
        run = self.runs[saga_id]
        judged = migration.judge(run.saga, run.state, new)
        if not judged.reasons and run.close is None:
            run.migrates_to = new, self._sagas if sagas is None else sagas
            self.tell(saga_id, MigrationRequested(self.now, new.digest, by, why))
        return judged

    def crash(self) -> None:
        """Lose every worker at this moment; others take over at once."""
        self._note("", "crash", "")
        for run in self.runs.values():
            if run.calls is not None:
                run.calls.crash(run.sends)

    def kill(self, saga_id: str = "saga-1") -> None:
        """End a run as a server does that runs no code: its child sagas are asked to stop, its calls are forgotten."""
        run = self.runs[saga_id]
        assert run.calls is not None
        run.killed = True
        run.timers.clear()
        self._note(saga_id, "kill", "")
        for call_id in run.calls.lose(run.state.calls.keys() | run.state.notices.keys()):
            self._note(saga_id, "end", call_id, detail=Outcome.UNKNOWN.value, error=KILLED.type)
        for child_id in run.children.values():
            if child_id in self.runs and not self.runs[child_id].abandons:
                self.clock.later(0, partial(self._cancel_child, child_id))

    def take_up(
        self, how: How, saga_id: str = "saga-1", *, verb: str = "recover", to: str = "", by: str = "", why: str = ""
    ) -> VirtualRun:
        """Begin a run now that takes up the work of the killed or closed one under this id. R31, R45."""
        old = self.runs[saga_id]
        run = VirtualRun(old.saga, restore(sent(snapshot(old.state))), since=old.since)
        assert old.killed or old.close is not None
        self._begun(saga_id, run)
        assert run.calls is not None
        run.calls.take_up()
        run.children = dict(old.children)
        ended = frozenset((*run.children, *(each.call_id for each in old.late)))
        lost = [call for call in run.state.calls if call not in ended and not begins_again(run.state, how, call)]
        failure = KILLED if old.killed else None
        self._note(saga_id, "taken_up", to, detail=verb)
        self.tell(saga_id, Inherited(self.now, "run-2", how, verb, by, why, failure, ended=ended, to=to))
        for fact in old.late:
            self.tell(saga_id, fact)
        for call in lost:
            self.tell(saga_id, Settled(self.now, call, Outcome.UNKNOWN, error=KILLED, cancelled=True))
        return run

    def _cancel_child(self, child_id: str) -> None:
        if child_id in self.runs:  # one whose definition is missing does not begin
            self.tell(child_id, CancelRequested(self.now))

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
        if run.killed:
            run.late += [fact] if isinstance(fact, Settled) else []
            return
        is_end = isinstance(fact, _ENDS)
        if not is_end:
            self._note_fact(saga_id, fact)
        if self._replay and not isinstance(fact, Began | BeganUndo):
            run.state = restore(sent(snapshot(run.state)))
        state = run.state
        goes_back = state.returning if is_end else heading(run.saga, state, fact)
        tries = awaited(state) if state.timers or state.held else {}
        commands = decide(run.saga, state, fact)
        if goes_back and not state.returning and state.phase is Phase.FORWARD:
            self._note(saga_id, "went_back", goes_back)
        for path, began in tries.items():
            if path in state.records and state.records[path].began != began:
                self._note(saga_id, "tried_again", path)
        self._perform_all(saga_id, run, commands)
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
            case MigrationRequested():
                self._note(saga_id, "operator", "", detail=migration.VERB)
            case _:
                pass

    def _perform_all(self, saga_id: str, run: VirtualRun, commands: list[Command]) -> None:
        """Perform the commands of a saga. If it starts and cancels a call at once, no worker ever sends this call."""
        if len(commands) == 1:  # as for most facts
            self._perform(saga_id, run, commands[0])
            return
        cancelled = {command.call_id for command in commands if isinstance(command, Cancel)}
        for command in commands:
            if (
                cancelled
                and isinstance(command, StartActivity | StartChild | SendSignal)
                and command.call_id in cancelled
            ):
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
            case SendSignal():
                run.sends.add(command.call_id)
                run.calls.start(acted_out(command))
            case StartTimer(timer_id=timer_id, due=due):
                token = run.timers[timer_id] = self.clock.unique()
                self._note(saga_id, "timer", timer_id, detail="set")
                self.clock.later(due - self.now, lambda: self._fire(saga_id, timer_id, token))
            case CancelTimer(timer_id=timer_id):
                run.timers.pop(timer_id, None)
            case Cancel():
                self._cancel(saga_id, run, command)
            case ContinueAsNew():
                assert not run.state.calls, "nobody would hear of them"
                assert not run.children, "nobody would hear of them"
                if not self._migrated(run):
                    self.clock.later(
                        0, lambda: self.tell(saga_id, MigrationDropped(self.now, "it does not fit any more"))
                    )
                    return
                pack(run.saga, run.state)
                run.state = restore(sent(snapshot(run.state)))
                run.timers.clear()
                self._note(saga_id, "continue_as_new", "")
                self.clock.later(0, partial(self._resume, saga_id, run))
            case Close():
                self._close(saga_id, run, command)
            case _:
                assert_never(command)

    def _resume(self, saga_id: str, run: VirtualRun) -> None:
        """Begin the new run. Nobody hears any more of what tells of pauses: the new run begins it again."""
        assert run.calls is not None
        for call_id in run.calls.lose(run.state.notices):
            self._note(saga_id, "end", call_id, detail=Outcome.UNKNOWN.value)
        self.tell(saga_id, Resumed(self.now, f"run-{self.clock.unique()}"))

    def _migrated(self, run: VirtualRun) -> bool:
        """Migrate a run that has nothing in flight, if it shall migrate; false when it cannot any more."""
        if run.migrates_to is None:
            return True
        (new, sagas), run.migrates_to = run.migrates_to, None
        if migration.judge(run.saga, run.state, new).reasons:
            return False
        before = self._children_of(run)
        run.saga = migration.migrate(
            run.saga, run.state, new, self.now, lambda name: before.get(name) == sagas.get(name)
        )
        run.sagas[new.digest] = sagas
        return True

    def _children_of(self, run: VirtualRun, digest: str = "") -> Mapping[str, Saga]:
        """Return the child sagas that a run's definition names, or a former one by its digest."""
        return run.sagas.get(digest or run.saga.digest, self._sagas)

    def _fire(self, saga_id: str, timer_id: str, token: int) -> None:
        if self.runs[saga_id].timers.get(timer_id) == token:
            del self.runs[saga_id].timers[timer_id]
            if timer_id == TIMEOUT_TIMER:
                self._note(saga_id, "timeout", "")
            else:
                self._note(saga_id, "timer", timer_id, detail="fired")
            self.tell(saga_id, TimerFired(self.now, timer_id))

    def _cancel(self, saga_id: str, run: VirtualRun, asked: Cancel) -> None:
        call_id = asked.call_id
        child_id = run.children.get(call_id)
        if child_id is None:
            if run.calls is not None and call_id not in run.sends:
                run.calls.cancel(call_id)
            return
        child = self.runs.get(child_id)
        if child is not None and child.parent is None:
            return  # nobody waits for it
        if asked.abandons and child is not None:
            if child.close is None:  # else its end is on its way
                self._abandon(saga_id, call_id, child_id)
        else:
            self._note(saga_id, "cancel", call_id)
            self.clock.later(0, partial(self._cancel_child, child_id))

    def _abandon(self, saga_id: str, call_id: str, child_id: str) -> None:
        self.runs[child_id].parent = None
        fact = Settled(self.now, call_id, Outcome.UNKNOWN, abandoned=True)
        self.clock.later(0, lambda: self._child_over(saga_id, fact))

    def _start_child(self, saga_id: str, run: VirtualRun, command: StartChild) -> None:
        self._note(saga_id, "start", command.call_id, detail=command.saga)
        sagas = self._children_of(run, command.definition)
        saga = sagas.get(command.saga)
        child_id = run.children[command.call_id] = self._address(saga_id, run, command)
        begun = Settled(self.now, command.call_id, Outcome.SUCCEEDED, output=command.workflow_id)
        if (error := self._not_begun(command, saga)) is not None:
            outcome = Outcome.FAILED if saga is None else Outcome.NOT_STARTED
            failed = Settled(self.now, command.call_id, outcome, error=error)
            fact = begun if command.detached and saga is None else failed  # a detached child fails alone
            self.clock.later(0, lambda: self._child_over(saga_id, fact))
            return
        assert saga is not None
        if command.journal is None:
            self._addresses[command.workflow_id] = child_id
        child = VirtualRun(
            saga,
            State(),
            parent=(saga_id, command.call_id),
            since=len(self.events),
            sagas={saga.digest: sagas},
            abandons=command.abandons,
        )
        self._begun(child_id, child)
        first: Fact
        if command.journal is None:
            first = Began(
                self.now,
                command.workflow_id,
                f"run-{child_id}",
                command.input,
                command.generation,
                wants_journal=command.wants_journal,
            )
        else:
            assert command.failure is not None
            first = BeganUndo(self.now, f"run-{child_id}", unpacked(command.journal), command.failure)
        self.clock.later(0, lambda: self.tell(child_id, first))
        if command.detached:
            child.parent = None
            self.clock.later(0, lambda: self._child_over(saga_id, begun))

    def _address(self, saga_id: str, run: VirtualRun, command: StartChild) -> str:
        """Return under which name the world has a child: one that begins with the name of its parent, whatever its id.

        So whoever looks at the world knows where the child belongs.
        """
        if command.journal is not None:
            return self._addresses[command.workflow_id]
        if command.chosen or saga_id != run.state.saga_id:
            return path_in(saga_id, command.call_id)
        return command.workflow_id

    def _not_begun(self, command: StartChild, saga: Saga | None) -> Error | None:
        """Return why a child does not begin: nobody knows its definition, or its chosen id is in use (R113)."""
        if saga is None:
            return Error(DEFINITION_NOT_FOUND, f"there is no saga `{command.saga}`")
        id_ = command.workflow_id
        earlier = self.runs.get(self._addresses.get(id_, id_))
        if earlier is None or not command.chosen or command.journal is not None or earlier.killed:
            return None
        is_done = earlier.state.undo_only or (earlier.close is not None and earlier.close.status is Status.COMPLETED)
        if earlier.close is None or (is_done and not command.renews):
            why = f"workflow id `{id_}` is open, or has completed"
            return Error(WORKFLOW_ALREADY_STARTED, f"child saga `{command.saga}` cannot start: {why}")
        return None

    def _close(self, saga_id: str, run: VirtualRun, command: Close) -> None:
        run.close = command
        self._note(saga_id, "close", "", detail=command.status.value)
        if run.parent is None:
            return
        parent_id, call_id = run.parent
        fact = end_for_parent(run, command, call_id, self.now)
        self.clock.later(0, lambda: self._child_over(parent_id, fact))

    def _child_over(self, parent_id: str, fact: Settled) -> None:
        del self.runs[parent_id].children[fact.call_id]  # until now, also a run that takes up the parent waits for it
        error = "" if fact.error is None else fact.error.type
        how = "abandoned" if fact.abandoned else fact.outcome.value
        self._note(parent_id, "end", fact.call_id, detail=how, error=error)
        self.tell(parent_id, fact)

    def report(self, saga_id: str = "saga-1") -> dict[str, Any]:
        """Return the final report of a saga."""
        run = self.runs[saga_id]
        return report(run.saga, run.state)
