"""Waits for the early answer of a saga."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError

from sagadsl.immutable import Immutable, replace
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.described import describe
from sagadsl.temporal.read.secrets import hides_of
from sagadsl.temporal.refusals import SagaOver, known
from sagadsl.temporal.wire.requests import EARLY_ANSWER

_PAUSE = 0.5


class EarlyAnswer(Immutable):
    """What a saga has answered before its end."""

    id: str
    value: Any

    def as_json(self) -> dict[str, Any]:
        """Return what programs are told."""
        return {"id": self.id, "answer": self.value}


async def early_answer(client: Client, id: str) -> EarlyAnswer | None:
    """Wait until a saga answers; ``None`` if it has ended without an answer.

    Raises:
        SagaNotFound: See there.
    """
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(id)
    while True:
        try:
            with known(client, id):
                said = await handle.execute_update(EARLY_ANSWER)
        except (SagaOver, WorkflowUpdateFailedError):  # the run has ended, perhaps while the update was on its way
            status = await runs.status(client, id)
            if "answer" in status:
                return EarlyAnswer(id, status["answer"])
            if status["close_status"] != "running":
                return None
        else:
            if "answer" in said:
                return EarlyAnswer(id, said["answer"])
            if "ended" in said:
                return None
        await asyncio.sleep(_PAUSE)  # it goes on in a new run


async def answer_shown(client: Client, answer: EarlyAnswer) -> EarlyAnswer:
    """Return an answer as people see it who may not see the saga's secrets."""
    hides = await hides_of(client, await describe(client, answer.id))
    return replace(answer, value=hides.data(answer.value))
