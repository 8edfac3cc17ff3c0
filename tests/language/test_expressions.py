"""What authors write between ``{{ }}``."""

from __future__ import annotations

import pickle
from datetime import date
from enum import Enum, IntEnum
from typing import Any

import pytest

from sagadsl.language.expressions.values import Constant, ExpressionError, compile_condition, compile_value, problems
from tests.language.expression_results import Lazy, Plain, fails, refused, render


def test_a_misspelt_name_is_an_error_that_names_what_is_there() -> None:
    """No empty text, and a suggestion."""
    said = fails({"refund": {"to": "{{ input.custmer_id }}"}}, customer_id=7, amount=1)

    assert "`input.custmer_id` is not defined" in said
    assert "did you mean `customer_id`?" in said
    assert "`amount`" in said
    assert said.endswith("in `{{ input.custmer_id }}`, at `refund.to`")


def test_an_unknown_first_name_lists_the_names_of_the_place() -> None:
    """The root of a chain too."""
    assert "`inptu` is not defined (did you mean `input`?): the names here are `input`" in fails("{{ inptu.x }}")


@pytest.mark.parametrize(
    "text",
    [
        "{{ steps.a.output.x | default('z') }}",
        "{{ steps.a.output.x.y.z | d('z') }}",
        "{{ steps.b.output.x | default('z') }}",
        "{{ nobody.x | default('z') }}",
        "{{ input.list[9].x | default('z') }}",
        "{{ input.list[input.nine].x | default('z') }}",
        "{{ input.nothing.x | default('z') }}",
        "{{ [] | first | default('z') }}",
        "{{ (input.x if false) | default('z') }}",
        "{{ input.x | default(input.y) | default('z') }}",
    ],
)
def test_default_works_on_a_missing_leaf_and_on_a_missing_parent(text: str) -> None:
    """One rule: whatever is not there, at any depth."""
    scope = {
        "input": {"list": [1], "nine": 9, "nothing": None},
        "steps": Lazy({"a": Lazy({"status": "skipped"}), "b": Lazy({"output": {}})}),
    }
    assert render(text, scope) == "z"


def test_without_default_a_missing_value_is_an_error_and_null_is_a_value() -> None:
    """Missing is not null; `default` replaces null only when told to."""
    scope = {"input": {"n": None}, "steps": {"a": {"status": "skipped"}}}

    assert "`steps.a.output` is not defined: the step is `skipped`" in fails("{{ steps.a.output.x }}", scope)
    assert render("{{ input.n }}", scope) is None
    assert render("{{ input.n | default('z') }}", scope) is None
    assert render("{{ input.n | default('z', true) }}", scope) == "z"
    assert "`input.n` is null" in fails("{{ input.n.x }}", scope)


def test_default_does_not_hide_a_mistake_beside_it() -> None:
    """`default` takes the value it stands behind, not the parts that value is computed from."""
    assert "`input.b` is not defined" in fails("{{ (input.a + input.b) | default(0) }}", a=1)
    assert "`input.b` is not defined" in fails("{{ input.a[input.b] | default(0) }}", a=[1])
    assert "`input.b` is not defined" in fails("{{ input.c | default(input.b) }}")
    assert render("{{ input.a | default(input.b) }}", a=1) == 1


@pytest.mark.parametrize("value", [10, 10.5, True, None, [1, "a"], {"a": {"b": [None]}}, "text", "", -0.0, 10**30])
@pytest.mark.parametrize("text", ["{{ input.v }}", "{{input.v}}", "  {{ input.v }}\n", "{{ input['v'] }}"])
def test_a_value_that_is_one_expression_keeps_its_type(value: Any, text: str) -> None:
    result = render(text, v=value)

    assert result == value
    assert type(result) is type(value)


def test_an_integer_keeps_its_type_inside_larger_values() -> None:
    """At any depth of a step's input; mixed text gives text."""
    assert render({"a": [{"b": "{{ input.v }}", "c": "n={{ input.v }}"}], "d": 1}, v=10) == {
        "a": [{"b": 10, "c": "n=10"}],
        "d": 1,
    }


