"""Keys that encrypt payloads: where they come from, how they are written, and who may look them up.

A key is 32 bytes and has an id. The id stands beside the data, and the key stands nowhere: no message of this module
holds one.
"""

from __future__ import annotations

import base64
import binascii
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from sagadsl.errors import SagadslError
from sagadsl.immutable import Hidden, Immutable, field
from sagadsl.plugins.settings import key_meant, read_settings
from sagadsl.temporal.link.shown import SettingsUnusable
from sagadsl.temporal.link.sources import SourceUnusable, from_command, from_file

GROUP = "sagadsl.keys"
"""Entry points of packages that look keys up, in a key management service for instance.

Each is a function that takes the id of a key and the other keys of its table, and returns the key as bytes or text.
"""

KEY_BYTES = 32
LONGEST_ID = 100
_Kind = Literal["env", "file", "command", "provider"]
KINDS: tuple[_Kind, ...] = ("env", "file", "command", "provider")


class KeyUnusable(SagadslError):
    """An encryption key cannot be had, or is none."""

    code = "SD917"
    exit_code = 3

    def __init__(self, id: str, origin: str, reason: str) -> None:
        super().__init__(id, origin, reason)
        self.id, self.origin, self.reason = id, origin, reason

    def __str__(self) -> str:
        return f"encryption key `{self.id}` ({self.origin}) cannot be used: {self.reason}"

    @property
    def help(self) -> str:
        return (
            f"a key is {KEY_BYTES} bytes, as they are, in base64 or in hexadecimal: `openssl rand -base64 32` makes one"
        )


class EncryptionKey(Immutable):
    """A key, by its id."""

    id: str
    secret: Hidden[bytes]


class KeySource(Immutable):
    """Where one key comes from.

    Attributes:
        kind: An environment variable, a file, a command that prints the key, or a provider.
        where: The variable, the file, the words of the command, or the name of the provider.
        origin: The setting that says so, for messages.
        options: What the provider gets beside the id.
    """

    id: str
    kind: _Kind
    where: tuple[str, ...]
    origin: str
    options: Hidden[Mapping[str, Any]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.id}={self.kind}:{shlex.join(self.where)}"


def read_keys(sources: Iterable[KeySource], environ: Mapping[str, str]) -> tuple[EncryptionKey, ...]:
    """Return the keys, in their order. Raises ``KeyUnusable``."""
    return tuple(_read(source, environ) for source in sources)


def source_of(text: str, origin: str) -> KeySource:
    """Return the source that ``ID=KIND:WHERE`` names. Raises ``SettingsUnusable``."""
    id_, equals, rest = text.partition("=")
    kind, colon, where = rest.partition(":")
    if not equals or not colon or not where or kind not in KINDS:
        raise SettingsUnusable(
            f"`{id_[:LONGEST_ID]}` names no encryption key with its place ({origin})",
            "write `ID=env:NAME`, `ID=file:PATH`, `ID=command:WORDS` or `ID=provider:NAME`; never the key itself",
        )
    try:
        words = tuple(shlex.split(where)) if kind == "command" else (where,)
    except ValueError as error:
        raise SettingsUnusable(f"the command of encryption key `{id_}` cannot be read: {error} ({origin})") from None
    return KeySource(_checked(id_, origin), kind, words, origin)


def source_in(table: Any, origin: str) -> KeySource:
    """Return the source that a table of ``sagadsl.toml`` describes. Raises ``SettingsUnusable``."""
    if not isinstance(table, dict) or not isinstance(table.get("id"), str):
        raise SettingsUnusable(f"an encryption key has no `id` ({origin})", 'write `{id = "2026-11", file = "…"}`')
    id_ = _checked(table["id"], origin)
    kinds = [kind for kind in KINDS if kind in table]
    if len(kinds) != 1:
        known = f"it has one of {', '.join(f'`{kind}`' for kind in KINDS)}"
        unknown = None if kinds else next((name for name in table if name != "id"), None)
        raise SettingsUnusable(
            f"encryption key `{id_}` has {' and '.join(f'`{kind}`' for kind in kinds) or 'no place'} ({origin})",
            known if unknown is None else key_meant(unknown, KINDS, known),
        )
    (kind,) = kinds
    value = table[kind]
    words = value if kind == "command" and isinstance(value, list) else [value]
    if not words or not all(isinstance(word, str) and word for word in words):
        raise SettingsUnusable(f"`{kind}` of encryption key `{id_}` is no text ({origin})")
    options = {name: value for name, value in table.items() if name not in ("id", kind)}
    if options and kind != "provider":
        unknown = ", ".join(f"`{name}`" for name in options)
        raise SettingsUnusable(f"encryption key `{id_}` has {unknown}, which only a provider takes ({origin})")
    return KeySource(id_, kind, tuple(words), origin, options)


