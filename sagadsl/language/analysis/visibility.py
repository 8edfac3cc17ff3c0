"""Tells which steps a place can see, and which of them may not have run.

It applies the rules of the engine to the structure alone: what runs after a step can see it; inside a
loop only what is in the same round; among branches only through ``needs``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum

from sagadsl.immutable import Immutable
from sagadsl.language.analysis.order import Needs
from sagadsl.language.calls import Value
from sagadsl.language.kinds import Lane, RenderedAt, complete_when, is_loop
from sagadsl.language.model import Parallel, Step, Then
from sagadsl.language.walk import Level, Site, Spot


class Unseen(Enum):
    """Why a place cannot read a step. The words end the sentence "step `x` cannot be read here: it …"."""

    LATER = "runs later"
    ITSELF = "is the step itself, which has not run yet"
    FAILED = "has failed, so it has no output"
    ENCLOSING = "is a block around this place, and has not ended"
    SIBLING = "runs beside this branch, which does not need it"
    OTHER_WAY = "is in another arm of the same choice, so only one of the two runs"
    LOOP = "is in a loop, and can be read inside its own round only"
    NOTICE = "is a call of `on_pause`, which only tells somebody"


class Seen(Immutable):
    """What a place can see of a step.

    Attributes:
        unseen: Why the place cannot read the step; ``None`` when it can.
        doubt: Why the step may not have run or ended; empty when it certainly has.
    """

    unseen: Unseen | None = None
    doubt: str = ""


def look(site: Site, target: Spot, needs: Callable[[Step], Needs]) -> Seen:
    """Tell what a value at *site* can see of the step at *target*.

    Args:
        needs: Gives the order of the branches of a parallel step.
    """
    here = site.spot
    if target[0].lane is Lane.ON_PAUSE:
        return Seen(Unseen.NOTICE)
    if site.phase is RenderedAt.START:
        return Seen(Unseen.LATER)
    if site.phase is RenderedAt.QUERY:
        return Seen(_judged(target, 0, set()).unseen)  # what has not run reads as null
    if site.phase is RenderedAt.END:
        return Seen(Unseen.LATER) if target[0].lane is Lane.ON_FAILURE else _judged(target, 0, set())
    for depth, (ours, theirs) in enumerate(zip(here, target, strict=False)):
        if ours.step is not theirs.step:
            unseen = _between(here, target, depth, needs)
            doubt = ""
            if here[0].lane is Lane.ON_FAILURE and theirs.lane is not Lane.ON_FAILURE:
                doubt = "the saga has failed, perhaps before it"
            elif here[0].lane is Lane.ON_PAUSE:
                doubt = "the saga may pause before it"
            doubt = doubt or _after_failure(here, target, depth)
            return Seen(unseen) if unseen else _judged(target, depth, set(_conditions(here)), doubt)
    if len(target) > len(here):
        return _inside(site, target)
    if len(target) < len(here):
        if here[len(target)].lane is not Lane.HANDLER:
            return Seen(Unseen.ENCLOSING)
        return Seen() if target[-1].step.output is not None else Seen(Unseen.FAILED)
    if site.phase is RenderedAt.UNDO or (site.phase is RenderedAt.HANDLER and here[-1].step.output is not None):
        return Seen()
    return Seen(Unseen.FAILED if site.phase is RenderedAt.HANDLER else Unseen.ITSELF)


def enclosing_conditions(site: Site) -> Iterator[Value]:
    """Yield the conditions that hold whenever *site* is rendered."""
    for depth, level in enumerate(site.spot):
        own = depth == len(site.spot) - 1
        if level.step.condition is not None and not (own and site.value is level.step.condition):
            yield level.step.condition
        if level.condition is not None:
            yield level.condition


def enclosing_loops(site: Site) -> Iterator[Step]:
    """Yield the loops whose variables can be seen at *site*, outermost first."""
    for level, inner in zip(site.spot, site.spot[1:], strict=False):
        if is_loop(level.step) and inner.lane is Lane.STEPS:
            yield level.step
    if site.phase in (RenderedAt.FIRST, RenderedAt.ROUND) and site.step is not None:
        yield site.step


def in_handler(site: Site) -> bool:
    """Whether *site* belongs to an error handler, so that it can read ``error``."""
    return site.phase is RenderedAt.HANDLER or any(level.lane is Lane.HANDLER for level in site.spot)


def _between(here: Spot, target: Spot, depth: int, needs: Callable[[Step], Needs]) -> Unseen | None:
    """Judge a step from a place in the same block: above *depth* the two ways are equal, at *depth* they part."""
    ours, theirs = here[depth], target[depth]
    if ours.lane is not theirs.lane:
        if ours.lane in (Lane.ON_FAILURE, Lane.ON_PAUSE, Lane.HANDLER):
            looped = ours.lane is Lane.HANDLER and is_loop(here[depth - 1].step)
            return Unseen.LOOP if looped else None
        return Unseen.LATER
    if ours.way != theirs.way:
        return Unseen.OTHER_WAY
    if ours.lane is Lane.BRANCH:
        order = needs(here[depth - 1].step)
        seen = order.before[ours.index] >> theirs.index & 1
        return None if seen else Unseen.SIBLING
    return None if theirs.index < ours.index else Unseen.LATER


def _after_failure(here: Spot, target: Spot, depth: int) -> str:
    if here[depth].lane is Lane.HANDLER and target[depth].lane is not Lane.HANDLER:
        return f"`{here[depth - 1].step.id}` has failed, perhaps before it"
    return ""


def _inside(site: Site, target: Spot) -> Seen:
    """Judge a step inside the step that the value belongs to."""
    depth = len(site.spot)
    step = site.spot[-1].step
    known = set(_conditions(site.spot))
    if target[depth].lane is Lane.HANDLER:
        handled = site.phase is RenderedAt.HANDLER and site.route[-2:] == (target[depth].way, "output")
        return _judged(target, depth, known) if handled else Seen(Unseen.LATER)
    match site.phase:
        case RenderedAt.ROUND:
            return _judged(target, depth, known)
        case RenderedAt.BLOCK if not is_loop(step):
            return _judged(target, depth, known, _ends_early(step))
        case RenderedAt.BRANCHES if isinstance(step.body, Parallel):
            return _judged(target, depth, known, "its branch may still run")
        case RenderedAt.HANDLER if not is_loop(step):
            return _judged(target, depth, known, f"`{step.id}` has failed, perhaps before it")
        case RenderedAt.HANDLER | RenderedAt.BRANCHES | RenderedAt.BLOCK:
            return Seen(Unseen.LOOP)
        case _:
            return Seen(Unseen.LATER)


def _ends_early(step: Step) -> str:
    return f"`{step.id}` may be complete without it" if complete_when(step) is not None else ""


def _judged(target: Spot, depth: int, known: set[str], doubt: str = "") -> Seen:
    """Judge a step whose turn comes before the place: look from *depth* on for reasons why it may not have run."""
    if any(is_loop(level.step) and inner.lane is Lane.STEPS for level, inner in _pairs(target, depth)):
        return Seen(Unseen.LOOP)
    return Seen(doubt=doubt or next(_doubts(target, depth, known), ""))


def _doubts(target: Spot, depth: int, known: set[str]) -> Iterator[str]:
    whose = target[-1].step
    for number in range(depth, len(target)):
        level = target[number]
        name = "it" if level.step is whose else f"`{level.step.id}`"
        if level.step.condition is not None and _text(level.step.condition) not in known:
            yield f"{name} is skipped when its `if` does not hold"
    for block, level in _pairs(target, depth):
        if level.lane is Lane.HANDLER:
            yield f"it runs only when `{block.step.id}` has failed"
        if level.lane is Lane.ARM and not (level.condition is not None and _text(level.condition) in known):
            yield f"it stands in one arm of `{block.step.id}`"
        if isinstance(block.step.body, Parallel) and block.step.body.complete_when is not None:
            yield f"`{block.step.id}` may be complete without it"
        if any(handler.then is Then.CONTINUE for handler in block.step.on_error):
            yield f"`{block.step.id}` goes on when something in it fails"


def _pairs(spot: Spot, depth: int) -> Iterator[tuple[Level, Level]]:
    """Yield the blocks of *spot* from *depth* on, each with the level directly inside it."""
    yield from zip(spot[depth:], spot[depth + 1 :], strict=False)


def _conditions(spot: Spot) -> Iterator[str]:
    for level in spot:
        if level.step.condition is not None:
            yield _text(level.step.condition)
        if level.condition is not None:
            yield _text(level.condition)


def _text(condition: Value) -> str:
    return str(condition.source).strip().removeprefix("{{").removesuffix("}}").strip()
