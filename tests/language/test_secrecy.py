"""Where a schema marks secrets, and what is left of data and texts without them."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.language.schema import json_schema
from sagadsl.language.schema.conform import checker
from sagadsl.language.schema.secrecy import found, hiding, places

SECRET = {"type": "string", "x-secret": True}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (_object(a=SECRET, b={"type": "string"}), {("a",)}),
        ({"x-secret": True}, {()}),
        ({"x-secret": False, **_object(a={"x-secret": "yes"})}, set()),
        (_object(a={"type": "array", "items": _object(b=SECRET)}), {("a", "*", "b")}),
        ({"type": "array", "prefixItems": [{}, SECRET]}, {("*",)}),
        ({"additionalProperties": SECRET}, {("*",)}),
        ({"patternProperties": {"^x": SECRET}}, {("*",)}),
        ({"anyOf": [_object(a=SECRET), _object(b=SECRET)]}, {("a",), ("b",)}),
        ({"if": _object(a=SECRET), "then": _object(b=SECRET), "else": _object(c=SECRET)}, {("a",), ("b",), ("c",)}),
        ({"dependentSchemas": {"a": _object(b=SECRET)}}, {("b",)}),
        ({"$defs": {"t": SECRET}, **_object(a={"$ref": "#/$defs/t"})}, {("a",)}),
        ({"$defs": {"t": _object(s=SECRET, next={"$ref": "#/$defs/t"})}, "$ref": "#/$defs/t"}, {("s",), ("next",)}),
        ({"$defs": {"t": _object(next={"$ref": "#/$defs/t"})}, "$ref": "#/$defs/t"}, set()),
        (None, set()),
        (True, set()),
    ],
)
def test_the_places_of_secrets(schema: Any, expected: set[tuple[str, ...]]) -> None:
    """Of every alternative; where a schema leads to itself, all that lies below."""
    assert set(places(schema)) == expected


def test_a_value_is_hidden_at_its_place_and_wherever_it_comes_up_again() -> None:
    data = {
        "card": {"number": "4111-1111", "cvc": "12"},
        "pin": 98765,
        "yes": True,
        "people": [{"mail": "a@b.example"}],
    }
    at = [("card", "number"), ("card", "cvc"), ("pin",), ("people", "*", "mail"), ("nothing", "here"), ("yes",)]
    hides = hiding(found(data, at))

    assert hides.data(data, at) == {
        "card": {"number": "***", "cvc": "***"},
        "pin": "***",
        "yes": "***",
        "people": [{"mail": "***"}],
    }
    assert hides.text("4111-1111 of a@b.example, pin 98765, room 12") == "*** of ***, pin ***, room 12"
    assert hides.data(["of 4111-1111", 98765, 12, True, None, "12"]) == ["of ***", "***", 12, True, None, "***"]
    assert hides.fields({"path": "4111-1111", "deep": [{"message": "4111-1111"}]}, frozenset({"message"})) == {
        "path": "4111-1111",
        "deep": [{"message": "***"}],
    }


def test_a_secret_is_found_as_python_and_json_quote_it() -> None:
    hides = hiding(['say "ü"\n'])
    assert hides.text("""refused 'say "ü"\\n'""") == "refused '***'"
    assert hides.text('refused "say \\"\\u00fc\\"\\n"') == 'refused "***"'


def test_a_longer_secret_goes_before_one_inside_of_it() -> None:
    assert hiding(["4111", "4111-1111"]).text("4111-1111 and 4111") == "*** and ***"


def test_the_beginning_of_a_secret_before_a_cut_is_hidden() -> None:
    hides = hiding(["hush-token-4242-and-more", "hush"])
    assert hides.text("of hush-token-42… and hush-tok…, in the…") == "of ***… and ***…, in the…"
    assert hides.text("gave hush-token-4242-and-more, then ab…") == "gave ***, then ab…"


def test_nothing_is_hidden_without_secrets() -> None:
    data = {"a": ["text", 1, None]}
    assert hiding([]).data(data) is data
    assert not hiding([None, True, "", {}])


def test_what_does_not_fit_is_told_without_the_value() -> None:
    check = checker({"type": "object", "properties": {"card": {**SECRET, "pattern": "^[0-9]+$"}}}, "input")
    assert check({"card": "hush-4111"}) == ('`input.card`: must match `^[0-9]+$`, got `"***"`',)


def test_the_mark_is_checked_as_a_keyword() -> None:
    """A mark that is misspelt would hide nothing."""
    schema = _object(a={"x-secret": "yes"}, b={"x-secrets": True}, c={"x-note": 1})
    assert [(each.code, each.message) for each in json_schema.check(schema, ("input",))] == [
        ("SD109", "`x-secret` of a schema must be `true` or `false`"),
        ("SD109", "JSON Schema has no keyword `x-secrets`, so it marks nothing"),
    ]
