"""The rounds of loops: what a loop keeps from round to round, and whether another round follows. Replay-critical."""

from __future__ import annotations

from typing import Any

from sagadsl.engine import calls
from sagadsl.engine.journal import Closing, Frame, FrameKind
from sagadsl.engine.run import Mistake, Run, error_of
from sagadsl.engine.scope import STATE, scope
from sagadsl.language.calls import Count, Counted, most_of
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.model import Block, Branching, Loop, Repeat
from sagadsl.language.own_errors import REPEAT_EXHAUSTED
from sagadsl.language.paths import round_path


def round_of(run: Run, frame: Frame, index: int) -> Frame:
    """Return the frame of one round of the loop *frame*, and note that it is open."""
    owner = run.state.records[frame.owner]
    body = run.step(owner).body
    assert isinstance(body, Loop)
    path = round_path(frame.path, index)
    frame.open[path] = True
    frame.cursor = index + 1
    return Frame(
        path,
        FrameKind.SEQUENCE,
        frame.owner,
        "steps",
        parent=frame.path,
        loops={**frame.loops, owner.step: index},
        variables=_variables(frame, body, index),
    )


def _variables(frame: Frame, body: Loop, index: int) -> dict[str, Any]:
    if isinstance(body, Repeat):
        return {"item_index": index}
    assert frame.items is not None
    return {body.variable: frame.items[index], "item_index": index}


def first(body: Loop, names: dict[str, Any]) -> dict[str, Any]:
    """Return the names that the frame of a loop adds before its first round: its state, if it keeps one."""
    return {} if body.memory is None else {STATE: body.memory.state.render(names)}


def remember(run: Run, frame: Frame, round_: Frame, body: Loop) -> None:
    """Change the state of a loop as its ``next`` says, after a round that ended well."""
    if body.memory is None or body.memory.next is None:
        return
    changed = body.memory.next.render(scope(run.saga, run.state, round_))
    frame.variables = {STATE: {**frame.variables[STATE], **changed}}


def computed_limit(body: Block, names: dict[str, Any]) -> int | None:
    """Return the bound of a block that an expression gives now, when the block begins; ``None`` if none does."""
    if isinstance(body, Branching) and isinstance(body.max_concurrency, Counted):
        return calls.count(body.max_concurrency, names, "max_concurrency")
    if isinstance(body, Repeat) and isinstance(body.maximum_attempts, Counted):
        return calls.count(body.maximum_attempts, names, "maximum_attempts")
    return None


def limit(frame: Frame, written: Count | None) -> int | None:
    """Return the bound of an open block: how many run at once, or how many rounds there are."""
    return most_of(written) if frame.limit is None else frame.limit


def is_over(frame: Frame, body: Repeat, names: dict[str, Any]) -> bool:
    """Whether no further round follows, because ``while`` does not hold."""
    if body.goes_on is None:
        return False
    return not body.goes_on.render({**names, **frame.variables, **_variables(frame, body, frame.cursor)})


def round_ended(run: Run, frame: Frame, round_: Frame, outputs: dict[str, Any]) -> None:
    """Decide, after a round of ``repeat`` that ended well, whether another one follows, and when."""
    owner = run.state.records[frame.owner]
    step = run.step(owner)
    body = step.body
    assert isinstance(body, Repeat)
    if body.goes_on is not None or step.output is not None:
        frame.outputs = outputs  # the loop may end without a further round
    try:
        remember(run, frame, round_, body)
        names = scope(run.saga, run.state, round_)
        if body.until is not None and body.until.render(names):
            frame.outputs = outputs
            frame.closing = Closing.EARLY
        elif is_over(frame, body, names):
            frame.closing = Closing.EARLY
        elif (most := limit(frame, body.maximum_attempts)) is not None and frame.cursor >= most:
            raise Mistake(REPEAT_EXHAUSTED, _exhausted(body, frame.cursor))
        elif body.every is not None:
            pause = calls.duration(body.every, names, "every")
            assert pause is not None
            run.set_timer(frame.path, run.state.now + pause.total_seconds(), f"next round of {owner.path}")
    except (ExpressionError, Mistake) as mistake:
        frame.failure = error_of(mistake, owner.path)
        frame.closing = Closing.FAILED


def _exhausted(body: Repeat, rounds: int) -> str:
    if body.until is None:
        return f"`while` still holds after {rounds} rounds"
    return f"`until` did not hold in {rounds} rounds"
