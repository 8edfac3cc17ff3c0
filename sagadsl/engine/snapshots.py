"""Turns a state into JSON data and back, for continue-as-new and for a child saga's parent. Replay-critical.

The data are independent of the state, but for the user's data, which both share. A field at its default is left out,
so that a field can be added: an older snapshot means its default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from enum import Enum
from functools import cache
from typing import Any

from sagadsl.engine.facts import Error, Outcome, Status
from sagadsl.engine.journal import (
    FIRST_RULES,
    Action,
    ArmSteps,
    Beginning,
    Chunk,
    Closing,
    Frame,
    FrameBody,
    FrameKind,
    HandlerSteps,
    Migration,
    Notice,
    Phase,
    Refused,
    State,
    Telling,
    Unwind,
)
from sagadsl.engine.records import Progress, Record, Sender, Undo, UndoProgress, Unheard

_BY_HAND = ("records", "frames", "unwinds", "notices")
_FORMER = frozenset({"aborted", "undone"})
"""Fields that former releases wrote. They follow from other fields."""


def snapshot(state: State) -> dict[str, Any]:
    """Return the state as JSON data without fields at their default; users' data is shared, and not copied."""
    version = {"rules": state.rules} if state.rules != FIRST_RULES else {}
    return (
        version
        | _pack(state, shallow=(*_BY_HAND, "rules"))
        | {name: [_pack(part) for part in getattr(state, name).values()] for name in _BY_HAND if getattr(state, name)}
    )


def restore(data: Mapping[str, Any]) -> State:
    """Return the state whose ``snapshot`` is *data*."""
    state = State(**_unpacked(data))
    state.rules = data.get("rules", FIRST_RULES)
    for packed in data.get("records", ()):
        record = Record(**_unpacked(packed))
        state.records[record.path] = record
    for packed in data.get("frames", ()):
        frame = Frame(**_unpacked(packed))
        state.frames[frame.path] = frame
    for packed in data.get("unwinds", ()):
        unwind = Unwind(**_unpacked(packed))
        state.unwinds[unwind.key] = unwind
    for packed in data.get("notices", ()):
        notice = Notice(**{name: _telling(name, value) for name, value in packed.items()})
        state.notices[notice.call] = notice
    return state


def _pack(thing: Any, shallow: tuple[str, ...] = ()) -> dict[str, Any]:
    return {name: _plain(name, value) for name, value in _set_fields(thing) if name not in shallow}


def _set_fields(thing: Any) -> Iterator[tuple[str, Any]]:
    for name, default, is_made in _defaults(thing.__class__):
        value = getattr(thing, name)
        if default is not MISSING:
            if value == default:
                continue
        elif is_made and not value:
            continue
        yield name, value


@cache
def _defaults(kind: Any) -> tuple[tuple[str, Any, bool], ...]:
    """Return the name of each field, its default, and whether its default is an empty container."""
    return tuple((spec.name, spec.default, spec.default_factory is not MISSING) for spec in fields(kind))


_FREE = frozenset({"input", "output", "journal", "reply"})
"""Fields that hold the user's JSON, which is not converted."""

_ORDERED = frozenset(
    {"undoable", "open", "begun", "done", "running", "calls", "timers", "loops", "gone"}
    | {"occurrences", "waits_since", "requests", "anew", "chosen"}
)
"""Maps whose order counts (R10). Like every map of the state, they become pairs: Temporal's converter sorts keys."""

_HOLDERS = frozenset({"items", "outputs", "variables", "signals", "early", "inputs"}) | frozenset(
    {"arguments", "returned", "answer"}
)
"""Fields that hold the user's JSON, or lists or objects of it."""


def _plain(name: str, value: Any) -> Any:
    if name in _FREE:
        return value
    if name == "held":
        return [[f"{kind}:{key}", is_held] for (kind, key), is_held in value.items()]
    return _held(name, value) if name in _HOLDERS else _data(value)


