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
from sagadsl.language.expressions.secrets import named
from sagadsl.language.expressions.values import compile_condition, compile_value
from sagadsl.language.model import (
    ActivityCall,
    Arm,
    Body,
    Compensation,
    CompensationAction,
    Duration,
    Fail,
    FailedIf,
    ForEach,
    Group,
    Handler,
    On,
    OnFailure,
    Order,
    Parallel,
    Place,
    Repeat,
    Retry,
    Route,
    Saga,
    SagaCall,
    Set,
    Sleep,
    Step,
    Switch,
    Then,
    Timeouts,
    Value,
    WaitFor,
)
from sagadsl.language.notation import durations
from sagadsl.language.notation.error_types import bare_type
from sagadsl.language.own_errors import STEP_FAILED
from sagadsl.language.paths import ON_FAILURE, handler_path

Data = Mapping[str, Any]

_FORWARD = Retry()
_UNDO = Retry(maximum_attempts=10)
_CONTINUE = (Handler(),)
_NOTHING: Data = {}


class _Defaults(Immutable):
    """The values for a call that has none of its own."""

    timeouts: Timeouts
    retry: Retry
    task_queue: Value | None
    undo_timeouts: Data
    undo_retry: Retry


def build(data: Data) -> Saga:
    """Return the model of a definition that satisfies the schema."""
    defaults = _defaults(data.get("defaults", _NOTHING))
    undo = data.get("compensation", _NOTHING)
    steps = _steps(data["steps"], ("steps",), defaults)
    on_failure = _steps(data.get("on_failure", ()), ("on_failure",), defaults)
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
        on_failure=on_failure,
        output=_value(data, "output"),
        digest=digest(data),
        places=places,
        signals=_signals(places),
    )


def digest(data: Data) -> str:
    """Return the SHA-256 of the definition's canonical JSON, in hexadecimal."""
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def _defaults(data: Data) -> _Defaults:
    undo = data.get("compensation", _NOTHING)
    return _Defaults(
        timeouts=_timeouts(data.get("timeouts", _NOTHING), Timeouts(start_to_close=None)),
        retry=_retry(data.get("retry"), _FORWARD),
        task_queue=_value(data, "task_queue"),
        undo_timeouts=undo.get("timeouts", _NOTHING),
        undo_retry=_retry(undo.get("retry"), _UNDO),
    )


def _steps(items: Sequence[Data], route: Route, defaults: _Defaults) -> tuple[Step, ...]:
    return tuple(_step(item, (*route, index), defaults) for index, item in enumerate(items))


def _step(data: Data, route: Route, defaults: _Defaults) -> Step:
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
        probe=None if probe is None else _activity(probe, defaults),
        failed_if=tuple(_failed_if(rule) for rule in _listed(data.get("failed_if", ()))),
        needs=tuple(data.get("needs", ())),
        route=route,
    )


def _body(data: Data, route: Route, defaults: _Defaults) -> Body:
    """Build the body of a step by the key that names its kind; ``steps`` comes last, since other kinds have it too."""
    if "activity" in data:
        return _activity(data, defaults)
    if "saga" in data:
        return SagaCall(data["saga"], _value(data, "input"), _value(data, "task_queue"))
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
        wait = data["wait_for"]
        return WaitFor(wait["signal"], _said(wait, "timeout", None), wait.get("payload"), wait.get("since") == "now")
    if "set" in data:
        return Set(compile_value(data["set"]))
    if "fail" in data:
        return Fail(bare_type(data["fail"]["type"]), compile_value(data["fail"].get("message", "")))
    return Group(_steps(data["steps"], (*route, "steps"), defaults))


def _activity(data: Data, defaults: _Defaults) -> ActivityCall:
    queue = _value(data, "task_queue")
    return ActivityCall(
        activity=data["activity"],
        input=_value(data, "input"),
        task_queue=defaults.task_queue if queue is None else queue,
        timeouts=_bounded(_timeouts(data.get("timeouts", _NOTHING), defaults.timeouts)),
        retry=_retry(data.get("retry"), defaults.retry),
        local=data.get("local", False),
        priority=_count(data.get("priority")),
        secrets=named(data.get("input")),
    )


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
    )


def _repeat(data: Data, route: Route, defaults: _Defaults) -> Repeat:
    loop = data["repeat"]
    return Repeat(
        until=compile_condition(loop["until"]),
        steps=_steps(data["steps"], (*route, "steps"), defaults),
        every=_said(loop, "every", None),
        maximum_attempts=_count(loop.get("maximum_attempts")),
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
    return tuple(
        Handler(
            types=tuple(item.get("types", ())),
            condition=_condition(item, "if"),
            output=_value(item, "output"),
            steps=_steps(item.get("steps", ()), (*route, "on_error", index, "steps"), defaults),
            then=Then(item.get("then", "continue")),
        )
        for index, item in enumerate(data)
    )


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
    if "saga" in data:
        if queue is None and isinstance(forward, SagaCall):
            queue = forward.task_queue
        return CompensationAction(SagaCall(data["saga"], _value(data, "input"), queue), already_undone)
    attempt: Duration | None = defaults.timeouts.start_to_close
    inherited = defaults.task_queue
    secrets = named(data.get("input"))
    if isinstance(forward, ActivityCall):
        secrets = secrets if "input" in data else forward.secrets
        attempt, inherited = forward.timeouts.start_to_close, forward.task_queue
    timeouts = _timeouts(defaults.undo_timeouts, Timeouts(start_to_close=attempt))
    call = ActivityCall(
        activity=data["activity"],
        input=_value(data, "input"),
        task_queue=inherited if queue is None else queue,
        timeouts=_bounded(_timeouts(data.get("timeouts", _NOTHING), timeouts)),
        retry=_retry(data.get("retry"), defaults.undo_retry),
        secrets=secrets,
    )
    return CompensationAction(call, already_undone)


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


def _count(data: Any) -> int | None:
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


def _signals(places: Mapping[str, Place]) -> dict[str, Mapping[str, Any] | None]:
    """Return the signals that steps wait for; if one signal has several schemas, the first counts."""
    signals: dict[str, Mapping[str, Any] | None] = {}
    for place in places.values():
        if isinstance(place.step.body, WaitFor):
            wait = place.step.body
            if signals.get(wait.signal) is None:
                signals[wait.signal] = wait.payload
    return signals
