"""What is asked before a worker takes a run: its definition, its input, what it goes on from. Replay-critical.

A worker asks once, when the run begins, and a marker in the history records a refusal; at a replay the markers answer.
"""

from __future__ import annotations

from typing import Any

from temporalio import workflow

from sagadsl.engine.journal import FIRST_RULES, RULES, State
from sagadsl.engine.snapshots import restore
from sagadsl.language.own_errors import (
    INLINE_DEFINITION_REFUSED,
    INVALID_DEFINITION,
    INVALID_INPUT,
    UNTRUSTED_DEFINITION,
)
from sagadsl.temporal.run.slow_checks import opened, patiently
from sagadsl.temporal.wire.arguments import Package, is_same_definition
from sagadsl.temporal.wire.definitions import InvalidDefinition
from sagadsl.temporal.wire.origin import Origin, distrusted, origin, refuses_inline

REJECTED = "sagadsl.rejected"
REJECTED_BY_RULES = "sagadsl.rejected.2"
"""The marker of a refused run whose input was judged by rules later than the first."""

_UNTRUSTED = "sagadsl.untrusted"
"""The marker of a run that was refused because its worker did not trust its definition: a replay asks no worker."""
_RULES = {version: f"sagadsl.rules.{version}" for version in range(RULES, FIRST_RULES, -1)}
"""Markers of runs whose client did not name the rules, by version, newest first."""
_COMPARED = "sagadsl.compared"


class Rejected(Exception):
    """The run cannot begin: error type and message, and the marker that records the refusal in the history.

    Attributes:
        is_ignorance: The reason lies in what this worker has or knows, so another worker may be able to begin the run.
    """

    def __init__(self, type_: str, message: str, marker: str = REJECTED, *, is_ignorance: bool = False) -> None:
        super().__init__(type_, message, marker)
        self.type, self.message, self.marker, self.is_ignorance = type_, message, marker, is_ignorance


def opened_here(raw: bytes, *, trusted: bool) -> Package:
    """Return what an envelope holds. Raises ``Rejected`` if it is no definition of a saga of this run's type."""
    try:
        package = opened(raw, trusted=trusted)
    except InvalidDefinition as problem:  # a client that has written the digest has checked the definition
        is_ignorance = problem.is_newer or "digest" in workflow.memo()
        raise Rejected(INVALID_DEFINITION, str(problem), is_ignorance=is_ignorance) from problem
    type_ = workflow.info().workflow_type
    if package.saga.name != type_:
        raise Rejected(
            INVALID_DEFINITION,
            f"the workflow type is `{type_}`, but the definition is named `{package.saga.name}`",
        )
    return package


def check_trust(raw: bytes) -> None:
    """Raise ``Rejected`` for a definition that this worker does not trust, whoever has sent it.

    Also for one that a parent has sent or that a closed run had: other workers may have taken it. Only what the
    run before had is not judged again, or nobody would undo what that one has done.
    """
    if workflow.unsafe.is_replaying():
        why = "it was not trusted when the run began" if workflow.patched(_UNTRUSTED) else ""
    else:
        try:
            why = distrusted(raw)
        except InvalidDefinition as problem:
            raise Rejected(INVALID_DEFINITION, str(problem)) from problem
    if why:
        raise Rejected(UNTRUSTED_DEFINITION, f"this worker takes trusted definitions only: {why}", _UNTRUSTED)


def check_inline(raw: bytes, own: bytes | None) -> None:
    """Raise ``Rejected`` for a definition in the arguments if the worker takes only those of its own folder."""
    alone = "this worker takes definitions from its own folder only"
    if origin() is Origin.CLIENT and refuses_inline():
        raise Rejected(INLINE_DEFINITION_REFUSED, f"{alone}: start the saga by its name alone")
    try:
        differs = own is not None and not is_same_definition(raw, own)
    except InvalidDefinition as problem:
        raise Rejected(INVALID_DEFINITION, str(problem)) from problem
    if differs:
        raise Rejected(
            INLINE_DEFINITION_REFUSED,
            f"{alone}, and the one that the parent has sent is another one: give the workers of both the same "
            "definition, or start the parent by its name alone",
            is_ignorance=True,
        )


def check_inherited(*, from_folder: bool, is_refused: bool) -> None:
    """Raise ``Rejected`` if a closed run had its definition from a client, and this worker takes none from clients.

    Otherwise a run that nobody has ever served could bring a definition past the worker's folder.
    """
    if not from_folder and (is_refused or refuses_inline()):
        raise Rejected(
            INLINE_DEFINITION_REFUSED,
            "this worker takes definitions from its own folder only, and the closed run had another one: have its "
            "work taken up by a worker that may take it",
        )


def compares() -> bool:
    """Whether a parent's definition is compared with the one in this worker's folder; at a replay: was compared."""
    return (workflow.unsafe.is_replaying() or refuses_inline()) and workflow.patched(_COMPARED)


def judge(package: Package, input_: Any) -> None:
    """Raise ``Rejected`` for an input that does not fit, by the rules of the run, or of its refusal."""
    rules = package.options.rules or RULES
    if workflow.unsafe.is_replaying() and workflow.patched(REJECTED):
        rules = FIRST_RULES
    if problems := patiently(package.judged_by(rules).check_input, input_):
        marker = REJECTED if rules == FIRST_RULES else REJECTED_BY_RULES
        meant = workflow.memo().get("digest", package.saga.digest)
        raise Rejected(
            INVALID_INPUT,
            f"the input does not fit the saga: {'; '.join(problems)}",
            marker,
            is_ignorance=meant != package.saga.digest,  # the client that started it has another version
        )


def check_journal(package: Package, handed_over: State) -> None:
    """Raise ``Rejected`` for a journal that cannot come from a run of this definition."""
    steps = [record.step for record in handed_over.records.values()]
    steps += [key.partition(" ")[0] for key in handed_over.gone]
    if unknown := next((step for step in steps if step not in package.saga.places), ""):
        raise Rejected(INVALID_DEFINITION, f"the journal to undo tells of a step `{unknown}`: the saga has none")
    check = package.judged_by(handed_over.rules).check_input
    if handed_over.input is not None and (problems := patiently(check, handed_over.input)):
        raise Rejected(INVALID_INPUT, f"the input in the journal does not fit the saga: {'; '.join(problems)}")


def restored(snapshot: Any) -> State:
    """Return the state that another run has left. Raises ``Rejected`` if it is none."""
    try:
        return restore(snapshot)
    except Exception as error:  # whoever may start workflows may send anything
        raise Rejected(INVALID_DEFINITION, f"the state to go on from is not one of a saga: {error!r}") from error


def unsaid_rules() -> int:
    """Return the rules of a run whose client named none: the newest, with a marker; at a replay, its own."""
    return next((version for version, marker in _RULES.items() if workflow.patched(marker)), FIRST_RULES)
