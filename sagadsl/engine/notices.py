"""Calls of ``on_pause``: they tell somebody that the saga waits for an operator. R64. Replay-critical.

They are beside the saga: they are no steps, and no frame, no compensation pass and no decision waits for them. Nothing
that becomes of them changes what the saga does. So they are not among ``State.calls``, on which continue-as-new, a
migration and the bound of calls in flight wait; and they begin even while the saga itself begins nothing.
"""

from __future__ import annotations

import string
from shlex import quote
from typing import Any

from sagadsl.engine import calls
from sagadsl.engine.facts import Error, Outcome, Settled
from sagadsl.engine.given import find
from sagadsl.engine.journal import Frame, FrameKind, Notice, State, Telling
from sagadsl.engine.run import NOTICES_IN_FLIGHT, Mistake, Run, error_of
from sagadsl.engine.scope import LAST_INSTANT, failure_view, iso, scope
from sagadsl.language.calls import ActivityCall
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.model import Step
from sagadsl.language.own_errors import CANCELLED
from sagadsl.language.paths import ROOT, TimerKind, forward_key, notice_path, parse_call, step_id_in, timer

_KEPT = 100
"""How many calls that have ended are kept, for the status."""

_PLAIN = frozenset((string.ascii_letters + string.digits + "-._~").encode())
"""The bytes that an address has as they are."""


def begin(run: Run, path: str) -> None:
    """Tell of a pause at *path*: render every call of ``on_pause`` as of now, and begin them all."""
    state = run.state
    if path not in state.attention:  # something in the same fact has ended the pause: nobody has to come
        return
    number, state.told = state.told, state.told + 1
    for step in run.saga.on_pause:
        call = notice_path(number, step.id)
        notice = Notice(call, step.id, _call(step).activity, path, state.occurrences[path], state.now)
        state.notices[notice.call] = notice
        try:
            _render(run, step, notice)
        except (ExpressionError, Mistake) as mistake:
            _end(state, notice, Telling.FAILED, error_of(mistake, notice.call))
    send(run)


def _render(run: Run, step: Step, notice: Notice) -> None:
    error = run.state.failure or run.state.attention[notice.path]
    notice.variables = {"pause": _pause(run.state, notice), "failure": failure_view(error)}
    names = _names(run, notice)
    if step.condition is not None and not step.condition.render(names):
        _end(run.state, notice, Telling.SKIPPED)
        return
    body = _call(step)
    notice.arguments = [] if body.input is None else [body.input.render(names)]


def send(run: Run) -> None:
    """Hand the calls that wait to the host, as far as there is room for them.

    If the run ends now and goes on in a new one, the new one begins them.
    """
    state = run.state
    if state.draining and not state.calls:
        return
    waiting = [each for each in state.notices.values() if each.progress is Telling.RUNNING]
    room = NOTICES_IN_FLIGHT - sum(each.is_sent for each in waiting)
    by_id = {step.id: step for step in run.saga.on_pause}
    for notice in [each for each in waiting if not each.is_sent][: max(room, 0)]:
        step = by_id.get(notice.step)
        if step is None or _call(step).activity != notice.activity:
            _end(state, notice, Telling.UNKNOWN, Error(CANCELLED, "the new definition does not have it", notice.call))
            continue
        try:
            command = calls.activity(
                _call(step),
                notice.call,
                tuple(notice.arguments),
                _names(run, notice),
                summary=step.description or f"tell of the pause at {notice.path}",
                patient=False,
            )
        except (ExpressionError, Mistake) as mistake:
            _end(state, notice, Telling.FAILED, error_of(mistake, notice.call))
            continue
        notice.is_sent = True
        run.commands.append(command)


def settled(run: Run, fact: Settled) -> None:
    """Take in the end of a call of ``on_pause``; nothing follows from it."""
    notice = run.state.notices.get(fact.call_id)
    if notice is None or notice.progress is not Telling.RUNNING:
        return
    notice.attempts = fact.attempts
    match fact.outcome:
        case Outcome.SUCCEEDED:
            progress = Telling.COMPLETED
        case Outcome.UNKNOWN:
            progress = Telling.UNKNOWN
        case _:
            progress = Telling.FAILED
    _end(run.state, notice, progress, fact.error)
    send(run)


def resume(run: Run, *, is_new: bool) -> None:
    """Go on after continue-as-new: a new run hears nothing of the calls of the run before, so it begins them again.

    They keep their keys, so that whoever is told knows that it is the same pause.
    """
    for notice in run.state.notices.values():
        notice.is_sent = notice.is_sent and not is_new
    send(run)


def unheard(run: Run) -> None:
    """Say of the calls that have not ended that nobody will hear of their ends: the run is over."""
    state = run.state
    for notice in [each for each in state.notices.values() if each.progress is Telling.RUNNING]:
        _end(state, notice, Telling.UNKNOWN)


def _end(state: State, notice: Notice, progress: Telling, error: Error | None = None) -> None:
    notice.progress, notice.error, notice.ended_at = progress, error, state.now
    notice.arguments, notice.variables = [], {}
    over = [each.call for each in state.notices.values() if each.progress is not Telling.RUNNING]
    for call in over[: max(len(over) - _KEPT, 0)]:
        del state.notices[call]


def _call(step: Step) -> ActivityCall:
    assert isinstance(step.body, ActivityCall)  # the schema allows nothing else
    return step.body


def _names(run: Run, notice: Notice) -> dict[str, Any]:
    """Return the names that a step of ``on_failure`` would see, and ``pause``."""
    names = scope(run.saga, run.state, Frame(ROOT, FrameKind.SEQUENCE, "", "steps"))
    names["idempotency_key"] = forward_key(run.state.caller, notice.call)
    return names | notice.variables


def _pause(state: State, notice: Notice) -> dict[str, Any]:
    path, error = notice.path, state.attention[notice.path]
    record, is_undo = find(state, path)
    until = state.timers.get(timer(path, TimerKind.PAUSE))
    attempts = record.undo.attempts if is_undo and record.undo is not None else record.attempts
    return {
        "path": path,
        "step": step_id_in(parse_call(path).step),
        "type": error.type,
        "message": error.message,
        "attempts": attempts,
        "occurrence": notice.occurrence,
        "undoing": is_undo,
        "since": iso(notice.at),
        "until": None if until is None or until > LAST_INSTANT else iso(until),
        "link": _link(state, path),
    }


def _link(state: State, path: str) -> str:
    """Return the saga's address on the gateway's page; if nobody has said where that is, a command."""
    if state.page:
        encoded = (chr(each) if each in _PLAIN else f"%{each:02X}" for each in state.saga_id.encode("utf-8", "replace"))
        return f"{state.page}/#/sagas/{''.join(encoded)}"
    return f"sagadsl retry {quote(state.saga_id)} {quote(path)}"
