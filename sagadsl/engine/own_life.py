"""What a step says of its child saga beside input and queue: a chosen id, and a life of its own. Replay-critical.

R113 to R116: an id that an expression chooses is used once, and remembered; a detached child is only started; a child
that may be abandoned goes on when its parent is stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagadsl.engine import calls
from sagadsl.engine.facts import StartChild
from sagadsl.engine.records import Record
from sagadsl.engine.run import Mistake, Run
from sagadsl.immutable import replace
from sagadsl.language.calls import SagaCall
from sagadsl.language.expressions.data import shortened
from sagadsl.language.own_errors import EXPRESSION_ERROR
from sagadsl.language.paths import MAX_ID, call_of_child, child_generation


def with_own_life(
    run: Run, call: SagaCall, command: StartChild, record: Record, names: Mapping[str, Any]
) -> StartChild:
    """Return the command to begin a child saga with what its step says of the child's id and life."""
    if call.detached or call.abandons:
        command = replace(command, detached=call.detached, abandons=True)
    chosen = calls.text(call.workflow_id, names, "workflow_id")
    if chosen is None:
        return command
    _check(run, chosen)
    is_own, record.child = record.child == chosen, chosen
    return replace(
        command,
        workflow_id=chosen,
        chosen=command.call_id,
        generation=child_generation(run.state.caller, command.call_id),
        renews=is_own or bool(run.state.generation),  # a saga that begins anew does all of its work once more
    )


def _check(run: Run, chosen: str) -> None:
    size = len(chosen.encode("utf-8", "surrogatepass"))
    if size > MAX_ID:
        raise Mistake(EXPRESSION_ERROR, f"`workflow_id` has at most {MAX_ID} bytes, found {size:,}")
    if call_of_child(run.state.saga_id, chosen) != chosen:  # it would be taken for that of another step's child
        raise Mistake(
            EXPRESSION_ERROR,
            f"`workflow_id` is `{shortened(chosen, 60)}`, the form of ids of children without a `workflow_id`: "
            "let it not begin with the id of its parent and `/`",
        )
