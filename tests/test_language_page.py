"""The page of the language is complete, and its examples are definitions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagadsl.engine.journal import Progress
from sagadsl.language.analysis.shapes import STATUS_WORDS
from sagadsl.language.load import load
from sagadsl.language.schema import definition
from sagadsl.language.schema.formats import CHECKED
from sagadsl.virtual.world import World

PAGE = (Path(__file__).parents[1] / "docs" / "language.md").read_text("utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)
HEAD = "sagadsl: 1\nname: example\ntimeout: 1h\nsteps:\n"


def _whole(block: str) -> str:
    """A block is a definition, or a list of steps."""
    return HEAD + block if block.startswith("- ") else block


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: re.sub(r"\W+", "-", block[:30]).strip("-"))
def test_every_example_loads_without_errors(block: str) -> None:
    """House: each YAML block of the documentation is loaded."""
    loaded = load(_whole(block))

    assert [(finding.code, finding.message) for finding in loaded.errors] == []
    assert loaded.saga is not None


def _keys(schema_: Any) -> Iterator[str]:
    """Every key that the schema knows, at any depth."""
    if isinstance(schema_, dict):
        properties = schema_.get("properties")
        if isinstance(properties, dict):
            yield from properties
        for key, value in schema_.items():
            if key not in ("examples", "default", "defaultSnippets"):
                yield from _keys(value)
    elif isinstance(schema_, list):
        for value in schema_:
            yield from _keys(value)


def _words(schema_: Any) -> Iterator[str]:
    """Every word that stands for itself: the values of an enumeration."""
    if isinstance(schema_, dict):
        yield from (word for word in schema_.get("enum", ()) if isinstance(word, str))
        for key, value in schema_.items():
            if key not in ("examples", "default", "defaultSnippets"):
                yield from _words(value)
    elif isinstance(schema_, list):
        for value in schema_:
            yield from _words(value)


def test_every_key_and_every_word_of_the_schema_is_on_the_page() -> None:
    """A key without documentation fails here, and so does one that is documented but never shown."""
    whole = json.loads(definition.text())
    shown = "\n".join(BLOCKS)

    assert [key for key in sorted(set(_keys(whole))) if f"`{key}" not in PAGE] == []
    assert [word for word in sorted(set(_words(whole))) if not re.search(rf"`[^`]*\b{word}\b[^`]*`", PAGE)] == []
    assert [key for key in sorted(set(_keys(whole))) if not re.search(rf"\b{key}:", shown)] == []


def test_the_input_is_taken_as_the_page_shows() -> None:
    """B13: the definition, an input, and what becomes of it."""
    definition, sent, taken = re.findall(r"^```(?:yaml|json)\n(.*?)^```", _section("The input"), re.M | re.S)
    saga = load(definition).saga
    assert saga is not None
    world = World()
    run = world.start(saga, json.loads(sent))
    world.run()

    assert run.close is not None
    assert run.close.output == json.loads(taken)


def test_the_page_names_every_format_that_is_checked() -> None:
    assert set(CHECKED) <= set(re.findall(r"`([a-z0-9-]+)`", _section("The input")))


def _section(title: str) -> str:
    return PAGE.partition(f"### {title}\n")[2].partition("\n### ")[0]


def test_links_within_the_page_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", PAGE, re.M)
    }

    assert [link for link in re.findall(r"\]\(#([^)]+)\)", PAGE) if link not in anchors] == []


def test_the_words_for_how_a_step_stands_are_those_of_a_run() -> None:
    told = re.search(r"`steps\.<id>\.status` is one of ((?:`\w+`(?:,\s+)?)+)", PAGE)

    assert told is not None
    assert set(re.findall(r"\w+", told[1])) == {"pending", *(each.value for each in Progress)}
    assert set(STATUS_WORDS) == set(re.findall(r"\w+", told[1]))
