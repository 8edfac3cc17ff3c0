"""Durations: what is accepted, what is refused with which spelling, and that the JSON Schema agrees."""

from __future__ import annotations

import json
import pickle
import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagadsl.language.notation.durations import LONGEST, PATTERN, NotADuration, parse, spell


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("90m", timedelta(minutes=90)),
        ("2d", timedelta(days=2)),
        ("1w", timedelta(weeks=1)),
        ("1w2d3h4m5s6ms", timedelta(weeks=1, days=2, hours=3, minutes=4, seconds=5, milliseconds=6)),
        ("0s", timedelta(0)),
        ("PT30S", timedelta(seconds=30)),
        ("PT5M", timedelta(minutes=5)),
        ("P1DT2H", timedelta(days=1, hours=2)),
        ("P2W", timedelta(weeks=2)),
        ("36500d", timedelta(days=36500)),
    ],
)
def test_accepted_spellings_have_one_exact_length(text: str, length: timedelta) -> None:
    """The last two of its values are exact; `M` is a minute only after the `T`."""
    assert parse(text) == length


@pytest.mark.parametrize(
    ("value", "reason", "suggestion"),
    [
        (30, "durations need a unit: 30 could be seconds or milliseconds", "write `30s` (or `PT30S`)"),
        ("30", "durations need a unit: 30 could be seconds or milliseconds", "write `30s` (or `PT30S`)"),
        ("PT2W", "`PT2W` puts weeks after the `T`", "write `P2W`"),
        ("P2M", "`P2M` counts months, which have no fixed length", "count in days, e.g. `P60D`"),
        ("P1Y", "`P1Y` counts years, which have no fixed length", "count in days, e.g. `P365D`"),
        ("3 months", "`3 months` has no fixed length", "count in days, e.g. `90d`"),
        ("PT0.5S", "`PT0.5S` has a decimal fraction", "write `500ms`"),
        ("1.5h", "`1.5h` is not a duration", "write `1h30m`"),
        ("1h 30m", "`1h 30m` is not a duration", "write `1h30m`"),
        ("30 seconds", "`30 seconds` is not a duration", "write `30s`"),
        ("30S", "`30S` is not a duration", "write `30s`"),
        ("30s1m", "`30s1m` is not a duration", "write `1m30s`"),
        ("pt30s", "`pt30s` is not a duration", "write `PT30S`"),
        ("99999999d", "`99999999d` is longer than 100 years", "give a length below `36500d`"),
    ],
)
def test_a_refused_spelling_comes_with_the_one_to_write(value: object, reason: str, suggestion: str) -> None:
    """The same for a number and for text; never a silent default."""
    with pytest.raises(NotADuration) as refused:
        parse(value)

    assert (refused.value.reason, refused.value.suggestion) == (reason, suggestion)


@pytest.mark.parametrize(
    "value", ["1:30", "banana", "", " ", "P", "PT", "P1DT", "1us", "h", "\uff11s", "30s\n", None, True, [], {}]
)
def test_what_cannot_be_guessed_gets_the_accepted_spellings(value: object) -> None:
    with pytest.raises(ValueError, match="30s"):
        parse(value)


def test_a_negative_duration_is_called_negative() -> None:
    for value in (-5, "-5", "-5s"):
        with pytest.raises(NotADuration, match="cannot be negative"):
            parse(value)


def test_codes_tell_the_kinds_of_mistakes_apart() -> None:
    codes = {}
    for value in ("banana", "30", "P1Y"):
        with pytest.raises(NotADuration) as refused:
            parse(value)
        codes[value] = refused.value.code

    assert codes == {"banana": "SD501", "30": "SD502", "P1Y": "SD503"}


def test_the_error_survives_pickling() -> None:
    """It may leave a worker process."""
    with pytest.raises(NotADuration) as refused:
        parse("banana")

    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)


@given(st.integers(min_value=0, max_value=LONGEST // timedelta(milliseconds=1)))
def test_spelling_and_reading_are_inverse(milliseconds: int) -> None:
    length = timedelta(milliseconds=milliseconds)

    assert parse(spell(length)) == length


@given(st.text(alphabet="0123456789smhdwPTWDHMS.: -", max_size=12) | st.text(max_size=8))
def test_schema_and_parser_accept_the_same_texts(text: str) -> None:
    """What the editor accepts the tool accepts, and the other way round."""
    accepted = re.search(PATTERN, text) is not None and not text.endswith("\n")

    assert accepted == _reads(text)


def _reads(text: str) -> bool:
    try:
        parse(text)
    except NotADuration as error:
        return "longer than 100 years" in error.reason
    return True


def test_the_shipped_schema_holds_the_same_pattern() -> None:
    schema = json.loads((Path(__file__).parents[2] / "schemas" / "saga.schema.json").read_text("utf-8"))

    assert schema["definitions"]["duration"]["pattern"] == PATTERN + r"|\{\{"
    assert schema["definitions"]["positive_duration"]["pattern"] == PATTERN.replace("^", "^(?=.*[1-9])", 1) + r"|\{\{"
