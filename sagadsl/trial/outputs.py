"""Draws outputs of activities that no mock has fixed: they have the declared type, and let the saga go on.

A definition shows which values let it go on: by what it reads of an output, and what it compares that with.
For `until: "{{ steps.ask.output.state == 'ready' }}"` the first output drawn has the state ``ready``.
Where an activity declares no type, the type follows from what the definition reads of its output.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from jinja2 import nodes

from sagadsl.language import walk
from sagadsl.language.analysis.known import Signature
from sagadsl.language.expressions.code import chain_of
from sagadsl.language.expressions.values import Condition, Expression, Listing, Object, Text
from sagadsl.language.model import (
    ActivityCall,
    ForEach,
    Leaf,
    Saga,
    Step,
    Value,
)
from sagadsl.language.paths import Purpose, parse_call
from sagadsl.trial.draw import draw

ELEMENT = "[]"
"""In a chain: any element of the list."""

Chain = tuple[str, ...]

_TEXT = {"type": "string"}
"""The schema of a value that is read without a hint of its type."""

_OTHER_WAY = {"gt": "lt", "lt": "gt", "gteq": "lteq", "lteq": "gteq"}
_LENGTHS = frozenset(
    {"every", "sleep", "timeout", "start_to_close", "schedule_to_close", "schedule_to_start", "heartbeat"}
    | {"initial_interval", "maximum_interval"}
)
"""Keys whose value is a length of time."""


class Outputs:
    """Draws the outputs of activities.

    Args:
        sagas: The saga of the trial and its children.
        activities: Signatures of the installed activities, by name; ``None`` when no activity is known.
    """

    def __init__(self, sagas: Iterable[Saga], activities: Mapping[str, Signature] | None = None) -> None:
        self._sagas = tuple(sagas)
        self._activities = activities
        self._schemas: dict[str, dict[str, Any]] = {}
        self._drawn: dict[tuple[str, int], Any] = {}

    @cached_property
    def _wanted(self) -> Mapping[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for saga in self._sagas:
            for activity, schema in wanted(saga).items():
                found[activity] = overlaid(found.get(activity, {}), schema)
        return found

    def schema(self, activity: str) -> dict[str, Any]:
        """Return a JSON Schema of what an activity returns; an empty schema if any value will do."""
        if activity not in self._schemas:
            signature = self._activities.get(activity) if self._activities is not None else None
            declared = signature.output_schema if signature is not None else None
            self._schemas[activity] = overlaid(dict(declared or {}), self._wanted.get(activity, {}))
        return self._schemas[activity]

    def draw(self, name: str, activity: str, number: int) -> Any:
        """Return the output of a call: see ``mocks.Draw``."""
        if parse_call(name).purpose is Purpose.PROBE:
            return number % 2 == 0  # it happened, or it did not
        key = activity, number
        if key not in self._drawn:
            schema = self.schema(activity)
            last = activity.rpartition(".")[2]
            self._drawn[key] = draw(schema, number, last, items=2) if schema else None
        return self._drawn[key]


def wanted(saga: Saga) -> dict[str, dict[str, Any]]:
    """Return what a definition reads of each activity's output, as JSON Schemas with examples that let it go on."""
    found: dict[str, dict[str, Any]] = {}
    variables = _variables(saga)
    for site in walk.sites(saga):
        for chain, examples in _site(site):
            resolved = _resolved(chain, site.step, variables)
            step = saga.places[resolved[1]].step if len(resolved) > 2 and resolved[1] in saga.places else None
            if step is None or resolved[0] != "steps" or resolved[2] != "output":
                continue
            activity, rest = _owner(saga, step, resolved[3:])
            if activity is not None:
                found[activity] = overlaid(found.get(activity, {}), _schema(rest, examples))
    return found


def input_wanted(saga: Saga) -> dict[str, Any]:
    """Return what a definition reads of its own input, as a JSON Schema like those of ``wanted``."""
    schema: dict[str, Any] = {}
    variables = _variables(saga)
    for site in walk.sites(saga):
        for chain, examples in _site(site):
            resolved = _resolved(chain, site.step, variables)
            if resolved[0] == "input":
                schema = overlaid(schema, _schema(resolved[1:], examples))
    return schema


