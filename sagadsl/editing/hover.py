"""What is said of the word under a cursor: what a key is for, what an activity takes, what an expression gives."""

from __future__ import annotations

import re
from typing import NamedTuple

from sagadsl.editing import described, mentions
from sagadsl.editing.schema_at import said_of
from sagadsl.editing.shapes_at import is_written_bare, reading
from sagadsl.editing.source import At, Range, Source, value_of
from sagadsl.language.document import parse
from sagadsl.language.loaded import Loaded

_CHAIN = re.compile(r"""[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\s*(?:\d+|"[^"\n]*"|'[^'\n]*')\s*\])*""")


class Said(NamedTuple):
    """Markdown about a range."""

    text: str
    range: Range


def hover(source: Source, offset: int) -> Said | None:
    """Return what is known of the word under a cursor."""
    if source.is_suite:
        return _of_suite(source, offset)
    loaded = source.part_at(offset)
    if loaded is None:
        return None
    at = source.at_in(loaded, offset)
    if at.at_key:
        return _key(source, at)
    return _expression(source, loaded, offset) or _value(source, at)


def _key(source: Source, at: At) -> Said | None:
    place = source.of(at.loaded.document, at.route, at_key=True)
    schema = said_of("saga", at.loaded.document.data, at.route)
    return Said(described.key(schema), place) if schema and place is not None else None


def _of_suite(source: Source, offset: int) -> Said | None:
    document, _ = parse(source.text, str(source.path))
    for route, span in document.keys.items():
        place = source.range(span)
        if place.has(offset) and (schema := said_of("suite", document.data, route)):
            return Said(described.key(schema), place)
    return None


def _expression(source: Source, loaded: Loaded, offset: int) -> Said | None:
    site = source.site_at(source.at_in(loaded, offset))
    text = source.text
    if site is None:
        return None
    begin, end = text.rfind("{{", 0, offset), text.find("}}", offset)
    in_braces = begin >= 0 and end >= 0 and "}}" not in text[begin:offset]
    if not in_braces and not is_written_bare(site):
        return None
    line = source.line_at(offset)
    found = reading(source, source.at_in(loaded, offset))
    for chain in _CHAIN.finditer(text, max(line.start, begin + 2 if in_braces else 0), line.end):
        if not chain.start() <= offset <= chain.end() or found is None:
            continue
        stop = _word_end(text, offset, chain.end())
        expression = text[chain.start() : stop]
        step = re.fullmatch(r"steps\.(\w+)", expression)
        if step is not None:
            return _step(source, loaded, step[1], Range(chain.start(), stop))
        shape = found.shape(expression) if expression.partition(".")[0] in found.names else None
        if shape is not None:
            said = f"`{expression}`: {described.shape(shape)}"
            return Said(said, Range(chain.start(), stop))
    return None


def _step(source: Source, loaded: Loaded, name: str, place: Range) -> Said | None:
    analysis = source.analysis(loaded)
    spot = None if analysis is None else analysis.structure.steps.get(name)
    if analysis is None or spot is None:
        return None
    step = spot[-1].step
    lines = [f"**{step.id}** · {described.step(step)}", step.description]
    lines.append(f"output: {described.shape(analysis.shapes.output(step))}")
    return Said("\n\n".join(filter(None, lines)), place)


def _word_end(text: str, offset: int, end: int) -> int:
    """Return the end of the word under a cursor: ``a.b.c`` up to ``b`` if the cursor is in ``b``."""
    found = re.compile(r"[\w\]\"']*").match(text, offset)
    return min(end, found.end() if found is not None else offset)


def _value(source: Source, at: At) -> Said | None:
    document = at.loaded.document
    place = source.of(document, at.route)
    keys = [each for each in at.route if isinstance(each, str)]
    value = value_of(document.data, at.route)
    if place is None or not keys or not isinstance(value, str):
        return None
    if keys[-1] in ("activity", "one_of") and source.activities is not None and value in source.activities:
        return Said(described.activity(source.activities[value]), place)
    if keys[-1] in ("needs", "id"):
        found = mentions.at(source, at.loaded, place.start) or mentions.at(source, at.loaded, place.end)
        return None if found is None else _step(source, at.loaded, found.step, place)
    schema = said_of("saga", document.data, at.route) if keys[-1] != "input" else {}
    return Said(described.key(schema), place) if schema else None
