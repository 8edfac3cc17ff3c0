"""``sagadsl explore``: whole screens, exit codes, and what others wrote stays text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from tests.cli.shell import Ran, inside

LOST = """
sagadsl: 1
name: example
steps:
  - id: pay
    activity: bank.pay
    retry: none
    compensation: {on: completed, activity: bank.refund, input: {payment: "{{ step.output.id }}"}}
  - {id: ship, activity: shop.ship, retry: none, compensation: none}
"""


PATTERN = """
sagadsl: 1
name: pattern
input: {type: object, required: [a], properties: {a: {type: string, pattern: '^[0-9]{4}$'}}}
steps: [{id: a, set: {x: 1}}]
"""
SCREEN = """\
example: 22 ways with up to 1 fault, 48 states (0 met again), in 0.0 s
  ends: 12 compensated, 6 completed, 4 cancelled
  data: 1 input
  at worst 28 events of history; the longest way took 1m
  stays although the saga went back, as it says: ship

  `pay` fails with Refused                             compensated
  `pay` is never heard of again and has happened       compensated
  `pay` is never heard of again and has not happened   compensated
  `pay` loses its result and has happened              compensated
  an operator pauses the call `pay`                    completed
  `ship` fails with Refused                            compensated
  `ship` is never heard of again and has happened      compensated
  `ship` is never heard of again and has not happened  compensated
  `ship` loses its result and has happened             compensated
  an operator pauses the call `ship`                   completed
  somebody cancels the saga                            cancelled
  the saga goes on in a new run                        completed
  there is room in the history for undoing alone       compensated

error[SD810]: the saga is `compensated`, but the effect of this step stands: its outcome was unknown, and its \
compensation is due `on: completed` only (effect-left, R1)
  --> lost.saga.yaml:5:9 in step `pay`
   |
 5 |   - id: pay
   |         ^^^
   = note: 1m  `pay` is never heard of again and has happened
  as a case, which expects what comes of it now:
    - name: 'effect-left: pay'
      rules: [R1]
      given:
        mocks:
          pay: {timeout: start_to_close}
      then: {status: compensated}

✗ 1 violation in 1 saga
"""


@pytest.fixture
def lost(tmp_path: Path) -> Path:
    path = tmp_path / "lost.saga.yaml"
    path.write_text(LOST)
    return path


def _explore(folder: Path, *arguments: str) -> Ran:
    return inside("explore", "--no-plugins", "--jobs", "1", *arguments, cwd=folder)


def test_money_that_is_lost_is_shown_with_the_way_there_and_a_case(lost: Path) -> None:
    """R1, R3: an outcome that nobody knows is the usual beginning."""
    ran = _explore(lost.parent, "--faults", "1", "lost.saga.yaml")

    assert ran.code == 1
    assert re.sub(r"in \d+\.\d s", "in 0.0 s", ran.out) == SCREEN
    assert ran.err == ""


def test_the_case_that_is_shown_ends_as_it_says(lost: Path) -> None:
    """Put into a suite, it plays the violation again."""
    document = json.loads(_explore(lost.parent, "--format", "json", "lost.saga.yaml").out)
    (first, *_) = document["sagas"][0]["violations"]
    suite = {"sagadsl_test": 1, "saga": "lost.saga.yaml", "cases": [first["case"]]}
    (lost.parent / "again.saga-test.yaml").write_text(yaml.safe_dump(suite))

    assert first["case"]
    assert inside("test", "--no-plugins", cwd=lost.parent).code == 0


def test_json_tells_everything(lost: Path) -> None:
    """For scripts and for pages of one's own."""
    document = json.loads(_explore(lost.parent, "--faults", "1", "--format", "json", "lost.saga.yaml").out)
    (saga,) = document["sagas"]

    assert document["schema_version"] == 1
    assert (saga["saga"], saga["faults"], saga["not_covered"], saga["never_reached"]) == ("example", 1, 0, [])
    assert {violation["kind"] for violation in saga["violations"]} == {"effect-left"}
    assert saga["violations"][0]["way"][-1]["fault"] is not None
    assert {"fault": "somebody cancels the saga", "ends": ["cancelled"]} in saga["table"]


