"""Compares the shapes of two outputs: what do programs that read the first one not find in the second?"""

from __future__ import annotations

from collections.abc import Iterator

from sagadsl.changes.schemas import Difference, Effect
from sagadsl.language.analysis.types import Shape

_DEEPEST = 8


def compare(one: Shape, other: Shape, place: str) -> list[Difference]:
    """Return the differences; ``NARROWER`` are those that break programs which read the value."""
    return list(dict.fromkeys(_compare(one, other, place, 0)))


def _compare(one: Shape, other: Shape, place: str, depth: int) -> Iterator[Difference]:
    if depth > _DEEPEST or one == other:
        return
    if not one.kinds and not other.kinds:
        return
    if one.kinds and not other.kinds:
        yield Difference(Effect.UNCLEAR, place, f"was {one.said()}, and nobody knows what it is now")
        return
    if not one.kinds:
        return
    plain, now = one.kinds - {"null"}, other.kinds - {"null"}
    if not now <= plain | ({"integer"} if "number" in plain else set()):
        yield Difference(Effect.NARROWER, place, f"is {other.said()} now; it was {one.said()}")
        return
    if other.nullable and not one.nullable:
        yield Difference(Effect.NARROWER, place, "may be null now")
    if one.choices and other.choices and (gained := [each for each in other.choices if each not in one.choices]):
        said = ", ".join(f"`{each}`" for each in gained[:10])
        yield Difference(Effect.UNCLEAR, place, f"may be {said} now")
    yield from _fields(one, other, place, depth)
    if one.items is not None and other.items is not None:
        yield from _compare(one.element, other.element, f"{place}[]", depth + 1)


def _fields(one: Shape, other: Shape, place: str, depth: int) -> Iterator[Difference]:
    for name in one.fields:
        before, after = one.field(name), other.field(name)
        if name not in other.fields:
            if other.is_closed or other.others is None:
                yield Difference(Effect.NARROWER, f"{place}.{name}", "is not there any more")
            continue
        if name in one.required and name not in other.required:
            yield Difference(Effect.NARROWER, f"{place}.{name}", "may be missing now")
        if before is not None and after is not None:
            yield from _compare(before, after, f"{place}.{name}", depth + 1)
    for name in other.fields:
        if name not in one.fields:
            yield Difference(Effect.WIDER, f"{place}.{name}", "is new")
