"""Types of the errors that sagadsl itself reports, in which definitions may name them. Replay-critical.

Histories, reports and the ``on_error`` of definitions contain them, so none of them ever changes.
"""

from __future__ import annotations

from typing import Final

TIMEOUT: Final = "timeout"
"""A timeout of a call has passed; ``non_retryable_error_types`` can name it too (R55)."""

CANCELLED: Final = "cancelled"
"""A call or a saga has ended because somebody asked it to stop."""

SAGA_TIMEOUT: Final = "SagaTimeout"
"""The saga's own timeout has passed."""

STEP_TIMEOUT: Final = "StepTimeout"
"""The ``timeout`` of a block or of a child saga has passed."""

PAUSE_TIMEOUT: Final = "PauseTimeout"
"""Nobody has decided in time about a step that waits for an operator."""

SIGNAL_NOT_DELIVERED: Final = "SignalNotDelivered"
"""The workflow to which a step sends a signal does not exist, has ended, or takes no more signals."""

SIGNAL_TIMEOUT: Final = "SignalTimeout"
"""The signal that a step waits for did not come in time."""

EXPRESSION_ERROR: Final = "ExpressionError"
"""An expression between ``{{ }}`` cannot be computed, or gives a value that does not belong there (R56)."""

INVALID_INPUT: Final = "InvalidInput"
"""The input of a saga, or of an activity of sagadsl itself, does not fit its schema."""

INVALID_OUTPUT: Final = "InvalidOutput"
"""The result of a call is not JSON."""

INVALID_DEFINITION: Final = "InvalidDefinition"
"""A run cannot carry out the definition, or cannot go on from the given state."""

DEFINITION_NOT_FOUND: Final = "DefinitionNotFound"
"""No worker knows a saga of this name."""

INLINE_DEFINITION_REFUSED: Final = "InlineDefinitionRefused"
"""The worker does not accept a definition from the starter of a saga."""

UNTRUSTED_DEFINITION: Final = "UntrustedDefinition"
"""The worker takes signed definitions alone, and nobody trusted has signed this one, or it has changed since."""

CARRY_REFUSED: Final = "CarryRefused"
"""A client has sent what only the run before or a parent may send."""

ACTIVITY_NOT_FOUND: Final = "ActivityNotFound"
"""No worker knows an activity of this name."""

NEXUS_ENDPOINT_NOT_FOUND: Final = "NexusEndpointNotFound"
"""The server has no Nexus endpoint of this name."""

WORKFLOW_ALREADY_STARTED: Final = "WorkflowAlreadyStarted"
"""The workflow id of a child saga is in use."""

NO_MATCHING_CASE: Final = "NoMatchingCase"
"""No case of a switch holds."""

REPEAT_EXHAUSTED: Final = "RepeatExhausted"
"""A ``repeat`` has had all its rounds."""

STEP_FAILED: Final = "StepFailed"
"""The result matches a ``failed_if`` that names no type."""

TOO_MANY_STEPS: Final = "TooManySteps"
"""A loop that waits for nothing has gone on for too long (R56)."""

PAYLOAD_TOO_LARGE: Final = "PayloadTooLarge"
"""One value has more bytes than a message takes (R52)."""

STATE_TOO_LARGE: Final = "StateTooLarge"
"""The state that is needed to undo a completed child has more bytes than a message takes."""

HISTORY_FULL: Final = "HistoryFull"
"""The history of the run has room left only for undoing (R51)."""

OUTPUT_LEFT_OUT: Final = "OutputLeftOut"
"""A warning: the outputs of all steps together are too large to show."""

NOT_NEEDED: Final = "NotNeeded"
"""The reason to undo a branch that ``complete_when`` did not need (R40)."""

COMPENSATION_FAILED: Final = "CompensationFailed"
"""Something could not be undone."""

COMPENSATION_REQUESTED: Final = "CompensationRequested"
"""The reason to undo a completed saga if its parent has given no reason."""

NO_JOURNAL: Final = "NoJournal"
"""A completed child has not told its parent what it has done."""

UNKNOWN_SIGNAL: Final = "UnknownSignal"
"""Somebody sends a signal for which no step of the saga waits."""

UNFIT_PAYLOAD: Final = "UnfitPayload"
"""Somebody sends a signal with a payload that does not fit."""

NOT_AWAITED: Final = "NotAwaited"
"""Somebody sends a signal for which no step will wait any more."""

COMES_TOO_EARLY: Final = "ComesTooEarly"
"""Somebody sends a signal before the wait for it has begun, and that wait counts from its beginning."""

NOT_POSSIBLE: Final = "NotPossible"
"""Somebody asks a run for something that is not possible now."""
