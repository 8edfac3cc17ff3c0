"""What an input gets for what it leaves out (B13)."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.language.load import load
from sagadsl.language.schema.conform import checker
from sagadsl.language.schema.defaults import TooManyDefaults, filled


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


FIVE = {"type": "integer", "default": 5}


@pytest.mark.parametrize(
    ("schema", "data", "expected"),
    [
        (_object(a=FIVE), {}, {"a": 5}),
        (_object(a=FIVE), {"a": 6}, {"a": 6}),
        (_object(a=FIVE), {"a": None}, {"a": None}),
        (_object(a={"default": None}), {}, {"a": None}),
        (_object(a=_object(b=FIVE)), {}, {}),
        (_object(a=_object(b=FIVE)), {"a": {}}, {"a": {"b": 5}}),
        (_object(a={**_object(b=FIVE), "default": {}}), {}, {"a": {"b": 5}}),
        ({"items": _object(b=FIVE)}, [{}, {"b": 1}, 3], [{"b": 5}, {"b": 1}, 3]),
        ({"prefixItems": [_object(b=FIVE)], "items": _object(c=FIVE)}, [{}, {}], [{"b": 5}, {"c": 5}]),
        ({"additionalProperties": _object(b=FIVE)}, {"x": {}}, {"x": {"b": 5}}),
        ({"allOf": [_object(a=FIVE)], **_object(a={"default": 6}, b=FIVE)}, {}, {"a": 6, "b": 5}),
        ({**_object(a={"$ref": "#/$defs/x"}), "$defs": {"x": FIVE}}, {}, {"a": 5}),
        ({"$ref": "#/$defs/x", "$defs": {"x": _object(a=FIVE)}}, {}, {"a": 5}),
        ({"anyOf": [_object(a=FIVE)]}, {}, {}),
        ({"oneOf": [_object(a=FIVE)]}, {}, {}),
        ({**_object(a=FIVE), "default": {"a": 7}}, None, None),
        (None, {}, {}),
        (True, {}, {}),
        (_object(a=True), {}, {}),
    ],
)  # fmt: skip
def test_what_is_missing_has_its_default(schema: Any, data: Any, expected: Any) -> None:
    assert filled(schema, data) == expected


def test_what_is_given_is_not_changed() -> None:
    """The data is the caller's, and the default is the definition's: neither is written to."""
    schema = _object(a={**_object(b=FIVE), "default": {}}, c=_object(b=FIVE))
    data: dict[str, Any] = {"c": {}}

    assert filled(schema, data) == {"a": {"b": 5}, "c": {"b": 5}}
    assert (data, schema["properties"]["a"]["default"]) == ({"c": {}}, {})
    whole = {"a": {"b": 1}, "c": {"b": 2}}
    assert filled(schema, whole) is whole


def test_a_default_that_leads_to_itself_ends() -> None:
    schema = _object(a={"$ref": "#", "default": {}})

    with pytest.raises(TooManyDefaults):
        filled(schema, {})
    assert checker(schema, "input", fill=True)({}) == (
        "`input` cannot be taken: the defaults of its schema lead to themselves, or make more than 10,000 values",
    )


def test_defaults_that_double_end() -> None:
    levels = {f"l{n}": _object(a={"$ref": f"#/$defs/l{n + 1}", "default": {}}, b={"$ref": f"#/$defs/l{n + 1}", "default": {}}) for n in range(40)}  # fmt: skip  # noqa: E501

    with pytest.raises(TooManyDefaults):
        filled({"$ref": "#/$defs/l0", "$defs": levels}, {})


def test_an_input_is_checked_with_its_defaults() -> None:
    """A property that is needed and has a default need not be sent; a default that does not fit is refused."""
    schema = {**_object(a=FIVE, b={"type": "string", "default": 1}), "required": ["a"]}

    assert checker(schema, "input", fill=True)({"b": "x"}) == ()
    assert checker(schema, "input", fill=True)({}) == ("`input.b`: must be text, got `1`",)
    assert checker(schema, "input")({"b": "x"}) == ("`input`: `a` is missing",)


def test_the_checks_know_that_a_property_with_a_default_is_there() -> None:
    """What steps read of the input is what it is after the start; alternatives promise nothing."""
    text = """\
sagadsl: 1
name: a
input:
  properties: {a: {type: integer, default: 5}, b: {type: integer}}
  anyOf: [{properties: {c: {type: integer, default: 5}}}]
steps: [{id: s, set: {x: "{{ input.a + 1 }}", y: "{{ input.b + 1 }}", z: "{{ input.c + 1 }}"}}]
"""
    found = [(finding.code, finding.message) for finding in load(text).findings]
    assert found == [("SD307", "`input.b` may be missing"), ("SD307", "`input.c` may be missing")]
