"""The forms in which commands write their results, and what each of them is when a command fails."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from sagadsl.immutable import Immutable


class OnFailure(Enum):
    """What stdout carries when a command fails; stderr tells people in any case."""

    DOCUMENT = "a JSON document with the error"
    LINE = "the same on one line"
    NOTHING = "nothing"

    @property
    def indent(self) -> int | None:
        """How a JSON document is indented; ``None`` keeps it on one line."""
        return 2 if self is OnFailure.DOCUMENT else None


class Form(Immutable):
    """One form.

    Attributes:
        for_people: It may have colours, and is left out when there is nothing to tell and ``--quiet`` is given.
    """

    on_failure: OnFailure
    for_people: bool = False


FORMS: Mapping[str, Form] = {
    "text": Form(OnFailure.NOTHING, for_people=True),
    "concise": Form(OnFailure.NOTHING, for_people=True),
    "json": Form(OnFailure.DOCUMENT),
    "jsonl": Form(OnFailure.LINE),
    "sarif": Form(OnFailure.DOCUMENT),
    "github": Form(OnFailure.NOTHING),
    "html": Form(OnFailure.NOTHING),
    "mermaid": Form(OnFailure.NOTHING),
    "svg": Form(OnFailure.NOTHING),
    "none": Form(OnFailure.NOTHING),
}
"""Every form of every command."""

WORDS = frozenset(("--json", *(name for name, form in FORMS.items() if form.on_failure is not OnFailure.NOTHING)))
"""What on a command line asks for JSON, also when it fails."""
