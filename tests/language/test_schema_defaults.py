"""The defaults that the schema tells an editor are those that a run has."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sagadsl.immutable import replace
from sagadsl.language.build import build
from sagadsl.language.calls import ActivityCall
from sagadsl.language.model import Saga
from sagadsl.language.schema import definition

SCHEMA = json.loads(definition.text())
CALL = {"id": "a", "activity": "do.a"}
INNER = {"id": "inner", "set": {"x": 1}}
_SCHEDULE = ("offset", "time_zone", "overlap", "jitter", "catch_up", "input")

UNDONE_BY: Mapping[str, Any] = {
    "activity": "do.undo",
    "nexus": {"endpoint": "e", "service": "S", "operation": "undo"},
    "saga": "do.undo",
}

# For each place of the schema with a default: steps, and where in the definition its key would stand.
PLACES: Mapping[str, tuple[Mapping[str, Any], tuple[str | int, ...]]] = {
    "properties/version": (CALL, ("version",)),
    "properties/labels": (CALL, ("labels",)),
    "properties/compensation/properties/order": (CALL, ("compensation", "order")),
    "properties/compensation/properties/on_failure": (CALL, ("compensation", "on_failure")),
    "definitions/timeouts/properties/start_to_close": (CALL, ("steps", 0, "timeouts", "start_to_close")),
    **{
        f"definitions/retry_policy/properties/{key}": (CALL, ("steps", 0, "retry", key))
        for key in SCHEMA["definitions"]["retry_policy"]["properties"]
        if key != "use"
    },
    "definitions/local": (CALL, ("steps", 0, "local")),
    "definitions/pivot": (CALL, ("steps", 0, "pivot")),
    **{
        f"definitions/{kind}_undo/properties/{key}": (
            {**CALL, "compensation": {kind: undo}},
            ("steps", 0, "compensation", key),
        )
        for kind, undo in UNDONE_BY.items()
        for key in ("already_undone", "on")
    },
    **{
        f"definitions/send_undo/properties/{key}": (
            {**CALL, "compensation": {"send": {"signal": "go", "to": "other"}}},
            ("steps", 0, "compensation", key),
        )
        for key in ("already_undone", "on")
    },
    "definitions/send/properties/plain": (
        {"id": "a", "send": {"signal": "go", "to": "other"}, "compensation": "none"},
        ("steps", 0, "send", "plain"),
    ),
    "definitions/failed_if_rule/properties/type": (
        {**CALL, "failed_if": {"if": "output.no"}},
        ("steps", 0, "failed_if", "type"),
    ),
    "definitions/handler/properties/then": (
        {**CALL, "on_error": [{"types": ["Busy"]}]},
        ("steps", 0, "on_error", 0, "then"),
    ),
    **{
        f"definitions/handler/properties/{key}": (
            {**CALL, "on_error": [{"then": "retry"}]},
            ("steps", 0, "on_error", 0, key),
        )
        for key in ("maximum_attempts", "initial_interval", "backoff_coefficient", "maximum_interval")
    },
    "definitions/handler/properties/raise/properties/message": (
        {**CALL, "on_error": [{"raise": {"type": "Busy"}}]},
        ("steps", 0, "on_error", 0, "raise", "message"),
    ),
    "properties/defaults/properties/on_error": (CALL, ("defaults", "on_error")),
    "definitions/on_error": (CALL, ("steps", 0, "on_error")),
    "definitions/on_branch_failure": ({"id": "a", "parallel": [INNER]}, ("steps", 0, "on_branch_failure")),
    "definitions/detached": ({"id": "a", "saga": "b"}, ("steps", 0, "detached")),
    "definitions/on_cancel": ({"id": "a", "saga": "b"}, ("steps", 0, "on_cancel")),
    "definitions/remaining": ({"id": "a", "parallel": [INNER]}, ("steps", 0, "remaining")),
    **{
        f"definitions/for_each/properties/{key}": (
            {"id": "a", "for_each": {"items": [1]}, "steps": [INNER]},
            ("steps", 0, "for_each", key),
        )
        for key in ("as", "max_concurrency")
    },
    "definitions/repeat/properties/maximum_attempts": (
        {"id": "a", "repeat": {"until": "true"}, "steps": [INNER]},
        ("steps", 0, "repeat", "maximum_attempts"),
    ),
    **{f"definitions/schedule/properties/{key}": (CALL, ("schedule", key)) for key in _SCHEDULE},
    **{
        f"definitions/calendar/properties/{key}": (CALL, ("schedule", "calendar", key))
        for key in SCHEMA["definitions"]["calendar"]["properties"]
    },
    "definitions/fail/properties/message": ({"id": "a", "fail": {"type": "X"}}, ("steps", 0, "fail", "message")),
}
SERVERS_OWN = {"definitions/priority": "what no priority means is for the server to say: 3"}


def _defaults(node: Any, route: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        if "default" in node and "description" in node:
            yield "/".join(route), node["default"]
        for key, value in node.items():
            yield from _defaults(value, (*route, key))


DEFAULTS = dict(_defaults(SCHEMA))


def test_each_default_of_the_schema_is_looked_at() -> None:
    assert {*PLACES, *SERVERS_OWN} == DEFAULTS.keys()
    assert DEFAULTS["definitions/priority"] == 3


@pytest.mark.parametrize("place", PLACES)
def test_what_is_left_out_means_what_the_schema_says(place: str) -> None:
    step, route = PLACES[place]
    definition = {"sagadsl": 1, "name": "one", "steps": [step], "schedule": {"every": "6h", "calendar": {}}}

    assert _built(_with(definition, route, DEFAULTS[place])) == _built(definition)


def _with(definition: Mapping[str, Any], route: tuple[str | int, ...], value: Any) -> Mapping[str, Any]:
    changed: Any = copy.deepcopy(definition)
    holder = changed
    for key in route[:-1]:
        holder = holder.setdefault(key, {}) if isinstance(holder, dict) else holder[key]
    assert route[-1] not in holder
    holder[route[-1]] = value
    return changed  # type: ignore[no-any-return]


def _built(definition: Mapping[str, Any]) -> Saga:
    """Build it, and forget how it was written."""
    saga = build(definition)
    step = saga.steps[0]
    if isinstance(step.body, ActivityCall):
        step = replace(step, body=replace(step.body, retry=replace(step.body.retry, explicit=False)))
    return replace(saga, digest="", steps=(step,), places={})
