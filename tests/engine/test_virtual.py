"""The world in virtual time does with a call what a Temporal server and its workers do, event by event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from math import inf
from typing import Any

import pytest

from sagadsl.engine.facts import Error, OperatorAsked, Outcome, Settled, SignalReceived, Status, Verb
from sagadsl.engine.journal import State
from sagadsl.engine.records import Progress, Record, UndoProgress
from sagadsl.virtual.calls import LOST, Attempt, Calls
from sagadsl.virtual.clock import Clock
from sagadsl.virtual.runs import Event, VirtualRun
from sagadsl.virtual.world import World
from tests.engine.scenes import ID, Script, act, built, flaky, no, plain, play, saga, scripted, slow

SILENT = Attempt(takes=inf)
"""It heartbeats, and never ends."""

TWICE = {"maximum_attempts": 2}
CHILD = saga(plain("x", activity="do.inner"), name="child")


def _world(script: Script | None = None, **how: Any) -> World:
    return World(scripted(script or {}), sagas={"child": built(CHILD)}, **how)


def _run(world: World, *steps: Mapping[str, Any], crash_at: float | None = None, **top: Any) -> VirtualRun:
    run = world.start(built(saga(*steps, **top)))
    if crash_at is not None:
        world.clock.later(crash_at, world.crash)
    world.run()
    return run


def _events(world: World, call: str = "a", saga_id: str = ID) -> list[tuple[Any, ...]]:
    """Return what happened to a call: seconds, what, number of the attempt, detail, error."""
    return [
        (round(each.at - world.begin, 3), each.what, each.attempt, each.detail, each.error)
        for each in world.events
        if (each.call, each.saga) == (call, saga_id)
    ]


def _record(run: VirtualRun) -> Record:
    return run.state.records["a"]


def _cause(run: VirtualRun) -> Error:
    """Return the error of step `a`."""
    error = _record(run).error
    assert error is not None
    return error


def _how(run: VirtualRun) -> tuple[str, str, int | None]:
    """Return the outcome of step `a`, the message of its error, and its attempts."""
    record = _record(run)
    return record.outcome.value, "" if record.error is None else record.error.message, record.attempts


def test_a_call_that_is_retried_is_told_from_its_start_to_its_end() -> None:
    """The pause is the policy's, or what the error asks for."""
    world = _world({"a": [flaky("Busy"), flaky("Later", retry_after=7.5), Attempt()]})

    run = _run(world, plain("a", retry={"maximum_attempts": 3}))

    assert _events(world) == [
        (0, "start", 0, "do.a", ""),
        (0, "attempt", 1, "do.a", ""),
        (0.1, "retry", 1, "Busy again in 1s", "Busy"),
        (1.1, "attempt", 2, "do.a", ""),
        (1.2, "retry", 2, "Later again in 7.5s", "Later"),
        (8.7, "attempt", 3, "do.a", ""),
        (8.8, "end", 3, "succeeded", ""),
    ]
    assert _how(run) == ("succeeded", "", 3)


def test_a_call_that_fails_for_good_tells_its_error() -> None:
    """R5, R55."""
    world = _world({"a": no("Refused")})

    run = _run(world, plain("a", retry=TWICE))

    assert _events(world)[-1] == (0.1, "end", 1, "failed", "Refused")
    assert _how(run) == ("failed", "Refused!", 1)


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
    assert _how(_run(_world({"a": script}), plain("a", retry=TWICE)))[0] == outcome


def test_a_lost_worker_is_noticed_by_its_silence() -> None:
    """R38: the heartbeat timeout counts from the moment it fell silent."""
    world = _world({"a": [slow(9), Attempt()]})
    step = plain("a", retry=TWICE, timeouts={"start_to_close": "1m", "heartbeat": "2s"})

    run = _run(world, step, crash_at=5)

    assert _events(world)[1:] == [
        (0, "attempt", 1, "do.a", ""),
        (7, "retry", 1, "timeout again in 1s", "timeout"),
        (8, "attempt", 2, "do.a", ""),
        (8.1, "end", 2, "succeeded", ""),
    ]
    assert _how(run) == ("succeeded", "", 2)
    assert [(each.saga, each.what, each.call) for each in world.events if each.what == "crash"] == [("", "crash", "")]


