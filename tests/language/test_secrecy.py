"""Where a schema marks secrets, and what is left of data and texts without them."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.language.schema import json_schema
from sagadsl.language.schema.conform import checker
from sagadsl.language.schema.secrecy import EVERYTHING, NOTHING, found, hiding, places

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
        (_object(a={"propertyNames": SECRET}), {("a", "*keys")}),
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
    assert hides.text('refused "say \\"ü\\"\\n"') == 'refused "***"'


@pytest.mark.parametrize("secret", [12345, 12345.0, "12345"])
def test_a_number_is_the_same_however_it_is_written(secret: Any) -> None:
    """An expression makes an integer of a number with a fraction, and of a text."""
    hides = hiding([secret])
    assert hides.data([12345, 12345.0, "12345", 12346, 12345.5]) == ["***", "***", "***", 12346, 12345.5]
    assert hides.text("pin 12345, of 1234") == "pin ***, of 1234"


def test_a_secret_that_is_a_key_is_hidden() -> None:
    assert hiding(["hush-1", "hush-2"]).data({"hush-1": 1, "of hush-2": {"hush-1": 2}, "b": 3, "hush-2": 4}) == {
        "***": 1,
        "of ***": {"***": 2},
        "b": 3,
        "*** (2)": 4,
    }


def test_keys_that_are_marked_are_hidden_after_what_they_name() -> None:
    data = {"ann": {"pin": "12"}, "bob": {"pin": "13"}}
    at = places({"propertyNames": SECRET, "properties": {"ann": _object(pin=SECRET)}})
    assert NOTHING.data(data, at) == {"***": {"pin": "***"}, "*** (2)": {"pin": "13"}}
    assert list(found(data, [("*keys",)])) == ["ann", "bob"]


def test_the_places_of_secrets_in_data_name_no_key_that_came_with_data() -> None:
    data = {"to": {"hush-4111": "of hush-4111"}, "ids": [{"x": "hush-4111"}], "no": 1}
    found_in = hiding(["hush-4111"]).found_in(data, {"to", "ids", "no"})
    assert set(found_in) == {("to", "*"), ("to", "*keys"), ("ids",)}


def test_everything_is_hidden_if_nobody_knows_what_is_secret() -> None:
    assert EVERYTHING.data({"a": 1}) == "***"
    assert EVERYTHING.data(None) is None
    assert (EVERYTHING.text("why"), EVERYTHING.text("")) == ("***", "")
    assert EVERYTHING.fields({"path": "a", "message": "b"}, frozenset({"message"})) == {"path": "a", "message": "***"}


def test_everything_is_hidden_if_there_are_too_many_secrets_to_look_for() -> None:
    """None is shown because others came before it. The same one many times is one."""
    secrets = [f"hush-{number:05}" for number in range(10_000)]
    assert hiding([secrets, secrets]).data({"a": 1, "b": "of hush-09999"}) == {"a": 1, "b": "of ***"}
    for last in ("hush-last", 98765):
        assert hiding([secrets[:-1], {"x": [last, "hush-more"]}]) is EVERYTHING


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


def test_the_place_of_what_does_not_fit_is_told_without_a_secret_key() -> None:
    check = checker({"propertyNames": SECRET, "additionalProperties": {"type": "integer"}}, "input")
    assert check({"hush-4111": "x"}) == ('`input.***`: must be a whole number, got `"x"`',)


def test_the_mark_is_checked_as_a_keyword() -> None:
    """A mark that is misspelt would hide nothing."""
    schema = _object(a={"x-secret": "yes"}, b={"x-secrets": True}, c={"x-note": 1})
    assert [(each.code, each.message) for each in json_schema.check(schema, ("input",))] == [
        ("SD109", "`x-secret` of a schema must be `true` or `false`"),
        ("SD109", "JSON Schema has no keyword `x-secrets`, so it marks nothing"),
    ]
