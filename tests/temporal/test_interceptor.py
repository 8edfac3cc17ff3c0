"""The truth about attempts is the server's, so these tests run on the real one."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, ApplicationErrorCategory
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    UnsandboxedWorkflowRunner,
    Worker,
)

from sagadsl import Permanent, Transient, Unknown
from sagadsl.temporal.run.activity_errors import MAX_MESSAGE_BYTES, shortened
from sagadsl.temporal.wire.marker import MAX_PAYLOAD_BYTES, marker, outcome_of, without_marker
from sagadsl.temporal.work.interceptor import interceptors
from tests.conftest import Server

pytestmark = pytest.mark.temporal


@dataclass
class Call:
    """How the workflow below calls its one activity."""

    attempts: int = 3
    start_to_close: float = 10
    heartbeat: float | None = None
    local: bool = False
    cancel_after: float | None = None
    first_pause: float = 0.01


@workflow.defn(name="one-activity")
class OneActivity:
    @workflow.run
    async def run(self, call: Call) -> Any:
        retry = RetryPolicy(
            maximum_attempts=call.attempts, initial_interval=timedelta(seconds=call.first_pause), backoff_coefficient=1
        )
        limit = timedelta(seconds=call.start_to_close)
        if call.local:
            return await workflow.execute_local_activity("work", start_to_close_timeout=limit, retry_policy=retry)
        handle = workflow.start_activity(
            "work",
            activity_id="work",
            start_to_close_timeout=limit,
            heartbeat_timeout=None if call.heartbeat is None else timedelta(seconds=call.heartbeat),
            retry_policy=retry,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        if call.cancel_after is not None:
            await workflow.sleep(call.cancel_after)
            handle.cancel()
        return await handle


@asynccontextmanager
async def _working(client: Client, queue: str, work: Callable[..., Any], *outside: Interceptor) -> Any:
    """Run a worker with the activity *work*; at the end it stops without waiting for it."""
    with ThreadPoolExecutor(2) as threads:
        async with Worker(
            client,
            task_queue=queue,
            workflows=[OneActivity],
            activities=[work],
            activity_executor=threads,
            interceptors=[*outside, *interceptors(client)],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            yield


@asynccontextmanager
async def _running(server: Server, work: Callable[..., Any], call: Call) -> Any:
    """Start the workflow with *work* as its activity."""
    client = await Client.connect(server.address)
    queue = f"interceptor-{uuid.uuid4()}"
    async with _working(client, queue, activity.defn(name="work")(work)):
        yield await client.start_workflow(OneActivity.run, call, id=queue, task_queue=queue)


def _ended(server: Server, work: Callable[..., Any], call: Call | None = None) -> Any:
    """Return the result, or the error that the workflow sees."""

    async def play() -> Any:
        async with _running(server, work, call or Call()) as handle:
            return await _end(handle)

    return asyncio.run(play())


async def _end(handle: WorkflowHandle[Any, Any]) -> Any:
    try:
        return await handle.result()
    except WorkflowFailureError as failure:
        # A local activity's error comes without the ActivityError around it.
        return failure.cause.cause if isinstance(failure.cause, ActivityError) else failure.cause


def _failing(*errors: Exception | None) -> tuple[Callable[[], Coroutine[Any, Any, str]], list[Sequence[Any]]]:
    """Return an activity whose nth attempt raises the nth error, and the heartbeat details that each attempt saw."""
    seen: list[Sequence[Any]] = []

    async def work() -> str:
        seen.append(activity.info().heartbeat_details)
        error = errors[min(activity.info().attempt, len(errors)) - 1]
        if error is None:
            return "done"
        raise error

    return work, seen


def test_an_error_after_reported_errors_is_a_sure_no(server: Server) -> None:
    """R5: every attempt ended in a reported error; the marker survives without a heartbeat timeout."""
    work, seen = _failing(ValueError("bad iban"))
    error = _ended(server, work)
    assert isinstance(error, ApplicationError)
    assert (error.type, error.message, outcome_of(error.details)) == ("ValueError", "bad iban", (3, True))
    assert seen == [[], [], []]


@pytest.mark.parametrize("threaded", [False, True])
def test_the_stack_of_an_error_begins_in_the_author_s_code(server: Server, threaded: bool) -> None:
    def charge() -> None:
        raise ValueError("bad iban")

    def work() -> None:
        charge()

    async def work_in_the_loop() -> None:
        charge()

    error = _ended(server, work if threaded else work_in_the_loop, Call(attempts=1))
    assert isinstance(error, ApplicationError)
    assert error.failure is not None
    lines = [line.strip() for line in error.failure.stack_trace.splitlines() if line.strip().startswith("File")]
    assert [line.rpartition(" ")[2] for line in lines] == [work.__name__ if threaded else "work_in_the_loop", "charge"]


def test_an_error_goes_through_context_managers_of_other_interceptors(server: Server) -> None:
    """They set the stack of what passes through them, as tracing does."""

    @contextmanager
    def span() -> Iterator[None]:
        yield

    class Tracing(Interceptor):
        def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
            return _Traced(next)

    class _Traced(ActivityInboundInterceptor):
        async def execute_activity(self, input: ExecuteActivityInput) -> Any:
            with span():
                return await super().execute_activity(input)

    async def work() -> None:
        raise ValueError("bad iban")

    async def play() -> Any:
        client = await Client.connect(server.address)
        queue = f"interceptor-{uuid.uuid4()}"
        function = activity.defn(name="work")(work)
        async with _working(client, queue, function, Tracing()):
            return await _end(
                await client.start_workflow(OneActivity.run, Call(attempts=1), id=queue, task_queue=queue)
            )

    error = asyncio.run(play())
    assert isinstance(error, ApplicationError)
    assert (error.type, outcome_of(error.details)) == ("ValueError", (1, True))


def test_an_error_after_a_timeout_is_no_sure_no(server: Server) -> None:
    """R5: attempt 1 was clean, attempt 2 was lost, and attempt 3 still finds the marker of attempt 1."""

    async def work() -> None:
        if activity.info().attempt == 2:
            await asyncio.sleep(30)
        raise ValueError("no")

    error = _ended(server, work, Call(start_to_close=1))
    assert isinstance(error, ApplicationError)
    assert outcome_of(error.details) == (3, False)


def test_a_missed_heartbeat_is_no_sure_no(server: Server) -> None:
    """R5: the heartbeat of a lost attempt carries no marker."""

    async def work() -> None:
        if activity.info().attempt == 1:
            activity.heartbeat("alive once")
            await asyncio.sleep(30)
        raise ValueError("no")

    error = _ended(server, work, Call(attempts=2, heartbeat=0.5))
    assert isinstance(error, ApplicationError)
    assert outcome_of(error.details) == (2, False)


def test_the_activity_s_own_heartbeats_reach_its_next_attempt_without_the_marker(server: Server) -> None:
    """R5: our marker is beside the author's details, and never in their way."""
    seen = []

    async def work() -> str:
        seen.append(list(activity.info().heartbeat_details))
        if activity.info().attempt < 3:
            activity.heartbeat("page", activity.info().attempt)
        if activity.info().attempt < 4:
            raise ValueError("again")
        return "done"

    assert _ended(server, work, Call(attempts=4)) == "done"
    assert seen == [[], ["page", 1], ["page", 2], ["page", 2]]


