"""What a report looks like, whole screens at a time, and that no text can break one."""

# ruff: noqa: E501 (screens are as wide as they are)

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.language.document import Document, Span, parse
from sagadsl.language.load import load
from sagadsl.language.loaded import Size
from sagadsl.language.schema import definition
from sagadsl.reporting import report
from sagadsl.reporting.excerpt import locate
from sagadsl.reporting.report_input import in_order, summary


@dataclass(frozen=True, slots=True)
class Checked:
    document: Document
    findings: Sequence[Finding]
    size: Size | None = None


def checked(text: str, *findings: Finding, name: str = "order.saga.yaml") -> Checked:
    """A file with the given findings instead of its own."""
    return Checked(parse(text, name)[0], findings)


def screen(text: str, *findings: Finding) -> str:
    """The text of a report, without what it says at the end."""
    return report.render("text", [checked(text, *findings)]).rpartition("\n\n")[0]


# The model screens of the documentation. Their findings come from several stages; here they are given.

ORDER = """sagadsl: 1
name: order
input:
  type: object
  properties:
    amount: {type: integer}
timeout: 1h

steps:
  - id: reserve_stock
    activity: inventory.reserve

  - id: pay
    activty: payments.charge
    timeouts:
      start_to_close: 30
    input:
      amount: "12,50"
  - id: ship-order
    activity: shipping.send
    input:
      charge: "{{ steps.chrage.output.id }}"
      total: "{{ steps.pay.output.id }}"
"""


def test_an_unknown_key_is_underlined_with_the_line_above() -> None:
    """SD104."""
    finding = Finding(
        "SD104",
        "unknown key `activty` in step `pay`",
        ("steps", 1, "activty"),
        help="did you mean `activity`?",
        notes=("keys allowed here: id, activity, input, retry, timeouts, compensation, if",),
        label="not a key of a step",
        at_key=True,
    )

    assert screen(ORDER, finding) == (
        """\
error[SD104]: unknown key `activty` in step `pay`
  --> order.saga.yaml:14:5
   |
13 |   - id: pay
14 |     activty: payments.charge
   |     ^^^^^^^ not a key of a step
   = help: did you mean `activity`?
   = note: keys allowed here: id, activity, input, retry, timeouts, compensation, if"""
    )


def test_a_value_is_underlined_alone() -> None:
    """SD401."""
    finding = Finding(
        "SD401",
        "no activity named `payments.chrge` is installed",
        ("steps", 1, "activty"),
        help="did you mean `payments.charge` (from sagadsl-acme-pay 1.2.0)?",
        notes=("7 activities from 3 packages are installed; run `sagadsl plugins` to see them",),
    )

    assert screen(ORDER.replace("payments.charge", "payments.chrge"), finding) == (
        """\
error[SD401]: no activity named `payments.chrge` is installed
  --> order.saga.yaml:14:14
   |
14 |     activty: payments.chrge
   |              ^^^^^^^^^^^^^^
   = help: did you mean `payments.charge` (from sagadsl-acme-pay 1.2.0)?
   = note: 7 activities from 3 packages are installed; run `sagadsl plugins` to see them"""
    )


def test_a_related_place_above_is_drawn_in_the_same_excerpt() -> None:
    """SD402."""
    text = ORDER.replace("activty", "activity")
    finding = Finding(
        "SD402",
        '`amount` of `payments.charge` must be an integer greater than 0, got the string "12,50"',
        ("steps", 1, "input", "amount"),
        notes=("`amount` — Minor units (from the plugin's field description)",),
        related=((("steps", 1, "activity"), "input type declared here: acme_pay.ChargeIn"),),
    )

    assert screen(text, finding) == (
        """\
error[SD402]: `amount` of `payments.charge` must be an integer greater than 0, got the string "12,50"
  --> order.saga.yaml:18:15
   |
14 |     activity: payments.charge
   |     -------- input type declared here: acme_pay.ChargeIn
18 |       amount: "12,50"
   |               ^^^^^^^
   = note: `amount` — Minor units (from the plugin's field description)"""
    )


