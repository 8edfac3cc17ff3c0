"""A new run takes up what a closed run has left: after a kill at any moment, and after an end that left something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sagadsl.engine.facts import How, Inherited
from sagadsl.engine.journal import Phase, State
from sagadsl.engine.projection import current
from sagadsl.engine.redrive_plan import plan
from sagadsl.engine.redriven import left_behind, refusal
from sagadsl.language.paths import Purpose, parse_call, step_id_in
from sagadsl.virtual.runs import VirtualRun
from sagadsl.virtual.world import World
from tests.engine.invariants import check
from tests.engine.scenes import ID, Script, act, built, gives, no, plain, saga, scripted, slow

CHILD = saga(act("x"), act("y"), name="child")
SHAPES: Mapping[str, dict[str, Any]] = {
    "sequence": saga(act("a"), act("b"), act("c")),
    "parallel": saga(
        {"id": "p", "parallel": [act("a"), act("b"), {"id": "g", "steps": [act("c"), act("d")]}]}, act("e")
    ),
    "loop": saga(
        {"id": "l", "for_each": {"items": "{{ [1, 2] }}", "as": "n"}, "steps": [act("a"), act("b")]}, act("c")
    ),
    "pivot": saga(act("a"), act("b", pivot=True, compensation="none", probe={"activity": "probe"}), plain("c")),
    "undoing": saga(act("a"), act("b"), act("c"), plain("bad")),
    "at once": saga(act("a"), act("b"), plain("bad"), compensation={"order": "parallel"}),
    "child": saga(act("a"), {"id": "k", "saga": "child", "compensation": "auto"}, act("b")),
    "handler": saga(act("a"), plain("bad", on_error=[{"steps": [act("h")], "then": "continue"}]), act("b")),
    "last words": saga(act("a"), plain("bad"), on_failure=[plain("tell")]),
}
SCRIPT: Script = {"bad": no(), "probe": gives(False)}


STOP = [{"then": "stop"}]


class Scene:
    """A saga in virtual time that is killed after a number of facts, as often as asked, and taken up each time."""

    def __init__(self, definition: Mapping[str, Any], script: Script = SCRIPT) -> None:
        self._left: int | None = None
        self._script = dict(script)
        self.world = World(scripted(self._script), sagas={"child": built(CHILD)}, after_fact=self._count)
        self.run: VirtualRun = self.world.start(built(definition))

    def _count(self, saga_id: str) -> None:
        if saga_id != ID or self._left is None:
            return
        self._left -= 1
        if self._left == 0 and self.world.runs[ID].close is None:
            self.world.kill()

    def until_killed(self, facts: int) -> bool:
        """Go on until the run has ended, or is killed after this number of facts."""
        self._left = facts
        self.world.run()
        self._left = None
        self.run = self.world.runs[ID]
        return self.run.killed

    def mend(self, script: Script) -> None:
        """Let the participants follow another script from now on."""
        self._script.clear()
        self._script.update(script)

    @property
    def status(self) -> str:
        return current(self.run.state).value

    def starts(self) -> list[str]:
        return [event.call for event in self.world.events if event.what == "start" and event.saga == ID]

    def take_up(self, how: How = How.UNDO, *, verb: str = "recover") -> None:
        self.run = self.world.take_up(how, verb=verb)

    def end(self, how: How = How.UNDO, *, verb: str = "recover") -> None:
        self.take_up(how, verb=verb)
        self.world.run()

    def is_undoable(self, step: tuple[str, str]) -> bool:
        """Whether a call has a compensation of its own; that of a child saga is in its own books."""
        run = self.world.runs[step[0]]
        compensation = run.saga.places[step_id_in(step[1])].step.compensation
        return compensation is not None and not compensation.auto

    def books(self) -> tuple[set[tuple[str, str]], list[tuple[str, str]]]:
        """Return which steps may have happened, and which were undone, by saga, in the participants' books."""
        tried: dict[tuple[str, str], str] = {}
        undone: list[tuple[str, str]] = []
        for event in self.world.events:
            if event.what not in ("attempt", "end") or event.call == "":
                continue
            call = parse_call(event.call)
            if call.undoes and (event.what, event.detail) == ("end", "succeeded"):
                undone.append((event.saga, call.step))
            elif call.purpose is Purpose.DO and (event.what == "attempt" or (event.saga, call.step) in tried):
                tried[event.saga, call.step] = event.detail if event.what == "end" else "unknown"
        return {step for step, how in tried.items() if how in ("unknown", "succeeded")}, undone