def only_once(sources: Sequence[KeySource]) -> tuple[KeySource, ...]:
    """Return *sources* if each id is there once. Raises ``SettingsUnusable``."""
    seen: set[str] = set()
    for source in sources:
        if source.id in seen:
            raise SettingsUnusable(f"encryption key `{source.id}` is there twice ({source.origin})")
        seen.add(source.id)
    return tuple(sources)


def key_of(id: str, raw: bytes, origin: str) -> EncryptionKey:
    """Return the key that *raw* is or writes down. Raises ``KeyUnusable``, which never shows it."""
    if len(raw) == KEY_BYTES:
        return EncryptionKey(id, raw)
    text = raw.strip()
    for read in (_plain, binascii.unhexlify, _base64):
        try:
            secret = read(text)
        except (binascii.Error, ValueError):
            continue
        if len(secret) == KEY_BYTES:
            return EncryptionKey(id, secret)
    found = "it is empty" if not text else f"its {len(text)} characters are no key of {KEY_BYTES} bytes"
    raise KeyUnusable(id, origin, found)


def _plain(text: bytes) -> bytes:
    return text


def _base64(text: bytes) -> bytes:
    padded = text.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    return base64.b64decode(padded + b"=" * (-len(padded) % 4), validate=True)


def _checked(id: str, origin: str) -> str:
    if not 0 < len(id) <= LONGEST_ID or not id.isascii() or not id.isprintable() or " " in id or "=" in id:
        raise SettingsUnusable(
            f"`{id[:LONGEST_ID]}` is no id of an encryption key ({origin})",
            f"up to {LONGEST_ID} visible ASCII characters without `=`; it is no secret, as it stands beside the data",
        )
    return id


def _read(source: KeySource, environ: Mapping[str, str]) -> EncryptionKey:
    match source.kind:
        case "env":
            raw = _variable(source, environ)
        case "file" | "command":
            raw = _found(source)
        case "provider":
            raw = _provided(source)
    return key_of(source.id, raw, f"{source.kind} `{shlex.join(source.where)}`, {source.origin}")


def _variable(source: KeySource, environ: Mapping[str, str]) -> bytes:
    value = environ.get(source.where[0])
    if not value:
        raise KeyUnusable(source.id, source.origin, f"the variable `{source.where[0]}` is not set")
    return os.fsencode(value)


def _found(source: KeySource) -> bytes:
    try:
        return from_file(source.where[0]) if source.kind == "file" else from_command(source.where, "key")
    except SourceUnusable as error:
        raise KeyUnusable(source.id, source.origin, str(error)) from None


def _provided(source: KeySource) -> bytes:
    from sagadsl.plugins.isolation import contained  # noqa: PLC0415 # only providers need the code of plugins: 25 ms
    from sagadsl.temporal.link.imported import imported, why  # noqa: PLC0415

    name = source.where[0]
    try:
        provider: Any = imported(name) if ":" in name else _installed(source)
        with contained():
            found = provider(source.id, dict(source.options))
    except (KeyboardInterrupt, KeyUnusable):
        raise
    except BaseException as error:  # the code of others may raise anything
        raise KeyUnusable(source.id, source.origin, f"provider `{name}`: {why(name, error)[:500]}") from error
    if not isinstance(found, bytes | str):
        reason = f"provider `{name}` returns `{type(found).__name__}`, not bytes or text"
        raise KeyUnusable(source.id, source.origin, reason)
    return found.encode() if isinstance(found, str) else found


def _installed(source: KeySource) -> Any:
    """Return the function of a package that is named as provider. Raises ``KeyUnusable``, or what its import raises."""
    from importlib.metadata import EntryPoint  # noqa: PLC0415 # as in `_provided`

    from sagadsl.plugins.catalogue import is_permitted  # noqa: PLC0415
    from sagadsl.plugins.isolation import contained  # noqa: PLC0415
    from sagadsl.plugins.offers import find_offers  # noqa: PLC0415

    settings = read_settings(Path.cwd())
    offers = find_offers(group=GROUP)
    found = {each.name: each.value for each in reversed(offers) if is_permitted(each.distribution, settings)}
    name = source.where[0]
    if name not in found:
        known = ", ".join(f"`{each}`" for each in sorted(found)) or "none"
        reason = f"no installed and permitted package offers a provider `{name}` (there are: {known})"
        raise KeyUnusable(source.id, source.origin, reason)
    with contained():
        return EntryPoint(name, found[name], GROUP).load()
