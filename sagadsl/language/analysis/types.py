"""The shape of a value, which is known before the value exists, from its JSON Schema.

Shapes are loose on purpose: a shape says less than its schema, and never more, so that every report is certain.
This module knows no sagas and no expressions. It follows references only on demand, so schemas may be recursive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from sagadsl.immutable import Immutable, field, replace
from sagadsl.language.expressions.data import shortened
from sagadsl.language.notation.json_text import TYPES, json_type
from sagadsl.language.schema.defaults import default_of
from sagadsl.language.schema.references import target

Schema = Mapping[str, Any] | bool

_MAX_SCHEMAS = 60
"""The most schemas for one value that are read; if a value has more, its shape is not known."""


class Fill(Enum):
    """Whether properties that have a ``default`` are certainly there."""

    NONE = "none"
    """They may be missing: nobody fills them in."""
    WRITTEN = "written"
    """They are always there: a program has written the whole value."""
    STARTED = "started"
    """They are always there, except in alternatives: a saga has taken the value as its input."""
    SENT = "sent"
    """Nobody needs to send them, except in alternatives: a saga will take the value as its input."""


class Countdown:
    """The number of schemas that may still be read."""

    def __init__(self) -> None:
        self._left = _MAX_SCHEMAS

    def goes_on(self) -> bool:
        """Count one more schema; false when that is too many."""
        self._left -= 1
        return self._left >= 0


class Later(Immutable):
    """A schema that is read only when somebody asks for its shape.

    Attributes:
        root: The document that its references lead into.
        filled: Whether fields with a default are there.
    """

    schema: Any
    root: Any
    filled: Fill = Fill.NONE


class Shape(Immutable):
    """What is known of a value.

    Attributes:
        kinds: JSON Schema's types, ``integer`` beside ``number``, and ``decimal`` inside of an expression; empty when
            nothing is known.
        nullable: It may be null. This can be true even when nothing else is known.
        fields: Fields of the object, as far as they are declared.
        required: Fields that are always there.
        others: Shape of fields that are not declared; ``None`` when there are no such fields, or none to rely on.
        is_closed: Other fields are forbidden, not just undeclared.
        items: Shape of the elements of a list.
        choices: The only values that it can have; empty when they are not known.
        origin: The schema it was read from, for values that are known in full.
    """

    kinds: frozenset[str] = frozenset()
    nullable: bool = False
    fields: Mapping[str, Shape | Later] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    others: Shape | Later | None = None
    is_closed: bool = False
    items: Shape | Later | None = None
    choices: tuple[Any, ...] = ()
    origin: Later | None = None

    def field(self, name: str) -> Shape | None:
        """Return the shape of a field; ``None`` when it is not declared."""
        if not self.kinds:
            return ANY
        return _now(self.fields.get(name, self.others))

    def may_lack(self, name: str) -> bool:
        """Whether a declared field may be missing."""
        return name in self.fields and name not in self.required

    @property
    def element(self) -> Shape:
        """Return the shape of the elements of a list."""
        return _now(self.items) or ANY

    def can_be(self, *kinds: str) -> bool:
        """Whether the value may be of one of these kinds."""
        if not self.kinds:
            return True
        wanted = set(kinds)
        for kind, others in (("number", ("integer", "decimal")), ("integer", ("number",)), ("decimal", ("number",))):
            if kind in kinds:
                wanted.update(others)
        return bool(self.kinds & wanted)

    def said(self) -> str:
        """Return the shape in words, for messages."""
        if self.choices and len(self.choices) <= 3:
            return " or ".join(f"`{shortened(str(choice), 30)}`" for choice in self.choices)
        hidden = {"null", "integer"} if "number" in self.kinds else {"null"}
        words = [TYPES[kind] for kind in TYPES if kind in self.kinds - hidden]
        words += ["a decimal"] if "decimal" in self.kinds else []
        if "null" in self.kinds:
            words.append("null")
        return " or ".join(words) or "anything"


ANY = Shape()
NULL = Shape(frozenset(("null",)), nullable=True)
BOOLEAN = Shape(frozenset(("boolean",)))
INTEGER = Shape(frozenset(("integer",)))
NUMBER = Shape(frozenset(("number", "integer")))
TEXT = Shape(frozenset(("string",)))
DECIMAL = Shape(frozenset(("decimal",)))


def record(fields: Mapping[str, Shape | Later], optional: Iterable[str] = ()) -> Shape:
    """Return the shape of an object with these fields and no others."""
    required = frozenset(fields) - frozenset(optional)
    return Shape(frozenset(("object",)), fields=fields, required=required, is_closed=True)


def listing(items: Shape) -> Shape:
    """Return the shape of a list."""
    return Shape(frozenset(("array",)), items=items)


def one_of(*choices: str) -> Shape:
    """Return the shape of a text that is one of *choices*."""
    return Shape(frozenset(("string",)), choices=choices)


def or_null(shape: Shape) -> Shape:
    """Return the same shape, or null."""
    kinds = shape.kinds | {"null"} if shape.kinds else shape.kinds
    return replace(shape, kinds=kinds, nullable=True, choices=(), origin=None)


def outside(shape: Shape) -> Shape:
    """Return the shape that a value has when it leaves its expression: decimals become text."""
    kinds = shape.kinds - {"decimal"} | {"string"} if "decimal" in shape.kinds else shape.kinds
    items = outside(shape.items) if isinstance(shape.items, Shape) else shape.items
    fields = {name: outside(each) if isinstance(each, Shape) else each for name, each in shape.fields.items()}
    same = (
        kinds == shape.kinds
        and items is shape.items
        and all(each is shape.fields[name] for name, each in fields.items())
    )
    return shape if same else replace(shape, kinds=kinds, items=items, fields=fields)


def without_null(shape: Shape) -> Shape:
    """Return a shape for the case that its value is not null."""
    return replace(shape, kinds=shape.kinds - {"null"}, nullable=False) if shape.nullable else shape


def of_data(value: Any) -> Shape:
    """Return the shape of a value that is known in full."""
    match value:
        case dict():
            return record({str(key): of_data(item) for key, item in value.items()})
        case list():
            return listing(union(map(of_data, value)) if value else ANY)
        case None:
            return NULL
        case _:
            return Shape(frozenset((json_type(value),)), choices=(value,))


def of_schema(schema: Any, root: Any = None, *, filled: Fill = Fill.NONE, left: Countdown | None = None) -> Shape:
    """Return the shape that a JSON Schema declares.

    Args:
        root: The whole document when *schema* is a part of it.
        filled: Whether fields with a default are there.
        left: How many schemas for the same value may still be read, because references may go in a circle.
    """
    root = schema if root is None else root
    left = Countdown() if left is None else left
    while left.goes_on():
        if not isinstance(schema, Mapping):
            return ANY
        if "$ref" not in schema:
            break
        schema = target(schema["$ref"], root)
    else:
        return ANY
    own = _own(schema, root, filled)
    inside = filled if filled is Fill.WRITTEN else Fill.NONE
    for word in ("anyOf", "oneOf"):
        if isinstance(schema.get(word), list) and schema[word]:
            own = _both(own, union([of_schema(each, root, filled=inside, left=left) for each in schema[word]]))
    for each in schema.get("allOf", ()):
        own = _both(own, of_schema(each, root, filled=filled, left=left))
    return replace(own, origin=Later(schema, root, filled))


def union(shapes: Iterable[Shape]) -> Shape:
    """Return the shape of a value that has one of these shapes."""
    every = list(shapes)
    if len(every) == 1:
        return every[0]
    objects = [each for each in every if "object" in each.kinds or not each.kinds]
    names = dict.fromkeys(name for each in objects for name in each.fields)
    fields = {name: _merged(each.fields[name] for each in objects if name in each.fields) for name in names}
    unknown = any(not each.kinds for each in every)
    others = next((each.others for each in objects if each.others is not None), None)
    required = frozenset.intersection(*(each.required for each in objects)) if objects else frozenset()
    lists = [each.items for each in every if each.items is not None]
    known = all(each.choices or each.kinds == {"null"} for each in every)
    choices = tuple(choice for each in every for choice in (each.choices or (None,))) if known else ()
    return Shape(
        kinds=frozenset() if unknown else frozenset().union(*(each.kinds for each in every)),
        nullable=any(each.nullable for each in every),
        fields=fields,
        required=required,
        others=others,
        is_closed=bool(objects) and all(each.is_closed for each in objects),
        items=_merged(iter(lists)) if lists else None,
        choices=choices,
    )


def _merged(shapes: Iterable[Shape | Later]) -> Shape | Later:
    every = list(shapes)
    if all(each == every[0] for each in every[1:]):
        return every[0]
    if all(isinstance(each, Later) for each in every):
        roots = {id(each.root) for each in every if isinstance(each, Later)}
        if len(roots) == 1 and isinstance(every[0], Later):
            schemas = [each.schema for each in every if isinstance(each, Later)]
            return Later({"anyOf": schemas}, every[0].root, every[0].filled)
    return ANY


def _own(schema: Mapping[str, Any], root: Any, filled: Fill) -> Shape:
    """Return the shape that the keywords of one schema declare, without other schemas that it names."""
    properties = schema.get("properties")
    fields = (
        {name: Later(inner, root, filled) for name, inner in properties.items()} if isinstance(properties, dict) else {}
    )
    said = schema.get("required", ())
    required = set(said) if isinstance(said, list) else set()
    if filled is not Fill.NONE:
        given = {name for name, inner in fields.items() if default_of(inner.schema, root)}
        required = required - given if filled is Fill.SENT else required | given
    choices = tuple(schema["enum"]) if isinstance(schema.get("enum"), list) else ()
    choices = (schema["const"],) if "const" in schema else choices
    said = schema.get("type")
    kinds = {said} if isinstance(said, str) else set(said) if isinstance(said, list) else set()
    kinds = kinds or {json_type(choice) for choice in choices} or ({"object"} if fields else set())
    kinds = kinds | {"integer"} if "number" in kinds else kinds
    extra = schema.get("additionalProperties")
    others = _others(schema, fields, extra, Later(extra, root, filled))
    return Shape(
        kinds=frozenset(kind for kind in kinds if kind in TYPES),
        nullable="null" in kinds,
        fields=fields,
        required=frozenset(required),
        others=others,
        is_closed=extra is False and "patternProperties" not in schema,
        items=Later(schema["items"], root, filled) if "items" in schema and "prefixItems" not in schema else None,
        choices=choices,
    )


def _others(schema: Mapping[str, Any], fields: Mapping[str, Any], extra: Any, later: Later) -> Shape | Later | None:
    """Return the shape of undeclared fields. A field that is only not forbidden counts as a mistake: ``None``."""
    if "patternProperties" in schema or extra is True:
        return ANY
    if isinstance(extra, Mapping):
        return later
    return None if fields or extra is False else ANY


def _both(one: Shape, other: Shape) -> Shape:
    """Return the shape of a value that has both shapes."""
    kinds = one.kinds & other.kinds or one.kinds or other.kinds
    return Shape(
        kinds=kinds,
        nullable=one.nullable if one.kinds and not other.kinds else other.nullable and (one.nullable or not one.kinds),
        fields={**other.fields, **one.fields},
        required=one.required | other.required,
        others=one.others if one.fields else other.others,
        is_closed=one.is_closed or other.is_closed,
        items=one.items or other.items,
        choices=one.choices or other.choices,
    )


def _now(shape: Shape | Later | None) -> Shape | None:
    return of_schema(shape.schema, shape.root, filled=shape.filled) if isinstance(shape, Later) else shape
