"""Turns a violation into a case of a suite, so that it can be played again, and stays fixed once it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from sagadsl.engine.facts import LateEnd, OperatorAsked, Outcome, Settled, SignalReceived
from sagadsl.immutable import Immutable
from sagadsl.language.notation.durations import spell
from sagadsl.language.notation.moments import spell_moment
from sagadsl.language.notation.scalars import write_yaml
from sagadsl.language.own_errors import TIMEOUT
from sagadsl.language.paths import parse_call, path_below, repeated_call
from sagadsl.trial.case import case as read_case
from sagadsl.trial.explore.call_ends import CHILD_FAILED
from sagadsl.trial.explore.circumstances import TICK, UNSENT, Move
from sagadsl.trial.explore.summary import Violation
from sagadsl.trial.explore.world import OTHER_ERROR, Surroundings
from sagadsl.trial.play import play
from sagadsl.trial.played import Played
from sagadsl.trial.target import Target
from sagadsl.virtual.clock import BEGIN

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


def example(violation: Violation, surroundings: Surroundings) -> Example:
    """Return a violation with its case. Play the case to see whether it goes the same way."""
    for by_time in (False, True):
        data = case(violation, by_time=by_time, later=surroundings.later_name)
        played = play(
            surroundings.saga,
            read_case(data, {}, (), _definitions(surroundings)),
            sagas=surroundings.sagas,
            outputs=surroundings.drawn,
            until=_LONG,
        )
        if played.status == violation.status and _ends(violation.way) == _ends_of(played, violation.way):
            if played.report["undone"]:
                data["then"]["compensated"] = list(played.report["undone"])
            return Example(violation, data, replayed=True)
    return Example(violation, data, replayed=False)


def _definitions(surroundings: Surroundings) -> dict[str, Target]:
    return {} if surroundings.later is None else {surroundings.later_name: surroundings.later}


def case(violation: Violation, *, by_time: bool, later: str = "") -> dict[str, Any]:
    """Return the case in which a violation happens. It expects what the saga does now, right or wrong.

    Args:
        by_time: Give the times of signals and decisions, instead of what they wait for.
        later: The name of the definition to which the saga migrates.
    """
    began = dict(violation.began)
    mocks: dict[str, Any] = {}
    for move in violation.way:
        if isinstance(move.fact, Settled):
            name, mock = _mock(move, move.fact, move.fact.at - began.get(move.target, move.fact.at))
            if mock:
                mocks[name] = mock
        elif isinstance(move.fact, LateEnd) and "timeout" in mocks.get(move.target, {}):
            mocks[move.target] = {**mocks[move.target], "late": _late(violation, move.fact)}
    moves = ((move, since(violation, move)) for move in violation.way)
    when = [entry for move, at in moves for entry in _when(move, at, by_time=by_time, later=later)]
    given = {} if violation.input is None else {"input": violation.input}
    if violation.begin != BEGIN:
        given["now"] = spell_moment(datetime.fromtimestamp(violation.begin, UTC))
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


def timeline(violation: Violation) -> list[tuple[str, str]]:
    """Return what happens, each with its time."""
    return [(since(violation, move), move.what) for move in violation.way]


def since(violation: Violation, move: Move) -> str:
    """Return the time from the start of the saga to a move."""
    return _length(move.fact.at - violation.begin)


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


def _late(violation: Violation, fact: LateEnd) -> dict[str, Any]:
    """Return how the mock of an attempt ends late."""
    ends = (move.fact for move in violation.way if isinstance(move.fact, Settled))
    over = next(each.at for each in ends if each.call_id == fact.call_id)
    end = {"output": fact.output} if fact.outcome is Outcome.SUCCEEDED else {"error": OTHER_ERROR}
    return {"after": _length(fact.at - over), **end}


def _when(move: Move, at: str, *, by_time: bool, later: str) -> list[dict[str, Any]]:
    """Return the entries of ``when`` that bring a move about."""
    match move.kind:
        case "killed":
            return [{"at": at, "terminate": True}, {"at": {"status": "terminated"}, "recover": move.detail}]
        case "redriven":
            return [{"at": {"status": "failed"}, "redrive": "undo" if move.detail == "undo" else True}]
        case _:
            entry = _entry(move, at, by_time=by_time, later=later)
            return [] if entry is None else [entry]


def _entry(move: Move, at: str, *, by_time: bool, later: str) -> dict[str, Any] | None:
    match move.kind:
        case "cancel" | "timeout":
            return {"at": at, move.kind: True}
        case "signal":
            assert isinstance(move.fact, SignalReceived)
            payload = {} if move.fact.payload is None else {"payload": move.fact.payload}
            moment = {"at": at} if by_time else {"at": {"waiting": move.target}, "after": _length(TICK)}
            return {**moment, "signal": move.target, **payload}
        case "migrated":
            return {"at": at, "migrate": later}
        case "operator" if move.detail == "reset":
            return {"at": at, "reset": {"to": move.target}}
        case "operator":
            alone = move.detail in ("pause", "resume")
            moment = {"at": at} if by_time or alone else {"at": {"status": "paused"}, "after": _length(TICK)}
            assert isinstance(move.fact, OperatorAsked)
            output = {"output": move.fact.given.output[0]} if move.fact.given.output else {}
            named = {"step": move.target, **output} if move.detail == "complete" else move.target
            return {**moment, move.detail: True if alone else named}
        case "ok" | "error" | "unknown" | "not started" | "child" | "timer":  # mocks bring it about, or time does
            return None
        case (
            "continued" | "full" | "held" | "released" | "killed" | "redriven" | "late"
        ):  # no entry alone can ask for it
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