def test_without_heartbeats_a_lost_worker_is_noticed_at_the_timeout_of_its_attempt() -> None:
    """R36: counted from the attempt's beginning."""
    world = _world({"a": slow(9)})

    run = _run(world, plain("a", timeouts={"start_to_close": "20s"}), crash_at=5)

    assert _events(world)[-1] == (20, "end", 1, "unknown", "timeout")
    assert _how(run) == ("unknown", "start_to_close timeout of 20s", 1)


def test_a_lost_worker_is_noticed_by_the_shorter_of_its_timeouts() -> None:
    """R36: and the other one, planned before, does nothing to the next attempt."""
    world = _world({"a": [slow(20), slow(8)]})
    step = plain("a", retry=TWICE, timeouts={"start_to_close": "9s", "heartbeat": "2s"})

    run = _run(world, step, crash_at=1)

    assert _events(world)[2:] == [
        (3, "retry", 1, "timeout again in 1s", "timeout"),
        (4, "attempt", 2, "do.a", ""),
        (12, "end", 2, "succeeded", ""),
    ]
    assert _how(run)[0] == "succeeded"
    world = _world({"a": slow(60)})
    late = _run(world, plain("a", timeouts={"start_to_close": "9s", "heartbeat": "5s"}), crash_at=6)
    assert _how(late)[1] == "start_to_close timeout of 9s"


def test_who_does_not_heartbeat_runs_into_the_heartbeat_timeout() -> None:
    """R5, R37: nobody knows what it has done."""
    step = plain("a", timeouts={"start_to_close": "1m", "heartbeat": "2s"})

    assert _how(_run(_world({"a": Attempt(takes=9, beats=False)}), step)) == ("unknown", "heartbeat timeout of 2s", 1)
    assert _how(_run(_world({"a": Attempt(takes=2, beats=False)}), step))[0] == "succeeded"
    assert _how(_run(_world({"a": Attempt(takes=9)}), step))[0] == "succeeded"


def test_an_attempt_that_ends_at_its_timeout_has_ended() -> None:
    """R36."""
    step = plain("a", timeouts={"start_to_close": "2s"})

    assert _how(_run(_world({"a": slow(2)}), step))[0] == "succeeded"
    assert _how(_run(_world({"a": slow(2.01)}), step))[0] == "unknown"


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
    world = _world({"a": [flaky(takes=1), Attempt()]})

    _run(
        world, plain("a", retry=TWICE, timeouts={"start_to_close": "3s"}), {"id": "b", "sleep": "9s"}, crash_at=crash_at
    )

    assert [each[:3] for each in _events(world)[1:]] == expected


def test_a_crash_hurts_all_that_runs() -> None:
    """R53: whatever else waits for its next attempt."""
    world = _world({"a": [flaky(takes=1), Attempt()], "b": slow(9), "c": slow(9)})
    times = {"start_to_close": "1m", "heartbeat": "2s"}
    both = [plain("a", retry=TWICE), plain("b", timeouts=times), plain("c", timeouts=times)]

    _run(world, {"id": "all", "parallel": both, "on_branch_failure": "wait"}, crash_at=1.5)

    assert _events(world, "all/a")[-1][:4] == (2.1, "end", 2, "succeeded")
    for call in ("all/b", "all/c"):
        assert _events(world, call)[-1] == (3.5, "end", 1, "unknown", "timeout")


def test_a_local_activity_begins_anew_with_another_worker() -> None:
    """R53: after the timeout of the workflow task; its attempts are counted from the first, its time from then."""
    world = _world({"a": [flaky(), slow(3)]})
    step = plain("a", local=True, retry=TWICE, timeouts={"schedule_to_close": "4500ms"})

    run = _run(world, step, crash_at=2)

    assert _events(world)[0][3] == "do.a (local)"
    assert _events(world)[2:] == [
        (0.1, "retry", 1, "Unreachable again in 1s", "Unreachable"),
        (1.1, "attempt", 2, "do.a", ""),
        (12, "attempt", 1, "do.a", ""),
        (12.1, "retry", 1, "Unreachable again in 1s", "Unreachable"),
        (13.1, "attempt", 2, "do.a", ""),
        (16.1, "end", 2, "succeeded", ""),
    ]
    assert _how(run) == ("succeeded", "", 2)


