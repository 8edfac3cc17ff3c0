"""Says in the words of this tool what the library of JSON Schema has found in a value. It knows no definition."""

from __future__ import annotations

import json
from typing import Any

from sagadsl.language.notation.json_text import TYPES
from sagadsl.language.suggest import did_you_mean

BOUNDS = {
    "minimum": "be at least {}",
    "maximum": "be at most {}",
    "exclusiveMinimum": "be greater than {}",
    "exclusiveMaximum": "be less than {}",
    "multipleOf": "be a multiple of {}",
    "minLength": "have at least {} characters",
    "maxLength": "have at most {} characters",
    "pattern": "match `{}`",
    "minItems": "have at least {} elements",
    "maxItems": "have at most {} elements",
    "minProperties": "have at least {} fields",
    "maxProperties": "have at most {} fields",
    "const": "be `{}`",
}
"""What a value must do, by the word of the schema."""

_GOT = 60
_CHOICES = 12


def types_of(error: Any) -> list[str]:
    """Return the types that an error asks for, if it asks for nothing else."""
    if error.validator == "type":
        return error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    if error.validator in ("anyOf", "oneOf") and error.context:
        inner = [types_of(each) if not each.relative_path else [] for each in error.context]
        return [kind for kinds in inner for kind in kinds] if all(inner) else []
    return []


def sentence(error: Any, shown: Any) -> str:
    """Return what is wrong with a value: what it must be, and what was found.

    Args:
        shown: The value without what nobody may see of it.
    """
    value, rule = error.instance, error.validator_value
    got = f"got `{_cut(json.dumps(shown, ensure_ascii=False, default=str))}`"
    if kinds := types_of(error):
        return f"must be {' or '.join(TYPES.get(each, each) for each in dict.fromkeys(kinds))}, {got}"
    match error.validator:
        case "required":
            missing = next((name for name in rule if error.message.startswith(repr(name))), "")
            return f"`{missing}` is missing"
        case "additionalProperties" if rule is False and isinstance(value, dict):
            known = error.schema.get("properties", {})
            strange = [name for name in value if name not in known and f"'{name}'" in error.message]
            hint = did_you_mean(strange[0], known) if len(strange) == 1 else ""
            return f"does not take {', '.join(f'`{_cut(name)}`' for name in strange)}" + (f"; {hint}" if hint else "")
        case "enum":
            choices = ", ".join(f"`{_plain(each)}`" for each in rule[:_CHOICES])
            more = f" and {len(rule) - _CHOICES} more" if len(rule) > _CHOICES else ""
            return f"must be one of {choices}{more}, {got}"
        case word if word in BOUNDS:
            return f"must {BOUNDS[word].format(_plain(rule))}, {got}"
        case "format":
            return f"must have the format `{rule}`, {got}"
    return str(error.message)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= _GOT else f"{text[: _GOT - 1]}…"