def test_a_name_inside_an_expression_is_underlined_by_itself() -> None:
    """SD305."""
    finding = Finding(
        "SD305",
        "step `ship` reads `steps.chrage.output.id`, but there is no step `chrage`",
        ("steps", 2, "input", "charge"),
        focus="chrage",
        help="did you mean `charge`?",
    )

    assert screen(ORDER, finding) == (
        """\
error[SD305]: step `ship` reads `steps.chrage.output.id`, but there is no step `chrage`
  --> order.saga.yaml:22:25
   |
22 |       charge: "{{ steps.chrage.output.id }}"
   |                         ^^^^^^
   = help: did you mean `charge`?"""
    )


def test_words_stand_beside_the_caret() -> None:
    """SD306: the focus is a whole word, not the `id` inside another."""
    finding = Finding(
        "SD306",
        "`payments.charge` returns no field `id`",
        ("steps", 2, "input", "total"),
        focus="id",
        label="available: charge_id, amount",
        help="name one of them",
    )

    assert screen(ORDER, finding) == (
        """\
error[SD306]: `payments.charge` returns no field `id`
  --> order.saga.yaml:23:35
   |
23 |       total: "{{ steps.pay.output.id }}"
   |                                   ^^ available: charge_id, amount
   = help: name one of them"""
    )


def test_a_hyphen_in_an_id() -> None:
    """SD303: this one by the stage that finds it."""
    text = "sagadsl: 1\nname: order\nsteps:\n  - id: ship-order\n    activity: shipping.send\n"
    document, _ = parse(text, "order.saga.yaml")

    assert report.render("text", [Checked(document, definition.check(document))]) == (
        """\
error[SD303]: step ids may not contain `-` because `{{ steps.ship-order.output }}` means `steps.ship` minus `order.output`
  --> order.saga.yaml:4:9 in step `ship-order`
   |
 4 |   - id: ship-order
   |         ^^^^^^^^^^
   = help: use `ship_order`

more about a code: sagadsl explain SD303
1 error in 1 file"""
    )


def test_a_duration_without_a_unit() -> None:
    """SD502: by the stage that finds it."""
    text = "sagadsl: 1\nname: order\ntimeout: 30\nsteps: [{id: a, sleep: 1s}]\n"
    document, _ = parse(text, "order.saga.yaml")

    assert report.render("text", [Checked(document, definition.check(document))], elapsed_ms=41) == (
        """\
error[SD502]: durations need a unit: 30 could be seconds or milliseconds
  --> order.saga.yaml:3:10
   |
 3 | timeout: 30
   |          ^^
   = help: write `30s` (or `PT30S`)

more about a code: sagadsl explain SD502
1 error in 1 file (41 ms)"""
    )


def test_a_warning_with_a_related_place_below_and_two_helps() -> None:
    """SD602."""
    finding = Finding(
        "SD602",
        "`reserve_stock` has side effects but no compensation, and 2 later steps can fail",
        ("steps", 0, "id"),
        Severity.WARNING,
        help="add `compensation:` — `inventory.release` is declared as its inverse\nor state it is safe: `compensation: none`",
        related=((("steps", 1, "id"), "if this step fails, `reserve_stock` is not undone"),),
    )

    assert screen(ORDER, finding) == (
        """\
warning[SD602]: `reserve_stock` has side effects but no compensation, and 2 later steps can fail
  --> order.saga.yaml:10:9
   |
10 |   - id: reserve_stock
   |         ^^^^^^^^^^^^^
13 |   - id: pay
   |     -- if this step fails, `reserve_stock` is not undone
   = help: add `compensation:` — `inventory.release` is declared as its inverse
   = help: or state it is safe: `compensation: none`"""
    )


def test_a_tab_is_drawn_as_an_arrow() -> None:
    """SD001."""
    document, findings = parse("sagadsl: 1\nsteps:\n\t- id: a\n", "order.saga.yaml")

    assert report.render("text", [Checked(document, findings)]) == (
        """\
error[SD001]: YAML: tabs cannot be used for indentation
  --> order.saga.yaml:3:1
   |
 3 | →   - id: a
   | ^ replace this tab by spaces

more about a code: sagadsl explain SD001
1 error in 1 file"""
    )