def moments(definition: Mapping[str, Any]) -> int:
    """Return how many facts a run of a definition takes in."""
    scene = Scene(definition)
    seen = 0
    while scene.until_killed(seen + 1):
        seen += 1
        scene = Scene(definition)
    return seen


@pytest.mark.parametrize("shape", SHAPES)
def test_a_run_that_is_killed_at_any_moment_is_undone_once(shape: str) -> None:
    """R31: whatever was in flight is unknown; what may have happened is undone, and nothing else."""
    definition = SHAPES[shape]
    assert moments(definition) >= 2
    for killed in range(1, moments(definition) + 1):
        scene = Scene(definition)
        assert scene.until_killed(killed)
        if refusal(scene.run.saga, scene.run.state, How.UNDO, killed=True) is not None:
            assert scene.run.state.pivot_passed
            continue
        scene.end()
        check(scene.world.events, ID, scene.run)
        assert scene.run.close is not None, killed
        happened, undone = scene.books()
        told = [step for step in undone if scene.is_undoable(step)]
        assert sorted(told) == sorted(step for step in happened if scene.is_undoable(step)), killed


@pytest.mark.parametrize("shape", SHAPES)
def test_a_run_that_is_killed_goes_on_forwards(shape: str) -> None:
    """R31, R49: what was in flight begins again under its key, and the saga ends as if nobody had killed it."""
    definition = SHAPES[shape]
    whole = Scene(definition)
    whole.world.run()
    assert whole.run.close is not None
    for killed in range(1, moments(definition) + 1):
        scene = Scene(definition)
        assert scene.until_killed(killed)
        state = scene.run.state
        how = How.FORWARD if state.phase is Phase.FORWARD else How.UNDO
        if refusal(scene.run.saga, state, how, killed=True) is not None:
            continue
        scene.end(how)
        assert scene.run.close is not None, killed
        if "k" in state.calls:  # the child saga was asked to stop by the server, and has undone itself
            continue
        assert scene.run.close.status is whole.run.close.status, killed


@pytest.mark.parametrize("is_pivot", [False, True])
def test_what_was_in_flight_and_then_fails_may_have_happened_the_first_time(is_pivot: bool) -> None:
    """R5, R31, R43: the first call may have had its effect, so it is undone, or the pivot's probe is asked."""
    pivot = {"pivot": True, "compensation": "none", "probe": {"activity": "probe"}} if is_pivot else {}
    scene = Scene(saga(act("a"), act("b", **pivot)), {"b": slow(5.0)})
    scene.world.run(until=1.0)
    scene.world.kill()
    scene.run = scene.world.runs[ID]
    scene.mend({"b": no(), "probe": gives(False)})
    scene.end(How.FORWARD)
    check(scene.world.events, ID, scene.run)
    assert scene.starts() == ["a", "b", "b", "b.probe" if is_pivot else "b.compensation", "a.compensation"]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_recovery_that_is_killed_is_recovered(shape: str) -> None:
    """R31: the newest run is always the one that is taken up, also when it was a recovery."""
    definition = SHAPES[shape]
    for killed in range(1, moments(definition) + 1):
        for again in (1, 2, 3):
            scene = Scene(definition)
            assert scene.until_killed(killed)
            if refusal(scene.run.saga, scene.run.state, How.UNDO, killed=True) is not None:
                continue
            scene._left = again
            scene.take_up()
            scene.world.run()
            scene.run = scene.world.runs[ID]
            if scene.run.killed:
                scene._left = None
                scene.end()
            check(scene.world.events, ID, scene.run)
            assert scene.run.close is not None, (killed, again)


@pytest.mark.parametrize("policy", ["continue", "stop"])
def test_a_saga_whose_undoing_failed_finishes_it(policy: str) -> None:
    """R45: what was left is undone with the keys of before; what was undone is not undone again."""
    definition = saga(act("a"), act("b"), act("c"), plain("bad"), compensation={"on_failure": policy})
    script = dict(SCRIPT) | {"b.compensation": [no(), no()]}
    scene = Scene(definition, script)
    scene.world.run()
    assert scene.status == "failed"
    left = left_behind(scene.run.saga, scene.run.state)
    assert left == (["b"] if policy == "continue" else ["b", "a"])
    del script["b.compensation"]
    scene.mend(script)
    found = plan(scene.run.saga, scene.run.state, Inherited(scene.world.now, "", How.UNDO, "redrive"), (), ())
    assert found.out_of_order == (("b",) if policy == "continue" else ())
    scene.end(verb="redrive")
    check(scene.world.events, ID, scene.run)
    assert scene.status == "compensated"
    undone = [event.call for event in scene.world.events if (event.what, event.detail) == ("end", "succeeded")]
    assert undone.count("c.compensation") == undone.count("b.compensation") == undone.count("a.compensation") == 1
    assert [action.verb for action in scene.run.state.actions] == ["redrive"]


