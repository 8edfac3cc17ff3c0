"""The ids of requests to a run, and the form of an operator's request. Replay-critical.

A sender who is not sure that a request has arrived sends it again. So each request may have an id, and a second one
with the same id changes nothing. An operator's decision has the id of its update. A signal has no id in Temporal, so
it carries one in a second argument, ``{"sagadsl": {"request": "…"}}``. This leaves the payload alone, in every
language; a signal without a second argument has no id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from temporalio.common import RawValue

from sagadsl.immutable import Immutable

LONGEST_ID = 200
"""Longest id of a request, in characters; a longer one counts as none."""

_TEXTS = ("path", "by", "why")
_KEY = "sagadsl"


class Asked(Immutable):
    """The content of an operator's request.

    Attributes:
        path: Path of the step or call that waits, as the status writes it; empty for the saga as a whole.
        by, why: Who asks, and the reason; the saga records both.
        occurrence: Which wait of ``path`` the operator has seen, by number; ``None`` if the request does not say.
    """

    path: str = ""
    by: str = ""
    why: str = ""
    occurrence: int | None = None

    @classmethod
    def read(cls, data: Any) -> Asked:
        """Raises ``ValueError`` for anything that is no such request."""
        if data is None:
            return cls()
        if not isinstance(data, dict) or data.keys() - {*_TEXTS, "occurrence"}:
            raise ValueError("an operator's request is an object of `path`, `by`, `why` and `occurrence`")
        if any(not isinstance(data.get(key, ""), str) for key in _TEXTS):
            raise ValueError("`path`, `by` and `why` of an operator's request are texts")
        occurrence = data.get("occurrence")
        if occurrence is not None and (not isinstance(occurrence, int) or isinstance(occurrence, bool)):
            raise ValueError("`occurrence` of an operator's request is a whole number")
        return cls(**data)

    def to_json(self) -> dict[str, Any]:
        texts = {key: value for key in _TEXTS if (value := getattr(self, key))}
        return texts | ({} if self.occurrence is None else {"occurrence": self.occurrence})


UNSAID = Asked()
"""The content of a request that has only a verb."""


def signal_arguments(payload: Any, request: str) -> list[Any]:
    """Return the arguments of a signal."""
    return [payload, {_KEY: {"request": request}}] if request else [payload]


def request_of(args: Sequence[RawValue], decoded: Callable[[RawValue], Any]) -> str:
    """Return the id of a signal; empty when its sender has chosen none."""
    if len(args) < 2:
        return ""
    try:
        beside = decoded(args[1])
    except Exception:  # noqa: BLE001 # a client in any language may send anything
        return ""
    ours = beside.get(_KEY) if isinstance(beside, dict) else None
    id_ = ours.get("request") if isinstance(ours, dict) else None
    return id_ if isinstance(id_, str) and len(id_) <= LONGEST_ID else ""
