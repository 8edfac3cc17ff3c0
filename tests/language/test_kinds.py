"""A new kind of step: whoever adds one is told every place that has to know it.

By the type checker, or by one of these tests; never by a saga in production.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from sagadsl.drawing.tree import tree as drawing_of
from sagadsl.language import kinds, model, raw_steps
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.build import build
from sagadsl.language.checks.registry import ALL
from sagadsl.language.schema import definition
from sagadsl.language.walk import sites

ROOT = Path(__file__).parents[2]
UNKNOWN = "{{ steps.nowhere.output }}"
INNER = {"id": "inner", "set": {"x": 1}}

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "activity": {"activity": "do.a"},
    "nexus": {"nexus": {"endpoint": "e", "service": "S", "operation": "o"}},
    "saga": {"saga": "child"},
    "parallel": {"parallel": [INNER]},
    "for_each": {"for_each": {"items": "[1]"}, "steps": [INNER]},
    "repeat": {"repeat": {"until": "true"}, "steps": [INNER]},
    "steps": {"steps": [INNER]},
    "switch": {"switch": [{"else": [INNER]}]},
    "sleep": {"sleep": "1s"},
    "sleep_until": {"sleep_until": "2030-01-01T00:00:00Z"},
    "wait_for": {"wait_for": {"signal": "go", "timeout": "1s"}},
    "set": {"set": {"x": 1}},
    "fail": {"fail": {"type": "X"}},
    "return": {"return": {"x": 1}},
    "send": {"send": {"signal": "go", "to": "other"}},
    "answer": {"answer": {"x": 1}},
}
"""One step of each kind, by the key that names it: whoever adds a kind adds one here."""

READING: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "activity": (
        {"activity": "do.a", "input": UNKNOWN},
        {"activity": "do.a", "task_queue": UNKNOWN},
        {"activity": {"name": UNKNOWN, "one_of": ["do.a"]}},
        {"activity": "do.a", "priority": {"value": UNKNOWN, "at_most": 3}},
        {"activity": "do.a", "fairness_key": UNKNOWN},
        {"activity": "do.a", "fairness_weight": UNKNOWN},
    ),
    "nexus": ({"nexus": {"endpoint": "e", "service": "S", "operation": "o"}, "input": UNKNOWN},),
    "saga": ({"saga": "child", "input": UNKNOWN}, {"saga": "child", "task_queue": UNKNOWN}),
    "parallel": (
        {"parallel": [INNER], "complete_when": UNKNOWN},
        {"parallel": [INNER], "max_concurrency": {"value": UNKNOWN, "at_most": 3}},
    ),
    "for_each": (
        {"for_each": {"items": UNKNOWN}, "steps": [INNER]},
        {"for_each": {"items": [1]}, "steps": [INNER], "complete_when": UNKNOWN},
        {"for_each": {"items": [1], "max_concurrency": {"value": UNKNOWN, "at_most": 3}}, "steps": [INNER]},
    ),
    "repeat": (
        {"repeat": {"until": UNKNOWN}, "steps": [INNER]},
        {"repeat": {"until": "true", "every": UNKNOWN}, "steps": [INNER]},
        {"repeat": {"until": "true", "maximum_attempts": {"value": UNKNOWN, "at_most": 3}}, "steps": [INNER]},
    ),
    "steps": (),
    "switch": ({"switch": [{"if": UNKNOWN, "steps": [INNER]}]},),
    "sleep": ({"sleep": UNKNOWN},),
    "sleep_until": ({"sleep_until": UNKNOWN},),
    "wait_for": (
        {"wait_for": {"signal": "go", "timeout": UNKNOWN}},
        {"wait_for": {"signal": "go", "refused_if": {"if": UNKNOWN}, "reply": UNKNOWN}},
        {"wait_for": {"any": {"go": {"refused_if": [{"if": UNKNOWN}, {"if": UNKNOWN, "message": UNKNOWN}]}}}},
    ),
    "set": ({"set": {"x": UNKNOWN}},),
    "fail": ({"fail": {"type": "X", "message": UNKNOWN}}, {"fail": {"type": "X", "result": UNKNOWN}}),
    "return": ({"return": UNKNOWN},),
    "send": (
        {"send": {"signal": "go", "to": UNKNOWN}},
        {"send": {"signal": "go", "to": "other", "payload": UNKNOWN}},
    ),
    "answer": ({"answer": UNKNOWN},),
}
"""For each key of a kind: a step that reads what is not there, once for each value that the kind has."""


def _saga(step: Mapping[str, Any]) -> dict[str, Any]:
    return {"sagadsl": 1, "name": "one", "steps": [{"id": "a", **step}]}


def _members(union: Any) -> set[type]:
    return {each for member in get_args(union) for each in (_members(member) or {member})}


def test_the_table_has_a_row_for_each_kind_of_the_model() -> None:
    assert set(kinds.KINDS) == _members(model.Body)
    assert _members(model.Block) | _members(model.Leaf) == _members(model.Body)
    assert not _members(model.Block) & _members(model.Leaf)
    assert _members(model.Loop) | _members(model.Branching) <= _members(model.Block)


def test_each_kind_has_an_example_and_values_to_look_at() -> None:
    assert list(EXAMPLES) == list(READING) == list(kinds.KEYS)


@pytest.mark.parametrize("key", kinds.KEYS)
def test_each_kind_is_described_by_the_schema_and_built(key: str) -> None:
    definitions = json.loads(definition.text())["definitions"]
    saga = build(_saga(EXAMPLES[key]))
    row = kinds.kind_of(saga.steps[0])

    assert key in (row.key, *row.also)
    assert f"{key}_step" in definitions
    assert {*row.lists, *row.ways} <= definitions[f"{key}_step"]["properties"].keys()
    assert {"$ref": f"#/definitions/{key}_step"} in _branches(definitions["step"])


def _branches(step: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what the schema of a step refers to, wherever in it."""
    found: list[Mapping[str, Any]] = []
    stack: list[Any] = [step]
    while stack:
        each = stack.pop()
        if isinstance(each, dict) and "$ref" in each:
            found.append(each)
        stack += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
    return found


