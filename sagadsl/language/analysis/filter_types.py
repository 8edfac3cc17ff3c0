"""The types that filters and tests take and give, as far as they are known without data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sagadsl.language.analysis.complaints import WRONG_TYPE
from sagadsl.language.analysis.types import (
    ANY,
    BOOLEAN,
    DECIMAL,
    INTEGER,
    NUMBER,
    TEXT,
    Shape,
    listing,
    record,
    union,
    without_null,
)
from sagadsl.language.expressions import nodes
from sagadsl.language.expressions.data import ExpressionError
from sagadsl.language.expressions.filters import FILTERS, signature
from sagadsl.language.expressions.predicates import TESTS
from sagadsl.language.expressions.text_filters import TEXT_FILTERS, pattern_from
from sagadsl.language.expressions.time_filters import (
    TIME_FILTERS,
    clock_of,
    days_of,
    length_of,
    moment_of,
    pattern_of_time,
    zone_of,
)

if TYPE_CHECKING:
    from sagadsl.language.analysis.inference import Inference

_OBJECT = Shape(frozenset(("object",)))
_LIST = listing(ANY)

TAKES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("capitalize", "from_json", "lower", "replace", "split", "title", "trim"), ("string",)),
    **dict.fromkeys(("truncate", "upper", "uuid5"), ("string",)),
    **dict.fromkeys((*TEXT_FILTERS, *TIME_FILTERS), ("string",)),
    **dict.fromkeys(("group_by", "zip"), ("array",)),
    "range": ("integer",),
    **dict.fromkeys(("abs", "fixed", "round"), ("number",)),
    **dict.fromkeys(("batch", "flatten", "join", "map", "max", "min", "reject", "rejectattr"), ("array",)),
    **dict.fromkeys(("select", "selectattr", "sort", "sum", "unique"), ("array",)),
    **dict.fromkeys(("dictsort", "items", "keys", "merge", "values"), ("object",)),
    **dict.fromkeys(("first", "last", "reverse"), ("array", "string")),
    **dict.fromkeys(("count", "length", "list"), ("array", "string", "object")),
    **dict.fromkeys(("float", "int"), ("number", "string", "boolean")),
    "bool": ("boolean", "string"),
    "decimal": ("number", "string"),
    "string": ("number", "string", "boolean"),
}
TAKES_ANYTHING = frozenset(("d", "default", "to_json", "urlencode"))
TESTED: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("endswith", "matches", "startswith"), ("string",)),
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
    ("integer",): "a whole number",
    ("number",): "a number",
    ("array",): "a list",
    ("object",): "an object",
    ("array", "string"): "a list or text",
    ("array", "string", "object"): "a list, text or an object",
    ("number", "string", "boolean"): "a number, text or a boolean",
    ("boolean", "string"): "a boolean or text",
    ("number", "string"): "a number or text",
}
CONSTANTS: Mapping[str, tuple[Callable[[Any], object], ...]] = {
    "at": (clock_of, lambda value: zone_of(value, "`at`"), days_of),
    "capture": (pattern_from,),
    "format_time": (pattern_of_time,),
    "in_zone": (zone_of,),
    "matches": (pattern_from,),
    "minus": (lambda value: length_of(value, "`minus`"),),
    "plus": (lambda value: length_of(value, "`plus`"),),
    "until": (lambda value: moment_of(value, "`until`"),),
}
"""For filters and tests whose arguments have a form of their own: what reads each; it raises for another form."""
GIVES: Mapping[str, Shape] = {
    **dict.fromkeys(
        ("at", "base64", "base64_decode", "format_time", "in_zone", "minus", "plus", "sha256", "until"), TEXT
    ),
    "capture": _LIST,
    "range": listing(INTEGER),
    "seconds": NUMBER,
    "zip": listing(_LIST),
    **dict.fromkeys(("capitalize", "fixed", "join", "lower", "replace", "string", "title", "to_json"), TEXT),
    **dict.fromkeys(("trim", "truncate", "upper", "urlencode", "uuid5"), TEXT),
    **dict.fromkeys(("count", "int", "length"), INTEGER),
    "decimal": DECIMAL,
    "float": NUMBER,
    **dict.fromkeys(("dictsort", "items", "values"), _LIST),
    **dict.fromkeys(("keys", "split"), listing(TEXT)),
    "bool": BOOLEAN,
    "merge": _OBJECT,
}
SAME = frozenset(("list", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "unique"))
GIVES_BY_VALUE = frozenset(
    ("abs", "batch", "d", "default", "first", "flatten", "group_by", "last", "map", "max", "min", "round", "sum")
)
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
    _judge_constants(inference, node, options)
    takes = TESTED.get(name) if isinstance(node, nodes.Test) else TAKES.get(name)
    if takes is not None:
        inference.wants(operand, shape, takes, f"`{name}` needs {_WORDS[takes]}")
    if isinstance(node, nodes.Test):
        return BOOLEAN
    if takes_missing:
        return _default(node, shape, args, options)
    return _given(inference, node, without_null(shape), options)


def _judge_constants(inference: Inference, node: nodes.Filter | nodes.Test, options: Mapping[str, nodes.Expr]) -> None:
    """Complain of each argument that is written out and has not the form that the filter needs."""
    if node.name not in CONSTANTS:
        return
    function = (TESTS if isinstance(node, nodes.Test) else FILTERS)[node.name]
    takes = signature(function)
    given = takes.bind(*node.args, **options).arguments
    for name, read in zip(takes.parameters, CONSTANTS[node.name], strict=True):
        argument = given.get(name)
        if isinstance(argument, nodes.Const):
            try:
                read(argument.value)
            except ExpressionError as error:
                message, _, help = error.message.partition("; ")
                inference.complain(WRONG_TYPE, message, help, focus=str(argument.value))


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
        case "abs" | "round":
            return DECIMAL if "decimal" in shape.kinds else NUMBER
        case "sum":
            return DECIMAL if "decimal" in element.kinds else NUMBER
        case "batch":
            return listing(listing(element))
        case "group_by":
            return listing(record({"key": ANY if attribute is None else element_part, "items": listing(element)}))
        case "flatten":
            return listing(element.element if element.kinds == {"array"} else ANY)
        case "reverse" if shape.kinds != {"array"}:
            return TEXT if shape.kinds == {"string"} else ANY
        case _ if name in SAME:
            return listing(element)
    return ANY


def _attribute(node: nodes.Filter, options: Mapping[str, nodes.Expr]) -> str | None:
    """Return the constant ``attribute`` of a filter that takes one."""
    given: nodes.Syntax | None = None
    if node.name in ("group_by", "rejectattr", "selectattr"):
        given = node.args[0] if node.args else None
    elif node.name in _BY_ATTRIBUTE or node.name == "map":
        given = options.get("attribute")
    return given.value if isinstance(given, nodes.Const) and isinstance(given.value, str) else None
