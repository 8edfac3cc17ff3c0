"""Lists sagas, newest first, as the server's index knows them. The index lags a little behind the sagas.

Where the index does not know the status of a run, the run itself is asked, up to as many runs as one list
may cost. The status of all others is ``unknown``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import Client
from temporalio.common import TypedSearchAttributes
from temporalio.converter import decode_typed_search_attributes
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.engine.facts import Status
from sagadsl.immutable import Immutable
from sagadsl.status.lines import OPEN
from sagadsl.temporal.read.described import memo_at_once, word
from sagadsl.temporal.read.filters import Chosen
from sagadsl.temporal.read.index import keeps_status
from sagadsl.temporal.read.lineage import LEFT_SOMETHING, heirs
from sagadsl.temporal.read.stores import stores
from sagadsl.temporal.read.survey import UNKNOWN, Asking
from sagadsl.temporal.read.windows import count, newest, within
from sagadsl.temporal.wire.arguments import INDEXED, TAKES_UP, said_no, warnings_in
from sagadsl.temporal.wire.attributes import SAGA_STATUS, SAGA_VERSION

_CLOSED = {
    "held": "held",
    "completed": "completed",
    "canceled": "cancelled",
    "terminated": "terminated",
    "timed_out": "timed_out",
}
_QUERIES = {
    "running": "ExecutionStatus = 'Running'",
    "paused": "ExecutionStatus = 'Running'",
    "compensating": "ExecutionStatus = 'Running'",
    "held": "ExecutionStatus = 'Paused'",
    "completed": "ExecutionStatus = 'Completed'",
    "rejected": "ExecutionStatus IN ('Completed', 'Failed')",
    "cancelled": "ExecutionStatus = 'Canceled'",
    "compensated": "ExecutionStatus = 'Failed'",
    "failed": "ExecutionStatus = 'Failed'",
    "terminated": "ExecutionStatus = 'Terminated'",
    "timed_out": "ExecutionStatus = 'TimedOut'",
}
_WITHOUT_ATTRIBUTES = f"({SAGA_STATUS.name} IS NULL AND {SAGA_VERSION.name} IS NULL)"
"""Finds runs that do not tell the index when they are paused or have failed. The memo says it more exactly."""

_OPEN_OR_FAILED = "ExecutionStatus IN ('Running', 'Failed')"
_WHOLE = "ExecutionStatus != 'ContinuedAsNew'"
"""Leaves out a run that goes on in another run: it is a part of a saga, and the other run stands for the saga."""

_NOT_INDEXED = ("compensating",)
"""A saga tells the index when it needs an operator, but not each of its phases: each would cost an event."""

_BY_ATTRIBUTE = ("running", "paused", "compensated", "failed", "rejected")
"""Words for which Temporal's own status is not enough."""

_SCANNED = 2000
"""Rows after which a page ends, even if it is not full."""

ALL = Chosen()
STATUSES = tuple(_QUERIES)
"""The words by which ``list`` can choose."""


