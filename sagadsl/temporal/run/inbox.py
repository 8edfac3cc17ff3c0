"""What has happened to a run that its engine does not know yet. Replay-critical."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio import workflow

from sagadsl.engine.facts import Fact, LateEnd, Settled, SignalReceived
from sagadsl.immutable import replace
from sagadsl.temporal.run.scheduling import ended_well, look_up
from sagadsl.temporal.wire.marker import CAME_ACTIVITY


@dataclass(slots=True)
class Inbox:
    """The facts that wait for the engine, in the order in which it gets them."""

    _facts: list[Fact] = field(default_factory=list)
    _unknown: list[SignalReceived] = field(default_factory=list)
    _late: list[LateEnd] = field(default_factory=list)

    def tell(self, fact: Fact) -> None:
        """Queue a fact."""
        self._facts.append(fact)

    def tell_end(self, fact: Settled) -> None:
        """Queue the end of a call, and behind it the late ends of its attempts that came early."""
        self._facts.append(fact)
        if self._late:
            self._facts += [each for each in self._late if each.call_id == fact.call_id]
            self._late = [each for each in self._late if each.call_id != fact.call_id]

    def tell_late(self, fact: LateEnd, *, is_early: bool) -> None:
        """Queue the late end of an attempt; if it *is_early*, keep it until its call ends."""
        (self._late if is_early else self._facts).append(fact)

    def tell_when_known(self, fact: SignalReceived, number: int) -> None:
        """Queue a signal whose time of arrival matters, once that is looked up; later facts stay behind it.

        Args:
            number: Which signal of this run it is.
        """
        asked = look_up(CAME_ACTIVITY, f"signal {number}", number, fact.name, summary=f"when did {fact.name} come?")
        self._facts.append(fact)
        self._unknown.append(fact)

        def on_answer(answer: asyncio.Task[Any]) -> None:
            came_at = answer.result() if ended_well(answer) else None  # nobody knows: it counts from now
            known = replace(fact, came_at=came_at)
            self._unknown = [each for each in self._unknown if each is not fact]
            self._facts = [known if each is fact else each for each in self._facts]

        asked.add_done_callback(on_answer)

    def tell_at(self, due: float, fact: Callable[[float], Fact], why: str) -> None:
        """Queue a fact once the moment *due* has come; *fact* makes it, of that moment."""

        def told(_: object = None) -> None:
            self._facts.append(fact(workflow.time()))

        if (delay := due - workflow.time()) <= 0:
            told()
        else:
            asyncio.create_task(workflow.sleep(delay, summary=why)).add_done_callback(
                lambda timer: None if timer.cancelled() else told()
            )

    def has_facts(self) -> bool:
        """Whether there are facts that the engine does not know yet."""
        return bool(self._facts)

    def holds(self, fact: Fact) -> bool:
        """Whether the engine has not answered *fact* yet."""
        return any(each is fact for each in self._facts)

    def is_known(self) -> bool:
        """Whether the first fact waits for nothing that is being looked up."""
        return not any(each is self._facts[0] for each in self._unknown)

    def take(self) -> Fact:
        """Return the first fact, which is the engine's from now on."""
        return self._facts.pop(0)

    def close(self) -> None:
        """Drop the facts that came too late."""
        self._facts.clear()
