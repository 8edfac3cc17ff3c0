"""Makes the answer to the ``status`` query fit into one message (R52).

The server passes on nothing of an answer that is too large. The client would then get only what the history tells,
without what the saga waits for. So the messages of errors are shortened first, and then steps are only counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from temporalio.api.common.v1 import Payload

from sagadsl.engine.chunks import by_step
from sagadsl.language.paths import step_id_in
from sagadsl.temporal.run.activity_errors import shortened

_SHORTER = (1_000, 200, 60)
"""Bytes that a message may have, in the first, second and third try."""

_TEXTS = frozenset({"message", "why", "reason"})


def fitting(status: dict[str, Any], to_payload: Callable[[Any], Payload], most: int) -> Payload:
    """Return *status* as a payload of at most *most* bytes, with as little left out as possible."""
    payload = to_payload(status)
    for limit in _SHORTER:
        if payload.ByteSize() <= most:
            return payload
        payload = to_payload(_with_short_texts(status, limit))
    status = _with_short_texts(status, _SHORTER[-1])
    while payload.ByteSize() > most and status["steps"]:
        status = _with_fewer_steps(status)
        payload = to_payload(status)
    return payload


def _with_short_texts(data: Any, limit: int) -> Any:
    match data:
        case dict():
            return {
                key: shortened(value, limit)
                if key in _TEXTS and isinstance(value, str)
                else _with_short_texts(value, limit)
                for key, value in data.items()
            }
        case list():
            return [_with_short_texts(each, limit) for each in data]
        case _:
            return data


def _with_fewer_steps(status: dict[str, Any]) -> dict[str, Any]:
    """Replace half of the steps by numbers, and keep those that changed last; a part ends earlier instead."""
    steps = status["steps"]
    half = (len(steps) + 1) // 2
    if "part" in status:
        kept = steps[: len(steps) - half]
        return {**status, "steps": kept, "part": {**status["part"], "next": kept[-1]["path"] if kept else None}}
    numbers = Counter(f"{step_id_in(step['path'])} {step['status']}" for step in steps[:half])
    for each in status.get("left_out", ()):
        numbers.update({f"{each['step']} {kind}": number for kind, number in each.items() if kind != "step"})
    return {**status, "steps": steps[half:], "left_out": by_step(numbers)}
