"""Checks a signal before it is sent, and asks the run afterwards what became of it.

The definition to which a run is pinned says which signals the run waits for, and with which payloads. The run itself
says what became of a signal. When one of these is not available, the answer says so.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.immutable import Immutable, replace
from sagadsl.language.model import Saga, WaitFor
from sagadsl.language.paths import step_id_in
from sagadsl.status.lines import unpause
from sagadsl.temporal import client as sagas
from sagadsl.temporal.arguments import Package
from sagadsl.temporal.read.described import describe_open
from sagadsl.temporal.read.recorded import begins_at, last_answer, pinned
from sagadsl.temporal.refusals import NotAwaited, SignalRefused, UnfitPayload, UnknownSignal, known
from sagadsl.temporal.slow_checks import aside

ANSWER_SECONDS = 5.0
"""How long a worker may take to say what became of a signal; it is short, since a signal waits for nobody."""

_OPEN_STEPS = ("pending", "running", "paused")


class Sent(Immutable):
    """What became of a signal.

    Attributes:
        state: ``taken``: a step has taken it. ``kept``: nothing waits for it yet. ``sent``: nobody has answered.
        step: Path of the step that has taken it.
        is_checked: Before it was sent, the definition was found to wait for it.
        is_repeated: A signal with the same id had come before; both count once.
        begins_at: When a saga begins that was started with a delay, and then handles its signals.
        is_held: Temporal's own pause holds the saga; it handles the signal when it is released.
    """

    id: str
    signal: str
    request: str
    state: str
    step: str = ""
    is_checked: bool = True
    is_repeated: bool = False
    begins_at: datetime | None = None
    is_held: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return what is told to programs."""
        return {
            "id": self.id,
            "signal": self.signal,
            "request": self.request,
            "state": self.state,
            "step": self.step or None,
            "checked": self.is_checked,
            "repeated": self.is_repeated,
        }

    def __str__(self) -> str:
        """Say it in one line."""
        text = f"sent `{self.signal}` to {self.id}{' before; it counts once' if self.is_repeated else ''}: "
        match self.state:
            case "taken":
                return f"{text}taken by step `{self.step}`"
            case "kept":
                return f"{text}kept, since nothing waits for it yet"
            case _ if self.is_held:
                text += f"the saga looks at it when it is released: {unpause(self.id)}"
            case _ if self.begins_at is not None:
                text += f"the saga begins at {self.begins_at:%Y-%m-%dT%H:%M:%SZ}"
            case _:
                text += "no worker has answered, so nobody has taken it yet"
        unchecked = "; whether the saga waits for such a signal could not be checked"
        return text if self.is_checked else text + unchecked


async def signal(client: Client, id: str, name: str, payload: Any = None, *, request: str = "") -> Sent:
    """Send a signal for which the saga waits now or later, and say what became of it.

    Args:
        request: Its id: signals with the same id count once.

    Raises:
        SagaNotFound, SagaOver, UnknownSignal, UnfitPayload, NotAwaited: Nothing was sent.
        SignalRefused: It was sent, and the saga has refused it.
    """
    handle = client.get_workflow_handle(id)
    described = await describe_open(client, id)
    with known(client, id):
        package = await pinned(client, described)
        later = None if await last_answer(client, described) else begins_at(described)
    if package is not None:
        await _check(id, package, name, payload)
    held = described.held is not None
    told = Sent(
        id, name, request or uuid.uuid4().hex, "sent", is_checked=package is not None, begins_at=later, is_held=held
    )
    standing = None if later is not None or held else await _ask(handle, "status")
    if standing is not None and request and (await _ask(handle, "request", request) or {}).get("taken"):
        return replace(await _became(handle, told) or told, is_repeated=True)
    if standing is not None and package is not None and not _may_wait(package.saga, standing, name):
        raise NotAwaited(id, name, standing["status"])
    await sagas.signal(client, id, name, payload, request=told.request)
    return told if standing is None else await _became(handle, told) or told


async def _check(id: str, package: Package, name: str, payload: Any) -> None:
    check = package.check_signals.get(name)
    if check is None:
        raise UnknownSignal(id, name, tuple(package.check_signals))
    if problems := await aside(check, payload):
        raise UnfitPayload(name, problems)


async def _became(handle: WorkflowHandle[Any, Any], sent: Sent) -> Sent | None:
    """Return what became of a signal; ``None`` if it has not arrived, or nobody answers. Raises ``SignalRefused``."""
    answer = await _ask(handle, "request", sent.request)
    if answer is None:
        return None
    if not answer["taken"]:
        raise SignalRefused(sent.id, sent.signal, answer["reason"])
    return replace(sent, state="taken" if answer["by"] else "kept", step=answer["by"])


async def _ask(handle: WorkflowHandle[Any, Any], query: str, *args: Any) -> Any:
    """Return a run's own answer; ``None`` if no worker answers, or an older release does not know the query."""
    try:
        return await handle.query(query, args=args, rpc_timeout=timedelta(seconds=ANSWER_SECONDS))
    except WorkflowQueryFailedError:
        return None
    except RPCError as error:
        if error.status in (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED):
            raise
        return None


def _may_wait(saga: Saga, standing: Mapping[str, Any], name: str) -> bool:
    """Whether a step waits for this signal or may do so later, as far as the top-level steps tell."""
    if name in standing.get("waiting_for", {}):
        return True
    stands = {step["path"]: step["status"] for step in standing.get("steps", ())}
    for id_, place in saga.places.items():
        if not isinstance(place.step.body, WaitFor) or place.step.body.signal != name:
            continue
        top = place.blocks[0] if place.blocks else id_
        if place.is_on_failure or stands.get(step_id_in(top), "pending") in _OPEN_STEPS:
            return True
    return False
