"""A worker killed at any point of a saga changes nothing but the time it takes (R53).

One kill for all: a saga is held at each place, the worker is killed, another one takes over.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from sagadsl.temporal.read.runs import Ended
from tests.conftest import Server
from tests.crash.stage import FORWARD, MOVED, TRANSFER, UNDONE, UNTOUCHED, Line, Stage, stage

pytestmark = pytest.mark.temporal

PLACES = [f"{call}@{place}" for call in (*FORWARD, *UNDONE) for place in ("before", "after")]
IMPATIENT = TRANSFER.replace("retry: {maximum_attempts: 5}", "retry: none")


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one saga."""

    ended: Ended
    lines: list[Line]
    balances: tuple[int, int, int]

    @property
    def calls(self) -> list[str]:
        """The calls, in the order in which they first began."""
        return list(dict.fromkeys(line.call for line in self.lines))

    def repeated(self, killed: int) -> set[str]:
        """The calls with another attempt since *killed* is gone; on a busy machine that one may have repeated some."""
        return {line.call for line in self.lines if line.attempt > 1 and line.pid != killed}


@dataclass(frozen=True, slots=True)
class Aftermath:
    """All sagas after the kill, and what the bank's check says."""

    seen: dict[str, Seen]
    problems: tuple[str, ...]
    killed: int


@pytest.fixture(scope="module")
def aftermath(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    return asyncio.run(_kill(server.address, tmp_path_factory.mktemp("crash")))


async def _kill(address: str, folder: Path) -> Aftermath:
    async with stage(address, folder) as made:
        await made.worker()
        ids = {place: await made.start("failing", hold=place, fail=True) for place in PLACES}
        ids["good"] = await made.start("good", hold="give@after")
        ids["unknown"] = await made.start("unknown", hold="fee@after", definition=IMPATIENT)
        ids["lost"] = await made.start("lost", hold="fee@before", definition=IMPATIENT)
        ids["idle"] = await made.start("idle", wait=True)
        held_at = {"good": "give@after", "unknown": "fee@after", "lost": "fee@before"}
        places = {name: held_at.get(name, name) for name in ids if name != "idle"}
        killed = (await made.replace_killed(ids, places)).pid
        return Aftermath({name: await _seen(made, saga) for name, saga in ids.items()}, made.bank.problems(), killed)


async def _seen(made: Stage, saga: str) -> Seen:
    return Seen(await made.end(saga), made.lines(saga), made.bank.balances(saga))


@pytest.mark.parametrize("place", PLACES)
def test_only_the_call_that_was_killed_is_repeated(place: str, aftermath: Aftermath) -> None:
    """R53: c2 is retried, c1 follows, c3 is not repeated; and the same for every other call of the saga."""
    seen = aftermath.seen[place]

    assert seen.calls == [*FORWARD, *UNDONE]
    assert seen.repeated(aftermath.killed) == {place.partition("@")[0]}
    assert seen.ended.status == "compensated"
    assert seen.ended.error is not None
    assert seen.ended.error[0] == "Judged"
    assert (seen.ended.report or {})["undone"] == ["fee", "give", "take"]
    assert seen.balances == UNTOUCHED


@pytest.mark.parametrize("place", PLACES)
def test_the_repeated_attempt_has_the_key_of_the_first(place: str, aftermath: Aftermath) -> None:
    """R49: it is what makes the repetition safe; each call has one key, and no two calls have the same."""
    lines = aftermath.seen[place].lines
    keys = {(line.call, line.key) for line in lines}

    assert len(keys) == len({line.call for line in lines}) == len({line.key for line in lines})


def test_the_processes_were_really_two(aftermath: Aftermath) -> None:
    """The first one did what came before the kill, the second one what came after."""
    lines = aftermath.seen["give.compensation@before"].lines
    first = [line.call for line in lines if line.pid == aftermath.killed and line.place == "before"]

    assert first == [*FORWARD, "fee.compensation", "give.compensation"]
    assert len({line.pid for line in lines}) == 2


def test_a_saga_that_is_killed_on_its_good_path_completes(aftermath: Aftermath) -> None:
    """R53: the effect came before the kill, its report never did."""
    seen = aftermath.seen["good"]

    assert (seen.ended.status, seen.ended.output) == ("completed", {"left": 70})
    assert (seen.calls, seen.repeated(aftermath.killed)) == ([*FORWARD], {"give"})
    assert seen.balances == MOVED


@pytest.mark.parametrize("name", ["unknown", "lost"])
def test_a_step_without_another_attempt_is_undone_whether_or_not_it_happened(name: str, aftermath: Aftermath) -> None:
    """R3, R5: a heartbeat timeout leaves doubt, and the undo by key is right in both cases."""
    seen = aftermath.seen[name]

    assert seen.ended.status == "compensated"
    assert seen.ended.causes[0] == ("timeout", "heartbeat timeout of 3s")
    assert (seen.calls, seen.repeated(aftermath.killed)) == (["take", "give", "fee", *UNDONE], set())
    assert any(line.call == "fee" and line.place == "after" for line in seen.lines) == (name == "unknown")
    assert seen.balances == UNTOUCHED


def test_a_saga_that_waits_between_two_steps_does_not_notice(aftermath: Aftermath) -> None:
    """R53: nothing is repeated, and the signal to the new worker is taken."""
    seen = aftermath.seen["idle"]

    assert seen.ended.status == "completed"
    assert (seen.calls, seen.repeated(aftermath.killed)) == ([*FORWARD], set())
    assert seen.balances == MOVED


def test_no_money_was_made_or_lost(aftermath: Aftermath) -> None:
    """The bank's own check: balances, postings and keys agree, and each key moved money at most once."""
    assert aftermath.problems == ()
