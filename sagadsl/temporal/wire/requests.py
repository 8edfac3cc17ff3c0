"""The ids of requests to a run, and the forms of an operator's request and of a signal. Replay-critical.

A sender who is not sure that a request has arrived sends it again. So each request may have an id, and a second one
with the same id changes nothing. An operator's decision has the id of its update, and so has a signal that our clients
deliver. A plain signal has no id in Temporal, so it carries one in a second argument, ``{"sagadsl": {"request": "…",
"by": "…", "why": "…"}}``, each of them if its sender wants. This leaves the payload alone, in every language; a signal
without a second argument has no id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from temporalio.common import RawValue

from sagadsl.engine.facts import NOTHING_GIVEN, Given
from sagadsl.immutable import Immutable

LONGEST_ID = 200
"""Longest id of a request, in characters; a longer one counts as none."""

LONGEST_TEXT = 1000
"""Longest ``by`` and ``why`` of a signal, in characters; of a longer one, only the beginning is kept."""

DELIVER_SIGNAL = "deliver_signal"
"""Name of the update by which our clients deliver a signal."""

EARLY_ANSWER = "early_answer"
"""Name of the update that waits for the early answer of a saga."""

_TEXTS = ("path", "by", "why")
_VALUES = ("input", "output")
_FLAGS = ("new_key", "nothing_to_undo")
_KEYS = frozenset((*_TEXTS, "occurrence", *_VALUES, *_FLAGS))
_LISTED = "`path`, `by`, `why`, `occurrence`, `input`, `output`, `new_key` and `nothing_to_undo`"
_KEY = "sagadsl"


class Asked(Immutable):
    """The content of an operator's request.

    Attributes:
        path: Path of the step or call that waits, as the status writes it; empty for the saga as a whole.
        by, why: Who asks, and the reason; the saga records both.
        occurrence: Which wait of ``path`` the operator has seen, by number; ``None`` if the request does not say.
        given: What the operator gives with it; in JSON the keys ``input``, ``output``, ``new_key``,
            ``nothing_to_undo``.
    """

    path: str = ""
    by: str = ""
    why: str = ""
    occurrence: int | None = None
    given: Given = NOTHING_GIVEN

    @classmethod
    def read(cls, data: Any) -> Asked:
        """Raises ``ValueError`` for anything that is no such request."""
        if data is None:
            return cls()
        if not isinstance(data, dict) or (unknown := data.keys() - _KEYS):
            what = f", not `{min(map(str, unknown))}`" if isinstance(data, dict) else ""
            raise ValueError(f"an operator's request is an object of {_LISTED}{what}")
        if any(not isinstance(data.get(key, ""), str) for key in _TEXTS):
            raise ValueError("`path`, `by` and `why` of an operator's request are texts")
        occurrence = data.get("occurrence")
        if occurrence is not None and (not isinstance(occurrence, int) or isinstance(occurrence, bool)):
            raise ValueError("`occurrence` of an operator's request is a whole number")
        if any(not isinstance(data.get(key, False), bool) for key in _FLAGS):
            raise ValueError("`new_key` and `nothing_to_undo` of an operator's request are true or false")
        given = Given.read(data)
        return cls(**{key: data[key] for key in _TEXTS if key in data}, occurrence=occurrence, given=given)

    def to_json(self) -> dict[str, Any]:
        texts = {key: value for key in _TEXTS if (value := getattr(self, key))}
        values = {key: value[0] for key in _VALUES if (value := getattr(self.given, key))}
        flags = {key: True for key in _FLAGS if getattr(self.given, key)}
        return texts | ({} if self.occurrence is None else {"occurrence": self.occurrence}) | values | flags


UNSAID = Asked()
"""The content of a request that has only a verb."""


class Beside(Immutable):
    """What a signal says besides its payload; each text is empty when the sender does not say it.

    Attributes:
        request: Its id.
        by, why: Who sends it, and the reason; the saga records both.
    """

    request: str = ""
    by: str = ""
    why: str = ""

    @classmethod
    def of_arguments(cls, args: Sequence[RawValue], decoded: Callable[[RawValue], Any]) -> Beside:
        """Read the second argument of a signal; what cannot be read counts as not said."""
        if len(args) < 2:
            return cls()
        try:
            data = decoded(args[1])
        except Exception:  # noqa: BLE001 # a client in any language may send anything
            return cls()
        ours = data.get(_KEY) if isinstance(data, dict) else None
        texts = {key: text for key in ("request", "by", "why") if isinstance(text := _get(ours, key), str)}
        request = texts.pop("request", "")
        said = {key: text[:LONGEST_TEXT] for key, text in texts.items()}
        return cls(request if len(request) <= LONGEST_ID else "", **said)

    def arguments(self, payload: Any) -> list[Any]:
        """Return the arguments of a signal that says this."""
        said = {key: text for key in ("request", "by", "why") if (text := getattr(self, key))}
        return [payload, {_KEY: said}] if said else [payload]


def _get(data: Any, key: str) -> Any:
    return data.get(key) if isinstance(data, dict) else None


class Delivery(Immutable):
    """A signal that a client delivers by an update. Its id is the update's.

    Attributes:
        name: Name of the signal.
        by, why: Who sends it, and the reason; the saga records both.
    """

    name: str
    payload: Any = None
    by: str = ""
    why: str = ""

    @classmethod
    def read(cls, data: Any) -> Delivery:
        """Raises ``ValueError`` for anything that is no such request."""
        if not isinstance(data, dict) or data.keys() - {"name", "payload", "by", "why"} or "name" not in data:
            raise ValueError("a signal to deliver is an object of `name`, `payload`, `by` and `why`")
        texts = {key: data.get(key, "") for key in ("name", "by", "why")}
        if any(not isinstance(text, str) for text in texts.values()):
            raise ValueError("`name`, `by` and `why` of a signal to deliver are texts")
        said = {key: texts[key][:LONGEST_TEXT] for key in ("by", "why")}
        return cls(texts["name"], data.get("payload"), **said)

    def to_json(self) -> dict[str, Any]:
        texts = {key: text for key in ("by", "why") if (text := getattr(self, key))}
        return {"name": self.name, "payload": self.payload} | texts
