"""Calls in virtual time end as on a server: attempts, the four timeouts, heartbeats, cancels, lost workers."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.engine.facts import Error, Outcome, Settled, Status
from sagadsl.engine.records import Progress, UndoProgress
from sagadsl.virtual.calls import LOST, Attempt, Calls
from sagadsl.virtual.clock import Clock
from tests.engine.scenes import ID, act, built, flaky, no, plain, play, saga, slow
from tests.engine.virtual_runs import SILENT, TWICE, cause_of, events_of, how, record_of, run_in, world_of


def test_a_call_that_is_retried_is_told_from_its_start_to_its_end() -> None:
    """The pause is the policy's, or what the error asks for."""
    world = world_of({"a": [flaky("Busy"), flaky("Later", retry_after=7.5), Attempt()]})

    run = run_in(world, plain("a", retry={"maximum_attempts": 3}))

    assert events_of(world) == [
        (0, "start", 0, "do.a", ""),
        (0, "attempt", 1, "do.a", ""),
        (0.1, "retry", 1, "Busy again in 1s", "Busy"),
        (1.1, "attempt", 2, "do.a", ""),
        (1.2, "retry", 2, "Later again in 7.5s", "Later"),
        (8.7, "attempt", 3, "do.a", ""),
        (8.8, "end", 3, "succeeded", ""),
    ]
    assert how(run) == ("succeeded", "", 3)


def test_a_call_that_fails_for_good_tells_its_error() -> None:
    """R5, R55."""
    world = world_of({"a": no("Refused")})

    run = run_in(world, plain("a", retry=TWICE))

    assert events_of(world)[-1] == (0.1, "end", 1, "failed", "Refused")
    assert how(run) == ("failed", "Refused!", 1)


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        ([flaky(), flaky()], "failed"),
        ([flaky(clean=False), flaky()], "unknown"),
        ([flaky(), flaky(clean=False)], "unknown"),
        ([SILENT, flaky()], "unknown"),
    ],
)
def test_a_call_has_failed_only_if_every_attempt_says_that_nothing_happened(
    script: list[Attempt], outcome: str
) -> None:
    """R5."""
    assert how(run_in(world_of({"a": script}), plain("a", retry=TWICE)))[0] == outcome


def test_a_lost_worker_is_noticed_by_its_silence() -> None:
    """R38: the heartbeat timeout counts from the moment it fell silent."""
    world = world_of({"a": [slow(9), Attempt()]})
    step = plain("a", retry=TWICE, timeouts={"start_to_close": "1m", "heartbeat": "2s"})

    run = run_in(world, step, crash_at=5)

    assert events_of(world)[1:] == [
        (0, "attempt", 1, "do.a", ""),
        (7, "retry", 1, "timeout again in 1s", "timeout"),
        (8, "attempt", 2, "do.a", ""),
        (8.1, "end", 2, "succeeded", ""),
    ]
    assert how(run) == ("succeeded", "", 2)
    assert [(each.saga, each.what, each.call) for each in world.events if each.what == "crash"] == [("", "crash", "")]


def test_without_heartbeats_a_lost_worker_is_noticed_at_the_timeout_of_its_attempt() -> None:
    """R36: counted from the attempt's beginning."""
    world = world_of({"a": slow(9)})

    run = run_in(world, plain("a", timeouts={"start_to_close": "20s"}), crash_at=5)

    assert events_of(world)[-1] == (20, "end", 1, "unknown", "timeout")
    assert how(run) == ("unknown", "start_to_close timeout of 20s", 1)


def test_a_lost_worker_is_noticed_by_the_shorter_of_its_timeouts() -> None:
    """R36: and the other one, planned before, does nothing to the next attempt."""
    world = world_of({"a": [slow(20), slow(8)]})
    step = plain("a", retry=TWICE, timeouts={"start_to_close": "9s", "heartbeat": "2s"})

    run = run_in(world, step, crash_at=1)

    assert events_of(world)[2:] == [
        (3, "retry", 1, "timeout again in 1s", "timeout"),
        (4, "attempt", 2, "do.a", ""),
        (12, "end", 2, "succeeded", ""),
    ]
    assert how(run)[0] == "succeeded"
    world = world_of({"a": slow(60)})
    late = run_in(world, plain("a", timeouts={"start_to_close": "9s", "heartbeat": "5s"}), crash_at=6)
    assert how(late)[1] == "start_to_close timeout of 9s"


