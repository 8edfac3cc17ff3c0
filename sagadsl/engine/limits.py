"""How long a block or a child saga may take: its ``timeout``. R93. Replay-critical."""

from __future__ import annotations

from sagadsl.engine import calls
from sagadsl.engine.facts import Error
from sagadsl.engine.records import Record
from sagadsl.engine.run import Run
from sagadsl.engine.scope import names_of
from sagadsl.language.model import Step
from sagadsl.language.own_errors import STEP_TIMEOUT
from sagadsl.language.paths import TimerKind, timer


def begin(run: Run, step: Step, record: Record) -> None:
    """Set the limit of a step that begins. Raises ``ExpressionError`` or ``Mistake``."""
    limit = None if step.timeout is None else calls.duration(step.timeout, names_of(run, record), "timeout")
    if limit is not None:
        run.set_timer(
            timer(record.path, TimerKind.LIMIT), run.state.now + limit.total_seconds(), f"limit of {record.path}"
        )


def reached(path: str) -> Error:
    """Return the error of a step whose time is over."""
    return Error(STEP_TIMEOUT, "it did not end within its `timeout`", path)
