"""An expression chooses the activity of a call out of a list. It is checked, and kept for the life of the step."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.engine import projection
from sagadsl.engine.facts import OperatorAsked, Verb
from sagadsl.language.load import load
from tests.engine.scenes import Ran, act, gives, no, plain, play, saga
from tests.example_signatures import known_to

PAY = {"name": "{{ input.bank }}.pay", "one_of": ["north.pay", "south.pay"]}
UNDO = {
    "activity": {"name": "{{ input.bank }}.refund", "one_of": ["north.refund", "south.refund"]},
    "input": {"early": "{{ step.activity }}", "late": "{{ step.activity }} gave {{ step.output }}"},
}


def _pay(**more: Any) -> dict[str, Any]:
    return act("pay", activity=PAY, compensation=UNDO, **more)


def _activities(ran: Ran) -> list[str]:
    return [command.activity for command in ran.commands.values()]


def test_the_chosen_activity_is_called_shown_and_undone() -> None:
    """R15; also after each fact by another worker, and in a new run."""
    ran = play(saga(_pay(), plain("b")), {"pay": gives(7), "b": no()}, input_={"bank": "south"})

    assert _activities(ran) == ["south.pay", "do.b", "south.refund"]
    assert ran.sent("pay.compensation") == {"early": "south.pay", "late": "south.pay gave 7"}
    shown = projection.status(ran.run.saga, ran.state)["steps"]
    assert [each["activity"] for each in shown] == ["south.pay", "do.b"]


def test_each_round_of_a_loop_keeps_its_own() -> None:
    """Also when the steps have been packed for a new run."""
    name = {"name": "{{ bank }}.pay", "one_of": ["north.pay", "south.pay"]}
    undo = {
        "activity": {"name": "{{ bank }}.refund", "one_of": ["north.refund", "south.refund"]},
        "input": "{{ step.activity }}",
    }
    loop = {
        "id": "all",
        "for_each": {"items": "['north', 'south']", "as": "bank"},
        "steps": [act("pay", activity=name, compensation=undo)],
    }

    ran = play(saga(loop, plain("b")), {"b": no(takes=3)}, drained=True)

    assert _activities(ran) == ["north.pay", "south.pay", "do.b", "south.refund", "north.refund"]
    assert ran.sent("all[0]/pay.compensation") == "north.pay"


def test_a_name_out_of_the_list_fails_the_step_before_anything_is_called() -> None:
    ran = play(saga(act("first"), _pay()), input_={"bank": "west"})

    assert ran.failure is not None
    assert (ran.status, ran.failure.type, ran.failure.step) == ("compensated", "ExpressionError", "pay")
    assert ran.failure.message == "`activity` must be one of `north.pay`, `south.pay`, found `west.pay`"
    assert _activities(ran) == ["do.first", "undo.first"]


def test_a_compensation_whose_name_is_out_of_the_list_waits_for_an_operator() -> None:
    undo = {"activity": {"name": "{{ input.bank }}.refundd", "one_of": ["north.refund"]}}

    ran = play(saga(act("pay", activity=PAY, compensation=undo), plain("b")), {"b": no()}, input_={"bank": "north"})

    assert ran.status == "paused"
    assert _activities(ran) == ["north.pay", "do.b"]


def test_a_repeated_call_calls_the_same_activity() -> None:
    """R22: its key is the same, so its participant has to be."""
    asked = [(2.0, lambda at: OperatorAsked(at, Verb.RETRY_STEP, "pay", "ann", "again"))]

    ran = play(saga(_pay(on_error="pause")), {"pay": no(), "pay#2": gives(1)}, *asked, input_={"bank": "north"})

    assert (ran.status, _activities(ran)) == ("completed", ["north.pay", "north.pay"])


def _findings(step: str) -> list[tuple[str, str]]:
    fields = "{bank: {type: string}, n: {type: integer}}"
    schema = f"{{type: object, required: [bank, n], properties: {fields}}}"
    text = f"sagadsl: 1\nname: x\ninput: {schema}\nsteps: [{{id: a, compensation: none, {step}}}]\n"
    return [(each.code, each.message) for each in load(text, known=known_to("activities")).findings]


@pytest.mark.parametrize(
    ("step", "code", "message"),
    [
        ('activity: {name: "{{ input.bank }}"}', "SD102", "`activity` of step `a` lacks `one_of`"),
        ('activity: {name: "{{ input.bankk }}", one_of: [x]}', "SD306", "`input` has no field `bankk`"),
        (
            'activity: {name: "{{ input.n }}", one_of: [x]}',
            "SD309",
            "the name of an activity must be text, but `input.n` is a whole number",
        ),
        (
            "activity: [x]",
            "SD103",
            "`activity` of step `a` must be the name of an activity, or a mapping with `name` and `one_of`, got a list",
        ),
        (
            'activity: {name: "{{ input.bank }}", one_of: ["{{ input.bank }}"]}',
            "SD310",
            "`activity.one_of[0]` of step `a` is taken as it stands: `{{ input.bank }}` in it is never computed",
        ),
        (
            'activity: {name: "{{ input.bank }}", one_of: [sagadsl.x]}',
            "SD207",
            "`sagadsl.x` is an activity of sagadsl itself, which no step can call",
        ),
        (
            'activity: {name: "{{ input.bank }}", one_of: [payments.charge, payments.chargee]}, input: {}',
            "SD401",
            "no activity named `payments.chargee` is installed",
        ),
        (
            'activity: {name: "{{ input.bank }}", one_of: [stock.count, payments.charge]}, input: {}',
            "SD402",
            "`payments.charge` needs `order_id`, which the input lacks",
        ),
    ],
)
def test_validate_checks_every_activity_of_the_choice(step: str, code: str, message: str) -> None:
    assert (code, message) in _findings(step)


def test_what_reads_the_output_has_to_suit_all_of_them() -> None:
    """A charge has an amount, a count is a number."""
    both = 'activity: {name: "{{ input.bank }}", one_of: [payments.charge, stock.count]}, task_queue: q'
    reading = '},\n  {id: b, set: {x: "{{ steps.a.output | upper }}"}'

    assert ("SD309", "`upper` needs text, but `steps.a.output` is a whole number or an object") in _findings(
        both + reading
    )