def test_who_does_not_heartbeat_runs_into_the_heartbeat_timeout() -> None:
    """R5, R37: nobody knows what it has done."""
    step = plain("a", timeouts={"start_to_close": "1m", "heartbeat": "2s"})

    assert how(run_in(world_of({"a": Attempt(takes=9, beats=False)}), step)) == (
        "unknown",
        "heartbeat timeout of 2s",
        1,
    )
    assert how(run_in(world_of({"a": Attempt(takes=2, beats=False)}), step))[0] == "succeeded"
    assert how(run_in(world_of({"a": Attempt(takes=9)}), step))[0] == "succeeded"


def test_an_attempt_that_ends_at_its_timeout_has_ended() -> None:
    """R36."""
    step = plain("a", timeouts={"start_to_close": "2s"})

    assert how(run_in(world_of({"a": slow(2)}), step))[0] == "succeeded"
    assert how(run_in(world_of({"a": slow(2.01)}), step))[0] == "unknown"


@pytest.mark.parametrize(
    ("crash_at", "expected"),
    [
        (0.5, [(0, "attempt", 1), (3, "retry", 1), (4, "attempt", 2), (4.1, "end", 2)]),
        (3.5, [(0, "attempt", 1), (1, "retry", 1), (2, "attempt", 2), (2.1, "end", 2)]),
        (1.5, [(0, "attempt", 1), (1, "retry", 1), (2, "attempt", 2), (2.1, "end", 2)]),
    ],
)
def test_a_crash_hurts_only_what_runs(crash_at: float, expected: list[tuple[float, str, int]]) -> None:
    """R53: not the pause between two attempts, which the server keeps, and not what has ended."""
    world = world_of({"a": [flaky(takes=1), Attempt()]})

    run_in(
        world, plain("a", retry=TWICE, timeouts={"start_to_close": "3s"}), {"id": "b", "sleep": "9s"}, crash_at=crash_at
    )

    assert [each[:3] for each in events_of(world)[1:]] == expected


def test_a_crash_hurts_all_that_runs() -> None:
    """R53: whatever else waits for its next attempt."""
    world = world_of({"a": [flaky(takes=1), Attempt()], "b": slow(9), "c": slow(9)})
    times = {"start_to_close": "1m", "heartbeat": "2s"}
    both = [plain("a", retry=TWICE), plain("b", timeouts=times), plain("c", timeouts=times)]

    run_in(world, {"id": "all", "parallel": both, "on_branch_failure": "wait"}, crash_at=1.5)

    assert events_of(world, "all/a")[-1][:4] == (2.1, "end", 2, "succeeded")
    for call in ("all/b", "all/c"):
        assert events_of(world, call)[-1] == (3.5, "end", 1, "unknown", "timeout")


def test_a_local_activity_begins_anew_with_another_worker() -> None:
    """R53: after the timeout of the workflow task; its attempts are counted from the first, its time from then."""
    world = world_of({"a": [flaky(), slow(3)]})
    step = plain("a", local=True, retry=TWICE, timeouts={"schedule_to_close": "4500ms"})

    run = run_in(world, step, crash_at=2)

    assert events_of(world)[0][3] == "do.a (local)"
    assert events_of(world)[2:] == [
        (0.1, "retry", 1, "Unreachable again in 1s", "Unreachable"),
        (1.1, "attempt", 2, "do.a", ""),
        (12, "attempt", 1, "do.a", ""),
        (12.1, "retry", 1, "Unreachable again in 1s", "Unreachable"),
        (13.1, "attempt", 2, "do.a", ""),
        (16.1, "end", 2, "succeeded", ""),
    ]
    assert how(run) == ("succeeded", "", 2)


def test_a_local_activity_that_takes_too_long_elsewhere_runs_into_its_total_timeout() -> None:
    """R36: nobody can tell what it did, not even of one that a worker had not begun again."""
    world = world_of({"a": slow(3)})
    step = plain("a", local=True, timeouts={"schedule_to_close": "2s"})

    run = run_in(world, step, crash_at=1)

    assert events_of(world)[1:] == [
        (0, "attempt", 1, "do.a", ""),
        (11, "attempt", 1, "do.a", ""),
        (13, "end", 1, "unknown", "timeout"),
    ]
    assert how(run) == ("unknown", "schedule_to_close timeout of 2s", 1)