def test_a_saga_without_a_bad_way_is_praised_in_one_line(tmp_path: Path) -> None:
    """Exit code 0."""
    by_key = LOST.replace("on: completed, ", "").replace('{payment: "{{ step.output.id }}"}', "{key: k}")
    (tmp_path / "good.saga.yaml").write_text(by_key)
    ran = _explore(tmp_path, "good.saga.yaml")

    assert (ran.code, ran.out.splitlines()[-1]) == (0, "✓ 1 saga: every way ends well")


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_has_no_script_and_what_others_wrote_stays_text(tmp_path: Path) -> None:
    """A hostile description, message or name of an error cannot become markup."""
    evil = "<script>alert(1)</script>"
    text = LOST.replace("name: example", f'name: example\ndescription: "{evil}"')
    handler = f'    on_error: [{{types: ["{evil}"], then: compensate}}]'
    text = text.replace("    compensation: {on", f"{handler}\n    compensation: {{on")
    (tmp_path / "evil.saga.yaml").write_text(text)
    ran = _explore(tmp_path, "--format", "html", "--output-file", "page.html", "evil.saga.yaml")
    page = _Page()
    page.feed((tmp_path / "page.html").read_text())

    assert (ran.code, ran.out) == (1, "")
    assert "script" not in page.tags
    assert page.text.count(evil) >= 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "the argument `PATHS` is missing"),
        (("-",), 2, "`explore` reads files, not standard input"),
        (("nowhere.saga.yaml",), 2, "`nowhere.saga.yaml`: there is no such file or folder"),
        (("broken.saga.yaml",), 1, "SD102"),
        (("pattern.saga.yaml",), 2, "no input that fits the schema of `pattern` could be drawn"),
    ],
)
def test_what_cannot_be_explored_is_said(tmp_path: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    """No traceback for a user's mistake."""
    (tmp_path / "broken.saga.yaml").write_text("sagadsl: 1\nname: broken\n")
    (tmp_path / "pattern.saga.yaml").write_text(PATTERN)
    ran = _explore(tmp_path, *arguments)

    assert ran.code == code
    assert message in ran.err


def test_an_input_of_ones_own_is_the_only_one(tmp_path: Path) -> None:
    """Where none can be drawn, or one matters."""
    (tmp_path / "pattern.saga.yaml").write_text(PATTERN)
    ran = _explore(tmp_path, "-i", '{"a": "1234"}', "--format", "json", "pattern.saga.yaml")

    assert json.loads(ran.out)["sagas"][0]["inputs"] == [{"a": "1234"}]


def test_the_saga_begins_at_the_moment_that_is_asked_for(tmp_path: Path) -> None:
    """What depends on the clock is tried at that time, and the case says when it begins."""
    late = LOST.replace("{id: ship,", '{id: ship, if: saga.now >= "2026-01-01T00:00:00.000Z",')
    (tmp_path / "late.saga.yaml").write_text(late)

    def explored(*options: str) -> dict[str, object]:
        ran = inside("explore", "--no-plugins", "--faults", "1", "-f", "json", "late.saga.yaml", *options, cwd=tmp_path)
        found: dict[str, object] = json.loads(ran.out)["sagas"][0]
        return found

    early, later = explored(), explored("--now", "2026-03-29T00:30:00Z")
    wrong = inside("explore", "--no-plugins", "late.saga.yaml", "--now", "soon", cwd=tmp_path)

    assert "`ship` fails with Refused" not in str(early)
    assert "`ship` fails with Refused" in str(later)
    assert "'given': {'now': '2026-03-29T00:30:00.000Z', 'mocks'" in str(later)
    assert "'at': 60.0" in str(later)
    assert (wrong.code, "`--now soon` is not a moment" in wrong.err) == (2, True)
