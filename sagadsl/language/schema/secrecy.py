"""Values that not everybody shall see: a schema marks them by ``x-secret: true``, and ``***`` is shown in their place.

A value is hidden at its place, and wherever it comes up again: in the input of a call that gets it, in the message of
an error that quotes it. This finds the places by the schema, and the values in the data; it decides nothing about who
sees what.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from sagadsl.immutable import Hidden, Immutable
from sagadsl.language.schema.references import target
from sagadsl.language.schema.secret_texts import SHORTEST, SHOWN, SecretTexts
from sagadsl.later import compiled_later

SECRET = "x-secret"
ANY = "*"
"""Any key of a mapping, and any index of a list."""

KEYS = "*keys"
"""At the end of a place: the keys of a mapping themselves."""

CUT = "…"
"""Stands in a text where it was cut."""

_MOST_SPELLINGS = 10_000
"""Of secret values, that are looked for: each text and number as it is, and as JSON and Python quote it."""

_EXACT = 2**53
_NUMBER = compiled_later(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
"""A text that an expression may make a number of."""
_SAME_VALUE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
_EACH = ("items", "contains", "additionalProperties", "unevaluatedItems", "unevaluatedProperties")

Place = tuple[str, ...]
"""The keys on the way to a value; empty for the whole value."""


def places(schema: Any) -> tuple[Place, ...]:
    """Return where values have what *schema* marks as secret, whichever of its alternatives holds.

    Where a schema that marks anything refers to itself, the whole value below is a place.
    """
    return tuple(dict.fromkeys(_places(schema, schema, (), ())))


def found(value: Any, at: Iterable[Place]) -> Iterator[Any]:
    """Yield the parts of a value at some places."""
    for place in at:
        yield from _at(value, place)


class Hiding(Immutable):
    """Takes secret values out of what is shown.

    Attributes:
        texts: The values that are texts.
        numbers: Those that are numbers, as JSON writes them.
        everything: Nobody knows what is secret, or it is too much to look for, so all of it is.
    """

    texts: Hidden[SecretTexts] = SecretTexts()  # nobody adds to this one
    numbers: Hidden[AbstractSet[str]] = frozenset()
    everything: bool = False

    def __bool__(self) -> bool:
        return bool(self.texts or self.numbers or self.everything)

    def text(self, text: str) -> str:
        """Return a text without the secret values in it."""
        if text in self.texts or (self.everything and text):
            return SHOWN
        if CUT in text:
            text = self._without_beginnings(text)
        for each in self.texts.within(text):
            text = text.replace(each, SHOWN)
        return text

    def _without_beginnings(self, text: str) -> str:
        """Return a text that was cut without the beginning of a secret before the cut."""
        *parts, rest = text.split(CUT)
        for number, part in enumerate(parts):
            if longest := self.texts.beginning_at_end(part):
                parts[number] = part[: len(part) - longest] + SHOWN
        return CUT.join([*parts, rest])

    def data(self, value: Any, at: Iterable[Place] = ()) -> Any:
        """Return JSON data without the secret values in it, and with nothing at some places."""
        for place in sorted(at, key=lambda each: each[-1:] == (KEYS,)):  # the names of what is hidden elsewhere go last
            value = _covered(value, place)
        return self._data(value) if self else value

    def _data(self, value: Any) -> Any:
        if self.everything:
            return None if value is None else SHOWN
        match value:
            case str():
                return self.text(value)
            case bool() | None:
                return value
            case int() | float():
                return SHOWN if _number(value) in self.numbers else value
            case Mapping():
                return _named((self.text(str(key)), self._data(each)) for key, each in value.items())
            case list() | tuple():
                return [self._data(each) for each in value]
            case _:
                return value

    def found_in(self, value: Any, words: Collection[str], here: Place = ()) -> Iterator[Place]:
        """Yield the places of the values in JSON data that have a secret in them.

        Args:
            words: The keys that others may see: any other one is data itself, so that its place is that of any key.
        """
        match value:
            case Mapping():
                for key, each in value.items():
                    yield from self.found_in(each, words, (*here, str(key) if key in words else ANY))
                if any(self.text(str(key)) != key for key in value):
                    yield (*here, KEYS)
            case list() | tuple():
                if any(True for each in value for _ in self.found_in(each, words)):
                    yield here
            case _:
                if self._data(value) != value:
                    yield here

    def fields(self, document: Any, names: frozenset[str]) -> Any:
        """Return a document with these of its fields without the secret values, however deep; the others stay."""
        if not self:
            return document
        match document:
            case Mapping():
                return {
                    key: self._data(each) if key in names else self.fields(each, names)
                    for key, each in document.items()
                }
            case list() | tuple():
                return [self.fields(each, names) for each in document]
            case _:
                return document


NOTHING = Hiding()
EVERYTHING = Hiding(everything=True)


class SecretValues:
    """Secret values, as they become known: each is looked at once, when it is added."""

    __slots__ = ("_hides", "_numbers", "_texts")

    def __init__(self) -> None:
        self._texts, self._numbers = SecretTexts(), set[str]()
        self._hides = Hiding(self._texts, self._numbers)

    def add(self, values: Iterable[Any]) -> None:
        """Add values, and everything in them."""
        if self._hides.everything:
            return
        for value in values:
            for leaf in _leaves(value):
                self._add(leaf)
                if len(self._texts) + len(self._numbers) > _MOST_SPELLINGS:
                    self._hides, self._texts, self._numbers = EVERYTHING, SecretTexts(), set()
                    return

    def _add(self, leaf: str | float) -> None:
        if isinstance(leaf, str):
            for form in filter(None, _quoted(leaf)):
                self._texts.add(form)
        elif len(written := _number(leaf)) >= SHORTEST:
            self._texts.add(written)
        self._numbers |= {each for each in _as_number(leaf) if len(each) >= SHORTEST}

    @property
    def hides(self) -> Hiding:
        """What hides them, and those that are added later; if they are too many to look for, all there is."""
        return self._hides


def hiding(values: Iterable[Any]) -> Hiding:
    """Return what hides some values, and everything in them; if they are too many to look for, all there is."""
    secrets = SecretValues()
    secrets.add(values)
    return secrets.hides


def _quoted(text: str) -> tuple[str, ...]:
    """Return a text as it stands in others: as it is, and as JSON and Python quote it."""
    return text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]


def _named(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return a mapping of which some keys are hidden; these have numbers from the second one on."""
    made: dict[str, Any] = {}
    for key, value in items:
        name, number = key, 1
        while name in made:
            number += 1
            name = f"{key} ({number})"
        made[name] = value
    return made