@pytest.mark.parametrize("retry", ["none", TWICE])
def test_a_local_activity_that_is_cancelled_while_nobody_holds_it_may_have_done_something(retry: Any) -> None:
    """R2, R5: its first attempt ran in the worker that died."""
    world = world_of({"a": slow(3)})
    world.cancel_at(5)

    run = run_in(world, act("a", local=True, retry=retry), crash_at=1)

    assert events_of(world)[2:] == [(5, "cancel", 0, "", ""), (5, "end", 0, "unknown", "cancelled")]
    assert (how(run)[0], run.state.undoable) == ("unknown", {"a": True})
    assert events_of(world, "a.compensation")[-1][1:4:2] == ("end", "succeeded")


def test_a_cancel_reaches_a_local_activity_at_once() -> None:
    """R37: it needs no heartbeat in the saga's own worker, not even one that dies at this moment."""
    for crash_at in (None, 2):
        world = world_of({"a": slow(5)})
        world.cancel_at(2)
        run_in(world, plain("a", local=True), crash_at=crash_at)
        assert [each[1:4] for each in events_of(world)[2:]] == [("cancel", 1, ""), ("end", 1, "unknown")]


@pytest.mark.parametrize("script", [no("Refused"), [flaky(), no("Refused")]])
def test_a_local_activity_that_says_no_is_believed(script: Any) -> None:
    """R5, R130: no worker was lost, so nobody else can have begun it."""
    run = run_in(world_of({"a": script}), act("a", local=True, retry=TWICE))

    assert how(run)[:2] == ("failed", "Refused!")
    undo = record_of(run).undo
    assert undo is not None
    assert undo.progress is UndoProgress.NOT_DUE


def test_nobody_believes_a_local_activity_that_says_no_elsewhere() -> None:
    """R5, R53: the attempt of the worker that died may have done something."""
    world = world_of({"a": [no("Refused", takes=3)]})

    assert how(run_in(world, plain("a", local=True), crash_at=1)) == ("unknown", "Refused!", 1)


def test_a_limit_of_a_local_activity_hides_no_error() -> None:
    """As the SDK tells it: the last error itself when no time is left, and nothing behind a timeout."""
    times = {"start_to_close": "1m", "schedule_to_close": "1500ms"}

    late = run_in(world_of({"a": flaky()}), plain("a", local=True, retry={"maximum_attempts": 5}, timeouts=times))
    lost = run_in(world_of({"a": [flaky(), LOST]}), plain("a", local=True, retry=TWICE, timeouts=times))

    assert how(late) == ("failed", "Unreachable!", 2)
    assert how(lost) == ("unknown", "schedule_to_close timeout of 1s500ms", 2)
    assert cause_of(lost).causes == ()


def test_a_cancel_comes_with_the_answer_to_a_heartbeat() -> None:
    """R37: what does not heartbeat runs on, and so does what fell silent with its worker."""
    beating = plain("a", retry=TWICE, timeouts={"start_to_close": "1m", "heartbeat": "9s"})
    world = world_of({"a": slow(5)})
    world.cancel_at(2)
    run_in(world, beating)
    assert events_of(world)[2:] == [(2, "cancel", 1, "", ""), (2, "end", 1, "unknown", "cancelled")]

    for step, crash_at, ends in ((plain("a"), None, 5), (beating, 1, 10)):
        world = world_of({"a": slow(5)})
        world.cancel_at(2)
        run_in(world, step, crash_at=crash_at)
        assert [each[:3] for each in events_of(world)[2:]] == [(2, "cancel", 1), (ends, "end", 1)]


def test_a_cancelled_call_ends_as_such() -> None:
    """R26, R5: with the type and the words that the real host gives it."""
    command = play(saga(plain("a"))).commands["a"]
    clock, ends = Clock(100.0), list[Settled]()
    calls = Calls(clock, ID, lambda *_: Attempt(starts=False), lambda *_: None, ends.append)

    calls.start(command)
    calls.cancel("a")
    calls.cancel("a")
    clock.run()

    error = Error("cancelled", "it was cancelled")
    assert ends == [Settled(100.0, "a", Outcome.NOT_STARTED, None, error, cancelled=True, attempts=1)]


