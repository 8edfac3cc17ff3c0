"""What the options of the command line say about the server. Imports nothing of Temporal: a mistake is told at once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sagadsl.immutable import Hidden, Immutable


class Flags(Immutable):
    """The options of the command line about the server; ``None`` and empty mean not set."""

    address: str | None = None
    namespace: str | None = None
    api_key: Hidden[str | None] = None
    api_key_from: str | None = None
    tls: bool | None = None
    tls_cert_path: str | None = None
    tls_key_path: str | None = None
    tls_ca_path: str | None = None
    tls_server_name: str | None = None
    tls_disable_host_verification: bool = False
    grpc_meta: tuple[str, ...] = ()
    profile: str | None = None
    config_file: str | None = None
    disable_config_file: bool = False
    disable_config_env: bool = False
    codec: str | None = None
    encryption_key: tuple[str, ...] = ()
    codec_endpoint: str | None = None
    codec_auth: Hidden[str | None] = None
    otlp: str | None = None
    storage: str | None = None


_ABOUT_SERVERS = ("TEMPORAL_", "OTEL_", "SAGADSL_")
_ABOUT_OTHERS = frozenset({"SAGADSL_CACHE", "SAGADSL_DEBUG"})


def say_nothing(flags: Flags, environ: Mapping[str, str], project: Mapping[str, Any]) -> bool:
    """Whether no option, no variable and no file says anything about a server, so that there is nothing to resolve.

    Args:
        project: The settings of the project; its ``[connection]`` may be about a server.
    """
    named = any(name.startswith(_ABOUT_SERVERS) and name not in _ABOUT_OTHERS for name in environ)
    return not (named or "connection" in project or flags != Flags() or default_config_file(environ).exists())


def default_config_file(environ: Mapping[str, str]) -> Path:
    """Return where ``temporal`` keeps its profiles on this platform."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    elif sys.platform == "win32":
        base = Path(environ.get("APPDATA", str(Path.home() / "AppData" / "Roaming")))
    else:
        base = Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "temporalio" / "temporal.toml"
