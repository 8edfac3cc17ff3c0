"""Types of the errors that sagadsl itself reports, in which definitions may name them. Replay-critical.

Histories, reports and the ``on_error`` of definitions contain them, so none of them ever changes.
"""

from __future__ import annotations

from typing import Final

TIMEOUT: Final = "timeout"
"""Of every timeout of a call, also in ``non_retryable_error_types`` (R55)."""

CANCELLED: Final = "cancelled"
"""Of what ended because somebody asked it to."""

SAGA_TIMEOUT: Final = "SagaTimeout"
"""The saga's own timeout has passed."""

SIGNAL_TIMEOUT: Final = "SignalTimeout"
"""The signal that a step waits for did not come in time."""

EXPRESSION_ERROR: Final = "ExpressionError"
"""What stands between ``{{ }}`` cannot be computed, or gives what does not belong there (R56)."""

INVALID_INPUT: Final = "InvalidInput"
"""What a saga, or an activity of ours, is given does not fit its schema."""

INVALID_OUTPUT: Final = "InvalidOutput"
"""The result of a call is not JSON."""

INVALID_DEFINITION: Final = "InvalidDefinition"
"""The definition, or what a run is to go on from, cannot be carried out."""

DEFINITION_NOT_FOUND: Final = "DefinitionNotFound"
"""No worker knows a saga of this name."""

INLINE_DEFINITION_REFUSED: Final = "InlineDefinitionRefused"
"""The worker takes no definition from whoever starts a saga."""

ACTIVITY_NOT_FOUND: Final = "ActivityNotFound"
"""No worker knows an activity of this name."""

WORKFLOW_ALREADY_STARTED: Final = "WorkflowAlreadyStarted"
"""The workflow id of a child saga is in use."""

NO_MATCHING_CASE: Final = "NoMatchingCase"
"""No case of a switch holds."""

REPEAT_EXHAUSTED: Final = "RepeatExhausted"
"""A ``repeat`` has had all its rounds."""

STEP_FAILED: Final = "StepFailed"
"""A ``failed_if`` that names no type."""

TOO_MANY_STEPS: Final = "TooManySteps"
"""A loop that waits for nothing has gone on for too long (R56)."""

PAYLOAD_TOO_LARGE: Final = "PayloadTooLarge"
"""One value has more bytes than a message takes (R52)."""

STATE_TOO_LARGE: Final = "StateTooLarge"
"""What undoing a completed child needs has more bytes than a message takes."""

HISTORY_FULL: Final = "HistoryFull"
"""The history of the run has room left for undoing alone (R51)."""

OUTPUT_LEFT_OUT: Final = "OutputLeftOut"
"""A warning: the outputs of all steps together are too large to be shown."""

NOT_NEEDED: Final = "NotNeeded"
"""Why a loser of ``complete_when`` is undone (R40)."""

COMPENSATION_FAILED: Final = "CompensationFailed"
"""Something could not be undone."""

COMPENSATION_REQUESTED: Final = "CompensationRequested"
"""Why a completed saga is undone whose parent has not said why."""

NO_JOURNAL: Final = "NoJournal"
"""A completed child has not said what it has done."""

NOT_POSSIBLE: Final = "NotPossible"
"""What somebody asks of a run makes no sense now."""