@pytest.mark.parametrize(("retry", "outcome"), [("none", "not_started"), (TWICE, "unknown")])
def test_a_cancelled_call_that_waits_in_its_queue_has_not_started_if_it_has_one_attempt(
    retry: Any, outcome: str
) -> None:
    """R2, R5: with several, the server does not tell it from one between two attempts."""
    world = world_of({"a": Attempt(starts=False)})
    world.cancel_at(2)

    run = run_in(world, plain("a", retry=retry))

    assert events_of(world)[1:] == [(2, "cancel", 1, "", ""), (2, "end", 1, outcome, "cancelled")]
    assert how(run)[0] == outcome


@pytest.mark.parametrize("call", [act("a"), {"id": "a", "saga": "child", "compensation": "auto"}])
def test_a_call_that_is_cancelled_with_the_breath_that_began_it_is_never_sent(call: dict[str, Any]) -> None:
    """R2, R38: a worker sends all commands of one moment at once."""
    world = world_of()
    run = run_in(world, {"id": "both", "parallel": [call, {"id": "no", "fail": {"type": "Broke"}}]})

    record = run.state.records["both/a"]
    assert [each.call for each in world.events] == [""], "it closes, and nothing else happens"
    assert (record.progress, record.outcome, record.attempts) == (Progress.CANCELLED, Outcome.NOT_STARTED, 0)
    assert (record.ended_at, world.events[-1].at) == (world.begin, world.begin)
    assert run.state.status is Status.COMPENSATED
    assert run.children == {}


def test_a_call_is_cancelled_between_two_attempts() -> None:
    """R27, R5: nobody knows."""
    world = world_of({"a": flaky()})
    world.cancel_at(0.5)

    run = run_in(world, plain("a", retry=TWICE))

    assert [each[:4] for each in events_of(world)[2:]] == [
        (0.1, "retry", 1, "Unreachable again in 1s"),
        (0.5, "cancel", 1, ""),
        (0.5, "end", 1, "unknown"),
    ]
    assert how(run)[0] == "unknown"


def test_nothing_is_asked_of_a_call_that_has_ended_or_that_nobody_made() -> None:
    world = world_of({"a": slow(5)})
    run = run_in(world, plain("a"))
    before = list(world.events)

    assert run.calls is not None
    run.calls.cancel("a")
    run.calls.cancel("nobody")
    run.calls.crash()
    world.run()

    assert world.events == before
    assert not run.calls


def test_a_call_that_runs_is_known_to_be_open() -> None:
    """R50: continue-as-new waits for it."""
    world = world_of({"a": slow(5)})
    run = world.start(built(saga(plain("a"))))
    world.run(1)

    assert run.calls
    assert not world_of().start(built(saga({"id": "a", "sleep": "1s"}))).calls


NOBODY = ": no worker took `do.a` from the task queue"
BEFORE = "; the last error was Unreachable: Unreachable!"


@pytest.mark.parametrize(
    ("script", "limit", "at", "outcome", "message"),
    [
        ([Attempt(starts=False)], "schedule_to_start", 3, "not_started", NOBODY),
        ([Attempt(starts=False)], "schedule_to_close", 3, "not_started", NOBODY),
        ([flaky(), Attempt(starts=False)], "schedule_to_start", 4.1, "failed", NOBODY + BEFORE),
        ([flaky(clean=False), Attempt(starts=False)], "schedule_to_start", 4.1, "unknown", NOBODY + BEFORE),
        ([flaky(), Attempt(starts=False)], "schedule_to_close", 3, "failed", NOBODY + BEFORE),
        ([flaky(), slow(9)], "schedule_to_close", 3, "unknown", BEFORE),
        ([slow(9)], "schedule_to_close", 3, "unknown", ""),
    ],
)
def test_what_is_known_of_a_call_whose_time_has_run_out(
    script: list[Attempt], limit: str, at: float, outcome: str, message: str
) -> None:
    """R2, R5, R16: nothing happened if it was never taken up, or if every attempt said so before."""
    world = world_of({"a": script})

    run = run_in(world, plain("a", retry={"maximum_attempts": 3}, timeouts={"start_to_close": "1m", limit: "3s"}))

    assert events_of(world)[-1] == (at, "end", len(script), outcome, "timeout")
    assert how(run)[:2] == (outcome, f"{limit} timeout of 3s{message}")
    assert cause_of(run).causes == ((("Unreachable", "Unreachable!"),) if len(script) > 1 else ())


