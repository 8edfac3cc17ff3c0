"""Reads events from Kafka and brings each to the gateway: python from_kafka.py BOOTSTRAP TOPIC GATEWAY

Committed is what counts, or is among the dead letters. One event after the other: what has the same key has an order.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from deliver import Gateway, deliver

SETTINGS = {"group.id": "sagas", "enable.auto.commit": False, "auto.offset.reset": "earliest"}


def consume(
    consumer: Consumer, letters: Producer, dead: str, gateway: Gateway, running: Callable[[], bool], **how: float
) -> None:
    """Handle events as long as *running* says so; *dead* is the topic of dead letters."""
    while running():
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        reason = deliver(gateway, message.value() or b"", lambda seconds: _wait(consumer, seconds), **how)
        if reason is not None:
            _bury(letters, dead, message, reason)
        # Only now. If this process dies before, the event comes again, and counts once all the same.
        consumer.commit(message=message, asynchronous=False)


def _wait(consumer: Consumer, seconds: float) -> None:
    """Wait, and stay in the group: a consumer that does not poll loses its partitions after some minutes."""
    end = time.monotonic() + seconds
    consumer.pause(consumer.assignment())
    while time.monotonic() < end:
        early = consumer.poll(min(1.0, max(end - time.monotonic(), 0.0)))
        if early is not None and not early.error():  # of a partition that has come meanwhile: read it again later
            place = TopicPartition(early.topic() or "", early.partition() or 0, early.offset() or 0)
            consumer.pause([place])
            consumer.seek(place)
    consumer.resume(consumer.assignment())


def _bury(letters: Producer, dead: str, message: Message, reason: str) -> None:
    """Hand an event to those who look after dead letters. Raises if that fails: the event is then not committed."""
    problems: list[Any] = []
    letters.produce(
        dead,
        key=message.key(),
        value=message.value(),
        headers={"reason": reason[:500].encode(), "offset": f"{message.partition()}/{message.offset()}".encode()},
        on_delivery=lambda error, _: problems.append(error) if error else None,
    )
    if letters.flush(30) or problems:
        raise RuntimeError(f"the dead letter was not taken: {problems or 'no answer'}")


if __name__ == "__main__":
    bootstrap, topic, url = sys.argv[1:]
    client = Consumer({"bootstrap.servers": bootstrap, **SETTINGS})
    letters = Producer({"bootstrap.servers": bootstrap})
    client.subscribe([topic])
    try:
        with Gateway(url, os.environ.get("GATEWAY_TOKEN", "")) as to:
            consume(client, letters, f"{topic}.dead", to, lambda: True)
    finally:
        client.close()
