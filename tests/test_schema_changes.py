"""What `diff` says of schemas, tried with values: where nothing is narrower, what fitted before still fits."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from sagadsl.changes.schemas import Effect, compare

ATOMS = (0, 1, 2, 3, 1.0, 1.5, -1, "", "a", "b", "ab", None, True, False)


def _schema(choice: random.Random, depth: int = 0) -> Any:
    kind = choice.choice(("any", "type", "types", "enum", "const", "number", "text", "object", "array"))
    match kind:
        case "any":
            return choice.choice(({}, True, {"description": "x"}))
        case "type":
            return {"type": choice.choice(("integer", "number", "string", "boolean", "null", "object", "array"))}
        case "types":
            return {"type": choice.sample(("integer", "number", "string", "null"), 2)}
        case "enum":
            return {"enum": choice.sample((1, 2, "a", "b", None, True, 1.5), choice.randint(1, 3))}
        case "const":
            return {"const": choice.choice((1, "a", None))}
        case "number":
            bounds = {choice.choice(("minimum", "exclusiveMaximum", "maximum")): choice.randint(0, 3)}
            return {"type": choice.choice(("integer", "number")), **bounds}
        case "text":
            return {"type": "string", choice.choice(("minLength", "maxLength")): choice.randint(0, 2)}
        case "object" if depth < 2:
            found: dict[str, Any] = {"type": "object"}
            found["properties"] = {
                name: _schema(choice, depth + 1) for name in choice.sample("xyz", choice.randint(0, 3))
            }
            found["required"] = choice.sample("xyz", choice.randint(0, 2))
            if choice.random() < 0.4:
                found["additionalProperties"] = choice.choice((False, {"type": "integer"}))
            return found
        case _:
            return {"type": "array", "items": _schema(choice, depth + 1)} if depth < 2 else {}


def _changed(choice: random.Random, schema: Any) -> Any:
    newer, chance = copy.deepcopy(schema), choice.random()
    if not isinstance(newer, dict) or chance < 0.3:
        return _schema(choice)
    if newer.get("properties") and chance < 0.6:
        name = choice.choice(list(newer["properties"]))
        newer["properties"][name] = _changed(choice, newer["properties"][name])
    elif newer and chance < 0.8:
        newer.pop(choice.choice(list(newer)))
    else:
        more = _schema(choice)
        newer.update(more if isinstance(more, dict) else {})
    return newer


def _value(choice: random.Random, depth: int = 0) -> Any:
    chance = choice.random()
    if chance < 0.5 or depth > 2:
        return choice.choice(ATOMS)
    if chance < 0.85:
        return {name: _value(choice, depth + 1) for name in choice.sample("xyzw", choice.randint(0, 3))}
    return [_value(choice, depth + 1) for _ in range(choice.randint(0, 2))]


@pytest.mark.parametrize("part", range(4))
def test_where_nothing_is_narrower_what_fitted_before_still_fits(part: int) -> None:
    """But for properties that are declared anew: before, nobody had a reason to send them."""
    compared = 0
    for seed in range(part * 1_000, (part + 1) * 1_000):
        choice = random.Random(seed)
        old = _schema(choice)
        new = _changed(choice, old)
        try:
            Draft202012Validator.check_schema(new)
        except SchemaError:
            continue
        found = compare(old, new, "input")
        if any(each.effect is not Effect.WIDER or each.said.startswith("is new") for each in found):
            continue
        compared += 1
        before, after = Draft202012Validator(old), Draft202012Validator(new)
        for _ in range(40):
            value = _value(choice)
            assert not before.is_valid(value) or after.is_valid(value), (seed, old, new, value)
    assert compared > 100


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"enum": [1]}, {"enum": [True]}, "`input` cannot be `1` any more"),
        ({"const": 1}, {"const": 1, "enum": ["a"]}, "`input` cannot be `1` any more"),
        (
            {"properties": {"x": {"type": "string"}}},
            {"properties": {}, "additionalProperties": {"type": "integer"}},
            "`input.x` cannot be `string` any more, but `integer`",
        ),
        (
            {"additionalProperties": {"type": "string"}},
            {"properties": {"x": {"type": "integer"}}, "additionalProperties": {"type": "string"}},
            "`input.x` cannot be `string` any more, but `integer`",
        ),
    ],
)
def test_what_is_told_of_values_of_json_and_of_undeclared_properties(old: Any, new: Any, said: str) -> None:
    assert said in [str(each) for each in compare(old, new, "input") if each.effect is Effect.NARROWER]
    assert compare({"enum": [1, 2]}, {"enum": [2.0, 1]}, "input") == []