@pytest.mark.parametrize(
    ("name", "attempts"),
    [("timeout", 1), ("TemporalTimeout:StartToClose", 1), ("TemporalTimeout:Heartbeat", 3), ("Timeout", 3)],
)
@pytest.mark.parametrize("local", [False, True])
def test_a_timeout_stops_the_retries_by_our_name_and_by_temporal_s(name: str, attempts: int, local: bool) -> None:
    """R55 (N5)."""
    retry = {"maximum_attempts": 3, "non_retryable_error_types": [name]}
    run = run_in(world_of({"a": LOST}), plain("a", retry=retry, timeouts={"start_to_close": "1s"}, local=local))

    assert how(run)[2] == attempts


def test_a_timeout_hides_no_more_than_the_error_before_it() -> None:
    """R16: not the ones before that, although that one says so itself."""
    thrice = {"maximum_attempts": 3}
    run = run_in(world_of({"a": LOST}), plain("a", retry=thrice, timeouts={"start_to_close": "1s"}))

    message = "start_to_close timeout of 1s; the last error was timeout: start_to_close timeout"
    assert how(run) == ("unknown", message, 3)
    assert cause_of(run).causes == (("timeout", "start_to_close timeout"),)


def test_a_queue_of_somebody_else_s_is_waited_for_ten_minutes() -> None:
    """R54: unless the definition says how long."""
    silent = {"a": Attempt(starts=False)}
    run = run_in(world_of(silent), plain("a", task_queue="elsewhere"))

    assert how(run)[1] == "schedule_to_start timeout of 10m: no worker took `do.a` from task queue `elsewhere`"
    assert record_of(run).ended_at == 1_700_000_600
    total = run_in(world_of(silent), plain("a", task_queue="elsewhere", timeouts={"schedule_to_close": "1h"}))
    assert how(total)[1].startswith("schedule_to_close timeout of 1h: no worker")
    assert run_in(world_of(silent), plain("a")).close is None


def test_what_leaves_no_time_for_another_attempt_is_told_as_the_total_timeout() -> None:
    """R16: with the error behind it, unless that is a timeout too; an error that ends the attempts is told itself."""
    times = {"start_to_close": "1s", "schedule_to_close": "1500ms"}

    busy = run_in(world_of({"a": flaky("Busy")}), plain("a", retry={"maximum_attempts": 5}, timeouts=times))
    silent = run_in(world_of({"a": LOST}), plain("a", retry={"maximum_attempts": 5}, timeouts=times))
    soon = {"maximum_attempts": 5, "initial_interval": "200ms"}
    both = run_in(world_of({"a": [flaky("Busy"), LOST]}), plain("a", retry=soon, timeouts=times))
    last = run_in(world_of({"a": flaky("Busy")}), plain("a", retry=TWICE, timeouts=times))

    assert how(busy) == ("failed", "schedule_to_close timeout of 1s500ms; the last error was Busy: Busy!", 2)
    assert cause_of(busy).causes == (("Busy", "Busy!"),)
    assert how(silent) == ("unknown", "schedule_to_close timeout of 1s500ms", 1)
    assert cause_of(silent).causes == ()
    assert how(both) == ("unknown", "schedule_to_close timeout of 1s500ms; the last error was Busy: Busy!", 2)
    assert how(last) == ("failed", "Busy!", 2)


def test_no_attempt_begins_whose_pause_ends_with_the_total_timeout_or_after_it() -> None:
    """R36: the server gives up at once, with the last error."""
    for total, attempts, at in (("1500ms", 1, 0.5), ("1501ms", 2, 1.5)):
        world = world_of({"a": [flaky(takes=0.5), Attempt(takes=0)]})
        run = run_in(world, plain("a", retry=TWICE, timeouts={"schedule_to_close": total}))
        assert (how(run)[2], events_of(world)[-1][0]) == (attempts, at)


def test_the_pause_grows_without_end_only_up_to_the_longest_one() -> None:
    """A number that no float holds is the longest pause, too."""
    world = world_of({"a": [flaky(takes=0)] * 4 + [Attempt(takes=0)]})
    retry = {"maximum_attempts": 5, "backoff_coefficient": 1e200, "initial_interval": "1s", "maximum_interval": "7s"}

    run_in(world, plain("a", retry=retry))

    assert [each[0] for each in events_of(world) if each[1] == "attempt"] == [0, 1, 8, 15, 22]
