"""Calls that only a compensation makes have names, and what a handler took counts as handled."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.language.build import build
from sagadsl.temporal.trial.definition import Copies, copies
from sagadsl.trial.case import Case
from sagadsl.trial.coverage import coverage
from sagadsl.trial.mocks import Mocks, parse
from sagadsl.trial.names import names
from sagadsl.trial.play import play
from sagadsl.trial.target import Target
from tests.engine.scenes import act, plain, saga


def test_calls_of_a_saga_that_undoes_a_step_have_names() -> None:
    """R13: alone, and as one of several actions."""
    undoing = build(saga(plain("u"), name="undoing"))
    one = act("a", compensation={"saga": "undoing"})
    two = act("b", compensation=[{"activity": "undo.b"}, {"saga": "undoing"}])

    known = names(build(saga(one, two)), {"undoing": undoing})

    assert known.is_call("a.compensation/u")
    assert known.is_call("b.compensation[0]")
    assert known.is_call("b.compensation[1]/u")
    assert not known.is_call("a.compensation")


def test_calls_of_a_child_that_an_operator_had_repeated_have_the_childs_names() -> None:
    """R22: `trip#2/x` is another run of the same step."""
    child = build(saga(act("x"), name="child"))
    poll = {"id": "poll", "repeat": {"until": "true"}, "steps": [{"id": "trip", "saga": "child"}]}

    known = names(build(saga(poll)), {"child": child})

    assert known.is_call("poll[0]/trip#2/x")
    assert parse({"poll[*]/trip/x": {"error": "Broke"}}).find("poll[0]/trip#2/x", "do.x", 1).error == "Broke"
    assert parse({"poll[0]/trip#2/x": {"error": "Broke"}}).find("poll[0]/trip/x", "do.x", 1).error is None


def test_a_saga_that_undoes_itself_by_itself_has_finitely_many_names() -> None:
    again = build(saga(act("a", compensation={"saga": "again"}), name="again"))

    assert sorted(names(again, {"again": again}).calls) == ["a", "a.compensation/a"]


def test_what_tells_of_a_pause_is_one_call_for_all_pauses_and_is_covered_when_it_told_and_when_not() -> None:
    """R64: whether it told is no outcome of a step."""
    tell = {"id": "tell", "activity": "mail.send", "if": "not pause.undoing", "retry": "none"}
    model = build(saga(act("b", on_error="pause"), on_pause=[tell]))
    mocks = {"b": {"error": "Broke"}}
    told, not_told = (
        play(model, Case(mocks=parse(mocks | more))) for more in ({}, {"on_pause[*]/tell": {"error": "Mute"}})
    )

    (line,) = [each for each in coverage(model, [told, not_told]).lines if each.path == "on_pause[*]/tell"]
    assert names(model).is_call("on_pause[3]/tell")
    assert (line.possible, line.missing) == (("skipped", "told", "not told"), ("skipped",))


@pytest.mark.parametrize(
    ("on_error", "mocks", "handled"),
    [
        ("continue", {"b": {"error": "Broke"}}, True),
        ([{"types": ["Broke"], "output": 1}], {"b": {"error": "Broke"}}, True),
        ([{"types": ["Other"]}], {"b": {"error": "Broke"}}, False),
        ([{"steps": [plain("fix")]}], {"b": {"error": "Broke"}}, True),
        ("continue", {}, False),
        ("continue", {"b": {"error": "Broke"}, "c": {"error": "Later"}}, True),
    ],
)
def test_a_failure_that_a_handler_took_counts_as_handled(on_error: Any, mocks: dict[str, Any], handled: bool) -> None:
    """Also where the handler only says that the saga goes on, so that no call shows it."""
    model = build(saga(act("a"), act("b", on_error=on_error), act("c")))
    played = play(model, Case(mocks=parse(mocks)))
    (line,) = [each for each in coverage(model, [played]).lines if each.path == "b"]

    assert ("handled" in line.seen) is handled


def test_a_block_fails_with_the_step_inside_it_and_has_not_handled_that() -> None:
    block = {"id": "both", "parallel": [act("x"), act("y")], "on_error": [{"types": ["Other"]}]}
    model = build(saga(block))
    failed = play(model, Case(mocks=parse({"both/x": {"error": "Broke"}})))
    handled = play(model, Case(mocks=parse({"both/x": {"error": "Other"}})))

    assert _seen(model, failed) == []
    assert _seen(model, handled) == ["handled"]
    assert play(model, Case(mocks=Mocks())).status == "completed"


def _seen(model: Any, played: Any) -> list[str]:
    (line,) = [each for each in coverage(model, [played]).lines if each.path == "both"]
    return sorted(line.seen)


def test_a_call_in_a_block_can_be_one_that_no_worker_takes() -> None:
    """On a server: its queue becomes one that nobody polls, whether it stands in a block or undoes a step there."""
    charge = act("charge", compensation=[{"activity": "undo.a"}, {"activity": "undo.b"}])
    definition = saga({"id": "all", "for_each": {"items": "{{ [1] }}"}, "steps": [charge]})
    target = Target(build(definition), {}, definition, {}, names(build(definition)))

    do = copies(target, parse({"all[*]/charge": {"timeout": "schedule_to_start"}}), "q")
    undo = copies(target, parse({"all[*]/charge.compensation[1]": {"timeout": "schedule_to_start"}}), "q")

    assert list(do.nobody) == [_charge(do)["task_queue"]]
    assert list(undo.nobody) == [_charge(undo)["compensation"][1]["task_queue"]]


def _charge(made: Copies) -> dict[str, Any]:
    step: dict[str, Any] = made.root["steps"][0]["steps"][0]
    return step


@pytest.mark.parametrize("time", ["", "#2"])
def test_a_mock_for_any_round_is_one_for_the_action_that_it_names(time: str) -> None:
    """The number behind `.compensation` counts actions and not rounds."""
    mocks = parse({"all[*]/charge.compensation[1]": {"error": "Broke"}})

    assert mocks.find(f"all[3]/charge.compensation[1]{time}", "undo.b", 1).error == "Broke"
    assert mocks.find(f"all[3]/charge.compensation[0]{time}", "undo.a", 1).error is None
