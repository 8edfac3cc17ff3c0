"""What authors write between ``{{ }}``."""

from __future__ import annotations

import copy
import pickle
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from enum import Enum, IntEnum
from typing import Any

import pytest

from sagadsl.language.expressions.values import (
    Constant,
    ExpressionError,
    compile_condition,
    compile_value,
    problems,
)

LINES = [{"sku": "b", "price": 2, "stock": True}, {"sku": "a", "price": 10.5, "stock": False}]


def render(data: Any, scope: Mapping[str, Any] | None = None, **names: Any) -> Any:
    return compile_value(data).render({"input": names} if scope is None else scope)


def fails(data: Any, scope: Mapping[str, Any] | None = None, **names: Any) -> str:
    with pytest.raises(ExpressionError) as caught:
        render(data, scope, **names)
    return str(caught.value)


def refused(text: str, *, bare: bool = False) -> tuple[str, str]:
    found = problems(text, bare=bare)
    assert len(found) == 1, found
    return found[0].message, found[0].help


class Lazy(Mapping[str, Any]):
    """A view that is no dict and computes its values, as the engine's are."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)


class Plain(Lazy):
    def to_data(self) -> dict[str, Any]:
        return dict(self._data)


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


@pytest.mark.parametrize("key", ["items", "keys", "values", "update", "copy", "get", "pop"])
def test_data_always_wins_over_methods(key: str) -> None:
    """With dot and with brackets; a missing key is missing, never a bound method."""
    scope = {"input": {key: [1]}}

    assert render(f"{{{{ input.{key} }}}}", scope) == [1]
    assert render(f"{{{{ input['{key}'] }}}}", scope) == [1]
    assert "is not defined" in fails(f"{{{{ input.{key} }}}}")
    assert "is not defined" in fails(f"{{{{ input['{key}'] }}}}")
    assert render(f"{{{{ input.{key} | default('none') }}}}") == "none"


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ input['__class__'] }}",
        "{{ input | attr('__class__') }}",
        "{{ '%s' | format(input) }}",
        "{{ '{0.__class__}'.format(input) }}",
        "{{ ('{0.__class__}'.format)(1) }}",
        "{{ input | map(attribute='__class__') | list }}",
        "{{ [input] | map('attr', '__class__') | list }}",
        "{{ [input] | map(input.name) }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum() }}",
        "{{ self.__dict__ }}",
        "{{ input._private }}",
        "{{ namespace(a=1) }}",
        "{{ range(9) }}",
        "{{ input.list.append(1) }}",
        "{{ input.list | select('attr', '__class__') }}",
        "{{ input(*[1]) }}",
        "{{ input.list | join(*input.list) }}",
    ],
)
def test_a_way_out_is_refused(text: str) -> None:
    """Attributes, calls, methods and unlisted filters."""
    assert fails(text, name="attr", list=[1])


@pytest.mark.parametrize(
    "text", ["{{ input[input.k] }}", "{{ [input] | map(attribute=input.k) }}", "{{ ''[input.k] }}"]
)
def test_a_closed_name_that_arrives_as_data_is_refused_too(text: str) -> None:
    """At run time, since the key is not known before."""
    assert "cannot be read" in fails(text, k="__class__")


def test_native_types_safety_and_unchanged_data_hold_at_once() -> None:
    data = {"list": [1, [2]], "open": defaultdict(list)}
    before = copy.deepcopy(data)

    assert render("{{ input.list }}", {"input": data}) == [1, [2]]
    fails("{{ input.list.__class__ }}", {"input": data})
    fails("{{ input.list.append(3) }}", {"input": data})
    fails("{{ input.open.new }}", {"input": data})
    assert data == before


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(100000) %}{% endfor %}",
        "{% set x = 1 %}",
        "{%- if true %}",
        "{% include 'x' %}",
        "{% macro m() %}{% endmacro %}",
        "{% raw %}",
        "{# note #}",
        "text {{ input.a }} {% if x",
    ],
)
def test_statements_and_comments_are_refused_with_the_escape(text: str) -> None:
    message, remedy = refused(text)

    assert "not part of the language" in message
    assert "{{ '{" in remedy
    assert fails(text, a=1)


@pytest.mark.parametrize(
    "text",
    [
        "{{ 9**9999999 }}",
        "{{ 9**9**99 }}",
        "{{ 2.0**99999 }}",
        "{{ (-8)**0.5 }}",
        "{{ 10**300 * 10**300 }}",
        "{{ 'a' * 1000000000 }}",
        "{{ [0] * 1000000000 }}",
        "{{ input.big * 9 }}",
        "{{ input.big ~ input.big }}",
        "{{ input.big + input.big }}",
        "{{ input.big | replace('a', 'bbbbbbbbbb') }}",
        "{{ [input.big, input.big] | join }}",
        "{{ input.list | join(input.big) }}",
        "{{ input.list | map('replace', '1', input.big) | list }}",
        "{{ input.list | select('in', input.list) | list }}",
        "{{ input.list | map('in', input.big) }}",
        "{{ input.big | list | map('upper') | batch(1) | map('first') | unique | list }}",
        "{{ [input.list, input.list, input.list] | map('map', 'string') | list | to_json }}",
        "{{ 1.5 | round(-999999999) }}",
        "{{ 1 | round(999999999) }}",
        "{{ 'x' | truncate(99999999999) }}",
        "{{ input.deep | to_json }}",
        "{{ ('[' * 100000) | from_json }}",
        "{{ ('9' * 100000) | int }}",
    ],
)
def test_what_could_grow_without_end_is_an_error_at_once(text: str) -> None:
    """Bounded time and memory for every expression; the saga fails instead of the worker."""
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    assert fails(text, big="a" * 1_000_000, list=list(range(400_000)), deep=deep)


def test_the_work_of_one_value_is_bounded_as_a_whole() -> None:
    """Many expressions in one input share one budget."""
    value = compile_value(["{{ input.list | map('string') | join | length }}"] * 50)

    with pytest.raises(ExpressionError, match="too much work"):
        value.render({"input": {"list": list(range(50_000))}})


def test_an_aliased_explosion_is_cut_off() -> None:
    """A result that is small in memory may be endless when written out."""
    bomb: list[Any] = ["x"]
    for _ in range(30):
        bomb = [bomb, bomb, bomb, bomb]
    assert "too much work" in fails("{{ input.bomb }}", bomb=bomb)
    assert "too much work" in fails("{{ input.bomb == input.other }}", bomb=bomb, other=copy.deepcopy(bomb))


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("{{ now() }}", "saga.started_at"),
        ("{{ utcnow().isoformat() }}", "times are text"),
        ("{{ uuid4() }}", "uuid5"),
        ("{{ input.list | random }}", "deterministic"),
        ("{{ input.name.strip() }}", "| trim"),
        ("{{ len(input.list) }}", "| length"),
        ("{{ input.map.items() }}", "value | items"),
        ("{{ input.list | tojson }}", "to_json"),
        ("{{ input.list | lenght }}", "length"),
        ("{{ input.name is startwith('a') }}", "startswith"),
        ("{{ input.a && input.b }}", "`and`"),
        ("{{ input.a || input.b }}", "`or`"),
        ("{{ !input.a }}", "`not`"),
        ("{{ input.a = 1 }}", "`==`"),
        ("{{ input.a ? 1 : 2 }}", "a if condition else b"),
        ("{{ input._id }}", '["_id"]'),
    ],
)
def test_what_other_languages_have_is_refused_with_the_way_it_is_written_here(text: str, remedy: str) -> None:
    """The habits of other expression languages."""
    assert remedy in refused(text)[1]


def test_a_private_looking_field_of_data_is_read_with_brackets() -> None:
    """The rule is about attributes; data may be called anything but `__…`."""
    assert render('{{ input["_id"] }}', _id=5) == 5


@pytest.mark.parametrize("text", ["{{ 7*7 }}", "{% raw %}", "{# x #}", "{{ input.v }}", "{{", "}}", "a\r\nb\n"])
def test_text_out_of_data_is_never_rendered(text: str) -> None:
    """Whether it is passed on alone, inside text, or through a filter."""
    assert render("{{ input.v }}", v=text) == text
    assert render({"a": ["<{{ input.v }}>"]}, v=text) == {"a": [f"<{text}>"]}
    assert render("{{ [input.v] | join }}{{ '' }}", v=text) == text


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


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("lines | map(attribute='sku') | list", ["b", "a"]),
        ("lines | map(attribute='sku') | sort", ["a", "b"]),
        ("lines | map(attribute='size', default=1) | sum", 2),
        ("lines | map(attribute='sku') | map('upper') | join('-')", "B-A"),
        ("lines | selectattr('price', 'gt', 5) | map(attribute='sku') | first", "a"),
        ("lines | rejectattr('price', '>', 5) | map(attribute='sku') | first", "b"),
        ("lines | selectattr('stock') | map(attribute='sku') | first", "b"),
        ("lines | rejectattr('stock') | map(attribute='sku') | last", "a"),
        ("lines | selectattr('size', 'defined') | list", []),
        ("lines | sum(attribute='price')", 12.5),
        ("lines | sort(attribute='price', reverse=true) | map(attribute='sku')", ["a", "b"]),
        ("lines | max(attribute='price')", LINES[1]),
        ("lines | join(', ', attribute='sku')", "b, a"),
        ("[3, 1, 2] | sort(reverse=true)", [3, 2, 1]),
        ("['b', 'A', 'c'] | sort", ["A", "b", "c"]),
        ("['b', 'A'] | sort(case_sensitive=true)", ["A", "b"]),
        ("[1, 2, 3, 4] | select('even') | list", [2, 4]),
        ("[1, 2, 3, 4] | reject('odd') | list", [2, 4]),
        ("[1, 2, 3] | select('in', [2, 3]) | list", [2, 3]),
        ("[1, 1.0, '1', 'a', 'A', true] | unique | list", [1, "1", "a", True]),
        ("['a', 'A'] | unique(case_sensitive=true) | length", 2),
        ("[1, 2, 3, 4, 5] | batch(2)", [[1, 2], [3, 4], [5]]),
        ("[1, 2, 3] | batch(2, 0)", [[1, 2], [3, 0]]),
        ("[[1], [2, 3]] | flatten", [1, 2, 3]),
        ("[1, 2] | reverse", [2, 1]),
        ("'ab' | reverse", "ba"),
        ("[2, 1] | min", 1),
        ("[] | max | default(0)", 0),
        ("{'b': 1, 'a': 2} | dictsort", [["a", 2], ["b", 1]]),
        ("{'b': 1, 'a': 2} | dictsort(by='value', reverse=true)", [["a", 2], ["b", 1]]),
        ("{'b': 1} | items", [["b", 1]]),
        ("{'b': 1} | keys", ["b"]),
        ("{'b': 1} | values | list", [1]),
        ("{'b': 1} | list", ["b"]),
        ("{'a': 1, 'b': 1} | merge({'b': 2})", {"a": 1, "b": 2}),
        ("{'b': 1, 'a': '<&é'} | to_json", '{"a":"<&é","b":1}'),
        ("[1] | to_json(indent=2)", "[\n  1\n]"),
        ("'[1, 1.5, null]' | from_json", [1, 1.5, None]),
        ("' a b ' | trim", "a b"),
        ("'xax' | trim('x')", "a"),
        ("'a,b,c' | split(',')", ["a", "b", "c"]),
        ("'a,b,c' | split(',', 1)", ["a", "b,c"]),
        ("' a  b ' | split", ["a", "b"]),
        ("'aXbX' | replace('X', '')", "ab"),
        ("'aXbX' | replace('X', '-', 1)", "a-bX"),
        ("'hello wide world' | truncate(10, leeway=0)", "hello..."),
        ("'hello wide world' | truncate(10, true, '…', 0)", "hello wid…"),
        ("'hello-wide world' | title", "Hello-Wide World"),
        ("'HELLO' | capitalize", "Hello"),
        ("'a b/ü' | urlencode", "a%20b/%C3%BC"),
        ("{'a b': 1, 'c': 'x&y'} | urlencode", "a%20b=1&c=x%26y"),
        ("'abc' | list", ["a", "b", "c"]),
        ("'abc' | length", 3),
        ("-5 | abs", 5),
        ("42.55 | round", 43.0),
        ("42.55 | round(1, 'floor')", 42.5),
        ("42.11 | round(1, 'ceil')", 42.2),
        ("5 | round", 5),
        ("12.5 | fixed", "12.50"),
        ("7 | fixed(0)", "7"),
        ("' 42 ' | int", 42),
        ("'x' | int(0)", 0),
        ("12.9 | int", 12),
        ("'1.5e1' | float", 15.0),
        ("'x' | float(1.5)", 1.5),
        ("'TRUE' | bool", True),
        ("1.0 | string", "1.0"),
        ("true == 1", False),
        ("[true] == [1]", False),
        ("1 == 1.0", True),
        ("{'a': [1]} == {'a': [1.0]}", True),
        ("none == null", True),
        ("none is none and 1 is not null", True),
        ("'b' in ['a', 'b'] and 'x' not in {'y': 1} and 'b' in 'abc'", True),
        ("10 / 4", 2.5),
        ("10 // 4", 2),
        ("-7 % 3", 2),
        ("2 ** 10", 1024),
        ("-2 ** 2", 4),
        ("[1] + [2]", [1, 2]),
        ("'ab' * 2", "abab"),
        ("'abcdef'[1:5:2]", "bd"),
        ("[1, 2, 3][-1]", 3),
        ("1 is integer and 1.5 is float and 'a' is string and true is boolean and {} is mapping", True),
        ("true is not number and true is not integer and [] is sequence", True),
        ("true is true and 1 is not true and false is false", True),
        ("9 is divisibleby(3) and 'abc' is startswith('a') and 'abc' is endswith 'c'", True),
        ("[1] is contains(1) and 1 is in([1]) and 2 is gt(1) and 1 is not ne(1)", True),
        ("missing is undefined and lines is defined and lines[0].size is not defined", True),
    ],
)
def test_filters_tests_and_operators_do_what_jinja_does(text: str, result: Any) -> None:
    """The fixed list, each at least once."""
    value = compile_value(text, bare=True)

    assert value.problems == ()
    rendered = value.render({"lines": LINES})
    assert rendered == result
    assert type(rendered) is type(result)


def test_uuid5_gives_the_same_identifier_for_ever() -> None:
    """Keys are made with it; neither its namespace nor its result may change."""
    assert render("{{ 'order-1' | uuid5 }}") == "5949fcf2-8ffe-5684-962b-1236b391a02a"
    assert render("{{ 'python.org' | uuid5('6ba7b810-9dad-11d1-80b4-00c04fd430c8') }}") == (
        "886313e1-3b8a-5372-9b90-0c9aee199e5d"
    )


@pytest.mark.parametrize("text", ["{{ input.ok }}'", "{{ input.ok }} please"])
def test_what_stands_beside_a_condition_is_named(text: str) -> None:
    """N22: the stray quote or word, and what to write instead."""
    (problem,) = compile_condition(text).problems

    assert problem.focus == text.removeprefix("{{ input.ok }}").strip()
    assert "beside the expression" in problem.message
    assert "`{{ input.ok }}`" in problem.help