def test_a_local_activity_that_takes_too_long_elsewhere_runs_into_its_total_timeout() -> None:
    """R36: nobody can tell what it did, not even of one that a worker had not begun again."""
    world = _world({"a": slow(3)})
    step = plain("a", local=True, timeouts={"schedule_to_close": "2s"})

    run = _run(world, step, crash_at=1)

    assert _events(world)[1:] == [
        (0, "attempt", 1, "do.a", ""),
        (11, "attempt", 1, "do.a", ""),
        (13, "end", 1, "unknown", "timeout"),
    ]
    assert _how(run) == ("unknown", "schedule_to_close timeout of 2s", 1)


@pytest.mark.parametrize("retry", ["none", TWICE])
def test_a_local_activity_that_is_cancelled_while_nobody_holds_it_may_have_done_something(retry: Any) -> None:
    """R2, R5: its first attempt ran in the worker that died."""
    world = _world({"a": slow(3)})
    world.cancel_at(5)

    run = _run(world, act("a", local=True, retry=retry), crash_at=1)

    assert _events(world)[2:] == [(5, "cancel", 0, "", ""), (5, "end", 0, "unknown", "cancelled")]
    assert (_how(run)[0], run.state.undoable) == ("unknown", {"a": True})
    assert _events(world, "a.compensation")[-1][1:4:2] == ("end", "succeeded")


def test_a_cancel_reaches_a_local_activity_at_once() -> None:
    """R37: it needs no heartbeat in the saga's own worker, not even one that dies at this moment."""
    for crash_at in (None, 2):
        world = _world({"a": slow(5)})
        world.cancel_at(2)
        _run(world, plain("a", local=True), crash_at=crash_at)
        assert [each[1:4] for each in _events(world)[2:]] == [("cancel", 1, ""), ("end", 1, "unknown")]


@pytest.mark.parametrize("script", [no("Refused"), [flaky(), no("Refused")]])
def test_a_local_activity_that_says_no_is_believed(script: Any) -> None:
    """R5, R130: no worker was lost, so nobody else can have begun it."""
    run = _run(_world({"a": script}), act("a", local=True, retry=TWICE))

    assert _how(run)[:2] == ("failed", "Refused!")
    undo = _record(run).undo
    assert undo is not None
    assert undo.progress is UndoProgress.NOT_DUE


def test_nobody_believes_a_local_activity_that_says_no_elsewhere() -> None:
    """R5, R53: the attempt of the worker that died may have done something."""
    world = _world({"a": [no("Refused", takes=3)]})

    assert _how(_run(world, plain("a", local=True), crash_at=1)) == ("unknown", "Refused!", 1)


def test_a_limit_of_a_local_activity_hides_no_error() -> None:
    """As the SDK tells it: the last error itself when no time is left, and nothing behind a timeout."""
    times = {"start_to_close": "1m", "schedule_to_close": "1500ms"}

    late = _run(_world({"a": flaky()}), plain("a", local=True, retry={"maximum_attempts": 5}, timeouts=times))
    lost = _run(_world({"a": [flaky(), LOST]}), plain("a", local=True, retry=TWICE, timeouts=times))

    assert _how(late) == ("failed", "Unreachable!", 2)
    assert _how(lost) == ("unknown", "schedule_to_close timeout of 1s500ms", 2)
    assert _cause(lost).causes == ()


