from __future__ import annotations

import pytest

from sagadsl.engine.facts import StartActivity, Status
from sagadsl.engine.keys import (
    MAX_ID,
    activity_id,
    call_of_activity,
    call_of_child,
    caller_of,
    child_id,
    forward_key,
    is_compensation,
    key_of_activity_id,
    step_key_of_activity_id,
    step_of_activity_id,
    undo_key,
)
from sagadsl.virtual.calls import Attempt
from sagadsl.virtual.world import World
from tests.engine.invariants import check
from tests.engine.scenes import act, built, no, plain, saga


@pytest.mark.parametrize(
    ("activity_id", "key", "step"),
    [
        ("withdraw", "s-1/withdraw/do", "withdraw"),
        ("book/flight", "s-1/book/flight/do", "book/flight"),
        ("lines[3]/reserve", "s-1/lines[3]/reserve/do", "lines[3]/reserve"),
        ("withdraw#2", "s-1/withdraw/do", "withdraw"),
        ("withdraw.probe", "s-1/withdraw/do", "withdraw"),
        ("withdraw.probe#2", "s-1/withdraw/do", "withdraw"),
        ("withdraw.compensation", "s-1/withdraw/undo", "withdraw"),
        ("withdraw.compensation[0]", "s-1/withdraw/undo[0]", "withdraw"),
        ("lines[3]/reserve.compensation[12]#3", "s-1/lines[3]/reserve/undo[12]", "lines[3]/reserve"),
        ("deposit.on_error/tell", "s-1/deposit.on_error/tell/do", "deposit.on_error/tell"),
        ("deposit.on_error/tell.compensation", "s-1/deposit.on_error/tell/undo", "deposit.on_error/tell"),
    ],
)
def test_a_key_is_who_which_step_and_do_or_undo(activity_id: str, key: str, step: str) -> None:
    """R49: the same however often the call is repeated."""
    assert key_of_activity_id("s-1", activity_id) == key
    assert step_of_activity_id(activity_id) == step
    assert is_compensation(activity_id) == ("/undo" in key)


def test_both_ways_to_a_key_agree() -> None:
    """R49: the engine builds keys from paths, the worker from activity ids."""
    assert forward_key("s", "a/b") == key_of_activity_id("s", "a/b")
    assert undo_key("s", "a/b") == key_of_activity_id("s", "a/b.compensation")
    assert undo_key("s", "a/b", 1) == key_of_activity_id("s", "a/b.compensation[1]")


@pytest.mark.parametrize("call", ["hotel", "book/hotel", "lines[3]/hotel#2", "hotel.compensation[1]"])
@pytest.mark.parametrize("parent", ["trip-7", "trip/7", "é" * 90, "x" * 255, "x~0123456789ab/" * 20])
def test_a_childs_id_fits_every_database_and_tells_its_call(parent: str, call: str) -> None:
    """B1: it is the parent's and the call's, shortened where they would be too long together."""
    found = child_id(parent, call)

    assert len(found.encode()) <= MAX_ID
    assert call_of_child(parent, found) == call
    assert (found == f"{parent}/{call}") == (len(f"{parent}/{call}".encode()) <= MAX_ID)
    assert child_id(parent, call, cut=False) == f"{parent}/{call}"


def test_children_at_any_depth_have_ids_of_their_own() -> None:
    """B1: 21 deep under an id of 23 characters, and two whose ends alone differ, or alone are the same."""
    saga, seen = "order-1234567890-abcdef", set()
    for _ in range(21):
        seen |= {child_id(saga, "a_step_with_a_name/kid"), child_id(saga, "another_step_with_a_name/kid")}
        saga = child_id(saga, "a_step_with_a_name/kid")
        assert len(saga.encode()) <= MAX_ID

    assert len(seen) == 42
    assert child_id("x" * 250 + "1", "kid") != child_id("x" * 250 + "2", "kid")


def test_of_a_path_that_is_too_long_its_end_stays() -> None:
    call = "/".join(f"a_group_number_{number}" for number in range(20))
    found = child_id("trip-7", call)

    assert len(found.encode()) <= MAX_ID
    assert call_of_child("trip-7", found) == f"…{call[-200:]}"


@pytest.mark.parametrize("call", ["out", "book/flight", "lines[3]/take#2", "out.compensation", "out.compensation[1]#2"])
def test_a_run_that_begins_anew_has_keys_of_its_own(call: str) -> None:
    """R49: the token stands behind the id in keys, and behind the ids of activities, where workers read it."""
    anew = activity_id(call, "4f1c09a2be")

    assert anew == f"{call}~4f1c09a2be"
    assert call_of_activity(anew) == call_of_activity(call) == call
    assert key_of_activity_id("s-1", anew) == key_of_activity_id("s-1~4f1c09a2be", call)
    assert step_key_of_activity_id("s-1", anew) == step_key_of_activity_id("s-1~4f1c09a2be", call)
    assert step_of_activity_id(anew) == step_of_activity_id(call)
    assert is_compensation(anew) == is_compensation(call)


@pytest.mark.parametrize("parent", ["trip-7", "é" * 90, "x" * 255, "trip~7"])
def test_a_child_of_a_run_that_begins_anew_is_another_one_and_tells_its_call(parent: str) -> None:
    """R46, R49."""
    first, second = (child_id(caller_of(parent, token), "book/hotel") for token in ("", "4f1c09a2be"))

    assert first != second
    assert len(second.encode()) <= MAX_ID
    assert call_of_child(parent, first) == call_of_child(parent, second) == "book/hotel"


def test_virtual_time_begins_a_closed_saga_anew_with_other_keys() -> None:
    """R49: in calls, undos, children and theirs; what it has sent tells."""
    child = saga(act("c", input="{{ idempotency_key }}"), name="child")
    part = {"id": "part", "saga": "child", "compensation": "auto"}
    own = {"activity": "undo.a", "input": "{{ step.idempotency_key }} {{ idempotency_key }}"}
    sent: list[str] = []

    def act_out(saga_id: str, command: StartActivity, attempt: int) -> Attempt:
        sent.extend(map(str, command.arguments))
        return no() if command.call_id == "end" else Attempt()

    world = World(act_out, sagas={"child": built(child)})
    definition = built(saga(act("a", input="{{ idempotency_key }}", compensation=own), part, plain("end")))
    for number in range(2):
        run = world.start(definition)
        world.run()
        assert run.close is not None, number
        assert run.close.status is Status.COMPENSATED
        check(world.events, "saga-1", run)

    first, second = sent[: len(sent) // 2], sent[len(sent) // 2 :]
    assert first[0] == "saga-1/a/do"
    assert first[1] == "saga-1/part/c/do"
    assert first[-1] == "saga-1/a/do saga-1/a/undo"
    assert second == [each.replace("saga-1/", "saga-1~2/") for each in first]