def test_a_thread_s_heartbeats_reach_its_next_attempt_too(server: Server) -> None:
    """R5: `def` activities run in a thread, where the SDK takes another way."""
    seen = []

    def work() -> str:
        seen.append(list(activity.info().heartbeat_details))
        if activity.info().attempt == 2:
            return "done"
        activity.heartbeat("page", 1)
        raise ValueError("again")

    assert _ended(server, work) == "done"
    assert seen == [[], ["page", 1]]


def test_a_thread_that_failed_is_a_sure_no(server: Server) -> None:
    """R5."""

    def work() -> None:
        raise ValueError("no")

    error = _ended(server, work, Call(attempts=2))
    assert outcome_of(error.details) == (2, True)


def test_an_operator_s_reset_makes_earlier_attempts_unknown(server: Server) -> None:
    """R5, R58: after a reset the server counts from 1 again, so 1 does not mean first."""

    async def work() -> None:
        raise (
            ValueError("no")
            if activity.info().current_attempt_scheduled_time == activity.info().scheduled_time
            else (Permanent("no again"))
        )

    async def play() -> Any:
        async with _running(server, work, Call(first_pause=60)) as handle:
            client = await Client.connect(server.address)
            from temporalio.api.common.v1 import WorkflowExecution
            from temporalio.api.workflowservice.v1 import ResetActivityRequest

            await _until_waiting_for_a_retry(handle)
            request = ResetActivityRequest(
                namespace=server.namespace, execution=WorkflowExecution(workflow_id=handle.id), id="work"
            )
            request.reset_heartbeat = True
            await client.workflow_service.reset_activity(request)
            return await _end(handle)

    error = asyncio.run(play())
    assert (error.message, outcome_of(error.details)) == ("no again", (1, False))


