"""Tells what the blocks around a step would do about its error. Replay-critical.

It looks outwards from a frame and changes nothing.
"""

from __future__ import annotations

from sagadsl.engine.facts import Error
from sagadsl.engine.journal import Frame, FrameKind, HandlerSteps
from sagadsl.engine.matching import is_one_of
from sagadsl.engine.run import Run
from sagadsl.engine.scope import outwards
from sagadsl.language.model import Branching


def taken_outside(run: Run, frame: Frame, error: Error) -> bool:
    """Say whether a block around *frame* has a handler for *error*; the handler's ``if``, if any, may hold."""
    for around in outwards(run.state, frame):
        if not around.owner:
            continue
        owner = run.state.records[around.owner]
        if isinstance(around.body, HandlerSteps):  # a handler that fails ends with the error that it should handle
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
    if any(_may_do_without(run, around, frame) for around in outwards(run.state, frame)):
        return False
    return not taken_outside(run, frame, error)


def _may_do_without(run: Run, around: Frame, failed: Frame) -> bool:
    """Say whether *around* may still end well: as an error handler, or as a block that does not need every branch."""
    if isinstance(around.body, HandlerSteps):
        return True
    if around.kind not in (FrameKind.PARALLEL, FrameKind.LOOP):
        return False
    block = run.step(run.state.records[around.owner]).body
    assert isinstance(block, Branching)
    return block.complete_when is not None and not (around is failed and block.cancel_on_failure)
