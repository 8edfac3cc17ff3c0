"""Large sagas: no recursion, no cost that grows with what has been done, no more in flight than the server bears."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from sagadsl.engine.decide import decide, parts
from sagadsl.engine.facts import (
    Began,
    BeganUndo,
    CancelRequested,
    Close,
    DrainRequested,
    Error,
    Outcome,
    Settled,
    SignalReceived,
    StartActivity,
    Status,
    TimerFired,
)
from sagadsl.engine.journal import State
from sagadsl.engine.run import IN_FLIGHT, PART_WORK
from sagadsl.engine.snapshots import restore, snapshot
from sagadsl.language.build import build
from sagadsl.virtual.calls import Attempt
from sagadsl.virtual.world import World
from tests.engine.scenes import act, built, no, plain, play, saga, scripted, slow


def _calls(work: Callable[[], Any]) -> int:
    """Count the function calls that *work* makes: the same at every run, unlike its time."""
    count = 0

    def step(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(step)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def _run(definition: dict[str, Any], script: dict[str, Attempt] | None = None, input_: Any = None) -> World:
    world = World(scripted(script or {}))
    world.start(build(definition), input_)
    world.run()
    return world


def _many(count: int) -> dict[str, Any]:
    return saga(*(act(f"s{index}") for index in range(count)))


def test_ten_thousand_values_in_a_row_cost_no_stack() -> None:
    """R51, R56: all in one go, since none of them waits."""
    world = _run(saga(*({"id": f"s{index}", "set": {"n": index}} for index in range(10_000))))

    assert len(world.runs["saga-1"].state.output) == 10_000


def test_ten_thousand_steps_and_their_compensations_cost_no_stack() -> None:
    """R51."""
    definition = _many(10_000)
    definition["steps"].append(act("last"))

    world = _run(definition, {"last": no()})

    assert len(world.report()["undone"]) == 10_000


def test_the_cost_of_a_step_does_not_grow_with_the_saga() -> None:
    """Forward and back; counted in function calls, and the second hundred as the thousandth."""

    def cost(count: int) -> float:
        definition = _many(count)
        definition["steps"].append(act("last"))
        model = build(definition)

        def work() -> None:
            world = World(scripted({"last": no()}))
            world.start(model)
            world.run()

        return _calls(work) / count

    assert cost(2000) < cost(200) * 1.15


def test_the_cost_of_a_round_does_not_grow_with_the_list() -> None:
    """One after the other, and all at once."""
    for concurrency in (1, 100, "unlimited"):
        loop = {"id": "l", "for_each": {"items": "input", "max_concurrency": concurrency}, "steps": [act("x")]}
        model = build(saga(loop, act("end")))

        def cost(count: int, model: Any = model) -> float:
            def work() -> None:
                world = World(scripted({"end": no()}))
                world.start(model, list(range(count)))
                world.run()

            return _calls(work) / count

        assert cost(600) < cost(60) * 1.15


def test_the_cost_of_a_block_that_ends_early_does_not_grow_with_what_was_done_before() -> None:
    """R40: its losers are looked for among its own steps."""
    block = {"id": "all", "parallel": [act("x"), act("y")], "complete_when": "completed >= 1"}
    model = build(saga({"id": "l", "for_each": {"items": "input"}, "steps": [block]}))

    def cost(count: int) -> float:
        def work() -> None:
            world = World(scripted({"y": slow(1)}))
            world.start(model, list(range(count)))
            world.run()

        return _calls(work) / count

    assert cost(400) < cost(40) * 1.15


class _Unsearched(list[str]):
    def __contains__(self, item: object) -> bool:
        raise AssertionError("for each step that could be undone, this is looked through")


def test_the_losers_of_a_long_block_are_not_looked_for_in_the_list_of_those_that_ended() -> None:
    """N15, R40: with ten thousand items it took longer than a worker of Temporal's bears."""
    loop = {
        "id": "l",
        "for_each": {"items": "input", "max_concurrency": "unlimited"},
        "complete_when": "completed >= 2",
    }
    world = World(scripted({"l[2]/x": slow(1), "l[3]/x": slow(1)}))
    run = world.start(build(saga({**loop, "steps": [act("x")]})), [1, 2, 3, 4])
    run.state.frames["l"].ended = _Unsearched()
    world.run()

    assert (world.report()["status"], world.report()["undone"]) == ("completed", ["l[3]/x", "l[2]/x"])


