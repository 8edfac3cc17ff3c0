"""The result of a completed saga: its output, or null and a warning. Replay-critical.

All effects have happened by then. So nothing here decides about effects: a mistake becomes a warning
beside the output, and the saga has completed anyway.
"""

from __future__ import annotations

from typing import Any

from sagadsl.engine import blocks
from sagadsl.engine.facts import Error
from sagadsl.engine.journal import Closing, Frame, State
from sagadsl.engine.run import OUTPUT_BYTES, Run
from sagadsl.engine.scope import scope
from sagadsl.engine.squeeze import compact
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.model import Saga
from sagadsl.language.own_errors import EXPRESSION_ERROR, OUTPUT_LEFT_OUT, PAYLOAD_TOO_LARGE

OUTPUT_NEVER_FAILS = 2
"""Since this version of the rules, a mistake in the output undoes nothing."""


def saga_output(run: Run, frame: Frame, *, lenient: bool = False) -> Any:
    """Return the result of a completed saga: its ``output``, or outputs by step id.

    Args:
        lenient: A step without an output counts as one with null.
    """
    if run.saga.output is None:
        return blocks.outputs(run, frame)
    return run.saga.output.render(scope(run.saga, run.state, frame, lenient=lenient))


def conclude(run: Run, frame: Frame) -> None:
    """Set the output of the saga, or the warning that says why it is null."""
    state = run.state
    if state.output_dropped and frame.closing is None:
        text = (
            "what all steps gave was too large to be kept, so the saga gives null; say in `output` what it shall give"
        )
        state.warnings.append(Error(OUTPUT_LEFT_OUT, text))
        return
    try:
        output = state.returned[0] if frame.closing is Closing.EARLY else saga_output(run, frame, lenient=True)
    except ExpressionError as mistake:
        state.warnings.append(Error(EXPRESSION_ERROR, f"`output` of the saga is null: {mistake}"))
        return
    size = len(compact(output))
    if size <= OUTPUT_BYTES:
        state.output = output
    else:
        leave_out(run.saga, state, size, OUTPUT_BYTES)


def leave_out(saga: Saga, state: State, size: int, most: int, beside: str = "") -> None:
    """Return null instead of an output of *size* bytes, since only *most* fit; *beside* names what goes along."""
    state.output = None
    limit = f"has {size:,} bytes{beside}, at most {most:,} fit"
    if saga.output is None:
        text = f"what all steps gave {limit}, so the saga gives null; say in `output` what it shall give"
        state.warnings.append(Error(OUTPUT_LEFT_OUT, text))
    else:
        text = f"`output` of the saga is null: it {limit}; give a reference to where the data is"
        state.warnings.append(Error(PAYLOAD_TOO_LARGE, text))
