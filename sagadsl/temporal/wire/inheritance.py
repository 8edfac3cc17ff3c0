"""What a run takes over from a closed one, and the request for it: their forms as JSON. Replay-critical.

A client asks with the third start argument ``{"inherit": {"run_id", "how", "verb", …}}``. It sends no state: it could
forge one. The run asks its own worker, which reads the history of the closed run (see ``inheriting``), and the answer
stands in the new run's history.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from sagadsl.engine.facts import Error, How, Inherited, Outcome, Settled
from sagadsl.engine.squeeze import packed, unpacked
from sagadsl.immutable import Immutable, replace
from sagadsl.temporal.wire.definitions import InvalidDefinition

INHERIT_ACTIVITY = "sagadsl.inherit"
"""A local activity that every worker of sagas has; see ``inheriting``."""

STILL_OPEN = "sagadsl.StillOpen"
"""Type of the error while a child saga of the closed run goes on: the new run waits for its end."""

VERBS = ("recover", "redrive")
_TEXTS = ("run_id", "verb", "by", "why", "to")


class TakeUpRequest(Immutable):
    """What a client asks of a run that takes up the work of a closed one.

    Attributes:
        run_id: The closed run.
        how: Undo what it has left, or go on with it.
        verb: The operator's command, one of ``VERBS``; ``by`` and ``why`` are recorded.
        waits: Undo nothing while an attempt of the closed run may still be under way.
        to: The step to which the saga goes back before it goes on; empty: to none.
    """

    run_id: str
    how: How
    verb: str
    by: str = ""
    why: str = ""
    waits: bool = True
    to: str = ""

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"run_id": self.run_id, "how": self.how.value, "verb": self.verb}
        data |= {name: text for name in ("by", "why", "to") if (text := getattr(self, name))}
        return data if self.waits else data | {"waits": False}

    @classmethod
    def from_json(cls, data: Any) -> TakeUpRequest:
        """Raises ``InvalidDefinition`` for anything that is no such request."""
        try:
            found = cls(
                how=How(data["how"]),
                waits=data.get("waits", True) is True,
                **{name: data[name] for name in _TEXTS if name in data},
            )
            if found.verb not in VERBS or not all(isinstance(getattr(found, name), str) for name in _TEXTS):
                raise ValueError(f"`verb` is one of {', '.join(VERBS)}")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidDefinition((f"`inherit` in the third argument is no request of sagadsl: {error}",)) from error
        return found


class Inheritance(Immutable):
    """The answer of the worker.

    Attributes:
        envelope: The closed run's definition, as its own envelope.
        from_folder: That definition came from a worker's own folder.
        state: A snapshot of the closed run's state.
        refused: The signals that the closed run had refused.
        failure: How the server ended the closed run; ``None`` if it ended by itself.
        ends: The ends of calls in flight that are known now.
        renewed: Calls to child sagas that have undone themselves, and begin again as new ones.
        until: Calls in flight with an outcome that nobody knows, and the moment at which their last attempt is over.
    """

    envelope: str
    from_folder: bool
    state: Any
    refused: tuple[Mapping[str, Any], ...] = ()
    failure: Error | None = None
    ends: tuple[Settled, ...] = ()
    renewed: tuple[str, ...] = ()
    until: Mapping[str, float] = {}

    def to_json(self) -> Any:
        """Return the answer as JSON, compressed if it is large."""
        return packed(
            {
                "envelope": self.envelope,
                "from_folder": self.from_folder,
                "state": self.state,
                "refused": list(self.refused),
                "failure": None if self.failure is None else _told(self.failure),
                "ends": [_end(each) for each in self.ends],
                "renewed": list(self.renewed),
                "until": sorted(self.until.items()),
            }
        )

    @classmethod
    def from_json(cls, data: Any) -> Inheritance:
        """Raises ``InvalidDefinition`` for anything that ``to_json`` would not give."""
        try:
            found = unpacked(data)
            return cls(
                found["envelope"],
                found["from_folder"] is True,
                found["state"],
                tuple(dict(each) for each in found["refused"]),
                None if found["failure"] is None else _error(found["failure"]),
                tuple(_settled(each) for each in found["ends"]),
                tuple(found["renewed"]),
                {call: float(at) for call, at in found["until"]},
            )
        except (AttributeError, KeyError, TypeError, ValueError, IndexError, zlib.error) as error:
            raise InvalidDefinition((f"what a closed run has left cannot be read: {error}",)) from error

    def fact(self, asked: TakeUpRequest, at: float, run_id: str, failure: Error | None = None) -> Inherited:
        """Return the first fact of the new run; *failure* stands for an end that has not come yet."""
        return Inherited(
            at,
            run_id,
            asked.how,
            asked.verb,
            asked.by,
            asked.why,
            self.failure or failure,
            frozenset(each.call_id for each in self.ends),
            frozenset(self.renewed),
            asked.to,
        )

    def ends_at(self, at: float) -> list[Settled]:
        """Return the known ends as facts of this moment."""
        return [replace(each, at=at) for each in self.ends]

    def lost(self, call_id: str, at: float) -> Settled:
        """Return the end of a call whose outcome nobody knows: the server ended its run."""
        error = self.failure or Error("terminated", "the run had ended")
        return Settled(at, call_id, Outcome.UNKNOWN, error=error, cancelled=True)


def _end(end: Settled) -> dict[str, Any]:
    return {
        "call_id": end.call_id,
        "outcome": end.outcome.value,
        "output": end.output,
        "error": None if end.error is None else _told(end.error),
        "cancelled": end.cancelled,
        "journal": end.journal,
        **({"abandoned": True} if end.abandoned else {}),
    }


def _settled(data: Mapping[str, Any]) -> Settled:
    error = None if data["error"] is None else _error(data["error"])
    return Settled(
        0.0,
        data["call_id"],
        Outcome(data["outcome"]),
        data["output"],
        error,
        cancelled=data["cancelled"],
        journal=data["journal"],
        abandoned=data.get("abandoned") is True,
    )


def _told(error: Error) -> list[Any]:
    return [error.type, error.message, error.step, [list(cause) for cause in error.causes]]


def _error(data: list[Any]) -> Error:
    type_, message, step, causes = data
    return Error(type_, message, step, tuple((cause[0], cause[1]) for cause in causes))