def test_a_cancel_comes_with_the_answer_to_a_heartbeat() -> None:
    """R37: what does not heartbeat runs on, and so does what fell silent with its worker."""
    beating = plain("a", retry=TWICE, timeouts={"start_to_close": "1m", "heartbeat": "9s"})
    world = _world({"a": slow(5)})
    world.cancel_at(2)
    _run(world, beating)
    assert _events(world)[2:] == [(2, "cancel", 1, "", ""), (2, "end", 1, "unknown", "cancelled")]

    for step, crash_at, ends in ((plain("a"), None, 5), (beating, 1, 10)):
        world = _world({"a": slow(5)})
        world.cancel_at(2)
        _run(world, step, crash_at=crash_at)
        assert [each[:3] for each in _events(world)[2:]] == [(2, "cancel", 1), (ends, "end", 1)]


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
    world = _world({"a": Attempt(starts=False)})
    world.cancel_at(2)

    run = _run(world, plain("a", retry=retry))

    assert _events(world)[1:] == [(2, "cancel", 1, "", ""), (2, "end", 1, outcome, "cancelled")]
    assert _how(run)[0] == outcome


@pytest.mark.parametrize("call", [act("a"), {"id": "a", "saga": "child", "compensation": "auto"}])
def test_a_call_that_is_cancelled_with_the_breath_that_began_it_is_never_sent(call: dict[str, Any]) -> None:
    """R2, R38: a worker sends all commands of one moment at once."""
    world = _world()
    run = _run(world, {"id": "both", "parallel": [call, {"id": "no", "fail": {"type": "Broke"}}]})

    record = run.state.records["both/a"]
    assert [each.call for each in world.events] == [""], "it closes, and nothing else happens"
    assert (record.progress, record.outcome, record.attempts) == (Progress.CANCELLED, Outcome.NOT_STARTED, 0)
    assert (record.ended_at, world.events[-1].at) == (world.begin, world.begin)
    assert run.state.status is Status.COMPENSATED
    assert run.children == {}


def test_a_call_is_cancelled_between_two_attempts() -> None:
    """R27, R5: nobody knows."""
    world = _world({"a": flaky()})
    world.cancel_at(0.5)

    run = _run(world, plain("a", retry=TWICE))

    assert [each[:4] for each in _events(world)[2:]] == [
        (0.1, "retry", 1, "Unreachable again in 1s"),
        (0.5, "cancel", 1, ""),
        (0.5, "end", 1, "unknown"),
    ]
    assert _how(run)[0] == "unknown"


def test_nothing_is_asked_of_a_call_that_has_ended_or_that_nobody_made() -> None:
    world = _world({"a": slow(5)})
    run = _run(world, plain("a"))
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
    world = _world({"a": slow(5)})
    run = world.start(built(saga(plain("a"))))
    world.run(1)

    assert run.calls
    assert not _world().start(built(saga({"id": "a", "sleep": "1s"}))).calls


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
    world = _world({"a": script})

    run = _run(world, plain("a", retry={"maximum_attempts": 3}, timeouts={"start_to_close": "1m", limit: "3s"}))

    assert _events(world)[-1] == (at, "end", len(script), outcome, "timeout")
    assert _how(run)[:2] == (outcome, f"{limit} timeout of 3s{message}")
    assert _cause(run).causes == ((("Unreachable", "Unreachable!"),) if len(script) > 1 else ())


@pytest.mark.parametrize(
    ("name", "attempts"),
    [("timeout", 1), ("TemporalTimeout:StartToClose", 1), ("TemporalTimeout:Heartbeat", 3), ("Timeout", 3)],
)
@pytest.mark.parametrize("local", [False, True])
def test_a_timeout_stops_the_retries_by_our_name_and_by_temporal_s(name: str, attempts: int, local: bool) -> None:
    """R55 (N5)."""
    retry = {"maximum_attempts": 3, "non_retryable_error_types": [name]}
    run = _run(_world({"a": LOST}), plain("a", retry=retry, timeouts={"start_to_close": "1s"}, local=local))

    assert _how(run)[2] == attempts


def test_a_timeout_hides_no_more_than_the_error_before_it() -> None:
    """R16: not the ones before that, although that one says so itself."""
    thrice = {"maximum_attempts": 3}
    run = _run(_world({"a": LOST}), plain("a", retry=thrice, timeouts={"start_to_close": "1s"}))

    message = "start_to_close timeout of 1s; the last error was timeout: start_to_close timeout"
    assert _how(run) == ("unknown", message, 3)
    assert _cause(run).causes == (("timeout", "start_to_close timeout"),)


