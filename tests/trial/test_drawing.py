"""Values that nobody has fixed: of a schema, of what a definition reads, and of what it compares that with."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sagadsl.language.analysis.known import Signature
from sagadsl.language.build import build
from sagadsl.trial.draw import draw
from sagadsl.trial.outputs import Outputs, draw_input, wanted
from tests.engine.scenes import act, plain, saga

SCALARS = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "minLength": 12},
        {"type": "string", "maxLength": 3},
        {"type": "integer", "minimum": 7},
        {"type": "integer", "exclusiveMaximum": 0},
        {"type": "integer", "multipleOf": 5, "minimum": 1},
        {"type": "number", "exclusiveMinimum": 2},
        {"type": "boolean"},
        {"type": "null"},
        {"enum": ["a", 1, None]},
        {"const": {"a": 1}},
        {"type": ["null", "string"]},
        {"anyOf": [{"type": "null"}, {"type": "integer"}]},
        {"$ref": "#/$defs/named"},
    ]
)
SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: (
        st.builds(lambda item, least: {"type": "array", "items": item, "minItems": least}, inner, st.integers(0, 3))
        | st.builds(
            lambda properties: {"type": "object", "properties": properties, "required": sorted(properties)},
            st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
        )
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(SCHEMAS, st.integers(0, 5), st.booleans())
def test_what_is_drawn_fits_and_is_always_the_same(schema: dict[str, Any], number: int, full: bool) -> None:
    """For everything but patterns and what only a program can know."""
    root = {**schema, "$defs": {"named": {"type": "string", "minLength": 1}}}
    drawn = draw(root, number, full=full)

    assert Draft202012Validator(root).is_valid(drawn)
    assert draw(root, number, full=full) == drawn


@pytest.mark.parametrize(
    ("schema", "drawn"),
    [
        ({"type": "string", "examples": ["alice", "bob"]}, ["alice", "bob", "alice"]),
        ({"type": "string", "format": "email"}, ["someone@example.org"] * 3),
        ({"type": "string", "default": "x"}, ["x"] * 3),
        ({"enum": [1, 2]}, [1, 2, 1]),
        ({"type": "boolean"}, [True, False, True]),
        ({"type": "integer"}, [1, 2, 3]),
        ({"type": "string"}, ["value-1", "value-2", "value-3"]),
        ({"not": {}}, [None] * 3),
    ],
)
def test_other_numbers_draw_other_values(schema: dict[str, Any], drawn: list[Any]) -> None:
    """Examples come first, then choices, then what can be read."""
    assert [draw(schema, number) for number in range(3)] == drawn


def test_a_schema_that_contains_itself_ends() -> None:
    """A tree without end is drawn to some depth."""
    schema = {
        "$ref": "#/$defs/node",
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    }

    assert "next" in draw(schema)


def _outputs(*steps: Any, **top: Any) -> dict[str, Any]:
    found = wanted(build(saga(*steps, **top)))
    return {activity: [draw(schema, number, "x", items=2) for number in (0, 1)] for activity, schema in found.items()}


@pytest.mark.parametrize(
    ("condition", "first", "second"),
    [
        ("steps.a.output.state == 'ready'", "ready", "something-else"),
        ("steps.a.output.state != 'ready'", "something-else", "ready"),
        ("steps.a.output.state > 10", 11, 10),
        ("steps.a.output.state >= 10", 10, 9),
        ("10 > steps.a.output.state", 9, 10),
        ("steps.a.output.state", True, False),
        ("not steps.a.output.state", False, True),
        ("steps.a.output.state in ['x', 'y']", "x", "y"),
        ("steps.a.output.state and input.x", True, False),
        ("steps.a.output.state | default(false)", True, False),
        ("steps.a.output.state is none", None, "something"),
        ("steps.a.output.state is not none", "something", None),
        ("not steps.a.output.state == 'ready'", "something-else", "ready"),
    ],
)
def test_the_first_value_leads_on_and_the_second_does_not(condition: str, first: Any, second: Any) -> None:
    """What a definition compares an output with tells which outputs matter."""
    assert _outputs(plain("a"), plain("b", **{"if": condition})) == {"do.a": [{"state": first}, {"state": second}]}


def test_what_is_read_of_an_output_is_its_shape() -> None:
    """Also through a loop's variable, the output of a block, a compensation, and arithmetic."""
    found = _outputs(
        act("a", compensation={"activity": "undo.a", "input": {"id": "{{ step.output.id }}"}}),
        {"id": "g", "steps": [plain("inner")]},
        {
            "id": "l",
            "for_each": {"items": "{{ steps.a.output.lines }}", "as": "line"},
            "steps": [plain("x", input={"sku": "{{ line.sku }}"})],
        },
        {"id": "s", "set": {"n": "{{ steps.g.output.inner.count + 1 }}"}},
    )

    assert found["do.a"][0] == {"id": "id-1", "lines": [{"sku": "sku-1"}, {"sku": "sku-2"}]}
    assert found["do.inner"][0] == {"count": 1}


def test_a_result_that_means_no_is_not_the_first_one() -> None:
    """``failed_if`` is read the other way round."""
    found = _outputs(plain("a", failed_if={"if": "output.code >= 400"}))

    assert [each["code"] < 400 for each in found["do.a"]] == [True, False]


