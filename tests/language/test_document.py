"""YAML with positions: what it reads, what it refuses, and that nothing makes it raise."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from sagadsl.diagnostics.findings import Finding
from sagadsl.language import reading
from sagadsl.language.bounds import MAX_FINDINGS
from sagadsl.language.document import Document, Span, parse


@pytest.fixture(params=["libyaml", "pure"])
def either_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML comes with libyaml on most machines, not on all."""
    if request.param == "pure":
        monkeypatch.setattr(reading, "_LOADER", yaml.SafeLoader)


def data(text: str) -> Any:
    """Read something that is fine."""
    read, findings = parse(text)

    assert findings == ()
    return read.data


def only(text: bytes | str) -> tuple[Document, Finding]:
    """Read something with exactly one mistake."""
    read, findings = parse(text)

    assert len(findings) == 1, findings
    return read, findings[0]


def place(read: Document, finding: Finding) -> tuple[int, int]:
    spans = read.keys if finding.at_key else read.spans
    return spans[finding.route][:2]


@pytest.mark.parametrize(
    "word",
    [
        "NO",
        "no",
        "yes",
        "on",
        "off",
        "y",
        "n",
        "02142",
        "0755",
        "08",
        "0o17",
        "0x1F",
        "1_000",
        "1:30",
        "12:30:45",
        "2026-01-31",
        "2026-01-31T09:00:00Z",
        "=",
        "<<",
        "+-1",
        "1e",
        ".",
    ],
)
@pytest.mark.usefixtures("either_parser")
def test_what_only_yaml_1_1_would_change_stays_text(word: str) -> None:
    """The activity receives the text exactly as written."""
    assert data(f"value: {word}\nlist: [{word}]\n") == {"value": word, "list": [word]}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'true'", "true"),
        ("12", 12),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("1.10", 1.1),
        (".5", 0.5),
        ("5.", 5.0),
        ('"12"', "12"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(word: str, value: object) -> None:
    read = data(f"value: {word}\n")["value"]

    assert (read, type(read)) == (value, type(value))


def test_both_spellings_of_a_number_with_an_exponent_have_one_type() -> None:
    assert [(number, type(number)) for number in data("a: [1e3, 1.0e+3, 1E3]")["a"]] == [(1000.0, float)] * 3


def test_a_key_spelled_on_stays_text() -> None:
    assert data("on: 1\n'off': 2\nyes: 3\n") == {"on": 1, "off": 2, "yes": 3}


@pytest.mark.usefixtures("either_parser")
def test_a_key_given_twice_names_both_lines_at_any_depth() -> None:
    read, finding = only("input:\n  list:\n    - a: 1\n      b: 2\n      a: 3\n")

    assert (finding.code, finding.message) == ("SD003", "key `a` is already given on line 3")
    assert place(read, finding) == (5, 7)
    assert [(read.keys[route].line, label) for route, label in finding.related] == [(3, "first given here")]


def test_a_bomb_of_aliases_is_refused_before_it_grows() -> None:
    """Ten levels of ten aliases."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 11)]
    read, finding = only("\n".join(levels))

    assert (finding.code, read.data) == ("SD007", None)
    assert "100,000" in finding.message


def test_aliases_cannot_nest_deeper_than_values() -> None:
    levels = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 200)]
    _, finding = only("\n".join(levels))

    assert (finding.code, finding.message) == ("SD007", "aliases nest more than 100 deep")


def test_an_alias_inside_its_own_anchor_is_one_error_with_its_line() -> None:
    read, finding = only("a: 1\nb: &loop\n  c: [1, *loop]\n")

    assert (finding.code, place(read, finding)) == ("SD007", (3, 10))


def test_an_alias_without_an_anchor_names_it() -> None:
    read, finding = only("a: *gone\n")

    assert (finding.code, place(read, finding)) == ("SD015", (1, 4))
    assert "`&gone`" in finding.message


@pytest.mark.parametrize(
    "text", ["a: " + "[" * 1500 + "]" * 1500, "a:\n" + "".join(f"{' ' * n}-\n" for n in range(1, 300))]
)
@pytest.mark.usefixtures("either_parser")
def test_deep_nesting_is_a_finding(text: str) -> None:
    """No RecursionError, in flow style and in blocks."""
    _, finding = only(text)

    assert (finding.code, finding.message) == ("SD011", "nested more than 100 deep")


def test_a_hundred_levels_are_fine() -> None:
    assert parse("a: " + "[" * 99 + "]" * 99)[1] == ()


@pytest.mark.parametrize(
    ("text", "found", "help"),
    [
        ("e:\n  200: x\n", "`200`", 'quote it: `"200":`'),
        ("e:\n  null: x\n", "`null`", 'quote it: `"null":`'),
        ("e:\n  1.5: x\n", "`1.5`", 'quote it: `"1.5":`'),
        ("e:\n  true: x\n", "`true`", 'quote it: `"true":`'),
        ("e:\n  ? [a]\n  : x\n", "a list", "write the entries below a key of their own"),
        ("e:\n  ? {a: b}\n  : x\n", "a mapping", "write the entries below a key of their own"),
    ],
)
def test_keys_that_are_no_text_are_refused(text: str, found: str, help: str) -> None:
    read, finding = only(text)

    assert (finding.code, finding.message, finding.help) == ("SD004", f"mapping keys must be text, got {found}", help)
    assert place(read, finding)[0] == 2


@pytest.mark.parametrize(
    ("text", "column", "write", "value"),
    [
        ("a: {{ input.amount }}\n", 4, '"{{ input.amount }}"', "{{ input.amount }}"),
        ("a: {{ input.base }}/path  # why\n", 4, '"{{ input.base }}/path"', "{{ input.base }}/path"),
        ('a: "{{ input.name }}" said\n', 4, '"{{ input.name }} said"', '"{{ input.name }}" said'),
        ("a: Hello {{ name }}: welcome\n", 4, '"Hello {{ name }}: welcome"', "Hello {{ name }}: welcome"),
        ('a: {{ x | default("n") }}\n', 4, "'{{ x | default(\"n\") }}'", '{{ x | default("n") }}'),
    ],
)
@pytest.mark.usefixtures("either_parser")
def test_braces_without_quotes_get_the_hint_to_quote(text: str, column: int, write: str, value: str) -> None:
    """And reading goes on as if they had been quoted."""
    read, finding = only(text)

    assert (finding.code, place(read, finding), finding.help) == ("SD008", (1, column), f"write `{write}`")
    assert read.data == {"a": value}


@pytest.mark.parametrize("text", ["a:\n  - {{ x }}\n", "a: [{{ x }}, b]\n", "a: {b: {{ x }}, c: 1}\n"])
@pytest.mark.usefixtures("either_parser")
def test_the_hint_is_the_same_in_lists_and_in_flow_style(text: str) -> None:
    _, finding = only(text)

    assert (finding.code, finding.help) == ("SD008", 'write `"{{ x }}"`')


def test_every_unquoted_expression_of_a_file_is_reported() -> None:
    """No mistake hides another."""
    read, findings = parse("a: {{ x }}\nb:\n  - {{ y }}/z\n  - c: {{ z }}\n    c: 1\n")

    assert [(finding.code, place(read, finding)[0]) for finding in findings] == [
        ("SD008", 1),
        ("SD008", 3),
        ("SD008", 4),
        ("SD003", 5),
    ]


@pytest.mark.usefixtures("either_parser")
def test_a_tab_is_called_a_tab() -> None:
    for text, where in (("a:\n\tb: 1\n", (2, 1)), ("a:\n  b: 1\n  \tc: 1\n", (3, 3))):
        read, finding = only(text)

        assert (finding.code, place(read, finding)) == ("SD001", where)
        assert "tab" in finding.message


def test_a_tab_before_a_comment_is_fine() -> None:
    assert data("a: b\t# c\n") == {"a": "b"}


def test_a_second_document_is_refused() -> None:
    """Never OK."""
    read, finding = only("a: 1\n---\nb: 2\n")

    assert (finding.code, place(read, finding)) == ("SD006", (2, 1))
    assert "one definition per file" in finding.message


def test_markers_around_a_single_document_are_fine() -> None:
    assert data("---\na: 1\n...\n") == {"a": 1}


def test_text_is_utf_8_whatever_the_locale_says() -> None:
    """With and without a byte-order mark."""
    plain = "a: é😀\n".encode()
    code = (
        "import sys; from sagadsl.language.document import parse; print(ascii(parse(sys.stdin.buffer.read())[0].data))"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"}
    for raw in (plain, b"\xef\xbb\xbf" + plain):
        printed = subprocess.run(
            [sys.executable, "-c", code], input=raw, env=environment, capture_output=True, check=True
        ).stdout
        assert printed.decode().strip() == ascii({"a": "é😀"})


def test_latin_1_names_the_offset_of_the_byte() -> None:
    read, finding = only("a: 1\nb: é\n".encode("latin-1"))

    assert (finding.code, place(read, finding)) == ("SD009", (2, 4))
    assert "byte `0xe9` at offset 8" in finding.message


@pytest.mark.parametrize("raw", [b"\xff\xfea\x00", b"a: \x00\n", "a: \ud800\n", "a: \x1b[31m\n"])
def test_what_is_no_text_is_refused(raw: bytes | str) -> None:
    assert only(raw)[1].code == "SD009"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty: a definition must be a mapping"),
        ("# nothing\n", "the file is empty: a definition must be a mapping"),
        ("- a\n", "a definition must be a mapping, got a list"),
        ("words\n", "a definition must be a mapping, got the text `words`"),
        ("12\n", "a definition must be a mapping, got `12`"),
    ],
)
def test_the_top_level_is_a_mapping(text: str, message: str) -> None:
    assert (only(text)[1].code, only(text)[1].message) == ("SD012", message)


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("a: !!binary aGk=\n", "!!binary"),
        ("a: !!set {x, y}\n", "!!set"),
        ("a: !!python/object/apply:os.system [ls]\n", "!!python/object/apply:os.system"),
        ("a: !!str 12\n", "!!str"),
        ("a: !local 12\n", "!local"),
    ],
)
@pytest.mark.usefixtures("either_parser")
def test_tags_are_refused_by_name(text: str, tag: str) -> None:
    """Nothing is executed."""
    read, finding = only(text)

    assert (finding.code, place(read, finding)) == ("SD005", (1, 4))
    assert f"`{tag}`" in finding.message


@pytest.mark.parametrize("merge_first", [True, False])
def test_an_explicit_key_wins_over_a_merged_one_and_the_earlier_mapping_over_the_later(merge_first: bool) -> None:
    """Wherever the merge line stands."""
    lines = ["  <<: [*strict, *lenient]", "  attempts: 9"]
    read = data(
        "\n".join(
            [
                "strict: &strict {attempts: 1, first: 1s}",
                "lenient: &lenient {attempts: 5, first: 5s, longest: 1m}",
                "retry:",
            ]
            + (lines if merge_first else lines[::-1])
        )
    )

    assert read["retry"] == {"attempts": 9, "first": "1s", "longest": "1m"}


def test_a_merge_of_something_else_is_refused() -> None:
    for text in ("a: {<<: 3}\n", "a: {<<: [1]}\n"):
        assert only(text)[1].code == "SD014"


def test_a_quoted_merge_key_is_an_ordinary_key() -> None:
    assert data('a: {"<<": 3}\n') == {"a": {"<<": 3}}


def test_a_mistake_in_a_shared_fragment_is_reported_once() -> None:
    """It is named by six steps, and written once."""
    text = "x-shared: &shared {a: !!binary x}\n" + "".join(f"s{n}: *shared\n" for n in range(6))

    assert only(text)[1].code == "SD005"


@pytest.mark.parametrize("word", [".inf", "-.INF", ".nan", "1e400", "9" * 5000])
def test_numbers_that_json_cannot_carry_are_refused(word: str) -> None:
    assert only(f"a: {word}\n")[1].code == "SD013"


def test_a_file_over_one_mebibyte_is_not_read() -> None:
    text = "a: 1\n#" + "x" * reading.MAX_BYTES

    assert only(text)[1].code == "SD010"
    assert only(text.encode())[1].code == "SD010"


def test_the_findings_of_a_hostile_file_have_an_end() -> None:
    """A thousand of them, none longer than a few lines."""
    findings = parse("a: 1\n" * 5000)[1]

    assert len(findings) == MAX_FINDINGS + 1
    assert findings[-1].code == "SD017"
    assert max(len(finding.message) for finding in parse("a: " + "9" * 100_000)[1]) < 1000


def test_a_key_without_end_is_no_name() -> None:
    _, finding = only(f"? {'k' * 1001}\n: 1\nb: 2\n")

    assert (finding.code, finding.message) == ("SD004", "mapping keys must be text, got one of 1,001 characters")


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("a: b: c\n", (1, 5), "a value without quotes cannot contain `: `"),
        ("a: [1\nb: 2\n", (1, 4), "`[` is not closed"),
        ("a: {b: 1\n", (1, 4), "`{` is not closed"),
        ("a: 'x\nb: 2\n", (1, 4), "a quote opens here and is never closed"),
        ("a: @b\n", (1, 4), "cannot start with `@`"),
        ("a: `b`\n", (1, 4), "cannot start with ```"),
        ("a: 1\n b: 2\n", (2, 2), "key `b` is indented too far: it begins in column 2, key `a` above it in column 1"),
        ("a: 1\nb:\n  c: 2\n   d: 3: 4\n", (4, 4), "key `d` is indented too far"),
        ("a: |\n  text\n b: 2\n", (3, 2), "this does not belong to the mapping above"),
        (" a: 1\nb: 2\n", (2, 1), "starts further left"),
        ("a: - b\n", (1, 4), "a list cannot begin on the line of its key"),
        ('a: "\\d"\n', (1, 5), "an escape that YAML does not know"),
        ("key: value\nother\n", (2, 1), "this line has no `:`"),
        ("a: 1]\nb: [1]]\n", (2, 7), "there is no `[` for this `]`"),
        ("a: {b: 1}}\nc: 1\n", (1, 10), "there is no `{` for this `}`"),
        ('a: "x" y\n', (1, 8), "text after the closing quote"),
    ],
)
def test_what_libyaml_says_is_said_in_words_of_use(text: str, where: tuple[int, int], words: str) -> None:
    """Libyaml's own messages name neither tab nor quote."""
    read, finding = only(text)

    assert (finding.code, place(read, finding)) == ("SD002", where)
    assert words in finding.message
    assert finding.help


STEPS = "steps:\n  - id: a\n    sleep: 1s\n"
BRANCH = "steps:\n  - id: a\n    parallel:\n      - steps:\n          - id: b\n"


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        (f"{STEPS}    - id: b\n      sleep: 1s\n", (4, 5), "too far: its `-` is in column 5, {above} 3"),
        (f"{STEPS}   - id: b\n     sleep: 1s\n", (4, 4), "too far: its `-` is in column 4, {above} 3"),
        (f"{STEPS}      - id: b\n        sleep: 1s\n", (4, 7), "too far: its `-` is in column 7, {above} 3"),
        (f"{STEPS}    # next\n\n    - id: b\n", (6, 5), "too far: its `-` is in column 5, {above} 3"),
        (f"{STEPS} - id: b\n   sleep: 1s\n", (4, 2), "too little: its `-` is in column 2, {above} 3"),
        (
            "steps:\n  - id: a\n    parallel:\n        - id: x\n          sleep: 1s\n      - id: y\n",
            (6, 7),
            "too little: its `-` is in column 7, {above} 9",
        ),
        ("steps:\n- id: a\n  sleep: 1s\n  - id: b\n", (4, 3), "too far: its `-` is in column 3, {above} 1"),
        (f"{BRANCH}         - id: c\n", (6, 10), "too little: its `-` is in column 10, {above} 11"),
        (f"{BRANCH}        - id: c\n", (6, 9), "too little: its `-` is in column 9, {above} 11"),
        (f"{BRANCH}       - steps:\n", (6, 8), "too far: its `-` is in column 8, {above} 7"),
        (f"{BRANCH}            - id: c\n", (6, 13), "too far: its `-` is in column 13, {above} 11"),
        (f"{BRANCH}     - steps:\n", (6, 6), "too little: its `-` is in column 6, {above} 7"),
        (f"{BRANCH}    - id: c\n", (6, 5), "too far: its `-` is in column 5, {above} 3"),
    ],
)
def test_an_item_in_another_column_than_its_list_is_told_where_it_belongs(
    text: str, where: tuple[int, int], words: str
) -> None:
    """SD002: libyaml says only what cannot stand there."""
    read, finding = only(text)
    above = "that of the items above in column"

    assert (finding.code, place(read, finding)) == ("SD002", where)
    assert finding.message == f"YAML: this item of a list is indented {words.format(above=above)}"
    assert re.match(rf"begin it in column {words.rpartition(' ')[2]}(;|\Z)", finding.help)


