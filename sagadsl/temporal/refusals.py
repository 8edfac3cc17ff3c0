"""Why a request about a saga was not carried out: what the caller did wrong, or what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.engine.keys import MAX_ID
from sagadsl.errors import SagadslError


class InvalidInput(SagadslError):
    """The input does not fit the saga; nothing was started."""

    code: ClassVar[str] = "SD921"
    exit_code: ClassVar[int] = 2

    def __init__(self, name: str, problems: tuple[str, ...]) -> None:
        super().__init__(name, problems)
        self.name, self.problems = name, problems

    def __str__(self) -> str:
        return f"the input does not fit saga `{self.name}`: {'; '.join(self.problems)}"


class AlreadyStarted(SagadslError):
    """A run with this id exists, and starting it again would do its work twice (T11).

    Attributes:
        name: Of its saga.
        request: The fingerprint that its start was given.
    """

    code: ClassVar[str] = "SD922"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str, run_id: str, status: str, *, name: str = "", request: str = "") -> None:
        super().__init__(id, run_id, status)
        self.id, self.run_id, self.status, self.name, self.request = id, run_id, status, name, request

    def __str__(self) -> str:
        return f"saga `{self.id}` exists already: run {self.run_id or 'unknown'} is {self.status}"

    @property
    def help(self) -> str:
        if self.status == "running":
            return f"look at it with `sagadsl status {self.id}`, or start another one with another id"
        return "choose another id, or run it again with `--again`"


class TooLong(SagadslError):
    """An id, or the name of a queue, under which some databases would never find the run again."""

    code: ClassVar[str] = "SD927"
    exit_code: ClassVar[int] = 2

    def __init__(self, what: str, text: str) -> None:
        super().__init__(what, text)
        self.what, self.text = what, text

    def __str__(self) -> str:
        return f"the {self.what} `{self.text[:40]}…` has {len(self.text)} characters, at most {MAX_ID} fit"


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
    """The run has ended, so that it takes nothing in any more (R59)."""

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
    """An operator asked for something that makes no sense as the saga stands."""

    code: ClassVar[str] = "SD925"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str, verb: str, why: str) -> None:
        super().__init__(id, verb, why)
        self.id, self.verb, self.why = id, verb, why

    def __str__(self) -> str:
        return f"cannot {self.verb.replace('_', ' ')} of saga `{self.id}`: {self.why}"


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


@contextmanager
def known(client: Client, id: str) -> Iterator[None]:
    """Say in our words that a run does not exist, or has ended."""
    try:
        yield
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND or error.message.startswith("Namespace "):
            raise
        if "completed" in error.message:
            raise SagaOver(id) from None
        raise SagaNotFound(id, client.namespace) from None
