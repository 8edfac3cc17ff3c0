"""The settings of a connection: which Temporal server, which credentials, and where each value came from.

Flags, environment and ``temporal.toml`` have the same meaning as for the ``temporal`` command:
flag before variable before profile before default. This module connects to nothing.
The SDK's own reader of the environment has four traps, which this module avoids: it takes a
missing file for an empty one, it switches TLS *on* for a ``TEMPORAL_TLS`` that it cannot
read, its errors do not say where the value came from, and it ignores keys that it does not know.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from temporalio.envconfig import ClientConfigProfile
from temporalio.service import TLSConfig

from sagadsl.immutable import Hidden, Immutable, field
from sagadsl.language.expressions.data import shortened
from sagadsl.language.notation.json_text import small_number
from sagadsl.temporal.link.api_key_setting import Reader, api_key_setting, read_source, stored_key
from sagadsl.temporal.link.codec_setting import NO_CODEC, CodecSetting, codec_setting
from sagadsl.temporal.link.flags import Flags, default_config_file
from sagadsl.temporal.link.shown import DEFAULT, SettingsUnusable, ShownSetting
from sagadsl.temporal.link.storage_setting import NO_STORAGE, StorageSetting, storage_setting
from sagadsl.temporal.link.telemetry import not_traced
from sagadsl.temporal.link.telemetry_setting import NO_TELEMETRY, TelemetrySetting, telemetry_setting
from sagadsl.temporal.link.tls_setting import tls_setting
from sagadsl.temporal.wire.arguments import LONGEST_PAGE
from sagadsl.trust.loopback import is_loopback

_PAGE = re.compile(r"https?://[^\s?#]+", re.IGNORECASE)

_TRUE = frozenset({"1", "t", "true", "y", "yes", "on"})
_FALSE = frozenset({"0", "f", "false", "n", "no", "off"})


def page_setting(environ: Mapping[str, str]) -> str:
    """Return where people reach the gateway's page, from ``SAGADSL_PAGE``, without a slash at its end; empty if unset.

    Runs pin it when they begin. Raises ``SettingsUnusable``.
    """
    page = environ.get("SAGADSL_PAGE", "").strip()
    if page and (not _PAGE.fullmatch(page) or len(page) > LONGEST_PAGE):
        raise SettingsUnusable(
            f"`SAGADSL_PAGE` is `{shortened(page, 60)}`, which is no address of a page",
            "set it to the address of the gateway, e.g. `https://sagas.example.com`, or unset it",
        )
    return page.rstrip("/")


class ConnectionSettings(Immutable):
    """Everything needed to connect. Secret values are in ``secrets``, which is never shown.

    Attributes:
        tls: ``on`` or ``off``.
        api_key: ``set`` or ``none``: never the key.
        warnings: Settings that were found and not used, one sentence each.
        secrets: Keyword arguments of ``Client.connect`` besides address and namespace.
        tls_details: Each certificate, key and name that is set: its name, its file, and who names that.
        codec: What encodes the data of sagas.
        telemetry: Where traces and metrics go.
        storage: Where large payloads go.
    """

    address: ShownSetting
    namespace: ShownSetting
    tls: ShownSetting
    api_key: ShownSetting
    profile: ShownSetting
    warnings: tuple[str, ...] = ()
    secrets: Hidden[Mapping[str, Any]] = field(default_factory=dict)
    codec: CodecSetting = NO_CODEC
    telemetry: TelemetrySetting = NO_TELEMETRY
    storage: StorageSetting = NO_STORAGE
    tls_details: tuple[tuple[str, ShownSetting], ...] = ()

    @property
    def names_a_server(self) -> bool:
        """Whether a flag, a variable or a profile says where to connect."""
        shown = (self.address, self.namespace, self.tls, self.api_key, self.profile)
        return not all(setting.is_default for setting in shown)

    def lines(self) -> tuple[str, ...]:
        """Return the table that every failure to connect shows."""
        rows = [("address", self.address), ("namespace", self.namespace), ("tls", self.tls), *self.tls_details]
        if not self.api_key.is_default:
            rows.append(("api key", self.api_key))
        if not self.codec.is_default:
            rows.append(("codec", self.codec))
        if not self.storage.is_default:
            rows.append(("storage", self.storage))
        if not self.profile.is_default:
            rows.append(("profile", self.profile))
        width = max(len(setting.value) for _, setting in rows)
        first = max(10, *(len(name) for name, _ in rows))
        return tuple(
            f"{name:<{first}} {each.value:<{width}}  {each.origin if each.is_default else 'from ' + each.origin}"
            for name, each in rows
        )


def resolve(flags: Flags, environ: Mapping[str, str], read: Reader = read_source) -> ConnectionSettings:
    """Join flags, *environ* and file; *read* gets an API key that a setting does not hold itself.

    Raises ``SettingsUnusable``.
    """
    env = {} if flags.disable_config_env else environ
    switched = _switch("TEMPORAL_TLS", env)
    file, file_origin = _config_file(flags, env)
    profile_name = flags.profile or env.get("TEMPORAL_PROFILE") or None
    stored = _load(profile_name, file, {})
    # the SDK switches TLS on for every TEMPORAL_TLS that it cannot read, so it does not get to see it
    merged = _load(profile_name, file, {name: value for name, value in env.items() if name != "TEMPORAL_TLS"})
    origins = _Origins(flags, env, file_origin, profile_name or "default", stored)
    chosen = tls_setting(flags, env, merged.tls, switched, origins.of_profile_text())
    tls = chosen.config
    api_key = api_key_setting(flags, env, environ, stored_key(stored.api_key, origins.of_profile_text()), read)
    address = ShownSetting(flags.address or merged.address or "localhost:7233", origins.of("address"))
    _check_address(address)
    if tls is None:  # the `temporal` command, too, switches TLS on for an API key
        tls = api_key.key is not None
        tls_origin = api_key.shown.origin
    else:
        tls_origin = origins.of_tls()
    metadata = {**merged.grpc_meta, **dict(_pair(text) for text in flags.grpc_meta)}
    telemetry = telemetry_setting(flags.otlp, environ)
    return ConnectionSettings(
        address=address,
        namespace=ShownSetting(flags.namespace or merged.namespace or "default", origins.of("namespace")),
        tls=ShownSetting("on" if tls else "off", tls_origin),
        api_key=api_key.shown,
        profile=ShownSetting(profile_name or "default", origins.of_profile()),
        warnings=(
            *_in_clear(address, tls, api_key.key, tls_origin),
            *_warnings(env, file, profile_name or "default"),
            *not_traced(telemetry),
        ),
        secrets={"tls": tls, "api_key": api_key.key, "rpc_metadata": metadata},
        codec=codec_setting(flags, environ, env, _codec_of(file, profile_name or "default"), origins.of_profile_text()),
        telemetry=telemetry,
        storage=storage_setting(flags.storage, environ),
        tls_details=chosen.details,
    )


class _Origins(Immutable):
    flags: Flags
    env: Mapping[str, str]
    file: str
    profile_name: str
    stored: ClientConfigProfile

    def of(self, name: str) -> str:
        variable = f"TEMPORAL_{name.upper()}"
        if getattr(self.flags, name):
            return f"--{name.replace('_', '-')}"
        if self.env.get(variable):
            return variable
        if getattr(self.stored, name):
            return self.of_profile_text()
        return DEFAULT

    def of_tls(self) -> str:
        for name in ("tls", "tls_server_name", "tls_ca_path", "tls_cert_path", "tls_key_path"):
            if getattr(self.flags, name) not in {None, ""}:
                switched_off = name == "tls" and self.flags.tls is False
                return "--no-tls" if switched_off else f"--{name.replace('_', '-')}"
        for variable in sorted(self.env):
            if variable.startswith("TEMPORAL_TLS") and self.env[variable]:
                return variable
        return self.of_profile_text() if self.stored.tls else DEFAULT

    def of_profile(self) -> str:
        if self.flags.profile:
            return "--profile"
        return "TEMPORAL_PROFILE" if self.env.get("TEMPORAL_PROFILE") else DEFAULT

    def of_profile_text(self) -> str:
        return f"profile `{self.profile_name}` of {self.file}"


def _config_file(flags: Flags, env: Mapping[str, str]) -> tuple[Path | None, str]:
    if flags.disable_config_file:
        return None, ""
    named = flags.config_file or env.get("TEMPORAL_CONFIG_FILE")
    if not named:
        path = default_config_file(os.environ)
        return (path, str(path)) if path.is_file() else (None, "")
    if not Path(named).is_file():  # the SDK would take it for an empty file
        origin = "--config-file" if flags.config_file else "TEMPORAL_CONFIG_FILE"
        raise SettingsUnusable(f"there is no file `{named}` ({origin})", "correct the path, or leave it out")
    return Path(named), named


def _load(profile: str | None, file: Path | None, env: Mapping[str, str]) -> ClientConfigProfile:
    if profile and file is None:  # the SDK would take it for an empty one
        raise SettingsUnusable(
            f"there is no profile `{profile}`, because there is no configuration file",
            f"`temporal config set --profile {profile} …` writes one",
        )
    try:
        return ClientConfigProfile.load(profile, config_source=file, disable_file=file is None, override_env_vars=env)
    except Exception as error:  # noqa: BLE001 - the SDK's bridge raises a class that it does not export
        text = str(error).strip()
        if "not found" in text and profile:
            names = ", ".join(f"`{name}`" for name in _profiles(file)) or "none"
            raise SettingsUnusable(
                f"there is no profile `{profile}` in {file}", f"profiles there are: {names}"
            ) from None
        raise SettingsUnusable(f"{file or 'the environment'} cannot be used: {text}") from None


def _profiles(file: Path | None) -> list[str]:
    return sorted(_toml(file).get("profile", {}))


def _codec_of(file: Path | None, profile: str) -> dict[str, Any]:
    found = _toml(file).get("profile", {}).get(profile, {}).get("codec", {})
    return found if isinstance(found, dict) else {}


def _toml(file: Path | None) -> dict[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8")) if file else {}


def _switch(variable: str, env: Mapping[str, str]) -> bool | None:
    """Read a variable that means yes or no; ``None`` when it is not set."""
    text = env.get(variable, "").strip()
    if not text:
        return None
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise SettingsUnusable(f"`{variable}` is `{text}`, which is neither yes nor no", "write `true` or `false`")


def _check_address(address: ShownSetting) -> None:
    host, colon, port = address.value.rpartition(":")
    if "://" in address.value:
        remedy = f"write `{address.value.split('://', 1)[1].rstrip('/')}`"
    elif not colon or (number := small_number(port)) is None:
        remedy = f"write `{address.value.rstrip(':')}:7233`, if it is the usual port"
    elif not host or any(character.isspace() or character == "/" for character in host):
        remedy = "for example `localhost:7233`"
    elif number > 65535:
        remedy = "a port is at most 65535"
    else:
        return
    raise SettingsUnusable(f"`{address.value}` is not an address: host and port are needed ({address.origin})", remedy)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise SettingsUnusable(f"`--grpc-meta {text}` has no key and value", "write `--grpc-meta KEY=VALUE`")
    return key.strip().lower(), value


def _in_clear(address: ShownSetting, tls: TLSConfig | bool, api_key: str | None, origin: str) -> tuple[str, ...]:
    """Warn that the API key is sent unencrypted: that happens only when somebody switched TLS off."""
    host = address.value.rpartition(":")[0].strip("[]")
    if not api_key or tls is not False or is_loopback(host):
        return ()
    return (f"TLS is off ({origin}): the API key goes to {address.value} unencrypted, and others can read it",)


def _warnings(env: Mapping[str, str], file: Path | None, profile: str) -> tuple[str, ...]:
    """Warn of settings that were found and are not used: silence would look as if they worked."""
    stored = _toml(file).get("profile", {}).get(profile, {})
    warnings = []
    if _switch("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", env) or stored.get("tls", {}).get("disable_host_verification"):
        warnings.append("disabling the verification of the server's name is not supported by the SDK and is ignored")
    return tuple(warnings)
