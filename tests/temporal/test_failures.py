"""What a Temporal failure says about the world, without a server: the shapes are those that a real one sends (R5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.failure.v1 import Failure, ServerFailureInfo
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    RetryState,
    ServerError,
    TerminatedError,
    TimeoutError,
    TimeoutType,
    WorkflowAlreadyStartedError,
)

from sagadsl.engine.facts import Error, Outcome, RetryPlan, Settled, StartActivity, StartChild
from sagadsl.engine.journal import RULES
from sagadsl.immutable import replace
from sagadsl.temporal.read.recorded_errors import error_in
from sagadsl.temporal.run.failures import KnownEnd, activity_failed, bounded, child_failed, error_of, to_look_up
from sagadsl.temporal.wire.marker import Recorded
from sagadsl.temporal.work.attempts import by_the_function


def _call(attempts: int | None = 3, *, local: bool = False, heartbeat: float | None = None) -> StartActivity:
    second = timedelta(seconds=1)
    return StartActivity(
        call_id="pay",
        activity="bank.pay",
        arguments=(),
        task_queue=None,
        start_to_close=10 * second,
        schedule_to_close=None,
        schedule_to_start=None,
        heartbeat=timedelta(seconds=heartbeat) if heartbeat else None,
        retry=RetryPlan(attempts, 2 * second, 2.0, 60 * second, ()),
        local=local,
        priority=None,
        summary="",
    )


def _error(
    cause: BaseException | None,
    *,
    scheduled: int = 5,
    started: int = 6,
    state: RetryState = RetryState.NON_RETRYABLE_FAILURE,
) -> ActivityError:
    error = ActivityError(
        "Activity task failed",
        scheduled_event_id=scheduled,
        started_event_id=started,
        identity="",
        activity_type="bank.pay",
        activity_id="pay",
        retry_state=state,
    )
    error.__cause__ = cause
    return error


def _timeout(kind: TimeoutType, last: BaseException | None = None) -> TimeoutError:
    error = TimeoutError("activity timeout", type=kind, last_heartbeat_details=[])
    error.__cause__ = last
    return error


def _no(attempt: int = 1, *, clean: bool = True, details: Sequence[Any] = ()) -> ApplicationError:
    return ApplicationError("no money", *details, {"sagadsl": {"attempt": attempt, "clean": clean}}, type="Broke")


def _settled(
    cause: BaseException | None,
    call: StartActivity | None = None,
    took: float = 0.5,
    record: Recorded | None = None,
    rules: int = RULES,
    **how: Any,
) -> Settled:
    known = KnownEnd(rules, took, record or Recorded())
    return activity_failed(call or _call(), _error(cause, **how), 100.0, known)


@pytest.mark.parametrize("kind", [TimeoutType.START_TO_CLOSE, TimeoutType.HEARTBEAT, TimeoutType.SCHEDULE_TO_CLOSE])
def test_a_timeout_of_something_that_ran_leaves_doubt(kind: TimeoutType) -> None:
    """R5: not even a clean earlier attempt makes it sure."""
    assert _settled(_timeout(kind, _no())).outcome is Outcome.UNKNOWN


def test_a_queue_timeout_without_an_attempt_means_that_nothing_began() -> None:
    """R2, R5."""
    call = replace(_call(), schedule_to_start=timedelta(seconds=4))
    found = _settled(_timeout(TimeoutType.SCHEDULE_TO_START), call, 4.1, started=0)
    assert (found.outcome, found.attempts) == (Outcome.NOT_STARTED, 0)


def test_a_queue_timeout_of_another_length_may_hide_an_attempt() -> None:
    """R5: an operator's reset takes the error of the attempts before away, and the wait begins anew."""
    call = replace(_call(), schedule_to_start=timedelta(seconds=4))
    for took in (1, 30):
        found = _settled(_timeout(TimeoutType.SCHEDULE_TO_START), call, 4.1, Recorded(since=took), started=0)
        assert (found.outcome, found.attempts) == (Outcome.UNKNOWN, None)
        assert found.error is not None
        assert found.error.message == "schedule_to_start timeout: no worker took `bank.pay` from the task queue"
    total = replace(_call(), schedule_to_close=timedelta(seconds=4))
    late = _settled(_timeout(TimeoutType.SCHEDULE_TO_CLOSE), total, 4.1, started=0)  # paused until then
    assert late.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("kind", "record", "message"),
    [
        (TimeoutType.START_TO_CLOSE, Recorded(2, ran=10.3), "start_to_close timeout of 10s"),
        (TimeoutType.START_TO_CLOSE, Recorded(2, ran=4.0), "start_to_close timeout"),
        (TimeoutType.START_TO_CLOSE, Recorded(2, ran=30.0), "start_to_close timeout"),
        (TimeoutType.START_TO_CLOSE, Recorded(), "start_to_close timeout"),
        (TimeoutType.HEARTBEAT, Recorded(2, ran=30.0), "heartbeat timeout of 3s"),
        (TimeoutType.HEARTBEAT, Recorded(2, ran=1.0), "heartbeat timeout"),
    ],
)
def test_a_limit_is_told_when_it_was_the_one_in_force(kind: TimeoutType, record: Recorded, message: str) -> None:
    """`activity update-options` changes what the definition says, also of a running attempt."""
    found = _settled(_timeout(kind), _call(heartbeat=3), record=record)
    assert found.error is not None
    assert (found.error.message, found.attempts) == (message, record.attempt)


