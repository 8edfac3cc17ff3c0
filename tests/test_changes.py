"""What a change of a definition means: for open runs, and for whoever calls the saga."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.changes.comparison import About, Change, Impact, compare
from sagadsl.changes.schemas import compare as compare_schemas
from tests.engine.scenes import act, built, plain, saga

WAIT = {"id": "approval", "wait_for": {"signal": "approved"}}


def _lines(old: dict[str, Any], new: dict[str, Any], about: About) -> list[tuple[str, str]]:
    return [(each.level.value, each.message) for each in compare(built(old), built(new)).of(about)]


def test_the_same_definition_changes_nothing() -> None:
    one = built(saga(act("pay")))
    assert compare(one, one).changes == ()
    assert compare(one, one).level is Impact.SAFE


def test_runs_that_stand_before_a_new_step_can_migrate_and_the_others_cannot() -> None:
    """R71."""
    old = saga(act("pay"), WAIT, act("ship"))
    assert _lines(old, saga(act("pay"), WAIT, act("pack"), act("ship")), About.OPEN_RUNS) == [
        ("safe", "runs at `pay` and `approval` can migrate"),
        (
            "some",
            "runs at `ship` cannot migrate: `pack` is new and lies before what has run, "
            "so this run would never come to it",
        ),
    ]


def test_a_change_that_no_run_survives_breaks() -> None:
    """R70."""
    found = compare(built(saga(act("pay"), WAIT)), built(saga(act("charge"), WAIT)))
    assert found.level is Impact.BREAKS
    assert [each.rule for each in found.of(About.OPEN_RUNS)] == ["R70", "R70", "R71"]
    assert "`pay` runs, and the new definition has no such step" in found.changes[0].message


def test_another_call_and_another_compensation_are_told() -> None:
    """R72."""
    new = saga({**act("pay"), "activity": "do.charge", "compensation": {"activity": "undo.charge"}}, WAIT)
    assert _lines(saga(act("pay"), WAIT), new, About.OPEN_RUNS) == [
        ("safe", "runs at `pay` and `approval` can migrate"),
        ("safe", "in runs that migrate, `pay` is undone as the old definition says, if it has to be"),
        ("safe", "`pay` calls `do.charge` instead of `do.pay`; runs that have passed it keep its output"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "level", "message"),
    [
        ({}, {"required": ["zip"]}, "breaks", "`input.zip` has to be given now"),
        ({"required": ["zip"]}, {}, "safe", "`input.zip` may be left out now"),
        ({}, {"properties": {"zip": {"type": "string"}}}, "safe", "`input.zip` is new, and may be left out"),
        (
            {"properties": {"zip": {"type": "string"}}},
            {"properties": {"zip": {"type": "integer"}}},
            "breaks",
            "`input.zip` cannot be `string` any more, but `integer`",
        ),
        (
            {"properties": {"zip": {"type": "integer"}}},
            {"properties": {"zip": {"type": "number"}}},
            "safe",
            "`input.zip` can be `number`, too",
        ),
        (
            {"properties": {"n": {"minimum": 1}}},
            {"properties": {"n": {"minimum": 2}}},
            "breaks",
            "`input.n` has `minimum` 2; it was 1",
        ),
        (
            {"properties": {"n": {"maximum": 1}}},
            {"properties": {"n": {}}},
            "safe",
            "`input.n` has no `maximum` any more; it was 1",
        ),
        (
            {"properties": {"n": {"enum": ["a", "b"]}}},
            {"properties": {"n": {"enum": ["a", "c"]}}},
            "breaks",
            "`input.n` cannot be `b` any more",
        ),
        ({}, {"additionalProperties": False}, "breaks", "`input` takes no undeclared properties any more"),
        (
            {"properties": {"n": {"pattern": "a"}}},
            {"properties": {"n": {"pattern": "b"}}},
            "some",
            "`input.n` has `pattern` `b`; it was `a`",
        ),
        (
            {"properties": {"l": {"items": {"type": "string"}}}},
            {"properties": {"l": {"items": {"type": "string", "minLength": 1}}}},
            "breaks",
            "`input.l[]` has `minLength` 1; there was no such bound",
        ),
        ({}, {"anyOf": [{"required": ["a"]}]}, "some", "`input` has another `anyOf`"),
    ],
)
def test_an_input_is_narrower_or_wider(old: Any, new: Any, level: str, message: str) -> None:
    one, other = (saga(act("pay"), input={"type": "object", **each}) for each in (old, new))
    assert (level, message) in _lines(one, other, About.INPUT)


def test_a_required_property_with_a_default_breaks_nothing() -> None:
    schema = {"required": ["zip"], "properties": {"zip": {"type": "string", "default": "-"}}}
    assert [each.effect.value for each in compare_schemas({}, schema, "input", fills=True)] == []


def test_what_readers_of_the_output_do_not_find_breaks() -> None:
    wide = saga(plain("pay"), output={"id": "{{ saga.id }}", "name": "{{ saga.name }}"})
    narrow = saga(plain("pay"), output={"id": 7, "more": True})
    assert _lines(wide, narrow, About.OUTPUT) == [
        ("breaks", "`output.id` is `7` now; it was text"),
        ("breaks", "`output.name` is not there any more"),
        ("safe", "`output.more` is new"),
    ]


def test_what_else_callers_read_is_compared() -> None:
    """Queries, search attributes, the early answer."""
    telling = {"id": "told", "answer": 7}
    shows = saga(
        act("pay"),
        telling,
        queries={"far": 1, "near": 2},
        search_attributes={"OrderId": {"value": "a", "type": "keyword"}},
    )
    mute = saga(
        act("pay"), queries={"near": 3, "new": 4}, search_attributes={"OrderId": {"value": "a", "type": "text"}}
    )
    assert _lines(shows, mute, About.QUERIES) == [
        ("breaks", "new runs do not answer the query `far`"),
        ("safe", "the query `new` is new"),
    ]
    assert _lines(shows, mute, About.SEARCH_ATTRIBUTES) == [
        ("breaks", "`OrderId` is text now, and was keyword: no index has both")
    ]
    assert _lines(mute, saga(act("pay")), About.SEARCH_ATTRIBUTES) == [
        ("breaks", "new runs are not found by `OrderId`")
    ]
    assert [level for level, _ in _lines(saga(act("pay")), mute, About.SEARCH_ATTRIBUTES)] == ["safe"]
    assert _lines(shows, mute, About.EARLY_ANSWER) == [
        ("breaks", "no step answers any more: who waits for it gets nothing before the end")
    ]
    assert _lines(mute, shows, About.EARLY_ANSWER) == [("safe", "`told` answers before the end")]


def test_a_signal_that_nothing_waits_for_any_more_breaks() -> None:
    other = {"id": "approval", "wait_for": {"signal": "granted", "payload": {"type": "object"}}}
    assert _lines(saga(WAIT), saga(other), About.SIGNALS) == [
        ("breaks", "nothing waits for the signal `approved` any more: it is refused"),
        ("safe", "the signal `granted` is new"),
    ]
    strict = {"id": "approval", "wait_for": {"signal": "approved", "payload": {"type": "object"}}}
    found = compare(built(saga(WAIT)), built(saga(strict))).of(About.SIGNALS)
    assert found == (
        Change(
            About.SIGNALS,
            Impact.BREAKS,
            "`signal approved` is now `object`; it could be anything",
            route=("steps", 0),
        ),
    )
