"""The JSON Schema library, where it says something else than JSON Schema: one place for everybody. Replay-critical.

Decimal fractions are counted as they are written (19.99 is a multiple of 0.01), patterns mean ECMA 262, and
``format`` checks. Opens no file and no connection, whatever a schema refers to (S05).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache
from typing import Any

from sagadsl.language.durations import FORMAT, is_duration
from sagadsl.language.formats import CHECKED
from sagadsl.language.patterns import compiled


def validator(
    schema: Any, part: Any = None, *, draft7: bool = False, formats: bool = True, first_rules: bool = False
) -> Any:
    """Return the library's validator of values against *schema*.

    Args:
        part: Validate against this part of the schema, which is where its references lead.
        draft7: The schema is one of draft 7, instead of 2020-12.
        formats: ``format`` is checked, too; not so of types of activities, which read texts themselves.
        first_rules: Judge as older releases did, for what replays their runs.
    """
    from referencing import Registry  # noqa: PLC0415  # late: a command that checks nothing shall not pay for it

    found = _class(draft7, formats and not first_rules, first_rules)(_undeclared(schema), registry=Registry())
    return found if part is None else found.evolve(schema=_undeclared(part))


def _undeclared(schema: Any) -> Any:
    """Return a schema without `$schema`: for one that has it the library would take its own words again."""
    if not isinstance(schema, Mapping):
        return schema
    return {word: rule for word, rule in schema.items() if word != "$schema"}


@cache
def _class(draft7: bool, formats: bool, plain: bool) -> Any:
    from jsonschema import Draft7Validator, Draft202012Validator, validators  # noqa: PLC0415

    extend: Any = validators.extend
    draft: Any = Draft7Validator if draft7 else Draft202012Validator
    if plain:
        return draft
    words = {"multipleOf": _multiple_of, "pattern": _pattern, "patternProperties": _pattern_properties}
    return extend(draft, {**words, "additionalProperties": _additional} | ({"format": _format} if formats else {}))


def _error(message: str) -> Any:
    from jsonschema import ValidationError  # noqa: PLC0415

    return ValidationError(message)


def is_multiple(value: float, factor: float) -> bool:
    """Whether a number is a whole multiple of another one, both as they are written."""
    try:
        return (Fraction(repr(value)) / Fraction(repr(factor))).denominator == 1
    except (ValueError, ZeroDivisionError):
        return False


def _multiple_of(check: Any, factor: float, value: Any, _schema: Any) -> Iterator[Any]:
    if check.is_type(value, "number") and not is_multiple(value, factor):
        yield _error(f"{value!r} is not a multiple of {factor}")


def _pattern(check: Any, pattern: str, value: Any, _schema: Any) -> Iterator[Any]:
    if check.is_type(value, "string") and not compiled(pattern).search(value):
        yield _error(f"{value!r} does not match {pattern!r}")


def _pattern_properties(check: Any, rules: Mapping[str, Any], value: Any, _schema: Any) -> Iterator[Any]:
    if check.is_type(value, "object"):
        for pattern, rule in rules.items():
            for key, item in value.items():
                if compiled(pattern).search(key):
                    yield from check.descend(item, rule, path=key, schema_path=pattern)


def _additional(check: Any, rule: Any, value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    """Hand the library only the keys that no pattern takes."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    patterns = [compiled(pattern) for pattern in schema.get("patternProperties", ())]
    if patterns and check.is_type(value, "object"):
        value = {key: item for key, item in value.items() if not any(each.search(key) for each in patterns)}
        schema = {word: rule for word, rule in schema.items() if word != "patternProperties"}
    yield from Draft202012Validator.VALIDATORS["additionalProperties"](check, rule, value, schema) or ()


def _format(check: Any, name: str, value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    if not check.is_type(value, "string"):
        return
    has = CHECKED.get(name)
    if name == FORMAT and compiled(schema.get("pattern", "")).search(value):  # one mistake is told once
        has = is_duration
    if has is not None and not has(value):
        yield _error(f"{value!r} is not a {name!r}")
