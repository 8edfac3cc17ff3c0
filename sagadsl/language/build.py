"""Builds a ``Saga`` from schema-valid data, and applies every default of the language.

The calls in it are built by ``build_calls``; no other module applies a default. Replay-critical: a run
builds its model again at every replay, so the same data has to give the same model for ever. It is pure,
and total over schema-valid data. It knows no files, no YAML text and no findings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sagadsl.immutable import replace
from sagadsl.language import kinds
from sagadsl.language.build_calls import (
    FORWARD,
    NOTHING,
    Data,
    Defaults,
    call_of,
    child_of,
    compensation_of,
    condition_of,
    count_of,
    defaults_of,
    duration_in,
    duration_of,
    failed_if_of,
    listed,
    retry_of,
    send_of,
    value_of,
)
from sagadsl.language.calls import (
    ActivityCall,
    Call,
)
from sagadsl.language.expressions.values import compile_condition, compile_value
from sagadsl.language.model import (
    Answer,
    Arm,
    Body,
    Expected,
    Fail,
    ForEach,
    Group,
    Handler,
    Indexed,
    Memory,
    OnFailure,
    Order,
    Parallel,
    Place,
    Raise,
    RefusedIf,
    Repeat,
    Return,
    Route,
    Saga,
    Set,
    Sleep,
    Step,
    Switch,
    Then,
    WaitFor,
)
from sagadsl.language.notation.error_types import bare_type
from sagadsl.language.paths import ON_FAILURE, handler_path
from sagadsl.language.schedules import schedules_of, without

_CONTINUE = (Handler(),)
_PAUSE = (Handler(then=Then.PAUSE),)


def build(data: Data) -> Saga:
    """Return the model of a definition that satisfies the schema."""
    defaults = defaults_of(data.get("defaults", NOTHING))
    undo = data.get("compensation", NOTHING)
    steps = _steps(data["steps"], ("steps",), defaults)
    on_failure = _steps(data.get("on_failure", ()), ("on_failure",), replace(defaults, pause=None))
    places: dict[str, Place] = {}
    _place(steps, (), (), places)
    _place(on_failure, (ON_FAILURE,), (False,), places)
    return Saga(
        name=data["name"],
        version=data.get("version", ""),
        steps=steps,
        description=data.get("description", ""),
        task_queue=data.get("task_queue"),
        labels=data.get("labels", NOTHING),
        input_schema=data.get("input"),
        timeout=duration_in(data, "timeout", None),
        order=Order(undo.get("order", "reverse")),
        compensation_failure=OnFailure(undo.get("on_failure", "pause")),
        undo_pause_timeout=duration_in(undo, "pause_timeout", None),
        on_failure=on_failure,
        on_pause=_steps(data.get("on_pause", ()), ("on_pause",), replace(defaults, pause=None)),
        output=value_of(data, "output"),
        search_attributes=tuple(
            Indexed(name, each["type"], compile_value(each["value"]))
            for name, each in data.get("search_attributes", NOTHING).items()
        ),
        digest=digest(data),
        places=places,
        signals=_signals(places),
        queries={name: compile_value(value) for name, value in data.get("queries", NOTHING).items()},
        pauses=any(map(_pauses, places.values())),
        schedules=schedules_of(data),
    )


def digest(data: Data) -> str:
    """Return the SHA-256 of the definition's canonical JSON, in hexadecimal; when it is started is no part of it."""
    return _sha256(data, sort_keys=True)


def ordered_digest(data: Data) -> str:
    """Return the same of the JSON with its keys as they are written: of several signals that a step waits for, the
    first one counts."""
    return _sha256(data, sort_keys=False)


