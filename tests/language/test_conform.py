"""Values against the JSON Schemas of a definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from jsonschema import Draft202012Validator

from sagadsl.language.schema.conform import ValueCheck, checker

ORDER = {
    "type": "object",
    "required": ["lines"],
    "properties": {"lines": {"type": "array", "items": {"$ref": "#/$defs/line"}}},
    "$defs": {"line": {"type": "object", "properties": {"count": {"type": "integer"}}}},
}


def test_a_value_that_fits_has_no_problems() -> None:
    assert checker(ORDER, "input")({"lines": [{"count": 1}]}) == ()


def test_without_a_schema_everything_fits() -> None:
    assert checker(None, "input")(object()) == ()


def test_every_problem_is_told_with_its_place() -> None:
    assert checker(ORDER, "input")({"lines": [{"count": "1"}, 7]}) == (
        '`input.lines[0].count`: must be a whole number, got `"1"`',
        "`input.lines[1]`: must be an object, got `7`",
    )


SAID: dict[str, tuple[Any, Any, str]] = {
    "additionalProperties": (
        {"properties": {"sku": {}}, "additionalProperties": False},
        {"skku": 1},
        "does not take `skku`; did you mean `sku`?",
    ),
    "anyOf": (
        {"anyOf": [{"type": "string", "minLength": 9}, {"type": "object", "properties": {"n": {"minimum": 3}}}]},
        {"n": 1},
        "fits no schema under `anyOf`: must be text, or `n` must be at least 3",
    ),
    "const": ({"const": None}, True, "must be `null`, got `true`"),
    "contains": (
        {"contains": {"type": "string"}},
        [None],
        "must have an element that fits the schema under `contains`, got `[null]`",
    ),
    "dependentRequired": (
        {"dependentRequired": {"card": ["name"]}},
        {"card": 1},
        "`name` is missing, which goes with `card`",
    ),
    "enum": ({"enum": ["x", None, True]}, False, "must be one of `x`, `null`, `true`, got `false`"),
    "exclusiveMaximum": ({"exclusiveMaximum": 3}, 3, "must be less than 3, got `3`"),
    "exclusiveMinimum": ({"exclusiveMinimum": 3}, 3, "must be greater than 3, got `3`"),
    "format": ({"format": "date"}, "today", 'must have the format `date`, got `"today"`'),
    "items": (
        {"prefixItems": [True, True], "items": False},
        [1, 2, 3],
        "must have at most 2 elements, got `[1, 2, 3]`",
    ),
    "maxContains": (
        {"contains": {"type": "integer"}, "maxContains": 1},
        [1, 2],
        "must have at most 1 elements that fit the schema under `contains`, got `[1, 2]`",
    ),
    "maximum": ({"maximum": 3}, 4, "must be at most 3, got `4`"),
    "maxItems": ({"maxItems": 1}, [1, 2], "must have at most 1 elements, got `[1, 2]`"),
    "maxLength": ({"maxLength": 1}, "ab", 'must have at most 1 characters, got `"ab"`'),
    "maxProperties": ({"maxProperties": 0}, {"a": None}, 'must have at most 0 fields, got `{"a": null}`'),
    "minContains": (
        {"contains": {"type": "integer"}, "minContains": 2},
        [1],
        "must have at least 2 elements that fit the schema under `contains`, got `[1]`",
    ),
    "minimum": ({"minimum": 3}, 2, "must be at least 3, got `2`"),
    "minItems": ({"minItems": 1}, [], "must have at least 1 elements, got `[]`"),
    "minLength": ({"minLength": 1}, "", 'must have at least 1 characters, got `""`'),
    "minProperties": ({"minProperties": 1}, {}, "must have at least 1 fields, got `{}`"),
    "multipleOf": ({"multipleOf": 5}, 7, "must be a multiple of 5, got `7`"),
    "not": ({"not": {"type": "string"}}, "x", 'must not fit the schema under `not`, `{"type": "string"}`, got `"x"`'),
    "oneOf": ({"oneOf": [{"minimum": 1}, {"maximum": 9}]}, 5, "fits more than one schema under `oneOf`, got `5`"),
    "pattern": ({"pattern": "^A"}, "b", 'must match `^A`, got `"b"`'),
    "propertyNames": ({"propertyNames": {"pattern": "^a"}}, {"b": 1}, "the key `b` must match `^a`"),
    "required": ({"required": ["sku"]}, {}, "`sku` is missing"),
    "type": ({"type": ["string", "null"]}, True, "must be text or null, got `true`"),
    "unevaluatedItems": (
        {"prefixItems": [True], "unevaluatedItems": False},
        [1, None],
        "must have no element that its schema does not describe, got `[1, null]`",
    ),
    "unevaluatedProperties": (
        {"allOf": [{"properties": {"a": True}}], "unevaluatedProperties": False},
        {"a": 1, "b": None},
        "does not take `b`",
    ),
    "uniqueItems": (
        {"uniqueItems": True},
        [True, None, True],
        "must not have the same element twice, got `[true, null, true]`",
    ),
}
"""By the word of JSON Schema: a schema, a value that does not fit it, and what is said."""

LEAD_ON = {"$ref", "$dynamicRef", "allOf", "dependentSchemas", "if", "patternProperties", "prefixItems", "properties"}
"""Words that only lead to other schemas, whose words judge."""


@pytest.mark.parametrize("word", SAID)
def test_what_does_not_fit_is_said_in_our_words(word: str) -> None:
    """None of the library, which writes values as Python does."""
    schema, value, said = SAID[word]
    assert checker(schema, "input")(value) == (f"`input`: {said}",)


def test_a_value_that_must_not_be_there_is_said_so() -> None:
    """Its schema is `false`, without any word."""
    (said,) = checker({"properties": {"old": False}}, "input")({"old": None})
    assert said == "`input`: nothing may stand where the schema says `false`, got `null`"


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        (
            {"properties": {"a": True}, "unevaluatedProperties": {"type": "string"}},
            {"a": 1, "b": 2, "c": "x", "d": []},
            'has fields that do not fit the schema under `unevaluatedProperties`, `{"type": "string"}`: `b`, `d`',
        ),
        (
            {"prefixItems": [True], "unevaluatedItems": {"type": "string"}},
            [1, 2],
            "must have no other elements than fit the schema under `unevaluatedItems`, "
            '`{"type": "string"}`, got `[1, 2]`',
        ),
        ({"propertyNames": False}, {"b": 1}, "the key `b` must not be there: the schema says `false`"),
        (
            {"properties": {"propertyNames": False}},
            {"propertyNames": 1},
            "nothing may stand where the schema says `false`, got `1`",
        ),
    ],
)
def test_what_a_schema_for_all_the_others_does_not_take_is_said(schema: Any, value: Any, said: str) -> None:
    assert checker(schema, "input")(value) == (f"`input`: {said}",)


_INNER = (False, {"type": "integer"}, {"enum": [7]}, {"required": ["z"]}, {"minItems": 9}, {"not": {}})
_AROUND: tuple[Callable[[Any], Any], ...] = (
    lambda inner: {"anyOf": [{"type": "boolean"}, inner]},
    lambda inner: {"oneOf": [inner, {"type": "boolean"}]},
    lambda inner: {"allOf": [inner]},
    lambda inner: {"if": {}, "then": inner},
    lambda inner: {"properties": {"a": inner}, "items": inner, "contains": inner},
    lambda inner: {"prefixItems": [inner], "items": False, "additionalProperties": inner},
    lambda inner: {"propertyNames": inner, "patternProperties": {"a": inner}},
    lambda inner: {"unevaluatedProperties": inner, "unevaluatedItems": inner},
    lambda inner: {"dependentSchemas": {"a": inner}, "not": {"allOf": [{}, {"not": inner}]}},
)


@pytest.mark.parametrize("inner", _INNER, ids=str)
@pytest.mark.parametrize("around", range(len(_AROUND)))
@pytest.mark.parametrize("outer", range(len(_AROUND)))
def test_whatever_stands_in_whatever_there_are_words_for_it(outer: int, around: int, inner: Any) -> None:
    """An error in place of words would block a run that judges a signal. `false` is a schema, too."""
    schema = _AROUND[outer](_AROUND[around](inner))
    for value in ("x", None, {"a": "x"}, {"a": {"a": 1}}, ["x"], [["x"], {"a": []}]):
        assert all(isinstance(each, str) for each in checker(schema, "input")(value))


def test_an_alternative_that_is_false_is_none() -> None:
    found = checker({"anyOf": [{"type": "integer"}, False]}, "input")("x")
    said = "must be a whole number, or nothing may stand where the schema says `false`"
    assert found == (f"`input`: fits no schema under `anyOf`: {said}",)


def test_every_word_of_json_schema_is_said_in_our_words() -> None:
    assert {*Draft202012Validator.VALIDATORS, "minContains", "maxContains"} == {*SAID, *LEAD_ON}


def test_problems_are_bounded() -> None:
    """Messages end up in histories."""
    found = checker(ORDER, "input")({"lines": ["x" * 5000] * 50})
    assert len(found) == 10
    assert max(map(len, found)) < 400


def test_a_reference_to_elsewhere_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a schema does not pass the static check; if one gets here, no connection is opened."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    (problem,) = checker({"$ref": "http://127.0.0.1:1/schema.json"}, "input")({})
    assert problem == "`input` cannot be checked: its schema refers to `http://127.0.0.1:1/schema.json`"


@pytest.mark.parametrize("amount", [19.99, 0.07, 4.35, 1.1, 100, 1e20, -0.3])
def test_money_is_a_multiple_of_a_cent(amount: float) -> None:
    """N2: as the number is written, and not as binary fractions make it."""
    assert checker({"multipleOf": 0.01}, "input")(amount) == ()
    assert checker({"multipleOf": 0.01}, "input", first_rules=True)(100) == ()


def test_what_is_no_multiple_is_told() -> None:
    assert checker({"multipleOf": 0.01}, "input")(19.999) == ("`input`: must be a multiple of 0.01, got `19.999`",)


def test_runs_of_the_first_rules_are_judged_as_they_were() -> None:
    """A signal that an older release refused must stay refused when its run is replayed, and the other way round."""
    schema = {"properties": {"day": {"format": "date"}, "code": {"pattern": "^A$"}, "sum": {"multipleOf": 0.01}}}

    assert checker(schema, "go", first_rules=True)({"day": "today", "code": "A\n"}) == ()
    assert checker(schema, "go", first_rules=True)({"sum": 19.99}) == ("`go.sum`: 19.99 is not a multiple of 0.01",)
    assert checker(schema, "go")({"sum": 19.99}) == ()


def test_the_same_holds_at_every_depth_and_behind_a_declared_dialect() -> None:
    """N13: the library would take its own words again for a schema that says `$schema`."""
    tree = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {"day": {"type": "string", "format": "date"}, "next": {"$ref": "#"}},
        "patternProperties": {"^x$": False},
    }

    assert checker(tree, "input")({"next": {"next": {"day": "today"}}}) == (
        '`input.next.next.day`: must have the format `date`, got `"today"`',
    )
    assert checker(tree, "input")({"x\n": 1}) == ()
    assert len(checker(tree, "input")({"x": 1})) == 1
    closed = {**tree, "patternProperties": {"^x$": True}, "additionalProperties": False}
    assert checker(closed, "input")({"x": 1}) == ()
    assert len(checker(closed, "input")({"x\n": 1})) == 1


class PanicException(BaseException):
    """As a native part of the JSON Schema library raises it: no ``Exception``, of a class that nobody can name."""


def test_a_panic_of_the_schema_library_says_that_a_value_is_too_deep() -> None:
    def panics(_value: Any) -> NoReturn:
        raise PanicException

    assert ValueCheck("input", panics)({}) == ("`input` is nested too deeply to be checked",)


def test_what_ends_a_process_is_no_panic_of_the_schema_library() -> None:
    def ends(_value: Any) -> NoReturn:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ValueCheck("input", ends)({})
