"""Histories as files: fetched from a server, written as Temporal's own JSON, and read again.

A file holds what the server holds: data that a codec has encoded stays encoded.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import quote, unquote

from google.protobuf.json_format import ParseError
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.errors import SagadslError, reason_of
from sagadsl.immutable import Hidden, Immutable
from sagadsl.temporal.read.described import asked
from sagadsl.temporal.read.filters import Chosen
from sagadsl.temporal.read.stores import stores
from sagadsl.temporal.read.windows import newest

SUFFIXES = (".json", ".json.gz")
"""The ends of the names of files with histories."""

_LONGEST_NAME = 150
_OUR_NAME = re.compile(r"\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.json(?:\.gz)?\Z")
_OURS = b"sagadsl."


class NoHistory(SagadslError):
    """A file does not hold the history of a saga."""

    code = "SD986"
    exit_code = 2

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path, self.why = path, why

    def __str__(self) -> str:
        return f"`{self.path}` does not hold the history of a saga: {self.why}"

    @property
    def help(self) -> str:
        return "`sagadsl history export` writes such files, and so does `temporal workflow show --output json`"


class RunHistory(Immutable):
    """The history of one run."""

    run_id: str
    history: Hidden[WorkflowHistory]

    @property
    def id(self) -> str:
        return self.history.workflow_id

    @property
    def events(self) -> Sequence[HistoryEvent]:
        return self.history.events

    @property
    def began(self) -> WorkflowExecutionStartedEventAttributes:
        """How the run began."""
        return self.events[0].workflow_execution_started_event_attributes


async def runs_of(client: Client, id: str, run_id: str | None = None) -> AsyncIterator[RunHistory]:
    """Yield the histories of a saga: that of its newest run, then those of the runs that it continues.

    The server deletes a run some days after it has ended, also when the saga goes on: such a run is left out.
    With *run_id*, that of this run alone. Raises ``SagaNotFound``.
    """
    current = (await asked(client, id, run_id)).workflow_execution_info.execution.run_id
    while current and (found := await _fetched(client, id, current)) is not None:
        yield found
        current = "" if run_id else found.began.continued_execution_run_id


async def chosen_runs(client: Client, chosen: Chosen, most: int) -> AsyncIterator[RunHistory]:
    """Yield the histories of the newest runs of sagas that were *chosen*, at most so many."""
    conditions = chosen.conditions(ignores_case=(await stores(client)).ignores_case)
    left = most
    async for rows in newest(client, conditions):
        for row in rows:
            run = row.execution
            if "saga" in row.memo.fields and chosen.fits(run.workflow_id, row.type.name):
                if (found := await _fetched(client, run.workflow_id, run.run_id)) is None:
                    continue
                yield found
                left -= 1
            if not left:
                return


async def _fetched(client: Client, id: str, run_id: str) -> RunHistory | None:
    """Return the history of a run; ``None`` when the server has deleted it."""
    try:
        return RunHistory(run_id, await client.get_workflow_handle(id, run_id=run_id).fetch_history())
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


def _is_of_a_saga(recorded: RunHistory) -> bool:
    return "saga" in recorded.began.memo.fields or any(_is_ours(event) for event in recorded.events)


def _is_ours(event: HistoryEvent) -> bool:
    if not event.HasField("marker_recorded_event_attributes"):
        return False
    details = event.marker_recorded_event_attributes.details
    return any(_OURS in payload.data for each in details.values() for payload in each.payloads)


def file_name(recorded: RunHistory) -> str:
    """Return the name of the file for a history: the id, as far as it fits, and the run."""
    return f"{quote(recorded.id, safe='')[:_LONGEST_NAME]}.{recorded.run_id}.json"


def read(path: Path) -> RunHistory:
    """Return the history in a file, as Temporal's JSON, perhaps compressed by gzip. Raises ``NoHistory``."""
    try:
        raw = path.read_bytes()
        data = json.loads(gzip.decompress(raw) if path.name.endswith(".gz") else raw)
    except OSError as error:
        raise NoHistory(str(path), reason_of(error)) from None
    except (ValueError, EOFError, zlib.error, RecursionError) as error:
        raise NoHistory(str(path), f"it is not JSON: {error}") from None
    found = data.get("history", data) if isinstance(data, dict) else None
    if not isinstance(found, dict) or not found.get("events"):
        raise NoHistory(str(path), "it has no `events`")
    try:
        history = WorkflowHistory.from_json(_id(path, data, found), {"events": found["events"]})
    except (ParseError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise NoHistory(str(path), f"its events are not Temporal's: {error}") from None
    recorded = RunHistory(_run_id(path, history), history)
    if not history.events[0].HasField("workflow_execution_started_event_attributes"):
        raise NoHistory(str(path), "its first event is not the start of a run")
    if not _is_of_a_saga(recorded):
        raise NoHistory(str(path), "it is that of another workflow")
    return recorded


def _run_id(path: Path, history: WorkflowHistory) -> str:
    """Return the run's id, which no event has: our own name of the file, or the run that was reset to get this one."""
    if (named := _OUR_NAME.search(path.name)) is not None:
        return named[1]
    return history.events[0].workflow_execution_started_event_attributes.original_execution_run_id


def _id(path: Path, data: dict[str, object], history: dict[str, object]) -> str:
    """Return the workflow's id: Temporal's test server does not put it into the history."""
    events = history["events"]
    first = events[0] if isinstance(events, list) else {}
    began = first.get("workflowExecutionStartedEventAttributes", {}) if isinstance(first, dict) else {}
    named = began.get("workflowId") if isinstance(began, dict) else None
    return str(data.get("id") or named or unquote(path.name.partition(".")[0]))
