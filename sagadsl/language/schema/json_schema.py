"""Checks the JSON Schemas inside a definition: are they schemas, and do they refer only to the same file?

It gives findings by the vocabulary of JSON Schema 2020-12. It never opens a file or a connection, and
validates no data: the users of the schemas do that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from itertools import islice
from typing import Any
from urllib.parse import unquote

from sagadsl.diagnostics.findings import Finding, Route, Severity
from sagadsl.language.expressions.data import shortened
from sagadsl.language.notation.json_text import TYPES, small_number
from sagadsl.language.notation.patterns import NotLinear, linear
from sagadsl.language.schema.defaults import TooManyDefaults, filled
from sagadsl.language.schema.effort import limited
from sagadsl.language.schema.formats import CHECKED
from sagadsl.language.schema.quick import fits
from sagadsl.language.schema.references import steps
from sagadsl.language.schema.secrecy import SECRET
from sagadsl.language.schema.validator import validator
from sagadsl.language.suggest import closest

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_EXPANDED = 10_000
"""The most schemas for one value, with references followed; references that double each other grow without end."""

_KEYWORDS: Mapping[str, str] = {
    **dict.fromkeys(("items", "contains", "not", "if", "then", "else", "additionalProperties"), "schema"),
    **dict.fromkeys(("propertyNames", "unevaluatedItems", "unevaluatedProperties", "contentSchema"), "schema"),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), "schemas"),
    **dict.fromkeys(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"), "mapping"),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), "number"),
    "multipleOf": "factor",
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), "size"),
    **dict.fromkeys(("minContains", "maxContains"), "size"),
    **dict.fromkeys(("$ref", "$dynamicRef", "$anchor", "$dynamicAnchor", "$id", "$schema", "$comment"), "text"),
    **dict.fromkeys(("title", "description", "pattern", "format", "contentEncoding", "contentMediaType"), "text"),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly", SECRET), "flag"),
    **dict.fromkeys(("enum", "examples"), "list"),
    **dict.fromkeys(("const", "default", "$vocabulary"), "anything"),
    "required": "names",
    "dependentRequired": "names by name",
    "type": "types",
}
"""Every keyword of JSON Schema 2020-12, and our own one, with the kind of its value."""

_MOST_OF_A_DEFAULT = 20_000
_SAME_VALUE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")


def check(schema: Any, route: Route) -> Iterator[Finding]:
    """SD109, SD110: the value at *route* is not a schema, or it refers to something outside of itself."""
    schemas = dict(_walk(schema, route))
    for place, inner in schemas.items():
        if isinstance(inner, Mapping):
            if "$id" in inner and place != route:
                help = "define it below `$defs` and refer to it as `#/$defs/...`"
                yield _wrong("`$id` can stand only at the top of a schema", (*place, "$id"), help)
            yield from _keywords(inner, place)
        elif not isinstance(inner, bool):
            yield _wrong("a schema must be a mapping, `true` or `false`", place)
    found = list(_references(schemas, route))
    yield from found
    if not any(finding.severity is Severity.ERROR for finding in found):
        yield from _defaults(schema, schemas)


def _walk(schema: Any, route: Route) -> Iterator[tuple[Route, Any]]:
    """Yield the schema and every schema in it. Data (`const`, `examples`) is not a schema."""
    yield route, schema
    if not isinstance(schema, Mapping):
        return
    for word, value in schema.items():
        match _KEYWORDS.get(word), value:
            case "schema", inner if not isinstance(inner, list):
                yield from _walk(inner, (*route, word))
            case "schemas", list(inners):
                for index, inner in enumerate(inners):
                    yield from _walk(inner, (*route, word, index))
            case "mapping", dict(inners):
                for name, inner in inners.items():
                    yield from _walk(inner, (*route, word, name))


def _keywords(schema: Mapping[str, Any], route: Route) -> Iterator[Finding]:
    for word, value in schema.items():
        if word not in _KEYWORDS:
            if not word.startswith("x-") or closest(word, [SECRET]):
                yield _strange(word, schema, route)
        elif needs := _needs(_KEYWORDS[word], value):
            help = "write `prefixItems` for one schema per position" if word == "items" else ""
            yield _wrong(f"`{word}` of a schema must be {needs}", (*route, word), help)
    for word in ("pattern", "patternProperties"):
        yield from _patterns(word, schema.get(word), route)
    if isinstance(schema.get("format"), str) and schema["format"] not in CHECKED:
        yield _unchecked(schema["format"], (*route, "format"))
    said = schema.get("$schema")
    if isinstance(said, str) and said.rstrip("#") != DIALECT:
        yield _wrong(f"`$schema` must be `{DIALECT}`", (*route, "$schema"))


def _strange(word: str, schema: Mapping[str, Any], route: Route) -> Finding:
    """Report an unknown keyword: JSON Schema ignores such keywords, so a misspelt one would check nothing."""
    meant = closest(word, (name for name in _KEYWORDS if name not in schema))
    return Finding(
        "SD109",
        f"JSON Schema has no keyword `{word}`, so it {'marks' if word.startswith('x-') else 'checks'} nothing",
        (*route, word),
        severity=Severity.WARNING,
        help=f"did you mean `{meant}`?"
        if meant
        else "a property belongs below `properties`; a note may begin with `x-`",
        at_key=True,
        fix=meant,
    )


def _unchecked(name: str, route: Route) -> Finding:
    meant = closest(name, CHECKED)
    known = ", ".join(f"`{each}`" for each in CHECKED)
    return Finding(
        "SD109",
        f"nothing checks the format `{name}`",
        route,
        severity=Severity.WARNING,
        help=(
            f"did you mean `{meant}`?"
            if meant
            else f"the known formats are {known}; put anything else into `description`"
        ),
        fix=meant,
    )


def _needs(what: str, value: Any) -> str:
    """Return the words for what must stand in place of *value*; empty when *value* is right."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match what:
        case "schema":
            fine, needed = not isinstance(value, list), "one schema, not a list"
        case "schemas":
            fine, needed = isinstance(value, list) and bool(value), "a list of schemas"
        case "mapping":
            fine, needed = isinstance(value, dict), "a mapping of schemas"
        case "number":
            fine, needed = number, "a number"
        case "factor":
            fine, needed = number and value > 0, "a number above 0"
        case "size":
            fine, needed = number and value >= 0 and value % 1 == 0, "a whole number of at least 0"
        case "text":
            fine, needed = isinstance(value, str), "text"
        case "flag":
            fine, needed = isinstance(value, bool), "`true` or `false`"
        case "list":
            fine, needed = isinstance(value, list), "a list"
        case "names":
            fine, needed = _names(value), "a list of different names"
        case "names by name":
            fine, needed = isinstance(value, dict) and all(map(_names, value.values())), "a mapping of lists of names"
        case "types":
            fine = (
                value in TYPES
                if isinstance(value, str)
                else bool(value) and _names(value) and set(value) <= TYPES.keys()
            )
            needed = "one or more of " + ", ".join(f"`{name}`" for name in sorted(TYPES))
        case _:
            fine, needed = True, ""
    return "" if fine else needed


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value) and len(set(value)) == len(value)


