"""N20: numbers that JSON cannot carry, wherever they come from."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.language.load import load
from sagadsl.language.notation.json_text import is_finite, is_strict, read_json, spelled_out
from sagadsl.language.schema.conform import checker

INFINITE = ["1e999", "-1e999", "NaN", "Infinity", "-Infinity", '{"a": [1E+400]}']


@pytest.mark.parametrize("text", INFINITE)
def test_they_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="JSON"):
        read_json(text)
    assert not is_strict(text.encode())


@pytest.mark.parametrize("text", ["1e308", "5e-324", "1e-999", '"NaN"', '{"Infinity": "1e999"}', "[]"])
def test_what_json_can_carry_is_read(text: str) -> None:
    assert is_strict(text.encode())
    assert is_finite(read_json(text))


@pytest.mark.parametrize("value", [float("inf"), float("nan"), {"a": [float("-inf")]}])
def test_no_input_and_no_payload_holds_one(value: Any) -> None:
    """With a schema or without one; runs of older releases have taken them, and are replayed."""
    for schema in (None, {}, {"type": "number"}):
        (problem,) = checker(schema, "input")(value)
        assert problem == "`input` holds a number that JSON cannot carry, such as `NaN` or `1e999`"
    assert checker(None, "input", first_rules=True)(value) == ()


@pytest.mark.parametrize("number", ["1e999", ".inf", "-.inf", ".nan"])
def test_no_definition_holds_one(number: str) -> None:
    loaded = load(f"sagadsl: 1\nname: a\nsteps: [{{id: a, set: {{x: {number}}}}}]\n")
    assert [finding.code for finding in loaded.errors] == ["SD013"]


def test_what_an_old_history_holds_is_spelled_out() -> None:
    assert spelled_out({"a": [float("inf"), 1.5]}) == {"a": ["Infinity", 1.5]}
