"""Which sagas and activities one worker knows, and how long it leaves other work to other workers.

While workers are replaced one after the other, an old worker takes tasks that only a new one can do. Other teams may
also have work on the same queue. So a saga that this worker does not know may be known to another one, and the worker
gives such a workflow task back to the queue for as long as its patience lasts. It counts the time in its own
memory: the time is in no history, so a replay does not need it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from sagadsl.engine.call_errors import QUEUE_BOUND
from sagadsl.language.analysis.known import Signature
from sagadsl.language.own_errors import ACTIVITY_NOT_FOUND
from sagadsl.language.suggest import closest
from sagadsl.temporal.wire.marker import ANYWHERE, HERE

KNOWLEDGE = "sagadsl.knowledge"
"""Name of the function by which a worker hands its ``Knowledge`` to its workflows."""

_REMEMBERED = 10_000
_LISTED = 50


class NotKnownHere(Exception):
    """This worker cannot do a workflow task, and another one may: it fails the task, and never the run."""


class ActivityUnknown(ApplicationError):
    """This worker does not have the activity. The server tries again, unless the caller asks again by itself.

    Attributes:
        where: ``marker.HERE`` when another worker may have it, else ``ANYWHERE``.
    """

    def __init__(self, message: str, where: str, *, non_retryable: bool = False) -> None:
        super().__init__(message, type=ACTIVITY_NOT_FOUND, non_retryable=non_retryable)
        self.where = where

    def final(self) -> ActivityUnknown:
        """Return the same error for a caller that asks again by itself."""
        return ActivityUnknown(self.message, self.where, non_retryable=True)


class Knowledge:
    """The sagas and activities that a worker has.

    Attributes:
        patience: How long it leaves to other workers what it does not know; 0 when there are no others.
    """

    def __init__(
        self,
        sagas: Iterable[str],
        activities: Iterable[str] | None,
        patience: timedelta = QUEUE_BOUND,
        signatures: Callable[[str], object] | None = None,
        versions: Iterable[str] = (),
    ):
        """Take what a worker has.

        Args:
            activities: ``None`` for a worker that takes every name.
            versions: Other names of its sagas: each with its version.
            signatures: Gives the ``Signature`` of an activity; anything else means that it is not known.
        """
        self.sagas = tuple(sorted(sagas))
        self.activities = None if activities is None else tuple(sorted(activities))
        self.patience = patience
        self._signatures = signatures
        self._saga_names = frozenset((*self.sagas, *versions))
        self._activity_names = None if activities is None else frozenset(self.activities or ())
        self._since: OrderedDict[tuple[str, str], float] = OrderedDict()

    def has_saga(self, name: str) -> bool:
        return name in self._saga_names

    def has_activity(self, name: str) -> bool:
        return self._activity_names is None or name in self._activity_names

    def signature(self, name: str) -> Signature | None:
        """Return the signature of an activity, if this worker knows it."""
        found = None if self._signatures is None else self._signatures(name)
        return found if isinstance(found, Signature) else None

    def is_patient(self, run_id: str, what: str = "") -> bool:
        """Whether to leave *what* of a run to other workers still; the time counts from the first call."""
        if not self.patience:
            return False
        now = time.monotonic()
        since = self._since.setdefault((run_id, what), now)
        while len(self._since) > _REMEMBERED:
            self._since.popitem(last=False)
        return now - since < self.patience.total_seconds()

    def without_saga(self, name: str) -> str:
        """Return the sentence for a saga that is not among the definitions, with those that are."""
        listed = f"it has {_list(self.sagas)}" if self.sagas else "it has none"
        return f"no saga `{name}` among this worker's definitions: {listed}{_hint(name, self.sagas)}"

    def without_activity(self, name: str) -> ActivityUnknown:
        """Return the error for an activity that is not installed, with those that are."""
        known = self.activities or ()
        listed = _list(known) if known else "none"
        message = f"activity `{name}` is not installed on this worker; installed: {listed}{_hint(name, known)}"
        return ActivityUnknown(message, HERE if self.patience else ANYWHERE)


def at_hand() -> Knowledge | None:
    """Return the knowledge of this workflow's worker; ``None`` if it does not say. Not to be asked at a replay."""
    asked = None if workflow.unsafe.is_replaying() else workflow.extern_functions().get(KNOWLEDGE)
    found = None if asked is None else asked()
    return found if isinstance(found, Knowledge) else None


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(f"`{each}`" for each in names[:_LISTED]) + more


def _hint(name: str, names: Sequence[str]) -> str:
    meant = closest(name, names)
    return f"; did you mean `{meant}`?" if meant else ""
