"""Tells what the blocks around a step would do about its error. Replay-critical.

It looks outwards from a frame and changes nothing.
"""

from __future__ import annotations

from sagadsl.engine import retries
from sagadsl.engine.facts import Error
from sagadsl.engine.journal import Frame, FrameKind, HandlerSteps
from sagadsl.engine.matching import is_one_of
from sagadsl.engine.run import Run
from sagadsl.engine.scope import outwards
from sagadsl.language.model import Branching


def taken_outside(run: Run, frame: Frame, error: Error) -> bool:
    """Say whether a block around *frame* has a handler for *error*; the handler's ``if``, if any, may hold."""
    for enclosing in outwards(run.state, frame):
        if not enclosing.owner:
            continue
        owner = run.state.records[enclosing.owner]
        if isinstance(enclosing.body, HandlerSteps):  # a handler that fails ends with the error that it should handle
            error = owner.error or error
        elif any(
            not handler.types or is_one_of(error, handler.types, run.state.rules)
            for handler in run.step(owner).on_error
        ):
            return True
    return False


def is_final(run: Run, frame: Frame, error: Error) -> bool:
    """Say whether an error in *frame* certainly fails the saga, although its siblings have not settled yet."""
    if not run.forward or run.state.pivot_at or run.state.pivot_passed:
        return False
    for enclosing in outwards(run.state, frame):
        if _may_do_without(run, enclosing, frame):
            return False
        if enclosing.owner and retries.has_more(run, run.state.records[enclosing.owner], error):
            return False
    return not taken_outside(run, frame, error)


def _may_do_without(run: Run, enclosing: Frame, failed: Frame) -> bool:
    """Say whether *enclosing* may still end well: as an error handler, or as a block that can do without a branch."""
    if isinstance(enclosing.body, HandlerSteps):
        return True
    if enclosing.kind not in (FrameKind.PARALLEL, FrameKind.LOOP):
        return False
    block = run.step(run.state.records[enclosing.owner]).body
    assert isinstance(block, Branching)
    return block.complete_when is not None and not (enclosing is failed and block.cancel_on_failure)
