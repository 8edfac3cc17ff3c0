"""``# sagadsl: ignore[SD602] reason``: suppresses findings that the author accepts. It reads only comments.

A suppression on a line of its own is for the next line that is not a comment; otherwise it is for
its own line. YAML and schema errors cannot be suppressed, since such a file cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from sagadsl.diagnostics.codes import CODES
from sagadsl.diagnostics.findings import Finding, Route, Severity
from sagadsl.immutable import Immutable, replace
from sagadsl.language.document import Document, Span
from sagadsl.later import compiled_later

_COMMENT = compiled_later(r"(?:^|(?<=\s))#\s*sagadsl\s*:(?P<words>.*)")
_IGNORE = compiled_later(r"\s*ignore\s*\[(?P<codes>[^\]]*)\]")
_UNSUPPRESSIBLE = ("SD0", "SD1")


class _Suppression(Immutable):
    line: int
    codes: tuple[str, ...]
    place: Route


def apply(
    document: Document, findings: Iterable[Finding], line_of: Callable[[Finding], int], *, complete: bool
) -> tuple[Document, tuple[Finding, ...]]:
    """Return the findings without the suppressed ones, and add the findings about the suppressions themselves.

    Args:
        complete: Whether every check has run. Otherwise nobody knows whether a suppression is unused.
    """
    kept = tuple(findings)
    if "sagadsl" not in document.text or "#" not in document.text:
        return document, kept
    spans, problems, suppressions = dict(document.spans), list[Finding](), list[_Suppression]()
    for number, (line, span, words) in enumerate(_comments(document), 1):
        place = (-1_000_000 - number,)  # a comment has no route of its own
        spans[place] = span
        read = _read(line, place, words)
        if isinstance(read, Finding):
            problems.append(read)
        else:
            suppressions.append(read)
    if not suppressions and not problems:
        return document, kept
    by_line: dict[int, list[_Suppression]] = {}
    for each in suppressions:
        by_line.setdefault(each.line, []).append(each)
    used: set[tuple[Route, str]] = set()
    remaining = []
    for finding in kept:
        never = finding.code.startswith(_UNSUPPRESSIBLE)
        matching = [each for each in by_line.get(line_of(finding), ()) if finding.code in each.codes and not never]
        used.update((each.place, finding.code) for each in matching)
        if not matching:
            remaining.append(finding)
    if complete:
        problems += _unused([each for each in suppressions if _is_own(document, each.line)], used)
    return replace(document, spans=spans), (*remaining, *problems)


def _is_own(document: Document, line: int) -> bool:
    """Whether a line is about this document; what several documents share may be about another one."""
    return document.part is None or document.part.lines[0] <= line <= document.part.lines[1]


def _is_of_another(document: Document, line: int) -> bool:
    part = document.part
    return part is not None and part.of_all[0] <= line <= part.of_all[1] and not _is_own(document, line)


def _comments(document: Document) -> Iterator[tuple[int, Span, str]]:
    """Yield for each suppression the line whose findings it suppresses, its place, and its words."""
    found = [each for each in _candidates(document.text) if not _is_of_another(document, each[0])]
    texts = _texts(document) if found else {}
    for line, span, words in found:
        if not any(text[:2] <= span[:2] < text[2:] for text in texts.get(span.line, ())):
            yield line, span, words


@lru_cache(maxsize=1)  # each saga of a file asks for it
def _candidates(text: str) -> tuple[tuple[int, Span, str], ...]:
    """Return what looks like a suppression, also inside of texts that only quote one."""
    lines = text.splitlines()
    following = [len(lines) + 1] * (len(lines) + 1)  # for each line, the next line with more than a comment
    for number in range(len(lines) - 1, -1, -1):
        empty = not lines[number].strip() or lines[number].lstrip().startswith("#")
        following[number] = following[number + 1] if empty else number + 1
    made = []
    for number, line in enumerate(lines, 1):
        found = _COMMENT.search(line)
        if found is None:
            continue
        alone = not line[: found.start()].strip()
        span = Span(number, found.start() + 1, number, len(line) + 1)
        made.append((following[number] if alone else number, span, found["words"]))
    return tuple(made)


def _texts(document: Document) -> dict[int, list[Span]]:
    """Return the spans of texts that quote a suppression, by line: inside a text it is not a comment."""
    found: dict[int, list[Span]] = {}
    for route, span in document.spans.items():
        if _is_quoting(document, route):
            for line in range(span.line, span.end_line + 1):
                found.setdefault(line, []).append(span)
    return found


def _is_quoting(document: Document, route: Route) -> bool:
    value = document.data
    for key in route:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return False
    return isinstance(value, str) and "sagadsl" in value


def _read(line: int, place: Route, words: str) -> _Suppression | Finding:
    ignored = _IGNORE.match(words)
    codes = tuple(code.strip() for code in ignored["codes"].split(",")) if ignored else ()
    unknown = [code for code in codes if code not in CODES]
    if not codes or unknown:
        what = f"there is no code `{unknown[0]}`" if unknown else "this comment names no code to ignore"
        return Finding(
            "SD709",
            what,
            place,
            severity=Severity.WARNING,
            help="write `# sagadsl: ignore[SD602] reason`, with a code that `sagadsl explain` knows",
        )
    return _Suppression(line, codes, place)


def _unused(suppressions: Iterable[_Suppression], used: set[tuple[Route, str]]) -> Iterator[Finding]:
    for each in suppressions:
        for code in each.codes:
            if (each.place, code) not in used:
                never = code.startswith(_UNSUPPRESSIBLE)
                yield Finding(
                    "SD708",
                    f"`{code}` cannot be suppressed" if never else f"there is no `{code}` here to suppress",
                    each.place,
                    severity=Severity.WARNING,
                    help="remove it" if never else "remove it, or move it to the line of the finding or the one above",
                )
