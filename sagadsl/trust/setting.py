"""Which keys and digests are trusted, and which setting says so: flags, or ``[trust]`` of ``sagadsl.toml``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sagadsl.plugins.settings import SettingsWrong, key_meant, table_of
from sagadsl.trust.judge import Trust
from sagadsl.trust.keys import key_id, public_key

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAMES = ("keys", "digests")


class NoDigest(ValueError):
    """A text that is to be a digest is none."""


def trust_of(keys: Sequence[str], digests: Sequence[str]) -> Trust | None:
    """Return what the flags trust, else what ``[trust]`` of the project does; ``None`` when nothing says so.

    Raises:
        NoDigest: A digest of a flag is none.
        SettingsWrong: The table cannot be right.
        SigningKeyUnusable: See there.
    """
    if keys or digests:
        return _trust(keys, digests)
    table, file = table_of(Path.cwd())
    if "trust" not in table:
        return None
    chosen = table["trust"]
    known = "`[trust]` has `keys` and `digests`"
    if not isinstance(chosen, dict):
        raise SettingsWrong(file, "`trust` cannot be used", known)
    if unknown := sorted(chosen.keys() - set(_NAMES)):
        help = key_meant(unknown[0], _NAMES, known)
        raise SettingsWrong(file, f"`{unknown[0]}` in `trust` cannot be used", help)
    found = {name: _texts(chosen.get(name, []), name, file) for name in _NAMES}
    if not any(found.values()):
        raise SettingsWrong(file, "`[trust]` trusts nothing, so nothing could run", "give it `keys` or `digests`")
    try:
        return _trust(found["keys"], found["digests"])
    except NoDigest as wrong:
        raise SettingsWrong(file, f"`digests` of `[trust]`: {wrong}") from None


def _trust(keys: Sequence[str], digests: Sequence[str]) -> Trust:
    read = [public_key(path) for path in keys]
    return Trust({key_id(each): each for each in read}, map(_digest, digests))


def _digest(text: str) -> str:
    bare = text.removeprefix("sha256:").lower()
    if not _DIGEST.fullmatch(bare):
        raise NoDigest(f"`{text[:100]}` is no digest: 64 hexadecimal digits, as `sagadsl verify` shows them")
    return bare


def _texts(value: Any, name: str, file: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise SettingsWrong(file, f"`{name}` of `[trust]` is a list of texts")
    return value
