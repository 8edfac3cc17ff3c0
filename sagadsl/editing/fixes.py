"""What mends a finding: the fix that it brings, what it asks "did you mean" about, or a comment that accepts it.

Each is tried before it is offered: without the finding, and without a new one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from sagadsl.editing.source import FindingHere, Range, Source
from sagadsl.immutable import Immutable

_MEANT = re.compile(r"did you mean `([^`\n]+)`")
_CHAIN = re.compile(r"[A-Za-z_]\w*(?:\.\w+)+")
_UNSUPPRESSIBLE = ("SD0", "SD1", "SD8")


class Fix(Immutable):
    """One way to get rid of a finding.

    Attributes:
        is_likely: It is what the finding itself suggests.
    """

    title: str
    range: Range
    text: str
    is_likely: bool = True


def fixes(source: Source, problem: FindingHere) -> list[Fix]:
    """Return the changes after which a finding is gone, the likeliest first."""
    return [each for each in _possible(source, problem) if _helps(source, problem, each)]


def _possible(source: Source, problem: FindingHere) -> Iterator[Fix]:
    finding = problem.finding
    place = source.place_of(problem)
    if finding.fix is not None:
        yield Fix(title=f"Write `{_short(finding.fix)}`", range=place, text=_as_written(source, place, finding.fix))
    else:
        for meant in dict.fromkeys(_MEANT.findall(finding.help)):
            yield Fix(title=f"Write `{_short(meant)}`", range=place, text=_as_written(source, place, meant))
            for inner in _within(source, place, meant):
                yield Fix(title=f"Write `{_short(meant)}`", range=inner, text=meant)
    if not finding.code.startswith(_UNSUPPRESSIBLE) and not source.is_suite:
        yield from _suppression(source, place, finding.code)


def _within(source: Source, place: Range, meant: str) -> Iterator[Range]:
    """Yield other places: the value without its quotes, its last part if only that is meant, the chain around it."""
    text = source.text[place.start : place.end]
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        yield Range(place.start + 1, place.end - 1)
    if "." in text and "." not in meant:
        yield Range(place.start + text.rindex(".") + 1, place.end)
    if "." in meant:  # the finding is about one name of a chain, and names the whole chain
        line = source.line_at(place.start)
        for chain in _CHAIN.finditer(source.text, line.start, line.end):
            if chain.start() < place.start and place.end <= chain.end():
                yield Range(chain.start(), place.end)


def _as_written(source: Source, place: Range, text: str) -> str:
    """Return a text in the quotes of the value that it replaces."""
    old = source.text[place.start : place.end]
    if len(old) > 1 and old[0] == old[-1] and old[0] in "\"'" and text[:1] not in ('"', "'"):
        return f"{old[0]}{text}{old[0]}"
    return text


def _suppression(source: Source, place: Range, code: str) -> Iterator[Fix]:
    line = source.line_at(place.start)
    text = source.text[line.start : line.end]
    title = f"Accept it with a comment: `# sagadsl: ignore[{code}]`"
    indent = text[: len(text) - len(text.lstrip())]
    there = re.search(r"#\s*sagadsl\s*:\s*ignore\s*\[[^\]]*", text)
    if there is not None:
        end = line.start + there.end()
        yield Fix(title=title, range=Range(end, end), text=f", {code}", is_likely=False)
        return
    above = f"{indent}# sagadsl: ignore[{code}]\n"
    yield Fix(title=title, range=Range(line.start, line.start), text=above, is_likely=False)


def _helps(source: Source, problem: FindingHere, fix: Fix) -> bool:
    text = source.text[: fix.range.start] + fix.text + source.text[fix.range.end :]
    if text == source.text:
        return False
    after = Counter(each.finding.code for each in Source(source.path, text, source.activities).problems)
    before = Counter(each.finding.code for each in source.problems)
    return not after - before and after[problem.finding.code] < before[problem.finding.code]


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"
