"""The pages for language models: what they say of the language and of the tools is so."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from sagadsl.agents.operating import OPERATING
from sagadsl.agents.tools import OF_FILES, OF_SAGAS
from sagadsl.language.bundled import schema_text
from sagadsl.language.load import load_text
from tests.cli.shell import inside
from tests.tours import said, sessions

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "authoring.md").read_text("utf-8")
AGENTS = (ROOT / "docs" / "agents.md").read_text("utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.M | re.S)
WRITTEN = sorted((Path(__file__).parent / "written").glob("*.saga.yaml"))
HEAD = "sagadsl: 1\nname: example\ntimeout: 30d\ninput: {type: object}\ndefaults: {task_queue: q}\nsteps:\n"
CALL = "- {id: a, activity: x.y, compensation: none"
FIRST_WAIT = "- {id: a, wait_for: {signal: s, timeout: 1d}, on_error: continue}\n"
LOOP = "- {id: lines, for_each: {items: [1]}, steps: [{id: book, set: {n: 1}}]}\n"
MAPPED = "{{ steps.lines.output | map(attribute='book') | list }}"
PITFALLS = {
    "timeout: 30": (
        "- {id: a, steps: [{id: b, sleep: 1s}], timeout: 30}",
        "- {id: a, steps: [{id: b, sleep: 1s}], timeout: 30s}",
    ),
    "input: {n: {{ input.n }}}": (CALL + ", input: {n: {{ input.n }}}}", CALL + ', input: {n: "{{ input.n }}"}}'),
    "maximum_attempts: 0": (CALL + ", retry: {maximum_attempts: 0}}", CALL + ", retry: {maximum_attempts: unlimited}}"),
    "retry: 3": (CALL + ", retry: 3}", CALL + ", retry: {maximum_attempts: 3}}"),
    "compensation: release": (
        "- {id: a, activity: x.y, compensation: release}",
        "- {id: a, activity: x.y, compensation: {activity: stock.release}}",
    ),
    "input.items()": ('- {id: a, set: {x: "{{ input.items() }}"}}', '- {id: a, set: {x: "{{ input.items }}"}}'),
    "{% if … %}": ('- {id: a, set: {x: "{% if true %}"}}', "- {id: a, set: {x: \"{{ 'a' if true else 'b' }}\"}}"),
    "repeat: {count: 5}": (
        "- {id: a, repeat: {count: 5}, steps: [{id: b, sleep: 1s}]}",
        '- {id: a, for_each: {items: "5 | range"}, steps: [{id: b, sleep: 1s}]}',
    ),
    "whose first wait may time out": (
        FIRST_WAIT + "- {id: b, wait_for: {signal: s, timeout: 1d}}",
        FIRST_WAIT + "- {id: b, wait_for: {signal: s, since: now, timeout: 1d}}",
    ),
    "`compensation` on a block": (
        "- {id: a, steps: [{id: b, sleep: 1s}], compensation: none}",
        "- {id: a, steps: [{id: b, sleep: 1s}]}",
    ),
    "steps.lines.output.book": (
        LOOP + '- {id: b, set: {x: "{{ steps.lines.output.book }}"}}',
        LOOP + f'- {{id: b, set: {{x: "{{{{ steps.lines.output[0].book }}}}", y: "{MAPPED}"}}}}',
    ),
    "`max_concurrency: unlimited`": (
        CALL.replace("- {", "- {id: l, for_each: {items: input.x, max_concurrency: unlimited}, steps: [{", 1) + "}]}",
        CALL.replace("- {", "- {id: l, for_each: {items: input.x, max_concurrency: 100}, steps: [{", 1) + "}]}",
    ),
}
"""By what the row of the guide has: steps that are wrong, and steps that are right."""


def _codes(text: str) -> list[str]:
    return [each.code for loaded in load_text(text, Path("example.saga.yaml")) for each in loaded.findings]


def test_the_examples_of_the_guide_are_what_it_says(tmp_path: Path) -> None:
    """The file validates, the steps of all kinds do, and the suite passes on the file."""
    whole, kinds, suite = BLOCKS
    assert _codes(whole) == []
    assert _codes(HEAD.replace("input: {type: object}\ndefaults: {task_queue: q}\n", "") + kinds) == ["SD204"]
    (tmp_path / "order.saga.yaml").write_text(whole)
    (tmp_path / "order.saga-test.yaml").write_text(suite)
    played = inside("test", "--no-plugins", cwd=tmp_path)
    assert (played.code, "✓ 3 cases passed" in played.out) == (0, True), played


def test_the_guide_has_every_key_of_the_schema_and_no_other() -> None:
    keys = set(re.findall(r"`([a-z_]+)`", GUIDE))
    schema = json.loads(schema_text("saga"))
    top, parts = schema["properties"], schema["definitions"]
    known = set(top) | set(parts["step"]["properties"])
    missing = known - keys - {"x-"}
    assert missing == set()
    words = {
        name
        for row in GUIDE.splitlines()
        if row.startswith("| ") and "its own keys" not in row
        for name in re.findall(r"`([a-z_]+)`", row.split("|")[2])
    } & set(re.findall(r"`([a-z_]+)`", GUIDE.split("## Rules")[0]))
    inner = {key for part in parts.values() for key in part.get("properties", {})}
    assert words - known - inner - {"else", "any"} == set()


@pytest.mark.parametrize("row", PITFALLS)
def test_a_pitfall_is_one_and_what_stands_beside_it_is_none(row: str) -> None:
    assert row in GUIDE
    wrong, right = PITFALLS[row]
    assert _codes(HEAD + wrong + "\n") != []
    assert _codes(HEAD + right + "\n") == []


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)
def test_what_was_written_from_the_guide_validates(path: Path) -> None:
    assert _codes(path.read_text("utf-8")) == []


def test_the_page_names_every_tool() -> None:
    named = set(re.findall(r"`([a-z_]+)`", AGENTS))
    assert {each.name for each in (*OF_FILES, *OF_SAGAS, *OPERATING)} <= named


def test_the_page_shows_what_the_server_says() -> None:
    ((command, shown),) = sessions(AGENTS)
    assert said(command, ROOT) == shown


def test_the_set_ups_of_clients_start_a_command_that_there_is() -> None:
    """Their files are of the right form, and their words are understood."""
    written = [json.loads(each) for each in re.findall(r"^```json\n(.*?)^```", AGENTS, re.M | re.S)]
    written += [tomllib.loads(each) for each in re.findall(r"^```toml\n(.*?)^```", AGENTS, re.M | re.S)]
    started = [next(iter(next(iter(each.values())).values())) for each in written]
    assert len(started) == 3
    for each in started:
        words = [word for word in each["args"] if "definitions" not in word]
        assert "`--allow nothing` is nothing that can be allowed" in inside(*words, "--allow", "nothing").err
