"""What the options of the command line say about the server. Imports nothing of Temporal: a mistake is told at once."""

from __future__ import annotations

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
