"""How long sagas can take, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from sagadsl.language.analysis.timing import Bound, SagaTime, timing
from sagadsl.language.loaded import Loaded
from sagadsl.language.notation.durations import spell


def times_of(files: Sequence[Loaded]) -> list[tuple[str, SagaTime]]:
    """Return the usable sagas among *files*, each with its times."""
    return [
        (f"{each.saga.name} {each.saga.version}".rstrip(), timing(each.saga)) for each in files if each.saga is not None
    ]


def as_text(times: Sequence[tuple[str, SagaTime]]) -> str:
    """Return a table for each saga."""
    return "\n\n".join("\n".join(_table(name, found)) for name, found in times)


def as_data(times: Sequence[tuple[str, SagaTime]]) -> list[dict[str, Any]]:
    """Return the same as JSON data."""
    return [
        {
            "saga": name,
            **_bounds(found.once, found.retried, found.undo),
            "timeout": found.limit,
            "steps": [
                {"step": each.id, "depth": each.depth, **_bounds(each.once, each.retried, each.undo)}
                for each in found.steps
            ],
        }
        for name, found in times
    ]


def _bounds(once: Bound, retried: Bound, undo: Bound) -> dict[str, Any]:
    return {
        "once": once.seconds,
        "retried": retried.seconds,
        "undo": undo.seconds,
        "why": list(dict.fromkeys(each.why for each in (once, retried, undo) if each.why)),
    }


def _table(name: str, found: SagaTime) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [("", "one attempt", "all retries", "undoing")]
    rows += [("  " * each.depth + each.id, *map(_short, (each.once, each.retried, each.undo))) for each in found.steps]
    rows.append(("in all", *map(_short, (found.once, found.retried, found.undo))))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    limit = "" if found.limit is None else f"   timeout {spell(timedelta(seconds=found.limit))}"
    yield f"{name}: how long it can take{limit}"
    for row in rows:
        yield " " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
    shown = [bound for each in found.steps for bound in (each.once, each.retried, each.undo)]
    shown += [found.once, found.retried, found.undo]
    for why in dict.fromkeys(bound.why for bound in shown if bound.why):
        yield f"   ∞ {why}"


def _short(bound: Bound) -> str:
    return "∞" if bound.seconds is None else spell(timedelta(seconds=bound.seconds))
