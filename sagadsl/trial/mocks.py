"""Mocks: what each attempt of a call does in a trial: outputs, errors, delays, silence, crashes.

This module turns data in the form of ``schemas/suite.schema.json`` into the participant for a
virtual world. It knows nothing of suites and files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from sagadsl.engine.facts import StartActivity
from sagadsl.immutable import Immutable, field, replace
from sagadsl.language.notation import durations
from sagadsl.language.paths import looseness, path_in, stands_for
from sagadsl.virtual.calls import LOST, Attempt, Late, Participant

ENDS = ("output", "draw", "error", "timeout", "crash")
"""How an attempt ends, by its key: one of them."""

DELAY = 0.1
"""Seconds that an attempt takes by default."""

Draw = Callable[[str, str, int], Any]
"""Gives the output of a call without a fixed one, from its name, its activity and the number of the choice."""


class Mock(Immutable):
    """One attempt.

    Attributes:
        output: Its output, if ``fixed``; otherwise an output is drawn.
        drawn: Number of the drawn output.
        error: Type of its error; ``None`` is success.
        retryable: Whether the error allows another attempt.
        unknown: With an error: nobody knows whether the effect happened (R5).
        retry_after: Seconds until the next attempt, instead of the policy's pause.
        delay: Seconds until it ends.
        timeout: The timeout that it exceeds: ``start_to_close``, ``heartbeat``, ``schedule_to_start``; empty is none.
        crash: The worker dies during the attempt.
        late: With ``timeout``: how it ends when its time has long been over; without ``fixed``, an output is drawn.
    """

    output: Any = None
    fixed: bool = False
    drawn: int = 0
    error: str | None = None
    message: str = ""
    retryable: bool = False
    unknown: bool = False
    retry_after: float | None = None
    delay: float = DELAY
    timeout: str = ""
    crash: bool = False
    late: Late | None = None


_SUCCESS = Mock()


class Mocks(Immutable):
    """The mocks of all calls.

    Attributes:
        entries: By the name of a call, one with ``[*]`` for any round of a loop, or the name of an activity: one mock
            an attempt, of which the last goes on for ever. What is not named succeeds.
    """

    entries: Mapping[str, tuple[Mock, ...]] = field(default_factory=dict)

    def over(self, others: Mocks) -> Mocks:
        """Return these mocks, with those of *others* for calls that these do not name."""
        return Mocks({**others.entries, **self.entries})

    def find(self, name: str, activity: str, attempt: int) -> Mock:
        """Return the mock for an attempt of a call."""
        key = self.key_of(name, activity)
        if key is None:
            return _SUCCESS
        mocks = self.entries[key]
        return mocks[min(attempt, len(mocks)) - 1]

    def key_of(self, name: str, activity: str) -> str | None:
        """Return under which name a call has its mock, the most exact one; ``None`` if it has none."""
        if name in self.entries:
            return name
        found = [key for key in self.entries if stands_for(key, name)]
        return min(found, key=looseness) if found else activity if activity in self.entries else None


def call_name(saga_id: str, root_id: str, call_id: str) -> str:
    """Return the name of a call; inside a child saga it begins with the path of the child's step."""
    return path_in(parent_call(saga_id, root_id), call_id)


def parent_call(saga_id: str, root_id: str) -> str:
    """Return the name of the call that has begun a child saga; empty for the saga under test."""
    return saga_id[len(root_id) + 1 :]


def participant(mocks: Mocks, draw: Draw, root_id: str) -> Participant:
    """Return the participant that does what *mocks* say."""

    def attempt(saga_id: str, command: StartActivity, number: int) -> Attempt:
        name = call_name(saga_id, root_id, command.call_id)
        mock = mocks.find(name, command.activity, number)
        if mock is _SUCCESS:
            return Attempt(draw(name, command.activity, 0))
        if mock.crash:
            return LOST
        if mock.timeout:
            late = mock.late
            if late is not None and not mock.fixed:
                late = replace(late, output=draw(name, command.activity, 0))
            return replace(_silent(mock.timeout), late=late)
        output = mock.output if mock.fixed or mock.error is not None else draw(name, command.activity, mock.drawn)
        return Attempt(
            output,
            mock.error,
            mock.message,
            retryable=mock.retryable,
            takes=mock.delay,
            clean=not mock.unknown,
            retry_after=mock.retry_after,
        )

    return attempt


def _silent(timeout: str) -> Attempt:
    match timeout:
        case "schedule_to_start":
            return Attempt(starts=False)
        case "heartbeat":
            return LOST
        case _:
            return Attempt(takes=inf)


def parse(data: Mapping[str, Any]) -> Mocks:
    """Return mocks from data that has been checked against the schema of suites."""
    return Mocks({name: parse_one(value) for name, value in data.items()})


def parse_one(value: Any) -> tuple[Mock, ...]:
    """Return the attempts of one call. An error before the last of a list can only mean that it is tried again."""
    listed = value if isinstance(value, list) else [value]
    return tuple(_mock(each, last=index == len(listed) - 1) for index, each in enumerate(listed))


def _mock(data: Mapping[str, Any], *, last: bool) -> Mock:
    error = data.get("error")
    return Mock(
        output=data.get("output"),
        fixed="output" in data or "output" in data.get("late", ()),
        drawn=int(data.get("draw", 0)),
        error=error,
        message=data.get("message", "" if error is None else f"{error} (mock)"),
        retryable=data.get("retryable", not last),
        unknown=data.get("unknown", False),
        retry_after=None if "retry_after" not in data else seconds(data["retry_after"]),
        delay=DELAY if "delay" not in data else seconds(data["delay"]),
        timeout=data.get("timeout", ""),
        crash=data.get("crash", False),
        late=None if "late" not in data else _late(data["late"]),
    )


def _late(data: Mapping[str, Any]) -> Late:
    return Late(seconds(data["after"]), data.get("output"), data.get("error"))


def seconds(text: str) -> float:
    """Return a duration as seconds."""
    return durations.parse(text).total_seconds()
