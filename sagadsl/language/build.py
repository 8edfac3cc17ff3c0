"""Builds a ``Saga`` from schema-valid data, and applies every default of the language; no other module does.

Replay-critical: a run builds its model again at every replay, so the same data has to give the same
model for ever. It is pure, and total over schema-valid data. It knows no files, no YAML text and no
findings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sagadsl.immutable import Immutable, replace
from sagadsl.language import kinds
from sagadsl.language.calls import (
    ActivityCall,
    Call,
    Compensation,
    CompensationAction,
    Count,
    Counted,
    Duration,
    FailedIf,
    On,
    Operation,
    Retry,
    SagaCall,
    Send,
    Timeouts,
    Value,
)
from sagadsl.language.expressions.secrets import named
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
    Pause,
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
from sagadsl.language.notation import durations
from sagadsl.language.notation.error_types import bare_type
from sagadsl.language.own_errors import STEP_FAILED
from sagadsl.language.paths import ON_FAILURE, handler_path
from sagadsl.language.schedules import schedules_of, without

Data = Mapping[str, Any]

LOCAL_MOST = timedelta(seconds=5)
"""The most time for one attempt of a call that is local by ``auto``."""

_FORWARD = Retry()
_UNDO = Retry(maximum_attempts=10)
_OF_THE_SERVER = Retry(maximum_attempts=None, maximum_interval=timedelta(hours=1), explicit=True)
"""How the server tries a Nexus operation again, by itself."""
_CONTINUE = (Handler(),)
_PAUSE = (Handler(then=Then.PAUSE),)
_NOTHING: Data = {}


class _Defaults(Immutable):
    """The values for a call that has none of its own."""

    timeouts: Timeouts
    timeouts_without_undo: Timeouts
    retry: Retry
    task_queue: Value | None
    local: bool | str
    undo_local: bool | str
    undo_timeouts: Data
    undo_retry: Retry
    pause: Pause | None


def build(data: Data) -> Saga:
    """Return the model of a definition that satisfies the schema."""
    defaults = _defaults(data.get("defaults", _NOTHING))
    undo = data.get("compensation", _NOTHING)
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
        labels=data.get("labels", _NOTHING),
        input_schema=data.get("input"),
        timeout=_said(data, "timeout", None),
        order=Order(undo.get("order", "reverse")),
        compensation_failure=OnFailure(undo.get("on_failure", "pause")),
        undo_pause_timeout=_said(undo, "pause_timeout", None),
        on_failure=on_failure,
        on_pause=_steps(data.get("on_pause", ()), ("on_pause",), replace(defaults, pause=None)),
        output=_value(data, "output"),
        search_attributes=tuple(
            Indexed(name, each["type"], compile_value(each["value"]))
            for name, each in data.get("search_attributes", _NOTHING).items()
        ),
        digest=digest(data),
        places=places,
        signals=_signals(places),
        queries={name: compile_value(value) for name, value in data.get("queries", _NOTHING).items()},
        pauses=any(map(_pauses, places.values())),
        schedules=schedules_of(data),
    )


def digest(data: Data) -> str:
    """Return the SHA-256 of the definition's canonical JSON, in hexadecimal; when it is started is no part of it."""
    canonical = json.dumps(without(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def _defaults(data: Data) -> _Defaults:
    undo = data.get("compensation", _NOTHING)
    timeouts = _timeouts(data.get("timeouts", _NOTHING), Timeouts(start_to_close=None))
    return _Defaults(
        timeouts=timeouts,
        timeouts_without_undo=timeouts if timeouts.settle is None else replace(timeouts, settle=None),
        retry=_retry(data.get("retry"), _FORWARD),
        task_queue=_value(data, "task_queue"),
        local=data.get("local", False),
        undo_local=undo.get("local", data.get("local", False)),
        undo_timeouts=undo.get("timeouts", _NOTHING),
        undo_retry=_retry(undo.get("retry"), _UNDO),
        pause=Pause(_said(data, "pause_timeout", None)) if data.get("on_error") == "pause" else None,
    )


def _steps(items: Sequence[Data], route: Route, defaults: _Defaults) -> tuple[Step, ...]:
    return tuple(_step(item, (*route, index), defaults) for index, item in enumerate(items))


def _step(data: Data, route: Route, defaults: _Defaults) -> Step:
    if data.get("on_error") == "compensate":
        defaults = replace(defaults, pause=None)
    body = _body(data, route, defaults)
    undo = data.get("compensation")
    probe = data.get("probe")
    return Step(
        id=data["id"],
        body=body,
        description=data.get("description", ""),
        condition=_condition(data, "if"),
        on_error=_handlers(data.get("on_error", "compensate"), route, defaults),
        compensation=None if undo is None or undo == "none" else _compensation(undo, body, defaults),
        nothing_to_undo=undo == "none",
        pivot=data.get("pivot", False),
        probe=None if probe is None else _called_elsewhere(probe, defaults),
        failed_if=tuple(_failed_if(rule) for rule in _listed(data.get("failed_if", ()))),
        needs=tuple(data.get("needs", ())),
        output=_value(data, "output"),
        timeout=_said(data, "timeout", None),
        retry=None if isinstance(body, ActivityCall) or "retry" not in data else _retry(data["retry"], _FORWARD),
        last_resort=defaults.pause if isinstance(body, Call) else None,
        route=route,
    )


def _body(data: Data, route: Route, defaults: _Defaults) -> Body:
    """Build the body of a step by the key that names its kind; ``steps`` comes last, since other kinds have it too."""
    if "activity" in data or "nexus" in data:
        return _called_elsewhere(data, defaults)
    if "saga" in data:
        return _saga(data)
    if "parallel" in data:
        return _parallel(data, route, defaults)
    if "for_each" in data:
        return _for_each(data, route, defaults)
    if "switch" in data:
        return Switch(tuple(_arm(arm, (*route, "switch", i), defaults) for i, arm in enumerate(data["switch"])))
    if "repeat" in data:
        return _repeat(data, route, defaults)
    if "sleep" in data:
        return Sleep(duration=_duration(data["sleep"]))
    if "sleep_until" in data:
        return Sleep(until=_value(data, "sleep_until"))
    if "wait_for" in data:
        return _wait(data["wait_for"])
    if "set" in data:
        return Set(compile_value(data["set"]))
    if "fail" in data:
        fail = data["fail"]
        return Fail(bare_type(fail["type"]), compile_value(fail.get("message", "")), _value(fail, "result"))
    if "return" in data:
        return Return(compile_value(data["return"]))
    if "answer" in data:
        return Answer(compile_value(data["answer"]))
    if "send" in data:
        return _send(data["send"])
    return Group(_steps(data["steps"], (*route, "steps"), defaults))


def _send(data: Data) -> Send:
    return Send(data["signal"], compile_value(data["to"]), _value(data, "payload"), data.get("plain", False))


def _saga(data: Data) -> SagaCall:
    return SagaCall(
        data["saga"],
        _value(data, "input"),
        _value(data, "task_queue"),
        workflow_id=_value(data, "workflow_id"),
        detached=data.get("detached", False),
        abandons=data.get("on_cancel") == "abandon",
    )


def _wait(data: Data) -> WaitFor:
    several = data.get("any")
    expected = {data["signal"]: data} if several is None else several
    return WaitFor(
        expected=tuple(_expected(signal, each) for signal, each in expected.items()),
        timeout=_said(data, "timeout", None),
        since_now=data.get("since") == "now",
        says_which=several is not None,
    )


def _expected(signal: str, data: Data) -> Expected:
    refused_if = _listed(data.get("refused_if", ()))
    return Expected(
        signal,
        data.get("payload"),
        tuple(RefusedIf(compile_condition(rule["if"]), _value(rule, "message")) for rule in refused_if),
        _value(data, "reply"),
    )


def _called_elsewhere(data: Data, defaults: _Defaults) -> ActivityCall:
    return _operation(data) if "nexus" in data else _activity(data, defaults)


def _operation(data: Data) -> ActivityCall:
    """Build a call of a Nexus operation. It takes nothing from ``defaults``, which are about activities."""
    operation = Operation(**data["nexus"])
    return ActivityCall(
        activity=str(operation),
        operation=operation,
        input=_value(data, "input"),
        timeouts=_timeouts(data.get("timeouts", _NOTHING), Timeouts(start_to_close=None)),
        retry=_OF_THE_SERVER,
    )


def _activity(data: Data, defaults: _Defaults) -> ActivityCall:
    queue = _value(data, "task_queue")
    base = defaults.timeouts if data.get("compensation", "none") != "none" else defaults.timeouts_without_undo
    call = ActivityCall(
        **_called(data["activity"]),
        input=_value(data, "input"),
        task_queue=defaults.task_queue if queue is None else queue,
        own_queue=queue is not None,
        timeouts=_bounded(_timeouts(data.get("timeouts", _NOTHING), base)),
        retry=_retry(data.get("retry"), defaults.retry),
        priority=_count(data.get("priority")),
        fairness_key=_value(data, "fairness_key"),
        fairness_weight=_weight(data.get("fairness_weight")),
        secrets=named(data.get("input")),
    )
    return _placed(call, data, defaults.local)


def _placed(call: ActivityCall, data: Data, default: bool | str) -> ActivityCall:
    """Decide whether a call is a local activity; *default* is for a call that does not say."""
    said = data.get("local", default)
    is_local = said is True if "local" in data and said != "auto" else bool(said) and _can_be_local(call, said)
    return replace(call, local=True) if is_local else call


def _can_be_local(call: ActivityCall, said: bool | str) -> bool:
    """Whether a call that is not told to be local needs nothing that only a queue gives, and is short if it has to."""
    times = call.timeouts
    of_a_queue = (call.task_queue, call.priority, call.fairness_key, times.heartbeat, times.schedule_to_start)
    attempt = times.schedule_to_close if times.start_to_close is None else times.start_to_close
    is_short = isinstance(attempt, timedelta) and attempt <= LOCAL_MOST
    return all(each is None for each in of_a_queue) and (is_short or said != "auto")


def _called(data: Any) -> dict[str, Any]:
    """Return the fields of a call that say which activity it calls."""
    if not isinstance(data, Mapping):
        return {"activity": data}
    one_of = tuple(data["one_of"])
    return {"activity": " or ".join(one_of), "name": compile_value(data["name"]), "one_of": one_of}


def _parallel(data: Data, route: Route, defaults: _Defaults) -> Parallel:
    return Parallel(
        steps=_steps(data["parallel"], (*route, "parallel"), defaults),
        max_concurrency=_count(data.get("max_concurrency")),
        cancel_on_failure=data.get("on_branch_failure", "cancel") == "cancel",
        complete_when=_condition(data, "complete_when"),
        keep_remaining=data.get("remaining", "compensate") == "keep",
    )


def _for_each(data: Data, route: Route, defaults: _Defaults) -> ForEach:
    loop = data["for_each"]
    return ForEach(
        items=compile_value(loop["items"], bare=True),
        variable=loop.get("as", "item"),
        steps=_steps(data["steps"], (*route, "steps"), defaults),
        max_concurrency=_count(loop.get("max_concurrency", 1)),
        cancel_on_failure=data.get("on_branch_failure", "cancel") == "cancel",
        complete_when=_condition(data, "complete_when"),
        keep_remaining=data.get("remaining", "compensate") == "keep",
        memory=_memory(loop),
    )


def _memory(loop: Data) -> Memory | None:
    if "state" not in loop and "next" not in loop:
        return None
    return Memory(compile_value(loop.get("state", _NOTHING)), _value(loop, "next"))


def _repeat(data: Data, route: Route, defaults: _Defaults) -> Repeat:
    loop = data["repeat"]
    return Repeat(
        until=_condition(loop, "until"),
        steps=_steps(data["steps"], (*route, "steps"), defaults),
        every=_said(loop, "every", None),
        maximum_attempts=_count(loop.get("maximum_attempts")),
        goes_on=_condition(loop, "while"),
        memory=_memory(loop),
    )


def _arm(data: Data, route: Route, defaults: _Defaults) -> Arm:
    if "else" in data:
        return Arm(None, _steps(data["else"], (*route, "else"), defaults))
    return Arm(compile_condition(data["if"]), _steps(data["steps"], (*route, "steps"), defaults))


def _handlers(data: Any, route: Route, defaults: _Defaults) -> tuple[Handler, ...]:
    if data == "compensate":
        return ()
    if data == "continue":
        return _CONTINUE
    if data == "pause":
        return _PAUSE
    return tuple(
        Handler(
            types=tuple(item.get("types", ())),
            condition=_condition(item, "if"),
            output=_value(item, "output"),
            steps=_steps(item.get("steps", ()), (*route, "on_error", index, "steps"), defaults),
            then=Then(item.get("then", "compensate" if "raise" in item else "continue")),
            pause_timeout=_said(item, "pause_timeout", None),
            tries=replace(_retry(item, _FORWARD), explicit=False),
            raises=None if "raise" not in item else _raise(item["raise"]),
        )
        for index, item in enumerate(data)
    )


def _raise(data: Data) -> Raise:
    return Raise(bare_type(data["type"]), compile_value(data.get("message", "")))


def _compensation(data: Any, forward: Body, defaults: _Defaults) -> Compensation:
    if data == "auto":
        return Compensation(auto=True)
    actions = _listed(data)
    on = next((action["on"] for action in actions if "on" in action), "auto")
    return Compensation(tuple(_undo(action, forward, defaults) for action in actions), On(on))


def _undo(data: Data, forward: Body, defaults: _Defaults) -> CompensationAction:
    """Build one action of a compensation. It inherits the queue and the time for one attempt from its step.

    It never inherits the retries of its step, because undoing has to be more patient than doing (R19).
    """
    queue = _value(data, "task_queue")
    already_undone = tuple(data.get("already_undone", ()))
    condition = _condition(data, "if")
    if "saga" in data:
        if queue is None and isinstance(forward, SagaCall):
            queue = forward.task_queue
        return CompensationAction(SagaCall(data["saga"], _value(data, "input"), queue), already_undone, condition)
    if "send" in data:
        return CompensationAction(_send(data["send"]), already_undone, condition)
    if "nexus" in data:
        return CompensationAction(_operation(data), already_undone, condition)
    attempt: Duration | None = defaults.timeouts.start_to_close
    inherited = defaults.task_queue
    secrets = named(data.get("input"))
    if isinstance(forward, ActivityCall) and forward.operation is None:
        secrets = secrets if "input" in data else forward.secrets
        attempt, inherited = forward.timeouts.start_to_close, forward.task_queue
    timeouts = _timeouts(defaults.undo_timeouts, Timeouts(start_to_close=attempt))
    call = ActivityCall(
        **_called(data["activity"]),
        input=_value(data, "input"),
        task_queue=inherited if queue is None else queue,
        own_queue=queue is not None,
        timeouts=_bounded(_timeouts(data.get("timeouts", _NOTHING), timeouts)),
        retry=_retry(data.get("retry"), defaults.undo_retry),
        secrets=secrets,
    )
    return CompensationAction(_placed(call, data, defaults.undo_local), already_undone, condition)


def _failed_if(data: Data) -> FailedIf:
    return FailedIf(
        condition=compile_condition(data["if"]),
        type=bare_type(data.get("type", STEP_FAILED)),
        message=_value(data, "message"),
    )


def _retry(data: Any, base: Retry) -> Retry:
    """Merge a retry policy over *base*, field by field."""
    if data is None:
        return base
    if data == "none":
        return replace(base, maximum_attempts=1, explicit=True)
    said = "maximum_attempts" in data
    initial = _duration(data["initial_interval"]) if "initial_interval" in data else base.initial_interval
    if "maximum_interval" in data:
        maximum = _duration(data["maximum_interval"])
    else:
        maximum = base.maximum_interval
        if isinstance(initial, timedelta) and isinstance(maximum, timedelta):
            maximum = max(initial, maximum)  # the maximum is a default, and Temporal refuses one below the first pause
    types = data.get("non_retryable_error_types")
    return Retry(
        maximum_attempts=_count(data["maximum_attempts"]) if said else base.maximum_attempts,
        initial_interval=initial,
        backoff_coefficient=float(data.get("backoff_coefficient", base.backoff_coefficient)),
        maximum_interval=maximum,
        non_retryable_error_types=base.non_retryable_error_types if types is None else tuple(types),
        explicit=said or base.explicit,
    )


def _timeouts(data: Data, base: Timeouts) -> Timeouts:
    """Merge timeouts over *base*, field by field."""
    if not data:
        return base
    return Timeouts(
        start_to_close=_said(data, "start_to_close", base.start_to_close),
        schedule_to_close=_said(data, "schedule_to_close", base.schedule_to_close),
        schedule_to_start=_said(data, "schedule_to_start", base.schedule_to_start),
        heartbeat=_said(data, "heartbeat", base.heartbeat),
        settle=_said(data, "settle", base.settle),
    )


def _said(data: Data, key: str, base: Duration | None) -> Duration | None:
    return _duration(data[key]) if key in data else base


def _bounded(timeouts: Timeouts) -> Timeouts:
    """Give an attempt one minute when nothing bounds it, because Temporal refuses a call without a bound. R36."""
    if timeouts.start_to_close is None and timeouts.schedule_to_close is None:
        return replace(timeouts, start_to_close=timedelta(minutes=1))
    return timeouts


def _duration(data: str) -> Duration:
    return compile_value(data) if "{{" in data else durations.parse(data)


def _weight(data: Any) -> float | Value | None:
    return None if data is None else compile_value(data) if isinstance(data, str) else float(data)


def _count(data: Any) -> Count | None:
    if isinstance(data, Mapping):
        return Counted(compile_value(data["value"], bare=True), int(data["at_most"]))
    return None if data is None or data == "unlimited" else int(data)


def _value(data: Data, key: str) -> Value | None:
    """Return the compiled value of *key*; ``None`` when the key is missing. A written null is a value."""
    return compile_value(data[key]) if key in data else None


def _condition(data: Data, key: str) -> Value | None:
    return compile_condition(data[key]) if key in data else None


def _listed(data: Any) -> Sequence[Data]:
    """Return a list of mappings; a single mapping becomes a list of one."""
    return (data,) if isinstance(data, Mapping) else data


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
