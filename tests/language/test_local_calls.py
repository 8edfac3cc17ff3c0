"""Which calls are local: the definition alone decides (R132)."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.language.build import build
from sagadsl.language.calls import ActivityCall
from sagadsl.language.walk import calls
from tests.engine.scenes import saga

SHORT = {"start_to_close": "5s"}


def _local(step: dict[str, Any], **defaults: Any) -> list[bool]:
    """Whether each call of a step is local: its work, its probe, its compensation."""
    built = build(saga({"id": "a", "activity": "x.a", **step}, defaults=defaults))
    return [call.local for call, _, _ in calls(built.steps[0]) if isinstance(call, ActivityCall)]


@pytest.mark.parametrize(
    ("step", "defaults", "expected"),
    [
        ({}, {}, False),
        ({"local": True}, {}, True),
        ({"local": True, "task_queue": "q", "timeouts": {"heartbeat": "1s"}}, {}, True),
        ({"local": "auto"}, {}, False),  # an attempt may take a minute
        ({"local": "auto", "timeouts": SHORT}, {}, True),
        ({"local": "auto", "timeouts": {"start_to_close": "5001ms"}}, {}, False),
        ({"local": "auto", "timeouts": {"schedule_to_close": "5s"}}, {}, True),
        ({"local": "auto", "timeouts": {"start_to_close": "5s", "schedule_to_close": "1h"}}, {}, True),
        ({"local": "auto", "timeouts": {"start_to_close": "{{ input.most }}"}}, {}, False),
        ({"local": "auto", "timeouts": {**SHORT, "heartbeat": "1s"}}, {}, False),
        ({"local": "auto", "timeouts": {**SHORT, "schedule_to_start": "1s"}}, {}, False),
        ({"local": "auto", "timeouts": SHORT, "task_queue": "q"}, {}, False),
        ({"local": "auto", "timeouts": SHORT, "priority": 1}, {}, False),
        ({"local": "auto", "timeouts": SHORT, "fairness_key": "k"}, {}, False),
        ({"local": "auto", "timeouts": SHORT}, {"task_queue": "q"}, False),
        ({"timeouts": SHORT}, {"local": "auto"}, True),
        ({}, {"local": "auto", "timeouts": SHORT}, True),
        ({}, {"local": "auto"}, False),
        ({}, {"local": True}, True),
        ({"task_queue": "q"}, {"local": True}, False),
        ({"local": False}, {"local": True}, False),
        ({"local": "auto"}, {"local": True}, False),
        ({"local": True}, {"local": "auto", "task_queue": "q"}, True),
    ],
)
def test_a_call_is_local_if_it_says_so_or_may_be(
    step: dict[str, Any], defaults: dict[str, Any], expected: bool
) -> None:
    assert _local(step, **defaults) == [expected]


@pytest.mark.parametrize(
    ("step", "undo", "defaults", "expected"),
    [
        ({"local": True}, {}, {}, False),  # a step says nothing of its compensation
        ({}, {"local": True}, {}, True),
        ({}, {"local": "auto"}, {}, False),
        ({"timeouts": SHORT}, {"local": "auto"}, {}, True),  # it has its step's time for an attempt
        ({"timeouts": SHORT, "task_queue": "q"}, {"local": "auto"}, {}, False),  # and its step's queue
        ({}, {}, {"local": True}, True),
        ({}, {}, {"local": True, "compensation": {"local": False}}, False),
        ({}, {}, {"compensation": {"local": True}}, True),
        ({}, {"local": False}, {"compensation": {"local": True}}, False),
    ],
)
def test_a_compensation_is_local_by_itself_or_by_the_defaults(
    step: dict[str, Any], undo: dict[str, Any], defaults: dict[str, Any], expected: bool
) -> None:
    assert _local({**step, "compensation": {"activity": "x.undo", **undo}}, **defaults)[1] is expected


def test_a_probe_is_local_by_itself_or_by_the_defaults() -> None:
    probe = {"activity": "x.ask"}

    assert _local({"pivot": True, "probe": probe}) == [False, False]
    assert _local({"pivot": True, "probe": {**probe, "local": True}}) == [False, True]
    assert _local({"pivot": True, "local": False, "probe": probe}, local=True) == [False, True]
