"""Versions of definitions: how a saga of a certain version is named, and which of two versions is the newer one."""

from __future__ import annotations

from sagadsl.later import compiled_later

_SIGN = "@"
_PARTS = compiled_later(r"(\d+)")
_BEFORE = "-"
"""What follows it in a version comes before the version itself: ``2.0-rc1`` is older than ``2.0``."""

Rank = tuple[list[tuple[int, int, str]], bool, list[tuple[int, int, str]]]


def of_version(name: str, version: str) -> str:
    """Return the name of a saga in a version; without a version the name alone."""
    return f"{name}{_SIGN}{version}" if version else name


def name_and_version(text: str) -> tuple[str, str]:
    """Return what ``of_version`` has put together; a name of a saga has no such sign."""
    name, _, version = text.partition(_SIGN)
    return name, version


def rank(version: str) -> Rank:
    """Return what orders versions, the oldest first: numbers in them count as numbers."""
    main, sign, suffix = version.partition(_BEFORE)
    return _ranked(main), not sign, _ranked(suffix)


def _ranked(text: str) -> list[tuple[int, int, str]]:
    return [
        (1, int(part), "") if part.isdecimal() else (0, 0, part) for part in _PARTS.split(text) if part not in ("", ".")
    ]
