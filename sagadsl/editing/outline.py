"""The outline of a file: its sagas with their steps, or the cases of a suite."""

from __future__ import annotations

from sagadsl.editing import described
from sagadsl.editing.source import Range, Source
from sagadsl.immutable import Immutable
from sagadsl.language.document import Document, parse
from sagadsl.language.kinds import parts
from sagadsl.language.loaded import Loaded
from sagadsl.language.model import Step


class OutlineEntry(Immutable):
    """One line of an outline.

    Attributes:
        range: All of it; ``name_range`` is its name alone, within it.
    """

    name: str
    detail: str
    is_step: bool
    range: Range
    name_range: Range
    inside: tuple[OutlineEntry, ...] = ()


def outline(source: Source) -> tuple[OutlineEntry, ...]:
    """Return the outline of a file, as far as it can be read."""
    if source.is_suite:
        return _cases(source)
    return tuple(found for each in source.loaded if (found := _saga(source, each)) is not None)


def _saga(source: Source, loaded: Loaded) -> OutlineEntry | None:
    saga, document = loaded.draft, loaded.document
    if saga is None:
        return None
    lists = (*saga.steps, *saga.on_failure, *saga.on_pause)
    steps = tuple(found for each in lists if (found := _step(source, document, each)) is not None)
    name = source.of(document, ("name",)) or Range(0, 0)
    whole = source.of(document, ()) or name
    if document.part is not None and steps:
        whole = Range(name.start, max(each.range.end for each in steps))
    whole = Range(min(whole.start, name.start), max(whole.end, name.end))
    return OutlineEntry(name=saga.name, detail="saga", is_step=False, range=whole, name_range=name, inside=steps)


def _step(source: Source, document: Document, step: Step) -> OutlineEntry | None:
    whole = source.of(document, step.route)
    if whole is None:
        return None
    own = source.of(document, (*step.route, "id")) or whole
    own = own if whole.start <= own.start and own.end <= whole.end else whole
    handlers = [inner for handler in step.on_error for inner in handler.steps]
    lists = (*(inner for part in parts(step) for inner in part.steps), *handlers)
    inside = tuple(found for each in lists if (found := _step(source, document, each)) is not None)
    return OutlineEntry(
        name=step.id, detail=described.step(step), is_step=True, range=whole, name_range=own, inside=inside
    )


def _cases(source: Source) -> tuple[OutlineEntry, ...]:
    document, _ = parse(source.text, str(source.path))
    cases = document.data.get("cases") if isinstance(document.data, dict) else None
    found = []
    for number, case in enumerate(cases if isinstance(cases, list) else ()):
        route = ("cases", number)
        whole, name = source.of(document, route), source.of(document, (*route, "name"))
        if whole is not None and name is not None and isinstance(case, dict):
            found.append(
                OutlineEntry(name=str(case.get("name")), detail="case", is_step=False, range=whole, name_range=name)
            )
    return tuple(found)
