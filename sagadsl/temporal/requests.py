"""What comes with a request to a run beside what it asks for. Replay-critical.

Whoever is not sure that a request has arrived sends it again, so each one may carry an id, and what comes with the
same id again changes nothing. An operator's decision has the id of its update. A signal has none of its own; it
carries one in a second argument, ``{"sagadsl": {"request": "…"}}``: its payload stays what the sender means, in
every language, and who sends no second argument sends a signal without an id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from temporalio.common import RawValue

from sagadsl.immutable import Immutable

LONGEST_ID = 200
"""Characters of an id of a request; a longer one would count as none."""

_TEXTS = ("path", "by", "why")
_KEY = "sagadsl"


class Asked(Immutable):
    """What an operator's request says.

    Attributes:
        path: Of what waits, as the status writes it; empty for the saga as a whole.
        by, why: Who asks, and the reason, for the saga to keep.
        occurrence: Which time it is that ``path`` waits, as the operator has seen it; ``None``: not said.
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
"""Of a request that says nothing beside its verb."""


def signal_arguments(payload: Any, request: str) -> list[Any]:
    """Return what a signal is sent with."""
    return [payload, {_KEY: {"request": request}}] if request else [payload]


def request_of(args: Sequence[RawValue], decoded: Callable[[RawValue], Any]) -> str:
    """Return the id that a signal came with; empty when its sender has chosen none."""
    if len(args) < 2:
        return ""
    try:
        beside = decoded(args[1])
    except Exception:  # noqa: BLE001 # a client in any language may send anything
        return ""
    ours = beside.get(_KEY) if isinstance(beside, dict) else None
    id_ = ours.get("request") if isinstance(ours, dict) else None
    return id_ if isinstance(id_, str) and len(id_) <= LONGEST_ID else ""