class Listed(Immutable):
    """One run in a list.

    Attributes:
        version: Empty where the server does not keep it.
        warnings: As in ``Ended``.
        takes_up: The run whose work this one has taken up, or after which it has begun anew; empty: none.
        taken_up_by: The run that has done so with this one; empty: none.
    """

    id: str
    run_id: str
    name: str
    version: str
    status: str
    started_at: datetime
    closed_at: datetime | None
    warnings: tuple[Mapping[str, Any], ...] = ()
    takes_up: str = ""
    taken_up_by: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what ``list`` tells programs."""
        closed = None if self.closed_at is None else self.closed_at.isoformat()
        known = {"id": self.id, "run_id": self.run_id, "name": self.name, "version": self.version}
        times = {"started_at": self.started_at.isoformat(), "closed_at": closed}
        warned = {"warnings": list(self.warnings)} if self.warnings else {}
        links = {name: run for name in ("takes_up", "taken_up_by") if (run := getattr(self, name))}
        return {**known, "status": self.status, **times, **warned, **links}


class Page(Immutable):
    """Some runs, the newest first.

    Attributes:
        next: The time before which the runs of the next page began; ``None`` after the last page.
        as_of: When the index was asked. Events reach the index a moment after they happen.
        unanswered: How many runs, at least, may have the status that was asked for: nobody knows theirs.
    """

    sagas: tuple[Listed, ...]
    next: datetime | None
    as_of: datetime
    unanswered: int = 0


async def page(
    client: Client,
    chosen: Chosen = ALL,
    *,
    status: str | None = None,
    fits: Callable[[str], bool] | None = None,
    size: int = 50,
    before: datetime | None = None,
    questions: int = 50,
) -> Page:
    """Return the newest *size* runs of sagas, and a few more if they began in the same moment.

    Workflows that are no sagas are left out. A page with fewer runs need not be the last page.

    Args:
        status: One of ``STATUSES``.
        fits: Says whether the runs of a saga with this name are meant, in addition to what was *chosen*.
        before: The ``next`` of the page before.
        questions: How many runs may be asked for their status.
    """
    as_of, tells, asking = datetime.now(UTC), await keeps_status(client), Asking(client, questions)
    conditions = [*await _conditions(client, chosen), *_status_conditions(status, tells), _WHOLE]
    found: list[Listed] = []
    scanned = unanswered = 0
    async for rows in newest(client, conditions, before):
        for some in _moments(rows, size):
            own = [
                each
                for each in some
                if chosen.fits(each.execution.workflow_id, each.type.name) and (fits is None or fits(each.type.name))
            ]
            for listed in await _listed(client, own, status, tells, asking):
                if status in (None, listed.status):
                    found.append(listed)
                elif listed.status == UNKNOWN:
                    unanswered += 1
            if len(found) >= size:
                shown, next_ = await _cut(client, conditions, found, size)
                return Page(tuple(shown), next_, as_of, unanswered)
        scanned += len(rows)
        if scanned >= _SCANNED:
            return Page(tuple(found), _began(rows[-1]), as_of, unanswered)
    return Page(tuple(found), None, as_of, unanswered)


async def _conditions(client: Client, chosen: Chosen) -> list[str]:
    return chosen.conditions(ignores_case=(await stores(client)).ignores_case)


async def _cut(
    client: Client, conditions: Sequence[str], found: list[Listed], size: int
) -> tuple[list[Listed], datetime | None]:
    """Return the first *size* runs, those that began in the same moment as the last of them, and the ``next``."""
    last = found[size - 1].started_at
    shown = [each for each in found if each.started_at >= last]
    is_last = len(shown) == len(found) and not await count(client, within(conditions, None, last))
    return shown, None if is_last else last


def _moments(rows: Sequence[WorkflowExecutionInfo], size: int) -> Iterator[list[WorkflowExecutionInfo]]:
    """Yield about *size* rows at a time. Rows that began in the same moment stay together."""
    some: list[WorkflowExecutionInfo] = []
    for each in rows:
        if len(some) >= size and _began(each) != _began(some[-1]):
            yield some
            some = []
        some.append(each)
    if some:
        yield some


async def counts(client: Client, chosen: Chosen = ALL) -> dict[str, int]:
    """Return how many workflows have which status, as far as the index knows; it lags, and counts other workflows, too.

    Only what was *chosen* is counted, as far as the choice is exact.

    ``unknown`` counts those of which the index does not know whether they are paused, or have not been undone.
    """
    tells, conditions = await keeps_status(client), await _conditions(client, chosen)

    async def number(word: str, *more: str) -> tuple[str, int]:
        try:
            return word, await count(client, [*conditions, *more])
        except RPCError as error:
            if word == "held" and error.status is RPCStatusCode.INVALID_ARGUMENT:  # the server does not know it
                return word, 0
            raise

    if tells:
        words = {word: [*_status_conditions(word, tells), f"NOT {_WITHOUT_ATTRIBUTES}"] for word in _BY_ATTRIBUTE}
        words[UNKNOWN] = [_OPEN_OR_FAILED, _WITHOUT_ATTRIBUTES]
    else:
        words = {UNKNOWN: [_OPEN_OR_FAILED]}
    words |= {word: _status_conditions(word, tells) for word in _QUERIES if word not in (*_BY_ATTRIBUTE, *_NOT_INDEXED)}
    return dict(await asyncio.gather(*(number(word, *more) for word, more in words.items())))


async def _listed(
    client: Client, rows: Sequence[WorkflowExecutionInfo], status: str | None, tells: bool, asking: Asking
) -> list[Listed]:
    """Return the rows that are sagas. Ask the sagas themselves for what the index does not know."""
    own = [each for each in rows if "saga" in each.memo.fields]  # memos of other workflows need not be readable here
    # A saga whose codec is missing, or fails, must not hide the other sagas.
    sagas = [(row, await memo_at_once(client, row.execution.workflow_id, row.memo)) for row in own]
    statuses = [_indexed_status(row, memo, tells, status) for row, memo in sagas]
    doubtful = [row for (row, _), known in zip(sagas, statuses, strict=True) if known is None]
    answers = iter(
        await asking.all(
            [(each.execution.workflow_id, each.execution.run_id, word(each.status) == "running") for each in doubtful]
        )
    )
    left = [row.execution.workflow_id for row, _ in sagas if word(row.status) in LEFT_SOMETHING]
    later = await heirs(client, left)
    return [
        Listed(
            row.execution.workflow_id,
            row.execution.run_id,
            row.type.name,
            str(memo.get("version") or _attributes(row).get(SAGA_VERSION) or ""),
            next(answers) if known is None else known,
            _began(row),
            row.close_time.ToDatetime(UTC) if row.HasField("close_time") else None,
            warnings_in(memo),
            str(memo.get(TAKES_UP) or ""),
            later.get(row.execution.run_id, ""),
        )
        for (row, memo), known in zip(sagas, statuses, strict=True)
    ]


def _indexed_status(row: WorkflowExecutionInfo, memo: Mapping[str, Any], tells: bool, status: str | None) -> str | None:
    """Return the status of a saga if the index knows it for sure, else ``None``."""
    closed = word(row.status)
    if said_no(memo) is not None:
        return Status.REJECTED.value
    if closed in _CLOSED:
        return _CLOSED[closed]
    said = _attributes(row).get(SAGA_STATUS) or ""
    if closed == "failed":
        return said if said in ("failed", "compensated") else "compensated" if tells and memo.get(INDEXED) else None
    if closed != "running":
        return UNKNOWN
    if status == "compensating" and said != "paused":
        return None
    return said if said in OPEN else "running" if tells and memo.get(INDEXED) else None


def _attributes(row: WorkflowExecutionInfo) -> TypedSearchAttributes:
    return decode_typed_search_attributes(row.search_attributes)


def _began(row: WorkflowExecutionInfo) -> datetime:
    return row.start_time.ToDatetime(UTC)


def _status_conditions(status: str | None, tells: bool) -> list[str]:
    """Return the conditions by which the server can choose. Where it does not know the status, it chooses too many."""
    if status is None:
        return []
    conditions = [_QUERIES[status]]
    if tells and status in ("paused", "failed", "rejected"):
        conditions.append(f"({SAGA_STATUS.name} = '{status}' OR {_WITHOUT_ATTRIBUTES})")
    elif tells and status == "running":
        conditions.append(f"({SAGA_STATUS.name} IS NULL OR {SAGA_STATUS.name} NOT IN ('paused', 'compensating'))")
    elif tells and status == "compensating":
        conditions.append(f"({SAGA_STATUS.name} IS NULL OR {SAGA_STATUS.name} != 'paused')")
    elif tells and status == "compensated":
        conditions.append(f"({SAGA_STATUS.name} IS NULL OR {SAGA_STATUS.name} NOT IN ('failed', 'rejected'))")
    elif tells and status == "completed":
        conditions.append(f"({SAGA_STATUS.name} IS NULL OR {SAGA_STATUS.name} != 'rejected')")
    return conditions
