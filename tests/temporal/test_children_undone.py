"""Child sagas of a run, on a real server: one that fails, is cancelled or has to be undone, and its parent."""

from __future__ import annotations

import base64
import random
from typing import Any

import pytest

from sagadsl.temporal import client as sagas
from sagadsl.temporal.client import Started
from sagadsl.temporal.read import runs
from tests.conftest import Server
from tests.engine.scenes import act, beats, gives, no, saga, slow
from tests.temporal.play import SDK_RACE, Stage, cancelling, play

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]


CHILD = saga(act("x"), act("y"), name="child", output={"y": "{{ steps.y.output }}"})


def parent(*more: Any, **child: Any) -> dict[str, Any]:
    return saga(act("a"), {"id": "kid", "saga": "child", "compensation": "auto", **child}, *more, name="parent")


def test_a_child_that_failed_has_undone_itself_and_the_parent_undoes_the_rest(where: dict[str, Any]) -> None:
    """R46: the child's error type reaches the parent."""
    played = play(definition=parent(), script={"do.y": no("NoWay")}, children=[CHILD], **where)

    assert played.ended.status == "compensated"
    assert played.ended.error is not None
    assert played.ended.error[0] == "NoWay"
    assert played.calls == ["a", "x", "y", "x.compensation", "a.compensation"]


def test_a_child_that_refuses_its_input_has_nothing_to_undo(server: Server) -> None:
    """R2, R46: nor does its parent wait for an operator because of it, although it wanted the child's journal."""
    child = {**CHILD, "input": {"type": "object", "required": ["n"]}}
    played = play(server.address, parent(), {}, children=[child])

    assert (played.ended.status, played.ended.error and played.ended.error[0]) == ("compensated", "InvalidInput")
    assert played.calls == ["a", "a.compensation"]


def test_a_completed_child_is_undone_as_one_unit(where: dict[str, Any]) -> None:
    """R46, R47: by its own compensations, from the journal that it returned."""
    definition = parent(act("last"))
    played = play(definition=definition, script={"do.last": no(), "do.y": gives(7)}, children=[CHILD], **where)

    assert played.ended.status == "compensated"
    assert played.calls == ["a", "x", "y", "last", "y.compensation", "x.compensation", "a.compensation"]
    assert played.report["undone"] == ["kid", "a"]


