"""What a move is, and what decides which moves there are: what is under way, and what has happened so far."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

from sagadsl.engine.facts import Error, Fact, SendSignal, StartActivity, StartChild
from sagadsl.immutable import Immutable, field
from sagadsl.language.paths import is_compensation

TICK = 0.1
"""Seconds between two moves, unless a timer makes it more."""


SERVER_ENDED_IT = Error("terminated", "the run was terminated")
"""The failure of a saga whose run the server has ended."""

UNSENT = "unsent"
"""The detail of the end of a call that never left the worker."""

is_undo = lru_cache(maxsize=4096)(is_compensation)
"""``is_compensation`` with a cache, because the search asks it about the same few calls again and again."""


class Silence(Immutable):
    """Stands for something that happens while the saga hears nothing of it."""

    at: float


MoveKind = Literal[
    "ok", "error", "unknown", "not started", "child", "timer", "signal", "operator", "cancel", "timeout", "continued",
    "full", "held", "released", "migrated", "killed", "redriven", "late",
]  # fmt: skip


class Move(Immutable):
    """One thing that happens.

    Attributes:
        what: In words, e.g. ``withdraw fails with Refused``.
        kind: ``ok``, ``error``, ``unknown``, ``not started`` or ``child`` when a call ends; else ``timer``,
            ``signal``, ``operator``, ``cancel``, ``timeout``, ``continued``, ``full``, ``migrated``, ``killed``,
            ``redriven``, or ``late`` when an attempt ends after its call. The saga does not hear of ``held`` and
            ``released``.
        target: The call, timer, signal or path that the move is about.
        cost: How many faults the move counts as.
        effect: The call has had its effect in the world, whatever it reports.
        detail: Type of the error, the verb, the number of the output, or the call inside a child that fails.
        takes: Seconds that the call takes to end this way, if nothing else has to come before.
    """

    what: str
    kind: MoveKind
    target: str
    fact: Fact | Silence
    cost: int = 0
    effect: bool = False
    detail: str = ""
    takes: float = TICK


class Flight(Immutable):
    """A call that runs.

    Attributes:
        ends: The latest instant at which the call can still run; infinite if nothing bounds it.
        asked: The call has been asked to stop.
        sent: The call has left the worker: the saga did not ask it to stop in the same moment as it began it.
        abandoned: The child saga goes on, and the call is over at once.
        held: An operator has paused the activity, or the child saga waits for a person. ``released``: the call has
            gone on since, and may end later than its limits allow.
    """

    command: StartActivity | StartChild | SendSignal
    began: float
    ends: float
    asked: bool = False
    sent: bool = True
    abandoned: bool = False
    held: bool = False
    released: bool = False


class Circumstances(Immutable):
    """What has happened so far that the state does not tell.

    Attributes:
        effects: Paths of the steps whose effect stands in the world.
        cancelled: Somebody has cancelled the saga. ``late``: the saga's timeout has passed.
        again: What happens once at most. Paths that an operator has had repeated; ``PAUSE`` when an operator has
            paused the saga; ``HELD`` when one has paused an activity, or a child saga has waited for a person;
            ``CONTINUED`` when the saga is to go on in a new run; ``FULL`` when its history has only room for undoing.
    """

    now: float
    flights: Mapping[str, Flight] = field(default_factory=dict)
    effects: frozenset[str] = frozenset()
    cancelled: bool = False
    late: bool = False
    again: frozenset[str] = frozenset()


PAUSE, HELD, CONTINUED, FULL, MIGRATED, RESET = "@pause", "@held", "@continued", "@full", "@migrated", "@reset"
KILLED, REDRIVEN = "@killed", "@redriven"
