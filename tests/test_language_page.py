"""The page of the language is complete with the pages of its details, and the examples of all are definitions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagadsl.engine.records import Progress
from sagadsl.language.analysis.shapes import STATUS_WORDS
from sagadsl.language.load import load, load_text
from sagadsl.language.schema import definition
from sagadsl.language.schema.formats import CHECKED
from sagadsl.virtual.world import World

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "language.md").read_text("utf-8")
EXAMPLES = DOCS / "examples"
"""What the examples import."""

DETAILS = {
    name: (DOCS / f"{name}.md").read_text("utf-8")
    for name in (
        "blocks",
        "bundles",
        "chosen-activities",
        "ending-early",
        "errors",
        "idempotency-keys",
        "input",
        "late-attempts",
        "limits",
        "outcomes",
        "pauses",
        "queries",
        "reuse",
        "schedules",
        "search-attributes",
        "signals",
    )
}
"""What the page of the language leaves to pages of their own."""

WHOLE = "\n".join((PAGE, *DETAILS.values()))
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", WHOLE, re.M | re.S)
HEAD = "sagadsl: 1\nname: example\ntimeout: 1h\nsteps:\n"


def _whole(block: str) -> str:
    """A block is a definition, or a list of steps."""
    return HEAD + block if block.startswith("- ") else block


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: re.sub(r"\W+", "-", block[:30]).strip("-"))
def test_every_example_loads_without_errors(block: str) -> None:
    """House: each YAML block of the documentation is loaded."""
    for loaded in load_text(_whole(block), EXAMPLES / "example.saga.yaml"):
        assert [(finding.code, finding.message) for finding in loaded.errors] == []
        assert loaded.saga is not None or loaded.is_library


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


def test_the_page_itself_has_every_key_of_a_file_and_of_a_step_and_leads_to_all_details() -> None:
    """Whoever has read the page knows what there is."""
    whole = json.loads(definition.text())
    steps = [each["properties"] for name, each in whole["definitions"].items() if name.endswith("_step")]
    keys = {*whole["properties"], *(key for each in steps for key in each)}

    assert [key for key in sorted(keys) if f"`{key}" not in PAGE] == []
    assert [name for name in DETAILS if f"]({name}.md" not in PAGE] == []


def test_every_key_and_every_word_of_the_schema_is_documented() -> None:
    """A key without documentation fails here, and so does one that is documented but never shown."""
    whole = json.loads(definition.text())
    shown = "\n".join(BLOCKS)

    assert [key for key in sorted(set(_keys(whole))) if f"`{key}" not in WHOLE] == []
    assert [word for word in sorted(set(_words(whole))) if not re.search(rf"`[^`]*\b{word}\b[^`]*`", WHOLE)] == []
    assert [key for key in sorted(set(_keys(whole))) if not re.search(rf"\b{key}:", shown)] == []


def test_the_input_is_taken_as_the_page_shows() -> None:
    """B13: the definition, an input, and what becomes of it."""
    definition, sent, taken = re.findall(r"^```(?:yaml|json)\n(.*?)^```", DETAILS["input"], re.M | re.S)
    saga = load(definition).saga
    assert saga is not None
    world = World()
    run = world.start(saga, json.loads(sent))
    world.run()

    assert run.close is not None
    assert run.close.output == json.loads(taken)


def test_the_page_names_every_format_that_is_checked() -> None:
    assert set(CHECKED) <= set(re.findall(r"`([a-z0-9-]+)`", DETAILS["input"]))


def _anchors(page: str) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", page, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_links_lead_somewhere(page: Path) -> None:
    """Also to sections of other pages, which may move."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    dead = []
    for file, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)", text):
        target = page.parent / file if file else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in _anchors(target.read_text())):
            dead.append(f"{file}#{anchor}")

    assert dead == []


def test_the_words_for_how_a_step_stands_are_those_of_a_run() -> None:
    listed = re.search(r"`steps\.<id>\.status` is one of ((?:`\w+`(?:,\s+)?)+)", PAGE)

    assert listed is not None
    assert set(re.findall(r"\w+", listed[1])) == {"pending", *(each.value for each in Progress)}
    assert set(STATUS_WORDS) == set(re.findall(r"\w+", listed[1]))
