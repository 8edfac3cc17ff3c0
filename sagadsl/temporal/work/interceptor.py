"""The worker's interceptor for activities: tells the saga whether every earlier attempt has reported its error.

A saga undoes a step whose outcome is unknown, and does not undo a step that has reported an error (R3, R5).
But Temporal shows the workflow only the last attempt's error. So each attempt that ends in a reported
error leaves a marker in its heartbeat details, which the server hands to the next attempt. Every error
carries ``{"sagadsl": {"attempt": n, "clean": bool}}`` as its last detail. An attempt that finds a marker
removes it before its function runs: an operator's reset makes the numbers repeat, so a marker that
stays could be taken for that of a later attempt. The interceptor knows nothing of definitions and plugins.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.service import RPCError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from sagadsl.authoring import Failure, InvalidOutput, Transient, Unknown
from sagadsl.engine.facts import Outcome
from sagadsl.language.notation.durations import spell
from sagadsl.language.notation.json_text import is_strict
from sagadsl.language.own_errors import PAYLOAD_TOO_LARGE, TIMEOUT
from sagadsl.plugins.texts import described
from sagadsl.temporal.link.codec import CodecFailed, encoded_size, of_activity, stretch_of
from sagadsl.temporal.run.activity_errors import (
    application_error,
    authors_stack,
    behind,
    log_entry,
    origin,
    with_details,
    without,
)
from sagadsl.temporal.run.held import held_in
from sagadsl.temporal.run.knowledge import ActivityUnknown
from sagadsl.temporal.run.local_results import LocalResults, NeedsRoom, room_in
from sagadsl.temporal.run.missing import waits_in
from sagadsl.temporal.wire.codec_growth import DOUBTFUL_BYTES, MAX_ENCODED_BYTES, PLAIN, Stretch
from sagadsl.temporal.wire.hidden_inputs import hidden_in
from sagadsl.temporal.wire.marker import MAX_PAYLOAD_BYTES, limit_in, marker, outcome_of, without_marker
from sagadsl.temporal.wire.named_secrets import NAMED, named_in
from sagadsl.temporal.work.heartbeats import record_heartbeat
from sagadsl.temporal.work.kept_errors import fitted
from sagadsl.temporal.work.late_ends import Lateness
from sagadsl.temporal.work.local_ends import LocalEnds

ERRORS = "__sagadsl_errors__"
"""Attribute of an activity's function: the error types that it raises on purpose."""

MARKER_BYTES = 200
"""The most that a heartbeat carries beside the activity's own details."""


def interceptors(client: Client) -> list[Interceptor]:
    """Return the interceptors for a worker that runs activities of sagas; *client* is the worker's."""
    return [OutcomeInterceptor(client)]


class OutcomeInterceptor(Interceptor):
    """Belongs on every worker that runs activities of sagas.

    Attributes:
        client: The worker's. Without a client, an error of a ``def`` activity is clean only in its first attempt.
    """

    def __init__(self, client: Client | None = None) -> None:
        self.client = client
        self.local_results = LocalResults()
        self.local_ends = LocalEnds()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Inbound(next, self)


class _Outbound(ActivityOutboundInterceptor):
    """Hides our marker from the activity, and remembers its last heartbeat details."""

    def __init__(self, next: ActivityOutboundInterceptor, worker: OutcomeInterceptor) -> None:
        super().__init__(next)
        self._worker = worker
        # `info` is the same at every call, so that it is looked at once.
        self.raw = next.info()
        self.details: Sequence[Any] = without_marker(self.raw.heartbeat_details)
        self._info = _replaced(self.raw, self.details)

    def info(self) -> activity.Info:
        return self._info

    def heartbeat(self, *details: Any) -> None:
        if details and self.raw.workflow_id is not None:
            self._check(details)
        # No marker here: if the attempt dies after this heartbeat, it has not reported an error.
        self.details = details
        super().heartbeat(*details)

    def _check(self, details: Sequence[Any]) -> None:
        """Refuse details that cannot be sent, with a clear error: the SDK's own would make the activity run again."""
        try:
            size = _size(activity.payload_converter().to_payloads(details))
        except Exception:  # noqa: BLE001 # converters, the user's too, say no in their own ways: the SDK tells it
            return
        client = self._worker.client
        stretch = PLAIN if client is None else stretch_of(client)
        if not stretch.fits(size + MARKER_BYTES, len(details) + 1):
            raise InvalidOutput(
                f"the heartbeat of `{self.raw.activity_type}` {stretch.described(size, len(details))}; "
                "pass a reference to where the data is",
                {"size": size, "limit": stretch.most(len(details) + 1)},
                type=PAYLOAD_TOO_LARGE,
            )

    def mark(self, attempt: int) -> None:
        """Leave the marker for the next attempt, beside the activity's own details."""
        self.next.heartbeat(*self.details, marker(attempt, clean=True))


