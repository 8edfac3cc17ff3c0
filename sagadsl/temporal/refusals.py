"""The errors of requests that were not carried out: the caller is wrong, or something is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import ClassVar

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.errors import SagadslError
from sagadsl.language.paths import MAX_ID
from sagadsl.language.suggest import did_you_mean, listed
from sagadsl.status.lines import spell, unpause


class InputRefused(SagadslError):
    """The input does not fit the saga; nothing was started."""

    code: ClassVar[str] = "SD921"
    exit_code: ClassVar[int] = 2

    def __init__(self, name: str, problems: tuple[str, ...]) -> None:
        super().__init__(name, problems)
        self.name, self.problems = name, problems

    def __str__(self) -> str:
        return f"the input does not fit saga `{self.name}`: {'; '.join(self.problems)}"


_ENDED = ("completed", "failed", "canceled", "terminated", "timed_out")
"""Temporal's words for the end of a run."""


class AlreadyStarted(SagadslError):
    """A run with this id exists, and starting it again would do its work twice.

    Attributes:
        name: Name of its saga.
        request: The fingerprint with which it was started.
    """

    code: ClassVar[str] = "SD922"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str, run_id: str, status: str, *, name: str = "", request: str = "") -> None:
        super().__init__(id, run_id, status)
        self.id, self.run_id, self.status, self.name, self.request = id, run_id, status, name, request

    def may_begin_anew(self, *, again: bool) -> bool:
        """Whether that run has ended, and either did not end well or is wanted *again*."""
        return self.status in _ENDED and (again or self.status != "completed")

    def __str__(self) -> str:
        return f"saga `{self.id}` exists already: run {self.run_id or 'unknown'} is {self.status}"

    @property
    def help(self) -> str:
        if self.status == "running":
            return f"look at it with `sagadsl status {self.id}`, or start another one with another id"
        return "choose another id, or run it again with `--again`"


class TooLong(SagadslError):
    """A name is too long for some databases to find the run again, or an id is too long to be used for a request."""

    code: ClassVar[str] = "SD927"
    exit_code: ClassVar[int] = 2

    def __init__(self, what: str, text: str, most: int = MAX_ID) -> None:
        super().__init__(what, text, most)
        self.what, self.text, self.most = what, text, most

    def __str__(self) -> str:
        return f"the {self.what} `{self.text[:40]}…` has {len(self.text)} characters, at most {self.most} fit"


class SagaNotFound(SagadslError):
    """There is no run with this id."""

    code: ClassVar[str] = "SD923"
    exit_code: ClassVar[int] = 2

    def __init__(self, id: str, namespace: str) -> None:
        super().__init__(id, namespace)
        self.id, self.namespace = id, namespace

    def __str__(self) -> str:
        return f"no saga `{self.id}` in namespace `{self.namespace}`"

    @property
    def help(self) -> str:
        return "list what there is with `sagadsl list`"


class SagaOver(SagadslError):
    """The run has ended and accepts no more requests (R59)."""

    code: ClassVar[str] = "SD924"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        return f"saga `{self.id}` is over"

    @property
    def help(self) -> str:
        return f"see how it ended with `sagadsl status {self.id}`"


class NotPossible(SagadslError):
    """An operator asked for something that is not possible in the saga's status."""

    code: ClassVar[str] = "SD925"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str, verb: str, why: str) -> None:
        super().__init__(id, verb, why)
        self.id, self.verb, self.why = id, verb, why

    def __str__(self) -> str:
        return f"cannot {self.verb.replace('_', ' ')} of saga `{self.id}`: {self.why}"


class Held(SagadslError):
    """Temporal's own pause holds the run: nothing reaches it, and it answers nothing."""

    code: ClassVar[str] = "SD928"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        return f"saga `{self.id}` is held by Temporal's own pause, so that it takes nothing in"

    @property
    def help(self) -> str:
        return f"release it with `{unpause(self.id)}`"


class NoAnswer(SagadslError):
    """No worker answers for the run."""

    code: ClassVar[str] = "SD926"
    exit_code: ClassVar[int] = 3

    def __init__(self, id: str, task_queue: str) -> None:
        super().__init__(id, task_queue)
        self.id, self.task_queue = id, task_queue

    def __str__(self) -> str:
        return f"no worker answers for saga `{self.id}` on task queue `{self.task_queue}`"

    @property
    def help(self) -> str:
        return f"start one with `sagadsl worker --task-queue {self.task_queue}`"


