"""Checks of values whose work somebody has chosen: it is bounded, and grows with the value and no faster."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sagadsl.language.load import load
from sagadsl.language.schema.conform import checker
from sagadsl.language.schema.effort import limited
from sagadsl.language.schema.quick import fits
from sagadsl.language.schema.validator import validator


def formula(word: str = "oneOf") -> dict[str, Any]:
    """A schema as people write it for nested data: each level of a value is looked at twice."""
    kinds = [
        {
            "type": "object",
            "required": ["op", "of"],
            "properties": {"op": {"const": op}, "of": {"$ref": "#/$defs/value"}},
        }
        for op in ("negative", "absolute")
    ]
    return {"$ref": "#/$defs/value", "$defs": {"value": {word: [*kinds, {"type": "number"}]}}}


def nested(depth: int, of: Any = 1) -> Any:
    for _ in range(depth):
        of = {"op": "absolute", "of": of}
    return of


@pytest.mark.parametrize("word", ["oneOf", "anyOf"])
def test_a_value_that_doubles_the_work_at_each_level_is_refused(word: str) -> None:
    """800 characters; without the bound it would take years."""
    (problem,) = checker(formula(word), "input")(nested(40, "x"))

    assert problem == (
        "`input` would take too long to be checked: more than 500,000 rules of the schema apply to it and to its parts"
    )
    assert checker(formula(word), "input")(nested(6)) == ()


def test_a_default_that_doubles_the_work_does_not_hold_up_the_check_of_its_definition() -> None:
    schema = {**formula(), "default": nested(40)}
    text = f"sagadsl: 1\nname: a\nversion: '1'\ninput: {schema!r}\nsteps:\n  - {{id: s, activity: a}}\n"

    assert load(text).saga is not None


def test_a_quick_yes_is_not_sought_for_ever() -> None:
    assert fits(nested(4), formula("anyOf"))
    assert not fits(nested(60, "x"), formula("anyOf"))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"uniqueItems": True}, [{"sku": number} for number in range(5_000)]),
        ({"uniqueItems": True}, [[number] if number % 2 else number for number in range(5_000)]),
        ({"items": {"enum": [str(number) for number in range(5_000)]}}, ["4999"] * 5_000),
        ({"items": {"enum": [{"n": number} for number in range(2_000)]}}, [{"n": 1999}] * 5_000),
    ],
    ids=["objects", "of several types", "one of many texts", "one of many objects"],
)
def test_what_is_compared_with_many_is_looked_up(schema: Any, value: Any) -> None:
    """The library would compare each with each: minutes for 100 kB."""
    with limited(100_000) as work:
        assert list(validator(schema).iter_errors(value)) == []
    assert 100_000 - work.left < 10 * len(value)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"items": True, "unevaluatedItems": False}, [1] * 30_000),
        ({"anyOf": [{"type": "string"}] * 2_000}, [1] * 30_000),
        ({"patternProperties": {f"^{n}$": True for n in range(200)}}, {f"key {n}": n for n in range(6_000)}),
        ({"items": {"format": "regex"}}, ["b" * 600_000] * 2),
        ({"items": {"allOf": [{"pattern": f"^(a|b)*({n})?$"} for n in range(200)]}}, ["b" * 600_000]),
    ],
    ids=["unevaluated", "long messages", "many patterns", "long expressions", "long texts"],
)
def test_what_takes_long_counts_for_more_than_one(schema: Any, value: Any) -> None:
    """A few rules and a value of less than 1 MB."""
    assert "would take too long" in str(checker(schema, "input")(value))


def test_a_check_that_takes_long_is_not_made_at_once() -> None:
    check = checker(formula(), "input")

    assert check.at_once(nested(3)) == ()
    assert check.at_once(nested(3, "x")) == check(nested(3, "x")) != ()
    assert check.at_once(nested(9)) is None
    assert check(nested(9)) == ()


_DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, -0.0, 1.0, 1.5, "", "1", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)


@given(_DATA, st.lists(_DATA, max_size=4))
def test_equal_is_what_the_library_takes_for_equal(value: Any, others: list[Any]) -> None:
    """1 is 1.0 and not true, at any depth: only the time it takes is ours."""
    for schema in ({"const": value}, {"enum": [value, *others]}, {"enum": others}):
        for each in (value, *others):
            assert validator(schema).is_valid(each) == Draft202012Validator(schema).is_valid(each), (schema, each)
    once = {"uniqueItems": True}
    pairs = [value, *others]
    alike = any(Draft202012Validator({"const": a}).is_valid(b) for n, a in enumerate(pairs) for b in pairs[n + 1 :])
    assert validator(once).is_valid(pairs) is not alike