def test_a_queue_of_somebody_else_s_is_waited_for_ten_minutes() -> None:
    """R54: unless the definition says how long."""
    silent = {"a": Attempt(starts=False)}
    run = _run(_world(silent), plain("a", task_queue="elsewhere"))

    assert _how(run)[1] == "schedule_to_start timeout of 10m: no worker took `do.a` from task queue `elsewhere`"
    assert _record(run).ended_at == 1_700_000_600
    total = _run(_world(silent), plain("a", task_queue="elsewhere", timeouts={"schedule_to_close": "1h"}))
    assert _how(total)[1].startswith("schedule_to_close timeout of 1h: no worker")
    assert _run(_world(silent), plain("a")).close is None


def test_what_leaves_no_time_for_another_attempt_is_told_as_the_total_timeout() -> None:
    """R16: with the error behind it, unless that is a timeout too; an error that ends the attempts is told itself."""
    times = {"start_to_close": "1s", "schedule_to_close": "1500ms"}

    busy = _run(_world({"a": flaky("Busy")}), plain("a", retry={"maximum_attempts": 5}, timeouts=times))
    silent = _run(_world({"a": LOST}), plain("a", retry={"maximum_attempts": 5}, timeouts=times))
    soon = {"maximum_attempts": 5, "initial_interval": "200ms"}
    both = _run(_world({"a": [flaky("Busy"), LOST]}), plain("a", retry=soon, timeouts=times))
    last = _run(_world({"a": flaky("Busy")}), plain("a", retry=TWICE, timeouts=times))

    assert _how(busy) == ("failed", "schedule_to_close timeout of 1s500ms; the last error was Busy: Busy!", 2)
    assert _cause(busy).causes == (("Busy", "Busy!"),)
    assert _how(silent) == ("unknown", "schedule_to_close timeout of 1s500ms", 1)
    assert _cause(silent).causes == ()
    assert _how(both) == ("unknown", "schedule_to_close timeout of 1s500ms; the last error was Busy: Busy!", 2)
    assert _how(last) == ("failed", "Busy!", 2)


def test_no_attempt_begins_whose_pause_ends_with_the_total_timeout_or_after_it() -> None:
    """R36: the server gives up at once, with the last error."""
    for total, attempts, at in (("1500ms", 1, 0.5), ("1501ms", 2, 1.5)):
        world = _world({"a": [flaky(takes=0.5), Attempt(takes=0)]})
        run = _run(world, plain("a", retry=TWICE, timeouts={"schedule_to_close": total}))
        assert (_how(run)[2], _events(world)[-1][0]) == (attempts, at)


def test_the_pause_grows_without_end_only_up_to_the_longest_one() -> None:
    """A number that no float holds is the longest pause, too."""
    world = _world({"a": [flaky(takes=0)] * 4 + [Attempt(takes=0)]})
    retry = {"maximum_attempts": 5, "backoff_coefficient": 1e200, "initial_interval": "1s", "maximum_interval": "7s"}

    _run(world, plain("a", retry=retry))

    assert [each[0] for each in _events(world) if each[1] == "attempt"] == [0, 1, 8, 15, 22]


def test_what_comes_from_outside_is_told() -> None:
    """Timelines show it: who asked for what, and when."""
    world = _world({"b": no()})
    world.at(1, lambda at: OperatorAsked(at, Verb.PAUSE))
    world.at(2, lambda at: OperatorAsked(at, Verb.RESUME))
    world.at(4, lambda at: SignalReceived(at, "go", None))
    world.cancel_at(5)

    _run(world, {"id": "a", "sleep": "3s"}, {"id": "b", "sleep": "9s"}, timeout="20s")

    assert [(round(each.at - world.begin, 3), *each[1:]) for each in world.events] == [
        (0, ID, "timer", "@timeout", 0, "set", ""),
        (0, ID, "timer", "a", 0, "set", ""),
        (1, ID, "operator", "", 0, "pause", ""),
        (2, ID, "operator", "", 0, "resume", ""),
        (3, ID, "timer", "a", 0, "fired", ""),
        (3, ID, "timer", "b", 0, "set", ""),
        (4, ID, "signal", "go", 0, "", ""),
        (5, ID, "cancel_request", "", 0, "", ""),
        (5, ID, "close", "", 0, "cancelled", ""),
    ]


