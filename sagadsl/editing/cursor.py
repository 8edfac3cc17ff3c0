"""Makes a text that is being typed readable: puts a placeholder where the cursor is, and leaves out what is broken.

Nothing that stands before the cursor moves, so that its place is the same in the text that is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sagadsl.diagnostics.findings import Route
from sagadsl.editing.source import Range, Source, value_of
from sagadsl.immutable import Immutable
from sagadsl.language.document import Document, Span, is_place, parse

MARK = "sagadsl_cursor"
"""Stands where the cursor is."""

_BROKEN_LINES = 8
_WORD = re.compile(r"[\w.-]*")
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\.)*"|' + r"'(?:[^'\n]|'')*'")
_SYNTAX = "SD0"


class Typed(Immutable):
    """A place where something is being typed.

    Attributes:
        source: The file with a placeholder in it.
        route: The route of the placeholder, which is a key or a value.
        word: What stands at the cursor and would be replaced.
        before: What of the word stands before the cursor.
    """

    source: Source
    route: Route
    at_key: bool
    word: Range
    before: str


class InBraces(Immutable):
    """An expression in braces that is being typed.

    Attributes:
        source: The file with another expression in place of it.
        start: Where the expression begins, behind its braces.
    """

    source: Source
    start: int


def in_braces(source: Source, offset: int) -> InBraces | None:
    """Return the expression in braces around a cursor; ``None`` if it is in none."""
    text, line = source.text, source.line_at(offset)
    begin = text.rfind("{{", 0, offset)
    if begin < 0 or "}}" in text[begin:offset]:
        return None
    if begin < line.start and not _one_value(source, begin, offset):
        return None
    close = text.find("}}", offset, line.end)
    again = text.find("{{", offset, line.end)
    is_closed = close >= 0 and not 0 <= again < close
    end = close + 2 if is_closed else _WORD.match(text, offset).end()  # type: ignore[union-attr]
    here = "{{ 0 }}"
    made = [text[:begin] + here + text[end:]] if is_closed or begin < line.start else []
    head = text[line.start : begin]
    made += [text[:begin] + here + tail + text[line.end :] for tail in _closers(head)]
    made.append(f'{text[:begin]}"{here}"{"".join(_brackets(head))}{text[line.end :]}')
    best = readable(source, made, line)
    return None if best is None else InBraces(source=best, start=begin + 2)


def typed(source: Source, offset: int) -> Iterator[Typed]:
    """Yield what is being typed at a cursor: as a key, as a value, or as either where both can stand."""
    text, line = source.text, source.line_at(offset)
    start = offset
    while start > line.start and _is_word(text[start - 1]):
        start -= 1
    end = _WORD.match(text, offset).end()  # type: ignore[union-attr]
    head, tail = text[line.start : start], text[end : line.end]
    has_colon = re.match(r"\s*:(?:\s|\Z)", tail) is not None
    can_be_key = re.search(r"(?:^|[-{,]|^\s*-)\s*\Z", head) is not None
    brackets = "".join(_brackets(head))
    rest = [tail, brackets] if brackets else [tail]
    for at_key in (True, False):
        if (at_key and not can_be_key) or (not at_key and has_colon):
            continue
        mark = MARK if not at_key or has_colon else f"{MARK}: null"
        blank = "" if not head or head[-1] in " \t{[" or (at_key and head.endswith("-") is False) else " "
        made = [text[: line.start] + head + blank + mark + each + text[line.end :] for each in rest]
        best = readable(source, made, line)
        if best is None:
            continue
        for loaded in best.loaded:
            route = _marked(loaded.document, at_key=at_key)
            if route is not None:
                yield Typed(best, route, at_key, Range(start, end), text[start:offset])
                break


def readable(source: Source, texts: list[str], line: Range) -> Source | None:
    """Return the first of *texts* that can be read; without one, the first that can without a few other lines."""
    for text in texts:
        if _problem(text) is None:
            return _source(source, text)
    for text in texts:
        mended: str | None = text
        for _ in range(_BROKEN_LINES):
            assert mended is not None
            wrong = _problem(mended)
            if wrong is None:
                return _source(source, mended)
            mended = _without_line(mended, wrong, line)
            if mended is None:
                break
    return None


def _source(source: Source, text: str) -> Source:
    return Source(source.path, text, source.activities)


def _problem(text: str) -> Span | None:
    """Return the place of the first mistake because of which a text cannot be read."""
    document, findings = parse(text)
    if isinstance(document.data, dict):
        return None
    wrong = next((each for each in findings if each.code.startswith(_SYNTAX)), None)
    return Span(1, 1, 1, 1) if wrong is None else document.span_of(wrong)


def _without_line(text: str, wrong: Span, kept: Range) -> str | None:
    """Return a text in which the line of a mistake, or the one before it, is a comment."""
    lines = text.splitlines(keepends=True)
    for number in (wrong.line, wrong.line - 1):
        if not 1 <= number <= len(lines):
            continue
        start = sum(map(len, lines[: number - 1]))
        content = lines[number - 1].rstrip("\r\n")
        if start == kept.start or not content.strip() or content.lstrip().startswith("#"):
            continue
        lines[number - 1] = "#" * len(content) + lines[number - 1][len(content) :]
        return "".join(lines)
    return None


def _one_value(source: Source, begin: int, offset: int) -> bool:
    """Whether two places are in one text of several lines."""
    for loaded in source.loaded:
        for route, span in loaded.document.spans.items():
            place = source.range(span)
            if not is_place(route) and place.has(begin) and place.has(offset):
                value = value_of(loaded.document.data, route)
                if isinstance(value, str):
                    return True
    return False


def _closers(head: str) -> Iterator[str]:
    """Yield what may close the text and the brackets that are open behind *head*, the likeliest first."""
    plain = _QUOTED.sub("", head)
    brackets = "".join(_brackets(head))
    open_quote = next((sign for sign in ('"', "'") if sign in plain), "")
    yield from dict.fromkeys((open_quote + brackets, brackets, '"' + brackets, "'" + brackets))


def _brackets(head: str) -> list[str]:
    """Return the brackets that close those that are open behind *head*."""
    found: list[str] = []
    for sign in re.sub(r"""["'].*\Z""", "", _QUOTED.sub("", head)):
        if sign in "{[":
            found.insert(0, "}" if sign == "{" else "]")
        elif sign in "}]" and found:
            found.pop(0)
    return found


def _marked(document: Document, *, at_key: bool) -> Route | None:
    if at_key:
        return next((route for route in document.keys if route[-1] == MARK), None)
    return next(
        (route for route in document.spans if not is_place(route) and value_of(document.data, route) == MARK), None
    )


def _is_word(sign: str) -> bool:
    return sign.isalnum() or sign in "_.-"