def test_a_finding_about_no_file_has_no_place() -> None:
    """SD901."""
    finding = Finding(
        "SD901",
        "cannot reach Temporal at 127.0.0.1:7233",
        (),
        notes=("address 127.0.0.1:7233 from TEMPORAL_ADDRESS",),
        help="start one with `temporal server start-dev`",
    )

    assert report.render("text", [], unplaced=[finding]).rpartition("\n\n")[0] == (
        """\
error[SD901]: cannot reach Temporal at 127.0.0.1:7233
   = help: start one with `temporal server start-dev`
   = note: address 127.0.0.1:7233 from TEMPORAL_ADDRESS"""
    )
    assert json.loads(report.render("json", [], unplaced=[finding]))["findings"][0]["range"] is None
    assert report.render("github", [], unplaced=[finding]).startswith("::error title=sagadsl (SD901)::cannot reach")


# places


def test_a_missing_key_points_at_the_name_of_what_lacks_it() -> None:
    """The nearest ancestor, at its key: the whole mapping would be too much to underline."""
    document, _ = parse("a:\n  b:\n    c: 1\n")

    assert locate(document, ("a", "b", "x", "y")) == Span(2, 3, 2, 4)
    assert locate(document, ("x",)) == document.spans[()]


def test_a_focus_in_a_block_of_text_is_found_on_its_line() -> None:
    document, _ = parse("a: |\n  first id_x\n  second {{ steps.id }}\n")

    assert locate(document, ("a",), focus="id") == Span(3, 19, 3, 21)
    assert locate(document, ("a",), focus="gone") == document.spans[("a",)]


def test_a_place_past_the_end_of_the_file_is_drawn_in_its_last_line() -> None:
    """A YAML error may lie there."""
    document = Document("x.saga.yaml", "a: [1", None, {(): Span(9, 3, 9, 4)})

    assert report.render("text", [Checked(document, [Finding("SD002", "not closed", ())])]).splitlines()[2:5] == [
        "   |",
        " 1 | a: [1",
        "   |   ^",
    ]


def test_wide_characters_do_not_shift_the_caret() -> None:
    finding = Finding("SD107", "wrong", ("b",))
    lines = screen("{a: 日本😀é, b: x}\n", finding).splitlines()

    assert lines[3:5] == [" 1 | {a: 日本😀é, b: x}", f"   | {'':16}^"]


def test_of_a_very_long_line_the_surroundings_are_shown() -> None:
    text = f"{{a: {'x' * 500}, b: wrong, c: {'y' * 500}}}\n"
    lines = screen(text, Finding("SD107", "wrong", ("b",))).splitlines()

    assert max(map(len, lines)) < 180
    assert lines[4].index("^") == lines[3].index("wrong")
    assert lines[4].count("^") == len("wrong")


def test_a_value_of_several_lines_is_underlined_to_the_end_of_the_first() -> None:
    lines = screen("a: {b: 1,\n  c: 2}\n", Finding("SD107", "wrong", ("a",))).splitlines()

    assert lines[3:5] == [" 1 | a: {b: 1,", "   |    ^^^^^^"]


def test_nothing_in_a_file_or_a_message_steers_the_terminal() -> None:
    """Definitions are untrusted; an escape sequence, or text that runs backwards, is shown, not obeyed."""
    document, findings = parse('a: "x\u202ey"\nb: \x1b[31m\n', "e\x1b[2Jvil.saga.yaml")
    found = [*findings, Finding("SD107", "got `\x1b[2J\n`", ())]

    for format in report.FORMATS:
        written = report.render(format, [Checked(document, found)])
        assert not re.search("[\x1b\u202e]", written), format


# the other formats