async def _until_waiting_for_a_retry(handle: WorkflowHandle[Any, Any]) -> None:
    while True:
        description = await handle.describe()
        if any(each.HasField("last_failure") for each in description.raw_description.pending_activities):
            return
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(("how", "count"), [("from", 11), ("while", 2)])
def test_of_many_errors_behind_each_other_the_nearest_are_told(server: Server, how: str, count: int) -> None:
    """Messages nested more than a hundred deep are read by nobody, and the run that gets one stands still."""

    def deep(left: int) -> None:
        if not left:
            raise KeyError("deepest")
        try:
            deep(left - 1)
        except Exception as error:
            if how == "from":
                raise ValueError(f"level {left}") from error
            raise ValueError(f"level {left}")  # noqa: B904

    async def work() -> None:
        deep(150)

    error: BaseException | None = _ended(server, work)
    found = []
    while error is not None:
        found.append(str(error))
        error = error.__cause__

    assert found == [f"ValueError: level {150 - number}" for number in range(count)]


def test_the_authors_errors_are_recorded_as_they_mean_them(server: Server) -> None:
    """R5, R55: type, details, retries and what is known, for each kind."""
    work, _ = _failing(Permanent("declined", {"code": 51}, type="CardDeclined"))
    error = _ended(server, work)
    assert (error.type, error.non_retryable, list(error.details)) == (
        "CardDeclined",
        True,
        [{"code": 51}, marker(1, clean=True)],
    )
    assert error.category is ApplicationErrorCategory.BENIGN

    work, seen = _failing(Unknown("lost"), Transient("busy"))
    error = _ended(server, work, Call(attempts=2))
    assert (error.type, len(seen), outcome_of(error.details)) == ("Transient", 2, (2, False))

    work, _ = _failing(Transient("busy", retry_after=timedelta(milliseconds=1)), None)
    assert _ended(server, work, Call(first_pause=60)) == "done"


def test_an_application_error_keeps_all_it_has(server: Server) -> None:
    """Type, details, category and causes of a plain Temporal activity."""

    async def work() -> None:
        try:
            try:
                raise KeyError("deepest")
            except KeyError as error:
                raise RuntimeError("below") from error
        except RuntimeError as error:
            raise ApplicationError(
                "top", {"a": 1}, 2, type="Mine", non_retryable=True, category=ApplicationErrorCategory.BENIGN
            ) from error

    error = _ended(server, work)
    assert (error.type, error.message, error.non_retryable, error.category) == (
        "Mine",
        "top",
        True,
        ApplicationErrorCategory.BENIGN,
    )
    assert list(without_marker(error.details)) == [{"a": 1}, 2]
    assert isinstance(error.cause, ApplicationError)
    assert (error.cause.type, error.cause.message) == ("RuntimeError", "below")
    assert isinstance(error.cause.cause, ApplicationError)
    assert error.cause.cause.cause is None