def test_a_total_is_told_only_where_it_left_no_time() -> None:
    call = replace(_call(), schedule_to_close=timedelta(seconds=60))
    found = _settled(_no(), call, 3.0, state=RetryState.TIMEOUT)
    assert found.error is not None
    assert found.error.message == "schedule_to_close timeout; the last error was Broke: no money"


@pytest.mark.parametrize(("clean", "outcome"), [(True, Outcome.FAILED), (False, Outcome.UNKNOWN)])
def test_a_queue_timeout_after_an_attempt_is_what_the_attempts_were(clean: bool, outcome: Outcome) -> None:
    """R5: nothing runs while it waits in the queue."""
    found = _settled(_timeout(TimeoutType.SCHEDULE_TO_START, _no(2, clean=clean)), started=0)
    assert (found.outcome, found.attempts) == (outcome, 2)


@pytest.mark.parametrize(
    ("took", "limit"), [(4.9, "schedule_to_start timeout of 4s"), (5, "schedule_to_close timeout of 5s")]
)
def test_of_two_limits_of_a_queue_the_one_is_told_that_was_reached(took: float, limit: str) -> None:
    """The server calls both by the same name."""
    second = timedelta(seconds=1)
    call = replace(_call(), schedule_to_close=5 * second, schedule_to_start=4 * second)
    found = _settled(_timeout(TimeoutType.SCHEDULE_TO_START), call, took, started=0)
    assert found.error is not None
    assert found.error.message == f"{limit}: no worker took `bank.pay` from the task queue"


def test_a_timeout_behind_a_timeout_is_told_in_our_words() -> None:
    """Not as `activity StartToClose timeout`."""
    last = _timeout(TimeoutType.START_TO_CLOSE, _no())
    found = _settled(_timeout(TimeoutType.START_TO_CLOSE, last), record=Recorded(ran=10.01))
    assert found.error is not None
    assert found.error.message == "start_to_close timeout of 10s; the last error was timeout: start_to_close timeout"
    assert found.error.causes == (("timeout", "start_to_close timeout"), ("Broke", "no money"))


def test_the_last_real_error_is_told_beside_the_timeout() -> None:
    found = _settled(_timeout(TimeoutType.HEARTBEAT, _no()), _call(heartbeat=3), record=Recorded(ran=5))
    assert found.error is not None
    assert found.error.type == "timeout"
    assert found.error.message == "heartbeat timeout of 3s; the last error was Broke: no money"
    assert found.error.causes == (("Broke", "no money"),)


@pytest.mark.parametrize(("clean", "outcome"), [(True, Outcome.FAILED), (False, Outcome.UNKNOWN)])
def test_when_the_time_is_up_between_two_attempts_they_decide(clean: bool, outcome: Outcome) -> None:
    """R5: the server reports it in two ways, which mean the same."""
    last, call = _no(2, clean=clean), replace(_call(), schedule_to_close=timedelta(seconds=2))
    one = _settled(_timeout(TimeoutType.SCHEDULE_TO_CLOSE, last), call, 2, started=0)
    other = _settled(last, call, state=RetryState.TIMEOUT)
    assert one == other
    assert (one.outcome, one.attempts) == (outcome, 2)
    assert one.error is not None
    assert one.error.message == "schedule_to_close timeout of 2s; the last error was Broke: no money"


