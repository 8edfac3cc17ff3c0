"""What the memo of a child saga says of its parent, where the child's id says nothing of it. Replay-critical.

The id of most children is their parent's id and the call; theirs say nothing here. A memo goes with a run to the next
one, and whoever looks at a run can read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagadsl.engine.facts import StartChild

CALL = "call"
"""The call that has begun a child whose id was chosen, as the parent's status spells it."""

DETACHED = "detached"
"""Nobody waits for the child's end."""


def child_memo(command: StartChild) -> Mapping[str, Any]:
    """Return what stands in a child's memo beside what its definition says."""
    call = {CALL: command.chosen} if command.chosen else {}
    return call | ({DETACHED: True} if command.detached else {})
