"""Says what a reset of an open saga would do, before anybody asks for it. The saga itself judges. R81."""

from __future__ import annotations

from temporalio.client import Client

from sagadsl.engine.resetting import ResetPlan
from sagadsl.engine.verbs import Verb
from sagadsl.language.paths import path_around, path_in
from sagadsl.temporal.ask.decisions import found
from sagadsl.temporal.ask.dry_runs import would
from sagadsl.temporal.read.described import describe_open
from sagadsl.temporal.refusals import Held
from sagadsl.temporal.run.operated import RESET_QUERY


async def preview(client: Client, id: str, to: str) -> ResetPlan:
    """Return what a reset to the step *to* would do; a path may lead into a child saga. Nothing changes.

    Raises:
        NotPossible, NotAnswered, SagaNotFound, SagaOver: See there.
    """
    target, step = await found(client, id, to, within=True)
    described = await describe_open(client, target)
    if described.held is not None:
        raise Held(target)
    answer = await would(client, described, Verb.RESET.value, RESET_QUERY, step)
    around = path_around(to, step)
    stops, undo, again = (tuple(path_in(around, each) for each in answer[key]) for key in ("stops", "undo", "again"))
    return ResetPlan(path_in(around, answer["to"]), stops, undo, again)
