"""Lets the services that calls reach go on with the trace, where somebody traces."""

from __future__ import annotations

import sys


def traced() -> dict[str, str]:
    """Return the headers that name the span of this attempt; none where OpenTelemetry is not in use."""
    carrier: dict[str, str] = {}
    if "opentelemetry.trace" in sys.modules:
        from opentelemetry import propagate  # noqa: PLC0415 # an extra

        propagate.inject(carrier)
    return carrier
