"""How a connection is encrypted: the certificates of both sides, the name of the server, and where each comes from.

Flags, variables and profile have the same meaning as for the ``temporal`` command. This module connects to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from temporalio.envconfig import ClientConfigTLS
from temporalio.service import TLSConfig

from sagadsl.errors import reason_of
from sagadsl.immutable import Hidden, Immutable
from sagadsl.temporal.link.shown import SettingsUnusable, ShownSetting

_AS_DATA = "(given as data)"
_CERT, _KEY, _AUTHORITY, _NAME = "certificate", "its key", "authority", "server name"
_ROWS = {
    _NAME: ("--tls-server-name", ("TEMPORAL_TLS_SERVER_NAME",)),
    _AUTHORITY: ("--tls-ca-path", ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", "TEMPORAL_TLS_SERVER_CA_CERT_DATA")),
    _CERT: ("--tls-cert-path", ("TEMPORAL_TLS_CLIENT_CERT_PATH", "TEMPORAL_TLS_CLIENT_CERT_DATA")),
    _KEY: ("--tls-key-path", ("TEMPORAL_TLS_CLIENT_KEY_PATH", "TEMPORAL_TLS_CLIENT_KEY_DATA")),
}
"""What TLS needs to know, by its name in messages: the flag for it, and its variables."""


class TlsFlags(Protocol):
    """The options of the command line about TLS."""

    @property
    def tls(self) -> bool | None: ...

    @property
    def tls_cert_path(self) -> str | None: ...

    @property
    def tls_key_path(self) -> str | None: ...

    @property
    def tls_ca_path(self) -> str | None: ...

    @property
    def tls_server_name(self) -> str | None: ...

    @property
    def tls_disable_host_verification(self) -> bool: ...


class TlsSetting(Immutable):
    """What was chosen.

    Attributes:
        config: What the SDK takes; ``None`` when nothing is set.
        details: Each certificate, key and name that is set, by its name: the file, and where its name comes from.
    """

    config: Hidden[TLSConfig | bool | None]
    details: tuple[tuple[str, ShownSetting], ...] = ()


def tls_setting(
    flags: TlsFlags,
    env: Mapping[str, str],
    merged: ClientConfigTLS | None,
    switched: bool | None,
    profile: str,
) -> TlsSetting:
    """Return how to encrypt.

    Args:
        merged: What variables and profile say together.
        switched: The value of ``TEMPORAL_TLS``.
        profile: The profile and its file, as messages name them.

    Raises:
        SettingsUnusable: A file cannot be read, or half of a pair is missing.
    """
    if flags.tls_disable_host_verification:
        raise SettingsUnusable(
            "`--tls-disable-host-verification` is unsupported: Temporal's Python SDK always verifies the server",
            "say with `--tls-server-name` which name the certificate carries, and with `--tls-ca-path` who signed it",
        )
    wanted = flags.tls if flags.tls is not None else switched
    detailed = any((flags.tls_cert_path, flags.tls_key_path, flags.tls_ca_path, flags.tls_server_name))
    if wanted is None and not detailed and merged is not None and merged.disabled:
        wanted = False
    if wanted is False or (merged is None and not detailed):
        return TlsSetting(wanted)
    stored = merged or ClientConfigTLS()

    def origin(what: str) -> str:
        flag, variables = _ROWS[what]
        if getattr(flags, flag.removeprefix("--").replace("-", "_")):
            return flag
        return next((each for each in variables if env.get(each)), profile)

    found = {
        _AUTHORITY: _read(flags.tls_ca_path, stored.server_root_ca_cert, origin(_AUTHORITY)),
        _CERT: _read(flags.tls_cert_path, stored.client_cert, origin(_CERT)),
        _KEY: _read(flags.tls_key_path, stored.client_private_key, origin(_KEY)),
    }
    _check_pair(found[_CERT], found[_KEY])
    name = flags.tls_server_name or stored.server_name
    details = [] if name is None else [(_NAME, ShownSetting(name, origin(_NAME)))]
    details += [(what, each.shown) for what, each in found.items() if each is not None]
    authority, cert, key = (None if each is None else each.raw for each in found.values())
    config = TLSConfig(domain=name, server_root_ca_cert=authority, client_cert=cert, client_private_key=key)
    return TlsSetting(config, tuple(details))


class _Material(Immutable):
    """A certificate or a key, and where it was read."""

    raw: Hidden[bytes]
    shown: ShownSetting


def _check_pair(cert: _Material | None, key: _Material | None) -> None:
    if (cert is None) == (key is None):
        return
    there = cert or key
    assert there is not None
    missing, remedy = ("key", "--tls-key-path") if key is None else ("certificate", "--tls-cert-path")
    raise SettingsUnusable(
        f"a client certificate and its key go together, and only one of them is set ({there.shown.origin})",
        f"name the {missing}, too: `{remedy} FILE`",
    )


def _read(path: str | None, stored: Path | str | bytes | None, origin: str) -> _Material | None:
    """Return the certificate or key that a flag names as *path*, else the one that is stored or named there."""
    source = Path(path) if path else stored
    if source is None:
        return None
    if isinstance(source, bytes | str):
        return _Material(source.encode() if isinstance(source, str) else source, ShownSetting(_AS_DATA, origin))
    try:
        raw = source.read_bytes()
    except OSError as error:
        raise SettingsUnusable(f"`{source}` cannot be read: {reason_of(error)} ({origin})") from None
    return _Material(raw, ShownSetting(str(source), origin))
