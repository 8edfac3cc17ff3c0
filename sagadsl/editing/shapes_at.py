"""What expressions can read at a place, and what a part of one gives: asked of the analysis, never guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sagadsl.editing.source import At, Source
from sagadsl.immutable import Immutable
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.analysis.inference import Inference
from sagadsl.language.analysis.shapes import Scope
from sagadsl.language.analysis.types import Shape
from sagadsl.language.analysis.visibility import look
from sagadsl.language.expressions.parser import parse
from sagadsl.language.expressions.values import Condition, Expression
from sagadsl.language.model import Step
from sagadsl.language.walk import Site

_QUOTED = r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
_TOKEN = re.compile(rf"(?P<text>{_QUOTED})|(?P<name>[A-Za-z_]\w*)|(?P<number>\d[\d.]*)|(?P<sign>\S)")
_HELD = re.compile(r"[\w)\]]")
_OPEN, _CLOSE = "([{", ")]}"


class Reading(Immutable):
    """The expressions of one place.

    Attributes:
        analysis: All that is known of the saga.
        site: The value of which they are a part.
        bare: It is an expression as a whole, without braces.
    """

    analysis: Analysis
    site: Site
    bare: bool

    @property
    def names(self) -> Mapping[str, Shape]:
        """The first names that an expression can read here."""
        return Scope(self.analysis.shapes, self.site).names()

    def steps(self) -> Iterator[Step]:
        """Yield the steps that can be read here, the nearest before it first."""
        structure = self.analysis.structure
        for spot in reversed(structure.steps.values()):
            if look(self.site, spot, structure.needs).unseen is None:
                yield spot[-1].step

    def shape(self, expression: str) -> Shape | None:
        """Return what an expression gives here; ``None`` if it is none."""
        tree, _ = parse(expression)
        return None if tree is None else Inference(Scope(self.analysis.shapes, self.site)).infer(tree, soft=True)


def reading(source: Source, at: At) -> Reading | None:
    """Return what expressions can read at a place; ``None`` if none can stand there."""
    analysis, site = source.analysis(at.loaded), source.site_at(at)
    if analysis is None or site is None:
        return None
    return Reading(analysis=analysis, site=site, bare=is_bare(site))


def is_bare(site: Site) -> bool:
    """Whether a value is an expression as a whole, for which the braces may be left out."""
    return isinstance(site.value, Condition) or site.route[-1:] in (("items",), ("value",))


def is_written_bare(site: Site) -> bool:
    """Whether a value is an expression without braces."""
    value = site.value.value if isinstance(site.value, Condition) else site.value
    text = getattr(value, "source", None)
    return (
        is_bare(site)
        and isinstance(text, str)
        and "{{" not in text
        and not (isinstance(value, Expression) and value.offset)
    )


def operand(text: str) -> str:
    """Return the value that stands last in an unfinished expression, such as ``a.b[0]`` in ``x + a.b[0]``."""
    tokens = list(_TOKEN.finditer(text))
    at = len(tokens) - 1
    start = len(text)
    wants_value = True
    while at >= 0:
        found = tokens[at]
        sign = found["sign"] or ""
        if wants_value and sign and sign in _CLOSE:
            at = _opening(tokens, at)
            if at < 0:
                return ""
            start = tokens[at].start()
            before = tokens[at - 1] if at else None
            at -= 1
            wants_value = before is not None and before.end() == start and _HELD.match(before[0]) is not None
            if not wants_value:
                break
        elif wants_value and not sign:
            start = found.start()
            at -= 1
            wants_value = False
        elif not wants_value and sign in (".", "|"):
            at -= 1
            wants_value = True
        else:
            break
    return text[start:].strip()


def _opening(tokens: list[re.Match[str]], at: int) -> int:
    depth = 0
    while at >= 0:
        sign = tokens[at]["sign"] or ""
        depth += (sign in _CLOSE and bool(sign)) - (sign in _OPEN and bool(sign))
        if depth == 0:
            return at
        at -= 1
    return -1