def problems() -> list[Checked]:
    """Two files with three mistakes each, one of them three levels deep."""
    first = "sagadsl: 1\nname: a\nfoo: 1\nsteps:\n  - id: p\n    parallel:\n      - id: q\n        retry: {maxAttempts: 3}\n        activity: a.b\n        compensation: none\n      - {id: Q, sleep: 1s}\n"
    second = "sagadsl: 1\nname: a\nname: b\nsteps:\n  - {id: x, slep: 1s}\ntimeout: 30\n"
    results = []
    for text, name in ((first, "dir/a b.saga.yaml"), (second, "b.saga.yaml")):
        document, findings = parse(text, name)
        results.append(Checked(document, [*findings, *definition.check(document)]))
    return results


def test_concise_has_one_line_a_finding() -> None:
    assert report.render("concise", problems()).splitlines() == [
        "dir/a b.saga.yaml:3:1: error[SD104] unknown key `foo` in the definition",
        "dir/a b.saga.yaml:8:17: error[SD104] unknown key `maxAttempts` in `retry` of step `q`; did you mean `maximum_attempts`?",
        "dir/a b.saga.yaml:11:14: error[SD107] the id of a step must be a lower case letter, then lower case letters, digits and `_`, got the text `Q`; use `q`",
        "b.saga.yaml:3:1: error[SD003] key `name` is already given on line 2; keep one of the two",
        "b.saga.yaml:5:13: error[SD104] unknown key `slep` in step `x`; did you mean `sleep`?",
        "b.saga.yaml:6:10: error[SD502] durations need a unit: 30 could be seconds or milliseconds; write `30s` (or `PT30S`)",
        "6 errors in 2 files",
    ]


def test_json_is_one_document_with_everything() -> None:
    written = json.loads(report.render("json", problems(), elapsed_ms=7))
    item = written["findings"][1]

    assert written["schema_version"] == 1
    assert written["summary"] == {"files": 2, "errors": 6, "warnings": 0, "notes": 0, "elapsed_ms": 7}
    assert written["files"] == ["dir/a b.saga.yaml", "b.saga.yaml"]
    assert item == {
        "code": "SD104",
        "severity": "error",
        "message": "unknown key `maxAttempts` in `retry` of step `q`",
        "file": "dir/a b.saga.yaml",
        "range": {
            "start": {"line": 8, "column": 17, "offset": 87},
            "end": {"line": 8, "column": 28, "offset": 98},
        },
        "path": "/steps/0/parallel/0/retry/maxAttempts",
        "step": "q",
        "label": "not a key of `retry`",
        "related": [],
        "help": ["did you mean `maximum_attempts`?"],
        "notes": [
            "keys allowed here: initial_interval, backoff_coefficient, maximum_interval, maximum_attempts, non_retryable_error_types, use"
        ],
        "fix": {"replace": "maximum_attempts", "safe": True},
        "url": "docs/diagnostics/SD104.md",
    }


def test_json_offsets_point_into_the_text() -> None:
    """Also behind characters that take several bytes, and line ends of two."""
    text = "a: 'é😀'\r\nb: {c: wrong}\r\n"
    result = checked(text, Finding("SD107", "wrong", ("b", "c")))
    place = json.loads(report.render("json", [result]))["findings"][0]["range"]

    assert text[place["start"]["offset"] : place["end"]["offset"]] == "wrong"


def test_json_of_a_syntax_error_has_a_place_and_no_path() -> None:
    document, findings = parse("a: [1\n")
    item = json.loads(report.render("json", [Checked(document, findings)]))["findings"][0]

    assert (item["path"], item["step"], item["range"]["start"]["line"]) == ("", None, 1)


def test_the_step_is_found_for_findings_that_do_not_name_it() -> None:
    """Always the id, not only an index; a key `id` in an input is none."""
    text = "steps:\n  - id: a\n    parallel:\n      - {id: b, input: {id: no, x: !!set {}}}\n"
    document, findings = parse(text)

    assert json.loads(report.render("json", [Checked(document, findings)]))["findings"][0]["step"] == "b"


