"""The API key of a connection: given as it is, or the file or command that has it, so that it can be read again.

A flag wins over a variable, this over ``[connection]`` of ``sagadsl.toml``, this over a profile of ``temporal.toml``.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from sagadsl.immutable import Hidden, Immutable
from sagadsl.language.suggest import closest
from sagadsl.plugins.settings import key_meant, table_of
from sagadsl.temporal.link.shown import DEFAULT, SettingsUnusable, ShownSetting
from sagadsl.temporal.link.sources import SourceUnusable, from_command, from_file

FROM = "SAGADSL_API_KEY_FROM"
_GIVEN = "TEMPORAL_API_KEY"
_HINT = "write `file:PATH` or `command:WORDS`; never the key itself"
_TABLE = 'write `api_key = {file = "PATH"}` or `api_key = {command = ["WORD", …]}`'
_PLACES = ("file", "command")
_ELSEWHERE = {
    "address": ("address", "`--address`, `TEMPORAL_ADDRESS`"),
    "namespace": ("namespace", "`--namespace`, `TEMPORAL_NAMESPACE`"),
    "tls": ("use of TLS", "`--tls`, `TEMPORAL_TLS`"),
    **dict.fromkeys(("host", "target", "url", "server"), ("address", "`--address`, `TEMPORAL_ADDRESS`")),
}
"""What people look for in ``[connection]``: its name, and where it is instead."""


class ApiKeySource(Immutable):
    """A file or a command that has the key; *origin* is the setting that names it."""

    kind: Literal["file", "command"]
    where: tuple[str, ...]
    origin: str


Reader = Callable[[ApiKeySource], str]


class KeyFlags(Protocol):
    """The options of the command line about the API key."""

    @property
    def api_key(self) -> str | None: ...

    @property
    def api_key_from(self) -> str | None: ...


class ApiKeySetting(Immutable):
    """The key, if there is one. ``shown`` says only whether, and where it comes from."""

    key: Hidden[str | None]
    shown: ShownSetting


def api_key_setting(
    flags: KeyFlags,
    env: Mapping[str, str],
    environ: Mapping[str, str],
    stored: ApiKeySetting,
    read: Reader,
) -> ApiKeySetting:
    """Return the key.

    Args:
        env: The variables from which settings of the ``temporal`` command are read; *environ* has all.
        stored: That of the profile.
        read: Reads a source.

    Raises:
        SettingsUnusable: Two settings of the same rank name a key, or one gives none.
        SettingsWrong: ``sagadsl.toml`` cannot be read.
    """
    named = environ.get(FROM)
    ranks = (
        (("--api-key", flags.api_key), ("--api-key-from", flags.api_key_from)),
        ((_GIVEN, env.get(_GIVEN)), (FROM, named)),
    )
    for (given_by, given), (named_by, words) in ranks:
        if given and words:
            raise SettingsUnusable(f"`{given_by}` and `{named_by}` both give an API key", "leave one of them out")
        if given:
            return ApiKeySetting(given, ShownSetting("set", given_by))
        if words:
            return _from(_named(words, named_by), read)
    project = _of_project()
    if project is not None:
        return _from(project, read)
    return stored


def read_source(source: ApiKeySource) -> str:
    """Return the key that a file holds or a command prints. Raises ``SettingsUnusable``."""
    try:
        raw = from_file(source.where[0]) if source.kind == "file" else from_command(source.where, "API key")
    except SourceUnusable as error:
        raise SettingsUnusable(f"the API key cannot be read: {error} ({source.origin})") from None
    text = raw.decode("utf-8", "replace").strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        found = f"{len(text)} characters that are no key" if text else "nothing"
        where = shlex.join(source.where)
        raise SettingsUnusable(
            f"the API key cannot be used: {source.kind} `{where}` gives {found} ({source.origin})",
            "a key is one line of visible ASCII characters without spaces",
        )
    return text


def stored_key(key: str | None, profile: str) -> ApiKeySetting:
    """Return the setting of a profile that has *key*."""
    return (
        ApiKeySetting(key, ShownSetting("set", profile)) if key else ApiKeySetting(None, ShownSetting("none", DEFAULT))
    )


def _from(source: ApiKeySource, read: Reader) -> ApiKeySetting:
    where = f"{source.kind} `{shlex.join(source.where)}`, {source.origin}"
    return ApiKeySetting(read(source), ShownSetting("set", where))


def _named(text: str, origin: str) -> ApiKeySource:
    kind, _, where = text.partition(":")
    try:
        words = tuple(shlex.split(where)) if kind == "command" else (where,)
    except ValueError as error:
        raise SettingsUnusable(f"the command for the API key cannot be read: {error} ({origin})") from None
    if not words or not words[0]:
        raise SettingsUnusable(f"no place of an API key ({origin})", _HINT)
    if kind == "file":
        return ApiKeySource("file", words, origin)
    if kind == "command":
        return ApiKeySource("command", words, origin)
    raise SettingsUnusable(f"no place of an API key ({origin})", _HINT)  # it may be the key: it is not shown


def _of_project() -> ApiKeySource | None:
    table, file = table_of(Path.cwd())
    if "connection" not in table:
        return None
    origin = f"[connection] of {file}"
    chosen: Any = table["connection"]
    if not isinstance(chosen, dict):
        raise SettingsUnusable(f"{origin} is no table", _TABLE)
    if (unknown := next((key for key in chosen if key != "api_key"), None)) is not None:
        raise SettingsUnusable(f"{origin} has `{unknown}`", _instead_of(unknown))
    key: Any = chosen.get("api_key")
    for name in key if isinstance(key, dict) else ():
        if name not in _PLACES:
            raise SettingsUnusable(f"`api_key` of {origin} has `{name}`", key_meant(name, _PLACES, _TABLE))
    match key:
        case {"file": str() as path} if path and "command" not in key:
            return ApiKeySource("file", (path,), origin)
        case {"command": [*words]} if words and "file" not in key:
            if all(isinstance(word, str) and word for word in words):
                return ApiKeySource("command", tuple(words), origin)
    raise SettingsUnusable(f"{origin} cannot be used", _TABLE)  # it may be the key: it is not shown


def _instead_of(unknown: str) -> str:
    """Return what to do in place of a key that ``[connection]`` does not have."""
    near = closest(unknown, ("api_key", *_ELSEWHERE)) if unknown not in _ELSEWHERE else unknown
    if near == "api_key":
        return "did you mean `api_key`?"
    what, where = _ELSEWHERE[near or "address"]
    return f"it has `api_key` alone; the {what} comes from {where} or a profile of `temporal.toml` (`--profile`)"
