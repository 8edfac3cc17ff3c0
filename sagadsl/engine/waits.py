"""Tells whether a wait may take a signal, and keeps who sent the signals that no step has taken. Replay-critical."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

from sagadsl.engine.journal import Phase, Refused, State
from sagadsl.engine.records import Progress, Record, Sender
from sagadsl.engine.scope import names_in
from sagadsl.immutable import Immutable
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.model import Expected, Saga, WaitFor
from sagadsl.language.paths import step_id_in

_REFUSED_KEPT = 100
"""How many refused signals are remembered."""
_LONGEST_REASON = 1_000

_OPEN = (Progress.RUNNING, Progress.PAUSED)


def in_time(state: State, path: str, came_at: float) -> bool:
    """Say whether a wait may take a signal that came at *came_at*.

    The wait may have timed out although its timer has not been heard of: after an outage a host delivers signals
    before timers, whatever their real order. A signal after the limit must not count as an answer.
    """
    return state.rules < 2 or came_at < state.timers.get(path, math.inf)


def is_doubtful(state: State, signal: str, heard_at: float) -> bool:
    """Say whether it matters when a signal came: a wait for it had timed out before the engine heard of it."""
    return any(not in_time(state, path, heard_at) for path in state.waiting.get(signal, ()))


class Came(Immutable):
    """A signal with a payload that its schema has accepted, and when it came."""

    signal: str
    payload: Any
    at: float


def taker(saga: Saga, state: State, came: Came) -> tuple[str | None, str]:
    """Return the path of the wait that takes a signal; else why the waits for it refuse it.

    No path and no reason: no step waits for the signal now.
    """
    why = ""
    for path in state.waiting.get(came.signal, ()):
        if in_time(state, path, came.at):
            record = state.records[path]
            refused = refusal(saga, state, record, came) or _cannot_reply(saga, state, record, came)
            if not refused:
                return path, ""
            why = why or refused
    return None, why


def refusal(saga: Saga, state: State, record: Record, came: Came) -> str:
    """Return why an open wait refuses a signal; empty if it takes the signal. R100."""
    rules = _expected(saga, record, came).refused_if
    if not rules:
        return ""
    names = _names(saga, state, record, came)
    try:
        for rule in rules:
            if rule.condition.render(names):
                message = f"step `{record.step}` does not take it"
                return _bounded(message if rule.message is None else rule.message.render(names))
    except ExpressionError as mistake:
        return _bounded(f"step `{record.step}` cannot judge it: {mistake}")
    return ""


def reply(saga: Saga, state: State, record: Record, came: Came) -> Any:
    """Return what the sender of a signal gets from the wait that takes it; ``None`` without a reply. R102.

    Raises ``ExpressionError`` if it cannot be computed.
    """
    value = _expected(saga, record, came).reply
    return None if value is None else value.render(_names(saga, state, record, came))


def _cannot_reply(saga: Saga, state: State, record: Record, came: Came) -> str:
    try:
        reply(saga, state, record, came)
    except ExpressionError as mistake:
        return _bounded(f"step `{record.step}` cannot reply to it: {mistake}")
    return ""


def _expected(saga: Saga, record: Record, came: Came) -> Expected:
    wait = saga.places[record.step].step.body
    assert isinstance(wait, WaitFor)
    return wait.expects(came.signal)


def _names(saga: Saga, state: State, record: Record, came: Came) -> dict[str, Any]:
    return names_in(saga, state, record, came.at) | {"payload": came.payload}


def _bounded(text: Any) -> str:
    return str(text)[:_LONGEST_REASON]


def keep_refused(state: State, refused: Refused) -> None:
    """Remember a signal that was refused."""
    state.refused.append(refused)
    del state.refused[:-_REFUSED_KEPT]


def first_kept(saga: Saga, state: State, wait: WaitFor, record: Record) -> tuple[str, Any] | None:
    """Take out and return the first kept signal that a wait takes. One that it refuses stays for a later wait."""
    for signal in () if wait.since_now else wait.signals:
        kept = state.signals.get(signal, ())
        for index, payload in enumerate(kept):
            if not refusal(saga, state, record, Came(signal, payload, state.now)):
                record.took_kept, record.sender = True, _take_sender(state, signal, index)
                state.signals[signal] = [*kept[:index], *kept[index + 1 :]]
                if not state.signals[signal]:
                    del state.signals[signal]
                return signal, payload
    return None


class Fate(Enum):
    """What will become of a signal that comes now.

    ``TOO_EARLY``: steps may wait for it later, and all of them count from the beginning of their wait.
    """

    TAKEN = "taken"
    KEPT = "kept"
    TOO_EARLY = "too early"
    NOT_AWAITED = "not awaited"


def fate_of(saga: Saga, state: State, signal: str, at: float) -> Fate:
    """Say what will become of a signal that comes at *at*, as far as the top-level steps tell what comes later."""
    if state.phase is Phase.CLOSED:
        return Fate.NOT_AWAITED
    if any(in_time(state, path, at) for path in state.waiting.get(signal, ())):
        return Fate.TAKEN
    found = Fate.NOT_AWAITED
    for id_, place in saga.places.items():
        body = place.step.body
        if not isinstance(body, WaitFor) or signal not in body.signals:
            continue
        record = state.records.get(step_id_in(place.blocks[0] if place.blocks else id_))
        is_open = state.phase is Phase.FORWARD if record is None else record.progress in _OPEN
        if is_open or place.is_on_failure:
            if not body.since_now:
                return Fate.KEPT
            found = Fate.TOO_EARLY
    return found


def keep_sender(state: State, signal: str, sender: Sender | None) -> None:
    """Keep who sent the signal that has just been kept."""
    senders = state.senders.get(signal, [])
    if sender is None and not senders:
        return
    missing = len(state.signals[signal]) - 1 - len(senders)
    state.senders[signal] = [*senders, *[None] * missing, sender]


def _take_sender(state: State, signal: str, index: int) -> Sender | None:
    """Take out and return who sent a kept signal."""
    senders = state.senders.pop(signal, [])
    left = [*senders[:index], *senders[index + 1 :]]
    if left:
        state.senders[signal] = left
    return senders[index] if index < len(senders) else None