@pytest.mark.parametrize("text", ["123", "1e3", "True", "None", "1_000", "0x10", "[1]", "1,2", "null", "{{ 7*7 }}"])
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    """Nothing is read as a Python literal."""
    assert render("{{ input.zip }}", zip=text) == text
    assert render("{{ input.zip ~ '' }}", zip=text) == text
    assert render("<{{ input.zip }}>", zip=text) == f"<{text}>"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("false", 'text `"false"`'),
        ("False", 'text `"False"`'),
        ("true", 'text `"true"`'),
        ("", 'text `""`'),
        (0, "a number `0`"),
        (1, "a number `1`"),
        (None, "null"),
        ([], "a list"),
        ({}, "an object"),
    ],
)
@pytest.mark.parametrize("text", ["{{ input.vip }}", "not input.vip", "input.vip and true", "false or input.vip"])
def test_only_a_boolean_decides(value: Any, found: str, text: str) -> None:
    """Also inside `not`, `and`, `or`, so that x and not x never agree."""
    with pytest.raises(ExpressionError) as caught:
        compile_condition(text).render({"input": {"vip": value}})
    assert found in str(caught.value)
    assert text in str(caught.value)


def test_a_boolean_condition_holds_or_not() -> None:
    """With and without braces, and as a plain YAML boolean."""
    scope = {"input": {"vip": False, "amount": 5}}

    assert compile_condition("input.vip").render(scope) is False
    assert compile_condition("{{ not input.vip }}").render(scope) is True
    assert compile_condition("input.amount > 1 and not input.vip").render(scope) is True
    assert compile_condition("1 < input.amount <= 5").render(scope) is True
    assert compile_condition(True).render(scope) is True
    with pytest.raises(ExpressionError, match=r"`input\.gone` is not defined"):
        compile_condition("input.gone").render(scope)
    assert compile_condition(5).problems[0].message == "a condition must be true or false, not a number"


@pytest.mark.parametrize(
    "text", ["{{ input.v }}", "{{ input.v }}\n", "\n  {{ input.v }}\n\n", "input.v\n", "{{\ninput.v\n}}"]
)
def test_block_scalars_change_nothing(text: str) -> None:
    """Inline, folded and literal style are the same condition."""
    assert compile_condition(text).render({"input": {"v": False}}) is False


def test_a_hyphen_is_a_minus_and_brackets_read_such_a_name() -> None:
    scope = {"steps": {"reserve-hotel": {"output": {"id": 5}}}}

    assert render('{{ steps["reserve-hotel"].output.id }}', scope) == 5
    assert "`steps.reserve` is not defined" in fails("{{ steps.reserve-hotel.output.id }}", scope)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{ '{{' }} name }}", "{{ name }}"),
        ("{{ '{{ name }}' }}", "{{ name }}"),
        ('Dear {{ "{{name}}" }}, {{ input.v }}', "Dear {{name}}, 1"),
        ("{{ '{%' }} if %}", "{% if %}"),
        ("{{ '{#' }}", "{#"),
        ("}} and %} and #} and { { a: 1 } }", "}} and %} and #} and { { a: 1 } }"),
        ("{{ {'a': {'b': 1}} }}", {"a": {"b": 1}}),
    ],
)
def test_literal_braces_have_an_escape(text: str, result: Any) -> None:
    assert problems(text) == []
    assert render(text, v=1) == result


def test_null_never_becomes_a_word() -> None:
    assert "null cannot stand inside text" in fails("Order {{ input.note }} done", note=None)
    assert "null cannot stand inside text" in fails("{{ 'a' ~ input.note }}", note=None)
    assert "null cannot stand inside text" in fails("{{ [input.note] | join }}", note=None)
    assert "null cannot stand inside text" in fails("{{ input.note | string }}", note=None)


def test_numbers_and_booleans_in_text_are_spelled_as_in_json() -> None:
    assert render("{{ input.a }} {{ input.b }} {{ input.c }}", a=True, b=1.5, c=10**20) == f"true 1.5 {10**20}"
    assert "`| to_json`" in fails("a {{ input.l }}", l=[1])
    assert "`| to_json`" in fails("a {{ input.l }}", l={})


