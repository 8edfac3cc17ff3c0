"""How large a saga's history can become: what the analysis says, against histories that real servers have recorded."""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sagadsl.language.analysis.history import GOES_ON_AFTER, history
from sagadsl.language.analysis.known import Signature
from sagadsl.language.load import load, load_text
from sagadsl.language.schema.largest import MOST_BYTES, largest

RECORDED = Path(__file__).parents[1] / "temporal" / "histories" / "rules-3"
NOT_OF_THE_DEFINITION = ("worker_does_not_know", "worker_knows", "computes", "begins_an_open_call_again")
"""Recordings in which workers lack something, or in which much is computed: that costs timers."""
INPUT = "input: {type: object, properties: {few: {type: array, maxItems: 10}, many: {type: array}}}\n"
HEAD = f"sagadsl: 1\nname: sized\nversion: '1'\n{INPUT}steps:\n"
UNTIL = "repeat: {until: steps.a.output"
CALL = "activity: a.b, compensation: none"
UNDONE = "activity: a.b, compensation: {activity: a.c}"


def _runs() -> list[tuple[str, dict[str, Any], Counter[str]]]:
    found = []
    for path in sorted(RECORDED.glob("*.json.gz")):
        recorded = json.loads(gzip.decompress(path.read_bytes()))["history"]
        events = (json.loads(recorded) if isinstance(recorded, str) else recorded)["events"]
        payloads = events[0]["workflowExecutionStartedEventAttributes"].get("input", {}).get("payloads", [])
        if len(payloads) < 2 or "data" not in payloads[1] or any(word in path.name for word in NOT_OF_THE_DEFINITION):
            continue
        opening = json.loads(base64.b64decode(payloads[1]["data"]))
        if isinstance(opening.get("definition"), dict):
            kinds = Counter(each["eventType"].removeprefix("EVENT_TYPE_") for each in events)
            found.append((path.name, opening["definition"], kinds))
    return found


def _of_people(kinds: Counter[str]) -> int:
    """Return the events that people have caused: a cancel and what it stops, updates, more signals."""
    cancels = sum(number for kind, number in kinds.items() if "CANCEL_REQUEST" in kind)
    canceled = sum(number for kind, number in kinds.items() if kind.endswith("_CANCELED"))
    updates, signals = kinds["WORKFLOW_EXECUTION_UPDATE_ACCEPTED"], kinds["WORKFLOW_EXECUTION_SIGNALED"]
    upserts = kinds["UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"]
    return 4 * cancels + canceled + 5 * updates + 4 * signals + upserts + kinds["MARKER_RECORDED"]


def test_no_recorded_run_has_more_events_than_its_definition_allows() -> None:
    """A hundred runs on real servers: completed, failed, undone, cancelled, with children, operations, local calls."""
    more, compared = [], 0
    for name, definition, kinds in _runs():
        (loaded,) = load_text(json.dumps(definition), Path("recorded.saga.yaml"))
        assert loaded.saga is not None, name
        most = history(loaded.saga, definition).whole.events
        compared += most is not None
        if most is not None and kinds.total() > most + _of_people(kinds):
            more.append((name, kinds.total(), most))

    assert more == []
    assert compared > 90


def _whole(steps: str) -> tuple[int | None, int | None]:
    found = load(HEAD + steps)
    assert found.saga is not None, [each.message for each in found.findings]
    size = history(found.saga, {})
    return size.whole.events, size.longest


@pytest.mark.parametrize(
    ("steps", "events"),
    [
        (f"  - {{id: a, {CALL}}}\n", 11),
        (f"  - {{id: a, {UNDONE}}}\n", 18),
        (f"  - id: l\n    for_each: {{items: input.few}}\n    steps: [{{id: a, {CALL}}}]\n", 65),
        (f"  - id: l\n    for_each: {{items: input.many}}\n    steps: [{{id: a, {CALL}}}]\n", None),
        (
            f"  - id: l\n    {UNTIL}, every: 1s, maximum_attempts: 4}}\n    steps: [{{id: a, {CALL}}}]\n",
            49,
        ),
        (f"  - id: g\n    retry: {{maximum_attempts: 3}}\n    steps: [{{id: a, {UNDONE}}}]\n", 60),
        ("  - {id: w, wait_for: {signal: s, timeout: 1h}}\n  - {id: s, sleep: 1s}\n", 20),
        ("  - id: s\n    switch: [{if: true, steps: [{id: a, sleep: 1s}]}, {else: [{id: b, set: {x: 1}}]}]\n", 10),
    ],
)
def test_steps_add_up(steps: str, events: int | None) -> None:
    assert _whole(steps)[0] == events


def test_a_long_saga_goes_on_in_a_new_run_but_not_while_a_call_is_open() -> None:
    rounds = UNTIL + ", maximum_attempts: 2000}"
    looped = f"  - id: l\n    {rounds}\n    steps: [{{id: a, {CALL}}}]\n"
    branches = f"      - {{id: l, {rounds}, steps: [{{id: a, {CALL}}}]}}\n      - {{id: b, {CALL}}}\n"
    beside = f"  - id: p\n    parallel:\n{branches}"

    assert _whole(looped) == (12_005, GOES_ON_AFTER + 6)
    assert _whole(beside) == (12_011, GOES_ON_AFTER + 12_006)


def test_types_say_how_large_a_value_can_be() -> None:
    small = {"type": "object", "additionalProperties": False, "properties": {"n": {"type": "integer"}}}
    assert largest(small) < 50
    assert largest({"type": "array", "maxItems": 10, "items": small}) < 500
    assert largest({"type": "string"}) == largest({}) == largest(None) == MOST_BYTES
    assert largest({"$ref": "#/$defs/x", "$defs": {"x": {"enum": ["a", "b"]}}}) < 50
    assert largest(
        {"$ref": "#/$defs/x", "$defs": {"x": {"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/x"}}}}
    )
    saga = load(HEAD + f"  - {{id: a, {CALL}}}\n").saga
    assert saga is not None
    known = history(saga, {}, {"a.b": Signature("a.b", "", input_schema=small, output_schema=small)})
    unknown = history(saga, {})
    assert known.steps[0].forward.bytes is not None
    assert unknown.steps[0].forward.bytes is not None
    assert known.steps[0].forward.bytes < 2_000 < 2 * MOST_BYTES <= unknown.steps[0].forward.bytes
