"""SD7xx, fourth part: what a loop keeps from round to round, and what it goes on for."""

from __future__ import annotations

from collections.abc import Iterator

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.model import ForEach, Loop, Memory, Repeat, Step
from sagadsl.language.suggest import closest, listed


def states_that_cannot_be_kept(analysis: Analysis) -> Iterator[Finding]:
    """SD713: items that run at the same time cannot hand on a `state`, and `next` sets only what `state` has."""
    for spot in analysis.structure.spots:
        step = spot[-1].step
        if not isinstance(step.body, Loop) or step.body.memory is None:
            continue
        key = "for_each" if isinstance(step.body, ForEach) else "repeat"
        if isinstance(step.body, ForEach) and step.body.max_concurrency != 1:
            yield Finding(
                "SD713",
                f"the items of `{step.id}` run at the same time, so none can hand on `state` to the next one",
                (*step.route, key, "max_concurrency"),
                help="leave out `max_concurrency`, or compute from the loop's output after the loop",
                step=step.id,
            )
        yield from _unknown(step, key, step.body.memory)


def _unknown(step: Step, key: str, memory: Memory) -> Iterator[Finding]:
    known = memory.state.items or {}
    for name in (memory.next.items if memory.next is not None else None) or ():
        if name not in known:
            near = closest(name, known)
            yield Finding(
                "SD713",
                f"`next` sets `{name}`, which `state` does not have",
                (*step.route, key, "next", name),
                help=f"did you mean `{near}`?" if near else f"add `{name}` with its first value to `state`",
                notes=(f"`state` has {listed(known)}",) if known else (),
                step=step.id,
                at_key=True,
            )


def conditions_that_no_round_changes(analysis: Analysis) -> Iterator[Finding]:
    """SD717: if a `while` reads nothing that a round changes, the loop has no round, or does not end by it."""
    for spot in analysis.structure.spots:
        step = spot[-1].step
        loop = step.body
        if not isinstance(loop, Repeat) or loop.goes_on is None or loop.until is not None:
            continue
        next_ = None if loop.memory is None else loop.memory.next
        changed = set((next_ and next_.items) or ())
        is_misspelt = loop.memory is not None and not changed <= set(loop.memory.state.items or ())  # SD713 says so
        if is_misspelt or any(_may_change(chain, changed) for chain in loop.goes_on.reads):
            continue
        yield Finding(
            "SD717",
            f"`while` of `{step.id}` is the same before every round: no round changes what it reads",
            (*step.route, "repeat", "while"),
            severity=Severity.WARNING,
            help="let `next` change a field of `state` that `while` reads",
            notes=(f"`next` changes {listed(changed)}",) if changed else (),
            step=step.id,
        )


def _may_change(chain: tuple[str, ...], changed: set[str]) -> bool:
    """Whether what a `while` reads may be different before another round."""
    match chain:
        case ("item_index", *_) | ("saga",) | ("saga", "now", *_) | ("state",):
            return True
        case ("state", field, *_):
            return field in changed
        case _:
            return False
