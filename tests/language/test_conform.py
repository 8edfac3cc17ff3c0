"""Values against the JSON Schemas of a definition."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.language.conform import checker

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
        "`input.lines[0].count`: '1' is not of type 'integer'",
        "`input.lines[1]`: 7 is not of type 'object'",
    )


def test_problems_are_bounded() -> None:
    """Messages end up in histories."""
    found = checker(ORDER, "input")({"lines": ["x" * 5000] * 50})
    assert len(found) == 10
    assert max(map(len, found)) < 400


def test_a_reference_to_elsewhere_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """S05: such a schema does not pass the static check; if one gets here, no connection is opened."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    (problem,) = checker({"$ref": "http://127.0.0.1:1/schema.json"}, "input")({})
    assert problem == "`input` cannot be checked: its schema refers to `http://127.0.0.1:1/schema.json`"
