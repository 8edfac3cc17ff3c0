"""Tells whether a wait may still take a signal. Replay-critical.

It looks at the state and changes nothing.
"""

from __future__ import annotations

import math

from sagadsl.engine.journal import State


def in_time(state: State, path: str, came_at: float) -> bool:
    """Say whether a wait may take a signal that came at *came_at*.

    The wait may have timed out although its timer has not been heard of: after an outage a host delivers signals
    before timers, whatever their real order. A signal after the limit must not count as an answer.
    """
    return state.rules < 2 or came_at < state.timers.get(path, math.inf)


def is_doubtful(state: State, signal: str, heard_at: float) -> bool:
    """Say whether it matters when a signal came: a wait for it had timed out before the engine heard of it."""
    return any(not in_time(state, path, heard_at) for path in state.waiting.get(signal, ()))
