"""Which codec encodes the data of sagas: keys, an endpoint, or a module of the user's, and which setting says so.

A flag wins over a variable of sagadsl, this over ``[encryption]`` of ``sagadsl.toml``, and this over the endpoint
that the ``temporal`` command uses: that one often decodes only, for people, what workers encode by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from sagadsl.immutable import Hidden
from sagadsl.plugins.settings import key_meant, table_of
from sagadsl.temporal.link.keys import KeySource, only_once, source_in, source_of
from sagadsl.temporal.link.shown import DEFAULT, SettingsUnusable, ShownSetting

KEYS = "SAGADSL_ENCRYPTION_KEYS"
_OF_TABLE = ("keys", "endpoint", "codec")
ENDPOINT, AUTH = "TEMPORAL_CODEC_ENDPOINT", "TEMPORAL_CODEC_AUTH"


class CodecFlags(Protocol):
    """The options of the command line about the codec."""

    @property
    def codec(self) -> str | None: ...

    @property
    def encryption_key(self) -> tuple[str, ...]: ...

    @property
    def codec_endpoint(self) -> str | None: ...

    @property
    def codec_auth(self) -> str | None: ...


class CodecSetting(ShownSetting):
    """The codec, and where the choice comes from.

    Attributes:
        value: The module and name, the ids of the keys, or the address of the endpoint.
        keys: Where the keys come from; the first one encrypts.
        auth: What the endpoint gets as ``Authorization``.
    """

    kind: Literal["none", "module", "keys", "endpoint"] = "none"
    keys: tuple[KeySource, ...] = ()
    auth: Hidden[str | None] = None

    @property
    def flags(self) -> str:
        """The flags that name it, as far as they may be shown; empty when it does not come from flags."""
        if not self.origin.startswith("--"):
            return ""
        if self.kind == "keys":
            return " ".join(f"--encryption-key {quote(str(key))}" for key in self.keys)
        return f"{self.origin} {quote(self.value)}"


NO_CODEC = CodecSetting("none", DEFAULT)


def codec_setting(
    flags: CodecFlags, environ: Mapping[str, str], temporals: Mapping[str, str], profile: Mapping[str, Any], origin: str
) -> CodecSetting:
    """Return the codec that is to be used.

    Args:
        environ: The variables; *temporals* are those from which settings of the ``temporal`` command are read.
        profile: ``[profile.NAME.codec]`` of ``temporal.toml``; *origin* names it.

    Raises:
        SettingsUnusable: Two settings of the same rank name a codec, or one cannot be right.
        SettingsWrong: ``sagadsl.toml`` cannot be read.
    """
    auth = flags.codec_auth or temporals.get(AUTH) or profile.get("auth") or None
    ranks = (
        [
            *_modules(flags.codec, "--codec"),
            *_keys(flags.encryption_key, "--encryption-key"),
            *_endpoint(flags.codec_endpoint, "--codec-endpoint", auth),
        ],
        [*_modules(environ.get("SAGADSL_CODEC"), "SAGADSL_CODEC"), *_keys(environ.get(KEYS, "").split(), KEYS)],
        _of_project(auth),
        _endpoint(temporals.get(ENDPOINT), ENDPOINT, auth),
        _endpoint(profile.get("endpoint"), origin, auth),
    )
    for found in ranks:
        if len(found) > 1:
            named = " and ".join(dict.fromkeys(each.origin for each in found))
            raise SettingsUnusable(f"there are two codecs: {named}", "leave one of them out")
        if found:
            return found[0]
    return NO_CODEC


def _modules(named: str | None, origin: str) -> list[CodecSetting]:
    return [CodecSetting(named, origin, "module")] if named else []


def _keys(texts: Sequence[str], origin: str) -> list[CodecSetting]:
    return _of_sources([source_of(text, origin) for text in texts], origin)


def _of_sources(sources: Sequence[KeySource], origin: str) -> list[CodecSetting]:
    if not sources:
        return []
    found = only_once(sources)
    ids = ", ".join(each.id for each in found)
    return [CodecSetting(f"AES-256-GCM with {'keys' if found[1:] else 'key'} {ids}", origin, "keys", found)]


def _endpoint(address: Any, origin: str, auth: str | None) -> list[CodecSetting]:
    if not address:
        return []
    parts = urlsplit(address) if isinstance(address, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.netloc or parts.username is not None:
        raise SettingsUnusable(
            f"`{str(address)[:100] if parts is None or parts.username is None else 'the address'}` is no address of a "
            f"codec endpoint ({origin})",
            "for example `https://sagas.example.com/codec`; credentials go into `TEMPORAL_CODEC_AUTH`",
        )
    return [CodecSetting(address.rstrip("/"), origin, "endpoint", auth=auth)]


def _of_project(auth: str | None) -> list[CodecSetting]:
    table, file = table_of(Path.cwd())
    if "encryption" not in table:
        return []
    origin = f"[encryption] of {file}"
    chosen = table["encryption"]
    if not isinstance(chosen, dict):
        raise SettingsUnusable(f"{origin} is no table")
    if unknown := sorted(chosen.keys() - set(_OF_TABLE)):
        help = key_meant(unknown[0], _OF_TABLE, "it has one of `keys`, `endpoint`, `codec`", {"url": "endpoint"})
        raise SettingsUnusable(f"{origin} has `{unknown[0]}`", help)
    if len(chosen) != 1:
        raise SettingsUnusable(f"{origin} has {len(chosen)} keys", "it has one of `keys`, `endpoint`, `codec`")
    match chosen:
        case {"keys": list() as entries} if entries:
            return _of_sources([source_in(each, origin) for each in entries], origin)
        case {"endpoint": str() as address} if address:
            return _endpoint(address, origin, auth)
        case {"codec": str() as named} if named:
            return _modules(named, origin)
    name = next(iter(chosen))
    raise SettingsUnusable(f"`{name}` of {origin} cannot be used", "`keys` is a list of tables, the others are texts")
