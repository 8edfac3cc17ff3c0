"""Turns a violation into a case of a suite, so that it can be played again, and stays fixed once it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, assert_never

from sagadsl.engine.facts import Outcome, Settled, SignalReceived
from sagadsl.immutable import Immutable
from sagadsl.language.notation.durations import spell
from sagadsl.language.notation.scalars import write_yaml
from sagadsl.language.own_errors import TIMEOUT
from sagadsl.language.paths import parse_call, path_below, repeated_call
from sagadsl.trial.case import case as read_case
from sagadsl.trial.explore.moves import CHILD_FAILED, TICK, UNSENT, Move
from sagadsl.trial.explore.search import START
from sagadsl.trial.explore.summary import Violation
from sagadsl.trial.explore.world import Surroundings
from sagadsl.trial.play import play
from sagadsl.trial.played import Played

_CLOSE = 1e-3
_LONG = 400 * 24 * 3600.0


class Example(Immutable):
    """A violation with a case that shows it again.

    Attributes:
        case: An entry of ``cases``. ``replayed``: whether the case, when it is played, goes as the exploration did.
    """

    violation: Violation
    case: Mapping[str, Any]
    replayed: bool


def example(violation: Violation, around: Surroundings) -> Example:
    """Return a violation with its case. Play the case to see whether it goes the same way."""
    for by_time in (False, True):
        data = case(violation, by_time=by_time)
        played = play(around.saga, read_case(data, {}, ()), sagas=around.sagas, outputs=around.drawn, until=_LONG)
        if played.status == violation.status and _ends(violation.way) == _ends_of(played, violation.way):
            if played.report["undone"]:
                data["then"]["compensated"] = list(played.report["undone"])
            return Example(violation, data, replayed=True)
    return Example(violation, data, replayed=False)


def case(violation: Violation, *, by_time: bool) -> dict[str, Any]:
    """Return the case in which a violation happens. It expects what the saga does now, right or wrong.

    Args:
        by_time: Give the times of signals and decisions, instead of what they wait for.
    """
    began = dict(violation.began)
    mocks: dict[str, Any] = {}
    for move in violation.way:
        if isinstance(move.fact, Settled):
            name, mock = _mock(move, move.fact, move.fact.at - began.get(move.target, move.fact.at))
            if mock:
                mocks[name] = mock
    when = [entry for move in violation.way if (entry := _when(move, by_time=by_time)) is not None]
    given = {} if violation.input is None else {"input": violation.input}
    given |= {"mocks": mocks} if mocks else {}
    return {
        "name": f"{violation.kind}: {violation.path or 'the saga'}"[:200],
        "rules": [violation.rule],
        **({"given": given} if given else {}),
        **({"when": when} if when else {}),
        "then": {"status": violation.status},
    }


def as_yaml(data: Mapping[str, Any]) -> str:
    """Return a case as an entry of ``cases``."""
    return write_yaml([dict(data)])


def timeline(way: Sequence[Move]) -> list[tuple[str, str]]:
    """Return what happens, each with its time."""
    return [(since(move), move.what) for move in way]


def since(move: Move) -> str:
    """Return the time from the start of the saga to a move."""
    return _length(move.fact.at - START)


def _mock(move: Move, fact: Settled, took: float) -> tuple[str, dict[str, Any]]:
    """Return the name of a call and its mock; the mock is empty when the call does the usual."""
    if move.kind == "child":
        inside = fact.outcome is Outcome.FAILED and not fact.cancelled
        return (move.detail, {"error": CHILD_FAILED}) if inside else (move.target, {})
    natural = abs(took - move.takes) < _CLOSE
    mock: dict[str, Any] = {}
    match fact.outcome:
        case Outcome.SUCCEEDED:
            if move.detail != "0":
                mock["output"] = fact.output
        case Outcome.NOT_STARTED if move.detail == UNSENT:
            return move.target, {}
        case Outcome.NOT_STARTED:
            return move.target, {"timeout": "schedule_to_start"}
        case Outcome.UNKNOWN if move.kind == "unknown":
            if natural and move.detail == TIMEOUT:
                return move.target, {"timeout": "start_to_close"}
            mock = {"error": move.detail, "unknown": True}
        case _:
            mock = {"error": move.detail}
            if natural and took > TICK + _CLOSE:
                return move.target, {**mock, "retryable": True}
    if abs(took - TICK) > _CLOSE or (
        not mock and parse_call(move.target).time > 1
    ):  # else the mock of its first time would hold for it, too
        mock["delay"] = _length(took)
    return move.target, mock


def _when(move: Move, *, by_time: bool) -> dict[str, Any] | None:
    at = since(move)
    match move.kind:
        case "cancel" | "timeout":
            return {"at": at, move.kind: True}
        case "signal":
            assert isinstance(move.fact, SignalReceived)
            payload = {} if move.fact.payload is None else {"payload": move.fact.payload}
            moment = {"at": at} if by_time else {"at": {"waiting": move.target}, "after": _length(TICK)}
            return {**moment, "signal": move.target, **payload}
        case "operator":
            alone = move.detail in ("pause", "resume")
            moment = {"at": at} if by_time or alone else {"at": {"status": "paused"}, "after": _length(TICK)}
            return {**moment, move.detail: True if alone else move.target}
        case "ok" | "error" | "unknown" | "not started" | "child" | "timer":  # mocks bring it about, or time does
            return None
        case "continued" | "full" | "held" | "released":  # no case can ask for it
            return None
        case _:
            assert_never(move.kind)


def _length(seconds: float) -> str:
    return spell(timedelta(milliseconds=round(seconds * 1000)))


def _ends(way: Sequence[Move]) -> Counter[tuple[str, str]]:
    """Return how the saga's own calls end. The calls inside its child sagas are left out."""
    return Counter(
        (move.target, move.fact.outcome.value)
        for move in way
        if isinstance(move.fact, Settled) and move.kind != "child" and move.detail != UNSENT
    )


def _ends_of(played: Played, way: Sequence[Move]) -> Counter[tuple[str, str]]:
    children = [parse_call(move.target) for move in way if move.kind == "child"]
    begun = [repeated_call(child.step, child.time) for child in children]  # a child undoes itself under its own name
    return Counter(
        (call.name, call.outcome)
        for call in played.calls
        if call.outcome and not any(path_below(call.name, child) for child in begun)
    )
