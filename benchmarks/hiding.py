"""What secret values cost a long saga: its decisions made again as a replay does, with and without them.

Each step gets the card of the saga's input, and gives a token that is secret, too; before each call the run looks for
secrets in what it sends. ``looking at all`` looks at all records each time, as releases up to 0.2.0 did.
"""

from __future__ import annotations

import gc
import os
import time
from itertools import count
from typing import Any, Literal

from sagadsl.engine.decide import parts
from sagadsl.engine.facts import Fact, StartActivity
from sagadsl.engine.hiding import Marked, hidden
from sagadsl.engine.journal import State
from sagadsl.engine.known_secrets import KnownSecrets
from sagadsl.language.build import build
from sagadsl.language.model import Saga
from sagadsl.virtual.calls import Attempt
from sagadsl.virtual.world import World

SIZES = [int(size) for size in os.environ.get("SIZES", "200,1000,3000").split(",")]
MOST_LOOKING_AT_ALL = int(os.environ.get("MOST", "1000"))
"""Steps of the longest saga that looks at all records: three times the steps take nine times as long."""

_MARKS = {"bench.step": {"input": [["card"]], "output": [["token"]]}}
_WORDS = frozenset({"card", "text", "token"})
Way = Literal["no secrets", "secrets", "looking at all"]


def main() -> None:
    print("| steps | ms CPU a step, no secrets | secrets | looking at all |\n|---|---|---|---|")
    for size in SIZES:
        saga, facts = _played(size)
        ways: list[Way] = ["no secrets", "secrets"]
        spent = {way: min(_replayed(saga, facts, way) for _ in range(3)) / size for way in ways}
        row = [f"{spent[way]:.3f}" for way in ways]
        at_all = f"{_replayed(saga, facts, 'looking at all') / size:.3f}" if size <= MOST_LOOKING_AT_ALL else ""
        print(f"| {size:,} | {row[0]} | {row[1]} | {at_all} |", flush=True)


def _played(size: int) -> tuple[Saga, list[Fact]]:
    facts: list[Fact] = []
    tokens = count()

    class Recording(World):
        def tell(self, saga_id: str, fact: Fact) -> None:
            facts.append(fact)
            super().tell(saga_id, fact)

    def step(number: int) -> dict[str, Any]:
        sent = {"card": "{{ input.card }}", "text": f"step {number} of a long saga"}
        return {"id": f"s{number}", "activity": "bench.step", "input": sent, "compensation": "none"}

    card = {"type": "object", "properties": {"card": {"type": "string", "x-secret": True}}}
    definition = {"sagadsl": 1, "name": "long", "version": "1", "input": card, "steps": [*map(step, range(size))]}
    saga = build(definition)
    world = Recording(lambda *_: Attempt(output={"token": f"token-{next(tokens):06}"}))
    world.start(saga, {"card": "4111-1111-1111"})
    world.run()
    return saga, facts


def _replayed(saga: Saga, facts: list[Fact], way: Way) -> float:
    """Return the CPU of all decisions in ms."""
    marked, state = Marked.of(saga, _MARKS), State()
    known = KnownSecrets(saga, marked)
    gc.collect()
    began = time.process_time()
    for fact in facts:
        for part in parts(saga, state, fact):
            if way == "secrets":
                known.learn(state, fact, part.noted, part.commands)
            for each in part.commands:
                if isinstance(each, StartActivity) and way != "no secrets":
                    hides = known.hides if way == "secrets" else hidden(saga, state, marked)
                    assert list(hides.found_in(each.arguments[0], _WORDS)) == [("card",)]
    return (time.process_time() - began) * 1e3
