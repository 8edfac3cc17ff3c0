"""An open saga goes back to a step: `reset --to`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sagadsl.engine import migration
from sagadsl.engine.facts import HistoryFull, How, Verb
from sagadsl.engine.operator import refusal
from sagadsl.engine.projection import current
from sagadsl.engine.resetting import plan
from sagadsl.engine.snapshots import snapshot
from sagadsl.virtual.world import World
from tests.engine.invariants import check
from tests.engine.scenes import (
    ID,
    Script,
    act,
    beats,
    built,
    lost,
    no,
    operator,
    plain,
    play,
    saga,
    scripted,
    signal,
    slow,
)
from tests.engine.test_behind import TREE

WAIT = {"id": "approval", "wait_for": {"signal": "approved"}}
ABC = saga(act("a"), act("b"), act("c"), WAIT, act("d"))


def at_rest(definition: Mapping[str, Any], script: Script | None = None, until: float = 5.0) -> Any:
    """Return a run after some seconds."""
    world = World(scripted(script or {}))
    run = world.start(built(definition))
    world.run(until)
    return run


def test_a_saga_that_waits_goes_back_and_on_from_the_step_with_new_keys() -> None:
    """R81, R10, R49: what lies behind is undone, the newest first; the wait begins anew."""
    ran = play(ABC, {}, operator(5, Verb.RESET, "b"), signal(9, "approved"))
    assert ran.calls == ["a", "b", "c", "c.compensation", "b.compensation", "b@2#2", "c@2#2", "d"]
    assert ran.status == "completed"
    assert ran.sent("b.compensation") == {"key": f"{ID}/b/do"}
    assert [(each["verb"], each["path"], each["by"]) for each in ran.now["actions"]] == [("reset", "b", "ann")]
    assert ran.failure is None


def test_what_was_done_once_more_is_undone_with_its_own_key_when_the_saga_fails_later() -> None:
    """R81, R1."""
    ran = play(ABC, {"d": no()}, operator(5, Verb.RESET, "c"), signal(9, "approved"))
    assert ran.calls[-4:] == ["d", "c@2.compensation", "b.compensation", "a.compensation"]
    assert ran.sent("c@2.compensation") == {"key": f"{ID}/c@2/do"}
    assert ran.report["undone"] == ["c", "b", "a"]
    assert ran.status == "compensated"


def test_a_call_in_flight_is_stopped_and_settles_before_anything_is_undone() -> None:
    """R12, R81: whether it has happened or not."""
    definition = saga(act("a"), beats("b"), act("c"))
    for script, undone in (({"b": slow(60)}, ["b.compensation", "a.compensation"]), ({"c": slow(60)}, None)):
        ran = play(definition, script, operator(3, Verb.RESET, "a"))
        assert ran.status == "completed"
        if undone is not None:
            assert ran.calls == ["a", "b", *undone, "a@2#2", "b@2#2", "c"]


def test_every_kind_of_block_is_gone_back_over() -> None:
    """R80, R81."""
    definition = saga(*TREE["steps"][:-2], WAIT)
    ran = play(definition, {}, operator(9, Verb.RESET, "s/f"), signal(20, "approved"))
    over = ["l[1]/z", "l[0]/z", "p/y", "p/x", "s/f"]
    again = ["s/f@2#2", "p/x@2#2", "p/y@2#2", "l[0]/z@2#2", "l[1]/z@2#2"]
    assert ran.calls[-10:] == [*(f"{each}.compensation" for each in over), *again]
    assert ran.status == "completed"


def test_a_step_that_waits_for_a_decision_is_left_when_the_saga_goes_back() -> None:
    """R22, R81."""
    definition = saga(act("a"), act("b", on_error="pause"), act("c"))
    ran = play(definition, {"b": no(), "b@2#2": slow(1)}, operator(5, Verb.RESET, "a"))
    assert ran.calls == ["a", "b", "a.compensation", "a@2#2", "b@2#2", "c"]
    assert ran.status == "completed"


def test_a_paused_saga_goes_back_when_it_is_resumed() -> None:
    """R22, R81."""
    meddling = (operator(4, Verb.PAUSE), operator(5, Verb.RESET, "b"))
    assert play(ABC, {}, *meddling).calls == ["a", "b", "c"]
    ran = play(ABC, {}, *meddling, operator(7, Verb.RESUME), signal(20, "approved"))
    assert ran.at("start", "c.compensation") == 7
    assert ran.status == "completed"


def test_the_timeout_of_the_saga_begins_anew() -> None:
    """R81: who lets it go on wants it to have its time."""
    ran = play({**ABC, "timeout": "10s"}, {}, operator(8, Verb.RESET, "b"), signal(15, "approved"))
    assert ran.status == "completed"
    late = play({**ABC, "timeout": "10s"}, {}, operator(8, Verb.RESET, "b"))
    assert late.why == ("SagaTimeout", "")
    assert late.report["undone"] == ["c", "b", "a"]


@pytest.mark.parametrize("order", ["reverse", "parallel"])
def test_a_cancel_on_the_way_back_undoes_the_whole_saga(order: str) -> None:
    """R25, R81: while calls settle, and while what lies behind is undone."""
    definition = {**saga(act("a"), act("b"), beats("c")), "compensation": {"order": order}}
    for at in (5.0, 5.05, 5.15):
        for script in ({"c": slow(60)}, {"c": slow(60), "undo.b": slow(1)}):
            ran = play(definition, script, operator(5, Verb.RESET, "b"), cancel_at=at)
            assert ran.status == "cancelled"
            assert ran.report["undone"] == ["c", "b", "a"]
    slowly = play(saga(act("a"), act("b"), act("c")), {"c": slow(60)}, operator(5, Verb.RESET, "b"), cancel_at=9)
    assert slowly.status == "cancelled"
    assert slowly.why == ("cancelled", "")


def test_a_saga_that_cannot_undo_what_lies_behind_does_not_go_on() -> None:
    """R80, R20: it has failed, and says what it has left."""
    definition = {**ABC, "compensation": {"on_failure": "continue"}}
    ran = play(definition, {"undo.b": no()}, operator(5, Verb.RESET, "b"))
    assert ran.status == "failed"
    assert ran.why == ("CompensationFailed", "b")
    assert [each["path"] for each in ran.report["not_undone"]] == ["b"]
    assert ran.report["not_attempted"] == ["a"]
    waits = play(ABC, {"undo.b": [no()], "b.compensation#2": slow(1)}, operator(5, Verb.RESET, "b"),
                 operator(9, Verb.RETRY_STEP, "b.compensation"), signal(20, "approved"))  # fmt: skip
    assert waits.status == "completed"


def test_behind_the_pivot_a_saga_goes_back_over_what_needs_no_undo_and_a_cancel_comes_too_late() -> None:
    """R30, R43, R81."""
    definition = saga(act("a"), act("p", pivot=True, compensation=...), plain("tell"), WAIT, plain("end"))
    ran = play(definition, {}, operator(5, Verb.RESET, "tell"), signal(9, "approved"))
    assert ran.calls == ["a", "p", "tell", "tell@2#2", "end"]
    slow_tell = {"tell": slow(20), "tell@2#2": slow(1)}
    late = play(definition, slow_tell, operator(5, Verb.RESET, "tell"), signal(60, "approved"), cancel_at=8)
    assert late.status == "completed"
    assert late.calls == ["a", "p", "tell", "tell@2#2", "end"]


def test_a_history_that_becomes_full_on_the_way_back_ends_the_saga() -> None:
    """R51, R81."""
    definition = saga(act("a"), act("p", pivot=True, compensation=...), plain("tell"), plain("end"))
    full = (6.0, HistoryFull)
    ran = play(definition, {"tell": slow(20)}, operator(5, Verb.RESET, "tell"), full)
    assert (ran.status, ran.why[0]) == ("failed", "HistoryFull")
    before = play(saga(act("a"), act("b"), act("c")), {"c": slow(20)}, operator(5, Verb.RESET, "b"), full)
    assert (before.status, before.why[0]) == ("compensated", "HistoryFull")


NOT_BACK: Mapping[str, tuple[dict[str, Any], Script, str, str]] = {
    "no step": (ABC, {}, "d", "no step `d` has begun"),
    "a branch": (saga({"id": "p", "parallel": [act("x"), WAIT]}), {}, "p/x", "go back to `p`"),
    "the pivot": (saga(act("a"), act("p", pivot=True, compensation=...), WAIT), {}, "a", "its pivot `p` has passed"),
    "behind the pivot": (saga(act("p", pivot=True, compensation=...), act("b"), WAIT), {}, "b", "its pivot has passed"),
    "a pivot in flight": (saga(act("a"), act("p", pivot=True)), {"p": slow(9)}, "a", "nobody knows yet whether"),
    "no compensation": (saga(act("a"), act("b", compensation=...), WAIT), {}, "a", "`b` has happened, and it has no"),
    "in flight": (saga(act("a"), act("b", compensation=...)), {"b": slow(9)}, "a", "`b` may have happened, and it"),
    "undoing": (saga(act("a"), act("b")), {"b": no(), "undo.a": slow(9)}, "a", "it is being undone already"),
}


@pytest.mark.parametrize("what", NOT_BACK)
def test_a_saga_does_not_go_back_where_that_is_not_safe(what: str) -> None:
    """R80, R81: the reason is said, and nothing changes."""
    definition, script, to, why = NOT_BACK[what]
    run = at_rest(definition, script)
    before = snapshot(run.state)
    assert why in (refusal(run.state, Verb.RESET, to, saga=run.saga) or "")
    assert why in plan(run.saga, run.state, to).why
    assert snapshot(run.state) == before


def test_a_saga_that_goes_back_already_is_asked_in_vain() -> None:
    run = at_rest(ABC)
    world = World(scripted({"undo.c": slow(60)}))
    run = world.start(built(ABC))
    world.at(*operator(3, Verb.RESET, "b"))
    world.run(5)
    assert refusal(run.state, Verb.RESET, "c", saga=run.saga) == "it goes back to `b` already"


def test_the_plan_says_what_is_stopped_undone_and_done_again() -> None:
    """R81: the newest is undone first; what runs is undone if it has happened."""
    run = at_rest(saga(act("a"), act("b"), {"id": "p", "parallel": [act("x"), act("y")]}), {"y": slow(60)})
    found = plan(run.saga, run.state, "b")
    assert found.as_json() == {
        "to": "b",
        "why": "",
        "stops": ["p/y"],
        "undo": ["p/y", "p/x", "b"],
        "again": ["b", "p", "p/x", "p/y"],
    }


def test_a_saga_goes_back_again_and_again() -> None:
    """R49, R81: each time has keys of its own."""
    ran = play(ABC, {}, operator(5, Verb.RESET, "c"), operator(8, Verb.RESET, "b"), signal(20, "approved"))
    assert ran.calls == [
        *("a", "b", "c", "c.compensation", "c@2#2"),
        *("c@2.compensation", "b.compensation", "b@2#2", "c@3#3", "d"),
    ]


def test_a_call_of_which_nobody_hears_again_is_undone_before_the_saga_goes_on() -> None:
    """R5, R81."""
    definition = saga(act("a"), act("b", timeouts={"start_to_close": "30s"}))
    world = World(scripted({"b": [lost()], "b@2#2": slow(1)}))
    run = world.start(built(definition))
    world.at(*operator(3, Verb.RESET, "b"))
    world.run()
    check(world.events, ID, run)
    assert [each.call for each in world.events if each.what == "start"] == ["a", "b", "b.compensation", "b@2#2"]


def test_a_pivot_that_has_passed_counts_also_when_its_repetition_has_failed() -> None:
    """R43, R81: an operator had its block repeated, and left it out then."""
    group = {"id": "g", "steps": [act("p", pivot=True, compensation=...)], "output": "{{ nothing.at.all }}"}
    world = World(scripted({"g/p#2": no()}))
    run = world.start(built(saga(group, WAIT)))
    for at, verb, path in ((3.0, Verb.RETRY_STEP, "g"), (6.0, Verb.SKIP_STEP, "g/p")):
        world.at(*operator(at, verb, path))
    world.run(8.0)
    assert "its pivot `g/p` has passed" in (refusal(run.state, Verb.RESET, "g/p", saga=run.saga) or "")


def test_a_run_that_is_killed_on_the_way_back_is_undone_wholly_or_goes_on_back() -> None:
    """R31, R81: undone, it says how it was ended; forwards, it goes on going back."""
    for how, status in ((How.UNDO, "compensated"), (How.FORWARD, "running")):
        world = World(scripted({"undo.c": slow(60)}))
        world.start(built(ABC))
        world.at(*operator(3, Verb.RESET, "b"))
        world.run(5.0)
        world.kill(ID)
        run = world.take_up(how, ID)
        world.run(200.0)
        check(world.events, ID, run)
        assert current(run.state).value == status
        assert (run.state.failure is None) is (how is How.FORWARD)
        assert ("b@2#2" in [each.call for each in world.events]) is (how is How.FORWARD)


def test_a_saga_that_goes_back_does_not_migrate_meanwhile_nor_the_other_way_round() -> None:
    """R70, R81: each of them judges a saga that stands still."""
    newer = built(saga(act("new"), act("a"), act("b"), act("c"), WAIT, act("d"), version="2"))
    world = World(scripted({"undo.c": slow(60)}))
    run = world.start(built(ABC))
    world.at(*operator(3, Verb.RESET, "b"))
    world.run(5.0)
    assert migration.refusal(run.saga, run.state, newer.digest) == "it goes back to `b`: wait until it has"
    busy = at_rest(saga(act("a"), act("b")), {"b": slow(60)})
    busy.state.migrating = newer.digest
    assert "another definition" in (refusal(busy.state, Verb.RESET, "a", saga=busy.saga) or "")


def test_a_saga_that_has_migrated_goes_back_over_what_the_old_definition_has_promised() -> None:
    """R72, R80."""
    undo = {"activity": "undo.new", "retry": "none"}
    newer = saga(act("a"), act("b", compensation=undo), act("c"), WAIT, act("new"), act("d"), version="2")
    seen: dict[str, Any] = {}
    world = World(scripted({"d": no()}, seen))
    run = world.start(built(ABC))
    world.clock.later(4.0, lambda: world.migrate(built(newer)))
    world.at(*operator(6, Verb.RESET, "b"))
    world.at(*signal(9, "approved"))
    world.run()
    check(world.events, ID, run)
    assert seen["b.compensation"].activity == "undo.b"
    assert seen["b@2.compensation"].activity == "undo.new"
    begun = [each.call for each in world.events if each.what == "start"]
    assert begun[-4:] == ["new.compensation", "c@2.compensation", "b@2.compensation", "a.compensation"]
    assert run.close is not None
    assert run.close.status.value == "compensated"
