"""A worker that is not sagadsl's: Temporal's Python SDK, with its own interceptor for OpenTelemetry."""

from __future__ import annotations

import asyncio
import signal
import sys

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker


@activity.defn(name="carry")
async def carry(order: dict[str, str]) -> None:
    """Carry nothing anywhere."""
    raise ApplicationError(f"no road for {order}", type="NoRoad", non_retryable=True)


async def main(address: str, queue: str, collector: str) -> None:
    """Serve until the process is told to stop."""
    provider = TracerProvider(resource=Resource.create({"service.name": "carrier"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{collector}/v1/traces")))
    interceptor = TracingInterceptor(provider.get_tracer("carrier"))
    client = await Client.connect(address)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Worker(client, task_queue=queue, activities=[carry], interceptors=[interceptor]):
        print("ready", file=sys.stderr, flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
