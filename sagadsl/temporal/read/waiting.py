"""Finds what waits for a person: the sagas that may, by the server's index, and then each of them by its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.errors import SagadslError
from sagadsl.immutable import Immutable, replace
from sagadsl.status.incidents import Incident, incidents_of
from sagadsl.temporal.read.filters import Chosen
from sagadsl.temporal.read.following import picture
from sagadsl.temporal.read.listing import ALL, Listed, Page, page

_AT_ONCE = 10
_KILLED = ("terminated", "timed_out")
_PAGE = 100
_STUCK = (
    "ExecutionStatus = 'Running' "
    "AND TemporalReportedProblems IN ('category=WorkflowTaskFailed', 'category=WorkflowTaskTimedOut')"
)
"""The server marks a run so after five failed attempts of a workflow task, which takes most of a minute
(`findings/temporal-a-stuck-workflow-is-flagged-late.sh`)."""


class Waiting(Immutable):
    """What waits for a person.

    Attributes:
        incidents: In no order.
        unanswered: How many sagas, at least, may wait as well: nobody answered for them.
        has_more: There are more sagas that wait than were looked at.
        as_of: When the index was asked. Events reach the index a moment after they happen.
    """

    incidents: tuple[Incident, ...]
    unanswered: int
    has_more: bool
    as_of: datetime


async def waiting(
    client: Client,
    chosen: Chosen = ALL,
    *,
    fits: Callable[[str], bool] | None = None,
    most: int = 1000,
    questions: int = 100,
) -> Waiting:
    """Return what waits for a person in at most *most* sagas.

    A child saga belongs to its parent, and is listed with it when the parent waits, too; else it stands for itself.

    Args:
        fits: Says whether the runs of a saga with this name are meant, in addition to what was *chosen*.
        questions: How many runs may be asked for their status where the index does not know it.
    """
    as_of, found, unanswered, has_more = datetime.now(UTC), dict[str, Listed](), 0, False
    async for here, more in _candidates(client, chosen, fits, most, questions):
        found |= {each.id: each for each in here.sagas}
        unanswered, has_more = unanswered + here.unanswered, has_more or more
    turn = asyncio.Semaphore(_AT_ONCE)

    async def look(id_: str) -> list[Incident] | None:
        async with turn:
            try:
                seen = await picture(client, id_)
            except (RPCError, SagadslError):
                return None
        return list(incidents_of(seen.status, seen.attempts)) if seen.is_open else []

    answers = await asyncio.gather(*(look(id_) for id_ in list(found)[:most]))
    unanswered += sum(each is None for each in answers)
    incidents = {(each.id, each.path, each.kind): each for answer in answers for each in answer or ()}
    return Waiting(tuple(incidents.values()), unanswered, has_more or len(found) > most, as_of)


async def killed(client: Client, chosen: Chosen = ALL) -> dict[str, int]:
    """Return how many sagas were terminated, and how many timed out, without a run that has taken up their work.

    Nothing of theirs waits, and what they have done may not be undone. The newest of each kind are looked at.
    """
    found = {each: (await page(client, chosen, status=each, size=_PAGE)).sagas for each in _KILLED}
    return {each: left for each, sagas in found.items() if (left := sum(not saga.taken_up_by for saga in sagas))}


async def _candidates(
    client: Client, chosen: Chosen, fits: Callable[[str], bool] | None, most: int, questions: int
) -> AsyncIterator[tuple[Page, bool]]:
    """Yield pages of sagas that may wait, and whether more sagas of that kind were not looked at."""
    both = f"({chosen.query}) AND {_STUCK}" if chosen.query else _STUCK
    kinds = (("paused", chosen), ("held", chosen), (None, replace(chosen, query=both)))
    for status, choice in kinds:
        before: datetime | None = None
        seen = 0
        while True:
            size = min(_PAGE, most - seen)
            try:
                here = await page(
                    client, choice, status=status, fits=fits, size=size, before=before, questions=questions
                )
            except RPCError as error:
                if error.status is RPCStatusCode.INVALID_ARGUMENT and status != "paused":  # an older server
                    break
                raise
            seen, before = seen + len(here.sagas), here.next
            is_full = seen >= most
            yield here, is_full and before is not None
            if is_full or before is None:
                break
