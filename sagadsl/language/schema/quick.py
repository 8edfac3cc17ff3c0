"""Says quickly that a value certainly satisfies a JSON Schema, so that the library is loaded only for mistakes.

Most definitions are right, and importing ``jsonschema`` takes longer than checking them. If this module does
not understand a schema, or needs too long, it answers no: the library then decides, and gives the message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sagadsl.language.notation.durations import FORMAT, is_duration
from sagadsl.language.notation.patterns import Search, backtracking, linear_or_none
from sagadsl.language.schema import literals
from sagadsl.language.schema.references import target

_DEEPEST = 100
_MOST = 500_000
"""The most keywords that it applies before it gives up."""
BEFORE = "x-before"
"""The keyword under which a part of our schema lists the keys that it has only before libraries are in place."""

_ANNOTATIONS = frozenset(
    {"$comment", "$defs", "$schema", "default", "definitions", "deprecated", "description", "examples", "title"}
    | {"readOnly", "writeOnly", "defaultSnippets", "markdownDescription", BEFORE}
)
_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "string": lambda value: isinstance(value, str),
}


def fits(value: Any, schema: Any, root: Any = None, *, ours: bool = False) -> bool:
    """Return whether *value* certainly satisfies *schema*, whose references lead into *root*.

    It knows what drafts 7 and 2020-12 have in common. ``False`` means only: not certain.

    Args:
        ours: The schema is one of our own. The patterns of any other schema are matched in linear time or not at all.
    """
    return _Fit(schema if root is None else root, backtracking if ours else linear_or_none).fits(value, schema, 0)


class _Fit:
    def __init__(self, root: Any, engine: Callable[[str], Search | None]) -> None:
        self._root, self._engine, self._left = root, engine, _MOST

    def fits(self, value: Any, schema: Any, depth: int) -> bool:
        if schema is True:
            return True
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return False
        self._left -= 1 + len(schema)
        if self._left < 0:
            return False
        return all(
            word in _ANNOTATIONS or self._word(word, rule, value, schema, depth + 1) for word, rule in schema.items()
        )

    def _word(self, word: str, rule: Any, value: Any, schema: dict[str, Any], depth: int) -> bool:
        match word:
            case "type":
                kinds = rule if isinstance(rule, list) else [rule]
                return any(kind in _TYPES and _TYPES[kind](value) for kind in kinds)
            case "enum":
                self._left -= len(rule) // 10
                return any(_same(value, each) for each in rule)
            case "const":
                return _same(value, rule)
            case "$ref":
                return self.fits(value, target(rule, self._root), depth)
            case "allOf":
                return all(self.fits(value, each, depth) for each in rule)
            case "anyOf":
                return any(self.fits(value, each, depth) for each in rule)
            case "if":
                return self._if(rule, value, schema, depth)
            case "then" | "else":
                return "if" in schema
            case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
                return not _TYPES["number"](value) or _BOUNDS[word](value, rule)
            case "minLength" | "maxLength":
                return not isinstance(value, str) or _BOUNDS[word](len(value), rule)
            case "pattern":
                return not isinstance(value, str) or self._matches(rule, value) is True
            case "format" if rule == FORMAT:
                return not isinstance(value, str) or is_duration(value)
            case "format" if rule in literals.FORMATS:
                return not isinstance(value, str) or literals.is_literal(value)
            case _ if isinstance(value, list):
                return self._of_list(word, rule, value, depth)
            case _ if isinstance(value, dict):
                return self._of_object(word, rule, value, schema, depth)
            case _:
                return word in _OF_OTHERS

    def _if(self, rule: Any, value: Any, schema: dict[str, Any], depth: int) -> bool:
        """Follow ``else`` only when a no of the condition is certain; see :func:`_is_plain`."""
        if self.fits(value, rule, depth):
            return self.fits(value, schema.get("then", True), depth)
        return _is_plain(rule) and self.fits(value, schema.get("else", True), depth)

    def _of_list(self, word: str, rule: Any, value: list[Any], depth: int) -> bool:
        match word:
            case "items":
                return all(self.fits(each, rule, depth) for each in value)
            case "minItems" | "maxItems":
                return _BOUNDS[word](len(value), rule)
            case "uniqueItems":
                return rule is False or (all(isinstance(each, str) for each in value) and len(set(value)) == len(value))
            case _:
                return word in _OF_OTHERS

    def _of_object(self, word: str, rule: Any, value: dict[str, Any], schema: dict[str, Any], depth: int) -> bool:
        match word:
            case "properties":
                return all(self.fits(value[key], each, depth) for key, each in rule.items() if key in value)
            case "required":
                return all(key in value for key in rule)
            case "patternProperties":
                return all(
                    self.fits(each, inner, depth)
                    for pattern, inner in rule.items()
                    for key, each in value.items()
                    if self._matches(pattern, key) is not False
                )
            case "additionalProperties":
                known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
                return all(
                    self.fits(each, rule, depth)
                    for key, each in value.items()
                    if key not in known and not any(self._matches(pattern, key) for pattern in patterns)
                )
            case "minProperties" | "maxProperties":
                return _BOUNDS[word](len(value), rule)
            case _:
                return word in _OF_OTHERS

    def _matches(self, pattern: str, text: str) -> bool | None:
        search = self._engine(pattern)
        return None if search is None else search(text)


def _is_plain(condition: Any) -> bool:
    """Whether "does not certainly fit" means "does not fit": so for types, choices and required keys, and no others."""
    if not isinstance(condition, dict):
        return False
    for word, rule in condition.items():
        match word:
            case "type" if rule != "integer":  # 1.0 is an integer for the library
                continue
            case "required":
                continue
            case "enum" | "const" if all(isinstance(each, str) for each in (rule if word == "enum" else [rule])):
                continue
            case "properties" if all(_is_plain(each) for each in rule.values()):
                continue
            case _:
                return False
    return True


_BOUNDS: Mapping[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda value, rule: value >= rule,
    "maximum": lambda value, rule: value <= rule,
    "exclusiveMinimum": lambda value, rule: value > rule,
    "exclusiveMaximum": lambda value, rule: value < rule,
    **dict.fromkeys(("minLength", "minItems", "minProperties"), lambda value, rule: value >= rule),
    **dict.fromkeys(("maxLength", "maxItems", "maxProperties"), lambda value, rule: value <= rule),
}

_OF_OTHERS = frozenset(
    {"items", "minItems", "maxItems", "uniqueItems", "properties", "required", "patternProperties"}
    | {"additionalProperties", "minProperties", "maxProperties"}
)
"""Keywords that apply to values of one type only, and accept all values of other types."""


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and not isinstance(one, list | dict) and bool(one == other)