def _places(schema: Any, root: Any, here: Place, behind: tuple[int, ...]) -> Iterator[Place]:
    if not isinstance(schema, Mapping):
        return
    if schema.get(SECRET) is True:
        yield here
        return
    if id(schema) in behind:
        if _marks(schema):
            yield here
        return
    behind = (*behind, id(schema))
    for word in ("$ref", "$dynamicRef"):
        yield from _places(target(schema.get(word), root), root, here, behind)
    for word in _SAME_VALUE:
        inner = schema.get(word)
        for each in inner if isinstance(inner, list) else [inner]:
            yield from _places(each, root, here, behind)
    for each in _values(schema.get("dependentSchemas")):
        yield from _places(each, root, here, behind)
    properties = schema.get("properties")
    for name, each in properties.items() if isinstance(properties, Mapping) else ():
        yield from _places(each, root, (*here, str(name)), behind)
    below = [schema.get(word) for word in _EACH] + _values(schema.get("patternProperties"))
    if any(True for _ in _places(schema.get("propertyNames"), root, (), behind)):
        yield (*here, KEYS)
    prefix = schema.get("prefixItems")
    for each in below + (prefix if isinstance(prefix, list) else []):
        yield from _places(each, root, (*here, ANY), behind)


def _values(mapping: Any) -> list[Any]:
    return list(mapping.values()) if isinstance(mapping, Mapping) else []


def _marks(schema: Any) -> bool:
    match schema:
        case Mapping():
            return schema.get(SECRET) is True or any(map(_marks, schema.values()))
        case list():
            return any(map(_marks, schema))
        case _:
            return False


def _at(value: Any, place: Place) -> Iterator[Any]:
    if not place:
        yield value
        return
    if place == (KEYS,):
        yield from value if isinstance(value, Mapping) else ()
        return
    for each in _below(value, place[0]):
        yield from _at(value[each], place[1:])


def _covered(value: Any, place: Place) -> Any:
    if not place:
        return None if value is None else SHOWN
    if place == (KEYS,):
        return _named((SHOWN, each) for each in value.values()) if isinstance(value, Mapping) else value
    keys = set(_below(value, place[0]))
    if isinstance(value, Mapping):
        return {key: _covered(each, place[1:]) if key in keys else each for key, each in value.items()}
    if isinstance(value, list):
        return [_covered(each, place[1:]) for each in value] if keys else value
    return value


def _below(value: Any, key: str) -> list[Any]:
    """Return the keys or indices of *value* that *key* means."""
    if isinstance(value, Mapping):
        return list(value) if key == ANY else [key] if key in value else []
    return list(range(len(value))) if isinstance(value, list) and key == ANY else []


def _leaves(value: Any) -> Iterator[str | int | float]:
    match value:
        case bool() | None:
            return
        case str() | int() | float():
            yield value
        case Mapping():
            for each in value.values():
                yield from _leaves(each)
        case list() | tuple():
            for each in value:
                yield from _leaves(each)


def _as_number(leaf: str | int | float) -> Iterator[str]:
    """Yield a value as JSON writes it where it is a number; a text only if it looks like one."""
    if not isinstance(leaf, str):
        yield _number(leaf)
    elif (found := _NUMBER.fullmatch(leaf)) is not None:
        yield _number(float(leaf) if found[1] else int(leaf))


def _number(value: int | float) -> str:
    """Return a number as JSON writes it, without a fraction that is zero: 12345.0 is the same as 12345."""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT
    return json.dumps(int(value) if is_whole else value)
