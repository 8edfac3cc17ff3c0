"""The verbs of operators, each with one sentence: the same on the command line, over HTTP and for Temporal.

It imports almost nothing, because every start of `sagadsl` reads it for the list of commands. Replay-critical.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Verb(Enum):
    """What an operator can ask for. R22."""

    RETRY_STEP = "retry_step"
    SKIP_STEP = "skip_step"
    ABORT = "abort"
    PAUSE = "pause"
    RESUME = "resume"

    @property
    def word(self) -> str:
        """Its name in commands, addresses and suites: ``retry``, ``skip`` …"""
        return self.value.removesuffix("_step")


VERBS: Mapping[str, Verb] = {verb.word: verb for verb in Verb}

DECISIONS = (Verb.RETRY_STEP, Verb.SKIP_STEP)
"""The verbs about one step that waits for a decision, by its path; the others are about a whole saga."""

WITH_CHILDREN = (Verb.PAUSE, Verb.RESUME)
"""The verbs that also go to the child sagas of a saga."""

SENTENCES: Mapping[Verb, str] = {
    Verb.RETRY_STEP: "Try what has failed in a paused saga once more",
    Verb.SKIP_STEP: "Leave out what has failed in a paused saga, and go on",
    Verb.ABORT: "Give up a paused saga",
    Verb.PAUSE: "Start no further step of a saga and its child sagas",
    Verb.RESUME: "Let a paused saga and its child sagas go on",
}