@pytest.mark.parametrize(
    "text",
    [
        "{{ input.x }",
        "{{ input.x",
        "{{ (input.x }}",
        "{{ input.x) }}",
        "{{ [1, 2 }}",
        "{{ 'abc }}",
        "{{ }}",
        "{{ 1 + }}",
        "{{ a b }}",
        "{{ a..b }}",
        "{{ a.1x }}",
        "{{ 'a' 'b' c }}",
        "{{ a is }}",
        "{{ a is b is c }}",
        "{{ a | }}",
        "{{ f(a=1, 2) }}",
        "{{ 1, 2 }}",
        "{{ \u00b2 }}",
        "{{ '\\d' }}",
        "{{ '\\ud800' }}",
        "{{ 1e999 }}",
        "{{ " + "9" * 5000 + " }}",
        "{{ " + "9" * 400 + " }}",
        "{{ " + "(" * 30 + "1" + ")" * 30 + " }}",
        "{{ " + "not " * 400 + "true }}",
        "{{ a" + ".a" * 400 + " }}",
        "{{ " + "1 + " * 400 + "1 }}",
        "{{ '" + "a" * 10_000 + "' }}",
        "{{- input.x }}",
        "{{ input.x -}}",
        "{{ {1: 2} }}",
        "{{ input.x | round(1, 2, 3) }}",
        "{{ input.x | map }}",
        "{{ input.x | selectattr }}",
        "{{ input.x is eq }}",
    ],
)
def test_every_mistake_of_syntax_is_found_before_anything_runs(text: str) -> None:
    """Static; rendering it anyway is the same error."""
    (found,) = problems({"a": ["ok", text]})

    assert found.path == ("a", 1)
    assert found.message
    assert text[found.offset :].startswith(found.focus)
    with pytest.raises(ExpressionError):
        compile_value(text).render({"input": {"x": 1}})


def test_every_mistake_in_a_value_is_reported_at_once() -> None:
    """Not one a run."""
    found = problems({"a": "{{ b | c }} {{ d | e }}", "{{ k }}": 1, "l": ["{% x %}"]})

    assert [each.path for each in found] == [("{{ k }}",), ("a",), ("a",), ("l", 0)]
    assert [each.focus for each in found] == ["{{ k }}", "c", "e", "{%"]
    assert [each.offset for each in found] == [0, 7, 19, 0]


def test_the_start_of_a_saga_is_text_that_can_be_joined_and_compared() -> None:
    scope = {"saga": {"started_at": "2026-03-01T10:00:00.000Z"}, "input": {"due": "2026-02-01T00:00:00.000Z"}}

    assert render("orders/{{ saga.started_at[:10] }}", scope) == "orders/2026-03-01"
    assert compile_condition("saga.started_at > input.due").render(scope) is True


@pytest.mark.parametrize(
    "text",
    [
        "{{ 1 / input.zero }}",
        "{{ 1 // input.zero }}",
        "{{ 1 % input.zero }}",
        "{{ 0 ** -1 }}",
        "{{ 1 < 'a' }}",
        "{{ input < 1 }}",
        "{{ 'a' + 1 }}",
        "{{ true + 1 }}",
        "{{ -'a' }}",
        "{{ 1 in 5 }}",
        "{{ 1 in 'abc' }}",
        "{{ input.nan }}",
        "{{ input.nan + 1 }}",
        "{{ 1e308 * 10 }}",
        "{{ 'x' | int }}",
        "{{ '' | float }}",
        "{{ 'nan' | float }}",
        "{{ 'yes' | bool }}",
        "{{ '{' | from_json }}",
        "{{ 'NaN' | from_json }}",
        "{{ 'x' | uuid5('y') }}",
        "{{ 5 | upper }}",
        "{{ [1, 'a'] | sort }}",
        "{{ [true, 1] | sort }}",
        "{{ [1, 'a'] | sum }}",
        "{{ 'abc'[::0] }}",
        "{{ 'abc'[1.5:] }}",
        "{{ 'abc'['x'] }}",
        "{{ [1][true] }}",
        "{{ {input.zero: 1} }}",
        "{{ 'a' | split('') }}",
        "{{ 1 is divisibleby(0) }}",
        "{{ 'x' | replace('x') }}",
        "{{ [1] | batch(0) }}",
        "{{ '\\udc80' | uuid5 }}",
        "{{ input.half | urlencode }}",
        "{{ input.half | uuid5 }}",
    ],
)
def test_what_cannot_be_computed_is_an_expression_error(text: str) -> None:
    """R56: never a Python exception, which would block the run for ever."""
    assert fails(text, zero=0, nan=float("nan"), half="\ud800")


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


class Marked(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "thing",
    [
        date(2026, 1, 1),
        {1},
        b"x",
        object(),
        print,
        iter([1]),
        Colour.RED,
        Level.LOW,
        1j,
        Lazy({"a": 1}),
        {1: 2},
    ],
)
def test_what_json_cannot_hold_is_found_with_its_place(thing: Any) -> None:
    """Before anything is scheduled."""
    with pytest.raises(ExpressionError) as caught:
        render({"lines": [0, {"amount": "{{ input.t }}"}]}, t={"x": [thing]})
    assert caught.value.path[:5] == ("lines", 1, "amount", "x", 0)
    assert caught.value.expression == "{{ input.t }}"