def _pages(**how: Any) -> dict[str, Any]:
    repeat = {
        "while": "state.cursor is not none",
        "state": {"cursor": "", "rows": [], "text": "", "n": 0},
        "next": {"cursor": "{{ steps.page.output.next }}"},
        **how,
    }
    return {"id": "read", "repeat": repeat, "steps": [plain("page")], "output": "{{ state }}"}


@pytest.mark.parametrize(
    "next_",
    ["{{ steps.page.output.next }}", "{{ steps.page.output.next | default(none) }}", "{{ steps.more.output.to }}"],
)
def test_a_loop_that_goes_on_while_its_state_says_so_comes_to_its_end(next_: str) -> None:
    """The first output ends it; the second lets one more round follow."""
    loop = _pages(next={"cursor": next_})
    loop["steps"].append({"id": "more", "set": {"to": "{{ steps.page.output.next }}"}})

    assert _outputs(loop) == {"do.page": [{"next": None}, {"next": "something"}]}


def test_what_a_state_is_compared_with_is_wished_of_what_it_is_made_of() -> None:
    """Also of its first value, which lets a first round begin."""
    first = plain("first")
    loop = _pages(
        **{"while": "state.open > 3"},
        state={"open": "{{ steps.first.output.open }}"},
        next={"open": "{{ steps.page.output.left }}"},
    )
    found = _outputs(first, loop)

    assert found["do.page"][0] == {"left": 3}
    assert found["do.first"][0] == {"open": 4}


def test_what_a_loop_collects_can_be_added_to_its_state() -> None:
    """Lists to lists, texts to texts, numbers to numbers."""
    loop = _pages(
        next={
            "rows": "{{ state.rows + steps.page.output.rows }}",
            "text": "{{ state.text + steps.page.output.text }}",
            "n": "{{ state.n + steps.page.output.count }}",
        }
    )

    assert _outputs(loop)["do.page"][0] == {"rows": [None, None], "text": "text-1", "count": 1}


def test_the_output_that_a_block_says_is_followed_to_what_it_is_made_of() -> None:
    """A key of it may have the name of a step."""
    block = {"id": "g", "steps": [plain("a")], "output": {"a": "{{ steps.a.output.price }}", "b": "{{ output.a.id }}"}}
    reading = {"id": "s", "set": {"x": "{{ steps.g.output.a + 1 }}", "y": "{{ steps.g.output.b }}"}}

    assert _outputs(block, reading)["do.a"][0] == {"price": 1, "id": "id-1"}


def test_loops_whose_variables_have_one_name_are_told_apart() -> None:
    """The name in `as` may be left out everywhere."""
    loops = [
        {
            "id": f"loop_{id_}",
            "for_each": {"items": f"steps.{id_}.output.lines"},
            "steps": [plain(f"do_{id_}", input=f"{{{{ item.{key} }}}}")],
        }
        for id_, key in (("a", "sku"), ("b", "name"))
    ]
    found = _outputs(plain("a"), plain("b"), *loops)

    assert found["do.a"][0] == {"lines": [{"sku": "sku-1"}, {"sku": "sku-2"}]}
    assert found["do.b"][0] == {"lines": [{"name": "name-1"}, {"name": "name-2"}]}


@pytest.mark.parametrize(
    ("declared", "drawn"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, [None, "something"]),
        ({"type": ["string", "null"]}, [None, "something"]),
        ({"type": "string"}, ["something", "something"]),
    ],
)
def test_only_what_a_declared_type_takes_is_wished_of_it(declared: dict[str, Any], drawn: list[Any]) -> None:
    """A cursor that may be null is null in the end, whichever way its type says so."""
    schema = {"type": "object", "properties": {"next": declared}}
    known = {"do.page": Signature("do.page", "acme 1.0", output_schema=schema)}
    outputs = Outputs((build(saga(_pages())),), known)

    assert [outputs.draw("read[0]/page", "do.page", number)["next"] for number in (0, 1)] == drawn


def test_a_declared_type_wins_and_wishes_choose_among_its_values() -> None:
    """A plugin's enum stays an enum; the definition only says which member leads on."""
    schema = {"type": "object", "properties": {"state": {"enum": ["new", "ready"]}, "id": {"type": "integer"}}}
    known = {"do.a": Signature("do.a", "acme 1.0", output_schema=schema)}
    model = build(saga(plain("a"), plain("b", **{"if": "steps.a.output.state == 'ready'"})))

    assert Outputs((model,), known).draw("a", "do.a", 0) == {"state": "ready", "id": 1}
    assert Outputs((model,), known).draw("a", "do.a", 1) == {"state": "new", "id": 2}


def test_a_probe_says_that_it_happened() -> None:
    """Number 1 says that it did not."""
    outputs = Outputs(())

    assert [outputs.draw("pay.probe", "bank.was_paid", number) for number in (0, 1)] == [True, False]


def test_an_input_has_what_is_required_and_lengths_are_lengths() -> None:
    """Small, so that it can be read on one line."""
    model = build(
        saga(
            {"id": "w", "sleep": "{{ input.pause }}"},
            input={
                "type": "object",
                "required": ["pause", "who"],
                "properties": {"pause": {"type": "string"}, "who": {"type": "string"}, "more": {"type": "integer"}},
            },
        )
    )

    assert draw_input(model) == {"pause": "1s", "who": "who-1"}
    assert draw_input(model, full=True) == {"pause": "1s", "who": "who-1", "more": 1}