@pytest.mark.parametrize(
    ("text", "where", "written"),
    [
        ("steps:\n  -id: a\n    sleep: 1s\n", (2, 3), "- id: a"),
        ("steps:\r\n  -id: a\r\n\r\n    # so long\r\n    sleep: 1s\r\n", (2, 3), "- id: a"),
        (f"{STEPS}  -id: b\n    sleep: 1s\n", (4, 3), "- id: b"),
        (f"{STEPS}  -id: a\n    sleep: 1s\n  -id: a\n    sleep: 1s\n", (4, 3), "- id: a"),
        (f"{STEPS}  -{{id: b, sleep: 1s}}\n", (4, 3), "- {id: b, sleep: 1s}"),
        ("steps:\n  -{id: b, sleep: 1s}\n", (2, 3), "- {id: b, sleep: 1s}"),
    ],
)
def test_an_item_without_the_blank_behind_its_sign_is_told_so(text: str, where: tuple[int, int], written: str) -> None:
    """SD002: YAML takes `-id` for a key."""
    read, finding = only(text)

    assert (finding.code, place(read, finding)) == ("SD002", where)
    assert finding.message == "YAML: behind the `-` of an item of a list, a blank is missing"
    assert finding.help == f"write `{written}`"


@pytest.mark.parametrize("text", ["a:\n  -x: 1\n   y: 2\n", "a:\n  - b\n  -5: 1\n"])
def test_a_sign_that_begins_no_item_is_not_taken_for_one(text: str) -> None:
    _, finding = only(text)

    assert (finding.code, "blank" in finding.message) == ("SD002", False)


