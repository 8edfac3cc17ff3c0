"""What a completed saga gives: computed after the last effect, so that it decides about none."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import Began, Outcome, Settled
from sagadsl.engine.journal import State
from sagadsl.engine.projection import markdown
from tests.engine.scenes import act, built, gives, no, plain, play, saga

NEVER = {"if": "false"}
OFF = plain("off", **NEVER)
GROUP = {
    "id": "group",
    "steps": [plain("in"), plain("out", **NEVER), {"id": "deep", "steps": [plain("deeper", **NEVER)]}],
}
WAY = {"id": "way", "switch": [{"if": "true", "steps": [plain("left")]}, {"else": [plain("right")]}]}
LINES = {"id": "lines", "for_each": {"items": "[1, 2]"}, "steps": [plain("take"), plain("gift", **NEVER)]}
UNTAKEN = {"id": "block", "steps": [plain("inside")], **NEVER}


@pytest.mark.parametrize(
    ("read", "given"),
    [
        ("steps.a.output.ref", "r1"),
        ("steps.off.output", None),
        ("steps.off.output.ref[0].deeper", None),
        ("steps.off.output.ref | default('none')", "none"),
        ("steps.off.output is defined", False),
        ("steps.off.status", "skipped"),
        ("steps.group.output.in.ref", "r2"),
        ("steps.group.output.out.ref", None),
        ("steps.group.output.deep.deeper.ref", None),
        ("steps.deeper.output.ref", None),
        ("steps.way.output.right.ref", None),
        ("steps.right.output.ref", None),
        ("steps.left.output", 5),
        ("steps.block.output.inside.ref", None),
        ("steps.inside.output.ref", None),
        ("steps.lines.output[1].gift.ref", None),
        ("steps.lines.output | map(attribute='gift.ref')", [None, None]),
        ("steps.lines.output | map(attribute='take')", [7, 7]),
        ("steps.soft.output.ref", None),
        ("steps.soft.output.ref | default('none')", "none"),
        ("steps.group.output", {"in": {"ref": "r2"}, "deep": {}}),
        ("steps.way.output", {"left": 5}),
    ],
)
def test_what_a_step_has_not_given_is_null_beside_the_real_values(read: str, given: Any) -> None:
    """N16: at every depth, of steps that were skipped, in arms that were not taken, or that failed and were handled."""
    steps = (act("a"), OFF, GROUP, WAY, LINES, UNTAKEN, plain("soft", on_error="continue"))
    script = {"a": gives({"ref": "r1"}), "in": gives({"ref": "r2"}), "left": gives(5), "take": gives(7), "soft": no()}

    ran = play(saga(*steps, output={"ref": "{{ steps.a.output.ref }}", "list": [f"{{{{ {read} }}}}"]}), script)

    assert (ran.status, ran.output, ran.state.warnings) == ("completed", {"ref": "r1", "list": [given]}, [])


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("{{ steps.a.output.missing }}", "`steps.a.output.missing` is not defined"),
        ("{{ steps.group.output.nobody }}", "`steps.group.output.nobody` is not defined"),
        ("Receipt {{ steps.off.output.ref }}", "null cannot stand inside text"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ steps.a.output.ref + 1 }}", "`+` cannot add text and a number"),
        ("{{ unbalanced", ""),
    ],
)
@pytest.mark.parametrize("pivot", [False, True])
def test_a_mistake_in_the_output_undoes_nothing_and_is_told(output: str, says: str, pivot: bool) -> None:
    """N16, R56: before the pivot and after it the saga has completed, as all that it shall do was done."""
    first = act("a", pivot=True, compensation="none") if pivot else act("a")

    ran = play(saga(first, OFF, GROUP, output={"receipt": output}), {"a": gives({"ref": "r1"})})

    assert (ran.status, ran.output, ran.report["undone"]) == ("completed", None, [])
    (warning,) = ran.now["warnings"]
    assert warning["type"] == "ExpressionError"
    assert warning["message"].startswith("`output` of the saga is null: ")
    assert says in warning["message"]
    assert "ExpressionError" in markdown(ran.run.saga, ran.state)


def test_an_output_that_nothing_can_carry_is_null_and_says_how_large_it_was() -> None:
    """B8, R52: told alike by every view, since the engine knows it before it closes."""
    ran = play(saga(act("a"), output=["{{ steps.a.output }}"] * 2), {"a": gives("x" * 1_100_000)})

    assert (ran.status, ran.output, ran.report["undone"]) == ("completed", None, [])
    assert ran.now["warnings"] == [
        {
            "type": "PayloadTooLarge",
            "message": "`output` of the saga is null: it has 2,200,007 bytes, at most 2,000,000 fit; "
            "give a reference to where the data is",
        }
    ]


def test_outputs_of_all_steps_that_nothing_can_carry_are_nobodys_wish() -> None:
    """B8: a saga that does not say what it gives is told so, in a note."""
    ran = play(saga(plain("a"), plain("b")), {"a": gives("x" * 1_100_000), "b": gives("x" * 1_100_000)})

    assert (ran.status, ran.output) == ("completed", None)
    assert [warning["type"] for warning in ran.now["warnings"]] == ["OutputLeftOut"]


def test_an_output_that_just_fits_is_given() -> None:
    """B8, R52: the limit is that of what is sent."""
    ran = play(saga(plain("a"), output="{{ steps.a.output }}"), {"a": gives("x" * 1_999_998)})

    assert (ran.status, len(ran.output), ran.state.warnings) == ("completed", 1_999_998, [])


def test_a_run_of_the_first_rules_is_undone_as_it_always_was() -> None:
    """R48: its history says so."""
    definition, state = built(saga(act("a"), output="{{ steps.b.output }}")), State(rules=1)
    decide(definition, state, Began(0.0, "s", "r", None))
    decide(definition, state, Settled(1.0, "a", Outcome.SUCCEEDED, output=1))

    assert list(state.calls) == ["a.compensation"]
    assert state.failure is not None
    assert state.failure.type == "ExpressionError"
