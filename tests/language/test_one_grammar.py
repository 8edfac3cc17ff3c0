"""Two readers of one syntax take the same: form and parser, check and run, YAML, JSON and what we write."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sagadsl
from sagadsl.language.bundled import schema_text
from sagadsl.language.document import parse
from sagadsl.language.notation.durations import NotADuration
from sagadsl.language.notation.durations import parse as parse_duration
from sagadsl.language.notation.json_text import read_json
from sagadsl.language.notation.moments import read_moment
from sagadsl.language.notation.scalars import write_flow, write_yaml
from sagadsl.language.schema.quick import fits
from sagadsl.language.schema.validator import validator

LENGTHS = (
    *("5s", "0s", "5s\n", "\n5s", "5s ", "36500d", "36501d", "99999999999999999999d", "P36500D", "P36501D", "P"),
    *("PT", "1h30m", "30m1h", "5S", "pt5s", "\uff15s", "\u00b2s", "", "P1Y", "1e3s", "1_000s", "PT5S\n", "1w", "P1W"),
    "1:30",
)
WORDS = (
    *("1e5", "1E+5", "yes", "no", "on", "off", "y", "1:30", "1:30:45", "0o7", "0x1f", "017", "~", "null", "Null", ""),
    *("1_000", "=", "<<", "2026-01-31", "2026-01-31T09:00:00Z", ".inf", "-.INF", ".nan", "+1", "1.", ".5", "-0"),
    *(
        "true",
        "TRUE",
        "-",
        "---",
        "...",
        "%a",
        "a: b",
        "a #b",
        "\ufeff",
        "\x85",
        "\u2028",
        " x",
        "x ",
        "\n",
        "a\n\nb\n",
    ),
    *("a\n\nb\n", "\t", "\x7f", "\U0001f600"),
)
NUMBERS = ["1e999", "NaN", "-Infinity", "1" * 400, "1" * 5000]
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.sampled_from(WORDS), inner, max_size=3)
    ),
    max_leaves=8,
)


def _reads_duration(text: str) -> bool:
    try:
        parse_duration(text)
    except NotADuration:
        return False
    return True


@pytest.mark.parametrize("text", LENGTHS)
def test_every_form_of_a_length_takes_what_the_parser_takes(text: str) -> None:
    """A suite with `delay: 36501d` ended in an internal error: its form took what the parser did not."""
    from sagadsl.activities.http import Request

    suite = json.loads(schema_text("suite"))["definitions"]["duration"]
    saga = json.loads(schema_text("saga"))["definitions"]["duration"]
    plugin = Request.model_json_schema()["properties"]["timeout"]
    expected = _reads_duration(text)

    for schema in (suite, saga, plugin):
        assert validator(schema, draft7=True).is_valid(text) is expected
        assert validator(schema, formats=False).is_valid(text) is expected
        assert fits(text, schema, ours=True) is expected


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("2026-01-31T09:00:00Z", True),
        ("2026-01-31 09:00:00.5+05:30", True),
        ("2026-01-31t09:00:00z", False),
        ("2026-01-31T09:00:60Z", False),
        ("2026-01-31T24:00:00Z", False),
        ("2026-01-31T09:00:00+24:00", False),
        ("0000-01-01T00:00:00Z", False),
        ("2026-01-31T09:00:00Z\n", False),
        ("2026-01-31T09:00:00", False),
        ("2026-01-31", False),
        ("\uff12026-01-31T09:00:00Z", False),
    ],
)
def test_what_the_check_takes_for_a_moment_a_run_takes_too(text: str, is_one: bool) -> None:
    """`2026-01-31t09:00:00z` passed `validate`, and no run could wait for it."""
    from sagadsl.language.load import load

    loaded = load(json.dumps({"sagadsl": 1, "name": "a", "steps": [{"id": "s", "sleep_until": text}]}))

    assert ("SD107" not in [finding.code for finding in loaded.findings]) is is_one
    assert not is_one or read_moment(text) is not None


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=4) | st.sampled_from(WORDS), JSON, min_size=1, max_size=4))
def test_what_is_written_as_yaml_is_read_as_the_same_data(data: dict[str, Any]) -> None:
    """A suite that `explore` writes held the text `1e5`, which is a number for its reader."""
    document, findings = parse(write_yaml(data))

    assert findings == ()
    assert repr(document.data) == repr(data)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), JSON, min_size=1, max_size=4))
def test_what_is_written_for_programs_is_read_as_the_same_data(data: dict[str, Any]) -> None:
    """A saga with an emoji that stood in a suite could not be read: JSON's escapes of it are none in YAML."""
    document, findings = parse(write_flow(data))

    assert findings == ()
    assert repr(document.data) == repr(data)


@pytest.mark.parametrize("word", WORDS)
def test_words_of_yaml_1_1_are_text(word: str) -> None:
    """What both readers of YAML could take for something else is quoted, so that either reads text."""
    import yaml

    text = write_yaml({"a": word})

    assert parse(text)[0].data == {"a": word}
    assert yaml.safe_load(text) == {"a": word}


@pytest.mark.parametrize("text", [*NUMBERS, '{"a": 1, "a": 2}', '"\\ud800"', '{"\\udfff": 1}', "[" * 50_000])
def test_what_two_readers_of_json_take_differently_is_refused(text: str) -> None:
    """Each of them in one clause, without the words of a library."""
    for written in (text, text.encode()):
        with pytest.raises(ValueError, match=r"number|twice|half a character|nested deeper than 200 levels"):
            read_json(written)


def test_a_mark_of_the_byte_order_is_no_mistake() -> None:
    """Editors on Windows write it; YAML takes it, so JSON does."""
    assert read_json(b'\xef\xbb\xbf{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}
    assert parse("\ufeffa: 1")[0].data == {"a": 1}


@pytest.mark.parametrize("number", ["1" * 308, "1" * 309, "1" * 400, "-" + "9" * 5000, "1e308", "1e309"])
def test_json_and_yaml_carry_the_same_numbers(number: str) -> None:
    document, findings = parse(f"a: {number}")
    try:
        found = read_json(number)
    except ValueError:
        assert [finding.code for finding in findings] == ["SD013"]
    else:
        assert (document.data, findings) == ({"a": found}, ())


def _expressions() -> Iterator[tuple[str, int, str, str]]:
    """Yield every regular expression that stands in our code: the file, the line, what it is for, itself."""
    for path in sorted(Path(sagadsl.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case (
                    ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=name), args=[first, *_])
                    | ast.Call(func=ast.Name(id="compiled_later" as name), args=[first, *_])
                ):
                    parts = first.values if isinstance(first, ast.JoinedStr) else [first]
                    texts = [each.value for each in parts if isinstance(each, ast.Constant)]
                    plain = (each.decode() if isinstance(each, bytes) else each for each in texts)
                    yield path.name, node.lineno, name, "".join(each for each in plain if isinstance(each, str))


def test_no_expression_of_ours_ends_before_a_line_break() -> None:
    """Python's `$` also matches before a line break at the end: `\\Z` and `fullmatch` do not."""
    found = [each for each in _expressions() if re.search(r"(?<![\\\[])\$(?=\)|$|\|)", each[3])]

    assert len(list(_expressions())) > 90
    assert found == []
