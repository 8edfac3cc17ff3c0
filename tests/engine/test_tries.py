"""Blocks and child sagas that are tried again, and their limits: what the conformance suite cannot show."""

from __future__ import annotations

from typing import Any

from sagadsl.engine.facts import CancelRequested, DrainRequested, StartActivity, Status
from sagadsl.engine.projection import current
from sagadsl.virtual.calls import Attempt
from sagadsl.virtual.world import Participant, World
from tests.engine.scenes import act, built, gives, no, plain, play, saga, scripted, slow

CHILD = saga(act("x"), act("y"), name="child")


def _with_child(participant: Participant, **more: Any) -> World:
    world = World(participant, sagas={"child": built(CHILD)})
    world.start(built(saga({"id": "k", "saga": "child", "compensation": "auto", **more}, plain("last"))))
    world.run()
    return world


def _children(world: World) -> list[tuple[str, Status]]:
    return [(saga_id, current(run.state)) for saga_id, run in world.runs.items() if "/" in saga_id]


def test_a_child_saga_is_tried_again_under_an_id_of_its_own() -> None:
    """R92, R49: the first child has undone itself; the keys of the second begin with its own id."""

    def refuses_once(saga_id: str, command: StartActivity, _attempt: int) -> Attempt:
        return no() if command.call_id == "y" and saga_id.endswith("/k") else Attempt()

    world = _with_child(refuses_once, retry={"maximum_attempts": 2})

    first, second = _children(world)
    assert (first[0].rpartition("/")[2], first[1]) == ("k", Status.COMPENSATED)
    assert (second[0].rpartition("/")[2], second[1]) == ("k@2#2", Status.COMPLETED)
    assert world.report()["status"] == "completed"


def test_a_child_saga_whose_time_is_over_undoes_itself_and_fails() -> None:
    """R93."""
    world = _with_child(scripted({"y": Attempt(takes=60)}), timeout="5s")

    assert [status for _, status in _children(world)] == [Status.CANCELLED]
    assert world.report()["failure"]["type"] == "StepTimeout"


def test_a_round_that_was_packed_is_undone_before_the_next_try_and_has_new_keys() -> None:
    """R92, R50: what the block did lies in chunks, since the run has gone on in new ones."""
    loop = {"id": "l", "for_each": {"items": "input"}, "steps": [act("a"), act("b")]}
    block = {"id": "g", "retry": {"maximum_attempts": 2}, "steps": [loop, act("c")]}

    ran = play(
        saga(block),
        {"g/c": no(), "g/c@2#2": gives(1)},
        *((second / 3, DrainRequested) for second in range(1, 60)),
        input_=list(range(8)),
    )

    assert len(ran.events("continue_as_new")) > 5
    undone = [call for call in ran.calls if call.endswith(".compensation")]
    assert len(undone) == 16
    assert undone[0] == "g/l[7]/b.compensation"
    assert ran.status == "completed"
    assert "g/l[0]/a@2#2" in ran.calls
    assert ran.report["undone"] == []


def test_a_cancel_while_a_failed_try_is_undone_waits_for_that_and_ends() -> None:
    """R92, R25, R27."""
    block = {"id": "g", "retry": {"maximum_attempts": 2}, "steps": [act("a"), act("b")]}
    slow = {"g/b": no(), "g/a.compensation": Attempt(takes=5)}

    ran = play(saga(block), slow, (2.0, CancelRequested))

    assert ran.status == "cancelled"
    assert ran.calls == ["g/a", "g/b", "g/a.compensation"]


def test_the_status_tells_of_the_next_try_and_of_the_limit() -> None:
    """R60."""
    block = {"id": "g", "timeout": "1h", "retry": {"maximum_attempts": 2, "initial_interval": "1m"}}
    definition = saga({**block, "steps": [act("a")]})

    before = play(definition, {"g/a": no()}, until=0.05).now["steps"][0]
    after = play(definition, {"g/a": no()}, until=30.0).now["steps"][0]

    assert before["limit_at"].endswith("23:13:20.000Z")
    assert (after["tries"], after["next_try_at"][-13:], after["error"]["type"]) == (2, "22:14:20.100Z", "Refused")


def test_a_pivot_that_its_probe_denies_is_tried_again_with_its_block() -> None:
    """R92, R43: the probe is no effect that a try has left behind."""
    pivot = act("pay", pivot=True, probe={"activity": "was.paid", "retry": "none"})
    block = {"id": "g", "timeout": "5s", "retry": {"maximum_attempts": 2}, "steps": [act("a"), pivot]}
    ran = play(saga(block), {"g/pay": slow(100), "g/pay@2#2": gives({}), "was.paid": gives(False)})

    assert ran.status == "completed"
    assert ran.calls == ["g/a", "g/pay", "g/pay.probe", "g/a.compensation", "g/a@2#2", "g/pay@2#2"]
