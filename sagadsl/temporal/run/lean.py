"""What a run need not hold while it waits: the messages that have come and gone. Replay-critical.

A worker keeps thousands of runs in its memory, and most of them wait. A protobuf message owns its memory as a whole:
whoever holds one field of it, or an empty message inside of it, holds all of it. The SDK's instance of a run holds
fields of the activation with which the run began, which has the definition in it, and of the newest one; and it holds
the answer to the newest one until the next one comes. This module gives it copies that are small, and the same for
all runs wherever their contents are the same. See docs/decisions/0039.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstanceDetails

_SHARED = 1_024
"""How many payloads of memos and headers are kept to be shared."""

_LONGEST = 1_000
"""Bytes of the longest payload that is shared."""

_LITTLE = 4_096
"""Bytes of messages that a run may hold while it waits for an activity."""

_NOTHING = Payloads()


def lean(details: WorkflowInstanceDetails) -> WorkflowInstanceDetails:
    """Return what a run begins with, without holding on to the activation that brought it."""
    info = details.info
    before, failure = details.last_completion_result, details.last_failure
    return dataclasses.replace(
        details,
        info=dataclasses.replace(info, headers=of_its_own(info.headers), raw_memo=of_its_own(info.raw_memo)),
        last_completion_result=Payloads.FromString(before.SerializeToString()) if before.payloads else _NOTHING,
        last_failure=None if failure is None else Failure.FromString(failure.SerializeToString()),
    )


def of_its_own(payloads: Mapping[str, Payload]) -> dict[str, Payload]:
    """Return the same payloads by name, apart from the message that they are in."""
    return {name: _apart(payload.SerializeToString()) for name, payload in payloads.items()}


def _apart(data: bytes) -> Payload:
    return _shared(data) if len(data) <= _LONGEST else Payload.FromString(data)


@lru_cache(_SHARED)
def _shared(data: bytes) -> Payload:
    return Payload.FromString(data)


def goes_on_soon(act: WorkflowActivation, done: WorkflowActivationCompletion) -> bool:
    """Whether the run need not let go of an activation and its answer, because another one replaces them soon.

    A local activity ends within the workflow task. A remote one may take long, but mostly does not; the run holds them
    meanwhile if they are small.
    """
    begins = {command.WhichOneof("variant") for command in done.successful.commands}
    if "schedule_local_activity" in begins:
        return True
    return "schedule_activity" in begins and act.ByteSize() + done.ByteSize() < _LITTLE


def without_jobs(act: WorkflowActivation) -> WorkflowActivation:
    """Return an activation that says the same about the workflow task, and in which nothing has happened."""
    empty = WorkflowActivation()
    for field, value in act.ListFields():
        if field.name == "jobs":
            continue
        if field.is_repeated:
            getattr(empty, field.name).extend(value)
        elif field.message_type is not None:
            getattr(empty, field.name).CopyFrom(value)
        else:
            setattr(empty, field.name, value)
    return empty