@pytest.mark.parametrize(("clean", "outcome"), [(True, Outcome.FAILED), (False, Outcome.UNKNOWN)])
def test_our_worker_says_whether_every_attempt_was_a_clean_no(clean: bool, outcome: Outcome) -> None:
    """R5."""
    found = _settled(_no(3, clean=clean), took=500)
    assert (found.outcome, found.attempts) == (outcome, 3)


def _foreign(type_: str | None = "Broke") -> ApplicationError:
    return ApplicationError("no money", {"code": 7}, type=type_)


@pytest.mark.parametrize(
    ("call", "took", "outcome"),
    [
        (_call(1), 500, Outcome.FAILED),
        (_call(3), 11.9, Outcome.FAILED),
        (_call(3), 12.1, Outcome.UNKNOWN),
        (_call(3, heartbeat=1), 3.1, Outcome.UNKNOWN),
        (_call(None), 11.9, Outcome.FAILED),
    ],
)
def test_of_a_foreign_worker_time_tells_whether_an_attempt_was_silent(
    call: StartActivity, took: float, outcome: Outcome
) -> None:
    """R5, the first rules: a silent attempt lasts for its timeout, and the next one comes a back-off later."""
    assert _settled(_foreign(), call, took, rules=1).outcome is outcome


@pytest.mark.parametrize("call", [_call(1), _call(3), _call(None)])
def test_of_a_foreign_worker_the_record_tells_whether_it_was_the_only_attempt(call: StartActivity) -> None:
    """R5: neither the definition's retries nor the time that it took prove it."""
    sure = _settled(_foreign(), call, record=Recorded(1, alone=True))
    assert (sure.outcome, sure.attempts) == (Outcome.FAILED, 1)
    for record in (Recorded(1), Recorded(2), Recorded()):
        found = _settled(_foreign(), call, record=record)
        assert (found.outcome, found.attempts) == (Outcome.UNKNOWN, record.attempt)


def test_what_our_worker_has_said_is_not_looked_up() -> None:
    """R5: nor is what the first rules decide, and what stands in no history."""
    foreign = _error(_foreign())
    assert to_look_up(_call(), foreign, RULES) is foreign
    assert to_look_up(_call(), foreign, 1) is None
    assert to_look_up(_call(local=True), foreign, RULES) is None
    assert to_look_up(_call(), _error(_no()), RULES) is None
    assert to_look_up(_call(), _error(CancelledError()), RULES) is None
    assert to_look_up(_call(), _error(_timeout(TimeoutType.HEARTBEAT)), RULES) is not None


@pytest.mark.parametrize(
    ("type_", "message", "its_own"),
    [
        ("Broke", "no money", True),
        ("acme.Shop$Declined", "no", True),
        (None, "no", True),
        ("WorkerShutdown", "Activity cancelled due to worker shutdown", False),
        ("ActivityReset", "…", False),
        ("io.temporal.client.ActivityWorkerShutdownException", "…", False),
        ("payloadSizeError", "…", False),
        ("io.temporal.common.converter.DataConverterException", "…", False),
        ("wrapError", "values[0]: unable to encode: json: unsupported value: NaN", False),
        ("TypeError", "Object of type object is not JSON serializable", False),
        ("java.lang.InterruptedException", "", False),
    ],
)
def test_what_an_sdk_reports_for_a_function_is_none_of_the_function_s_errors(
    type_: str | None, message: str, its_own: bool
) -> None:
    """R5: the function has been stopped, or has returned."""
    assert by_the_function(ApplicationError(message, type=type_)) is its_own
    assert not by_the_function(ServerError(message, non_retryable=True))


