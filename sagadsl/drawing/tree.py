"""The steps of a saga as a tree of boxes: what all drawings show, on the page, in a terminal and in a file.

The path of a box names the step without the rounds of loops: a loop has one box for all of its rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, assert_never

from sagadsl.immutable import Immutable, replace
from sagadsl.language.calls import ActivityCall, Duration, SagaCall, Send, most_of
from sagadsl.language.kinds import Lane, is_loop, key_of, kind_of, parts, subject
from sagadsl.language.model import (
    Answer,
    Fail,
    ForEach,
    Group,
    Handler,
    Parallel,
    Repeat,
    Return,
    Saga,
    Set,
    Sleep,
    Step,
    Switch,
    WaitFor,
)
from sagadsl.language.notation import durations
from sagadsl.language.paths import ON_FAILURE, ROOT, drawn, drawn_round, handler_path, notice_path, path_in


class Strip(Immutable):
    """Boxes one after the other: a branch, an arm, the steps of a loop, of a group or of an error handler.

    Attributes:
        label: When they run: the condition of an arm, the errors of a handler; empty when nothing has to be said.
        then: For a handler: how the saga goes on after them.
    """

    label: str
    boxes: tuple[Box, ...]
    then: str = ""

    @property
    def ends(self) -> bool:
        """Whether nothing follows its last step."""
        return bool(self.boxes) and self.boxes[-1].ends


class Box(Immutable):
    """One step.

    Attributes:
        path: The path of the step without the rounds of loops.
        kind: The key that names its kind; ``group`` for steps one after the other.
        what: The activity, saga or signal that it is about; empty when there is none.
        about: Further words: how long it waits, over what it loops.
        lanes: The parts of a block.
        needs: Ids of the sibling branches that it waits for.
        condition: It runs only when this holds; empty: always.
        undone_by: The calls that undo it; ``itself`` for a child saga that undoes its own steps.
        handlers: Its error handlers.
    """

    id: str
    path: str
    kind: str
    what: str
    about: tuple[str, ...] = ()
    lanes: tuple[Strip, ...] = ()
    needs: tuple[str, ...] = ()
    condition: str = ""
    pivot: bool = False
    undone_by: tuple[str, ...] = ()
    handlers: tuple[Strip, ...] = ()

    @property
    def stops(self) -> bool:
        """Whether nothing follows it once it runs: it ends the saga or fails, or each of its arms or branches does."""
        if self.kind in ("for_each", "repeat"):
            return False
        return self.kind in ("fail", "return") or (bool(self.lanes) and all(each.ends for each in self.lanes))

    @property
    def ends(self) -> bool:
        """Whether nothing at all follows it: it is not left out, and no error handler goes on after it."""
        return self.stops and not self.condition and all(each.then != "continue" for each in self.handlers)


class Tree(Immutable):
    """A whole definition."""

    name: str
    version: str
    steps: tuple[Box, ...]
    on_failure: tuple[Box, ...] = ()
    on_pause: tuple[Box, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}".strip()

    @property
    def aside(self) -> tuple[Strip, ...]:
        """The boxes to which no arrow leads, with the words for when they run."""
        found = (
            Strip("when the saga has failed", self.on_failure),
            Strip("when the saga begins to wait for an operator", self.on_pause),
        )
        return tuple(each for each in found if each.boxes)

    def as_json(self) -> dict[str, Any]:
        """Return it as the page takes it; what does not apply to a box is left out."""
        return {
            "name": self.name,
            "version": self.version,
            "steps": [_json(box) for box in self.steps],
            "on_failure": [_json(box) for box in self.on_failure],
            "on_pause": [_json(box) for box in self.on_pause],
        }


def tree(saga: Saga) -> Tree:
    """Return the boxes of a saga."""
    return Tree(
        saga.name,
        saga.version,
        _boxes(saga.steps, ROOT),
        _boxes(saga.on_failure, ON_FAILURE),
        tuple(replace(_box(step, ROOT), path=drawn(notice_path(None, step.id))) for step in saga.on_pause),
    )


def _boxes(steps: tuple[Step, ...], enclosing: str) -> tuple[Box, ...]:
    return tuple(_box(step, enclosing) for step in steps)


def _box(step: Step, enclosing: str) -> Box:
    path = path_in(enclosing, step.id)
    undone_by: tuple[str, ...] = ()
    if step.compensation is not None:
        calls = (subject(action.call)[1] for action in step.compensation.actions)
        undone_by = ("itself",) if step.compensation.auto else tuple(calls)
    return Box(
        step.id,
        path,
        kind_of(step).drawn or key_of(step),
        subject(step.body)[1],
        tuple(_about(step)),
        tuple(_lanes(step, drawn_round(path) if is_loop(step) else path)),
        step.needs,
        "" if step.condition is None else str(step.condition.source),
        step.pivot,
        undone_by,
        tuple(_handler(each, path) for each in step.on_error),
    )


def _handler(handler: Handler, path: str) -> Strip:
    label = ", ".join(handler.types) or "any error"
    return Strip(label, _boxes(handler.steps, handler_path(path)), handler.then.value)


def _lanes(step: Step, enclosing: str) -> Iterator[Strip]:
    """Yield the parts that are side by side in a block: each branch, each arm."""
    for part in parts(step):
        if part.lane is Lane.BRANCH:
            yield from (Strip("", (_box(branch, enclosing),)) for branch in part.steps)
        else:
            other = "else" if part.lane is Lane.ARM else ""
            label = other if part.condition is None else str(part.condition.source)
            yield Strip(label, _boxes(part.steps, enclosing))


def _about(step: Step) -> Iterator[str]:
    match step.body:
        case Sleep(duration=duration, until=until):
            yield f"for {_length(duration)}" if until is None else f"until {until.source}"
        case WaitFor(timeout=timeout):
            yield from _within(timeout)
        case ForEach(items=items, variable=variable, max_concurrency=most):
            yield f"{variable} in {_short(items.source)}"
            most = most_of(most)
            if most != 1:
                yield "all at once" if most is None else f"at most {most} at once"
        case Repeat(until=until, goes_on=goes_on, every=every, maximum_attempts=most):
            if goes_on is not None:
                yield f"while {goes_on.source}"
            if until is not None:
                yield f"until {until.source}"
            if every is not None:
                yield f"every {_length(every)}"
            if most is not None:
                yield f"at most {most_of(most)} rounds"
        case SagaCall(detached=detached):
            if detached:
                yield "only started"
        case Parallel(complete_when=condition):
            if condition is not None:
                yield f"until {condition.source}"
        case ActivityCall() | Send() | Group() | Switch() | Set() | Fail() | Return() | Answer():
            pass
        case _:
            assert_never(step.body)
    yield from _within(step.timeout)


def _within(timeout: Duration | None) -> Iterator[str]:
    if timeout is not None:
        yield f"at most {_length(timeout)}"


def _length(duration: Duration | None) -> str:
    if isinstance(duration, timedelta):
        return durations.spell(duration)
    return "" if duration is None else str(duration.source)


def _short(source: Any) -> str:
    return f"{len(source)} items" if isinstance(source, list) else str(source)


def _json(box: Box) -> dict[str, Any]:
    data: dict[str, Any] = {"id": box.id, "path": box.path, "kind": box.kind, "what": box.what}
    if box.about:
        data["about"] = list(box.about)
    if box.lanes:
        data["lanes"] = [{"label": lane.label, "steps": [_json(each) for each in lane.boxes]} for lane in box.lanes]
    if box.needs:
        data["needs"] = list(box.needs)
    if box.condition:
        data["if"] = box.condition
    if box.pivot:
        data["pivot"] = True
    if box.undone_by:
        data["undone_by"] = list(box.undone_by)
    if box.handlers:
        data["on_error"] = [
            {"label": each.label, "then": each.then, "steps": [_json(box) for box in each.boxes]}
            for each in box.handlers
        ]
    return data