def _patterns(word: str, value: Any, route: Route) -> Iterator[Finding]:
    for text in [value] if isinstance(value, str) else list(value) if isinstance(value, Mapping) else []:
        where = (*route, word) if isinstance(value, str) else (*route, word, text)
        try:
            linear(text)
        except (re.error, OverflowError, RecursionError) as error:
            yield _wrong(f"`{text}` is not a regular expression: {error}", where)
        except NotLinear as reason:
            message = f"`{text}` is a regular expression that may take for ever: {reason}"
            yield _wrong(message, where, _INSTEAD)


def _references(schemas: Mapping[Route, Any], root: Route) -> Iterator[Finding]:
    """Report each reference that does not lead to a schema of the same file, or that leads back to itself."""
    anchors = {
        schema[word]: route
        for route, schema in schemas.items()
        if isinstance(schema, Mapping)
        for word in ("$anchor", "$dynamicAnchor")
        if isinstance(schema.get(word), str)
    }
    next_to: dict[Route, list[Route]] = {}
    for route, schema in schemas.items():
        if not isinstance(schema, Mapping):
            continue
        next_to[route] = list(_same_value(schema, route))
        for word in ("$ref", "$dynamicRef"):
            if not isinstance(schema.get(word), str):
                continue
            target = _target(schema[word], root, anchors)
            if target is None:
                yield Finding(
                    "SD110",
                    f"`{word}: {schema[word]}` leads out of this schema",
                    (*route, word),
                    help="only references inside it are followed, e.g. `#/$defs/address`: copy the schema to `$defs`",
                )
            elif target not in schemas:
                names = ["#/" + "/".join(map(str, r[len(root) :])) for r in schemas if "$defs" in r[len(root) : -1]]
                meant = closest(schema[word], names)
                help = f"did you mean `{meant}`?" if meant else "define it below `$defs`"
                yield _wrong(f"`{word}: {schema[word]}` leads to no schema", (*route, word), help)
            else:
                next_to[route].append(target)
    yield from _growth(next_to)


