"""What a definition promises when a step begins: how the step is undone. R72. Replay-critical."""

from __future__ import annotations

from collections.abc import Callable

from sagadsl.language.calls import Call, SagaCall, Send
from sagadsl.language.kinds import subject
from sagadsl.language.model import Step


def called(step: Step) -> str:
    """Return the name of the activity or the child saga that a step calls; empty when it calls none."""
    return subject(step.body)[1] if isinstance(step.body, Call) else ""


def _queue(call: Call) -> object:
    return None if isinstance(call, Send) else call.task_queue


def undone_otherwise(then: Step, now: Step, is_same_child: Callable[[str], bool] = lambda _: True) -> bool:
    """Whether two definitions would undo a step differently."""
    undo = then.compensation
    if undo != now.compensation:
        return True
    if undo is None:
        return False
    if isinstance(then.body, Call) and isinstance(now.body, Call):
        if (then.body.input is None) != (now.body.input is None):  # a compensation may take its step's input
            return True
        if undo.auto and (called(then) != called(now) or _queue(then.body) != _queue(now.body)):
            return True
    children = [action.call.saga for action in undo.actions if isinstance(action.call, SagaCall)]
    if undo.auto:
        children.append(called(then))
    return not all(map(is_same_child, children))
