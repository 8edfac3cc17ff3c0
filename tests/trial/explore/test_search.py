"""Every way that small sagas can go: counted by hand, judged by planted mistakes."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.engine.snapshots import restore, snapshot
from sagadsl.language.build import build
from sagadsl.trial.explore.copying import copied, fingerprint
from sagadsl.trial.explore.example import Example, example
from sagadsl.trial.explore.nodes import Met
from sagadsl.trial.explore.run import Explored, Task, explore, surroundings_of
from sagadsl.trial.explore.search import Search
from sagadsl.virtual.world import World
from tests.engine.scenes import act, plain, saga


def _explore(definition: dict[str, Any], most: int = 1, **more: Any) -> Explored:
    return explore(Task(definition, most=most, **more))


def _kinds(definition: dict[str, Any], most: int = 1, **more: Any) -> set[tuple[str, str]]:
    return set(_explore(definition, most, **more).summary.violations)


def _shown(definition: dict[str, Any], most: int) -> Example:
    """Return the only violation of a definition with its case."""
    task = Task(definition, most=most)
    (violation,) = explore(task).summary.violations.values()
    return example(violation, surroundings_of(task))


def test_without_faults_there_is_one_way() -> None:
    """Three calls in a row that succeed: started, and three ends."""
    found = _explore(saga(act("a"), act("b"), act("c")), 0).summary

    assert (found.runs, found.states, dict(found.ends)) == (1, 4, {"completed": 1})
    assert found.history == 23  # R51: as the same saga written by hand


def test_one_call_has_nine_ways_with_one_fault() -> None:
    """R3, R5, R25, R50: an error, unknown in two ways, a lost result, a hold, a cancel, a new run; all well, twice."""
    found = _explore(saga(act("a")), 1).summary

    assert found.ends["completed"] == 4
    assert found.ends["compensated"] == 6
    assert set(found.faults["somebody cancels the saga"]) == {"cancelled"}
    assert set(found.faults) == {
        "`a` fails with Refused",
        "`a` is never heard of again and has happened",
        "`a` is never heard of again and has not happened",
        "`a` loses its result and has happened",
        "an operator pauses the call `a`",
        "the saga goes on in a new run",
        "there is room in the history for undoing alone",
        "somebody cancels the saga",
    }


def test_a_local_activity_that_says_no_may_have_happened_in_a_worker_that_died() -> None:
    """R5, R130: or not, and the error alone does not tell; then its undo has to do without an output."""
    found = _explore(saga(act("a", local=True), plain("b"))).summary
    undo = _undo(input={"id": "{{ step.output.id }}"})
    shown = _shown(saga(act("a", local=True, compensation=undo), plain("b")), 1)

    assert found.violations == {}
    died = "`a` fails with Refused after its first worker has died, and has"
    assert {*found.faults} >= {"`a` fails with Refused", f"{died} happened", f"{died} not happened"}
    assert shown.violation.way[0].what == f"{died} not happened"
    mock = {"error": "Refused", "unknown": True}
    assert (shown.replayed, shown.case["given"]["mocks"]) == (True, {"a": mock})


def test_an_operation_is_tried_by_every_fault_that_a_server_knows() -> None:
    """R118: and the case of a violation plays it again."""
    over = {"endpoint": "e", "service": "S", "operation": "o"}
    pay = {"id": "pay", "nexus": over, "compensation": {"nexus": over}}
    found = _explore(saga(pay, plain("b")), 2).summary
    wrong = {**pay, "compensation": {"nexus": over, "input": {"id": "{{ step.output.id }}"}}}
    task = Task(saga(wrong, plain("b")), most=1)
    shown = [example(each, surroundings_of(task)) for each in explore(task).summary.violations.values()]

    assert found.violations == {}
    assert {
        "`pay` fails with Refused",
        "`pay` is never heard of again and has happened",
        "`pay` is never heard of again and has not happened",
        "`pay` loses its result and has happened",
    } <= set(found.faults)
    assert not any("pauses the call `pay`" in fault or "no worker takes `pay`" in fault for fault in found.faults)
    assert shown
    assert all(each.replayed for each in shown)


def test_a_call_that_is_cancelled_with_the_breath_that_began_it_is_never_sent() -> None:
    """R2, R38: so there is one way to go on, and nothing to undo."""
    both = {"id": "both", "parallel": [act("a"), {"id": "no", "fail": {"type": "Broke"}}]}
    found = _explore(saga(both), 0).summary
    wrong = saga(both, on_failure=[plain("tell", input={"x": "{{ failure.no }}"})])
    shown = _shown(wrong, 0)

    assert (found.runs, dict(found.ends), found.violations) == (1, {"compensated": 1}, {})
    assert shown.violation.way[0].what == "`both/a` is cancelled before it is sent"
    assert (shown.replayed, "given" in shown.case) == (True, False)


def test_branches_end_in_every_order_and_what_is_the_same_is_met_once() -> None:
    """R38 to R40: three branches end in six orders, of which the definition sees none."""
    three = saga({"id": "all", "parallel": [plain("a"), plain("b"), plain("c")]})
    surroundings = surroundings_of(Task(three))
    with_, without = (Search(surroundings.saga, surroundings, None, 0, deduplicate=each) for each in (True, False))
    for search in (with_, without):
        search.explore(search.begin())

    assert without.summary.runs == 6
    assert with_.summary.runs == 1
    assert with_.summary.merged > 0


RIGHT = [
    saga(act("a"), act("b"), timeout="1h"),
    saga(
        {"id": "p", "parallel": [act("a"), act("b")], "on_branch_failure": "wait"}, compensation={"order": "parallel"}
    ),
    saga(act("a"), plain("p", pivot=True), plain("b")),
    saga({"id": "l", "for_each": {"items": "[1, 2]", "max_concurrency": 2}, "steps": [act("x")]}),
    saga(act("a", on_error=[{"types": ["E"], "steps": [plain("fix")], "then": "compensate"}])),
]


@pytest.mark.parametrize("definition", RIGHT)
def test_deduplication_changes_no_verdict(definition: dict[str, Any]) -> None:
    """The same ends and the same violations, from fewer states."""
    surroundings = surroundings_of(Task(definition))
    found = []
    for deduplicate in (True, False):
        search = Search(surroundings.saga, surroundings, None, 2, deduplicate=deduplicate)
        search.explore(search.begin())
        found.append(search.summary)

    assert set(found[0].ends) == set(found[1].ends)
    assert set(found[0].faults) == set(found[1].faults)
    assert {fault: set(ends) for fault, ends in found[0].faults.items()} == {
        fault: set(ends) for fault, ends in found[1].faults.items()
    }
    assert set(found[0].violations) == set(found[1].violations) == set()


def test_a_search_that_forgets_what_it_has_met_comes_to_the_same_verdict() -> None:
    """Its memory has a bound; beyond that it follows some ways twice."""
    definition = saga({"id": "p", "parallel": [act("a"), act("b")]}, act("c"))
    surroundings = surroundings_of(Task(definition))
    all_met, few_met = (Search(surroundings.saga, surroundings, None, 2, _met=met) for met in (Met(), Met(5)))
    for search in (all_met, few_met):
        search.explore(search.begin())

    assert few_met.summary.states > all_met.summary.states
    assert set(few_met.summary.ends) == set(all_met.summary.ends)
    assert few_met.summary.violations == all_met.summary.violations


def test_what_was_met_long_ago_is_forgotten() -> None:
    """But never what was met among the last ones."""
    met = Met(2)

    assert [met.again(key) for key in (1, 2, 1, 3, 2, 3, 4, 5, 6, 1, 6)] == [
        False, False, True, False, True, True, False, False, False, False, True,
    ]  # fmt: skip


def test_the_answer_does_not_depend_on_the_number_of_processes() -> None:
    """The work is cut in the same way for one core and for several."""
    definition = saga({"id": "p", "parallel": [act("a"), act("b")]}, act("c"))
    one, two = (explore(Task(definition, most=2), jobs).summary for jobs in (1, 2))

    assert one == two


def test_a_copy_is_equal_and_shares_nothing_that_changes() -> None:
    """Explorers copy at every step: a field that a copy shared would leak from one way into another."""
    world = World()
    run = world.start(build(RIGHT[1]), None)
    copy = copied(run.state)

    assert copy == run.state
    assert fingerprint(copy) == fingerprint(run.state)
    before = restore(snapshot(run.state))
    for record in copy.records.values():
        record.progress, record.output = None, "changed"  # type: ignore[assignment]
        if record.undo is not None:
            record.undo.errors[0] = None  # type: ignore[assignment]
    for frame in copy.frames.values():
        frame.open.clear()
        frame.ended.append("x")
    copy.calls.clear()
    copy.undoable.clear()
    copy.others.append(None)  # type: ignore[arg-type]
    assert run.state == before


def _undo(**more: Any) -> dict[str, Any]:
    return {"activity": "undo.a", "retry": "none", **more}


VIOLATIONS = {
    "an unknown outcome that is not undone": (
        saga(act("a", compensation=_undo(on="completed", input={"key": "k"}))),
        ("effect-left", "a"),
    ),
    "an effect behind a handler that goes on": (
        saga(act("a", on_error="continue"), plain("b")),
        ("effect-left", "a"),
    ),
    "a compensation that needs the output": (
        saga(act("a", compensation=_undo(input={"id": "{{ step.output.id }}"})), plain("b")),
        ("expression-fails", "a"),
    ),
    "an output that cannot be computed in the end": (
        saga(act("a"), output={"x": "{{ steps.a.output.b.c }}"}),
        None,
    ),
    "a wait that nothing ends": (
        saga(act("a"), {"id": "w", "wait_for": {"signal": "go"}}),
        ("unbounded-wait", "w"),
    ),
}


@pytest.mark.parametrize("name", list(VIOLATIONS))
def test_a_planted_mistake_is_found(name: str) -> None:
    """R1, R3, R14 to R17, R59."""
    definition, expected = VIOLATIONS[name]

    assert _kinds(definition) == ({expected} if expected else set())


def test_the_shortest_way_is_kept() -> None:
    """One fault suffices, although pairs are tried."""
    definition, expected = VIOLATIONS["an unknown outcome that is not undone"]
    assert expected is not None
    violation = _explore(definition, 2).summary.violations[expected]

    assert [move.what for move in violation.way] == ["`a` is never heard of again and has happened"]
    assert (violation.faults, violation.status, violation.rule) == (1, "compensated", "R1")


def test_a_plugin_that_names_an_inverse_is_missed_when_it_is_not_called() -> None:
    """Money that nobody gives back, because nobody wrote down how."""
    from sagadsl.language.analysis.known import Signature

    definition = saga(act("a", compensation=...), plain("b"))
    known = {"do.a": Signature("do.a", "acme 1.0", compensated_by="undo.a")}

    assert _kinds(definition, signatures=known) == {("effect-left", "a")}
    assert _kinds(definition) == set()


def test_inputs_reach_every_arm_and_every_size_of_a_loop() -> None:
    """Switch arms by the values they compare with, loops of 0, 1 and 2 rounds."""
    definition = saga(
        {
            "id": "way",
            "switch": [{"if": "input.kind == 'gold'", "steps": [act("a")]}, {"else": ..., "steps": [act("b")]}],
        },
        {"id": "l", "for_each": {"items": "input.lines"}, "steps": [act("x")]},
        input={
            "type": "object",
            "required": ["kind", "lines"],
            "properties": {"kind": {"type": "string"}, "lines": {"type": "array", "items": {"type": "integer"}}},
        },
    )
    definition["steps"][0]["switch"][1] = {"else": [act("b")]}
    found = _explore(definition)

    assert found.unreached == ()
    assert sorted(len(each["lines"]) for each in found.tried) == [0, 1, 2, 2]
    assert {each["kind"] for each in found.tried} >= {"gold", "something-else"}


def test_a_step_that_no_input_reaches_is_named() -> None:
    """It is no violation: the world may know an input that nobody has thought of."""
    never = saga(act("a"), act("b", **{"if": "1 > 2"}), {"id": "g", "if": "1 > 2", "steps": [act("c")]})

    assert "c" in _explore(never).unreached


def test_what_the_budget_cuts_off_is_counted() -> None:
    """An answer that is not complete says so."""
    found = _explore(saga(act("a"), act("b"), act("c")), 2, seconds=0.0).summary

    assert found.left > 0


def test_a_child_saga_is_one_call_that_completes_fails_or_needs_a_person() -> None:
    """R46, R47."""
    child = saga(act("x"), name="child")
    parent = saga(act("a"), {"id": "c", "saga": "child", "compensation": "auto"}, act("b"))
    found = _explore(parent, 1, children={"child": child})

    assert {fault: set(ends) for fault, ends in found.summary.faults.items() if "child saga" in fault} == {
        "child saga `c` fails and undoes itself": {"compensated"},
        "child saga `c` fails and is not undone": {"compensated", "failed"},
        "child saga `c` refuses its input": {"compensated"},
        "child saga `c` waits for a person": {"completed"},
    }
    assert found.summary.violations == {}


def test_every_pause_has_a_way_out_and_what_was_done_by_hand_is_undone() -> None:
    """R61, R62: whatever an honest operator says, or nobody."""
    pauses = [{"then": "pause", "pause_timeout": "1h"}]
    both = {"id": "both", "parallel": [act("b", on_error=pauses), act("c")]}
    found = _explore(saga(act("a", on_error="pause"), both, act("d", compensation="none")), 2)

    assert found.summary.violations == {}
    assert {"completed", "compensated"} <= set(found.summary.ends)


def test_waits_whose_time_is_over_together_end_one_after_the_other() -> None:
    """R59: when one limit has passed, a signal for the other comes too late; so that is no further fault."""
    both = [{"id": name, "wait_for": {"signal": name, "timeout": "7d"}} for name in ("ann", "ben")]
    found = _explore(saga({"id": "signed", "on_branch_failure": "wait", "parallel": both}), 1).summary

    assert found.violations == {}
    assert set(found.ends) == {"completed", "compensated", "cancelled"}
