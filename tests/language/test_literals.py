"""Each place of text in the schema either computes what stands between ``{{ }}``, or says that it does not. SD310.

The places come from the schema itself, so that a new one is asked for too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from sagadsl.diagnostics.findings import Severity
from sagadsl.language.load import load
from sagadsl.language.schema import definition, literals
from sagadsl.reporting.excerpt import locate
from tests.language.test_kinds import EXAMPLES

SCHEMA = json.loads(definition.text())
DEFINITIONS: Mapping[str, Any] = SCHEMA["definitions"]
MARK = "{{ steps.nowhere.output }}"
UNDONE = {"id": "a", "activity": "do.a", "compensation": {"activity": "undo.a"}}
TOP = {"sagadsl": 1, "name": "one", "steps": [UNDONE]}
ELSEWHERE = ("sagas", "steps", "parallel", "else", "examples", "default", "payload", "input", "output", "set", "x-")
"""Keys below which other steps, any data or another schema stand."""

Make = Callable[[Any], Any]


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = DEFINITIONS[schema["$ref"].removeprefix("#/definitions/")]
    return schema


def _places(schema: Mapping[str, Any], make: Make, path: str, base: Mapping[str, Any]) -> Iterator[tuple[str, Make]]:
    """Yield each place of text in *schema*, with the function that makes a definition with a value in this place."""
    schema = _resolved(schema)
    if "string" in str(schema.get("type", "")) or "enum" in schema:
        yield path, make
    for key in ("then", "else"):
        if key in schema:
            yield from _places(schema[key], make, path, base)
    for each in schema.get("allOf", ()):
        yield from _places(each, make, path, base)
    if isinstance(schema.get("items"), dict) and schema["items"].get("$ref") != "#/definitions/step":
        yield from _places(schema["items"], lambda value: make([value]), f"{path}[0]", {})
    if "format" in schema.get("propertyNames", {}):
        yield f"{path}.NAME", lambda value: make({value: {}})
    if isinstance(schema.get("additionalProperties"), dict):
        yield from _places(schema["additionalProperties"], lambda value: make({"any": value}), f"{path}.any", {})
    for key, inner in schema.get("properties", {}).items():
        if key in ELSEWHERE or key == "sagadsl":
            continue
        needed = {name: _resolved(schema["properties"][name])["examples"][0] for name in schema.get("required", ())}
        whole = {**needed, **base}
        yield from _places(inner, lambda value, k=key, w=whole: make({**w, k: value}), f"{path}.{key}", {})  # type: ignore[misc]


def _all() -> dict[str, Make]:
    found = dict(_places({**SCHEMA, "required": []}, lambda value: value, "", TOP))
    for kind, example in EXAMPLES.items():
        step = {**DEFINITIONS[f"{kind}_step"], "required": []}
        whole = {"id": "a", **example}
        found |= _places(step, lambda value: {**TOP, "steps": [value]}, f"{kind}-step", whole)
    return found


PLACES = _all()


@pytest.mark.parametrize("place", PLACES)
def test_braces_are_never_taken_in_silence(place: str) -> None:
    """They are computed (SD305: the step does not exist), or refused; only remarks for readers get a warning."""
    loaded = load(json.dumps(PLACES[place](MARK)))
    codes = {finding.code for finding in loaded.findings}
    told = [finding for finding in loaded.findings if finding.code == "SD310"]
    refused = {finding.code for finding in loaded.errors}

    assert refused or codes & {"SD305", "SD310", "SD302"}, codes
    for finding in told:
        span = locate(loaded.document, finding.route, focus=finding.focus)
        assert loaded.document.text[span.column - 1 :].startswith(MARK)
        assert finding.help
        is_remark = "description" in place or "labels" in place
        assert finding.severity is (Severity.WARNING if is_remark else Severity.ERROR)


def test_the_places_are_those_of_the_whole_schema() -> None:
    """So that the test above leaves none out."""
    for place in (
        "activity-step.activity",
        "activity-step.compensation.activity",
        "activity-step.compensation[0].already_undone[0]",
        "activity-step.failed_if[0].type",
        "activity-step.on_error[0].types[0]",
        "activity-step.probe.activity",
        "activity-step.retry.non_retryable_error_types[0]",
        "wait_for-step.wait_for.signal",
        "wait_for-step.wait_for.any.NAME",
        "fail-step.fail.type",
        "for_each-step.for_each.as",
        "saga-step.saga",
        ".labels.any",
        ".defaults.retry.non_retryable_error_types[0]",
    ):
        assert place in PLACES


def test_every_place_with_a_form_of_its_own_says_what_to_do_instead() -> None:
    """A row for each key, and no row for a key that is gone."""
    told = {}
    for place, make in PLACES.items():
        for finding in load(json.dumps(make(MARK))).findings:
            if finding.code == "SD310":
                told[finding.help] = place

    assert set(told) == set(literals.INSTEAD.values())


@pytest.mark.parametrize("key", ["namex", "versoin", "task_queu"])
def test_below_a_misspelt_key_the_key_that_is_meant_says_what_to_do_instead(key: str) -> None:
    findings = load(json.dumps({"sagadsl": 1, "name": "one", "steps": [UNDONE], key: "{{"})).findings

    assert [(each.code, bool(each.help)) for each in findings] == [("SD104", True), ("SD310", True)]
