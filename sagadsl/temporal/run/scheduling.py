"""Schedules one command, or says why Temporal would refuse it. Replay-critical.

It has no state, and no rules about sagas. A command that the server refuses fails the
workflow task for ever (R52, R56), so this module refuses it first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import Priority, RawValue, RetryPolicy

from sagadsl.engine.call_errors import NAMES_OF_TIMEOUTS, queue_limit, stops_retries
from sagadsl.engine.facts import Error, Outcome, SendSignal, Settled, StartActivity, StartChild
from sagadsl.language.notation.json_text import is_strict
from sagadsl.language.own_errors import EXPRESSION_ERROR, INVALID_DEFINITION, INVALID_OUTPUT, PAYLOAD_TOO_LARGE, TIMEOUT
from sagadsl.language.paths import activity_id
from sagadsl.plugins.texts import text_of
from sagadsl.temporal.run import failures
from sagadsl.temporal.run.in_turn import this_turn
from sagadsl.temporal.run.missing import GO_NOT_REGISTERED
from sagadsl.temporal.run.rebuilding import is_rebuilding
from sagadsl.temporal.run.room import COMMAND_BYTES
from sagadsl.temporal.wire.marker import MARKER, Recorded, limit_as_type

_BEHIND = timedelta(seconds=5)
"""How much later the SDK's limit of a local activity is than our own."""
_IN_MEMORY = timedelta(seconds=5)
"""Pauses between two attempts of a local activity that the worker makes by itself. During such a pause it has to ask
for more time again and again, at three events each; a timer takes five, and leaves the run free."""

_AT_ONCE = timedelta(milliseconds=1)
"""The same, if the run keeps something back: it hears of it during the first pause."""

_MAX_ID_BYTES = 1000
_SYSTEM_QUEUES = "/_sys/"


class Unsendable(Exception):
    """The server would refuse the command: error type and message."""

    def __init__(self, type_: str, message: str) -> None:
        super().__init__(type_, message)
        self.type, self.message = type_, message


def start_activity(
    command: StartActivity, arguments: list[RawValue], generation: str, *, waits: bool
) -> asyncio.Task[Any]:
    """Schedule an activity of a saga of this generation, and return the task that ends with it.

    Args:
        waits: The saga asks again by itself when a worker does not know the activity.
    """
    retry = command.retry
    policy = RetryPolicy(
        initial_interval=retry.initial_interval,
        backoff_coefficient=max(retry.backoff_coefficient, 1.0),
        maximum_interval=max(retry.maximum_interval, retry.initial_interval),
        maximum_attempts=retry.maximum_attempts or 0,  # Temporal spells "no limit" as 0
        non_retryable_error_types=_non_retryable(retry.non_retryable_error_types),
    )
    if waits and command.task_queue and not command.local:  # on the saga's own queue are workers of ours
        policy.non_retryable_error_types = [*(policy.non_retryable_error_types or ()), GO_NOT_REGISTERED]
    if command.local:
        limit = command.start_to_close
        if limit is not None and stops_retries("start_to_close", retry.non_retryable_error_types):
            # The SDK would try again after every timeout, so the worker's interceptor ends the attempt instead.
            policy.non_retryable_error_types = [*(policy.non_retryable_error_types or ()), limit_as_type(limit)]
            limit += _BEHIND
        turn = this_turn()
        return workflow.start_local_activity(
            command.activity,
            args=arguments,
            result_type=RawValue,
            schedule_to_close_timeout=command.schedule_to_close,
            schedule_to_start_timeout=command.schedule_to_start,
            start_to_close_timeout=limit,
            retry_policy=policy,
            local_retry_threshold=_AT_ONCE if turn is not None and turn.keeps_back() else _IN_MEMORY,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            activity_id=activity_id(command.call_id, generation),
            summary=command.summary or None,
        )
    return workflow.start_activity(
        command.activity,
        args=arguments,
        task_queue=command.task_queue,
        result_type=RawValue,
        schedule_to_close_timeout=command.schedule_to_close,
        schedule_to_start_timeout=queue_limit(command, workflow.info().task_queue),
        start_to_close_timeout=command.start_to_close,
        heartbeat_timeout=command.heartbeat,
        retry_policy=policy,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,  # R12
        activity_id=activity_id(command.call_id, generation),
        summary=command.summary or None,
        priority=Priority(command.priority, command.fairness_key, command.fairness_weight),
    )


def look_up(
    name: str, call_id: str, *args: Any, summary: str = "attempts", within: timedelta | None = None
) -> asyncio.Task[Any]:
    """Run a local activity of our own worker that asks the server what a workflow cannot see of a call."""
    return workflow.start_local_activity(
        name,
        args=args,
        start_to_close_timeout=timedelta(seconds=5),
        schedule_to_close_timeout=within,
        retry_policy=RetryPolicy(maximum_attempts=3, initial_interval=timedelta(milliseconds=200)),
        activity_id=f"{call_id}{name.removeprefix(MARKER)}",
        summary=summary,
    )


