"""Every expectation of a case: met, and missed with what was expected and what came."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from sagadsl.language.build import build
from sagadsl.language.document import Document
from sagadsl.trial.case import Case, interference
from sagadsl.trial.coverage import coverage
from sagadsl.trial.judge import Miss, judge
from sagadsl.trial.junit import junit
from sagadsl.trial.mocks import parse
from sagadsl.trial.names import names
from sagadsl.trial.play import play
from sagadsl.trial.runner import run_one, virtual
from sagadsl.trial.suite import Playable, Suite
from sagadsl.trial.target import Target
from tests.engine.scenes import act, saga

SAGA = build(
    saga(
        act("a", input={"n": 1}),
        act("b", retry={"maximum_attempts": 2}),
        act("c", compensation="none", **{"if": "false"}),
    )
)
MOCKS = {"a": {"output": {"id": 1}}, "b": [{"error": "Busy"}, {"error": "Refused", "message": "no"}]}


def _missed(then: dict[str, Any], **more: Any) -> list[Miss]:
    case = Case("case", mocks=parse(MOCKS), then=then, **more)
    return list(judge(case, play(SAGA, case)))


@pytest.mark.parametrize(
    ("met", "missed", "miss"),
    [
        (
            {"status": "compensated"},
            {"status": "completed"},
            Miss("status", "completed", "compensated (Refused in `b`: no)"),
        ),
        ({"output": None}, {"output": {"x": 1}}, Miss("output", '{"x": 1}', "null")),
        ({"failure": "Refused"}, {"failure": "Busy"}, Miss("failure.type", "Busy", "Refused")),
        ({"failure": {"step": "b"}}, {"failure": {"step": "a"}}, Miss("failure.step", "a", "b")),
        ({"failure": {"message": "no"}}, {"failure": "none"}, Miss("failure", "none", "Refused: no")),
        ({"errors": []}, {"errors": ["X"]}, Miss("errors", "[X]", "[]")),
        (
            {"calls": ["a", "b", "a.compensation"]},
            {"calls": ["b", "a", "a.compensation"]},
            Miss("calls", "[b, a, a.compensation]", "[a, b, a.compensation]"),
        ),
        (
            {"calls": [["b", "a"], "a.compensation"]},
            {"calls": [["a", "b"]]},
            Miss("calls", "[[a, b]]", "[a, b, a.compensation]"),
        ),
        (
            {"called": ["a", "a.compensation"]},
            {"called": ["b", "a"]},
            Miss("called", "[b, a]", "no `a` at its place in [a, b, a.compensation]"),
        ),
        (
            {"never_called": ["c", "do.c"]},
            {"never_called": ["do.a"]},
            Miss("never_called", "no call of `do.a`", "[a]"),
        ),
        ({"attempts": {"b": 2, "c": 0}}, {"attempts": {"b": 3}}, Miss("attempts.b", "3", "2")),
        ({"sent": {"a": {"n": 1.0}}}, {"sent": {"a": {"n": True}}}, Miss("sent.a", '{"n": true}', '{"n": 1}')),
        ({"sent": {"a": {"n": 1}}}, {"sent": {"b": 1}}, Miss("sent.b", "1", "no argument")),
        ({"sent": {"a": {"n": 1}}}, {"sent": {"c": 1}}, Miss("sent.c", "1", "it was not called")),
        ({"steps": {"b": "failed"}}, {"steps": {"b": "completed"}}, Miss("steps.b", "completed", "failed")),
        ({"outcomes": {"a": "succeeded"}}, {"outcomes": {"a": "unknown"}}, Miss("outcomes.a", "unknown", "succeeded")),
        ({"compensated": ["a"]}, {"compensated": []}, Miss("compensated", "[]", "[a]")),
        ({"not_undone": []}, {"not_undone": ["a"]}, Miss("not_undone", "[a]", "[]")),
        ({"not_attempted": []}, {"not_attempted": ["a"]}, Miss("not_attempted", "[a]", "[]")),
        ({"attention": []}, {"attention": ["a"]}, Miss("attention", "[a]", "[]")),
        ({"refused": 0}, {"refused": 1}, Miss("refused", "1", "0")),
        ({"takes": "1400ms"}, {"takes": "1s"}, Miss("takes", "1s", "1.4s")),
        (
            {"takes": {"at_least": "1s", "at_most": "2s"}},
            {"takes": {"at_most": "1s"}},
            Miss("takes", "at most 1s", "1.4s"),
        ),
        ({"holds": ["seconds < 2"]}, {"holds": ["seconds > 2"]}, Miss("holds[0]", "seconds > 2", "it is false")),
    ],
)
def test_an_expectation_is_met_or_missed(met: dict[str, Any], missed: dict[str, Any], miss: Miss) -> None:
    """A miss names the expectation, what was expected and what came."""
    assert _missed(met) == []
    assert _missed(missed) == [miss]


def test_an_expression_that_cannot_be_computed_is_a_miss() -> None:
    """Not an exception."""
    (miss,) = _missed({"holds": ["output.x > 1"]})

    assert miss.what == "holds[0]"
    assert "is not defined" in miss.found


def test_a_moment_that_never_comes_is_a_miss() -> None:
    """Otherwise a case would pass that has not done what it says."""
    when = (interference({"at": {"begin": "b", "attempt": 9}, "cancel": True}),)

    assert _missed({"status": "compensated"}, when=when) == [
        Miss("when[0]", "cancel at begin: b, attempt 9", "that moment never came")
    ]


def test_what_was_refused_is_a_miss_unless_it_was_expected() -> None:
    """A signal that nobody waits for."""
    when = (interference({"at": "1s", "signal": "go"}),)
    (miss,) = _missed({"status": "compensated"}, when=when)

    assert (miss.what, miss.expected, miss.found) == ("refused", "0", "signal go: the saga does not wait for it")
    assert _missed({"refused": 1}, when=when) == []


def test_coverage_counts_outcomes_and_undoing_of_each_step() -> None:
    """What no case has shown is listed."""
    case = Case("case", mocks=parse(MOCKS))
    found = coverage(SAGA, [play(SAGA, case)])
    lines = {line.path: (line.possible, line.missing) for line in found.lines}

    assert lines["a"] == (
        ("succeeded", "failed", "unknown", "undone", "undo failed"),
        ("failed", "unknown", "undo failed"),
    )
    assert lines["b"][1] == ("succeeded", "unknown", "undone", "undo failed")
    assert (found.seen, found.possible) == (3, 14)


def test_junit_takes_whatever_a_case_is_called() -> None:
    """XML has no place for some characters, and others end an attribute."""
    case = Case('<a> & "b"\x00', mocks=parse(MOCKS), then={"status": "completed"})
    playable = Playable(case, Target(SAGA, {}, {}, {}, names(SAGA)))
    result = run_one(Suite(Document("x.saga-test.yaml", "")), playable, virtual(None))
    root = ElementTree.fromstring(junit([result]))
    (failure,) = root.iter("failure")

    assert root.attrib["failures"] == "1"
    assert failure.attrib["message"] == "status: expected completed, got compensated (Refused in `b`: no)"
    assert [each.attrib["name"] for each in root.iter("testcase")] == ['<a> & "b"\ufffd']
