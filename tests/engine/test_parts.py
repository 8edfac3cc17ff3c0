"""A status with thousands of steps is read in parts: none is missing, none comes twice."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sagadsl.engine.journal import State
from sagadsl.engine.projection import markdown, status
from sagadsl.language.model import Saga
from sagadsl.status.advice import page
from sagadsl.status.narrative import sentences
from sagadsl.status.parts import MOST, Part, in_part
from sagadsl.temporal.run.status_answer import fitting
from sagadsl.temporal.wire.arguments import to_payload
from sagadsl.virtual.world import World
from tests.engine.scenes import act, built, saga

ROUNDS = 2_500
LOOP = {
    "id": "lines",
    "for_each": {"items": "{{ input.items }}"},
    "steps": [act("ask", **{"if": "item == 7"}), act("tell", **{"if": "item == 7"})],
}


@pytest.fixture(scope="module")
def run() -> tuple[Saga, State]:
    """A saga of thousands of steps that waits; only one of its rounds has anything to do."""
    world, made = World(), built(saga(LOOP, {"id": "go", "wait_for": {"signal": "go"}}))
    begun = world.start(made, {"items": list(range(ROUNDS))})
    world.run(until=60.0)
    return made, begun.state


def all_parts(run: tuple[Saga, State], limit: int) -> list[dict[str, Any]]:
    found, after = [], ""
    while True:
        found.append(status(*run, Part(limit, after)))
        following = found[-1]["part"]["next"]
        if following is None:
            return found
        after = following


@pytest.mark.parametrize("limit", [MOST, 777, 5_002])
def test_all_parts_together_are_all_steps_in_their_order(run: tuple[Saga, State], limit: int) -> None:
    parts = all_parts(run, limit)
    rounds = [f"lines[{index}]" for index in range(ROUNDS)]
    inner = [f"{path}/{step}" for path in rounds for step in ("ask", "tell")]

    assert [step["path"] for part in parts for step in part["steps"]] == ["lines", *inner, "go"]
    assert all(len(part["steps"]) <= limit for part in parts)
    assert [part["part"]["first"] for part in parts] == [1 + limit * index for index in range(len(parts))]
    assert {part["part"]["of"] for part in parts} == {2 * ROUNDS + 2}


def test_a_part_behind_a_step_that_is_not_there_says_so(run: tuple[Saga, State]) -> None:
    found = status(*run, Part(10, "lines[9999]/ask"))

    assert (found["steps"], found["part"]) == ([], {"first": None, "of": 2 * ROUNDS + 2, "next": None})


def test_a_part_that_is_too_large_for_a_message_ends_earlier_and_says_where(run: tuple[Saga, State]) -> None:
    payload = fitting(status(*run, Part(1_000)), lambda data: to_payload(json.dumps(data).encode()), 50_000)
    found = json.loads(payload.data)
    following = status(*run, Part(1, found["part"]["next"]))["steps"][0]["path"]

    assert payload.ByteSize() <= 50_000
    assert 0 < len(found["steps"]) < 1_000
    assert found["part"]["next"] == found["steps"][-1]["path"]
    assert following == status(*run, Part(1_000))["steps"][len(found["steps"])]["path"]


def test_who_has_all_steps_already_makes_the_part_of_them(run: tuple[Saga, State]) -> None:
    """An answer of an older release, or of the server."""
    whole = status(*run)
    found = in_part(whole, Part(3, whole["steps"][4]["path"]))

    assert [step["path"] for step in found["steps"]] == [step["path"] for step in whole["steps"][5:8]]
    assert (found["part"]["first"], found["part"]["next"]) == (6, whole["steps"][7]["path"])
    assert in_part(whole, None) == whole


@pytest.mark.parametrize("asked", [None, 3, [], {"limit": "3"}, {"limit": True}, {"after": 3}])
def test_a_part_that_makes_no_sense_is_none(asked: Any) -> None:
    assert Part.read(asked) is None


@pytest.mark.parametrize(("asked", "limit"), [(0, 1), (-5, 1), (10**9, MOST), (7, 7)])
def test_a_part_is_never_larger_than_an_answer(asked: int, limit: int) -> None:
    assert Part.read({"limit": asked, "after": "x"}) == Part(limit, "x")


def test_a_person_sees_what_matters_and_how_to_see_the_rest(run: tuple[Saga, State]) -> None:
    lines = list(page({**status(*run), "id": "order 7"}, {}, datetime.now(UTC)))
    text = "\n".join(lines)

    assert len(lines) < 220
    assert " ▶ go" in text
    assert " ✓ lines[7]/ask" not in text  # it went well, like all others
    assert " more lines: " in text
    assert " … tell: " in text
    assert "   sagadsl status 'order 7' --limit 100   the steps one by one, in their order" in lines


def test_many_different_steps_are_counted_together() -> None:
    world, made = World(), built(saga(*[act(f"s{n}") for n in range(MOST + 500)]))
    begun = world.start(made)
    world.run()
    found = status(made, begun.state)
    lines = list(page(found, {}, datetime.now(UTC)))

    assert " … 500 more steps: 500 completed" in lines
    assert len(lines) < 220
    assert "Not listed one by one: 500 more steps: 500 completed." in list(sentences(found))
    assert markdown(made, begun.state).splitlines()[-1] == "| `500 more steps` | 500 completed | | |"
