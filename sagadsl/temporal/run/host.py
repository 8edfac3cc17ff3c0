"""The engine's host inside a Temporal workflow: performs commands as activities, children and timers. Replay-critical.

It knows no rule about sagas. Three traps decide its form.

- If a task awaits an activity and a cancel reaches that task, the activity's result is lost when both come
  in one activation (R29, measured). So callbacks watch the handles, and ``next_fact`` is the only await of
  a run. It continues only when the event loop has nothing left to do: by then everything that has
  resolved is a fact, before a command can cancel it.
- A command that Temporal refuses fails the workflow task for ever (R52, R56). So the host refuses such
  a command itself, and the refusal ends only that one call.
- The host may look only at what is equal at every replay: facts in the order of their callbacks,
  the workflow's clock, the length of the history at the last workflow task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, assert_never

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import CancelledError

from sagadsl.engine.acted_out import acted_out
from sagadsl.engine.call_errors import never_sent
from sagadsl.engine.facts import (
    Cancel,
    CancelRequested,
    CancelTimer,
    Close,
    Command,
    ContinueAsNew,
    Error,
    Fact,
    LateEnd,
    Outcome,
    SendSignal,
    Settled,
    StartActivity,
    StartChild,
    StartTimer,
)
from sagadsl.engine.journal import RULES
from sagadsl.engine.noted import Noted
from sagadsl.engine.run import BOUNDED_WORK, PART_WORK
from sagadsl.language.paths import activity_id
from sagadsl.temporal.run import failures, operation_errors
from sagadsl.temporal.run.child_runs import begin_child, let_alone
from sagadsl.temporal.run.in_flight import CallInFlight, CallsInFlight, ChildStart
from sagadsl.temporal.run.inbox import Inbox
from sagadsl.temporal.run.knowledge import NotKnownHere, at_hand
from sagadsl.temporal.run.local_results import room_needed
from sagadsl.temporal.run.missing import UnknownActivity, UnservedCall, missed
from sagadsl.temporal.run.new_runs import NewRuns
from sagadsl.temporal.run.operations import Operations
from sagadsl.temporal.run.rebuilding import is_rebuilding
from sagadsl.temporal.run.room import LOCAL_RESULT_BYTES, TIMER_BYTES, TOO_MUCH, WHOLE_MESSAGES, Message
from sagadsl.temporal.run.scheduling import (
    Unsendable,
    check_names,
    described,
    encoded,
    ended_well,
    look_up,
    start_activity,
    succeeded,
    too_large,
    when_answered,
)
from sagadsl.temporal.run.sending import begin_send, is_acted_out, sent_values
from sagadsl.temporal.run.timers import Timers
from sagadsl.temporal.run.unrecorded import RECORDS_FIRST, WHY, Unrecorded
from sagadsl.temporal.wire.codec_growth import DOUBTFUL_BYTES, PLAIN, Stretch, StretchPerTask
from sagadsl.temporal.wire.marker import (
    ATTEMPTS_ACTIVITY,
    MAX_PAYLOAD_BYTES,
    TAKEN_ACTIVITY,
    Recorded,
    by_and_why,
)

_KNOWS_WHAT_LEFT = 3
"""Since this version of the rules, an immediate cancel distinguishes calls that have left the worker from calls that
have not, and does not reach a local activity that has happened. Errors of local activities are counted, too."""

WAITS_FOR_OTHERS = 3
"""Since this version of the rules, a call that its worker does not know waits for another worker; see ``missing``."""

_REASON = 1000
"""How many characters of a cancel's reason are kept."""