def _data(value: Any) -> Any:
    match value:
        case Enum():
            return value.value
        case Error(type_, message, step, causes, result, place):
            more = [list(result), place] if place else [list(result)] if result else []
            return [type_, message, step, [list(cause) for cause in causes], *more]
        case Chunk(last, data, undone):
            return [last, data, undone]
        case Undo() | Unheard():
            return _pack(value)
        case ArmSteps(index):
            return f"arm:{index}"
        case HandlerSteps(index):
            return f"handler:{index}"
        case Action(at, verb, path, by, why, gave):
            return [at, verb, path, by, why, gave] if gave else [at, verb, path, by, why]
        case Migration(at, from_digest, from_version, digest, version):
            return [at, from_digest, from_version, digest, version]
        case Sender(at, by, why):
            return [at, by, why]
        case Refused(at, signal, why, request, by):
            return [at, signal, why, request, by]
        case dict():
            return [[key, _data(item)] for key, item in value.items()]
        case list():
            return [_data(item) for item in value]
        case _:
            return value


def _held(name: str, value: Any) -> Any:
    """Copy a holder of the user's JSON as deep as the engine changes it."""
    if name == "signals":
        return {key: list(payloads) for key, payloads in value.items()}
    if name == "early":
        return [dict(each) for each in value]
    return dict(value) if isinstance(value, dict) else list(value)


def _error(data: Any) -> Error:
    type_, message, step, causes, *more = data
    result, place = (*more, (), "")[:2] if len(more) != 1 else (more[0], "")
    return Error(type_, message, step, tuple((cause[0], cause[1]) for cause in causes), tuple(result), place)


def _sender(data: Any) -> Sender | None:
    return None if data is None else Sender(*data)


def _unpacked(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _unpack(name, value) for name, value in data.items() if name not in _BY_HAND and name not in _FORMER}


def _unpack(name: str, value: Any) -> Any:
    match name:
        case "progress":
            return Progress(value)
        case "outcome":
            return Outcome(value)
        case "phase":
            return Phase(value)
        case "kind":
            return FrameKind(value)
        case "closing":
            return Closing(value)
        case "status":
            return Status(value)
        case "failure" | "error" | "pending_stop":
            return _error(value)
        case "others" | "warnings":
            return [_error(item) for item in value]
        case "attention":
            return {key: _error(item) for key, item in dict(value).items()}
        case "actions":
            return [Action(*each) for each in value]
        case "migrations":
            return [Migration(*each) for each in value]
        case "refused":
            return [Refused(*each) for each in value]
        case "sender":
            return _sender(value)
        case "senders":
            return {key: [_sender(item) for item in senders] for key, senders in dict(value).items()}
        case "chunks":
            return [Chunk(last, data, undone) for last, data, undone in value]
        case "undo":
            return _undo(value)
        case "unheard":
            return Unheard(**{key: _unpack(key, item) for key, item in value.items()})
        case "body":
            return _frame_body(value)
        case "held":
            return {_beginning(key): is_held for key, is_held in dict(value).items()}
        case "waiting":
            return {key: list(paths) for key, paths in dict(value).items()}
        case _ if name in _ORDERED:
            return dict(value)
        case _ if name in _HOLDERS:
            return _held(name, value)
        case _ if isinstance(value, list) and name not in _FREE:
            return list(value)
        case _:
            return value


def _telling(name: str, value: Any) -> Any:
    return Telling(value) if name == "progress" else _unpack(name, value)


def _frame_body(text: str) -> FrameBody:
    part, _, index = text.partition(":")
    match part:
        case "steps" | "on_failure":
            return part
        case "arm":
            return ArmSteps(int(index))
        case "handler":
            return HandlerSteps(int(index))
        case _:
            raise ValueError(f"no frame has the body `{text}`")


def _beginning(text: str) -> tuple[Beginning, str]:
    kind, _, key = text.partition(":")
    match kind:
        case "advance" | "unwind" | "action" | "again":
            return kind, key
        case _:
            raise ValueError(f"nothing is held as `{text}`")


def _undo(value: Mapping[str, Any]) -> Undo:
    plain = {key: _unpack(key, item) for key, item in value.items() if key not in ("progress", "errors")}
    undo = Undo(**plain, errors={int(key): _error(item) for key, item in dict(value.get("errors", ())).items()})
    if "progress" in value:
        undo.progress = UndoProgress(value["progress"])
    return undo
