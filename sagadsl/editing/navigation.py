"""Where the name under a cursor leads: to a step, to the file of a child saga, to the saga of a suite."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sagadsl.editing import mentions
from sagadsl.editing.source import Range, Source, value_at, value_of
from sagadsl.editing.workspace import Workspace
from sagadsl.language.document import parse
from sagadsl.language.loaded import SUFFIXES, Address


class Destination(NamedTuple):
    """A place in a file."""

    path: Path
    range: Range


def target(workspace: Workspace, source: Source, offset: int) -> Destination | None:
    """Return where the name under a cursor is defined. Within ``as_typed``."""
    if source.is_suite:
        return _of_suite(workspace, source, offset)
    loaded = source.part_at(offset)
    if loaded is None:
        return None
    found = mentions.at(source, loaded, offset)
    if found is not None:
        own = (each for each in mentions.mentions(source, loaded) if each.step == found.step and each.is_own)
        return next((Destination(source.path, each.range) for each in own), None)
    at = source.at_in(loaded, offset)
    name = value_of(loaded.document.data, at.route)
    if at.route[-1:] == ("saga",) and not at.at_key and isinstance(name, str):
        return _saga(workspace, source, name)
    return None


def _saga(workspace: Workspace, source: Source, name: str) -> Destination | None:
    """Return where a child saga stands: in the same file, or in one beside it."""
    beside = sorted(path for path in source.path.parent.iterdir() if path.name.endswith(SUFFIXES))
    for path in (source.path, *beside):
        other = source if path == source.path else workspace.source(path)
        if other is None or name not in other.text:
            continue
        for loaded in other.loaded:
            place = other.of(loaded.document, ("name",))
            if loaded.draft is not None and loaded.draft.name == name and place is not None:
                return Destination(path, place)
    return None


def _of_suite(workspace: Workspace, source: Source, offset: int) -> Destination | None:
    document, _ = parse(source.text, str(source.path))
    route = value_at(source, document, offset)
    named = value_of(document.data, route)
    if route[-1:] != ("saga",) or not isinstance(named, str):
        return None
    address = Address.of(source.path.parent / named)
    other = workspace.source(address.file)
    for loaded in () if other is None else other.loaded:
        place = other.of(loaded.document, ("name",)) if other is not None else None
        if place is not None and address.saga in (None, loaded.draft.name if loaded.draft else None):
            return Destination(address.file, place)
    return None
