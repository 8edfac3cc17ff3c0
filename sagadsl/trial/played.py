"""The result of a trial, in the same form for virtual time and a real server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagadsl.language.paths import is_compensation
from sagadsl.virtual.runs import Event

ID = "trial"
"""The saga's id in every trial, so that cases can name idempotency keys: ``trial/withdraw/do``."""

NOTHING: Any = object()
"""The argument of a call that takes none."""


@dataclass(frozen=True, slots=True)
class Call:
    """One activity that was called.

    Attributes:
        name: Activity id, with the step's path before it inside a child saga.
        argument: Its argument; ``NOTHING`` without one.
        attempts: How many attempts began.
        outcome: Its outcome by the rules (R5); empty while it runs.
    """

    name: str
    activity: str
    argument: Any
    attempts: int
    outcome: str

    @property
    def is_undo(self) -> bool:
        return is_compensation(self.name)


def refused_signals(document: Mapping[str, Any]) -> list[str]:
    """Return the signals that a saga has refused, by its status; one sentence each."""
    return [f"signal {each['signal']}: {each['reason']}" for each in document.get("refused_signals", ())]


@dataclass(frozen=True, slots=True)
class Played:
    """The result of one trial.

    Attributes:
        status: One of the words of ``facts.Status``; an open one when nothing more would happen.
        failure: ``type``, ``message`` and ``step`` of the first error, if there is one.
        calls: In the order in which they began.
        status_document: The answer to the status query at the end.
        report: What was undone, and what was not.
        seconds: From its start to its end, or to the last thing that happened.
        refused: What a host did not take: signals, operators' requests; one sentence each.
        missed: Interferences whose moment never came, by their index.
        events: What happened, for timelines; empty where nobody has watched.
        began: The instant of its start, in seconds since 1970.
        cut: It went on for so long that it was stopped.
    """

    status: str
    output: Any
    failure: Mapping[str, Any] | None
    calls: tuple[Call, ...]
    status_document: Mapping[str, Any]
    report: Mapping[str, Any]
    seconds: float
    refused: tuple[str, ...] = ()
    missed: tuple[int, ...] = ()
    events: tuple[Event, ...] = ()
    began: float = 0.0
    cut: bool = False

    @property
    def standing(self) -> Mapping[str, Any]:
        """``status_document`` under the name that it had before, for tests that use it."""
        return self.status_document