@pytest.mark.parametrize(
    ("stack", "its_own"),
    [
        ('File "/x/temporalio/converter/_payload_converter.py", line 338, in to_payload\n  payload = …', False),
        ('File "C:\\x\\temporalio\\converter.py", line 3, in to_payloads\n  …', False),
        ('File "/x/temporalio/converter/_payload_converter.py", line 9, in from_payload\n  …', True),
        ("ValueError: no\n    at encodeToPayload (/x/codec-helpers.js:77:92)\n    at async /x/worker.js:813:30", False),
        ("io.temporal.common.converter.JacksonJsonPayloadConverter.toData(J.java:116)\n"
         "io.temporal.common.converter.PayloadAndFailureDataConverter.toPayload(P.java:57)", False),
        ('File "/x/shop.py", line 3, in to_payload\n  raise Declined', True),
    ],
)  # fmt: skip
def test_a_stack_tells_that_the_function_had_returned(stack: str, its_own: bool) -> None:
    """R5: the value's own code may throw anything while the SDK encodes it."""
    error = ApplicationError("no", type="Declined")
    error._failure = Failure(message="no", stack_trace=stack)
    assert by_the_function(error) is its_own


@pytest.mark.parametrize(
    ("cause", "its_own"),
    [
        (ApplicationError("no", type="Declined"), True),
        (CancelledError("WORKER_SHUTDOWN"), False),
        (ApplicationError("no", type="io.temporal.client.ActivityWorkerShutdownException"), False),
    ],
)
def test_an_error_that_was_caused_by_a_stop_leaves_doubt(cause: BaseException, its_own: bool) -> None:
    """R5: an author may catch it, and throw an error of his own."""
    error = ApplicationError("while charging", type="ChargeFailed")
    error.__cause__ = cause
    assert by_the_function(error) is its_own


@pytest.mark.parametrize(
    ("outer", "rules", "type_"),
    [
        ("wrapError", 3, "Declined"),
        ("java.util.concurrent.ExecutionException", 3, "Declined"),
        ("RuntimeError", 3, "RuntimeError"),
        ("wrapError", 2, "wrapError"),
    ],
)
def test_an_error_in_a_mere_wrapper_has_its_own_type(outer: str, rules: int, type_: str) -> None:
    """What `on_error` and `already_undone` compare; runs of earlier rules keep theirs."""
    error = ApplicationError("while charging: no", type=outer)
    error.__cause__ = ApplicationError("no", type="Declined")
    found = _settled(error, rules=rules)
    assert found.error == Error(type_, "while charging: no", "pay", (("Declined", "no"),))
    failure = Failure(message="while charging: no")
    failure.application_failure_info.type = outer
    failure.cause.application_failure_info.type = "Declined"
    assert error_in(failure) == ("Declined" if outer != "RuntimeError" else outer, "while charging: no")


def test_a_wrapper_around_nothing_keeps_its_type() -> None:
    found = _settled(ApplicationError("no", type="wrapError"))
    assert found.error is not None
    assert found.error.type == "wrapError"


def test_an_error_that_the_server_found_too_long_shows_what_it_was() -> None:
    """Between two attempts it keeps 4 kB of one, behind an error of its own."""
    cut = ServerError("Failure exceeds size limit.")
    cut.__cause__ = ApplicationError("no mon", type="Broke")
    found = _settled(_timeout(TimeoutType.SCHEDULE_TO_START, cut), started=0)
    assert found.error is not None
    assert found.error.causes == (("Broke", "no mon"),)


def test_what_is_shown_of_a_retried_error_that_was_too_long_is_the_error_itself() -> None:
    """N6: in `status`, `run` and the page, where the next attempt is waited for."""
    kept = Failure(message="Failure exceeds size limit.", server_failure_info=ServerFailureInfo())
    assert error_in(kept) == ("server", "Failure exceeds size limit.")
    kept.cause.message = "no mon"
    kept.cause.application_failure_info.type = "Broke"
    assert error_in(kept) == ("Broke", "no mon")


def test_an_error_without_a_type_is_tolerated() -> None:
    """Go's plain errors have none."""
    found = _settled(_foreign(None))
    assert found.error is not None
    assert (found.error.type, found.error.message) == ("Error", "no money")


def test_an_error_without_a_cause_leaves_doubt() -> None:
    assert _settled(None).outcome is Outcome.UNKNOWN


