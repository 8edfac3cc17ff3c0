"""Begins to trace and to measure as the settings say. Without them, nothing is imported and nothing is slower."""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING

from temporalio.runtime import OpenTelemetryConfig

from sagadsl.errors import NeedsExtra
from sagadsl.temporal.link.telemetry_setting import TelemetrySetting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource

    from sagadsl.temporal.link.tracing import Tracing

EXTRA = "otel"
_LAST_SECONDS = 2.0
_SELDOM_SECONDS = 60.0
_PERIOD_MILLISECONDS = 15_000
_BEGUN: dict[TelemetrySetting, Tracing | None] = {}


def tracing_of(setting: TelemetrySetting) -> Tracing | None:
    """Return where the spans of this process go; ``None`` when nobody wants them. A process begins it once.

    If only a variable of OpenTelemetry, which is meant for all programs of a machine, asks for traces, a process
    without the extra sends none: see ``lacks``.

    Raises:
        NeedsExtra: They are wanted, and OpenTelemetry's SDK is not installed.
    """
    if not setting.has_traces:
        return None
    if setting not in _BEGUN:
        _BEGUN[setting] = None if not setting.is_demanded and lacks(setting) else _begun(setting)
    return _BEGUN[setting]


def flush() -> None:
    """Send what has not been sent yet, before the process ends; give up when the collector does not answer soon."""
    begun = [each for each in _BEGUN.values() if each is not None]
    threads = [Thread(target=each.provider.force_flush, daemon=True) for each in begun]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_LAST_SECONDS)


def lacks(setting: TelemetrySetting) -> str:
    """Return what is missing for the traces that are wanted: the name of a package, or nothing."""
    from importlib.util import find_spec  # noqa: PLC0415 # only those who want traces pay for it

    transport = "grpc" if setting.grpc else "http"
    for package in ("opentelemetry", "opentelemetry.sdk", f"opentelemetry.exporter.otlp.proto.{transport}"):
        try:
            if find_spec(package) is None:
                return package
        except ModuleNotFoundError:
            return package
    return ""


def not_traced(setting: TelemetrySetting) -> tuple[str, ...]:
    """Warn that a variable asks for traces or metrics and there are none: silence would look as if it worked."""
    if setting.unusable:
        return (f"there are no traces and no metrics by OTLP: {setting.unusable}",)
    if not setting.has_traces or setting.is_demanded or not (missing := lacks(setting)):
        return ()
    origin = setting.otlp.origin
    return (
        f"{origin} asks for traces, and there are none: `{missing}` is not installed; pip install 'sagadsl[{EXTRA}]'",
    )


class _Seldom(logging.Filter):
    """Lets a collector that is away be told once a minute: the exporters tell of each try, every few seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._told = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR:
            return logging.getLogger().isEnabledFor(logging.INFO)  # with `-v`
        if record.created - self._told < _SELDOM_SECONDS:
            return False
        self._told = record.created
        return True


def _tell_seldom() -> None:
    for signal in ("trace", "metric"):
        logger = logging.getLogger(f"opentelemetry.exporter.otlp.proto.http.{signal}_exporter")
        if not any(isinstance(each, _Seldom) for each in logger.filters):
            logger.addFilter(_Seldom())


def _begun(setting: TelemetrySetting) -> Tracing:
    if missing := lacks(setting):
        raise NeedsExtra(missing, EXTRA)
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter  # noqa: PLC0415

    from sagadsl.temporal.link.tracing import Tracing  # noqa: PLC0415

    exporter: SpanExporter
    if setting.grpc:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415
            OTLPSpanExporter as Grpc,
        )

        exporter = Grpc(endpoint=setting.address("traces"))
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        exporter = OTLPSpanExporter(endpoint=setting.address("traces"))
    _tell_seldom()
    tracing = Tracing(_resource(setting), BatchSpanProcessor(exporter))
    trace.set_tracer_provider(tracing.provider)  # for the spans of the activities' own code
    return tracing


def _resource(setting: TelemetrySetting) -> Resource:
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415

    return Resource.create({"service.name": setting.service} if setting.service else {})


def measuring(setting: TelemetrySetting) -> MeterProvider | None:
    """Return what sends numbers of this process, other than a worker's, to the collector; ``None`` if nobody wants it.

    Raises:
        NeedsExtra: As ``tracing_of``.
    """
    if not setting.has_metrics or setting.grpc:
        return None
    if missing := lacks(setting):
        if setting.is_demanded:
            raise NeedsExtra(missing, EXTRA)
        return None
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415

    _tell_seldom()
    exporter = OTLPMetricExporter(endpoint=setting.address("metrics"))
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=_period(os.environ))
    return MeterProvider([reader], _resource(setting), shutdown_on_exit=False)


def metrics_of(
    setting: TelemetrySetting, buckets: Mapping[str, Sequence[float]], environ: Mapping[str, str] = os.environ
) -> OpenTelemetryConfig | None:
    """Return how the SDK sends the metrics of a worker to the collector; ``None`` when nobody wants them."""
    if not setting.has_metrics:
        return None
    return OpenTelemetryConfig(
        url=setting.address("metrics"),
        headers=_headers(environ),
        metric_periodicity=timedelta(milliseconds=_period(environ)),
        http=not setting.grpc,
        histogram_bucket_overrides=buckets,
    )


def _period(environ: Mapping[str, str]) -> int:
    """Return the milliseconds between two messages with metrics."""
    said = environ.get("OTEL_METRIC_EXPORT_INTERVAL", "")
    return int(said) if said.isdecimal() and int(said) else _PERIOD_MILLISECONDS


def _headers(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of OpenTelemetry's variables: ``key=value``, with commas between them, as in an address."""
    from urllib.parse import unquote  # noqa: PLC0415

    named = environ.get("OTEL_EXPORTER_OTLP_METRICS_HEADERS") or environ.get("OTEL_EXPORTER_OTLP_HEADERS") or ""
    pairs = (each.partition("=") for each in named.split(","))
    return {unquote(key).strip().lower(): unquote(value).strip() for key, equals, value in pairs if equals}
