"""What a job is: a request, the sagas that it is for, and how fast it goes. Its workflow gets this as its input."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sagadsl.immutable import Immutable
from sagadsl.temporal.ask.many import Addressee

WORKFLOW = "sagadsl.job"
"""Name of the workflow, beginning of its ids, and key of its memo."""

QUEUE = "sagadsl.jobs"
"""The task queue on which gateways wait for jobs."""


class JobOrder(Immutable):
    """One request to many sagas.

    Attributes:
        id: Id of the job.
        verb: The word of the request: ``retry``, ``signal`` …
        said: What is asked of each saga: ``by``, ``why`` and what belongs to the verb.
        targets: Whom it is asked of.
        rate: How many are asked in a second.
        who, realm: The caller, as the audit log names it.
    """

    id: str
    verb: str
    said: Mapping[str, Any]
    targets: tuple[Addressee, ...]
    rate: float
    who: str
    realm: str = ""

    def to_json(self) -> dict[str, Any]:
        targets = [[each.id, each.name, each.run_id, each.path, each.occurrence] for each in self.targets]
        return {
            "id": self.id,
            "verb": self.verb,
            "said": dict(self.said),
            "targets": targets,
            "rate": self.rate,
            "who": self.who,
            "realm": self.realm,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> JobOrder:
        return cls(**{**data, "targets": targets_in(data)})

    def request_to(self, target: Addressee) -> str:
        """Return the id of the request to one saga: the same however often the job asks, so that it counts once."""
        return f"many-{hashlib.sha256(f'{self.id} {target.key}'.encode()).hexdigest()[:24]}"


def targets_in(data: Mapping[str, Any]) -> tuple[Addressee, ...]:
    """Return whom an order in JSON is for."""
    rows: Sequence[Sequence[Any]] = data["targets"]
    return tuple(Addressee(*row) for row in rows)


def workflow_id(job: str) -> str:
    """Return the id of the workflow of a job."""
    return f"{WORKFLOW}/{job}"