@pytest.mark.parametrize("order", ["reverse", "parallel"])
def test_what_several_failed_compensations_have_left_is_undone_in_order(order: str) -> None:
    """R10, R45: among what is left, the newest comes first; the plan names what comes too late."""
    definition = saga(
        *(act(each) for each in "abcd"), plain("bad"), compensation={"on_failure": "continue", "order": order}
    )
    script = dict(SCRIPT) | {"b.compensation": no(), "d.compensation": no()}
    scene = Scene(definition, script)
    scene.world.run()
    scene.mend(SCRIPT)
    found = plan(scene.run.saga, scene.run.state, Inherited(scene.world.now, "", How.UNDO, "redrive"), (), ())
    assert [each.call for each in found.calls] == ["d.compensation", "b.compensation"]
    assert found.out_of_order == ("d", "b")
    scene.end(verb="redrive")
    check(scene.world.events, ID, scene.run)
    assert scene.starts()[-2:] == ["d.compensation", "b.compensation"]


def test_of_several_actions_only_those_that_failed_are_carried_out_again() -> None:
    """R13, R45: a compensation of three actions of which one failed."""
    undo = [{"activity": f"undo.{name}", "retry": "none"} for name in ("one", "two", "three")]
    definition = saga(act("a", compensation=undo), plain("bad"), compensation={"on_failure": "continue"})
    scene = Scene(definition, dict(SCRIPT) | {"undo.two": no()})
    scene.world.run()
    assert scene.status == "failed"
    scene.mend(SCRIPT)
    scene.end(verb="redrive")
    assert scene.status == "compensated"
    assert scene.starts().count("a.compensation[0]") == scene.starts().count("a.compensation[2]") == 1
    assert scene.starts().count("a.compensation[1]") == 2


STOPPED: Mapping[str, tuple[dict[str, Any], list[str]]] = {
    "in a sequence": (saga(act("a"), plain("bad", on_error=STOP), act("b")), ["bad#2", "b"]),
    "in a group": (
        saga(act("a"), {"id": "g", "steps": [act("c"), plain("bad", on_error=STOP), act("d")]}, act("b")),
        ["g/bad#2", "g/d", "b"],
    ),
    "in a branch": (
        saga({"id": "p", "parallel": [act("c"), plain("bad", on_error=STOP, needs=["c"]), act("d", needs=["bad"])]}),
        ["p/bad#2", "p/d"],
    ),
    "in a switch": (
        saga({"id": "s", "switch": [{"if": "{{ true }}", "steps": [act("c"), plain("bad", on_error=STOP)]}]}, act("b")),
        ["s/bad#2", "b"],
    ),
    "in a round": (
        saga(
            {
                "id": "l",
                "for_each": {"items": "{{ [1, 2, 3] }}", "as": "n"},
                "steps": [act("c"), plain("bad", on_error=STOP, **{"if": "{{ n == 2 }}"})],
            },
            act("b"),
        ),
        ["l[1]/bad#2", "l[2]/c", "b"],
    ),
    "in a repetition": (
        saga(
            {"id": "r", "repeat": {"until": "{{ true }}"}, "steps": [act("c"), plain("bad", on_error=STOP)]}, act("b")
        ),
        ["r[0]/bad#2", "b"],
    ),
    "in a round of a loop in a group in a round": (
        saga(
            {
                "id": "r",
                "repeat": {"until": "{{ item_index == 1 }}"},
                "steps": [
                    {
                        "id": "g",
                        "steps": [
                            {
                                "id": "l",
                                "for_each": {"items": "{{ [item_index, 5] }}", "as": "n"},
                                "steps": [act("c"), plain("bad", on_error=STOP, **{"if": "{{ n == 1 }}"})],
                            }
                        ],
                    }
                ],
            }
        ),
        ["r[1]/g/l[0]/bad#2", "r[1]/g/l[1]/c"],
    ),
    "in a loop that remembers": (
        saga(
            {
                "id": "r",
                "repeat": {
                    "while": "state.n < 4",
                    "state": {"n": 0},
                    "next": {"n": "{{ state.n + 1 }}"},
                },
                "steps": [act("c"), plain("bad", on_error=STOP, **{"if": "{{ state.n == 2 }}"}), act("d")],
                "output": "{{ state.n }}",
            },
            act("b", **{"if": "{{ steps.r.output == 4 }}"}),
        ),
        ["r[2]/bad#2", "r[2]/d", "r[3]/c", "r[3]/d", "b"],
    ),
    "in an item of a loop that remembers": (
        saga(
            {
                "id": "l",
                "for_each": {"items": "{{ [1, 2, 3] }}", "state": {"n": 0}, "next": {"n": "{{ state.n + item }}"}},
                "steps": [act("c"), plain("bad", on_error=STOP, **{"if": "{{ state.n == 1 }}"})],
                "output": "{{ state.n }}",
            },
            act("b", **{"if": "{{ steps.l.output == 6 }}"}),
        ),
        ["l[1]/bad#2", "l[2]/c", "b"],
    ),
}


