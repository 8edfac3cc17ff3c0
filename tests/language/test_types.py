"""What is known of a value before it exists, and of what an expression makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagadsl.diagnostics.findings import Severity
from sagadsl.language.analysis.complaints import Complaint
from sagadsl.language.analysis.inference import Inference
from sagadsl.language.analysis.types import ANY, Shape, of_data, of_schema, or_null, union
from sagadsl.language.expressions.code import Chain
from sagadsl.language.expressions.values import ExpressionError, compile_value

PERSON = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "age": {"type": ["integer", "null"]},
        "friends": {"type": "array", "items": {"$ref": "#"}},
        "home": {"anyOf": [{"$ref": "#/$defs/address"}, {"type": "null"}]},
        "size": {"enum": ["small", "large"]},
    },
    "$defs": {"address": {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False}},
}


def _field(shape: Shape, *names: str) -> Shape:
    for name in names:
        found = shape.field(name)
        assert found is not None
        shape = found
    return shape


def test_a_schema_may_refer_to_itself() -> None:
    """References are followed when somebody asks, and not before."""
    friends = _field(of_schema(PERSON), "friends")

    assert friends.kinds == {"array"}
    assert _field(friends.element, "friends").element.field("name") is not None


def test_a_field_is_declared_or_not_and_always_there_or_not() -> None:
    person = of_schema(PERSON)

    assert person.field("nmae") is None
    assert not person.may_lack("name")
    assert person.may_lack("age")
    assert _field(person, "age").nullable
    assert _field(person, "home", "city").said() == "text"
    assert _field(person, "home").nullable


@pytest.mark.parametrize(
    ("schema", "known"),
    [
        ({"type": "object", "properties": {"a": {}}}, False),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": True}, True),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "string"}}, True),
        ({"type": "object", "properties": {"a": {}}, "patternProperties": {"^x": {}}}, True),
        ({"type": "object"}, True),
        ({}, True),
        (True, True),
        ({"$ref": "https://example.com/schema"}, True),
        ({"$ref": "#/$defs/nothing"}, True),
        ({"$ref": "#"}, True),
    ],
)
def test_an_undeclared_field_is_a_slip_unless_the_schema_is_open(schema: Any, known: bool) -> None:
    """What is merely not forbidden is not declared either."""
    assert (of_schema(schema).field("x") is not None) is known


def test_a_schema_of_several_parts_says_what_all_of_them_say() -> None:
    """`allOf`, `anyOf`, `oneOf`, `const` and `enum`."""
    a: dict[str, Any] = {"type": "object", "properties": {"a": {}}, "required": ["a"]}
    both = of_schema({"allOf": [a, {"properties": {"b": {}}}]})
    either = of_schema({"oneOf": [{"type": "integer"}, {"const": "all"}]})

    assert both.kinds == {"object"}
    assert sorted(both.fields) == ["a", "b"]
    assert both.required == {"a"}
    assert either.said() == "a whole number or text"
    assert of_schema({"const": 5}).choices == (5,)
    assert _field(of_schema(PERSON), "size").said() == "`small` or `large`"


def test_schemas_about_one_value_in_a_circle_end() -> None:
    """Security: bounded, whatever the schema."""
    assert of_schema({"anyOf": [{"$ref": "#"}, {"$ref": "#"}, {"type": "null"}]}).said() == "anything"


def test_what_a_program_writes_out_has_its_defaults() -> None:
    """An output has every field with a default; an input may lack it."""
    schema = {"type": "object", "properties": {"a": {"default": None}}}

    assert of_schema(schema).may_lack("a")
    assert not of_schema(schema, filled=True).may_lack("a")


def test_a_value_of_one_of_several_shapes_has_what_all_of_them_have() -> None:
    """A union: fields of any, required of all."""
    one, other = of_data({"a": 1, "b": "x"}), of_data({"a": None})
    either = union([one, other])

    assert either.required == {"a"}
    assert either.field("b") is not None
    assert _field(either, "a").kinds == frozenset()
    assert union([one, ANY]).field("anything") is ANY
    assert or_null(one).nullable


SCHEMAS = st.recursive(
    st.booleans()
    | st.sampled_from([{"type": "string"}, {"type": "integer"}, {"const": 1}, {"enum": [None, "a"]}, {"$ref": "#"}]),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", ["object", "null"]]),
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
            "required": st.lists(st.sampled_from("abc"), max_size=2),
            "items": inner,
            "additionalProperties": inner,
            "anyOf": st.lists(inner, max_size=3),
            "allOf": st.lists(inner, max_size=2),
        },
    ),
    max_leaves=8,
)


@given(SCHEMAS)
def test_any_schema_has_a_shape(schema: Any) -> None:
    """Never raises, and always has words."""
    shape = of_schema(schema)

    assert shape.said()
    for name in "abc":
        for inner in (shape.field(name), shape.element):
            assert inner is None or inner.said()


DATA: dict[str, Any] = {
    **{"int": 3, "float": 2.5, "text": "a b", "flag": True, "none": None},
    **{"ints": [3, 1, 2], "texts": ["b", "a"], "object": {"k": 1, "t": "x"}, "rows": [{"n": 1}, {"n": 2}]},
}


def _declared(value: Any) -> dict[str, Any]:
    """Return a schema that says all of the kinds in a value."""
    match value:
        case dict():
            fields = {key: _declared(item) for key, item in value.items()}
            return {"type": "object", "required": list(value), "properties": fields}
        case list():
            return {"type": "array", "items": _declared(value[0])}
        case float():
            return {"type": "number"}
        case _:
            return {"type": next(iter(of_data(value).kinds))}


class _Input:
    """A place where `input` is known and nothing else."""

    def names(self) -> Mapping[str, Shape]:
        return {"input": of_schema(_declared(DATA))}

    def absent(self, name: str) -> str:
        return ""

    def step(self, chain: Chain, soft: bool) -> tuple[Shape, int, tuple[Complaint, ...]]:
        raise AssertionError("nothing here reads a step")

    def near(self, word: str, names: object) -> str | None:
        return None

    def null_code(self, label: str) -> str:
        return "SD307"


def _expressions() -> st.SearchStrategy[str]:
    """Expressions without choices and without `default`, so that all of each is computed."""
    atoms = [*(f"input.{name}" for name in (*DATA, "rows[0].n", "gone")), "1", "'x'", "true", "null", "[]", "{}"]
    filters = "upper length first last sort sum join int string items keys list round max unique trim abs to_json"
    applied = [*filters.split(), "map(attribute='n')", "map('string')", "reverse"]
    signs = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">=", "in", "not in"]
    tests = ["none", "number", "string", "even", "startswith('a')"]

    def extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.tuples(inner, st.sampled_from(applied)).map("({0[0]} | {0[1]})".format),
            st.tuples(inner, st.sampled_from(tests)).map("({0[0]} is {0[1]})".format),
            st.tuples(inner, st.sampled_from(signs), inner).map("({0[0]} {0[1]} {0[2]})".format),
            inner.map("(not {})".format),
            inner.map("(-{})".format),
            inner.map("{}[0]".format),
            inner.map("{}[1:]".format),
            inner.map("{}.k".format),
            st.lists(inner, max_size=2).map(lambda given: f"[{', '.join(given)}]"),
            inner.map("{{'k': {}}}".format),
        )

    return st.recursive(st.sampled_from(atoms), extend, max_leaves=4)


@settings(max_examples=1500, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_expressions())
def test_what_is_foretold_of_an_expression_comes_true(text: str) -> None:
    """An error that is foretold happens, and a value that is given has the shape that was foretold."""
    value = compile_value(text, bare=True)
    inference = Inference(_Input())
    shape = inference.value(value)
    certain = [each.message for each in inference.complaints if each.severity is Severity.ERROR]
    try:
        result = value.render({"input": DATA})
    except ExpressionError:
        return

    assert certain == []
    assert shape.can_be(*of_data(result).kinds), (shape.said(), result)