def test_a_key_that_is_indented_too_far_is_told_where_it_belongs() -> None:
    read, finding = only("steps:\n  - id: a\n    activity: x\n      input: {}\n")

    assert (finding.code, place(read, finding)) == ("SD002", (4, 7))
    assert finding.message == (
        "YAML: key `input` is indented too far: it begins in column 7, key `activity` above it in column 5"
    )
    assert finding.help == "begin it in column 5; to put it below `activity`, take the value of that key away"


def test_positions_are_those_of_the_source() -> None:
    read, _ = parse("# é😀\na: &x\n  - {b: '12'}\nc: *x\nd: |\n  text\n\n# end\n")

    assert read.spans[("a", 0, "b")] == Span(3, 9, 3, 13)
    assert read.keys[("a", 0, "b")] == Span(3, 6, 3, 7)
    assert read.spans[("a", 0)] == Span(3, 5, 3, 14)
    assert read.spans[("c",)] == Span(4, 4, 4, 6)
    assert read.source(("a", 0, "b")) == "'12'"
    assert read.source(("c",)) == "*x"
    assert read.source(("nowhere",)) == ""
    assert read.nearest(("a", 0, "z", 1)) == ("a", 0)


def test_windows_line_ends_do_not_shift_positions() -> None:
    read, _ = parse("a: 1\r\nb:\r\n  c: two\r\n")

    assert read.spans[("b", "c")] == Span(3, 6, 3, 9)
    assert read.source(("b", "c")) == "two"