class _Inbound(ActivityInboundInterceptor):
    _outbound: _Outbound

    def __init__(self, next: ActivityInboundInterceptor, worker: OutcomeInterceptor) -> None:
        super().__init__(next)
        self._worker = worker

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self._outbound = _Outbound(outbound, self._worker)
        super().init(self._outbound)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = self._outbound.raw
        NAMED.set(named_in(input.headers))
        if info.workflow_id is None:  # only a saga reads the marker
            return await super().execute_activity(input)
        client = self._worker.client or (None if input.executor else activity.client())
        room = room_in(input.headers) if info.is_local else None
        key = (info.workflow_run_id, info.activity_id)
        if room is not None and (waiting := self._worker.local_results.take(key)) is not None:
            return waiting
        known_before = self._worker.local_ends.is_known_before(info) if info.is_local else clean_before(info)
        error: BaseException
        late = Lateness(client, info, input.headers)
        try:
            if outcome_of(info.heartbeat_details) is not None:
                await _take_back(client, info, self._outbound.details)
            async with _own_limit(info):
                result = encoded(await super().execute_activity(input))
                await _check_length(client, info, result)
            await late.tell(Outcome.SUCCEEDED, self._outbound.details, result)
            if room is None or result.payload.ByteSize() <= room:
                return result
            raise self._worker.local_results.keep(key, result)
        except (NeedsRoom, BrokenExecutor):  # after the second one the SDK has to end the worker
            raise
        except (asyncio.CancelledError, CancelledError) as cancelled:  # the second one is raised in threads
            interruption = _interruption()
            if interruption is None:
                raise
            error = interruption.with_traceback(cancelled.__traceback__)
        except BaseException as raised:  # the author's code may raise anything
            if passes(raised):
                raise
            error = raised
        reported, hides = _final(application_error(error), info, input), hidden_in(input.headers, input.args)
        # Our own errors say what they mean. Any other error does not say how far the activity
        # had come when a cancel reached it.
        in_doubt = error.effect_unknown if isinstance(error, Failure) else activity.is_cancelled()
        clean = not in_doubt and known_before and await self._is_certain(client, input, info)
        again = _tried_again(info, reported)
        if clean:
            await late.tell(Outcome.FAILED, self._outbound.details)
        if clean and again and client is not None:
            self._outbound.mark(info.attempt)
        unknown = reported.where if isinstance(reported, ActivityUnknown) else ""
        logged = log_entry(info, error, reported, input.fn, getattr(input.fn, ERRORS, ()), hides=hides)
        last = marker(info.attempt, clean=clean, unknown=unknown, place=logged.place)
        failure = with_details(without(reported, hides), last, logged)
        failure.stack = authors_stack(origin(error).__traceback__)
        failure.__cause__ = behind(origin(error), hides)
        if again:
            failure = await fitted(failure, *_sending(client, info))
        raise failure from failure.__cause__  # leave out the context, which may be anything

    async def _is_certain(self, client: Client | None, input: ExecuteActivityInput, info: activity.Info) -> bool:
        """Whether all attempts have ended cleanly, when those that this worker knows have. R5, R130."""
        if not info.is_local:
            return info.attempt == 1 or client is not None
        self._worker.local_ends.ended(info)
        held = held_in(input.headers)
        return held is not None and client is not None and await self._worker.local_ends.is_first(client, info, held)


def _final(reported: ApplicationError, info: activity.Info, input: ExecuteActivityInput) -> ApplicationError:
    """Return the error that ends the attempts, if it says that this worker does not know the activity, and the saga
    itself asks again."""
    if isinstance(reported, ActivityUnknown) and (info.is_local or waits_in(input.headers)):
        return reported.final()
    return reported


async def _take_back(client: Client | None, info: activity.Info, details: Sequence[Any]) -> None:
    """Remove the marker of an earlier attempt, so that no later one finds it; the server has removed it on return."""
    if client is None:
        return
    try:
        await record_heartbeat(client, info, details)
    except RPCError as error:
        raise Transient(
            f"the server cannot be told that another attempt begins: {error.message}", type="ServerUnreachable"
        ) from None


def passes(error: BaseException) -> bool:
    """Whether *error* is not meant for the saga: a real Ctrl-C, or an exception internal to the SDK."""
    if isinstance(error, KeyboardInterrupt):
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        module = last.tb_frame.f_globals.get("__name__") if last is not None else None
        return module == "asyncio.runners" or signal.getsignal(signal.SIGINT) is signal.default_int_handler
    # `raise_complete_async` raises a class that the SDK does not export
    return isinstance(error, asyncio.CancelledError) or type(error).__module__ == "temporalio.activity"


class _LocalTimeout(Unknown):
    """A local activity's attempt has timed out, and no other attempt may follow."""

    retryable = False


