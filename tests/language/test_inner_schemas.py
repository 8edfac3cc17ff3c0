"""The JSON Schemas inside a definition: of its input and of payloads."""

# ruff: noqa: E501 (tables read best with one case a line)

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.language.schema_findings import brief, check, only, step

# JSON Schemas inside a definition


def inside(text: str) -> list[tuple[str, str]]:
    return brief(check(f"sagadsl: 1\nname: x\ninput: {text}\nsteps: [{{id: a, sleep: 1s}}]\n"))


@pytest.mark.parametrize(
    "address", ["http://example.com/a.json", "file:///etc/passwd", "./other.json", "other#/$defs/a"]
)
def test_a_reference_to_elsewhere_is_refused_and_never_opened(address: str) -> None:
    assert inside(f'{{$ref: "{address}"}}') == [("SD110", f"`$ref: {address}` leads out of this schema")]


def test_references_inside_the_schema_are_fine() -> None:
    assert inside('{$defs: {a: {$anchor: b, type: object, properties: {next: {$ref: "#"}}}}, allOf: [{$ref: "#/$defs/a"}, {$ref: "#b"}]}') == []  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{type: int}", "`type` of a schema must be one or more of `array`, `boolean`, `integer`, `null`, `number`, `object`, `string`"),
        ("{properties: {a: 3}}", "a schema must be a mapping, `true` or `false`"),
        ("{required: a}", "`required` of a schema must be a list of different names"),
        ("{minimum: x}", "`minimum` of a schema must be a number"),
        ("{items: [{}, {}]}", "`items` of a schema must be one schema, not a list"),
        ('{pattern: "("}', "`(` is not a regular expression: missing ), unterminated subpattern at position 0"),
        ('{$ref: "#/$defs/gone"}', "`$ref: #/$defs/gone` leads to no schema"),
        ('{$defs: {a: {$ref: "#/$defs/b"}, b: {allOf: [{$ref: "#/$defs/a"}]}}}', "the references of this schema go round in a circle"),
        ('{$schema: "http://json-schema.org/draft-07/schema#"}', "`$schema` must be `https://json-schema.org/draft/2020-12/schema`"),
        ("{properties: {a: {$id: x}}}", "`$id` can stand only at the top of a schema"),
    ],
)  # fmt: skip
def test_what_is_no_json_schema_is_refused_where_it_stands(text: str, message: str) -> None:
    assert inside(text) == [("SD109", message)]


def test_a_keyword_that_checks_nothing_is_a_warning() -> None:
    """JSON Schema itself ignores it."""
    finding = only(check("sagadsl: 1\nname: x\ninput: {requried: [a]}\nsteps: [{id: a, sleep: 1s}]\n"))

    assert (finding.severity.value, finding.help) == ("warning", "did you mean `required`?")


def test_references_that_double_at_each_level_are_refused() -> None:
    """Bounded time. Thirty levels would be a thousand million schemas."""
    levels = [f'a{n}: {{allOf: [{{$ref: "#/$defs/a{n + 1}"}}, {{$ref: "#/$defs/a{n + 1}"}}]}}' for n in range(30)]

    assert inside(f"{{$defs: {{{', '.join(levels)}, a30: {{}}}}}}") == [
        ("SD109", "the references of this schema make more than 10,000 schemas for one value")
    ]


def test_the_payload_of_a_signal_is_checked_like_the_input() -> None:
    assert only(step("id: a\nwait_for: {signal: x, payload: {type: objct}}")).code == "SD109"


def test_a_data_value_that_looks_like_a_schema_is_none() -> None:
    assert inside('{const: {$ref: "http://x"}, enum: [{type: 3}], properties: {$ref: {type: string}}}') == []


_SCHEMAS = st.recursive(
    st.sampled_from(
        [True, {}, {"type": "string"}, {"type": "strin"}, {"enum": []}, {"minimum": 1}, {"minLength": -1}, 3]
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from("ab"), inner),
            "items": inner,
            "allOf": st.lists(inner, max_size=2),
            "not": inner,
            "additionalProperties": inner,
            "required": st.lists(st.sampled_from("ab"), max_size=2),
            "type": st.lists(st.sampled_from(["object", "array"]), max_size=2),
        },
    ),
    max_leaves=8,
)


@given(_SCHEMAS.filter(lambda value: isinstance(value, dict)))
def test_our_verdict_on_schemas_is_that_of_the_standard(value: dict[str, Any]) -> None:
    """The meta-schema takes 7 ms for each; ours has to say the same."""
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(value)
        standard = True
    except SchemaError:
        standard = False
    ours = inside(json.dumps(value))

    assert (ours == []) == standard, ours