_PIECES = st.sampled_from(
    [
        *"ab:-[]{}&*!|>'\"%@`#,?~<=\t\n \\\ue000\u2028é😀",
        "\n  ",
        "- ",
        ": ",
        "{{ x }}",
        "&a ",
        "*a",
        "<<: ",
        "---\n",
        "!!set ",
        "'{{ a }}' b",
        "\r\n",
        "steps:\n",
        "1e999",
        "\ufeff",
    ]
)


@given(st.lists(_PIECES, max_size=40).map("".join) | st.text(max_size=60))
@example("a: {{ x\n  }}\n")
@example("{{ x }}: 1")
@example("a: {{ it }\nb: 1\n")
@example("? {{ a }}\n: b")
def test_any_text_gives_a_document_or_findings(text: str) -> None:
    """Never an exception; without findings the data is JSON, and every place lies in the text."""
    read, findings = parse(text)

    assert findings or isinstance(read.data, dict)
    if not findings:
        assert json.loads(json.dumps(read.data, allow_nan=False)) == read.data
    for finding in findings:
        assert (read.keys if finding.at_key else read.spans)[finding.route].line >= 1


@given(st.binary(max_size=60))
def test_any_bytes_give_a_document_or_findings(raw: bytes) -> None:
    read, findings = parse(raw)

    assert findings or isinstance(read.data, dict)


_WORDS = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=10)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(_WORDS, _JSON, max_size=4))
def test_json_is_read_as_what_it_is(value: dict[str, Any]) -> None:
    """JSON is YAML: whatever it can carry can be written."""
    assert data(json.dumps(value)) == value
