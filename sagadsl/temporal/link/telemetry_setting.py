"""Where traces and metrics go, and how logs look: the one place that reads these settings.

A flag wins over OpenTelemetry's own variables, and these over ``[telemetry]`` of ``sagadsl.toml``. What else
OpenTelemetry's variables say (headers, resources, samplers, limits) its SDK reads by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from sagadsl.immutable import Immutable, replace
from sagadsl.plugins.settings import key_meant, table_of
from sagadsl.temporal.link.shown import DEFAULT, SettingsUnusable, ShownSetting

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_TRACES, _METRICS = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
_OFF = "none"
_KEYS = ("otlp", "service", "log_format")
_ALSO = {"endpoint": "otlp", "url": "otlp"}

LogFormat = Literal["text", "json"]


class TelemetrySetting(Immutable):
    """What a process tells of itself.

    Attributes:
        otlp: Address of the collector, and where it comes from; its value is empty if there is none.
        traces, metrics: Addresses that OpenTelemetry's variables name for one of them; empty: below ``otlp``.
        has_traces, has_metrics: Whether they are sent at all.
        service: The name of this process among others; empty if OpenTelemetry's variables say it.
        unusable: Why OpenTelemetry's variables, which ask for something, get nothing; empty if they do.
    """

    otlp: ShownSetting = ShownSetting("", DEFAULT)
    traces: str = ""
    metrics: str = ""
    has_traces: bool = False
    has_metrics: bool = False
    grpc: bool = False
    service: str = ""
    log_format: LogFormat = "text"
    unusable: str = ""

    @property
    def is_demanded(self) -> bool:
        """Whether somebody has asked sagadsl for traces, and not only every program of this machine."""
        return not self.otlp.origin.startswith("OTEL_")

    def address(self, signal: Literal["traces", "metrics"]) -> str:
        """Return where a signal goes."""
        named = self.traces if signal == "traces" else self.metrics
        base = self.otlp.value.rstrip("/")
        return named or (base if self.grpc else f"{base}/v1/{signal}")


NO_TELEMETRY = TelemetrySetting()


def telemetry_setting(otlp: str | None, environ: Mapping[str, str]) -> TelemetrySetting:
    """Return what the flag ``--otlp``, the variables and the project's file say together.

    A variable is meant for all programs of a machine: one that cannot be right ends no command, it is ``unusable``.

    Raises:
        SettingsUnusable: A flag or the file has a value that cannot be right, or a variable does that goes with them.
        SettingsWrong: ``sagadsl.toml`` cannot be read.
    """
    table, origin = _of_project()
    service = "" if _names_service(environ) else table.get("service", "sagadsl")
    quiet = TelemetrySetting(service=service, log_format=table.get("log_format", "text"))
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return quiet
    traces, metrics = environ.get(_TRACES, ""), environ.get(_METRICS, "")
    named = (
        ShownSetting(otlp, "--otlp")
        if otlp
        else ShownSetting(environ[ENDPOINT], ENDPOINT)
        if environ.get(ENDPOINT)
        else ShownSetting(table["otlp"], origin)
        if table.get("otlp")
        else ShownSetting("", _TRACES if traces else DEFAULT)
    )
    if otlp:
        traces = metrics = ""
    protocol = environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf").strip()
    try:
        _check(named.value, named.origin)
        _check(traces, _TRACES)
        _check(metrics, _METRICS)
        if (named.value or traces or metrics) and protocol not in ("http/protobuf", "grpc"):
            raise SettingsUnusable(
                f"`OTEL_EXPORTER_OTLP_PROTOCOL` is `{protocol[:60]}`, which is not supported",
                "`http/protobuf`, the default, or `grpc`",
            )
    except SettingsUnusable as error:
        if named.value and named.origin != ENDPOINT:
            raise
        return replace(quiet, unusable=f"{error}; {error.help}")
    return TelemetrySetting(
        otlp=named,
        traces=traces,
        metrics=metrics,
        has_traces=bool(named.value or traces) and environ.get("OTEL_TRACES_EXPORTER", "").strip() != _OFF,
        has_metrics=bool(named.value or metrics) and environ.get("OTEL_METRICS_EXPORTER", "").strip() != _OFF,
        grpc=protocol == "grpc",
        service=service,
        log_format=quiet.log_format,
    )


def _names_service(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("OTEL_SERVICE_NAME")) or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")


def _check(address: str, origin: str) -> None:
    if address and not _is_address(address):
        shown = "it" if "@" in address else f"`{address[:100]}`"
        raise SettingsUnusable(
            f"{shown} is no address of a collector ({origin})",
            "for example `http://localhost:4318`; credentials go into `OTEL_EXPORTER_OTLP_HEADERS`",
        )


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
        )
    except ValueError:  # a bracket that is not closed, or a port that is none
        return False


def _of_project() -> tuple[dict[str, Any], str]:
    table, file = table_of(Path.cwd())
    chosen, origin = table.get("telemetry", {}), f"[telemetry] of {file}"
    if not isinstance(chosen, dict):
        raise SettingsUnusable(f"{origin} is no table")
    known = ", ".join(f"`{each}`" for each in _KEYS)
    for key, value in chosen.items():
        if key not in _KEYS:
            raise SettingsUnusable(f"{origin} has `{key}`", key_meant(key, _KEYS, f"it has {known}", _ALSO))
        if not isinstance(value, str):
            raise SettingsUnusable(f"`{key}` of {origin} is no text")
    if chosen.get("log_format", "text") not in ("text", "json"):
        raise SettingsUnusable(f"`log_format` of {origin} is `{chosen['log_format'][:60]}`", "`text` or `json`")
    return chosen, origin
