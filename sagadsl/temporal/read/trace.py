"""What a saga received, what it sent to whom, and what came back: read from its history, so that it needs no worker.

The status says how a saga stands. The trace adds the data, and what came from outside.
This module decides nothing and prints nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.engine.hiding import Marked
from sagadsl.engine.journal import State
from sagadsl.engine.verbs import Verb
from sagadsl.immutable import Hidden, Immutable, replace
from sagadsl.language.notation.json_text import spelled_out
from sagadsl.language.paths import parse_call
from sagadsl.language.schema.secrecy import EVERYTHING, NOTHING, Hiding, Place, found, hiding
from sagadsl.status.lines import moment
from sagadsl.temporal.link.codec import of_workflow
from sagadsl.temporal.read.billed import Billed
from sagadsl.temporal.read.described import Described, describe
from sagadsl.temporal.read.readable import events_of
from sagadsl.temporal.read.recorded import pinned, pinned_in, state_in
from sagadsl.temporal.read.recorded_errors import place_in_failure, stack_in
from sagadsl.temporal.read.watching import StepEvent, StepEvents
from sagadsl.temporal.refusals import SagaNotFound
from sagadsl.temporal.wire.arguments import TAKES_UP, Package
from sagadsl.temporal.wire.requests import DELIVER_SIGNAL, EARLY_ANSWER, Delivery

_SHOWN_BYTES = 20_000
"""Larger values are replaced by their size: neither a page nor a terminal has room for them."""

_OUTSIDE = ("signalled", "operated", "cancel_requested")
_ASKED = frozenset({*(each.value for each in Verb), "migrate", EARLY_ANSWER})
"""The updates by which operators ask for something."""


@dataclass(slots=True)
class TracedCall:
    """A call of an activity or of a child saga, or a signal that was sent.

    Attributes:
        path: The id of the call; see ``language.paths``.
        status: ``running``, ``completed``, ``failed``, ``timed_out`` or ``cancelled``.
        attempts: As far as the history tells.
        input, output: JSON data; ``{"bytes": n}`` for a value that is too large to be shown.
        place: Where the author's code raised the error, if nobody meant it.
        stack: The stack with which the error was recorded.
    """

    path: str
    name: str
    started_at: datetime
    status: str = "running"
    ended_at: datetime | None = None
    attempts: int | None = None
    input: Any = None
    output: Any = None
    error: tuple[str, str] | None = None
    place: str = ""
    stack: str = ""

    def told(self) -> dict[str, str] | None:
        """Return the error as a status tells it."""
        if self.error is None:
            return None
        told = {"type": self.error[0], "message": self.error[1]}
        return told | ({"place": self.place} if self.place else {})

    def as_json(self) -> dict[str, Any]:
        """Return what ``trace`` tells programs."""
        return {
            "path": self.path,
            "undoes": parse_call(self.path).undoes,
            "name": self.name,
            "status": self.status,
            "started_at": iso(self.started_at),
            "ended_at": None if self.ended_at is None else iso(self.ended_at),
            "attempts": self.attempts,
            "input": self.input,
            "output": self.output,
            "error": self.told(),
        }


class Outside(Immutable):
    """Something that came from outside: a signal, an operator's request, a cancel.

    Attributes:
        reply: For a signal, what its sender got from the step that took it.
        sender: For a signal, who sent it; if it does not say, the client, by the name that it gives itself.
    """

    at: datetime
    what: str
    name: str
    data: Any = None
    sender: str = ""
    reply: Any = None

    def as_json(self) -> dict[str, Any]:
        """Return what ``trace`` tells programs."""
        shown = {"at": iso(self.at), "what": self.what, "name": self.name, "data": self.data}
        shown |= {"sender": self.sender} if self.sender else {}
        return shown | ({} if self.reply is None else {"reply": self.reply})


class Trace(Immutable):
    """A saga with its data.

    Attributes:
        billed: The actions that Temporal Cloud bills for it, without its child sagas.
        lacks_beginning: The server has deleted its first runs, and nothing is known of them: neither the input nor
            what they called.
        hides: What takes the secrets of the saga out of whatever else is shown of it.
    """

    id: str
    name: str
    input: Any
    output: Any
    calls: tuple[TracedCall, ...] = ()
    outside: tuple[Outside, ...] = ()
    billed: Billed = field(default_factory=Billed)
    lacks_beginning: bool = False
    hides: Hidden[Hiding] = NOTHING

    def as_json(self) -> dict[str, Any]:
        """Return what ``trace`` tells programs."""
        return {
            "id": self.id,
            "name": self.name,
            "input": self.input,
            "output": self.output,
            "calls": [each.as_json() for each in self.calls],
            "outside": [each.as_json() for each in self.outside],
            "lacks_beginning": self.lacks_beginning,
        }


async def trace(client: Client, id: str, *, run_id: str | None = None, secrets: bool = False) -> Trace:
    """Return what is recorded about a run from its first event on: without *run_id*, the newest with this id.

    Args:
        secrets: Show also the values that the saga's schemas mark as secret.

    Raises ``SagaNotFound``.
    """
    described = await describe(client, id, run_id=run_id)
    collecting, billed, lacks_beginning = await _collected(client, described, covers=not secrets)
    hides = EVERYTHING if collecting.is_unknown else hiding(collecting.secrets)
    if not secrets:
        collecting.hide(hides)
    return Trace(
        id,
        described.workflow_type,
        collecting.input,
        collecting.output,
        tuple(collecting.calls),
        tuple(collecting.outside),
        billed,
        lacks_beginning,
        hides,
    )


async def _collected(client: Client, described: Described, *, covers: bool) -> tuple[_Collecting, Billed, bool]:
    """Read the history of a run, and of those that it continues.

    A run that takes up the work of another one has its definition and its input from there, so that its secrets are
    known from there, too. What runs had that the server keeps no longer, the state tells that a later one was handed.
    """
    id, former = described.id, None
    package = await pinned(client, described)
    if before := described.memo.get(TAKES_UP):
        with contextlib.suppress(SagaNotFound):
            former, *_ = await _collected(client, await describe(client, id, run_id=before), covers=covers)
    runs, packages, lacks_beginning = await _chain(client, id, described.run_id)
    known = {each.raw: each for each in (*packages, package) if each is not None}
    collecting, billed = _Collecting(client, id, list(known.values()), covers=covers), Billed()
    if former is not None:
        collecting.packages += former.packages
        collecting.secrets += former.secrets
    asks = lacks_beginning or (bool(before) and former is None)
    for run in runs:
        reader = StepEvents(id)
        async for recorded in events_of(client, id, run):
            billed.take(recorded)
            if asks and (state := await state_in(recorded, of_workflow(client, id))) is not None:
                collecting.know(state)
                asks = False
            await collecting.take(reader.read(recorded), is_first=run == runs[0] and not lacks_beginning)
    collecting.is_unknown = asks and collecting.marks_anything
    return collecting, billed, lacks_beginning


async def _chain(client: Client, id: str, run_id: str) -> tuple[list[str], list[Package], bool]:
    """Return the runs that led to this one by continue-as-new, the first one first, the definitions with which they
    began, and whether earlier ones are gone.

    The server deletes a run some days after it has ended, also when the saga goes on.

    A run that was reset begins with a copy of another run's history: that other run does not belong to the chain.
    """
    runs, packages = [run_id], dict[bytes, Package]()
    while True:
        events = client.get_workflow_handle(id, run_id=runs[0]).fetch_history_events(page_size=1)
        try:
            first = await anext(events)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND or len(runs) == 1:
                raise
            return runs[1:], list(packages.values()), True
        if (package := await pinned_in([first], of_workflow(client, id))) is not None:
            packages.setdefault(package.raw, package)
        began = first.workflow_execution_started_event_attributes
        if not began.continued_execution_run_id:
            return runs, list(packages.values()), False
        runs.insert(0, began.continued_execution_run_id)


def senders(status: Mapping[str, Any], traced: Trace) -> dict[str, str]:
    """Return when signals came, and from whom, if a wait took them that began later; by path of the wait.

    A wait is left out if signals of its name were refused: then nobody can say for sure which one it took.
    """
    refused = {each["signal"] for each in status.get("refused_signals", ())}
    waits = [step for step in status.get("steps", ()) if step.get("kind") == "wait_for" and step.get("started_at")]
    left = [each for each in traced.outside if each.what == "signalled"]
    found = {}
    for step in sorted(waits, key=lambda each: str(each["started_at"])):
        if step["status"] != "completed" or step["signal"] in refused:
            continue
        began, is_kept = moment(step["started_at"]), step.get("took_kept", False)
        mine = [each for each in left if each.name == step["signal"] and (each.at <= began or not is_kept)]
        taken = next(iter(mine), None)
        if taken is not None:
            left.remove(taken)
            if is_kept:
                found[step["path"]] = f"at {iso(taken.at)}" + (f" from {taken.sender}" if taken.sender else "")
    return found


@dataclass(slots=True)
class _Collecting:
    client: Client
    id: str
    packages: list[Package]
    """All definitions that the saga has had, as far as they are known: what one of them marks is hidden."""
    covers: bool
    input: Any = None
    output: Any = None
    calls: list[TracedCall] = field(default_factory=list)
    outside: list[Outside] = field(default_factory=list)
    running: dict[str, TracedCall] = field(default_factory=dict)
    replying: dict[int, tuple[int, bool]] = field(default_factory=dict)
    """By the number of a request: the signal in ``outside``, and whether the answer tells more than the reply."""
    secrets: list[Any] = field(default_factory=list)
    is_unknown: bool = False
    """Nobody can say what is secret: the server does not keep the run any more that would tell."""

    @property
    def marks_anything(self) -> bool:
        """Whether a definition marks something, or none is known."""
        return not self.packages or any(each.marked.is_any for each in self.packages)

    def know(self, state: State) -> None:
        """Note the secrets in a state that a run was handed."""
        for each in self.packages:
            self.secrets += each.marked.values(each.saga, state)

    def hide(self, hides: Hiding) -> None:
        """Take the secrets out of all that has been collected."""
        self.input, self.output = hides.data(self.input), hides.data(self.output)
        for call in self.calls:
            call.input, call.output = hides.data(call.input), hides.data(call.output)
            call.error = None if call.error is None else (call.error[0], hides.text(call.error[1]))
            call.stack = hides.text(call.stack)
        self.outside = [
            replace(each, data=hides.data(each.data), reply=hides.data(each.reply)) for each in self.outside
        ]

    async def take(self, events: Iterable[StepEvent], *, is_first: bool) -> None:
        for event in events:
            at = event.at.replace(tzinfo=UTC)
            match event.what:
                case "began" if is_first:
                    self.input = await self._value(event.input, at=self._at(lambda marked: marked.input))
                case "ended":
                    self.output = await self._value(event.output)
                case "started":
                    sent = await self._value(event.input, event.to, self._sent_to(event.name))
                    call = TracedCall(event.path, event.name, at, input=sent)
                    self.running[event.path] = call
                    self.calls.append(call)
                case _ if event.ends_call:
                    await self._ended(event, at)
                case "operated" if event.path == DELIVER_SIGNAL:
                    self.replying[event.number] = len(self.outside), True
                    self.outside.append(
                        _delivered(at, await self._value(event.input, at=self._at(lambda marked: marked.delivered)))
                    )
                case "operated" if event.path not in _ASKED:  # a signal, sent as an update of its own name
                    self.replying[event.number] = len(self.outside), False
                    self.outside.append(Outside(at, "signalled", event.path, await self._signal(event)))
                case "operated":
                    self.outside.append(Outside(at, "operated", event.path, await self._asked(event), event.name))
                case "answered" if event.number in self.replying:
                    await self._replied(event)
                case what if what in _OUTSIDE:
                    data = event.error[1] if event.error else await self._signal(event)
                    self.outside.append(Outside(at, what, event.path, data, event.name))
                case _:
                    pass

    def _at(self, of: Callable[[Marked], Sequence[Place]]) -> tuple[Place, ...]:
        """Return some places, as any of the definitions marks them."""
        return tuple(dict.fromkeys(place for each in self.packages for place in of(each.marked)))

    def _sent_to(self, name: str) -> tuple[Place, ...]:
        return self._at(lambda marked: marked.sent.get(name, ()))

    async def _signal(self, event: StepEvent) -> Any:
        return await self._value(event.input, at=self._at(lambda marked: marked.signals.get(event.path, ())))

    async def _asked(self, event: StepEvent) -> Any:
        """Return what an operator asks for; the step that it names says where it has secrets."""

        def at(asked: Any) -> Sequence[Place]:
            path = asked.get("path") if isinstance(asked, Mapping) else None
            named = path if isinstance(path, str) else ""
            return [place for each in self.packages for place in each.marked.asked(each.saga, named)]

        return await self._value(event.input, at=at)

    async def _replied(self, event: StepEvent) -> None:
        """Add to a signal what its sender got."""
        index, is_inside = self.replying.pop(event.number)
        reply = await self._value(event.output)
        if is_inside:
            reply = reply.get("reply") if isinstance(reply, Mapping) else None
        self.outside[index] = replace(self.outside[index], reply=reply)

    async def _ended(self, event: StepEvent, at: datetime) -> None:
        call = self.running.pop(event.path, None)
        if call is None:  # a local activity: its beginning is not recorded
            call = TracedCall(event.path, event.name, at)
            self.calls.append(call)
        call.status, call.ended_at, call.attempts, call.error = event.what, at, event.attempt, event.error
        call.place, call.stack = place_in_failure(event.failure), stack_in(event.failure)
        call.output = await self._value(event.output, at=self._at(lambda marked: marked.given.get(call.name, ())))

    async def _value(
        self,
        payload: Payload | None,
        receiver: str = "",
        at: Sequence[Place] | Callable[[Any], Sequence[Place]] = (),
    ) -> Any:
        """Return a payload as data, decoded with the client's own codec, as that of the workflow that gets it.

        Args:
            at: Where it has secrets, which are noted, and covered; or what says so of the data.
        """
        if payload is None:
            return None
        size = max(len(payload.data), sum(each.size_bytes for each in payload.external_payloads))
        is_large = size > _SHOWN_BYTES
        if is_large and not at:
            return {"bytes": size}
        try:
            (value,) = await of_workflow(self.client, receiver or self.id).decode([payload])
        except Exception:  # noqa: BLE001 # whatever a foreign worker has sent, or a key that is not here
            return {"bytes": size}
        places = at(value) if callable(at) else at
        self.secrets += found(value, places)
        if is_large:
            return {"bytes": size}
        return spelled_out(NOTHING.data(value, places) if self.covers else value)


def _delivered(at: datetime, request: Any) -> Outside:
    """Return a signal that came by an update; a request that cannot be read is shown as it is."""
    try:
        asked = Delivery.read(request)
    except ValueError:
        return Outside(at, "operated", DELIVER_SIGNAL, request)
    return Outside(at, "signalled", asked.name, asked.payload, asked.by)


def iso(at: datetime) -> str:
    """Return a time as the status document writes it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