@pytest.mark.parametrize("where", STOPPED)
def test_a_stopped_saga_goes_on_from_its_failed_step(where: str) -> None:
    """R45: the outputs of completed steps are kept, and nothing that is done is done again."""
    definition, then = STOPPED[where]
    scene = Scene(definition)
    scene.world.run()
    assert scene.status == "failed"
    before = scene.starts()
    scene.mend({})
    scene.end(How.FORWARD, verb="redrive")
    check(scene.world.events, ID, scene.run)
    assert scene.status == "completed"
    assert scene.starts()[len(before) :] == then
    assert scene.run.state.failure is None


def test_a_stopped_saga_can_be_undone_instead() -> None:
    """R45: what an error handler left with `then: stop` is undone when an operator says so."""
    scene = Scene(saga(act("a"), plain("bad", on_error=STOP)))
    scene.world.run()
    scene.end(verb="redrive")
    assert scene.status == "compensated"
    assert scene.starts()[-1] == "a.compensation"


def test_a_saga_that_goes_on_and_fails_once_more_tells_of_it_once_more() -> None:
    """R65: under new keys, so that nobody takes it for the first time; and once at each failed end."""
    alarm = {"id": "each", "for_each": {"items": "[1, 2]"}, "steps": [plain("alarm", input="{{ idempotency_key }}")]}
    definition = saga(act("a"), plain("bad", on_error=STOP), on_failure=[alarm])
    seen: dict[str, Any] = {}
    world = World(scripted({"bad": no(), "bad#2": no(), "bad#3": no()}, seen))
    world.start(built(definition))
    world.run()
    for _ in range(2):
        world.take_up(How.FORWARD, verb="redrive")
        world.run()

    told = [call for call in seen if "alarm" in call]
    keys = [seen[call].arguments[0] for call in told]
    assert told == [f"on_failure/each[{index}]/alarm{sign}" for sign in ("", "@2#2", "@3#3") for index in (0, 1)]
    assert keys[::2] == [f"{ID}/on_failure/each[0]/alarm{sign}/do" for sign in ("", "@2", "@3")]


def test_what_a_failed_saga_has_left_is_undone_without_telling_of_it_once_more() -> None:
    """R65: it is the same failure."""
    definition = saga(act("a"), plain("bad", on_error=STOP), on_failure=[plain("alarm")])
    world = World(scripted({"bad": no()}))
    world.start(built(definition))
    world.run()
    world.take_up(How.UNDO, verb="redrive")
    world.run()

    assert [event.call for event in world.events if event.what == "start"][2:] == ["on_failure/alarm", "a.compensation"]


@pytest.mark.parametrize(
    ("definition", "how", "killed", "why"),
    [
        (saga(act("a")), How.UNDO, False, "it has completed"),
        (saga(act("a"), plain("bad")), How.UNDO, False, "left nothing behind"),
        (saga(act("a"), plain("bad")), How.FORWARD, False, "was undone"),
        (saga(act("a", pivot=True), plain("bad", on_error=STOP)), How.UNDO, False, "pivot"),
    ],
)
def test_what_cannot_be_taken_up_is_refused(definition: dict[str, Any], how: How, killed: bool, why: str) -> None:
    """R45: a closed run that has nothing left to do."""
    scene = Scene(definition)
    scene.world.run()
    assert why in (refusal(scene.run.saga, scene.run.state, how, killed=killed) or "")


def test_a_run_that_did_not_begin_has_nothing_to_take_up() -> None:
    """R2, R31."""
    assert "had not begun" in (refusal(built(saga(act("a"))), State(), How.UNDO, killed=True) or "")
