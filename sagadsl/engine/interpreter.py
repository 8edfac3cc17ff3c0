"""The loop that joins the rules to a host. Everything worth testing is elsewhere."""

from __future__ import annotations

from typing import Protocol

from sagadsl.engine.decide import parts
from sagadsl.engine.facts import Close, Command, ContinueAsNew, Fact
from sagadsl.engine.journal import State
from sagadsl.language.model import Saga


class Host(Protocol):
    """What a saga needs from the world: here a Temporal workflow. Virtual time plays many runs by ``decide`` itself."""

    def perform(self, command: Command) -> None:
        """Begin *command* and return at once; its end arrives as a fact. Never raises."""

    async def rest(self, work: int, *, must: bool) -> None:
        """Take note of work that was done, as ``decide.Part`` counts it; *must* lets others work before it returns."""

    async def next_fact(self) -> Fact:
        """Wait until something happens, and say what. Never raises for a failing step."""


async def run(saga: Saga, host: Host, state: State, first: Fact) -> Close | ContinueAsNew:
    """Drive *saga* to its end, changing *state* in place; *first* is how the run begins."""
    fact = first
    while True:
        for part in parts(saga, state, fact):
            for command in part.commands:
                if isinstance(command, Close | ContinueAsNew):
                    return command
                host.perform(command)
            await host.rest(part.work, must=not part.is_last)
        fact = await host.next_fact()