def test_two_thousand_branches_at_once() -> None:
    """R51: all begin, all end, all are undone."""
    branches = [act(f"b{index}") for index in range(2000)]

    world = _run(saga({"id": "all", "parallel": branches}, act("end")), {"end": no()})

    assert len(world.report()["undone"]) == 2000


@pytest.mark.parametrize("order", ["reverse", "parallel"])
def test_no_more_calls_are_in_flight_than_the_server_bears(order: str) -> None:
    """R51: 2,000 pending activities block a run for ever; the others wait for their turn, on the way back too."""
    loop = {"id": "l", "for_each": {"items": "input", "max_concurrency": "unlimited"}, "steps": [act("x")]}

    world = _run(saga(loop, act("end"), compensation={"order": order}), {"end": no()}, list(range(4000)))

    running = most = 0
    for event in world.events:
        running += {"start": 1, "end": -1}.get(event.what, 0)
        most = max(most, running)
    assert most == IN_FLIGHT
    assert len(world.report()["undone"]) == 4000


def test_a_long_chain_of_needs_costs_no_stack() -> None:
    """R10: a thousand branches that wait for each other, written in the wrong order."""
    branches = [plain(f"b{index}", needs=[f"b{index - 1}"] if index else []) for index in range(1000)]

    world = _run(saga({"id": "all", "parallel": branches[::-1]}))

    starts = [event.call for event in world.events if event.what == "start"]
    assert starts == [f"all/b{index}" for index in range(1000)]


def test_thirty_blocks_deep() -> None:
    """Through all of them to the root and back."""
    step: dict[str, Any] = act("leaf")
    for depth in range(30):
        step = {"id": f"g{depth}", "steps": [act(f"a{depth}"), step]}

    world = _run(saga(step, act("end")), {"end": no()})

    assert len(world.report()["undone"]) == 31


def test_a_thousand_failures_at_once_give_one_failure_and_a_bounded_report() -> None:
    """R39, R52: each step keeps its own."""
    branches = [plain(f"b{index}") for index in range(1000)]
    block = {"id": "all", "parallel": branches, "on_branch_failure": "wait"}
    script = {f"b{index}": no(f"E{index}") for index in range(1000)}

    world = _run(saga(block), script)

    state = world.runs["saga-1"].state
    assert state.failure is not None
    assert state.failure.type == "E0"
    assert len(state.others) == 100
    assert state.records["all/b999"].error is not None


def test_a_fact_about_nothing_changes_nothing() -> None:
    """Every fact is legal in every state: an unknown call, a timer long gone, a saga that is over."""
    model, state = built(saga(act("a"))), State()
    decide(model, state, Began(0.0, "s", "r", None))
    before = restore(snapshot(state))

    assert decide(model, state, Settled(0.0, "nobody", Outcome.SUCCEEDED)) == []
    assert decide(model, state, TimerFired(0.0, "nobody")) == []
    assert state == before

    commands = decide(model, state, Settled(1.0, "a", Outcome.SUCCEEDED))
    assert isinstance(commands[-1], Close)
    closed = restore(snapshot(state))
    for fact in (
        Settled(2.0, "a", Outcome.FAILED),
        CancelRequested(2.0),
        SignalReceived(2.0, "go", 1),
        DrainRequested(2.0),
        BeganUndo(2.0, "r", {}, Error("E", "e")),
    ):
        assert decide(model, state, fact) == []
    assert state == closed


def test_the_same_facts_give_the_same_commands() -> None:
    """R48: nothing depends on sets, clocks or hashes."""
    program = (
        "from sagadsl.engine.snapshots import snapshot\n"
        "from tests.engine.scenes import act, no, play, saga\n"
        "block = {'id': 'all', 'parallel': [act(f'b{i}') for i in range(20)], 'on_branch_failure': 'wait'}\n"
        "ran = play(saga(block, compensation={'order': 'parallel'}), {'b7': no(), 'b3': no()})\n"
        "print([(e.at, e.what, e.call) for e in ran.world.events], ran.report, snapshot(ran.state))\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1", "42")
    }

    assert len(printed) == 1
    assert "b7" in printed.pop()


