"""The verbs of operators, each with one sentence: the same on the command line, over HTTP and for Temporal.

It imports almost nothing, because every start of `sagadsl` reads it for the list of commands. Replay-critical.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Verb(Enum):
    """What an operator can ask for. R22."""

    RETRY_STEP = "retry_step"
    COMPLETE_STEP = "complete_step"
    SKIP_STEP = "skip_step"
    ABORT = "abort"
    PAUSE = "pause"
    RESUME = "resume"
    RESET = "reset"

    @property
    def word(self) -> str:
        """Its name in commands, addresses and suites: ``retry``, ``skip`` …"""
        return self.value.removesuffix("_step")


VERBS: Mapping[str, Verb] = {verb.word: verb for verb in Verb}

DECISIONS = (Verb.RETRY_STEP, Verb.COMPLETE_STEP, Verb.SKIP_STEP)
"""The verbs about one step that waits for a decision, by its path; the others are about a whole saga."""

NEED_A_PATH = (Verb.COMPLETE_STEP, Verb.SKIP_STEP, Verb.RESET)
"""The verbs that always name their step: for a decision, another step may wait when it arrives."""

GIVEN_WITH: Mapping[Verb, tuple[str, ...]] = {
    Verb.RETRY_STEP: ("input", "new_key"),
    Verb.COMPLETE_STEP: ("output", "nothing_to_undo"),
    Verb.SKIP_STEP: ("output",),
}
"""What an operator can give with a decision; see ``facts.Given``."""

ENDED: Mapping[str, tuple[str, ...]] = {
    "recover": ("terminated", "timed_out"),
    "redrive": ("failed", "compensated", "cancelled"),
}
"""How a saga has ended whose work a new run takes up, by the word of the request."""

WITH_CHILDREN = (Verb.PAUSE, Verb.RESUME)
"""The verbs that also go to the child sagas of a saga."""

SENTENCES: Mapping[Verb, str] = {
    Verb.RETRY_STEP: "Try what has failed in a paused saga once more",
    Verb.COMPLETE_STEP: "Say that what has failed in a paused saga was done by hand",
    Verb.SKIP_STEP: "Leave out what has failed in a paused saga, and go on",
    Verb.ABORT: "Give up a paused saga",
    Verb.PAUSE: "Start no further step of a saga and its child sagas",
    Verb.RESUME: "Let a paused saga and its child sagas go on",
    Verb.RESET: "Undo back to a step of an open saga, and go on from it",
}