class NotAnswered(SagadslError):
    """An operator's request has been sent, and no worker has answered: nobody knows whether it is carried out."""

    code: ClassVar[str] = "SD961"
    exit_code: ClassVar[int] = 16

    def __init__(self, id: str, verb: str, path: str, request: str, task_queue: str) -> None:
        super().__init__(id, verb, path, request, task_queue)
        self.id, self.verb, self.path, self.request, self.task_queue = id, verb, path, request, task_queue

    def __str__(self) -> str:
        asked = f"{self.verb.removesuffix('_step')} {self.path}".rstrip()
        return (
            f"`{asked}` was sent to saga `{self.id}`, and no worker has answered: it may still be carried out when "
            "one comes back, unless the saga is over or the matter is decided by then"
        )

    @property
    def help(self) -> str:
        command = " ".join(("sagadsl", self.verb.removesuffix("_step"), self.id, *filter(None, (self.path,))))
        return (
            f"start a worker with `sagadsl worker --task-queue {self.task_queue}`; "
            f"`{command} --request {self.request}` asks for the same once more, and counts once"
        )


class NotBegun(SagadslError):
    """The run was started with a delay and has not begun: an operator's request would make it begin now."""

    code: ClassVar[str] = "SD962"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str, verb: str, begins_at: datetime) -> None:
        super().__init__(id, verb, begins_at)
        self.id, self.verb, self.begins_at = id, verb, begins_at

    def __str__(self) -> str:
        left = spell(self.begins_at - datetime.now(UTC))
        return (
            f"saga `{self.id}` begins at {self.begins_at:%Y-%m-%dT%H:%M:%SZ}, in {left}: "
            f"to {self.verb.replace('_', ' ')} it now would begin it"
        )

    @property
    def help(self) -> str:
        return f"to have it never begin, `sagadsl cancel {self.id}`"


class UnknownSignal(SagadslError):
    """No step of the saga waits for a signal of this name; nothing was sent."""

    code: ClassVar[str] = "SD963"
    exit_code: ClassVar[int] = 2

    def __init__(self, id: str, signal: str, known: tuple[str, ...]) -> None:
        super().__init__(id, signal, known)
        self.id, self.signal, self.known = id, signal, known

    def __str__(self) -> str:
        return f"saga `{self.id}` never waits for a signal `{self.signal}`"

    @property
    def help(self) -> str:
        near = did_you_mean(self.signal, self.known)
        return near or f"the signals that it waits for are {listed(self.known)}"


class UnfitPayload(SagadslError):
    """The payload does not fit the signal; nothing was sent."""

    code: ClassVar[str] = "SD964"
    exit_code: ClassVar[int] = 2

    def __init__(self, signal: str, problems: tuple[str, ...]) -> None:
        super().__init__(signal, problems)
        self.signal, self.problems = signal, problems

    def __str__(self) -> str:
        return f"the payload does not fit signal `{self.signal}`: {'; '.join(self.problems)}"


class NotAwaited(SagadslError):
    """The saga is past every wait for this signal; nothing was sent."""

    code: ClassVar[str] = "SD965"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str, signal: str, status: str) -> None:
        super().__init__(id, signal, status)
        self.id, self.signal, self.status = id, signal, status

    def __str__(self) -> str:
        return f"saga `{self.id}` is {self.status}, and nothing in it will wait for signal `{self.signal}` any more"

    @property
    def help(self) -> str:
        return f"see how it stands with `sagadsl status {self.id}`"


class SignalRefused(SagadslError):
    """The signal was sent, and the saga has refused it."""

    code: ClassVar[str] = "SD966"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str, signal: str, reason: str) -> None:
        super().__init__(id, signal, reason)
        self.id, self.signal, self.reason = id, signal, reason

    def __str__(self) -> str:
        return f"saga `{self.id}` has refused signal `{self.signal}`: {self.reason}"


@contextmanager
def known(client: Client, id: str) -> Iterator[None]:
    """Raise ``SagaNotFound`` or ``SagaOver`` in place of the SDK's error."""
    try:
        yield
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND or error.message.startswith("Namespace "):
            raise
        if "completed" in error.message:
            raise SagaOver(id) from None
        raise SagaNotFound(id, client.namespace) from None
