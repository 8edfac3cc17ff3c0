"""How much room is left: in the message that ends a workflow task, and in the history of a run. Replay-critical.

When a message is larger than 4 MB, or a history has 51,200 events or 50 MB, the server ends the run at once, and no
code of it runs any more (measured, R51, R52). So this module counts both, and a run acts before they are full.
"""

from __future__ import annotations

from dataclasses import dataclass

from temporalio import workflow

from sagadsl.temporal.wire.codec_growth import LONGEST, StretchPerTask

WHOLE_MESSAGES = 2
"""Since this version of the rules, everything in the message of a workflow task is counted, not only arguments."""

MAX_MESSAGE_BYTES = 3_500_000
"""Most bytes that one workflow task sends; the server ends a run whose message has more than 4 MiB (R52)."""

TOO_MUCH = "arguments larger than one message"
"""Why a timer of the run brings the next workflow task, for people."""

LOCAL_RESULT_BYTES = 64 * 1024
"""Room that is kept for the result of a local activity; a larger result waits in the worker."""

COMMAND_BYTES = 300
"""Bytes of a command beside its data: ids, timeouts, the retry policy's numbers."""

TIMER_BYTES = 120

_PAYLOADS = 3
"""Approximate number of payloads of a command: its input or result, its summary, the handover of a child."""

MAX_EVENTS = 51_200
MAX_HISTORY_BYTES = 50 * 1024 * 1024

_UNDO_EVENTS = 7
_UNDO_BYTES = 2_000
_RESERVE_EVENTS = 1_500
_RESERVE_BYTES = 4_000_000
_PATIENT_UNTIL = 35_000
"""Events after which a run that has to continue as new waits for calls in flight, however long they take."""

_AGAIN_AFTER = 4_096
"""Events after which the run tries again to continue as new."""


@dataclass(slots=True)
class Message:
    """The size of the current workflow task's message so far, and what calls in flight may still add to it.

    Attributes:
        asked: How much longer the worker's codec makes the message.
    """

    asked: StretchPerTask
    _bytes: int = 0
    _payloads: int = 0
    _held: int = 0
    _held_payloads: int = 0
    _task: int = -1

    def takes(self, size: int, later: int = 0, *, rules: int) -> bool:
        """Add *size* bytes now and *later* bytes at an unknown time; return false if one message cannot hold them.

        An empty message takes anything.
        """
        self._at_task()
        before = self._bytes + self._held
        payloads = self._payloads + self._held_payloads + _PAYLOADS
        if before and not self._holds(before + size + later, payloads, rules):
            return False
        self._bytes += size
        self._payloads += _PAYLOADS if size else 0
        self._held += later
        self._held_payloads += _PAYLOADS if later else 0
        return True

    def add(self, size: int) -> None:
        """Add bytes that are sent whether they fit or not."""
        self._at_task()
        self._bytes += size
        self._payloads += _PAYLOADS

    def give_back(self, later: int, size: int) -> None:
        """Replace the *later* bytes that ``takes`` has reserved by the *size* bytes that came."""
        self._held -= later
        self._held_payloads -= _PAYLOADS
        self.add(size)

    def _holds(self, size: int, payloads: int, rules: int) -> bool:
        if size > MAX_MESSAGE_BYTES:
            return False
        in_doubt = LONGEST.of(size, payloads) > MAX_MESSAGE_BYTES
        return not in_doubt or self.asked.now(rules).of(size, payloads) <= MAX_MESSAGE_BYTES

    def _at_task(self) -> None:
        task = workflow.info().get_current_history_length()  # differs from one workflow task to the next
        if task != self._task:
            self._task, self._bytes, self._payloads = task, 0, 0


@dataclass(slots=True)
class History:
    """The length of a run's history: when to continue as new, and when only the room for undoing is left.

    Attributes:
        drain_after: Length at which the run asks to continue as new; ``None`` when the server suggests it.
        is_stuck: The run tried to continue as new, and its state was too large.
    """

    drain_after: int | None = None
    is_stuck: bool = False
    _next: int = 0

    def asks_to_continue(self) -> bool:
        """Whether the run should be continued as new at the next occasion."""
        info = workflow.info()
        length = info.get_current_history_length()
        if length < self._next:
            return False
        if self.drain_after is not None:
            return length >= self.drain_after
        return info.is_continue_as_new_suggested()

    def goes_on(self) -> None:
        """Note that the run did not continue as new this time."""
        self._next = workflow.info().get_current_history_length() + (self.drain_after or _AGAIN_AFTER)

    @property
    def is_patient(self) -> bool:
        """Whether the run may go on for a while without continue-as-new when a long call is in flight."""
        return workflow.info().get_current_history_length() < _PATIENT_UNTIL

    def is_full(self, to_undo: int, in_flight: int) -> bool:
        """Whether a run that cannot continue as new has only the room left that undoing *to_undo* steps may take.

        A compensation is sent at most the input or the output of its step: as many bytes as are there already.
        """
        info = workflow.info()
        events = info.get_current_history_length() + to_undo * _UNDO_EVENTS + in_flight * _UNDO_EVENTS
        size = 2 * info.get_current_history_size() + to_undo * _UNDO_BYTES
        return events > MAX_EVENTS - _RESERVE_EVENTS or size > MAX_HISTORY_BYTES - _RESERVE_BYTES
