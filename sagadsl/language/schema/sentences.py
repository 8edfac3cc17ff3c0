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
    got = f"got `{_cut(json.dumps(shown, ensure_ascii=False, default=str))}`"
    what, with_value = _what(error)
    said = f"{what}, {got}" if with_value else what
    if not _is_key(error):
        return said
    return f"the key `{_cut(str(shown))}` {what if error.validator else 'must not be there: the schema says `false`'}"


def _what(error: Any) -> tuple[str, bool]:
    """Return what is wrong with a value, and whether the value itself helps to understand it."""
    value, rule = error.instance, error.validator_value
    if kinds := types_of(error):
        return f"must be {' or '.join(TYPES.get(each, each) for each in dict.fromkeys(kinds))}", True
    match error.validator:
        case "required":
            missing = next((name for name in rule if error.message.startswith(repr(name))), "")
            return f"`{missing}` is missing", False
        case "additionalProperties" | "unevaluatedProperties" if rule is False and isinstance(value, dict):
            known = error.schema.get("properties", {})
            strange = [name for name in value if name not in known and f"'{name}'" in error.message]
            hint = did_you_mean(strange[0], known) if len(strange) == 1 else ""
            said = f"does not take {', '.join(f'`{_cut(name)}`' for name in strange)}" + (f"; {hint}" if hint else "")
            return said if strange else "does not take all of its fields", not strange
        case "unevaluatedProperties" if isinstance(value, dict):
            unfit = ", ".join(f"`{_cut(name)}`" for name in value if repr(name) in error.message)
            return f"has fields that do not fit the schema under `{error.validator}`{_brief(rule)}: {unfit}", False
        case "unevaluatedItems" if rule is not False:
            return f"must have no other elements than fit the schema under `{error.validator}`{_brief(rule)}", True
        case "dependentRequired":
            pairs = [(key, each) for key, needed in rule.items() if key in value for each in needed]
            for key, missing in pairs:
                if error.message.startswith(repr(missing)):
                    return f"`{missing}` is missing, which goes with `{key}`", False
        case "enum":
            choices = ", ".join(f"`{_plain(each)}`" for each in rule[:_CHOICES])
            more = f" and {len(rule) - _CHOICES} more" if len(rule) > _CHOICES else ""
            return f"must be one of {choices}{more}", True
        case word if word in BOUNDS:
            return f"must {BOUNDS[word].format(_plain(rule))}", True
        case "format":
            return f"must have the format `{rule}`", True
        case word if word in _LISTS:
            return f"must {_LISTS[word].format(rule)}", True
        case "items" if rule is False:
            return f"must {BOUNDS['maxItems'].format(len(error.schema.get('prefixItems', ())))}", True
        case "not":
            return f"must not fit the schema under `not`{_brief(rule)}", True
        case "oneOf" if not error.context:
            return "fits more than one schema under `oneOf`", True
        case "anyOf" | "oneOf":
            return f"fits no schema under `{error.validator}`: {_alternatives(error)}", False
        case None:  # the schema `false`, of which the library says no place
            return "nothing may stand where the schema says `false`", True
    return str(error.message), False


_LISTS = {
    "uniqueItems": "not have the same element twice",
    "contains": "have an element that fits the schema under `contains`",
    "minContains": "have at least {} elements that fit the schema under `contains`",
    "maxContains": "have at most {} elements that fit the schema under `contains`",
    "unevaluatedItems": "have no element that its schema does not describe",
}
_TOLD = 4


def _alternatives(error: Any) -> str:
    """Return what keeps a value from fitting each of several schemas. It quotes nothing of the value."""
    said: dict[Any, str] = {}
    for number, each in enumerate(error.context):
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in each.relative_path)
        which = next(iter(each.relative_schema_path), f"false {number}")  # of the schema `false` it says no path
        said.setdefault(which, f"`{place.lstrip('.')}` {_what(each)[0]}" if place else _what(each)[0])
    different = list(dict.fromkeys(said.values()))
    more = f", or {len(different) - _TOLD} more" if len(different) > _TOLD else ""
    return ", or ".join(different[:_TOLD]) + more


def _brief(schema: Any) -> str:
    text = json.dumps(schema, ensure_ascii=False)
    return f", `{text}`" if len(text) <= _GOT else ""


def _is_key(error: Any) -> bool:
    """Whether the value is a key of an object, which `propertyNames` judges."""
    path = list(error.relative_schema_path)
    return any(
        word == "propertyNames"
        and (number == 0 or path[number - 1] not in ("properties", "patternProperties", "$defs"))
        for number, word in enumerate(path)
    )


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= _GOT else f"{text[: _GOT - 1]}…"
