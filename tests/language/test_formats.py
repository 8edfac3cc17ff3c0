"""What `format` accepts, in every way of starting."""

from __future__ import annotations

import pytest

from sagadsl.language.schema.formats import CHECKED
from sagadsl.trial.draw import draw

RIGHT = {
    "date": ["2026-02-28", "2024-02-29"],
    "time": ["09:00:00Z", "23:59:60z", "09:00:00.123+05:30"],
    "date-time": ["2026-01-31T09:00:00Z", "2026-01-31t09:00:00.5-08:00"],
    "duration": ["PT1H", "P1Y2M3DT4H5M6S", "P2W"],
    "email": ["someone@example.org", "a+b@localhost", "jürgen@example.org"],
    "hostname": ["example.org", "a-1.b"],
    "ipv4": ["192.0.2.1"],
    "ipv6": ["::1", "2001:db8::1"],
    "uri": ["https://example.org/a?b=%20#c", "urn:x:y", "mailto:a@b.c"],
    "uri-reference": ["/a/b", "", "https://example.org"],
    "uuid": ["00000000-0000-4000-8000-000000000000"],
    "json-pointer": ["", "/a~1b/0"],
    "regex": ["^a$"],
}
WRONG = {
    "date": ["2026-02-29", "28.2.2026", "2026-02-28\n", "2026-02-28T00:00:00Z"],
    "time": ["09:00:00", "24:00:00Z", "9:00"],
    "date-time": ["2026-01-31T09:00:00", "2026-01-31 09:00:00Z", "2026-13-01T09:00:00Z", "2026-01-31T09:00:00+24:00"],
    "duration": ["1h", "P", "PT", "P1W2D"],
    "email": ["someone", "a b@example.org", "a@", "a@b..c", "a@b\n"],
    "hostname": ["-a", "a_b", "a..b", ""],
    "ipv4": ["192.0.2", "192.0.2.256", "01.2.3.4"],
    "ipv6": ["192.0.2.1", ":::"],
    "uri": ["example.org", "https://a b", "https://a/%zz"],
    "uri-reference": ["a b", "\\"],
    "uuid": ["0", "00000000-0000-4000-8000-00000000000g"],
    "json-pointer": ["a", "/~2"],
    "regex": ["("],
}


def test_every_format_is_tried_here() -> None:
    assert set(RIGHT) == set(WRONG) == set(CHECKED)


@pytest.mark.parametrize("name", RIGHT)
def test_what_has_the_format_is_taken_and_nothing_else(name: str) -> None:
    assert {text: CHECKED[name](text) for text in RIGHT[name]} == dict.fromkeys(RIGHT[name], True)
    assert {text: CHECKED[name](text) for text in WRONG[name]} == dict.fromkeys(WRONG[name], False)


@pytest.mark.parametrize("name", CHECKED)
def test_what_trials_draw_has_the_format(name: str) -> None:
    assert CHECKED[name](draw({"type": "string", "format": name}, 0, "value"))
