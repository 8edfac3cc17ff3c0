"""Values against the JSON Schemas of a definition."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.language.schema.conform import checker

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
