"""Draws outputs of activities that no mock has fixed: they have the declared type, and let the saga go on.

A definition shows which values let it go on: by what it reads of an output, and what it compares that with.
For `until: "{{ steps.ask.output.state == 'ready' }}"` the first output drawn has the state ``ready``.
Where an activity declares no type, the type follows from what the definition reads of its output.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from sagadsl.language.analysis.known import Signature
from sagadsl.language.calls import ActivityCall
from sagadsl.language.model import Saga
from sagadsl.language.paths import Purpose, parse_call
from sagadsl.trial.draw import draw
from sagadsl.trial.origins import ELEMENT, Origins
from sagadsl.trial.wishes import Chain


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
            for activity, schema in _hints(saga).items():
                found[activity] = overlaid(found.get(activity, {}), schema)
        return {activity: _filled(schema) for activity, schema in found.items()}

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
    return {activity: _filled(schema) for activity, schema in _hints(saga).items()}


def _hints(saga: Saga) -> dict[str, dict[str, Any]]:
    """Return the same as ``wanted``, with empty schemas for values that are read without a hint of their type."""
    found: dict[str, dict[str, Any]] = {}
    for chain, examples in Origins(saga).wishes():
        step = saga.places[chain[1]].step if chain[0] == "steps" else None
        if step is not None and isinstance(step.body, ActivityCall):
            for activity in step.body.names:
                found[activity] = overlaid(found.get(activity, {}), _schema(chain[3:], examples))
    return found


def input_wanted(saga: Saga) -> dict[str, Any]:
    """Return what a definition reads of its own input, as a JSON Schema like those of ``wanted``; empty for nothing."""
    read = [(chain[1:], examples) for chain, examples in Origins(saga).wishes() if chain[0] == "input"]
    schema: dict[str, Any] = {}
    for rest, examples in read:
        schema = overlaid(schema, _schema(rest, examples))
    return _filled(schema) if read else {}


def draw_input(saga: Saga, number: int = 0, *, full: bool = False) -> Any:
    """Return an input of a saga; with *full*, optional properties too."""
    return draw(overlaid(dict(saga.input_schema or {}), input_wanted(saga)), number, "input", full=full)


def overlaid(schema: dict[str, Any], wish: Mapping[str, Any]) -> dict[str, Any]:
    """Return *schema* with what *wish* adds. The types and choices of *schema* stay."""
    if "examples" in wish and any(word in schema for word in ("anyOf", "oneOf")):
        fitting = [each for each in wish["examples"] if _takes(schema, each)]
        return {"examples": fitting, **schema} if fitting else schema
    if not wish or "$ref" in schema or any(word in schema for word in ("allOf", "anyOf", "oneOf", "const")):
        return schema or dict(wish)
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
        fits = _takes(schema, each) if choices is None else each in choices
        if fits and not any(each is kept or each == kept for kept in found):
            found.append(each)
    return found


_TYPES: Mapping[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "array": (list,),
    "object": (dict,),
}


def _takes(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a value has one of the types that a schema declares; any has if it declares none."""
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return any(isinstance(each, Mapping) and _takes(each, value) for each in schema[word])
    if "$ref" in schema:
        return value is not None
    types = schema.get("type", list(_TYPES))
    names = [types] if isinstance(types, str) else types
    return any(isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool)) for name in names)


def _filled(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema in which what is read without a hint of its type is text."""
    if not schema:
        return {"type": "string"}
    filled = dict(schema)
    if "properties" in schema:
        filled["properties"] = {name: _filled(each) for name, each in schema["properties"].items()}
    if "items" in schema:
        filled["items"] = _filled(schema["items"])
    return filled


def _schema(rest: Chain, examples: list[Any]) -> dict[str, Any]:
    """Return the schema of a value, one place of which is read."""
    if not rest:
        if not examples:
            return {}
        return {"type": "array"} if examples == [[]] else {"examples": examples}
    if rest[0] == ELEMENT or rest[0].isdigit():
        return {"type": "array", "items": _schema(rest[1:], examples)}
    return {"type": "object", "properties": {rest[0]: _schema(rest[1:], examples)}}