def _large(steps: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a child that gives 300 kB a step which nobody can pack, all of which its undoing reads; and the script."""
    undo = {"activity": "undo", "input": "{{ step.output }}"}
    child = saga(*(act(f"s{number}", compensation=undo) for number in range(steps)), name="child", output="done")
    noise = [base64.b64encode(random.Random(number).randbytes(225_000)).decode() for number in range(steps)]
    return child, {f"do.s{number}": gives(noise[number]) for number in range(steps)}


def test_a_completed_child_with_much_data_is_undone(where: dict[str, Any]) -> None:
    """R46, R47: what undoing it needs travels to the parent and back in one message each."""
    child, script = _large(4)
    played = play(definition=parent(act("last")), script={**script, "do.last": no()}, children=[child], **where)

    assert played.ended.status == "compensated"
    assert played.report["undone"] == ["kid", "a"]
    assert [call for call in played.calls if "compensation" in call] == [
        *(f"s{number}.compensation" for number in reversed(range(4))),
        "a.compensation",
    ]


def test_what_undoing_a_child_does_not_read_stays_behind(where: dict[str, Any]) -> None:
    """R46, R47: six megabytes of results, of which the compensations read a character each."""
    undo = {"activity": "undo", "input": "{{ step.output[0] }}"}
    child, _ = _large(1)
    child["steps"] = [act(f"s{number}", compensation=undo) for number in range(12)]
    noise = _large(1)[1]["do.s0"].output
    script = {f"do.s{number}": gives(f"{number % 10}{noise}{noise}"[:500_000]) for number in range(12)}
    played = play(definition=parent(act("last")), script={**script, "do.last": no()}, children=[child], **where)

    assert (played.ended.status, played.report["undone"]) == ("compensated", ["kid", "a"])
    assert played.stage.sent["s7.compensation"] == "7"


def test_a_child_that_could_not_be_undone_later_undoes_itself_while_it_can(where: dict[str, Any]) -> None:
    """R46, R47, R52: in virtual time the same, see ``tests.engine.test_nesting``."""
    child, script = _large(6)
    played = play(definition=parent(act("last")), script=script, children=[child], **where)

    assert played.ended.status == "compensated"
    assert played.ended.error is not None
    assert played.ended.error[0] == "StateTooLarge"
    assert played.calls == [
        "a",
        *(f"s{number}" for number in range(6)),
        *(f"s{number}.compensation" for number in reversed(range(6))),
        "a.compensation",
    ]


def test_a_child_that_runs_is_cancelled_and_undoes_itself_first(where: dict[str, Any]) -> None:
    """R12, R25, R46, R47."""
    child = saga(act("x"), beats("y"), name="child")
    played = play(definition=parent(), script={"do.y": slow(60)}, children=[child], act=cancelling("y"), **where)

    assert played.ended.status == "cancelled"
    assert played.calls == ["a", "x", "y", "y.compensation", "x.compensation", "a.compensation"]


def test_a_terminated_child_leaves_doubt(server: Server) -> None:
    """R5, R31: nobody knows what it did, so an explicit compensation runs."""

    async def kill(made: Stage, started: Started) -> None:
        await made.until("x")
        await sagas.terminate(made.client, f"{started.id}/kid", "for the test")

    undo = {"activity": "undo.kid", "input": {"unsure": "{{ step.output is none }}"}}
    played = play(server.address, parent(compensation=undo), {"do.x": slow(60)}, children=[CHILD], act=kill)

    assert played.ended.status == "compensated"
    assert played.ended.causes[0] == ("terminated", "child saga `child` was terminated")
    assert played.calls == ["a", "x", "kid.compensation", "a.compensation"]
    assert played.stage.sent["kid.compensation"] == {"unsure": True}


def test_a_child_without_a_definition_at_hand_is_found_by_name(server: Server) -> None:
    """A worker in another place may have it."""
    played = play(server.address, parent(), {}, definitions=[CHILD])

    assert played.ended.status == "completed"
    assert played.calls == ["a", "x", "y"]


def test_a_mistake_in_the_output_of_a_child_undoes_neither_it_nor_its_parent(server: Server) -> None:
    """N16, R46: what it has done stands, and can still be undone."""
    child = saga(act("c"), name="child", output="{{ steps.c.output.ref }}")
    parent = saga({"id": "part", "saga": "child", "compensation": "auto"}, act("b"), name="parent")
    played = play(server.address, parent, {"do.b": no()}, children=[child])

    assert played.ended.status == "compensated"
    assert played.ended.report is not None
    assert played.ended.report["undone"] == ["part"]
    assert played.calls == ["c", "b", "c.compensation"]


def test_a_child_whose_output_does_not_fit_beside_what_undoing_needs_gives_null_and_can_be_undone(
    server: Server,
) -> None:
    """B8, R47: the journal matters; the child has completed, and says what it left out."""
    child = saga(act("c"), name="child", output="{{ steps.c.output }}")
    parent = saga({"id": "part", "saga": "child", "compensation": "auto"}, act("b"), name="parent")
    kept: list[Any] = []

    async def ask(made: Stage, started: Started) -> None:
        await made.until("b")
        kept.append(await runs.result(made.client, f"{started.id}/part"))

    script = {"do.c": gives("x" * 1_999_900), "do.b": no(takes=1)}
    played = play(server.address, parent, script, children=[child], act=ask)

    (ended,) = kept
    assert (ended.status, ended.output["output"]) == ("completed", None)
    assert "bytes with what undoing the saga needs, at most 2,000,000 fit" in ended.warnings[0]["message"]
    assert played.ended.status == "compensated"
    assert played.calls == ["c", "b", "c.compensation"]
