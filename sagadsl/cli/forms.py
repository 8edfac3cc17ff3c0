"""The forms in which commands write their results, and what each form is when a command fails."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from sagadsl.immutable import Immutable


class StdoutOnFailure(Enum):
    """What stdout contains when a command fails; people read stderr in any case."""

    DOCUMENT = "a JSON document with the error"
    LINE = "the same on one line"
    NOTHING = "nothing"

    @property
    def indent(self) -> int | None:
        """How a JSON document is indented; ``None`` keeps it on one line."""
        return 2 if self is StdoutOnFailure.DOCUMENT else None


class OutputForm(Immutable):
    """One form.

    Attributes:
        for_people: It may have colours, and ``--quiet`` leaves it out when there is nothing to report.
    """

    on_failure: StdoutOnFailure
    for_people: bool = False


FORMS: Mapping[str, OutputForm] = {
    "text": OutputForm(StdoutOnFailure.NOTHING, for_people=True),
    "concise": OutputForm(StdoutOnFailure.NOTHING, for_people=True),
    "json": OutputForm(StdoutOnFailure.DOCUMENT),
    "jsonl": OutputForm(StdoutOnFailure.LINE),
    "sarif": OutputForm(StdoutOnFailure.DOCUMENT),
    "github": OutputForm(StdoutOnFailure.NOTHING),
    "gitlab": OutputForm(StdoutOnFailure.NOTHING),
    "junit": OutputForm(StdoutOnFailure.NOTHING),
    "html": OutputForm(StdoutOnFailure.NOTHING),
    "mermaid": OutputForm(StdoutOnFailure.NOTHING),
    "dot": OutputForm(StdoutOnFailure.NOTHING),
    "svg": OutputForm(StdoutOnFailure.NOTHING),
    "none": OutputForm(StdoutOnFailure.NOTHING),
}
"""Every form of every command."""

WORDS = frozenset(("--json", *(name for name, form in FORMS.items() if form.on_failure is not StdoutOnFailure.NOTHING)))
"""Words on a command line that ask for JSON, also when the command fails."""
