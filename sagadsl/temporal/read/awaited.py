"""What a saga waits for: which signals, in which steps, since when and until when, and with which payloads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temporalio.client import Client

from sagadsl.immutable import Immutable
from sagadsl.language.model import Saga, WaitFor
from sagadsl.language.paths import path_in, step_id_in
from sagadsl.temporal.read.described import describe_open
from sagadsl.temporal.read.following import picture
from sagadsl.temporal.read.recorded import pinned
from sagadsl.temporal.refusals import known


class OpenWait(Immutable):
    """A step that waits for a signal now.

    Attributes:
        id: The saga in which it waits: the saga itself, or a child saga, to which the signal has to go.
        since, until: When it began to wait, and when its time is over, as the status writes it; ``None``: not known, or
            without an end.
        is_since_now: Only signals that come after it has begun count.
    """

    path: str
    id: str
    since: str | None = None
    until: str | None = None
    is_since_now: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return what programs are told."""
        counts = "now" if self.is_since_now else "start"
        return {"path": self.path, "id": self.id, "since": self.since, "until": self.until, "counts_from": counts}


class Awaited(Immutable):
    """One signal that a saga knows.

    Attributes:
        payload: JSON Schema of its payload; ``None`` takes anything, or is not known.
        waits: The steps that wait for it now, in the order in which they are served.
        kept: How many such signals have come and wait for a step; ``senders`` are those who said who they are.
    """

    signal: str
    payload: Mapping[str, Any] | None = None
    waits: tuple[OpenWait, ...] = ()
    kept: int = 0
    senders: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what programs are told."""
        return {
            "signal": self.signal,
            "payload": self.payload,
            "waits": [each.as_json() for each in self.waits],
            "kept": self.kept,
            "kept_from": list(self.senders),
        }


async def awaited(client: Client, id: str) -> tuple[Awaited, ...]:
    """Return the signals that a saga knows, awaited ones first. Raises ``SagaNotFound``, ``SagaOver``."""
    described = await describe_open(client, id)
    with known(client, id):
        package = await pinned(client, described)
    saga = None if package is None else package.saga
    status = (await picture(client, id)).status
    found = [_of(name, id, saga, status) for name in dict.fromkeys([*status.get("waiting_for", {}), *_names(saga)])]
    return (*found, *_in_children(status))


def _names(saga: Saga | None) -> tuple[str, ...]:
    return () if saga is None else tuple(saga.signals)


def _of(name: str, id: str, saga: Saga | None, status: Mapping[str, Any]) -> Awaited:
    steps = {step["path"]: step for step in status.get("steps", ())}
    waits = tuple(
        OpenWait(
            path,
            id,
            steps.get(path, {}).get("started_at"),
            steps.get(path, {}).get("due_at"),
            is_since_now=saga is not None and _is_since_now(saga, path),
        )
        for path in status.get("waiting_for", {}).get(name, ())
    )
    senders = tuple(each["by"] for each in status.get("kept_senders", {}).get(name, ()))
    payload = None if saga is None else saga.signals.get(name)
    return Awaited(name, payload, waits, status.get("kept_signals", {}).get(name, 0), senders)


def _is_since_now(saga: Saga, path: str) -> bool:
    place = saga.places.get(step_id_in(path))
    return place is not None and isinstance(place.step.body, WaitFor) and place.step.body.since_now


def _in_children(status: Mapping[str, Any]) -> list[Awaited]:
    """Return what open child sagas wait for; their own lists say more."""
    return [
        Awaited(signal, waits=tuple(OpenWait(path_in(child["path"], path), child["id"]) for path in paths))
        for child in status.get("children", ())
        for signal, paths in child["waiting_for"].items()
    ]