def test_starting_a_call_says_everything_a_host_needs() -> None:
    """R36, R49: with every expression computed."""
    step = plain(
        "a",
        description="take the money",
        input={"n": 1},
        task_queue="{{ input.queue }}",
        timeouts={"start_to_close": "{{ input.limit }}", "heartbeat": "5s"},
        retry={"maximum_attempts": "unlimited", "non_retryable_error_types": ["Bad"]},
        local=True,
        priority={"value": "input.urgency", "at_most": 5},
        fairness_key="{{ input.queue }}",
        fairness_weight="{{ input.urgency * 2 }}",
    )
    model, state = built(saga(step)), State()

    (command,) = decide(model, state, Began(0.0, "s", "r", {"queue": "q", "limit": "90s", "urgency": 2}))

    assert isinstance(command, StartActivity)
    assert (command.fairness_key, command.fairness_weight) == ("q", 4.0)
    assert (command.call_id, command.activity, command.arguments) == ("a", "do.a", ({"n": 1},))
    assert (command.task_queue, command.local, command.priority, command.summary) == ("q", True, 2, "take the money")
    assert (str(command.start_to_close), str(command.heartbeat), command.schedule_to_close) == (
        "0:01:30",
        "0:00:05",
        None,
    )
    assert (command.retry.maximum_attempts, command.retry.non_retryable_error_types) == (None, ("Bad",))


@pytest.mark.parametrize("weight", [0, 0.0009, -1, 1000.1, True, "5", None])
def test_a_weight_that_the_server_would_refuse_fails_the_step_before_it_begins(weight: Any) -> None:
    """R56: the server would refuse the call again and again."""
    ran = play(saga(act("a"), act("b", fairness_weight="{{ input.weight }}")), input_={"weight": weight})

    assert (ran.why, ran.calls) == (("ExpressionError", "b"), ["a", "a.compensation"])
    assert ran.failure is not None
    assert "`fairness_weight` must be a number from 0.001 to 1000" in ran.failure.message


def _sums(rows: int, **more: Any) -> tuple[Any, dict[str, Any]]:
    """Return a loop over rows that adds all of them up in each round, and its input."""
    total = {"id": "total", "set": {"n": "{{ input.rows | map(attribute='n') | sum }}"}}
    loop = {"id": "l", "for_each": {"items": "input.rows"}, "steps": [total]}
    return build(saga(act("a"), loop, **more)), {"rows": [{"n": 1}] * rows}


def test_much_work_is_done_in_parts_between_which_the_host_may_rest() -> None:
    """N15, R56: a workflow that computes for two seconds is taken for dead; the end is the same."""
    model, input_ = _sums(1000, output="{{ steps.l.output[999].total.n }}")
    state = State()
    (begun,) = parts(model, state, Began(0.0, "s", "r", input_))
    assert begun.is_last

    done = list(parts(model, state, Settled(1.0, "a", Outcome.SUCCEEDED)))

    assert [part.is_last for part in done] == [False] * (len(done) - 1) + [True]
    assert len(done) > 5
    assert all(part.work < 2 * PART_WORK for part in done)
    assert done[-1].commands == [Close(Status.COMPLETED, 1000)]


def test_more_work_than_a_worker_bears_is_an_error_of_the_saga_which_is_undone() -> None:
    """N15, R56: and its compensation, which has work of its own, runs."""
    model, input_ = _sums(4000)

    world = World()
    world.start(model, input_)
    world.run()

    report = world.report()
    assert (report["status"], report["undone"], report["failure"]["type"]) == ("compensated", ["a"], "ExpressionError")
    assert "computes too much before it waits" in report["failure"]["message"]
    assert report["failed_step"].startswith("l[")


def test_a_run_of_the_first_rules_takes_no_rest() -> None:
    """It had none, and replays."""
    model, input_ = _sums(1000)
    state = State(rules=1)
    list(parts(model, state, Began(0.0, "s", "r", input_)))

    (all_of_it,) = parts(model, state, Settled(1.0, "a", Outcome.SUCCEEDED))

    assert all_of_it.work > 5 * PART_WORK