def test_a_child_saga_is_told_from_its_start_to_its_end() -> None:
    """R46."""
    world = _world({"do.inner": slow(2)})
    run = _run(world, {"id": "nap", "sleep": "1s"}, {"id": "a", "saga": "child", "compensation": "none"})

    assert _events(world) == [(1, "start", 0, "child", ""), (3, "end", 0, "succeeded", "")]
    assert _events(world, "x", f"{ID}/a")[-1] == (3, "end", 1, "succeeded", "")
    assert [each.what for each in world.events[-4:]] == ["end", "close", "end", "close"]
    child = world.runs[f"{ID}/a"]
    assert (child.parent, child.since, run.children) == ((ID, "a"), 3, {})
    assert (child.state.saga_id, child.state.run_id) == (f"{ID}/a", f"run-{ID}/a")
    assert child.state.started_at == world.begin + 1


def test_a_child_saga_that_fails_tells_its_error_behind_how_it_ended() -> None:
    """R46, R23: as the message of the failed workflow does."""
    world = _world({"do.inner": no("Broke")})
    run = _run(world, {"id": "a", "saga": "child", "compensation": "none"})

    assert _events(world)[-1] == (0.1, "end", 0, "failed", "Broke")
    error = _cause(run)
    assert (error.type, error.message) == ("Broke", "step `x` failed: Broke: Broke! (0 undone)")
    assert error.causes == (("Broke", "Broke!"),)
    assert _record(run).progress is Progress.FAILED


def test_a_child_saga_is_cancelled_with_its_parent() -> None:
    """R27, R46: and told as a child, not as what it calls."""
    child = saga(plain("x", activity="do.inner", timeouts={"start_to_close": "1m", "heartbeat": "5s"}), name="child")
    world = World(scripted({"do.inner": slow(9)}), sagas={"child": built(child)})
    world.cancel_at(2)
    run = _run(world, {"id": "a", "saga": "child", "compensation": "none"})

    assert _events(world)[1:] == [(2, "cancel", 0, "", ""), (2, "end", 0, "failed", "cancelled")]
    assert [each.what for each in world.events if each.saga == f"{ID}/a"][-4:] == [
        "cancel_request",
        "cancel",
        "end",
        "close",
    ]
    assert world.runs[f"{ID}/a"].state.now == world.begin + 2
    assert (run.state.status, _record(run).progress) == (Status.CANCELLED, Progress.CANCELLED)


def test_a_child_saga_hears_of_a_cancel_when_its_parent_asks() -> None:
    """R27, R60: and shows it, though it waits for what runs."""
    world = _world({"do.inner": slow(9)})
    world.start(built(saga({"id": "a", "saga": "child", "compensation": "none"})))
    world.cancel_at(2)
    world.run(3)

    child = world.runs[f"{ID}/a"]
    assert (child.close, child.state.now) == (None, world.begin + 2)


def test_a_child_saga_that_completed_is_undone_under_its_own_name() -> None:
    """R46, R47: from what it returned; later, and as another run."""
    child = saga(act("x"), name="child")
    world = World(scripted({"b": no()}), sagas={"child": built(child)})
    steps = {"id": "a", "saga": "child", "compensation": "auto"}, {"id": "nap", "sleep": "5s"}, plain("b")
    world.start(built(saga(*steps)))
    world.run()

    undone = world.runs[f"{ID}/a"]
    assert (undone.state.saga_id, undone.state.run_id, undone.state.undo_only) == (f"{ID}/a", f"run-{ID}/a", True)
    undo = undone.state.records["x"].undo
    assert undo is not None
    assert (undo.started_at, undo.progress) == (pytest.approx(world.begin + 5.2), UndoProgress.DONE)
    assert [each[1] for each in _events(world, "a.compensation")] == ["start", "end"]


