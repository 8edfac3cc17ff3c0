"""The JSON Schema library, corrected where it differs from JSON Schema; all code uses this one. Replay-critical.

Decimal fractions count as written (19.99 is a multiple of 0.01), patterns follow ECMA 262 and take linear time, and
``format`` is checked. The work is counted, see :mod:`sagadsl.language.schema.effort`.
It opens no file and no connection, whatever a schema refers to.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cache, partial
from typing import Any

from sagadsl.language.notation.durations import FORMAT, is_duration
from sagadsl.language.notation.json_text import canonical
from sagadsl.language.notation.patterns import Search, backtracking, linear_or_any, linear_or_none
from sagadsl.language.schema import literals
from sagadsl.language.schema.effort import counted, spend
from sagadsl.language.schema.formats import CHECKED
from sagadsl.later import imported_later

_Engine = Callable[[str], Search | None]
"""Compiles a pattern; ``None`` means that the pattern cannot be matched, and accepts everything."""


_REMEMBERED = 64
"""The most lists of choices whose texts are kept."""


def validator(
    schema: Any,
    part: Any = None,
    *,
    draft7: bool = False,
    formats: bool = True,
    first_rules: bool = False,
    accepted: bool = False,
) -> Any:
    """Return the library's validator of values against *schema*.

    Args:
        part: Validate against this part of the schema; its references lead into the whole *schema*.
        draft7: The schema is one of our own: they follow draft 7, all others 2020-12.
        formats: Check every ``format``; otherwise only the one of our durations, because an activity reads
            the other texts itself.
        first_rules: Judge in the way of older releases, to replay their runs.
        accepted: The schema was accepted when its run began, perhaps by a release that accepted patterns which this
            one refuses, since they need more than linear time. In other schemas such a pattern accepts everything.
    """
    from referencing import Registry  # noqa: PLC0415  # late: a command that checks nothing need not load it

    engine: _Engine = backtracking if draft7 else linear_or_any if accepted else linear_or_none
    found = _class(draft7, formats and not first_rules, first_rules, engine)(_undeclared(schema), registry=Registry())
    return found if part is None else found.evolve(schema=_undeclared(part))


def _undeclared(schema: Any) -> Any:
    """Return a schema without `$schema`: with it, the library would use its own keywords again instead of ours."""
    if not isinstance(schema, Mapping):
        return schema
    return {word: rule for word, rule in schema.items() if word != "$schema"}


def without_grammars() -> AbstractContextManager[None]:
    """Return within what to import jsonschema: where a grammar of addresses is installed, it would compile it.

    That takes 1.4 seconds of each process, for formats that we check ourselves.
    """
    return imported_later("rfc3987_syntax", "is_valid_syntax")


@cache
def _class(draft7: bool, formats: bool, plain: bool, engine: _Engine) -> Any:
    with without_grammars():
        from jsonschema import Draft7Validator, Draft202012Validator, validators  # noqa: PLC0415

    extend: Any = validators.extend
    draft: Any = Draft7Validator if draft7 else Draft202012Validator
    if plain:
        return draft
    words = {
        "multipleOf": _multiple_of,
        "pattern": partial(_pattern, engine),
        "patternProperties": partial(_pattern_properties, engine),
        "additionalProperties": partial(_additional, engine),
        "format": partial(_format if formats else _length, engine),
        "uniqueItems": _unique,
        "enum": _Choices(),
        "const": _constant,
    }
    return extend(draft, {word: counted(word, apply) for word, apply in (draft.VALIDATORS | words).items()})


def _error(message: str) -> Any:
    from jsonschema import ValidationError  # noqa: PLC0415

    return ValidationError(message)


def is_multiple(value: float, factor: float) -> bool:
    """Whether a number is a whole multiple of another number, both as they are written."""
    from fractions import Fraction  # noqa: PLC0415 # few schemas need it

    try:
        return (Fraction(repr(value)) / Fraction(repr(factor))).denominator == 1
    except (ValueError, ZeroDivisionError):
        return False


def _multiple_of(check: Any, factor: float, value: Any, _schema: Any) -> Iterator[Any]:
    if check.is_type(value, "number") and not is_multiple(value, factor):
        yield _error(f"{value!r} is not a multiple of {factor}")


def _text(value: Any) -> str:
    """Return a text that only equal values share. Equality is that of JSON Schema: 1.0 is 1, but 1 is not `true`."""
    text = canonical(value)
    spend(len(text) // 100)
    return text


def _unique(check: Any, rule: Any, value: Any, _schema: Any) -> Iterator[Any]:
    """``uniqueItems``: the library compares each item with each other item, unless Python can sort them; we do not."""
    if rule and check.is_type(value, "array") and len(set(map(_text, value))) < len(value):
        yield _error(f"{value!r} has non-unique elements")


def _constant(_check: Any, rule: Any, value: Any, _schema: Any) -> Iterator[Any]:
    if _text(value) != _text(rule):
        yield _error(f"{rule!r} was expected")


class _Choices:
    """``enum``: the library compares each value with each choice; we look the value up."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[Any, frozenset[str]]] = OrderedDict()

    def __call__(self, _check: Any, rule: Any, value: Any, _schema: Any) -> Iterator[Any]:
        known = self._known.get(id(rule))
        if known is None or known[0] is not rule:
            spend(len(rule))
            known = self._known[id(rule)] = (rule, frozenset(map(canonical, rule)))
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)  # two threads may do so; what they drop is made again
        if _text(value) not in known[1]:
            yield _error(f"{value!r} is not one of {rule!r}")


def _pattern(engine: _Engine, check: Any, pattern: str, value: Any, _schema: Any) -> Iterator[Any]:
    if check.is_type(value, "string") and (search := engine(pattern)) is not None and not search(value):
        yield _error(f"{value!r} does not match {pattern!r}")


def _pattern_properties(
    engine: _Engine, check: Any, rules: Mapping[str, Any], value: Any, _schema: Any
) -> Iterator[Any]:
    if check.is_type(value, "object"):
        for pattern, rule in rules.items():
            search = engine(pattern)
            for key, item in value.items():
                if search is not None and search(key):
                    yield from check.descend(item, rule, path=key, schema_path=pattern)


def _additional(engine: _Engine, check: Any, rule: Any, value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    """Give the library only the keys that no pattern matches."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    patterns = [engine(pattern) for pattern in schema.get("patternProperties", ())]
    if patterns and check.is_type(value, "object"):
        taken = {key for key in value if any(search is None or search(key) for search in patterns)}
        value = {key: item for key, item in value.items() if key not in taken}
        schema = {word: rule for word, rule in schema.items() if word != "patternProperties"}
    yield from Draft202012Validator.VALIDATORS["additionalProperties"](check, rule, value, schema) or ()


def _format(engine: _Engine, check: Any, name: str, value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    if not check.is_type(value, "string"):
        return
    has = CHECKED.get(name)
    if engine is backtracking and name in literals.FORMATS:  # only our own schemas know these
        has = literals.is_literal
    if has is not None and not has(value):
        yield _error(f"{value!r} is not a {name!r}")
    yield from _length(engine, check, name, value, schema)


def _length(engine: _Engine, check: Any, name: str, value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    """Check our own format, durations, with the same function as everywhere else."""
    if name != FORMAT or not check.is_type(value, "string"):
        return
    search = engine(schema.get("pattern", ""))
    if (search is None or search(value)) and not is_duration(value):  # report one mistake only once
        yield _error(f"{value!r} is not a {name!r}")
