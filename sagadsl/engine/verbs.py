"""What an operator can ask of a saga, each in one sentence: the same in the command line, over HTTP and to Temporal.

Imports next to nothing: the list of commands reads it whenever `sagadsl` starts. Replay-critical.
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
        """As commands, addresses and suites name it: ``retry``, ``skip`` …"""
        return self.value.removesuffix("_step")


VERBS: Mapping[str, Verb] = {verb.word: verb for verb in Verb}

DECISIONS = (Verb.RETRY_STEP, Verb.SKIP_STEP)
"""Those about one step that waits for a decision, by its path; the others are about a whole saga."""

WITH_CHILDREN = (Verb.PAUSE, Verb.RESUME)
"""Those that also go to the child sagas that a saga runs."""

SENTENCES: Mapping[Verb, str] = {
    Verb.RETRY_STEP: "Try what has failed in a paused saga once more",
    Verb.SKIP_STEP: "Leave out what has failed in a paused saga, and go on",
    Verb.ABORT: "Give up a paused saga",
    Verb.PAUSE: "Start no further step of a saga and its child sagas",
    Verb.RESUME: "Let a paused saga and its child sagas go on",
}
