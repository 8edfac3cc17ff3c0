"""Reads events from SQS and brings each to the gateway: python from_sqs.py QUEUE_URL DEAD_LETTERS_URL GATEWAY

Deleted is what counts, or is among the dead letters.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from deliver import Gateway, deliver

HIDDEN = 60
"""Seconds for which nobody else sees a message that is being handled."""


def consume(sqs: Any, queue: str, dead: str, gateway: Gateway, running: Callable[[], bool], **how: float) -> None:
    """Handle events as long as *running* says so; *sqs* is a client of boto3, *dead* the queue of dead letters."""
    while running():
        got = sqs.receive_message(
            QueueUrl=queue,
            MaxNumberOfMessages=1,  # the next one waits in the queue, where others can have it
            WaitTimeSeconds=20,
            VisibilityTimeout=HIDDEN,
            MessageSystemAttributeNames=["All"],
        )
        for message in got.get("Messages", []):
            handle = {"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]}
            reason = deliver(gateway, message["Body"].encode(), partial(_wait, sqs, handle), **how)
            if reason is not None:
                _bury(sqs, dead, message, reason)
            # Only now. If this process dies before, the event comes again, and counts once all the same.
            sqs.delete_message(**handle)


def _wait(sqs: Any, handle: dict[str, str], seconds: float) -> None:
    """Wait, and keep the message hidden: each time it comes back counts towards `maxReceiveCount`."""
    sqs.change_message_visibility(**handle, VisibilityTimeout=int(seconds) + HIDDEN)
    time.sleep(seconds)


def _bury(sqs: Any, dead: str, message: dict[str, Any], reason: str) -> None:
    """Hand an event to those who look after dead letters."""
    attributes = message.get("Attributes", {})
    order = {}
    if "MessageGroupId" in attributes:  # a FIFO queue has dead letters in one, too
        order = {"MessageGroupId": attributes["MessageGroupId"], "MessageDeduplicationId": message["MessageId"]}
    told = {"reason": {"DataType": "String", "StringValue": reason[:500]}}
    sqs.send_message(QueueUrl=dead, MessageBody=message["Body"], MessageAttributes=told, **order)


if __name__ == "__main__":
    import boto3  # type: ignore[import-not-found]

    source, letters, url = sys.argv[1:]
    with Gateway(url, os.environ.get("GATEWAY_TOKEN", "")) as to:
        consume(boto3.client("sqs"), source, letters, to, lambda: True)