def draw_input(saga: Saga, number: int = 0, *, full: bool = False) -> Any:
    """Return an input of a saga; with *full*, optional properties too."""
    return draw(overlaid(dict(saga.input_schema or {}), input_wanted(saga)), number, "input", full=full)


def overlaid(schema: dict[str, Any], wish: Mapping[str, Any]) -> dict[str, Any]:
    """Return *schema* with what *wish* adds. The types and choices of *schema* stay."""
    if not wish or "$ref" in schema or any(word in schema for word in ("allOf", "anyOf", "oneOf", "const")):
        return schema or dict(wish)
    if schema == _TEXT and "type" in wish:
        return dict(wish)  # the value was read as a whole too
    if wish == _TEXT and "type" in schema:
        return schema
    merged = {key: value for key, value in schema.items() if key != "default" or "type" in schema}
    for key, value in wish.items():
        match key:
            case "properties":
                own = schema.get("properties", {})
                closed = schema.get("additionalProperties") is False
                names = [name for name in (*own, *value) if name in own or not closed]
                merged[key] = {name: overlaid(own.get(name, {}), value.get(name, {})) for name in dict.fromkeys(names)}
            case "items":
                merged[key] = (
                    overlaid(schema.get(key, {}), value) if isinstance(schema.get(key, {}), Mapping) else value
                )
            case "examples":
                merged[key] = _examples(schema, value)
            case _:
                merged.setdefault(key, value)
    return merged


def _examples(schema: Mapping[str, Any], wished: list[Any]) -> list[Any]:
    choices = schema.get("enum")
    found: list[Any] = []
    for each in (*schema.get("examples", ()), *wished, *(choices or ())):
        if (choices is None or each in choices) and not any(each is kept or each == kept for kept in found):
            found.append(each)
    return found


def _schema(rest: Chain, examples: list[Any]) -> dict[str, Any]:
    """Return the schema of a value, one place of which is read."""
    if not rest:
        if not examples:
            return dict(_TEXT)
        return {"type": "array"} if examples == [[]] else {"examples": examples}
    if rest[0] == ELEMENT or rest[0].isdigit():
        return {"type": "array", "items": _schema(rest[1:], examples)}
    return {"type": "object", "properties": {rest[0]: _schema(rest[1:], examples)}}


def _owner(saga: Saga, step: Step, rest: Chain) -> tuple[str | None, Chain]:
    """Return the activity that gives an output, or a part of the output of a block, and the chain inside its output."""
    if isinstance(step.body, Leaf):
        return (step.body.activity, rest) if isinstance(step.body, ActivityCall) else (None, ())
    below = rest[1:] if isinstance(step.body, ForEach) else rest  # its output is a list: the first is an index
    inner = saga.places.get(below[0]) if below else None
    return (None, ()) if inner is None else _owner(saga, inner.step, below[1:])


def _variables(saga: Saga) -> dict[str, Chain]:
    """Return what each loop variable stands for: an element of the list that its loop reads."""
    found: dict[str, Chain] = {}
    for spot in walk.spots(saga):
        body = spot[-1].step.body
        if isinstance(body, ForEach) and isinstance(body.items, Expression):
            chain = chain_of(body.items.tree)
            if chain is not None:
                found[body.variable] = (*_resolved(_texts(chain), spot[-1].step, found), ELEMENT)
    return found


def _resolved(chain: Chain, step: Step | None, variables: Mapping[str, Chain]) -> Chain:
    """Write out a chain that begins with ``step``, ``output`` or a loop variable: from ``steps`` or ``input`` on."""
    if chain[0] == "step" and step is not None:
        return ("steps", step.id, *chain[1:])
    if chain[0] == "output" and step is not None:
        return ("steps", step.id, *chain)
    if chain[0] in variables:
        return (*variables[chain[0]], *chain[1:])
    return chain


def _texts(chain: Iterable[str | int]) -> Chain:
    return tuple(str(each) for each in chain)


def _site(site: walk.Site) -> Iterator[tuple[Chain, list[Any]]]:
    if site.route[-2:] == ("for_each", "items") and isinstance(site.value, Expression):
        chain = chain_of(site.value.tree)
        if chain is not None:
            yield _texts(chain), _LIST
            return
    if site.route[-1:] and site.route[-1] in _LENGTHS:
        yield from ((chain, ["1s"]) for chain in site.value.reads)
        return
    failing = "failed_if" in site.route  # the saga goes on when the condition does not hold
    for chain, examples in _wishes(site.value):
        yield chain, examples[::-1] if failing else examples


