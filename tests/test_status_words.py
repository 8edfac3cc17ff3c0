"""Each status of a saga has its word wherever people and programs meet it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import sagadsl.gateway
from sagadsl.cli import listing as command
from sagadsl.cli import outcome
from sagadsl.engine.facts import Status
from sagadsl.status import lines, narrative
from sagadsl.temporal.read import listing

ROOT = Path(__file__).parents[1]
PAGE = Path(sagadsl.gateway.__file__).parent / "page"
ENDS = [each.value for each in Status if each.value not in lines.OPEN]


@pytest.mark.parametrize("word", [each.value for each in Status])
def test_each_status_has_a_sign_a_colour_and_a_sentence_and_can_be_listed(word: str) -> None:
    assert word in lines.SIGNS
    assert word in lines.COLOURS
    assert word in narrative._ENDS
    assert word in command._WORDS
    assert word in listing.STATUSES
    assert f"`{word}`" in (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert f".{word} .sign" in (PAGE / "style.css").read_text("utf-8")


@pytest.mark.parametrize("word", ENDS)
def test_each_end_has_an_exit_code_its_words_and_is_known_to_suites_and_the_page(word: str) -> None:
    suite = json.loads((ROOT / "schemas" / "suite.schema.json").read_text("utf-8"))

    assert word in outcome.EXIT_CODES
    assert word in outcome._WORDS
    assert word in suite["definitions"]["expectation"]["properties"]["status"]["enum"]
    assert f'"{word}"' in (PAGE / "list.js").read_text("utf-8")


def test_the_glossary_is_sorted_and_has_the_words_that_commands_say() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    words = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")][1:]

    assert words == sorted(set(words), key=str.lower)
    assert {"cancelled", "compensated", "failed", "held", "paused", "rejected"} <= set(words)
    assert {"abort", "complete", "forget", "incident", "recover", "redrive", "reset", "retry", "skip"} <= set(words)