@asynccontextmanager
async def _own_limit(info: activity.Info) -> AsyncIterator[None]:
    """End a local activity's attempt at its timeout, earlier than the SDK: the SDK would make another attempt."""
    types = info.retry_policy.non_retryable_error_types if info.is_local and info.retry_policy else None
    limit = limit_in(types or ())
    if limit is None:
        yield
        return
    try:
        async with asyncio.timeout(limit.total_seconds()) as own:
            yield
    except TimeoutError:
        if not own.expired():
            raise
        raise _LocalTimeout(f"start_to_close timeout of {spell(limit)}", type=TIMEOUT) from None


def _interruption() -> Unknown | None:
    """Return the error for an activity that was stopped without a cancel; ``None`` for a real cancel.

    The SDK reports such a stop without our marker, so that it would look like an error of the activity.
    """
    details = activity.cancellation_details()
    if details is None:
        return Unknown(
            "the activity was interrupted, for instance by a heartbeat that cannot be sent", type="Interrupted"
        )
    if details.cancel_requested or details.not_found or details.timed_out:
        return None
    if details.paused:
        return Unknown("an operator paused the activity while it ran", type="ActivityPause")
    if details.reset:
        return Unknown("an operator reset the activity while it ran", type="ActivityReset")
    return Unknown("the worker stopped before the activity had ended", type="WorkerShutdown")


def clean_before(info: activity.Info) -> bool:
    """Whether every attempt before this one is known to have ended in a reported error.

    Nobody knows that of an attempt 1 that was scheduled later than the activity: an operator has reset
    the activity, and the server has forgotten the attempts before.
    """
    if info.attempt == 1:
        return info.current_attempt_scheduled_time <= info.scheduled_time
    return outcome_of(info.heartbeat_details) == (info.attempt - 1, True)


def encoded(result: Any) -> RawValue:
    """Return *result* as a payload. Refuse it if the server would, since the server would repeat the activity (R52)."""
    try:
        payloads = activity.payload_converter().to_payloads([result])
    except Exception as error:  # noqa: BLE001 # converters, the user's too, say no in their own ways
        what = f"the result of `{activity.info().activity_type}`"
        raise InvalidOutput(f"{what} cannot become JSON: {described(error)}") from None
    if payloads[0].metadata.get("encoding") == b"json/plain" and not is_strict(payloads[0].data):
        what = f"the result of `{activity.info().activity_type}` holds a number that JSON cannot carry"
        raise InvalidOutput(f"{what}, such as infinity; return null or text instead")
    size = _size(payloads)
    if size > MAX_PAYLOAD_BYTES:
        raise InvalidOutput(
            f"the result of `{activity.info().activity_type}` has {size} bytes, at most {MAX_PAYLOAD_BYTES} fit; "
            "return a reference to where the data is",
            {"size": size, "limit": MAX_PAYLOAD_BYTES},
            type=PAYLOAD_TOO_LARGE,
        )
    return RawValue(payloads[0])


def _size(payloads: Sequence[Payload]) -> int:
    return sum(each.ByteSize() for each in payloads)


async def _check_length(client: Client | None, info: activity.Info, result: RawValue) -> None:
    """Refuse a result that the codec makes too large, as ``encoded`` refuses one that is too large without it."""
    if client is None or result.payload.ByteSize() <= DOUBTFUL_BYTES:
        return
    try:
        size = await encoded_size(of_activity(client, info), [result.payload])
    except CodecFailed as error:  # the function has run
        raise Unknown(str(error), type=error.type) from error
    if size > MAX_ENCODED_BYTES:
        raise InvalidOutput(
            f"the result of `{info.activity_type}` has {size} bytes when the payload codec has encoded it, at most "
            f"{MAX_ENCODED_BYTES} fit; return a reference to where the data is",
            {"size": size, "limit": MAX_ENCODED_BYTES},
            type=PAYLOAD_TOO_LARGE,
        )


def _sending(client: Client | None, info: activity.Info) -> tuple[DataConverter, Stretch]:
    """Return the converter that sends an attempt's error, and how much longer its codec makes the error."""
    if client is None:  # the SDK tells nobody which one its worker has
        return DataConverter.default, PLAIN
    return of_activity(client, info), stretch_of(client)


def _tried_again(info: activity.Info, error: ApplicationError) -> bool:
    """Whether there can be a next attempt; otherwise the marker is not worth a call to the server."""
    if info.is_local or error.non_retryable:
        return False
    policy = info.retry_policy
    if policy is None:
        return True
    last = policy.maximum_attempts and info.attempt >= policy.maximum_attempts
    return not last and error.type not in (policy.non_retryable_error_types or ())


def _replaced(info: activity.Info, details: Sequence[Any]) -> activity.Info:
    if details is info.heartbeat_details:
        return info
    return replace(info, heartbeat_details=details)
