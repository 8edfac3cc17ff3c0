"""The schema of the language, as a file: it describes every key, it is closed, and any data gives findings that help."""

# ruff: noqa: E501 (tables read best with one case a line)

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from sagadsl.language import kinds
from sagadsl.language.document import parse
from sagadsl.language.schema import definition
from tests.language.test_schema import ROOT, SCHEMA

# the shipped file


def _target(reference: str) -> dict[str, Any]:
    found = SCHEMA
    for key in reference.removeprefix("#/").split("/"):
        found = found[key]
    return found


def _properties(at: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ():
        if key in ("properties", "patternProperties") and isinstance(value, dict):
            for name, inner in value.items():
                yield f"{path}/{name}", _target(inner["$ref"]) if "$ref" in inner else inner
        if key not in ("examples", "default", "defaultSnippets"):
            yield from _properties(value, f"{path}/{key}")


def test_every_property_says_what_it_is_and_shows_an_example() -> None:
    """Hover and completion show nothing else."""
    silent = [path for path, each in _properties(SCHEMA) if not {"title", "description", "examples"} <= set(each)]

    assert silent == []


def test_every_example_and_default_satisfies_its_own_schema() -> None:
    wrong = [
        (path, example)
        for path, each in _properties(SCHEMA)
        for example in [*each["examples"], *([each["default"]] if each.get("default", "") != "" else [])]
        if not Draft7Validator(
            {
                "$ref": "#/definitions/this",  # beside it, draft 7 looks at nothing
                "definitions": {**SCHEMA["definitions"], "this": each},
                "properties": SCHEMA["properties"],
            }
        ).is_valid(example)
    ]

    assert wrong == []


def test_the_schema_is_draft_7_and_closed_at_every_level() -> None:
    """Editors know no later draft."""
    Draft7Validator.check_schema(SCHEMA)
    text = json.dumps(SCHEMA)
    later = ["oneOf", "anyOf", "unevaluatedProperties", '$defs"', "prefixItems", "dependentRequired"]
    opened = [
        name
        for name, each in {**SCHEMA["definitions"], "": SCHEMA}.items()
        if "properties" in each and name != "step" and each.get("additionalProperties") is not False
    ]

    assert [word for word in later if f'"{word}' in text] == []
    assert opened == []


def test_steps_of_every_kind_have_the_same_common_keys() -> None:
    for kind in kinds.KEYS:
        keys = list(SCHEMA["definitions"][f"{kind}_step"]["properties"])

        assert {"id", "description", "if", "on_error", "needs", kind} <= set(keys)
        assert set(keys) <= set(SCHEMA["definitions"]["step"]["properties"])


def test_the_wheel_brings_its_schema(tmp_path: Path) -> None:
    """In a wheel it lies inside the package, in an editable install beside it."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True, capture_output=True
    )  # fmt: skip
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    code = "import sagadsl; from sagadsl.language.schema import definition; print(sagadsl.__file__); print(len(definition.text()))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    printed = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.split()

    assert printed[0].startswith(str(tmp_path))
    assert int(printed[1]) == len(definition.text())


def test_importing_the_checks_loads_neither_temporal_nor_the_schema_library() -> None:
    """Start-up."""
    code = "import sys, sagadsl.language.schema.definition; print([m for m in ('temporalio', 'jsonschema', 'jinja2') if m in sys.modules])"

    assert (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"
    )


# robustness


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["", "30", "{{ x }}", "none", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "activity", "steps", "retry", "compensation", "switch", "else", "on_error", "maxAttempts", "x"]), inner, max_size=4
    ),
    max_leaves=10,
)  # fmt: skip
_TOP = st.sampled_from(
    ["name", "steps", "input", "defaults", "compensation", "version", "timeout", "on_failure", "labels", "x-a"]
)


@given(st.dictionaries(_TOP, _VALUES, max_size=5), st.lists(st.dictionaries(st.sampled_from(sorted(SCHEMA["definitions"]["step"]["properties"])), _VALUES, max_size=5), max_size=3))  # fmt: skip
def test_any_data_gives_findings_that_stand_in_the_document_and_say_what_to_do(
    top: dict[str, Any], steps: list[Any]
) -> None:
    document, syntax = parse(json.dumps({"sagadsl": 1, "steps": steps, **top}))
    findings = definition.check(document)

    assert syntax or list(findings) == sorted(findings, key=document.position)
    for finding in findings:
        assert finding.help or finding.notes or finding.label, finding
        assert document.nearest(finding.route) == finding.route
        assert "\n" not in finding.message
