"""How much room is left: in the message that ends a workflow task, and in the history of a run. Replay-critical.

The server ends a run at once, and no code of it runs any more, when a message is larger than 4 MB or a history
has 51,200 events or 50 MB (measured, R51, R52). So both are watched here, and looked at before they are full.
"""

from __future__ import annotations

from dataclasses import dataclass

from temporalio import workflow

from sagadsl.temporal.codec_growth import LONGEST, TasksTold

MAX_MESSAGE_BYTES = 3_500_000
"""What one workflow task sends; the server takes 4 MiB a message, and ends the run beyond (R52)."""

LOCAL_RESULT_BYTES = 64 * 1024
"""Room that is kept for the result of a local activity; a larger one waits in the worker until it is asked for."""

COMMAND_BYTES = 300
"""What a command takes beside its data: ids, timeouts, the retry policy's numbers."""

TIMER_BYTES = 120

_PAYLOADS = 3
"""Payloads of a command, about: its input or result, its summary, what undoing a child needs."""

MAX_EVENTS = 51_200
MAX_HISTORY_BYTES = 50 * 1024 * 1024

_UNDO_EVENTS = 7
_UNDO_BYTES = 2_000
_RESERVE_EVENTS = 1_500
_RESERVE_BYTES = 4_000_000
_PATIENT_UNTIL = 35_000
"""Events after which a run that has to be continued waits for what is in flight, however long that takes."""

_AGAIN_AFTER = 4_096
"""Events after which continue-as-new is tried again."""


@dataclass(slots=True)
class Message:
    """What the current workflow task has to send so far, and what calls in flight may add to any.

    Attributes:
        asked: How much longer the worker's codec makes it.
    """

    asked: TasksTold
    _bytes: int = 0
    _payloads: int = 0
    _held: int = 0
    _held_payloads: int = 0
    _task: int = -1

    def takes(self, size: int, later: int = 0, *, rules: int) -> bool:
        """Add *size* bytes, and *later* ones that come at a time unknown; false if that is more than one holds.

        Something always fits into an empty message.
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
        """Add what goes along whether it fits or not."""
        self._at_task()
        self._bytes += size
        self._payloads += _PAYLOADS

    def give_back(self, later: int, size: int) -> None:
        """Add the *size* bytes that came, for the *later* ones that ``takes`` has held."""
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
    """The history of a run: when to continue it as new, and when there is no more room but for undoing.

    Attributes:
        drain_after: Length at which the run asks to be continued; ``None`` when the server suggests it.
        is_stuck: It was tried, and what has to be kept is too large.
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
        """Take note that the run was not continued, for now."""
        self._next = workflow.info().get_current_history_length() + (self.drain_after or _AGAIN_AFTER)

    @property
    def is_patient(self) -> bool:
        """Whether it may go on a while without being continued, when something long is in flight."""
        return workflow.info().get_current_history_length() < _PATIENT_UNTIL

    def is_full(self, to_undo: int, in_flight: int) -> bool:
        """Whether a run that cannot be continued has just the room left that undoing *to_undo* steps may take.

        An undo is sent what its step was sent or gave back, at the most: as many bytes as are there already.
        """
        info = workflow.info()
        events = info.get_current_history_length() + to_undo * _UNDO_EVENTS + in_flight * _UNDO_EVENTS
        size = 2 * info.get_current_history_size() + to_undo * _UNDO_BYTES
        return events > MAX_EVENTS - _RESERVE_EVENTS or size > MAX_HISTORY_BYTES - _RESERVE_BYTES