def test_attempts_are_those_that_were_recorded_and_not_those_that_were_allowed() -> None:
    """`activity update-options` changes how many are allowed."""
    state = RetryState.MAXIMUM_ATTEMPTS_REACHED
    assert _settled(_foreign(), state=state).attempts is None
    assert _settled(_foreign(), record=Recorded(5), state=state).attempts == 5


@pytest.mark.parametrize(
    ("call", "ids", "outcome"),
    [
        (_call(3), {"started": 6}, Outcome.UNKNOWN),
        (_call(3), {"started": 0}, Outcome.UNKNOWN),
        (_call(1), {"started": 0}, Outcome.UNKNOWN),
        (_call(1), {"started": 0, "rules": 1}, Outcome.NOT_STARTED),
        (_call(1), {"started": 0, "record": Recorded(0)}, Outcome.NOT_STARTED),
        (_call(1), {"started": 6, "record": Recorded(0)}, Outcome.UNKNOWN),
        (_call(3), {"scheduled": 0, "started": 0}, Outcome.NOT_STARTED),
        (_call(1, local=True), {"scheduled": 0, "started": 0}, Outcome.UNKNOWN),
    ],
)
def test_a_cancelled_call_leaves_doubt_unless_it_cannot_have_begun(
    call: StartActivity, ids: dict[str, Any], outcome: Outcome
) -> None:
    """R2, R5: in the queue, in a back-off and paused look the same; a local activity has no event ids at all."""
    found = _settled(CancelledError(), call, **ids)
    assert (found.outcome, found.cancelled) == (outcome, True)


def test_the_chain_of_causes_is_kept_without_wrappers_and_bounded() -> None:
    """R23."""
    bottom = ApplicationError("disk full", type="OSError")
    top = ApplicationError("x" * 20_000, type="ValueError")
    top.__cause__ = _error(bottom)
    found = error_of(_error(top), "pay")
    assert (found.type, found.step, found.causes) == ("ValueError", "pay", (("OSError", "disk full"),))
    assert len(found.message.encode()) <= 8 * 1024
    assert found.message.endswith("(20000 bytes)")


def test_half_a_character_does_not_reach_the_history() -> None:
    """R56: protobuf refuses it, and the workflow task would fail for ever."""
    assert bounded("a\ud800b") == "a?b"


CHILD = StartChild("kid", "child", "p/kid", {}, None, "")


def _child(cause: BaseException) -> Settled:
    error = ChildWorkflowError(
        "Child Workflow execution failed",
        namespace="default",
        workflow_id="p/kid",
        run_id="r",
        workflow_type="child",
        initiated_event_id=5,
        started_event_id=6,
        retry_state=RetryState.NON_RETRYABLE_FAILURE,
    )
    error.__cause__ = cause
    return child_failed(CHILD, error, 100.0)


@pytest.mark.parametrize(
    ("status", "outcome"), [("compensated", Outcome.FAILED), ("failed", Outcome.UNKNOWN), (None, Outcome.UNKNOWN)]
)
def test_a_failed_child_has_undone_itself_or_says_that_it_has_not(status: str | None, outcome: Outcome) -> None:
    """R46."""
    details = [{"status": status}] if status else []
    found = _child(ApplicationError("no", *details, type="Broke"))
    assert (found.outcome, found.cancelled) == (outcome, False)
    assert found.error is not None
    assert found.error.type == "Broke"


def test_a_cancelled_child_has_undone_itself() -> None:
    found = _child(CancelledError())
    assert (found.outcome, found.cancelled) == (Outcome.FAILED, True)


@pytest.mark.parametrize(
    ("cause", "type_"), [(TerminatedError("t"), "terminated"), (_timeout(TimeoutType.START_TO_CLOSE), "timeout")]
)
def test_a_child_that_the_server_ended_leaves_doubt(cause: BaseException, type_: str) -> None:
    """R31."""
    found = _child(cause)
    assert found.outcome is Outcome.UNKNOWN
    assert found.error is not None
    assert found.error.type == type_


def test_a_child_whose_id_is_in_use_did_not_begin() -> None:
    found = child_failed(CHILD, WorkflowAlreadyStartedError("p/kid", "child"), 100.0)
    assert found.outcome is Outcome.NOT_STARTED
    assert found.error is not None
    assert "`p/kid` is in use" in found.error.message
