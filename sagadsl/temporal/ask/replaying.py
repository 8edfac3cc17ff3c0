"""Replays histories on this release: does it give the commands that the recording release gave?

Nothing is sent to a server. Only what a worker has answered is replayed: of an open run, and of one that the server
has ended, the part up to its last completed workflow task.
"""

from __future__ import annotations

import re
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter, WorkflowSerializationContext
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import Replayer

from sagadsl.immutable import Hidden, Immutable, replace
from sagadsl.language.model import Saga
from sagadsl.temporal.link.codec import only_reading
from sagadsl.temporal.link.release import build_id
from sagadsl.temporal.link.storage import refuse_references
from sagadsl.temporal.read.histories import RunHistory
from sagadsl.temporal.read.recorded import pinned_in
from sagadsl.temporal.run.completed import answers, completed_part, is_end, up_to
from sagadsl.temporal.worker import SagaPlugin

_CORE = re.compile(r'message: "((?:[^"\\]|\\.)*)", source: ')
_PREFIX = re.compile(r"^(\[TMPRL\d+\] )?(Nondeterminism error: )?")
_LONGEST = 500


class Replayed(Immutable):
    """What came of the replay of one history.

    Attributes:
        saga: The definition to which the run is pinned; ``None`` when its history does not have it yet.
        events: How many events of the history were replayed.
        is_open: The run has not ended.
        problem: What differs; empty when nothing does.
        event: The workflow task at whose end this release does something else, by the number of the event; 0 for none.
        recorded: What the history has there: types of events, with the names of what they begin.
    """

    id: str
    run_id: str
    name: str
    saga: Hidden[Saga | None]
    events: int
    is_open: bool
    problem: str = ""
    event: int = 0
    recorded: tuple[str, ...] = ()

    @property
    def is_same(self) -> bool:
        return not self.problem

    def as_json(self) -> dict[str, Any]:
        """Return what ``replay`` tells programs."""
        known = {"id": self.id, "run_id": self.run_id, "name": self.name}
        pinned = {} if self.saga is None else {"version": self.saga.version, "digest": self.saga.digest}
        differs = {"problem": self.problem, "event": self.event, "recorded": list(self.recorded)}
        found = {"ok": self.is_same, "open": self.is_open, "events": self.events}
        return {**known, **pinned, **found, **({} if self.is_same else differs)}


class HistoryReplayer:
    """Replays one history after the other, as a worker of this release would."""

    def __init__(self, converter: DataConverter, namespace: str) -> None:
        self._converter, self._namespace = converter, namespace
        self._replayer = Replayer(
            workflows=[],
            plugins=[SagaPlugin()],
            data_converter=only_reading(converter),
            namespace=namespace,
            build_id=build_id(),
            debug_mode=True,  # a long task is long here too
            runtime=Runtime(telemetry=TelemetryConfig(logging=None)),  # it would log each difference in its own words
        )

    async def replay(self, recorded: RunHistory) -> Replayed:
        """Replay one history. Raises ``CodecMissing``, ``CodecFailed`` when its data cannot be read here."""
        id_, events, began = recorded.id, list(recorded.events), recorded.began
        converter = self._converter.with_context(WorkflowSerializationContext(self._namespace, id_))
        if converter.external_storage is None:  # the SDK would take a missing storage for a difference
            refuse_references(events)
        await converter.decode(list(began.input.payloads))  # and a missing key
        saga = package.saga if (package := await pinned_in(events, converter)) else None
        answered = completed_part(events)
        found = Replayed(
            id_, recorded.run_id, began.workflow_type.name, saga, len(answered), is_open=not is_end(events[-1])
        )
        problem = await self._problem(id_, answered)
        return found if not problem else await self._located(found, answered, problem)

    async def _problem(self, id: str, events: list[HistoryEvent]) -> str:
        if not events:  # no worker has answered yet
            return ""
        replayed = await self._replayer.replay_workflow(WorkflowHistory(id, events), raise_on_replay_failure=False)
        return "" if replayed.replay_failure is None else _in_words(replayed.replay_failure)

    async def _located(self, found: Replayed, events: list[HistoryEvent], problem: str) -> Replayed:
        """Find the first workflow task that differs: from there on, every longer part of the history differs, too."""
        tasks = answers(events)
        low, high = 0, len(tasks) - 1
        while low < high:
            middle = (low + high) // 2
            here = await self._problem(found.id, up_to(events, tasks[middle]))
            if here:
                high, problem = middle, here
            else:
                low = middle + 1
        recorded = tuple(_described(event) for event in tasks[high][1:])
        return replace(found, problem=problem, event=tasks[high][0].event_id, recorded=recorded)


def _in_words(error: Exception) -> str:
    text = str(error)
    core = _CORE.search(text)
    told = core[1].replace('\\"', '"').replace("\\n", " ").replace("\\'", "'") if core else text or type(error).__name__
    return _PREFIX.sub("", told)[:_LONGEST]


def _described(event: HistoryEvent) -> str:
    """Return the type of an event that a command led to, with what it is about."""
    name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").replace("_", " ").lower()
    about: Any = getattr(event, event.WhichOneof("attributes") or "", None)
    for key in ("activity_id", "timer_id", "workflow_id", "marker_name", "signal_name"):
        if what := getattr(about, key, ""):
            return f"{name} `{what}`"
    return name
