"""Checks whether the input of a call fits its schema: literals in full, expressions by their shapes.

It knows no codes: :mod:`activities` and :mod:`children` make findings of the misfits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from sagadsl.diagnostics.findings import Severity
from sagadsl.immutable import Immutable, replace
from sagadsl.language.analysis.inference import spelled_chain
from sagadsl.language.analysis.shapes import Shapes
from sagadsl.language.analysis.types import TEXT, Fill, Later, Shape, of_data, without_null
from sagadsl.language.calls import Value
from sagadsl.language.expressions.code import chain_of
from sagadsl.language.expressions.data import Path, path_text, shortened
from sagadsl.language.expressions.values import Constant, Expression, Listing, Object, Text
from sagadsl.language.notation.json_text import TYPES
from sagadsl.language.schema.defaults import TooManyDefaults, filled
from sagadsl.language.schema.effort import MOST, TooMuch, limited
from sagadsl.language.schema.quick import fits
from sagadsl.language.schema.sentences import BOUNDS, types_of
from sagadsl.language.schema.validator import validator
from sagadsl.language.suggest import listed
from sagadsl.language.walk import Site

_DEEPEST = 6


class Misfit(Immutable):
    """A part of an input that does not fit.

    Attributes:
        path: The place of the part in the input.
        message: What is wrong; it begins with the field, or is a sentence of its own.
        at_key: The misfit is about the last key of ``path``.
    """

    path: Path
    message: str
    help: str = ""
    severity: Severity = Severity.ERROR
    at_key: bool = False
    focus: str = ""


def misfits(shapes: Shapes, site: Site, value: Value | None, target: Shape, what: str) -> Iterator[Misfit]:
    """Yield the misfits of an input.

    Args:
        site: The place of the input; it decides what the expressions in it can see.
        value: The input; ``None`` sends nothing, which counts as an object without fields.
        target: The shape that the receiver takes.
        what: The name of the receiver, in backticks.
    """
    if value is None:
        value = Constant({})
    for misfit in _Fit(shapes, site, what).value(value, target, ()):
        help = misfit.help or f"`{what.strip('`')}` takes {_fields(target)}"
        yield replace(misfit, help=help)


class _Fit:
    """One comparison of an input with the shape that the receiver takes."""

    def __init__(self, shapes: Shapes, site: Site, what: str) -> None:
        self._shapes, self._site, self._what = shapes, site, what

    def value(self, value: Value, target: Shape, path: Path) -> Iterator[Misfit]:
        match value:
            case Constant(source=data):
                yield from self._literal(data, target, path)
            case Object(items=items) if target.can_be("object"):
                yield from self._object(items, target, path)
            case Listing(elements=elements) if target.can_be("array"):
                for index, element in enumerate(elements):
                    yield from self.value(element, target.element, (*path, index))
            case Text():
                yield from self._shape(TEXT, target, path, "this text")
            case Expression(tree=tree):
                shape = self._shapes.shape(value, self._site)
                chain = chain_of(tree)
                name = "this" if chain is None else f"`{spelled_chain(chain)}`"
                yield from self._shape(shape, target, path, name)
            case Object() | Listing():
                found = "an object" if isinstance(value, Object) else "a list"
                yield Misfit(path, f"{self._called(path)} must be {target.said()}, got {found}")

    def _called(self, path: Path) -> str:
        return f"`{path_text(path)}` of {self._what}" if path else f"the input of {self._what}"

    def _literal(self, data: Any, target: Shape, path: Path) -> Iterator[Misfit]:
        """Validate data in full against the schema of *target*; if it has none, only against the shape."""
        if target.origin is None:
            yield from self._shape(of_data(data), target, path, f"`{shortened(json.dumps(data), 40)}`")
            return
        has_errors = False
        for error in _errors(data, target.origin):
            has_errors = True
            yield from self._reworded(error, (*path, *error.absolute_path))
        if not has_errors and isinstance(data, dict):
            yield from self._unknown(data, target, path)

    def _object(self, items: Mapping[str, Value], target: Shape, path: Path) -> Iterator[Misfit]:
        yield from self._unknown(items, target, path)
        for name in sorted(target.required - items.keys()):
            yield self._lacks(name, path)
        for key, item in items.items():
            field = target.field(key)
            if field is not None:
                yield from self.value(item, field, (*path, key))

    def _lacks(self, name: str, path: Path) -> Misfit:
        where = f"`{path_text(path)}` of the input" if path else "the input"
        return Misfit(path, f"{self._what} needs `{name}`, which {where} lacks", f"add `{name}`", at_key=True)

    def _unknown(self, items: Mapping[str, Any], target: Shape, path: Path) -> Iterator[Misfit]:
        """Report undeclared fields: the receiver refuses or silently drops them, which the author did not expect."""
        if not target.kinds or (target.others is not None and not target.is_closed):
            return
        for key in items:
            if key in target.fields or target.field(key) is not None:
                continue
            near = self._shapes.suggestions.closest(str(key), [name for name in target.fields if name not in items])
            severity = Severity.ERROR if target.is_closed else Severity.WARNING
            help = f"did you mean `{near}`?" if near else f"it takes {listed(target.fields)}"
            yield Misfit((*path, key), f"{self._what} has no field `{path_text((*path, key))}`", help, severity, True)

    def _shape(self, source: Shape, target: Shape, path: Path, name: str) -> Iterator[Misfit]:
        """Compare two shapes. A value that only may not fit gives a warning, or nothing."""
        if (not source.kinds and not source.nullable) or not target.kinds:
            return
        focus = name.strip("`") if name.startswith("`") else ""
        if source.nullable and not target.nullable and source.kinds != {"null"}:
            message = f"{self._called(path)} must be {target.said()}, but {name} may be null"
            help = "say what to send then: `| default(…, true)`"
            yield Misfit(path, message, help, Severity.WARNING, focus=focus)
        source = without_null(source) if source.kinds != {"null"} else source
        if source.kinds and not target.can_be(*source.kinds):
            message = f"{self._called(path)} must be {target.said()}, but {name} is {source.said()}"
            yield Misfit(path, message, _convert(target), focus=focus)
        elif source.choices and target.choices and not set(map(str, source.choices)) & set(map(str, target.choices)):
            message = f"{self._called(path)} must be {_choices(target)}, but {name} is {_choices(source)}"
            yield Misfit(path, message, "send one of these", focus=focus)
        elif source.kinds == {"object"} and "object" in target.kinds and len(path) < _DEEPEST:
            yield from self._fields(source, target, path, name)
        elif source.kinds == {"array"} and "array" in target.kinds and len(path) < _DEEPEST:
            yield from self._shape(source.element, target.element, path, f"an element of {name}")

    def _fields(self, source: Shape, target: Shape, path: Path, name: str) -> Iterator[Misfit]:
        focus = name.strip("`") if name.startswith("`") else ""
        for key in sorted(target.required):
            if key not in source.fields and source.is_closed:
                yield Misfit(path, f"{self._what} needs `{path_text((*path, key))}`, which {name} lacks", focus=focus)
        for key in source.fields:
            field, theirs = source.field(key), target.field(key)
            if theirs is None and target.is_closed:
                message = f"{self._what} has no field `{path_text((*path, key))}`, but {name} has"
                yield Misfit(path, message, f"it takes {listed(target.fields)}", focus=focus)
            elif field is not None and theirs is not None:
                inner = f"`{name.strip('`')}.{key}`" if name.startswith("`") else f"`{key}` of {name}"
                for each in self._shape(field, theirs, (*path, key), inner):
                    yield replace(each, path=path, focus=focus)

    def _reworded(self, error: Any, path: Path) -> Iterator[Misfit]:
        """Reword an error of the JSON Schema library in the words of this tool."""
        found = shortened(json.dumps(error.instance, ensure_ascii=False), 60)
        called = self._called(path)
        if kinds := types_of(error):
            words = " or ".join(TYPES.get(each, each) for each in dict.fromkeys(kinds))
            yield Misfit(path, f"{called} must be {words}, got `{found}`", f"write {words}")
            return
        match error.validator:
            case "required":
                for name in error.validator_value:
                    if name not in error.instance:
                        yield self._lacks(name, path)
            case "additionalProperties" if error.validator_value is False:
                known = error.schema.get("properties", {})
                shape = replace(of_data(dict.fromkeys(known)), required=frozenset())
                yield from self._unknown(error.instance, shape, path)
            case "enum":
                texts = [choice for choice in error.validator_value if isinstance(choice, str)]
                near = self._shapes.suggestions.closest(str(error.instance), texts)
                values = ", ".join(f"`{choice}`" for choice in error.validator_value[:12])
                help = f"did you mean `{near}`?" if near else "write one of these"
                yield Misfit(path, f"{called} must be one of {values}, got `{found}`", help)
            case "anyOf" | "oneOf" if error.context:
                nearest = max(error.context, key=lambda each: len(each.relative_path))
                message = f"{called} fits none of its forms: {shortened(nearest.message, 120)}"
                yield Misfit(path, message, "write it in one of its forms")
            case word if word in BOUNDS:
                rule = BOUNDS[word].format(error.validator_value)
                yield Misfit(path, f"{called} must {rule}, got `{found}`", f"it has to {rule}")
            case _:
                yield Misfit(path, f"{called}: {shortened(error.message, 200)}", "see what its schema says")


def _errors(data: Any, origin: Later) -> list[Any]:
    is_input = origin.filled is Fill.SENT
    with suppress(TooManyDefaults):  # reported at their own place
        data = filled(origin.schema, data, origin.root) if is_input else data
    if fits(data, origin.schema, origin.root):
        return []
    from referencing.exceptions import Unresolvable  # noqa: PLC0415  # 90 ms, only for a file with mistakes

    found = validator(origin.root, origin.schema, formats=is_input)
    try:
        with limited(MOST):
            return sorted(found.iter_errors(data), key=lambda error: [str(part) for part in error.absolute_path])
    except (Unresolvable, RecursionError, TooMuch):  # a schema that leads nowhere is reported at its own place
        return []


def _convert(target: Shape) -> str:
    if target.can_be("string") and not target.can_be("number"):
        return "`| string` makes text of numbers, `| to_json` of lists and objects"
    if target.can_be("number") and not target.can_be("string"):
        return "`| int` and `| float` convert text"
    return f"send {target.said()}"


def _choices(shape: Shape) -> str:
    return " or ".join(f"`{choice}`" for choice in shape.choices[:12])


def _fields(target: Shape) -> str:
    return listed(target.fields) if target.fields else target.said()