def test_a_plain_error_is_not_its_own_cause(server: Server) -> None:
    """The chain is the author's, with nothing of ours in it; also where Python chained by itself."""
    work, _ = _failing(ValueError("alone"))
    assert _ended(server, work, Call(attempts=1)).cause is None

    async def chained() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second")  # noqa: B904 # an implicit chain is the case

    error = _ended(server, chained, Call(attempts=1))
    assert (error.type, error.cause.type, error.cause.cause) == ("ValueError", "KeyError", None)


def test_a_result_too_large_is_an_error_that_is_not_tried_again(server: Server) -> None:
    """R52: the server's own answer would repeat the effect. It has happened, so the step is undone."""
    runs = []

    async def work() -> str:
        runs.append(1)
        return "x" * 3_000_000

    error = _ended(server, work)
    assert (error.type, error.non_retryable, outcome_of(error.details), len(runs)) == (
        "PayloadTooLarge",
        True,
        (1, False),
        1,
    )
    assert error.message.startswith("the result of `work` has 3000")
    assert str(MAX_PAYLOAD_BYTES) in error.message


def test_the_largest_permitted_result_fits_the_server(server: Server) -> None:
    """R52: the limit is below the server's."""

    async def work() -> str:
        return "x" * (MAX_PAYLOAD_BYTES - 100)

    assert len(_ended(server, work)) == MAX_PAYLOAD_BYTES - 100


def test_a_result_that_cannot_be_encoded_is_not_tried_again(server: Server) -> None:
    """Of a plain Temporal activity, where nothing of ours has looked at the result before."""

    async def work() -> Any:
        return {"a": object()}

    error = _ended(server, work)
    assert (error.type, error.non_retryable, outcome_of(error.details)) == ("InvalidOutput", True, (1, False))


def test_long_messages_and_details_are_bounded(server: Server) -> None:
    """R52: an error must never be what the server refuses."""
    work, _ = _failing(Permanent("x" * 3_000_000, "y" * 3_000_000))
    error = _ended(server, work)
    assert len(error.message.encode()) <= MAX_MESSAGE_BYTES
    assert error.details[0].startswith("details left out: 30000")
    assert outcome_of(error.details) == (1, True)


@pytest.mark.parametrize("threaded", [False, True])
def test_a_long_error_keeps_its_mark_while_it_is_tried_again(server: Server, threaded: bool) -> None:
    """R5, R52, M (N6): of more than 4 kB the server keeps a message that says nothing."""

    def fail() -> None:
        try:
            raise KeyError("below" * 2_000)
        except KeyError as cause:
            raise ApplicationError("x" * 20_000, "y" * 20_000, type="Busy") from cause

    async def fail_in_the_loop() -> None:
        fail()

    async def play() -> Any:
        async with _running(server, fail if threaded else fail_in_the_loop, Call(first_pause=60)) as handle:
            await _until_waiting_for_a_retry(handle)
            (pending,) = (await handle.describe()).raw_description.pending_activities
            client = await Client.connect(server.address)
            await handle.terminate()
            return await client.data_converter.decode_failure(pending.last_failure)

    error = asyncio.run(play())
    assert isinstance(error, ApplicationError)
    assert (error.type, outcome_of(error.details)) == ("Busy", (1, True))
    assert error.details[0] == "details left out: there is another attempt"
    assert error.message.startswith("xxxx")
    assert len(error.message) > 500
    assert isinstance(error.cause, ApplicationError)
    assert error.cause.type == "KeyError"


def test_a_mark_does_not_outlast_the_next_attempt(server: Server) -> None:
    """R5: numbers repeat after an operator's reset, so a mark that stays would speak of a later attempt."""
    seen: list[Any] = []

    async def work() -> None:
        if activity.info().attempt == 2:
            handle = activity.client().get_workflow_handle(activity.info().workflow_id or "")
            (pending,) = (await handle.describe()).raw_description.pending_activities
            seen.append(pending.HasField("heartbeat_details"))
        raise ValueError("no")

    error = _ended(server, work, Call(attempts=2))
    assert (seen, outcome_of(error.details)) == ([False], (2, True))