def when_answered(asked: asyncio.Task[Any] | None, then: Callable[[Recorded], None]) -> None:
    """Call *then* with what the server has recorded of a call, once ``look_up`` has said it; nothing if nobody does."""

    def on_answer(answer: asyncio.Task[Any] | None) -> None:
        then(Recorded.from_json(None if answer is None or not ended_well(answer) else answer.result()))

    if is_rebuilding():
        on_answer(None)
    elif asked is None or asked.done():
        on_answer(asked)
    else:
        asked.add_done_callback(on_answer)


def ended_well(task: asyncio.Task[Any]) -> bool:
    """Whether a task that is done has a result."""
    return not task.cancelled() and task.exception() is None


def _non_retryable(types: tuple[str, ...]) -> list[str] | None:
    if not types:
        return None
    return [*types, *NAMES_OF_TIMEOUTS.values()] if TIMEOUT in types else list(types)


def encoded(values: list[Any], call_id: str) -> tuple[list[RawValue], int]:
    """Return payloads for *values*, and their size. A value that is no JSON is refused before anything is scheduled."""
    converter = workflow.payload_converter()
    payloads, size = [], 0
    for value in values:
        if isinstance(value, RawValue):
            payload = value.payload
        else:
            try:
                payload = converter.to_payload(value)
            except Exception as error:  # converters, the user's too, say no in their own ways
                raise Unsendable(
                    EXPRESSION_ERROR, f"the input of `{call_id}` cannot become JSON: {text_of(error)}"
                ) from error
        size += len(payload.data)
        payloads.append(RawValue(payload))
    return payloads, size


def too_large(call_id: str, how_large: str) -> Unsendable:
    """Return the refusal of an input that no message can carry."""
    message = f"the input of `{call_id}` {how_large}; pass a reference to where the data is"
    return Unsendable(PAYLOAD_TOO_LARGE, message)


def described(command: StartActivity | StartChild | SendSignal) -> int:
    """Return about how many bytes a command takes beside its data."""
    match command:
        case SendSignal():
            texts = [command.signal, command.workflow_id]
        case StartActivity():
            texts = [command.activity, *command.retry.non_retryable_error_types]
        case StartChild():
            texts = [command.saga, command.workflow_id]
    if not isinstance(command, SendSignal):
        texts += [command.call_id, command.task_queue or "", command.summary]
    return COMMAND_BYTES + sum(len(text.encode("utf-8", "replace")) + 4 for text in texts)


def check_names(command: StartActivity | StartChild | SendSignal) -> None:
    """Refuse names that the server would refuse, again and again (R56)."""
    name, workflow_id, task_queue = "", "", ""
    match command:
        case StartActivity():
            name, task_queue = command.activity, command.task_queue or ""
        case StartChild():
            name, task_queue, workflow_id = command.saga, command.task_queue or "", command.workflow_id
        case SendSignal():
            name, workflow_id = command.signal, command.workflow_id
    for what, text in (
        ("step path", command.call_id),
        ("name", name),
        ("task queue", task_queue),
        ("workflow id", workflow_id),
    ):
        size = len(text.encode("utf-8", "replace"))
        if size > _MAX_ID_BYTES:
            raise Unsendable(INVALID_DEFINITION, f"the {what} `{text[:80]}…` has {size} bytes, at most 1,000 fit")
        if not text.isascii() and text != text.encode("utf-8", "replace").decode():
            raise Unsendable(INVALID_DEFINITION, f"the {what} holds half a character (a lone surrogate)")
    if task_queue.startswith(_SYSTEM_QUEUES):
        raise Unsendable(INVALID_DEFINITION, f"task queue `{task_queue}` is reserved by Temporal")
    if isinstance(command, StartActivity) and command.operation is None:
        _check_bound(command)


def _check_bound(command: StartActivity) -> None:
    if not (command.start_to_close or command.schedule_to_close):
        raise Unsendable(INVALID_DEFINITION, f"`{command.call_id}` needs a start_to_close above 0")


def succeeded(call_id: str, result: Any, at: float, *, strict: bool) -> Settled:
    """Return the end of a call that returned *result*, a raw payload, or nothing.

    Args:
        strict: Refuse numbers that JSON cannot represent; older releases took them.
    """
    if not isinstance(result, RawValue):
        return Settled(at, call_id, Outcome.SUCCEEDED, output=result)
    try:
        output = workflow.payload_converter().from_payload(result.payload)
    except Exception as error:  # noqa: BLE001 # a worker in another language may send anything
        return _unreadable(call_id, f"{type(error).__name__}: {error}", at)
    if isinstance(output, bytes) or not isinstance(output, dict | list | str | int | float | bool | None):
        return _unreadable(call_id, f"it is {type(output).__name__}", at)
    if strict and result.payload.metadata.get("encoding") == b"json/plain" and not is_strict(result.payload.data):
        return _unreadable(call_id, "it holds a number that JSON cannot carry", at)
    return Settled(at, call_id, Outcome.SUCCEEDED, output=output)


def _unreadable(call_id: str, why: str, at: float) -> Settled:
    error = Error(INVALID_OUTPUT, failures.bounded(f"the result of `{call_id}` is not JSON: {why}"), call_id)
    return Settled(at, call_id, Outcome.UNKNOWN, error=error)  # it ran, so its effect stands