def test_github_gets_commands_that_it_can_place() -> None:
    """With columns; special characters escaped."""
    lines = report.render("github", problems()).splitlines()

    assert lines[1] == (
        "::error title=sagadsl (SD104),file=dir/a b.saga.yaml,line=8,col=17,endLine=8,endColumn=28"
        "::unknown key `maxAttempts` in `retry` of step `q`%0A  help: did you mean `maximum_attempts`?"
    )
    odd = report.render("github", [checked("a: 1\n", Finding("SD107", "50% off\nnow", ("a",)), name="a:b,c.saga.yaml")])
    assert (
        odd
        == "::error title=sagadsl (SD107),file=a%3Ab%2Cc.saga.yaml,line=1,col=4,endLine=1,endColumn=5::50%25 off%0Anow"
    )


def test_github_says_nothing_when_there_is_nothing_to_say() -> None:
    assert report.render("github", [checked("a: 1\n")]) == ""


# the last line


def test_the_summary_counts_errors_and_warnings() -> None:
    error, warning = Finding("SD107", "a", ()), Finding("SD701", "b", (), Severity.WARNING)

    assert (
        summary([checked("a: 1", error, warning), checked("a: 1", name="other.saga.yaml")])
        == "1 error, 1 warning in 2 files"
    )
    assert summary([checked("a: 1", warning)], elapsed_ms=3) == "1 warning in 1 file (3 ms)"
    assert summary([], [error]) == "1 error"  # of a file that is not there


def test_the_summary_of_good_files_says_what_was_found() -> None:
    """Compensations count as activities."""
    text = "sagadsl: 1\nname: a\nsteps:\n  - {id: p, activity: a.b, compensation: {activity: a.c}}\n  - {id: q, sleep: 1s}\n"

    assert report.render("text", [load(text)], elapsed_ms=38) == "✓ 1 saga, 2 steps, 2 activities — ok (38 ms)"
    assert summary([checked("a: 1")]) == "✓ 1 file — ok"


def test_equal_findings_at_one_place_are_reported_once() -> None:
    """An alias names the same mistake several times."""
    finding = Finding("SD107", "wrong", ("a",))

    assert len(in_order([checked("a: 1", finding, finding)])) == 1


# colour


def test_colour_only_adds_escape_sequences() -> None:
    """Whether to is the caller's decision."""
    for format in ("text", "concise"):
        plain, coloured = (report.render(format, problems(), color=color) for color in (False, True))

        assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
        assert coloured != plain
    assert "\x1b" not in report.render("json", problems(), color=True)


# robustness

_BROKEN = st.lists(
    st.sampled_from([*"a:-[]{}'\"|>#\n\t ", "\r\n", "\u2028", "\x85", "{{ x }}", "😀", "日", "é", "steps:\n", "- id: b\n"]), max_size=30
).map("".join)  # fmt: skip
_ROUTES = st.lists(st.sampled_from(["a", "steps", "id", 0, 1, -1]), max_size=3).map(tuple)


@given(_BROKEN, st.lists(st.tuples(_ROUTES, st.booleans(), st.sampled_from(["", "x", "a"])), max_size=3))
def test_no_text_and_no_route_breaks_a_report(text: str, places: list[tuple[tuple[str | int, ...], bool, str]]) -> None:
    document, findings = parse(text, "x.saga.yaml")
    given = [
        Finding("SD999", "m", route, at_key=at_key, focus=focus, related=((route, "here"),))
        for route, at_key, focus in places
    ]
    results = [Checked(document, [*findings, *definition.check(document), *given])]

    for format in report.FORMATS:
        assert isinstance(report.render(format, results), str)
    for item in json.loads(report.render("json", results))["findings"]:
        start, end = item["range"]["start"], item["range"]["end"]
        assert 0 <= start["offset"] <= end["offset"] <= len(document.text)


@pytest.mark.parametrize("format", list(report.FORMATS))
def test_every_format_of_the_same_findings_is_the_same_twice(format: str) -> None:
    """Deterministic."""
    assert report.render(format, problems()) == report.render(format, problems())
