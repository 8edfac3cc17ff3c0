"""Expressions are safe: they reach nothing but data, cost no more than a budget, and never come out of data."""

from __future__ import annotations

import copy
from collections import defaultdict
from typing import Any

import pytest

from sagadsl.language.expressions.values import ExpressionError, compile_value
from tests.language.expression_results import fails, refused, render


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