def _same_value(schema: Mapping[str, Any], route: Route) -> Iterator[Route]:
    """Yield the inner schemas that apply to the same value."""
    for word in _SAME_VALUE:
        inner = schema.get(word)
        if isinstance(inner, list):
            yield from ((*route, word, index) for index in range(len(inner)))
        elif word == "dependentSchemas" and isinstance(inner, Mapping):
            yield from ((*route, word, name) for name in inner)
        elif isinstance(inner, Mapping):
            yield (*route, word)


def _target(reference: str, root: Route, anchors: Mapping[str, Route]) -> Route | None:
    """Return where a reference leads; ``None`` when it leads to another document."""
    if not reference.startswith("#"):
        return None
    pointer = unquote(reference[1:])
    if pointer and not pointer.startswith("/"):
        return anchors.get(pointer, (*root, "", pointer))
    route = root
    for name in steps(reference):
        index = small_number(name) if _KEYWORDS.get(str(route[-1])) == "schemas" else None
        route = (*route, name if index is None else index)
    return route


def _defaults(root: Any, schemas: Mapping[Route, Any]) -> Iterator[Finding]:
    """Report each default that does not fit its schema, and each that leads to itself: its input would be endless."""
    for route, schema in schemas.items():
        if not isinstance(schema, Mapping) or "default" not in schema:
            continue
        try:
            default = filled(schema, schema["default"], root)
        except TooManyDefaults as problem:
            yield _wrong(f"this default cannot be taken: {problem}", (*route, "default"))
            continue
        if not fits(default, schema, root):
            for error in _first_error(default, schema, root):
                help = "whoever leaves it out gets this value, which is then refused"
                message = f"the default does not fit its own schema: {shortened(error.message, 200)}"
                yield Finding("SD109", message, (*route, "default"), severity=Severity.WARNING, help=help)


def _first_error(value: Any, schema: Any, root: Any) -> list[Any]:
    with (
        suppress(Exception),
        limited(_MOST_OF_A_DEFAULT),
    ):  # the schema itself is wrong: that is reported at its own place
        return list(islice(validator(root, schema).iter_errors(value), 1))
    return []


def _growth(next_to: Mapping[Route, list[Route]]) -> Iterator[Finding]:
    sorter = TopologicalSorter(next_to)
    try:
        order = list(sorter.static_order())
    except CycleError as error:
        yield _wrong("the references of this schema go round in a circle", error.args[1][0])
        return
    weight: dict[Route, int] = {}
    for route in order:
        weight[route] = min(1 + sum(map(weight.__getitem__, next_to.get(route, ()))), MAX_EXPANDED + 1)
        if weight[route] > MAX_EXPANDED:
            yield _wrong(f"the references of this schema make more than {MAX_EXPANDED:,} schemas for one value", route)
            return


_INSTEAD = "put what has to hold at once into several patterns below `allOf`, a length into `maxLength`"


def _wrong(message: str, route: Route, help: str = "") -> Finding:
    return Finding("SD109", message, route, help=help or "schemas here are JSON Schema 2020-12")