@pytest.mark.parametrize("key", kinds.KEYS)
def test_what_stands_in_a_kind_is_found_as_written_and_as_built(key: str) -> None:
    written = [step["id"] for step in raw_steps.everywhere(_saga(EXAMPLES[key]))]
    saga = build(_saga(EXAMPLES[key]))
    drawn = drawing_of(saga).as_json()["steps"][0]

    assert written == list(saga.places)
    assert ("inner" in written) == isinstance(saga.steps[0].body, model.Block)
    assert [each["id"] for lane in drawn.get("lanes", ()) for each in lane["steps"]] == written[1:]


@pytest.mark.parametrize(("key", "step"), [(key, step) for key in READING for step in READING[key]], ids=str)
def test_a_misspelt_step_is_found_in_every_value_of_a_kind(key: str, step: Mapping[str, Any]) -> None:
    """SD305: a value that no check sees fails at run time."""
    analysis = Analysis(build(_saga(step)))

    assert "SD305" in [finding.code for check in ALL for finding in check(analysis)]


@pytest.mark.parametrize("key", kinds.KEYS)
def test_every_value_of_a_kind_has_its_misspelt_step(key: str) -> None:
    """So that the test above leaves none out."""
    own = ("if", "activity", "input", "task_queue")
    values = {
        site.route[2:]
        for step in (EXAMPLES[key], *READING[key])
        for site in sites(build(_saga(step)))
        if site.spot and site.step is site.spot[0].step and site.route[2] not in own
    }
    read = {
        site.route[2:]
        for step in READING[key]
        for site in sites(build(_saga(step)))
        if site.value.reads and site.route[2] not in own
    }

    assert values == read


def _matches(tree: ast.Module, names: set[str]) -> Iterator[tuple[ast.Match, set[str]]]:
    """Yield every ``match`` that tells kinds of steps apart, with the kinds that it names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Match):
            patterns = [each for case in node.cases for each in ast.walk(case.pattern)]
            named = {
                each.cls.id
                for each in patterns
                if isinstance(each, ast.MatchClass) and isinstance(each.cls, ast.Name) and each.cls.id in names
            }
            if named:
                yield node, named


def _modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / "sagadsl").rglob("*.py")):
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def test_who_tells_kinds_apart_says_what_is_left() -> None:
    """A ``match`` without ``assert_never`` takes a new kind in silence, and so does a list of classes written out."""
    names = {each.__name__ for each in _members(model.Body)}
    open_ended, written_out = [], []
    for path, tree in _modules():
        for match, _ in _matches(tree, names):
            if "assert_never" not in ast.dump(match.cases[-1]):
                open_ended.append(f"{path}:{match.lineno}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                listed = {each.id for each in ast.walk(node.args[1]) if isinstance(each, ast.Name)}
                if len(listed & names) > 1:
                    written_out.append(f"{path}:{node.lineno}")

    assert open_ended == []
    assert written_out == []


@pytest.mark.timeout(300)
def test_the_type_checker_names_each_place_that_has_to_know_a_new_kind(tmp_path: Path) -> None:
    """Two kinds are added to a copy of the model alone: each ``assert_never`` over such kinds complains."""
    for name in ("sagadsl", ".mypy_cache"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy2(ROOT / "pyproject.toml", tmp_path)
    written = tmp_path / "sagadsl/language/model.py"
    text = written.read_text(encoding="utf-8")
    for union, fake in (("Block", "FakeBlock"), ("Leaf", "FakeLeaf")):
        assert text.count(f"\n{union} = ") == 1
        body = f'class {fake}(Immutable):\n    """A kind that nobody knows."""\n\n    steps: tuple[Step, ...]'
        text = text.replace(f"\n{union} = ", f"\n{body}\n\n\n{union} = {fake} | ")
    written.write_text(text, encoding="utf-8")

    command = [sys.executable, "-m", "mypy"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False).stdout

    everything, blocks = ({each.__name__ for each in _members(union)} for union in (model.Body, model.Block))
    over = {
        (str(path), str(match.cases[-1].body[0].lineno)): named
        for path, tree in _modules()
        for match, named in _matches(tree, everything)  # one over calls or loops alone is about no other kind
    }
    complaint = re.compile(r'^(\S+):(\d+): error: Argument 1 to "assert_never" .*', re.M)
    complained = {found.groups(): found[0] for found in complaint.finditer(said)}
    assert {place for place, text in complained.items() if "FakeBlock" in text} == {
        place for place, named in over.items() if named >= blocks
    }, said
    assert {place for place, text in complained.items() if "FakeLeaf" in text} == {
        place for place, named in over.items() if named == everything
    }, said
