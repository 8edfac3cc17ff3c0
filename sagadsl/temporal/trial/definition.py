"""Copies a definition for a trial: for one worker alone, with what only a definition can bring about."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import timedelta
from typing import Any

from sagadsl.immutable import Immutable, field
from sagadsl.language.calls import ActivityCall
from sagadsl.language.notation.durations import spell
from sagadsl.language.paths import Purpose, parse_call, pattern_of, step_id_in
from sagadsl.trial.mocks import Mocks
from sagadsl.trial.names import activities_of
from sagadsl.trial.target import Target

_DATA = ("input", "output", "set", "payload", "labels", "send")
"""Keys that hold data: nothing below them is a step, whatever it looks like."""

_LIMITS = ("start_to_close", "schedule_to_close", "heartbeat")
"""The timeouts that keep running while an attempt waits in its worker."""

MAX_ENDPOINT = 200
_ENDPOINT = "trial-"

_SILENCE = "schedule_to_start"
"""The timeout of a call that no worker takes."""


class CannotBePlayed(Exception):
    """A server cannot be made to play the case; the message says why in one sentence."""


class Copies(Immutable):
    """Definitions as data.

    Attributes:
        nobody: Queues that no worker polls, each with its name in the original; empty stands for the saga's own queue.
        endpoints: Nexus endpoints of the trial's own, each with its name in the original.
    """

    root: dict[str, Any]
    children: dict[str, dict[str, Any]]
    nobody: dict[str, str]
    endpoints: dict[str, str] = field(default_factory=dict)


def copies(target: Target, mocks: Mocks, queue: str) -> Copies:
    """Return definitions whose calls all go to the saga's own *queue*, except for calls that no worker shall take.

    Raises:
        CannotBePlayed: A worker would have to take only some attempts of a call.
    """
    made = Copies(deepcopy(dict(target.definition)), {k: deepcopy(dict(v)) for k, v in target.children.items()}, {})
    untaken = [_call(made, target, name) for name in _untaken(target, mocks)]
    queues = [_queue_of(call, data) for call, _, data in untaken]
    for data in (made.root, *made.children.values()):
        for each in mappings(data):
            each.pop("task_queue", None)
            operation = each.get("nexus")
            if isinstance(operation, dict) and operation["endpoint"] not in made.endpoints:  # an alias may repeat it
                own = f"{_ENDPOINT}{queue.rpartition('-')[2]}-{operation['endpoint']}"[:MAX_ENDPOINT]
                made.endpoints[own] = operation["endpoint"]
                operation["endpoint"] = own
    for (call, heirs, _), original in zip(untaken, queues, strict=True):
        nobody = f"nobody-{uuid.uuid4().hex[:12]}"
        made.nobody[nobody] = original
        for each in heirs:
            each["task_queue"] = queue
        call["task_queue"] = nobody
    return made


def wait_longer(made: Copies, target: Target, name: str, longer: timedelta) -> None:
    """Make the timeouts of the call *name* *longer*: whoever interferes at its beginning makes its attempt wait.

    A call of a step that shares its id with another step keeps its timeouts.
    """
    call = target.names.calls.get(pattern_of(name))
    if not isinstance(call, ActivityCall):
        return
    with contextlib.suppress(CannotBePlayed):
        data, _, _ = _call(made, target, name)
        limits = {key: getattr(call.timeouts, key) for key in _LIMITS}
        known = {key: spell(limit + longer) for key, limit in limits.items() if isinstance(limit, timedelta)}
        data["timeouts"] = {**data.get("timeouts", {}), **known}


def _untaken(target: Target, mocks: Mocks) -> Iterator[str]:
    """Yield the names of the calls that no worker shall take."""
    for key, entries in mocks.entries.items():
        if any(mock.timeout == _SILENCE for mock in entries[1:]):
            raise CannotBePlayed(f"`{key}` is taken at its first attempt, and a worker takes all attempts or none")
        if not entries or entries[0].timeout != _SILENCE:
            continue
        if key not in target.names.calls and pattern_of(key) in target.names.calls:
            raise CannotBePlayed(f"no worker takes `{key}`, but it takes other rounds: a worker takes all or none")
        for name, call in target.names.calls.items():
            operates = isinstance(call, ActivityCall) and call.operation is not None
            if not operates and (key == name or (key in activities_of(call) and name not in mocks.entries)):
                yield name


def _call(made: Copies, target: Target, name: str) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Return a call as data, the compensations that would inherit its queue, and the definition that holds it."""
    call = parse_call(name)
    id_ = step_id_in(name)
    own = target.names.is_step(call.step)
    places = [made.root] if own else list(made.children.values())
    found = [(step, data) for data in places for step in mappings(data) if step.get("id") == id_]
    if len(found) != 1:
        raise CannotBePlayed(f"`{name}` is not the only step of its id, so that its queue cannot be another one")
    step, data = found[0]
    undos = step.get("compensation")
    actions = [each for each in (undos if isinstance(undos, list) else [undos]) if isinstance(each, dict)]
    match call.purpose:
        case Purpose.UNDO:
            return actions[call.action or 0], [], data
        case Purpose.PROBE:
            return step["probe"], [], data
        case Purpose.DO:
            return step, [each for each in actions if "task_queue" not in each], data


def _queue_of(call: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    return str(call.get("task_queue") or data.get("defaults", {}).get("task_queue") or "")


def mappings(data: Any) -> Iterator[dict[str, Any]]:
    """Yield a definition and every mapping in it, except for the data of users."""
    if isinstance(data, dict):
        yield data
        for key, value in data.items():
            if key not in _DATA:
                yield from mappings(value)
    elif isinstance(data, list):
        for value in data:
            yield from mappings(value)
