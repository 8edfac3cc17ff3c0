"""Sends the numbers of a gateway to a collector: the counters and gauges of ``/metrics``, under the same names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from sagadsl.gateway.fleet import PERIOD_SECONDS
from sagadsl.temporal.link.telemetry import measuring

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation
    from prometheus_client import CollectorRegistry

    from sagadsl.gateway.requests import Gateway

_SENT = ("counter", "gauge")
"""Kinds that OpenTelemetry can read from the memory of others; it fills histograms by itself alone."""


@contextmanager
def sent_by_otlp(gateway: Gateway) -> Iterator[bool]:
    """Send the numbers until the end of the block, if a collector is named; say whether it is."""
    provider = measuring(gateway.settings.telemetry)
    if provider is None:
        yield False
        return
    meter, registry = provider.get_meter("sagadsl"), gateway.metrics.registry
    for family in registry.collect():
        if family.type not in _SENT:
            continue
        is_counter = family.type == "counter"
        make = meter.create_observable_counter if is_counter else meter.create_observable_gauge
        name = f"{family.name}_total" if is_counter else family.name
        make(name, [partial(_observed, registry, family.name, name)], description=family.documentation)
    try:
        yield True
    finally:
        provider.shutdown(2_000)


async def keep_looking(gateway: Gateway) -> None:
    """Count the sagas again and again: nobody asks for what is sent."""
    while True:
        if gateway.fleet is not None:
            await gateway.fleet.show(each.saga.name for each in gateway.definitions)
        await asyncio.sleep(PERIOD_SECONDS)


def _observed(registry: CollectorRegistry, family: str, name: str, _options: CallbackOptions) -> Iterable[Observation]:
    from opentelemetry.metrics import Observation  # noqa: PLC0415 # only those who send pay for it

    for each in registry.collect():
        if each.name == family:
            yield from (Observation(sample.value, sample.labels) for sample in each.samples if sample.name == name)
