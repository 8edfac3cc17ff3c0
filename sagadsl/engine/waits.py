"""Whether a wait may still take a signal. Replay-critical.

Looks at the state and changes nothing.
"""

from __future__ import annotations

import math

from sagadsl.engine.journal import State


def in_time(state: State, path: str, came_at: float) -> bool:
    """Say whether a wait may take what came then: its time may be over though its timer has not been heard of.

    After an outage a host tells signals before timers, in whatever order they came. A wait that has run
    into its limit must not be taken for an answer.
    """
    return state.rules < 2 or came_at < state.timers.get(path, math.inf)


def is_doubtful(state: State, signal: str, heard_at: float) -> bool:
    """Say whether it matters when a signal came that was heard of then: a wait for it has run out meanwhile."""
    return any(not in_time(state, path, heard_at) for path in state.waiting.get(signal, ()))
