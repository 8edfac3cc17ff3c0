"""How large the histories of sagas can become, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sagadsl.columns import table
from sagadsl.language.analysis.history import (
    GOES_ON_AFTER,
    GOES_ON_AT,
    MOST_EVENTS,
    MOST_HISTORY_BYTES,
    Most,
    SagaSize,
    history,
)
from sagadsl.language.analysis.known import Signature
from sagadsl.language.loaded import Loaded
from sagadsl.plugins.catalogue import Catalogue


def sizes_of(files: Sequence[Loaded], catalogue: Catalogue | None) -> list[tuple[str, SagaSize]]:
    """Return the usable sagas among *files*, each with what its history can hold."""
    found = []
    for each in files:
        if each.saga is not None:
            known = _known(catalogue, sorted(each.size.activities)) if each.size else {}
            name = f"{each.saga.name} {each.saga.version}".rstrip()
            found.append((name, history(each.saga, each.definition, known)))
    return found


def _known(catalogue: Catalogue | None, names: Sequence[str]) -> Mapping[str, Signature]:
    found = {} if catalogue is None else {name: catalogue.signature(name) for name in names}
    return {name: each for name, each in found.items() if isinstance(each, Signature)}


def as_text(sizes: Sequence[tuple[str, SagaSize]], width: int | None = None) -> str:
    """Return a table for each saga; *width* is that of the screen."""
    return "\n\n".join("\n".join(_table(name, found, width)) for name, found in sizes)


def as_data(sizes: Sequence[tuple[str, SagaSize]]) -> list[dict[str, Any]]:
    """Return the same as JSON data."""
    return [
        {
            "saga": name,
            "events": found.whole.events,
            "bytes": found.whole.bytes,
            "why": found.whole.why,
            "longest_run_events": found.longest,
            "steps": [
                {
                    "step": each.id,
                    "depth": each.depth,
                    "events": each.forward.events,
                    "undo_events": each.undo.events,
                    "bytes": (each.forward + each.undo).bytes,
                    "why": (each.forward + each.undo).why,
                }
                for each in found.steps
            ],
        }
        for name, found in sizes
    ]


def _table(name: str, found: SagaSize, width: int | None) -> Iterator[str]:
    rows: list[tuple[str, ...]] = []
    for each in found.steps:
        rows.append((" " + "  " * each.depth + each.id, _events(each.forward), _events(each.undo), _bytes(each)))
    whole = found.whole
    rows.append(
        (" in all, with start and end", "∞" if whole.events is None else f"{whole.events:,}", "", _size(whole.bytes))
    )
    yield f"{name}: what its history holds at most"
    yield from table(rows, width, (" ", "events", "undoing", "bytes"))
    for why in dict.fromkeys((each.forward + each.undo).why for each in found.steps):
        if why:
            yield f"   ∞ {why}"
    yield f"   {_runs(found)}"
    if any("MB" in row[3] for row in rows):
        yield "   a value without a limit counts as 2 MB"
    yield f"   the server ends a run that has {MOST_EVENTS:,} events or {_size(MOST_HISTORY_BYTES)}"


def _events(size: Most) -> str:
    return "∞" if size.events is None else f"{size.events:,}"


def _bytes(each: Any) -> str:
    return _size((each.forward + each.undo).bytes)


def _size(number: int | None) -> str:
    if number is None:
        return "∞"
    return f"{number / 1_000_000:,.1f} MB" if number >= 100_000 else f"{number / 1_000:,.1f} kB"


def _runs(found: SagaSize) -> str:
    if found.is_in_one_run:
        return f"one run; above {_size(GOES_ON_AT)} it goes on in a new one, as soon as no call is open"
    if found.longest is None:
        return f"several runs: above {GOES_ON_AFTER:,} events it goes on in a new one, as soon as no call is open"
    runs = "" if found.whole.events is None else f"up to {-(-found.whole.events // GOES_ON_AFTER):,} "
    return f"{runs}runs, the longest with {found.longest:,} events"
