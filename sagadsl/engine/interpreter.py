"""The loop between ``decide`` and a host. It holds no rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sagadsl.engine.decide import parts
from sagadsl.engine.facts import Close, Command, ContinueAsNew, Fact
from sagadsl.engine.journal import State
from sagadsl.engine.noted import Noted
from sagadsl.language.model import Saga


class Host(Protocol):
    """What the engine needs of a Temporal workflow. Virtual time does without it: it calls ``decide`` itself."""

    def perform(self, command: Command) -> None:
        """Begin *command* and return at once; how it ends arrives as a fact. Never raises."""

    def note(self, fact: Fact, noted: Sequence[Noted], commands: Sequence[Command]) -> None:
        """Tell those who watch the saga what follows from a fact, before it is performed. Never raises, and nothing
        follows from it."""

    async def rest(self, work: int, *, must: bool) -> None:
        """Count *work*, in the units of ``decide.Consequence``; with *must*, let other code run before it returns."""

    async def next_fact(self) -> Fact:
        """Wait until something happens, and return it as a fact. Never raises for a failing step."""


async def run(saga: Saga, host: Host, state: State, first: Fact) -> Close | ContinueAsNew:
    """Run *saga* to its end, and change *state* in place; *first* is the fact with which the run begins."""
    fact = first
    while True:
        for part in parts(saga, state, fact):
            host.note(fact, part.noted, part.commands)
            for command in part.commands:
                if isinstance(command, Close | ContinueAsNew):
                    return command
                host.perform(command)
            await host.rest(part.work, must=not part.is_last)
        fact = await host.next_fact()
