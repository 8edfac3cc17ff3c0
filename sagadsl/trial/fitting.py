"""Checks the outputs in a suite against the types of the activities that give them: SD811."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sagadsl.diagnostics.findings import Finding, Route, Severity
from sagadsl.language.schema.conform import checker
from sagadsl.trial.names import Asks, Names

_NEEDED = frozenset({"required", "dependentRequired", "minProperties"})
"""Words of a schema about what must be there: a mock often gives only what the saga reads."""

_CHOOSING = frozenset({"oneOf", "not", "if", "then", "else", "contains", "dependentSchemas"})
"""Words whose schemas choose: with fewer needs they would take more, and so the whole schema less."""


def outputs(attempts: Iterator[tuple[str, Mapping[str, Any], Route]], known: Names) -> Iterator[Finding]:
    """SD811: an output of a mock is of another type than the activity declares, so no run has it."""
    for name, attempt, place in attempts:
        schemas = known.outputs_of(known.whole(Asks.ANY_CALL, name) or name)
        for keys in (("output",), ("late", "output")):
            holder = attempt if len(keys) == 1 else attempt.get("late") or {}
            if schemas and "output" in holder:
                yield from _misfit(name, holder["output"], schemas, (*place, *keys))


def _misfit(name: str, value: Any, schemas: Mapping[str, Mapping[str, Any]], route: Route) -> Iterator[Finding]:
    """Yield one finding if an output fits none of the activities that may give it."""
    problems = {activity: checker(_without_needs(schema), "output")(value) for activity, schema in schemas.items()}
    if all(problems.values()):
        activity, first = next(iter(problems.items()))
        message = f"`{activity}` does not give such an output: {first[0]}"
        if name != activity:
            message = f"`{name}`: {message}"
        help = f"`sagadsl plugins show {activity}` shows what it returns"
        yield Finding("SD811", message, route, Severity.WARNING, help=help)


def _without_needs(schema: Any) -> Any:
    """Return a schema that takes all that *schema* takes, and objects which lack something."""
    if isinstance(schema, Mapping):
        return {
            word: {name: _without_needs(each) for name, each in rule.items()}
            if word in ("properties", "$defs", "definitions", "patternProperties") and isinstance(rule, Mapping)
            else rule
            if word in ("const", "enum", "default", "examples")
            else _without_needs(rule)
            for word, rule in schema.items()
            if word not in _NEEDED | _CHOOSING
        }
    return [_without_needs(each) for each in schema] if isinstance(schema, list) else schema