def _wishes(value: Value) -> Iterator[tuple[Chain, list[Any]]]:
    """Yield every chain that a value reads, with values that let the saga go on; no values: it is just read."""
    match value:
        case Condition():
            yield from _of_condition(value)
        case Expression(tree=tree):
            yield from _of_node(tree, condition=False)
        case Text(parts=parts):
            for part in parts:
                if isinstance(part, Expression):
                    yield from _of_node(part.tree, condition=False)
        case Object(items=items):
            for item in items.values():
                yield from _wishes(item)
        case Listing(elements=elements):
            for item in elements:
                yield from _wishes(item)
        case _:
            return


def _of_condition(condition: Condition) -> Iterator[tuple[Chain, list[Any]]]:
    if isinstance(condition.value, Expression):
        yield from _of_node(condition.value.tree, condition=True)


_NUMBERS = [1, 2]
_LIST: list[Any] = [[]]
_ARITHMETIC = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Neg, nodes.Pos)
_OF_NUMBERS = frozenset({"abs", "round", "int", "float"})
_OF_LISTS = frozenset({"length", "count", "sum", "map", "select", "reject", "selectattr", "rejectattr", "join", "sort"})


def _of_node(node: nodes.Node, *, condition: bool) -> Iterator[tuple[Chain, list[Any]]]:
    chain = chain_of(node)
    if chain is not None:
        yield _texts(chain), [True, False] if condition else []
        return
    match node:
        case nodes.Compare(expr=first, ops=[nodes.Operand(op=op, expr=second)]):
            yield from _of_comparison(first, op, second)
        case nodes.Not(node=inner):
            chain = chain_of(inner)
            if chain is not None:
                yield _texts(chain), [False, True]
            else:
                yield from _of_node(inner, condition=condition)
        case nodes.And(left=left, right=right) | nodes.Or(left=left, right=right):
            yield from _of_node(left, condition=True)
            yield from _of_node(right, condition=True)
        case nodes.Filter(node=nodes.Node() as inner, name=name):
            chain = chain_of(inner)
            wish = _NUMBERS if name in _OF_NUMBERS else _LIST if name in _OF_LISTS else None
            if chain is not None and wish is not None:
                yield _texts(chain), wish
            else:
                yield from _of_node(inner, condition=condition and name in ("default", "d"))
        case _ if isinstance(node, _ARITHMETIC):
            for child in node.iter_child_nodes():
                chain = chain_of(child)
                if chain is not None:
                    yield _texts(chain), _NUMBERS
                else:
                    yield from _of_node(child, condition=False)
        case nodes.CondExpr(test=test):
            yield from _of_node(test, condition=True)
            for child in node.iter_child_nodes():
                if child is not test:
                    yield from _of_node(child, condition=False)
        case _:
            for child in node.iter_child_nodes():
                yield from _of_node(child, condition=False)


def _of_comparison(first: nodes.Node, op: str, second: nodes.Node) -> Iterator[tuple[Chain, list[Any]]]:
    for here, there, relation in ((first, second, op), (second, first, _OTHER_WAY.get(op, op))):
        chain = chain_of(here)
        if chain is None:
            yield from _of_node(here, condition=False)
        elif isinstance(there, nodes.Const):
            yield _texts(chain), _beside(there.value, relation)
        elif op == "in" and here is first and isinstance(there, nodes.List):
            yield _texts(chain), [each.value for each in there.items if isinstance(each, nodes.Const)]
        elif op == "in" and here is second:
            yield _texts(chain), _LIST
        else:
            yield _texts(chain), _NUMBERS if op in _OTHER_WAY else []


def _beside(value: Any, relation: str) -> list[Any]:
    """Return values for which a comparison with *value* holds, then some for which it does not."""
    if isinstance(value, bool):
        return [value, not value] if relation == "eq" else [not value, value]
    if isinstance(value, int | float):
        more, less = value + 1, value - 1
        by_relation = {"eq": [value, more], "ne": [more, value], "gt": [more, value], "gteq": [value, less]}
        return by_relation.get(relation, [less, value] if relation == "lt" else [value, more])
    other = "something-else" if isinstance(value, str) else "something"
    return [value, other] if relation != "ne" else [other, value]
