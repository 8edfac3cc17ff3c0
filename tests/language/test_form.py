"""The quick yes: whatever it lets pass, the JSON Schema library lets pass too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator

from sagadsl.language.bundled import schema_text
from sagadsl.language.document import parse
from sagadsl.language.schema.quick import fits

ROOT = Path(__file__).parents[2]
WORDS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["string", "integer", "number", "object", "array", "null", ["string", "null"]]),
    "enum": st.lists(st.sampled_from(["a", 1, True, None, 1.0, [1]]), min_size=1, max_size=3),
    "const": st.sampled_from(["a", 0, False, 1.0, {"a": 1}]),
    "minimum": st.integers(-1, 2),
    "exclusiveMaximum": st.integers(-1, 2),
    "minLength": st.integers(0, 2),
    "maxLength": st.integers(0, 2),
    "pattern": st.sampled_from(["^a", "b$"]),
    "minItems": st.integers(0, 2),
    "uniqueItems": st.booleans(),
    "required": st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True),
    "minProperties": st.integers(0, 2),
    "title": st.just("a title"),
    "multipleOf": st.just(2),
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from([0.5, 1.0]) | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=6,
)


def _inner(schemas: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    more = {
        "items": schemas,
        "additionalProperties": schemas | st.booleans(),
        "properties": st.dictionaries(st.sampled_from(["a", "b"]), schemas, max_size=2),
        "patternProperties": st.dictionaries(st.just("^c"), schemas, max_size=1),
        "allOf": st.lists(schemas, min_size=1, max_size=2),
        "anyOf": st.lists(schemas, min_size=1, max_size=2),
        "if": schemas,
        "then": schemas,
        "else": schemas,
        "not": schemas,
        "$ref": st.just("#/definitions/a"),
    }
    return st.fixed_dictionaries({}, optional=more)


SCHEMAS = st.recursive(st.fixed_dictionaries({}, optional=WORDS), _inner, max_leaves=5)


@settings(max_examples=400, deadline=None)
@given(SCHEMAS, VALUES)
def test_what_fits_is_valid_for_the_library(schema: dict[str, Any], value: Any) -> None:
    """A wrong yes would hide a mistake; a no only costs time."""
    root = {**schema, "definitions": {"a": {"type": "string"}}}

    if fits(value, root):
        assert Draft202012Validator(root).is_valid(value)
        assert "$ref" in str(schema) or Draft7Validator(root).is_valid(value)


@pytest.mark.parametrize("path", sorted((ROOT / "definitions").glob("*.saga.yaml")), ids=lambda path: path.name)
def test_shipped_definitions_fit_without_the_library(path: Path) -> None:
    """What most people check most of the time is right, and gets the quick yes."""
    schema = json.loads(schema_text("saga"))

    assert fits(parse(path.read_bytes())[0].data, schema, ours=True)


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ({"a": 1}, {"type": "object", "required": ["b"]}),
        ([1, 1], {"uniqueItems": True}),
        (1, {"unheard_of": True}),
        (True, {"type": "integer"}),
        ("x", {"$ref": "https://example.org/schema"}),
    ],
)
def test_what_is_wrong_or_unknown_does_not_fit(value: Any, schema: dict[str, Any]) -> None:
    """Words that are not understood are left to the library."""
    assert not fits(value, schema)