@dataclass(slots=True)
class TemporalHost:
    """Implements the engine's ``Host``. The workflow makes one for each run.

    Attributes:
        child_start: Gives the start arguments of a child saga.
        watched: Called with what those may want to know who watch the saga.
        learns: Called with all that follows from a fact, if the saga has secrets.
        before_wait: Called when the engine has answered all that has happened.
        rules: Gives the version of the rules under which the run is.
        generation: Gives the generation of the saga, which is a part of its activities' ids.
        new_runs: Tells when the run has to continue as new.
        to_undo: Gives the number of steps that would be undone if the saga failed now.
        goes_back: Whether the saga as a whole undoes what it has done.
        cancel_seen: Somebody has asked this run to stop.
        inbox: What has happened that the engine does not know yet.
        calls: The calls in flight.
        asked: How much longer the worker's codec makes data.
    """

    child_start: Callable[[StartChild], ChildStart] | None = None
    before_wait: Callable[[], None] | None = None
    watched: Callable[[Sequence[Noted]], None] | None = None
    learns: Callable[[Fact, Sequence[Noted], Sequence[Command]], None] | None = None
    rules: Callable[[], int] = lambda: RULES
    generation: Callable[[], str] = lambda: ""
    to_undo: Callable[[], int] = lambda: 0
    goes_back: Callable[[], bool] = lambda: False
    cancel_seen: bool = False
    inbox: Inbox = field(default_factory=Inbox)
    calls: CallsInFlight = field(default_factory=CallsInFlight)
    _unsent: list[CallInFlight] = field(default_factory=list)
    asked: StretchPerTask = field(default_factory=StretchPerTask)
    new_runs: NewRuns = field(init=False)
    _message: Message = field(init=False)
    _operations: Operations = field(init=False)
    _timers: Timers = field(init=False)
    _turn: int = 0
    _worked: int = 0
    _unable: NotKnownHere | None = None
    _unrecorded: Unrecorded = field(init=False)

    def __post_init__(self) -> None:
        self._message = Message(self.asked)
        self._timers = Timers(self.inbox.tell)
        self._unrecorded = Unrecorded(self.goes_back)
        self._operations = Operations(self.calls, self._takes, self._settle, self._operation_failed)
        self.new_runs = NewRuns(self.inbox.tell, self.rules, self.to_undo)

    def fits(self, size: int, payloads: int = 1) -> Stretch | None:
        """Return ``None`` if one command may send the payloads; else how much longer the codec makes them."""
        if size <= DOUBTFUL_BYTES:
            return None
        found = PLAIN if size > MAX_PAYLOAD_BYTES else self.asked.now(self.rules())
        return None if found.fits(size, payloads) else found

    def tell_late(self, fact: LateEnd) -> None:
        """Queue the late end of an attempt behind the end of its call, of which the engine may not have heard yet."""
        self.inbox.tell_late(fact, is_early=fact.call_id in self.calls)

    def tell_asked(self, fact: Fact) -> None:
        """Queue a fact that an update has brought.

        The server does not record a workflow task that only an update has caused before the task has ended. If the
        server loses it, no trace is left of a local activity that the task has begun. So local activities begin in the
        next one (R133).
        """
        self._unrecorded.asked_at = workflow.info().get_current_history_length()
        self.inbox.tell(fact)

    async def next_fact(self) -> Fact:
        """Wait until something has happened, and return it. A cancel of the workflow is one fact, once (R28)."""
        while not self.inbox.has_facts():
            if self.before_wait is not None:
                self.before_wait()
            if (asked := self.new_runs.wanted(len(self.calls))) is not None:
                return asked
            self._turn += 1
            self._worked = 0
            try:
                await workflow.wait_condition(lambda: self.inbox.has_facts() or self._unable is not None)
            except asyncio.CancelledError:
                await self.take_cancel()
            if self._unable is not None:
                raise self._unable
        while not self.inbox.is_known():
            self._leaves()
            try:
                await workflow.wait_condition(self.inbox.is_known)
            except asyncio.CancelledError:
                await self.take_cancel()
        if (asked := self.new_runs.before_fact(len(self.calls))) is not None:
            return asked
        return self.inbox.take()

    def _leaves(self) -> None:
        """Note that the commands so far leave the worker, although the engine has more to do."""
        if self.rules() >= _KNOWS_WHAT_LEFT:
            self._turn += 1

    def note(self, fact: Fact, noted: Sequence[Noted], commands: Sequence[Command]) -> None:
        """Tell those who watch the saga, and learn which values it does not show."""
        if self.learns is not None:
            self.learns(fact, noted, commands)
        if self.watched is not None:
            self.watched(noted)

    async def rest(self, work: int, *, must: bool) -> None:
        """End this workflow task when it has done much and there is more to do. The SDK considers a task dead that
        computes for two seconds, and would do so again at each new attempt."""
        self._worked += work
        if must or (self._worked > PART_WORK and self.inbox.has_facts() and self.rules() >= BOUNDED_WORK):
            await self._next_task("much to compute")
            self._worked = 0

    async def make_room(self, size: int) -> None:
        """Wait until the message of a workflow task has room for *size* more bytes, if need be that of the next one."""
        if self.rules() >= WHOLE_MESSAGES and not self._message.takes(size, rules=self.rules()):
            await self._next_task("more than one message holds")

    async def _next_task(self, why: str) -> None:
        if is_rebuilding():
            return
        self._leaves()
        try:
            await workflow.sleep(timedelta(milliseconds=1), summary=why)
        except asyncio.CancelledError:
            await self.take_cancel()

    async def take_cancel(self) -> None:
        """Handle a cancel of the workflow's task."""
        # An eviction cancels the task too, and ends it at this wait. After a real cancel the code continues;
        # calls that ended in the same activation are then facts already.
        await workflow.wait_condition(lambda: True)
        if not self.cancel_seen:
            self.cancel_seen = True
            by, why = by_and_why(failures.bounded(workflow.cancellation_reason() or "", _REASON))
            self.inbox.tell(CancelRequested(workflow.time(), by, why))

    def perform(self, command: Command) -> None:
        """Begin *command*. Never raises: what cannot be sent ends as a fact."""
        match command:
            case StartActivity() | StartChild():
                self._start(command)
            case SendSignal():
                self._start(acted_out(command) if is_acted_out() else command)
            case Cancel():
                self._cancel(command)
            case StartTimer():
                if self._timers.start(command) and self.rules() >= WHOLE_MESSAGES:
                    self._message.add(TIMER_BYTES + len(command.summary))
            case CancelTimer(timer_id):
                self._timers.cancel(timer_id)
            case ContinueAsNew() | Close():
                raise AssertionError(f"{command} ends the loop and is not performed")
            case _:
                assert_never(command)

    def _start(self, command: StartActivity | StartChild | SendSignal) -> None:
        call = CallInFlight(command, workflow.time(), self._turn)
        self.calls[command.call_id] = call
        self._submit(call)

    def _submit(self, call: CallInFlight) -> None:
        """Send a call now, or later when there is room for it."""
        if self._unsent:
            self._unsent.append(call)
        elif self._has_to_be_recorded(call):
            self._unsent.append(call)
            asyncio.create_task(self._send_rest(WHY))  # noqa: RUF006 # the workflow's loop keeps its tasks
        elif not self._send(call):
            self._unsent.append(call)
            asyncio.create_task(self._send_rest(TOO_MUCH))  # noqa: RUF006 # the workflow's loop keeps its tasks

    def _has_to_be_recorded(self, call: CallInFlight) -> bool:
        """Whether the history does not have yet what a local activity follows from, and has to have it."""
        command = call.command
        if not isinstance(command, StartActivity) or not command.local or self.rules() < RECORDS_FIRST:
            return False
        return self._unrecorded.has_to_wait(command)

    def _send(self, call: CallInFlight) -> bool:
        """Send a call, or refuse it; ``False`` when it does not fit into the message of this workflow task."""
        command = call.command
        start = None
        try:
            check_names(command)
            if isinstance(command, StartChild):
                start = ChildStart([command.input]) if self.child_start is None else self.child_start(command)
                values = start.arguments
            elif isinstance(command, SendSignal):
                values = sent_values(command)
            else:
                values = list(command.arguments)
            arguments, size = encoded(values, command.call_id)
            if (stretch := self.fits(size, len(arguments))) is not None:
                raise too_large(command.call_id, stretch.described(size, len(arguments)))
        except Unsendable as problem:
            del self.calls[command.call_id]
            error = Error(problem.type, failures.bounded(problem.message), command.call_id)
            self.inbox.tell(Settled(workflow.time(), command.call_id, Outcome.FAILED, error=error, attempts=0))
            return True
        if isinstance(command, StartActivity) and command.operation is not None:
            call.waits = True
            operation = self._operations.run(call, command, arguments, size, self.generation())
            asyncio.create_task(operation)  # noqa: RUF006 # the workflow's loop keeps its tasks
            return True
        if not self._takes(call, size):
            return False
        call.turn = self._turn
        if isinstance(command, StartActivity):
            self._check_local(command)
            sent = command if call.missing is None else call.missing.again(command, call.at)
            call.handle = start_activity(sent, arguments, self.generation(), waits=self.rules() >= WAITS_FOR_OTHERS)
            call.handle.add_done_callback(partial(self._activity_ended, call))
        elif isinstance(command, SendSignal):
            asyncio.create_task(self._begin_send(call, command, arguments))  # noqa: RUF006 # the same
        elif start is not None:
            asyncio.create_task(self._begin_child(call, command, start, arguments))  # noqa: RUF006 # the same
        return True

    def _takes(self, call: CallInFlight, size: int) -> bool:
        """Count a call with an input of *size* bytes if it fits into the message of this workflow task; say whether."""
        return self._message.takes(*call.sizes(size, self.rules()), rules=self.rules())

    def _check_local(self, command: StartActivity) -> None:
        """Leave the workflow task to other workers for a while if this one does not have the local activity."""
        worker = at_hand() if command.local and self.rules() >= WAITS_FOR_OTHERS else None
        if worker is None or worker.has_activity(command.activity):
            return
        if worker.is_patient(workflow.info().run_id, command.call_id):
            self._unable = NotKnownHere(worker.without_activity(command.activity).message)

    async def _send_rest(self, why: str) -> None:
        """Send the waiting calls, one full message at a time: a timer brings the next workflow task."""
        while self._unsent:
            await workflow.sleep(timedelta(milliseconds=1), summary=why)
            why = TOO_MUCH
            while self._unsent:
                call = self._unsent[0]
                if call.command.call_id in self.calls and not self._send(call):
                    break
                self._unsent.pop(0)

    def _cancel(self, asked: Cancel) -> None:
        call_id = asked.call_id
        call = self.calls.get(call_id)
        if call is None or call.cancelled:
            return
        if call.has_happened and self.rules() >= _KNOWS_WHAT_LEFT:  # its result counts (R29)
            return
        if call not in self._unsent and call.turn != self._turn and let_alone(call, asked, self._settle):
            return
        call.cancelled, call.never_left = True, call.turn == self._turn
        if call.missing is not None and call.missing.pause is not None:
            call.missing.pause.cancel()
        elif call.operation is not None:
            call.operation.cancel()
        elif isinstance(call.command, StartActivity) and call.command.operation is not None:
            if call.waits or call in self._unsent:  # else it is asked to stop when it has started
                self._settle(call, never_sent(call_id, workflow.time()))
        elif call.handle is not None:
            call.handle.cancel()
            command = call.command
            alone = isinstance(command, StartActivity) and not command.local and command.retry.maximum_attempts == 1
            if alone and self.rules() >= 2 and not call.handle.done() and not call.never_left:
                call.taken = look_up(
                    TAKEN_ACTIVITY, command.call_id, activity_id(command.call_id, self.generation())
                )  # answered before the cancel leaves the worker
        elif call in self._unsent or call.never_left:
            self._settle(call, never_sent(call_id, workflow.time()))

    def _activity_ended(self, call: CallInFlight, handle: asyncio.Task[Any]) -> None:
        command, at = call.command, workflow.time()
        assert isinstance(command, StartActivity)
        if command.local:
            self._unrecorded.ends(command, handle)
            self._give_back(call, handle)
        if handle.cancelled():
            fact = self._not_awaited(call, command, at)
        elif (raised := handle.exception()) is not None:
            if command.local and (room := room_needed(raised)) is not None:
                self._ask_again(call, room)
                return
            self._activity_failed(call, command, raised, at - call.at)
            return
        else:
            fact = succeeded(command.call_id, handle.result(), at, strict=self.rules() >= 2)
        self._settle(call, fact)

    def _not_awaited(self, call: CallInFlight, command: StartActivity, at: float) -> Settled:
        """Return the end of a cancelled call for which the SDK did not wait: it had not left the worker, or was a
        local activity between two attempts."""
        if not command.local:
            return never_sent(command.call_id, at)
        knows = self.rules() >= _KNOWS_WHAT_LEFT
        if call.never_left if knows else call.turn == self._turn:
            return never_sent(command.call_id, at)
        error = CancelledError() if knows else asyncio.CancelledError()
        return failures.activity_failed(command, error, at, failures.KnownEnd(self.rules(), at - call.at))

    def _give_back(self, call: CallInFlight, handle: asyncio.Task[Any]) -> None:
        """Count the real size of a local activity's result or error, and give back the room that was kept."""
        if self.rules() < WHOLE_MESSAGES:
            return
        size = 0
        error = None if handle.cancelled() else handle.exception()
        if error is not None and room_needed(error) is None and self.rules() >= _KNOWS_WHAT_LEFT:
            size = LOCAL_RESULT_BYTES  # the worker's interceptor lets none be much longer
        elif ended_well(handle) and isinstance(result := handle.result(), RawValue):
            size = result.payload.ByteSize()
        self._message.give_back(call.sizes(0, self.rules())[1], size + described(call.command))

    def _ask_again(self, call: CallInFlight, room: int) -> None:
        """Ask again for the result of a local activity, in a message that has room for it."""
        call.room, call.handle = room, None
        call.cancelled, call.has_happened = False, True
        self._unsent.append(call)
        if len(self._unsent) == 1:
            asyncio.create_task(self._send_rest(TOO_MUCH))  # noqa: RUF006 # the workflow's loop keeps its tasks

    def _activity_failed(self, call: CallInFlight, command: StartActivity, error: BaseException, took: float) -> None:
        """Handle the end of an activity; look up the server's record where the error does not tell enough."""
        asked = call.taken
        if (recorded := failures.to_look_up(command, error, self.rules())) is not None:
            asked = look_up(
                ATTEMPTS_ACTIVITY, command.call_id, recorded.scheduled_event_id, recorded.started_event_id, call.at
            )

        def on_record(record: Recorded) -> None:
            known = failures.KnownEnd(self.rules(), took, record)
            miss = missed(command, error, record) if self.rules() >= WAITS_FOR_OTHERS else None
            if miss is not None:
                self._ask_others(call, command, miss)
            else:
                self._settle(call, failures.activity_failed(command, error, workflow.time(), known))

        when_answered(asked, on_record)

    def _operation_failed(self, call: CallInFlight, command: StartActivity, error: BaseException, took: float) -> None:
        """Handle the end of a Nexus operation; look up its times where the error does not tell enough."""
        scheduled = operation_errors.to_look_up(error, took)
        asked = look_up(ATTEMPTS_ACTIVITY, command.call_id, scheduled, 0, call.at) if scheduled else None

        def on_record(record: Recorded) -> None:
            known = failures.KnownEnd(self.rules(), took, record)
            self._settle(call, operation_errors.operation_failed(command, error, workflow.time(), known))

        when_answered(asked, on_record)

    def _ask_others(self, call: CallInFlight, command: StartActivity, miss: UnknownActivity) -> None:
        """Handle a worker that does not know an activity: ask the queue again after a while, if there is time."""
        at = workflow.time()
        missing = call.missing = call.missing or UnservedCall(at, miss)
        missing.add(miss)
        pause = missing.next_pause(missing.deadline(command, call.at) - at)
        if pause is None or miss.final or command.local or call.cancelled:
            self._settle(call, missing.gives_up(command, at))
            return
        summary = f"no worker that was asked knows {command.activity}"
        self._message.add(TIMER_BYTES + len(summary))
        call.handle = None
        missing.pause = asyncio.create_task(workflow.sleep(pause, summary=summary))
        missing.pause.add_done_callback(partial(self._pause_over, call, missing))

    def _pause_over(self, call: CallInFlight, missing: UnservedCall, pause: asyncio.Task[None]) -> None:
        missing.pause = None
        if pause.cancelled():
            self._settle(call, never_sent(call.command.call_id, workflow.time()))
        else:
            self._submit(call)

    def _settle(self, call: CallInFlight, fact: Settled) -> None:
        self.calls.pop(call.command.call_id, None)
        self.inbox.tell_end(fact if call.missing is None else call.missing.with_earlier(fact))

    async def _begin_child(
        self, call: CallInFlight, command: StartChild, start: ChildStart, arguments: list[RawValue]
    ) -> None:
        if command.call_id in self.calls:  # else it was cancelled before anything was sent
            await begin_child(call, command, start, arguments, self._settle, strict=self.rules() >= 2)

    async def _begin_send(self, call: CallInFlight, command: SendSignal, arguments: list[RawValue]) -> None:
        if command.call_id in self.calls:  # the same
            self._settle(call, await begin_send(command, arguments))