def _sha256(data: Data, *, sort_keys: bool) -> str:
    text = json.dumps(without(data), sort_keys=sort_keys, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _steps(items: Sequence[Data], route: Route, defaults: Defaults) -> tuple[Step, ...]:
    return tuple(_step(item, (*route, index), defaults) for index, item in enumerate(items))


def _step(data: Data, route: Route, defaults: Defaults) -> Step:
    if data.get("on_error") == "compensate":
        defaults = replace(defaults, pause=None)
    body = _body(data, route, defaults)
    undo = data.get("compensation")
    probe = data.get("probe")
    return Step(
        id=data["id"],
        body=body,
        description=data.get("description", ""),
        condition=condition_of(data, "if"),
        on_error=_handlers(data.get("on_error", "compensate"), route, defaults),
        compensation=None if undo is None or undo == "none" else compensation_of(undo, body, defaults),
        nothing_to_undo=undo == "none",
        pivot=data.get("pivot", False),
        probe=None if probe is None else call_of(probe, defaults),
        failed_if=tuple(failed_if_of(rule) for rule in listed(data.get("failed_if", ()))),
        needs=tuple(data.get("needs", ())),
        output=value_of(data, "output"),
        timeout=duration_in(data, "timeout", None),
        retry=None if isinstance(body, ActivityCall) or "retry" not in data else retry_of(data["retry"], FORWARD),
        last_resort=defaults.pause if isinstance(body, Call) else None,
        route=route,
    )


def _body(data: Data, route: Route, defaults: Defaults) -> Body:
    """Build the body of a step by the key that names its kind; ``steps`` comes last, since other kinds have it too."""
    if "activity" in data or "nexus" in data:
        return call_of(data, defaults)
    if "saga" in data:
        return child_of(data)
    if "parallel" in data:
        return _parallel(data, route, defaults)
    if "for_each" in data:
        return _for_each(data, route, defaults)
    if "switch" in data:
        return Switch(tuple(_arm(arm, (*route, "switch", i), defaults) for i, arm in enumerate(data["switch"])))
    if "repeat" in data:
        return _repeat(data, route, defaults)
    if "sleep" in data:
        return Sleep(duration=duration_of(data["sleep"]))
    if "sleep_until" in data:
        return Sleep(until=value_of(data, "sleep_until"))
    if "wait_for" in data:
        return _wait(data["wait_for"])
    if "set" in data:
        return Set(compile_value(data["set"]))
    if "fail" in data:
        fail = data["fail"]
        return Fail(bare_type(fail["type"]), compile_value(fail.get("message", "")), value_of(fail, "result"))
    if "return" in data:
        return Return(compile_value(data["return"]))
    if "answer" in data:
        return Answer(compile_value(data["answer"]))
    if "send" in data:
        return send_of(data["send"])
    return Group(_steps(data["steps"], (*route, "steps"), defaults))


def _wait(data: Data) -> WaitFor:
    several = data.get("any")
    expected = {data["signal"]: data} if several is None else several
    return WaitFor(
        expected=tuple(_expected(signal, each) for signal, each in expected.items()),
        timeout=duration_in(data, "timeout", None),
        since_now=data.get("since") == "now",
        says_which=several is not None,
    )


def _expected(signal: str, data: Data) -> Expected:
    refused_if = listed(data.get("refused_if", ()))
    return Expected(
        signal,
        data.get("payload"),
        tuple(RefusedIf(compile_condition(rule["if"]), value_of(rule, "message")) for rule in refused_if),
        value_of(data, "reply"),
    )


def _parallel(data: Data, route: Route, defaults: Defaults) -> Parallel:
    return Parallel(
        steps=_steps(data["parallel"], (*route, "parallel"), defaults),
        max_concurrency=count_of(data.get("max_concurrency")),
        cancel_on_failure=data.get("on_branch_failure", "cancel") == "cancel",
        complete_when=condition_of(data, "complete_when"),
        keep_remaining=data.get("remaining", "compensate") == "keep",
    )


def _for_each(data: Data, route: Route, defaults: Defaults) -> ForEach:
    loop = data["for_each"]
    return ForEach(
        items=compile_value(loop["items"], bare=True),
        variable=loop.get("as", "item"),
        steps=_steps(data["steps"], (*route, "steps"), defaults),
        max_concurrency=count_of(loop.get("max_concurrency", 1)),
        cancel_on_failure=data.get("on_branch_failure", "cancel") == "cancel",
        complete_when=condition_of(data, "complete_when"),
        keep_remaining=data.get("remaining", "compensate") == "keep",
        memory=_memory(loop),
    )


def _memory(loop: Data) -> Memory | None:
    if "state" not in loop and "next" not in loop:
        return None
    return Memory(compile_value(loop.get("state", NOTHING)), value_of(loop, "next"))


def _repeat(data: Data, route: Route, defaults: Defaults) -> Repeat:
    loop = data["repeat"]
    return Repeat(
        until=condition_of(loop, "until"),
        steps=_steps(data["steps"], (*route, "steps"), defaults),
        every=duration_in(loop, "every", None),
        maximum_attempts=count_of(loop.get("maximum_attempts")),
        goes_on=condition_of(loop, "while"),
        memory=_memory(loop),
    )


def _arm(data: Data, route: Route, defaults: Defaults) -> Arm:
    if "else" in data:
        return Arm(None, _steps(data["else"], (*route, "else"), defaults))
    return Arm(compile_condition(data["if"]), _steps(data["steps"], (*route, "steps"), defaults))


def _handlers(data: Any, route: Route, defaults: Defaults) -> tuple[Handler, ...]:
    if data == "compensate":
        return ()
    if data == "continue":
        return _CONTINUE
    if data == "pause":
        return _PAUSE
    return tuple(
        Handler(
            types=tuple(item.get("types", ())),
            condition=condition_of(item, "if"),
            output=value_of(item, "output"),
            steps=_steps(item.get("steps", ()), (*route, "on_error", index, "steps"), defaults),
            then=Then(item.get("then", "compensate" if "raise" in item else "continue")),
            pause_timeout=duration_in(item, "pause_timeout", None),
            tries=replace(retry_of(item, FORWARD), explicit=False),
            raises=None if "raise" not in item else _raise(item["raise"]),
        )
        for index, item in enumerate(data)
    )


def _raise(data: Data) -> Raise:
    return Raise(bare_type(data["type"]), compile_value(data.get("message", "")))


def _place(steps: Sequence[Step], blocks: tuple[str, ...], loops: tuple[bool, ...], places: dict[str, Place]) -> None:
    """Note every step with the blocks around it. If two have the same id, the first counts (SD201 reports it)."""
    for step in steps:
        places.setdefault(step.id, Place(step, blocks, loops))
        loop = kinds.is_loop(step)
        for part in kinds.parts(step):
            _place(part.steps, (*blocks, step.id), (*loops, loop), places)
        for handler in step.on_error:
            _place(handler.steps, (*blocks, handler_path(step.id)), (*loops, False), places)


def _pauses(place: Place) -> bool:
    return place.step.last_resort is not None or any(each.then is Then.PAUSE for each in place.step.on_error)


def _signals(places: Mapping[str, Place]) -> dict[str, Mapping[str, Any] | None]:
    """Return the signals that steps wait for; if one signal has several schemas, the first counts."""
    signals: dict[str, Mapping[str, Any] | None] = {}
    for place in places.values():
        for each in place.step.body.expected if isinstance(place.step.body, WaitFor) else ():
            if signals.get(each.signal) is None:
                signals[each.signal] = each.payload
    return signals