def test_a_child_saga_that_nobody_knows_fails_its_step() -> None:
    """R46, R56: as the real host does, with the same error."""
    world = _world()
    run = _run(world, {"id": "nap", "sleep": "1s"}, {"id": "a", "saga": "missing", "compensation": "none"})

    assert _events(world) == [(1, "start", 0, "missing", ""), (1, "end", 0, "failed", "DefinitionNotFound")]
    assert _how(run) == ("failed", "there is no saga `missing`", None)
    assert _record(run).ended_at == world.begin + 1


@pytest.mark.parametrize("how", [{}, {"replay": True}, {"drain": True}])
def test_a_saga_always_knows_what_time_it_is(how: dict[str, bool]) -> None:
    """R50: whoever tells it something, whatever it has just gone through."""
    seen: list[tuple[bool, State]] = []
    world = World(
        scripted({"b": no(takes=3)}),
        sagas={"child": built(CHILD)},
        after_fact=lambda saga_id: seen.append((world.runs[saga_id].state.now == world.now, world.runs[saga_id].state)),
        **how,
    )
    child = {"id": "kid", "saga": "child", "compensation": "none"}
    run = world.start(built(saga(act("a"), {"id": "nap", "sleep": "1s"}, child, act("b"))))
    world.run()

    assert run.close is not None
    assert all(right for right, _ in seen)
    states = len({id(state) for _, state in seen})
    assert states == 2 if not how else states > 4


def test_what_is_due_happens_in_the_order_in_which_it_was_planned() -> None:
    """Also what should have happened before: it has no way back."""
    clock, happened = Clock(100.0), list[str]()
    for delay, what in ((1.0, "later"), (0.0, "now"), (-5.0, "late"), (0.0, "then")):
        clock.later(delay, partial(happened.append, what))
    clock.run(0.5)

    assert happened == ["now", "late", "then"]
    assert (clock.now, clock.begin) == (100.5, 100.0)


def test_what_is_carried_over_arrives_as_from_temporal() -> None:
    """R50: whose converter sorts the keys of objects."""
    world = World(drain=True)
    run = world.start(built(saga(plain("a"), plain("b"))), {"b": 1, "a": {"d": 2, "c": 3}})
    world.run()

    assert json.dumps(run.state.input) == '{"a": {"c": 3, "d": 2}, "b": 1}'


def test_a_saga_s_timeout_can_be_made_to_pass_now() -> None:
    """R32: and passes once."""
    world = _world({"a": slow(5)})
    world.start(built(saga(act("a"), timeout="1h")))
    world.run(1)
    world.pass_timeout()
    world.pass_timeout()
    world.run()

    (passed,) = [each for each in world.events if each.what == "timeout"]
    assert passed == Event(world.begin + 1, ID, "timeout", "", 0, "", "")
    assert world.runs[ID].state.timed_out
    assert world.runs[ID].close is not None


def test_a_saga_without_a_timeout_has_none_to_pass() -> None:
    world = _world()
    run = _run(world, plain("a"))
    world.pass_timeout()

    assert not run.state.timed_out


def test_time_stops_where_it_is_told_to_and_goes_on_from_there() -> None:
    world = _world({"a": slow(5)})
    run = world.start(built(saga(plain("a"))))

    world.run(2)
    assert (world.now - world.begin, run.close) == (2, None)
    world.run(5)
    assert world.now - world.begin == 5
    assert run.close is not None
    world.run(9)
    assert world.now - world.begin == 5, "nothing was due any more"


def test_time_does_not_wait_for_an_attempt_without_an_end() -> None:
    world = _world({"a": SILENT})
    _run(world, plain("a", timeouts={"schedule_to_close": "3s"}))

    assert world.now - world.begin == 3


def test_nobody_hears_of_a_lost_attempt_again() -> None:
    assert (LOST.takes, LOST.beats, LOST.starts) == (inf, False, True)
    assert _how(_run(_world({"a": LOST}), plain("a", timeouts={"start_to_close": "3s"})))[0] == "unknown"
