"""What lies behind a step, and a stopped saga that goes back to one: `redrive --from`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sagadsl.engine.behind import behind
from sagadsl.engine.facts import How, Inherited
from sagadsl.engine.journal import Phase
from sagadsl.engine.redrive_plan import plan
from sagadsl.engine.redriven import refusal
from tests.engine.invariants import check
from tests.engine.scenes import ID, Script, act, lost, no, plain, saga
from tests.engine.test_redriven import STOP, Scene

BAD = plain("bad", on_error=STOP)
TREE = saga(
    act("a"),
    {"id": "g", "steps": [act("c"), act("d")]},
    {"id": "s", "switch": [{"if": "{{ true }}", "steps": [act("e"), act("f")]}]},
    {"id": "p", "parallel": [act("x"), act("y", needs=["x"])]},
    {"id": "l", "for_each": {"items": "{{ [1, 2] }}", "as": "n"}, "steps": [act("z")]},
    BAD,
    act("b"),
)


def stopped(definition: Mapping[str, Any], script: Script | None = None) -> Scene:
    scene = Scene(definition, {"do.bad": no(), **(script or {})})
    scene.world.run()
    assert scene.status == "failed"
    return scene


def goes_back(definition: Mapping[str, Any], to: str, then: Script | None = None) -> tuple[Scene, list[str]]:
    """Play a saga that stops, let it go back, and return the calls of its second run."""
    scene = stopped(definition)
    before = len(scene.starts())
    scene.mend(then or {})
    scene.run = scene.world.take_up(How.FORWARD, verb="redrive", to=to)
    scene.world.run()
    return scene, scene.starts()[before:]


BACK: Mapping[str, list[str]] = {
    "bad": ["bad@2#2", "b"],
    "l": [
        *("l[1]/z.compensation", "l[0]/z.compensation"),
        *("l[0]/z@2#2", "l[1]/z@2#2", "bad@2#2", "b"),
    ],
    "p": [
        *("l[1]/z.compensation", "l[0]/z.compensation", "p/y.compensation", "p/x.compensation"),
        *("p/x@2#2", "p/y@2#2", "l[0]/z@2#2", "l[1]/z@2#2", "bad@2#2", "b"),
    ],
    "s/f": [
        *("l[1]/z.compensation", "l[0]/z.compensation", "p/y.compensation", "p/x.compensation", "s/f.compensation"),
        *("s/f@2#2", "p/x@2#2", "p/y@2#2", "l[0]/z@2#2", "l[1]/z@2#2", "bad@2#2", "b"),
    ],
    "g/c": [
        *("l[1]/z.compensation", "l[0]/z.compensation", "p/y.compensation", "p/x.compensation", "s/f.compensation"),
        *("s/e.compensation", "g/d.compensation", "g/c.compensation"),
        *("g/c@2#2", "g/d@2#2", "s/e@2#2", "s/f@2#2", "p/x@2#2", "p/y@2#2", "l[0]/z@2#2", "l[1]/z@2#2", "bad@2#2", "b"),
    ],
}


@pytest.mark.parametrize("to", BACK)
def test_a_stopped_saga_goes_back_to_a_step_and_on_from_it(to: str) -> None:
    """R80: what lies behind the step is undone, the newest first, and is done once more with new keys."""
    scene, calls = goes_back(TREE, to)
    assert calls == BACK[to]
    check(scene.world.events, ID, scene.run)
    assert scene.status == "completed"
    assert scene.run.state.failure is None


def test_a_second_time_has_keys_of_its_own_and_a_third_too() -> None:
    """R80, R49: the effect of the old key was undone, so a participant has to do it again."""
    scene = stopped(saga(act("a"), act("c"), BAD))
    for number in (2, 3):
        scene.run = scene.world.take_up(How.FORWARD, verb="redrive", to="c")
        scene.world.run()
        assert scene.status == "failed"
        assert f"c@{number}#{number}" in scene.starts()
    assert [each for each in scene.starts() if each.endswith(".compensation")] == ["c.compensation", "c@2.compensation"]
    scene.end(verb="redrive")
    assert scene.starts()[-2:] == ["c@3.compensation", "a.compensation"]


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("nobody", "no step `nobody` has begun"),
        ("b", "no step `b` has begun"),
        ("p/y", "a branch of `p`"),
        ("l[1]/z", "a round of `l`"),
    ],
)
def test_a_step_that_does_not_stand_in_a_row_is_refused(to: str, why: str) -> None:
    """R80."""
    scene = stopped(TREE)
    assert why in (refusal(scene.run.saga, scene.run.state, How.FORWARD, killed=False, to=to) or "")


NOT_BACK: Mapping[str, tuple[dict[str, Any], str, str]] = {
    "pivot": (saga(act("a"), act("c", pivot=True, compensation=...), BAD), "a", "pivot `c` has passed"),
    "behind the pivot": (
        saga(act("a", pivot=True, compensation=...), act("c"), BAD),
        "c",
        "its pivot has passed, and nothing is undone behind it",
    ),
    "no compensation": (saga(act("a"), act("c", compensation=...), BAD), "a", "`c` has happened, and it has no comp"),
    "undone": (saga(act("a"), act("c"), plain("bad")), "c", "it can only begin anew"),
    "on_failure": (saga(act("a"), BAD, on_failure=[plain("t")]), "t", "`on_failure`"),
    "a handler": (
        saga(act("a"), plain("bad", on_error=[{"steps": [act("h")], "then": "stop"}])),
        "h",
        "go back to `bad`",
    ),
}


@pytest.mark.parametrize("what", NOT_BACK)
def test_a_saga_does_not_go_back_over_what_cannot_be_undone(what: str) -> None:
    """R80, R43: the reason is said, and nothing happens."""
    definition, to, why = NOT_BACK[what]
    scene = Scene(definition, {"bad": no()})
    scene.world.run()
    assert why in (refusal(scene.run.saga, scene.run.state, How.FORWARD, killed=False, to=to) or "")


def test_what_may_have_happened_is_undone_too_and_what_was_refused_is_not() -> None:
    """R3, R5, R80."""
    definition = saga(
        act("a"), act("c", on_error=[{"then": "continue"}]), act("d", on_error=[{"then": "continue"}]), BAD
    )
    scene = Scene(definition, {"bad": no(), "c": no(), "d": lost()})
    scene.world.run()
    found = behind(scene.run.saga, scene.run.state, "c")
    assert found.undo == ("d",)
    assert not found.reasons


def test_a_saga_that_cannot_undo_what_lies_behind_fails_and_is_undone_by_a_redrive() -> None:
    """R80, R45: never forwards over something that was left."""
    definition = saga(act("a"), act("c"), act("d"), BAD, compensation={"on_failure": "continue"})
    scene, calls = goes_back(definition, "c", {"c.compensation": no()})
    assert calls == ["d.compensation", "c.compensation"]
    assert scene.status == "failed"
    assert "undone" in (refusal(scene.run.saga, scene.run.state, How.FORWARD, killed=False) or "")
    scene.mend({})
    scene.end(verb="redrive")
    assert scene.starts()[-2:] == ["c.compensation", "a.compensation"]
    assert scene.status == "compensated"


def test_a_cancel_while_the_saga_goes_back_undoes_all_of_it() -> None:
    """R25, R80."""
    for order in ("reverse", "parallel"):
        scene = stopped(saga(act("a"), act("c"), act("d"), BAD, compensation={"order": order}))
        scene.run = scene.world.take_up(How.FORWARD, verb="redrive", to="c")
        assert scene.run.state.phase is Phase.COMPENSATING
        scene.world.cancel_at(0.05 + scene.world.now - scene.world.begin)
        scene.world.run()
        check(scene.world.events, ID, scene.run)
        assert scene.starts()[-3:] == ["d.compensation", "c.compensation", "a.compensation"]
        assert scene.run.close is not None
        assert scene.status in ("compensated", "cancelled")


@pytest.mark.parametrize("how", How)
def test_a_saga_that_is_killed_while_it_goes_back_is_recovered(how: How) -> None:
    """R31, R80: forwards it goes on going back; else all of it is undone."""
    definition = saga(act("a"), act("c"), act("d"), BAD)
    for killed in range(1, 3):
        scene = stopped(definition)
        scene.mend({})
        scene._left = killed + 1
        scene.run = scene.world.take_up(How.FORWARD, verb="redrive", to="c")
        scene.world.run()
        scene.run, scene._left = scene.world.runs[ID], None
        assert scene.run.killed
        scene.end(how)
        check(scene.world.events, ID, scene.run)
        assert scene.status == ("compensated" if how is How.UNDO else "completed")


def test_the_plan_shows_what_is_undone_before_and_where_the_saga_goes_on() -> None:
    """R80: nothing has changed after it."""
    scene = stopped(saga(act("a"), act("c"), act("d"), BAD, act("b")))
    first = Inherited(scene.world.now, "", How.FORWARD, "redrive", to="c")
    found = plan(scene.run.saga, scene.run.state, first, (), ())
    assert [each.call for each in found.calls] == ["d.compensation", "c.compensation", "c@2#2"]
    assert found.kept == ("a",)
    assert found.then == ("d", "bad", "b")
