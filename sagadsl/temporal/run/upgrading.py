"""When a run goes over to another version of its workers: at continue-as-new, if its worker says so. Replay-critical.

A run that is pinned ends on the version on which it began, and so does the run that continues it, unless the command
says otherwise. Whether it does is no matter of the definition, so the worker decides, and the history keeps each
decision that leads to a new run as a marker: at a replay, another worker may have been told something else.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.workflow import ContinueAsNewVersioningBehavior

from sagadsl.temporal.wire.child_memo import DETACHED

UPGRADES = "sagadsl.upgrades"
"""Name of the function of a worker that says whether its runs go over to another version."""

_MARKER = "sagadsl.upgrade"
"""Marker of the decision to go over, with the length of the history at that time."""


def goes_over() -> bool:
    """Whether the run continues as new now, because new runs go to another version than its own."""
    info = workflow.info()
    if not info.is_target_worker_deployment_version_changed():
        return False
    marker = f"{_MARKER}.{info.get_current_history_length()}"
    if workflow.unsafe.is_replaying():
        return workflow.patched(marker)
    return _is_told() and workflow.patched(marker)


def of_next_run(*, migrates: bool = False) -> ContinueAsNewVersioningBehavior | None:
    """Return where the run that continues this one begins; ``None`` leaves that to the server.

    Args:
        migrates: It has another definition, which may need what the newest workers have.
    """
    info = workflow.info()
    if info.get_current_deployment_version() is None or not (migrates or _is_told()):
        return None
    return ContinueAsNewVersioningBehavior.AUTO_UPGRADE


def _is_told() -> bool:
    """Whether the worker sends its runs to other versions; a child saga stays with the parent that reads its state."""
    asked = workflow.extern_functions().get(UPGRADES)
    is_child = workflow.info().parent is not None and not workflow.memo_value(DETACHED, default=False)
    return asked is not None and bool(asked()) and not is_child
