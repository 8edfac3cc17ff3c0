"""The types that filters and tests take and give, as far as they are known without data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jinja2 import nodes

from sagadsl.language.analysis.types import ANY, BOOLEAN, INTEGER, NUMBER, TEXT, Shape, listing, union, without_null

if TYPE_CHECKING:
    from sagadsl.language.analysis.inference import Inference

_OBJECT = Shape(frozenset(("object",)))
_LIST = listing(ANY)

TAKES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("capitalize", "from_json", "lower", "replace", "split", "title", "trim"), ("string",)),
    **dict.fromkeys(("truncate", "upper", "uuid5"), ("string",)),
    **dict.fromkeys(("abs", "fixed", "round"), ("number",)),
    **dict.fromkeys(("batch", "flatten", "join", "map", "max", "min", "reject", "rejectattr"), ("array",)),
    **dict.fromkeys(("select", "selectattr", "sort", "sum", "unique"), ("array",)),
    **dict.fromkeys(("dictsort", "items", "keys", "merge", "values"), ("object",)),
    **dict.fromkeys(("first", "last", "reverse"), ("array", "string")),
    **dict.fromkeys(("count", "length", "list"), ("array", "string", "object")),
    **dict.fromkeys(("float", "int"), ("number", "string", "boolean")),
    "bool": ("boolean", "string"),
    "string": ("number", "string", "boolean"),
}
TAKES_ANYTHING = frozenset(("d", "default", "to_json", "urlencode"))
TESTED: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("endswith", "startswith"), ("string",)),
    **dict.fromkeys(("divisibleby", "even", "odd"), ("number",)),
    "contains": ("array", "string", "object"),
}
TESTS_ANYTHING = frozenset(
    (
        *(
            "!=",
            "<",
            "<=",
            "==",
            ">",
            ">=",
            "eq",
            "equalto",
            "ge",
            "greaterthan",
            "gt",
            "in",
            "le",
            "lessthan",
            "lt",
            "ne",
        ),
        *(
            "boolean",
            "defined",
            "false",
            "float",
            "integer",
            "iterable",
            "mapping",
            "none",
            "null",
            "number",
            "sequence",
        ),
        *("string", "true", "undefined"),
    )
)
_WORDS: Mapping[tuple[str, ...], str] = {
    ("string",): "text",
    ("number",): "a number",
    ("array",): "a list",
    ("object",): "an object",
    ("array", "string"): "a list or text",
    ("array", "string", "object"): "a list, text or an object",
    ("number", "string", "boolean"): "a number, text or a boolean",
    ("boolean", "string"): "a boolean or text",
}
GIVES: Mapping[str, Shape] = {
    **dict.fromkeys(("capitalize", "fixed", "join", "lower", "replace", "string", "title", "to_json"), TEXT),
    **dict.fromkeys(("trim", "truncate", "upper", "urlencode", "uuid5"), TEXT),
    **dict.fromkeys(("count", "int", "length"), INTEGER),
    **dict.fromkeys(("abs", "float", "round", "sum"), NUMBER),
    **dict.fromkeys(("dictsort", "items", "values"), _LIST),
    **dict.fromkeys(("keys", "split"), listing(TEXT)),
    "bool": BOOLEAN,
    "merge": _OBJECT,
}
SAME = frozenset(("list", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "unique"))
GIVES_BY_VALUE = frozenset(("batch", "d", "default", "first", "flatten", "last", "map", "max", "min"))
GIVES_ANYTHING = frozenset(("from_json",))
_BY_ATTRIBUTE = frozenset(("join", "max", "min", "sort", "sum", "unique"))


def infer(inference: Inference, node: nodes.Filter | nodes.Test, soft: bool) -> Shape:
    """Return the shape of a filtered or tested value."""
    operand, name = node.node, node.name
    assert operand is not None  # only filter blocks have no operand
    takes_missing = name in ("default", "d", "defined", "undefined")
    shape = inference.infer(operand, soft or takes_missing)
    args = [inference.infer(arg, takes_missing) for arg in node.args]
    options = {str(option.key): option.value for option in node.kwargs}
    for option in options.values():
        inference.infer(option)
    takes = TESTED.get(name) if isinstance(node, nodes.Test) else TAKES.get(name)
    if takes is not None:
        inference.wants(operand, shape, takes, f"`{name}` needs {_WORDS[takes]}")
    if isinstance(node, nodes.Test):
        return BOOLEAN
    if takes_missing:
        return _default(node, shape, args, options)
    return _given(inference, node, without_null(shape), options)


def _default(node: nodes.Filter, shape: Shape, args: list[Shape], options: Mapping[str, nodes.Expr]) -> Shape:
    instead = args[0] if args else TEXT
    flag = node.args[1] if len(node.args) > 1 else options.get("boolean")
    replaces_null = isinstance(flag, nodes.Const) and flag.value is True
    return union([without_null(shape) if replaces_null else shape, instead])


def _given(inference: Inference, node: nodes.Filter, shape: Shape, options: Mapping[str, nodes.Expr]) -> Shape:
    name = node.name
    attribute = _attribute(node, options)
    element = shape.element if shape.kinds == {"array"} else ANY
    if attribute is not None:
        soft = "default" in options or name in ("selectattr", "rejectattr")
        element_part = inference.attribute(node, element, attribute, soft)
        if name == "map":
            return listing(ANY if "default" in options else element_part)
    if name in GIVES:
        return GIVES[name]
    match name:
        case "first" | "last":
            return TEXT if shape.kinds == {"string"} else element
        case "max" | "min":
            return element
        case "map":
            inner = node.args[0] if node.args else None
            given = GIVES.get(str(inner.value), ANY) if isinstance(inner, nodes.Const) else ANY
            return listing(given)
        case "batch":
            return listing(listing(element))
        case "flatten":
            return listing(element.element if element.kinds == {"array"} else ANY)
        case "reverse" if shape.kinds != {"array"}:
            return TEXT if shape.kinds == {"string"} else ANY
        case _ if name in SAME:
            return listing(element)
    return ANY


def _attribute(node: nodes.Filter, options: Mapping[str, nodes.Expr]) -> str | None:
    """Return the constant ``attribute`` of a filter that takes one."""
    given: nodes.Node | None = None
    if node.name in ("selectattr", "rejectattr"):
        given = node.args[0] if node.args else None
    elif node.name in _BY_ATTRIBUTE or node.name == "map":
        given = options.get("attribute")
    return given.value if isinstance(given, nodes.Const) and isinstance(given.value, str) else None