def test_results_are_plain_json() -> None:
    """Tuples become lists, views become objects, subclasses of text become text."""
    scope = {"v": Plain({"a": (1, Marked("x")), "b": Plain({})}), "t": Marked("y")}

    assert render("{{ v }}", scope) == {"a": [1, "x"], "b": {}}
    assert type(render("{{ v }}", scope)["a"][1]) is str
    assert type(render("{{ t }}", scope)) is str
    assert render("{{ (1, 2) }}", {}) == [1, 2]


def test_json_data_is_passed_on_without_a_copy() -> None:
    """The hot path: an output of a megabyte costs a look, not a copy."""
    data = {"a": [1, {"b": "c"}]}

    assert render("{{ input }}", {"input": data}) is data


def test_a_view_is_read_like_an_object() -> None:
    """The engine's views are lazy and no dicts."""
    scope = {"steps": Lazy({"a": Lazy({"output": Lazy({"x": 1})})})}

    assert render("{{ steps.a.output.x }}", scope) == 1
    assert render("{{ steps['a']['output'].x }}", scope) == 1
    assert render("{{ 'a' in steps and 'b' not in steps }}", scope) is True
    assert render("{{ steps | length }}", scope) == 1
    assert "`steps.b` is not defined: `steps` has `a`" in fails("{{ steps.b.output }}", scope)


def test_an_error_survives_pickling() -> None:
    """It crosses processes."""
    with pytest.raises(ExpressionError) as caught:
        render({"a": ["{{ input.b }}"]})
    error = pickle.loads(pickle.dumps(caught.value))

    assert (error.message, error.expression, error.path) == (
        caught.value.message,
        "{{ input.b }}",
        ("a", 0),
    )
    assert str(error) == str(caught.value)


def test_a_value_without_expressions_is_its_data() -> None:
    """The hot path."""
    data = {"a": [1, "x", None], "b": {"c": "}} {"}}
    value = compile_value(data)

    assert isinstance(value, Constant)
    assert value.render({}) is data
    assert value.reads == ()
    assert value.items is not None
    assert value.items["a"].source == [1, "x", None]


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("{{ input.a.b }}", (("input", "a", "b"),)),
        ('{{ steps["pay"].output["id"] }}', (("steps", "pay", "output", "id"),)),
        ("{{ steps.pay.output.lines[0].x }}", (("steps", "pay", "output", "lines"),)),
        ("{{ steps[input.k].output }}", (("steps",), ("input", "k"))),
        ("{{ a if b else c.d }}", (("b",), ("a",), ("c", "d"))),
        ("{{ a.x | default(b) }} {{ a.x }} {{ c ~ d }}", (("a", "x"), ("b",), ("c",), ("d",))),
        ("{{ [a, {'k': b}] | map('default', c) }}", (("a",), ("b",), ("c",))),
        ("{{ null }} {{ true }} {{ 1 }}", ()),
        ("{{ broken | }}", ()),
    ],
)
def test_what_a_value_reads_is_known_without_rendering_it(text: str, reads: tuple[tuple[str, ...], ...]) -> None:
    """The static checks and the early rendering of compensations (R15) need it."""
    assert set(compile_value(text).reads) == set(reads)
    assert set(compile_value({"a": [text]}).reads) == set(reads)


def test_the_values_of_an_object_are_at_hand_one_by_one() -> None:
    """A compensation may render early what needs the input alone (R15)."""
    value = compile_value({"a": "{{ input.a }}", "b": {"c": 1}})

    assert value.items is not None
    assert value.items["a"].render({"input": {"a": 1}}) == 1
    assert value.items["b"].render({}) == {"c": 1}
    assert compile_value("{{ input }}").items is None
    assert compile_value([1]).items is None


def test_a_duration_may_be_an_expression_whose_value_is_judged_later() -> None:
    """The text comes out as it is."""
    assert render("{{ input.sla }}", sla="30s") == "30s"
    assert render("{{ input.sla | default('1m') }}") == "1m"
    assert "is not defined" in fails("{{ input.sla }}")