def test_a_cancellation_passes_as_one_and_is_no_error_in_the_log(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """R5, R37: the workflow sees a cancelled activity; expected, so nothing is logged as an error."""
    began = []

    async def work() -> None:
        began.append(1)
        while True:
            activity.heartbeat()
            await asyncio.sleep(0.05)

    async def play() -> str:
        async with _running(server, work, Call(cancel_after=0.5, heartbeat=1)) as handle:
            try:
                return str(await handle.result())
            except WorkflowFailureError as failure:
                return type(failure.cause.__cause__ or failure.cause).__name__

    with caplog.at_level(logging.INFO):
        assert asyncio.run(play()) == "CancelledError"
    assert began == [1]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_an_error_instead_of_a_cancellation_is_no_sure_no(server: Server) -> None:
    """R5: what was interrupted does not know how far it had got, unless it says so."""

    async def work() -> None:
        try:
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            raise RuntimeError("interrupted") from None

    error = _ended(server, work, Call(attempts=1, cancel_after=0.5, heartbeat=1))
    assert (error.type, outcome_of(error.details)) == ("RuntimeError", (1, False))


def test_an_author_s_sure_no_counts_also_after_a_cancellation(server: Server) -> None:
    """R5: `Permanent` means that nothing has happened, whenever it is said."""

    async def work() -> None:
        try:
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            raise Permanent("had not begun") from None

    error = _ended(server, work, Call(attempts=1, cancel_after=0.5, heartbeat=1))
    assert (error.type, outcome_of(error.details)) == ("Permanent", (1, True))


def test_a_worker_that_stops_leaves_no_sure_no(server: Server) -> None:
    """R5: the SDK alone reports a stopped worker as an error that nothing tells from the activity's own."""

    async def play() -> Any:
        began = asyncio.Event()

        @activity.defn
        async def work() -> None:
            began.set()
            await asyncio.sleep(30)

        client = await Client.connect(server.address)
        queue = f"interceptor-{uuid.uuid4()}"
        async with _working(client, queue, work):
            handle = await client.start_workflow(OneActivity.run, Call(attempts=1), id=queue, task_queue=queue)
            await began.wait()
        async with _working(client, queue, work):
            return await _end(handle)

    error = asyncio.run(play())
    assert (error.type, outcome_of(error.details)) == ("WorkerShutdown", (1, False))


def test_a_heartbeat_that_cannot_be_sent_is_no_sure_no(server: Server) -> None:
    """R5: the SDK cancels the activity for it, in the middle of its work."""

    async def work() -> None:
        activity.heartbeat(object())
        await asyncio.sleep(30)

    error = _ended(server, work, Call(attempts=1))
    assert (error.type, outcome_of(error.details)) == ("Interrupted", (1, False))


def test_a_local_activity_never_says_a_sure_no(server: Server) -> None:
    """R5, R53: a worker that dies forgets the attempts of its local activities."""
    work, _ = _failing(ValueError("no"))
    error = _ended(server, work, Call(attempts=2, local=True))
    assert (error.type, outcome_of(error.details)) == ("ValueError", (2, False))


def test_the_marker_of_other_workers_is_absent_and_foreign_details_are_kept() -> None:
    """R5: a worker of another language sends none."""
    assert outcome_of([]) is None
    assert outcome_of([{"sagadsl": "text"}]) is None
    assert outcome_of([marker(2, clean=True), "more"]) is None
    assert without_marker(["a", marker(2, clean=False)]) == ["a"]
    assert without_marker(["a"]) == ["a"]


def test_a_message_is_cut_between_characters() -> None:
    """R52."""
    assert shortened("short") == "short"
    assert shortened("\udc80") == "\\udc80"
    cut = shortened("ü" * MAX_MESSAGE_BYTES)
    assert len(cut.encode()) <= MAX_MESSAGE_BYTES
    assert cut.endswith("ü…")