def test_bare_expressions_take_braces_or_not() -> None:
    """`items`, `until` and `if` are expressions as a whole."""
    scope = {"input": {"l": [1, 2]}}

    assert compile_value("input.l", bare=True).render(scope) == [1, 2]
    assert compile_value(" {{ input.l }}\n", bare=True).render(scope) == [1, 2]
    assert compile_value([1, "{{ input.l }}"], bare=True).render(scope) == [1, [1, 2]]
    assert compile_value("'{{' ~ input.l[0]", bare=True).render(scope) == "{{1"
    assert "without braces" in refused("{{ a }} and {{ b }}", bare=True)[1]
    assert "braces" in refused("a and {{ b }}", bare=True)[1]
    assert "empty" in refused(" ", bare=True)[0]


def test_uuid5_gives_the_same_identifier_for_ever() -> None:
    """Keys are made with it; neither its namespace nor its result may change."""
    assert render("{{ 'order-1' | uuid5 }}") == "5949fcf2-8ffe-5684-962b-1236b391a02a"
    assert render("{{ 'python.org' | uuid5('6ba7b810-9dad-11d1-80b4-00c04fd430c8') }}") == (
        "886313e1-3b8a-5372-9b90-0c9aee199e5d"
    )


@pytest.mark.parametrize("key", ["['1.5' | decimal]", "{'a': '1.5' | decimal}"])
def test_a_key_that_holds_a_decimal_is_told_as_not_defined(key: str) -> None:
    """Its message is no error of Python about how data is spelled."""
    assert "is not defined" in fails(f"{{{{ input[{key}] }}}}", a=1)
    assert "is not defined" in fails(f"{{{{ [1][{key}] }}}}")


@pytest.mark.parametrize("text", ["{{ input.ok }}'", "{{ input.ok }} please"])
def test_what_stands_beside_a_condition_is_named(text: str) -> None:
    """N22: the stray quote or word, and what to write instead."""
    (problem,) = compile_condition(text).problems

    assert problem.focus == text.removeprefix("{{ input.ok }}").strip()
    assert "beside the expression" in problem.message
    assert "`{{ input.ok }}`" in problem.help


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("{{ input.size }} == 'large'", "{{ input.size == 'large' }}"),
        ("input.size == {{ input.other }}", "input.size == input.other"),
        ("{{ input.size }} == {{ input.other }}", "input.size == input.other"),
        ("not {{ input.ok }}", "not input.ok"),
        ("{{ input.a or input.b }} and {{ input.c }}", "(input.a or input.b) and input.c"),
        ("{{ input.a or input.b }} and input.c", "{{ (input.a or input.b) and input.c }}"),
        ("input.c and {{ input.a or input.b }}", "input.c and (input.a or input.b)"),
        ("not {{ input.a == 1 and input.b }}", "not (input.a == 1 and input.b)"),
        ("{{ input.a if input.b else input.c }} == 1", "{{ (input.a if input.b else input.c) == 1 }}"),
        ("{{ input.a < 3 }} == {{ input.b }}", "(input.a < 3) == input.b"),
        ("{{ input.a + 1 }} * 2 > {{ 3 }}", "(input.a + 1) * 2 > 3"),
        ("{{ input.a == 1 }} and {{ input.b | length > 2 }}", "input.a == 1 and input.b | length > 2"),
        ("{{ input.a | first }}.ok and {{ 'x' in input.b }}", "(input.a | first).ok and ('x' in input.b)"),
        ("input.l[{{ input.n }}] == {{ 'x' | upper }}", "input.l[input.n] == 'x' | upper"),
    ],
)
def test_a_condition_with_braces_inside_is_shown_without_them(text: str, whole: str) -> None:
    (problem,) = compile_condition(text).problems

    assert f"`{whole}`" in problem.help


@pytest.mark.parametrize(
    "text",
    [
        "{{ input.a }} == '{{ input.b }}'",  # without braces it would be the text `input.b`
        "{{ input.a }} == '{{ input.b or input.c }}'",
        "input.{{ input.key }}",  # not the field `input` of the input
        "{{ input.a }}{{ input.b }}",
        "{{ 1 }}{{ 2 }} == input.n",
        "{{ input.a }}b",
        "{{ input.a }} {{ input.b }}",
        "[{{ }}] == input.l",
    ],
)
def test_a_condition_that_would_mean_something_else_without_braces_is_not_shown_so(text: str) -> None:
    (problem,) = compile_condition(text).problems
    without = text.replace("{{ ", "").replace(" }}", "").replace("{{ }}", "")

    assert without not in problem.help
