"""The errors of requests that were not carried out: the caller is wrong, or something is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.errors import SagadslError
from sagadsl.language.notation.durations import spell as in_words
from sagadsl.language.paths import MAX_ID
from sagadsl.language.suggest import closest, did_you_mean, listed
from sagadsl.status.lines import spell, unpause


class InputRefused(SagadslError):
    """The input does not fit the saga; nothing was started.

    Attributes:
        help: What was probably meant; empty if nobody knows.
    """

    code: ClassVar[str] = "SD921"
    exit_code: ClassVar[int] = 2

    def __init__(self, name: str, problems: tuple[str, ...], help: str = "") -> None:
        super().__init__(name, problems, help)
        self.name, self.problems, self._help = name, problems, help

    @property
    def help(self) -> str:
        return self._help

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
    """There is no saga with this id, or it has no such run.

    Attributes:
        meant: The id that was probably meant; empty if nobody has looked, or none is near.
        kept: For how long the namespace keeps a run that has ended; None if nobody has looked.
    """

    code: ClassVar[str] = "SD923"
    exit_code: ClassVar[int] = 2

    def __init__(
        self, id: str, namespace: str, run_id: str = "", meant: str = "", kept: timedelta | None = None
    ) -> None:
        super().__init__(id, namespace, run_id)
        self.id, self.namespace, self.run_id, self.meant, self.kept = id, namespace, run_id, meant, kept

    def __str__(self) -> str:
        if self.run_id:
            return f"saga `{self.id}` has no run `{self.run_id}` in namespace `{self.namespace}`"
        return f"no saga `{self.id}` in namespace `{self.namespace}`"

    @property
    def help(self) -> str:
        lines = [f"did you mean `{self.meant}`?"] if self.meant else []
        if self.kept is not None:
            what = "run" if self.run_id else "saga"
            lines.append(f"this namespace keeps a {what} for {in_words(self.kept)} after its end, and deletes it then")
        return "\n".join([*lines, "list what there is with `sagadsl list`"])


class NoWorkerKnows(SagadslError):
    """Each worker of the task queue says that it does not have the saga; nothing was started."""

    code: ClassVar[str] = "SD929"
    exit_code: ClassVar[int] = 2

    def __init__(self, saga: str, queue: str, known: Sequence[str]) -> None:
        super().__init__(saga, queue, known)
        self.saga, self.queue, self.known = saga, queue, tuple(known)

    def __str__(self) -> str:
        has = f"has {listed(self.known)}" if self.known else "has no definitions of its own"
        return f"no worker of task queue `{self.queue}` knows saga `{self.saga}`: it {has}"

    @property
    def help(self) -> str:
        meant = closest(self.saga, self.known)
        advice = "name its file, or start a worker that has its definition: `sagadsl worker DIR`"
        return f"did you mean `{meant}`?" if meant else advice


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
        return f"cannot {self.verb.replace('_step', ' a step of')} saga `{self.id}`: {self.why}"


class StillRunning(SagadslError):
    """The run has not ended, so no other run can take up its work."""

    code: ClassVar[str] = "SD972"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str, verb: str) -> None:
        super().__init__(id, verb)
        self.id, self.verb = id, verb

    def __str__(self) -> str:
        return f"cannot {self.verb} saga `{self.id}`: it is still running"

    @property
    def help(self) -> str:
        return f"see how it stands with `sagadsl status {self.id}`; `sagadsl cancel {self.id}` stops it and undoes it"


class AlreadyTaken(SagadslError):
    """Another run has taken up the work of the closed run already; nothing was started."""

    code: ClassVar[str] = "SD973"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str, verb: str, run_id: str) -> None:
        super().__init__(id, verb, run_id)
        self.id, self.verb, self.run_id = id, verb, run_id

    def __str__(self) -> str:
        return f"cannot {self.verb} saga `{self.id}`: run {self.run_id} has taken up its work already"

    @property
    def help(self) -> str:
        return f"see how that run stands with `sagadsl status {self.id}`"


class CannotTakeUp(SagadslError):
    """The closed run has left nothing that could be done in this way."""

    code: ClassVar[str] = "SD974"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str, verb: str, why: str) -> None:
        super().__init__(id, verb, why)
        self.id, self.verb, self.why = id, verb, why

    def __str__(self) -> str:
        return f"cannot {self.verb} saga `{self.id}`: {self.why}"


class Held(SagadslError):
    """Temporal's own pause holds the run: nothing reaches it, and it answers nothing."""

    code: ClassVar[str] = "SD928"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        return f"saga `{self.id}` is held by Temporal's own pause, so it takes no request"

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


SIGNAL = "signal"
"""The verb of a ``NotAnswered`` about a signal, whose path is the signal's name."""


class NotAnswered(SagadslError):
    """An operator's request or a signal was sent, and no worker has answered: nobody knows what will become of it."""

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
        payload = " --payload …" if self.verb == SIGNAL else ""
        return (
            f"start a worker with `sagadsl worker --task-queue {self.task_queue}`; "
            f"`{command}{payload} --request {self.request}` repeats the same request, and counts once"
        )


class ServerFailed(SagadslError):
    """The server has not answered a request for one of many sagas: nobody knows whether it is carried out."""

    code: ClassVar[str] = "SD976"
    exit_code: ClassVar[int] = 16

    def __init__(self, id: str, error: RPCError) -> None:
        super().__init__(id, error)
        self.id, self.error = id, error

    def __str__(self) -> str:
        return f"the server did not answer for saga `{self.id}`: {self.error.message or self.error.status.name}"

    @property
    def help(self) -> str:
        return f"`sagadsl status {self.id}` shows whether it was carried out"


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
            "this request would make it begin now"
        )

    @property
    def help(self) -> str:
        return f"to cancel it before it begins, use `sagadsl cancel {self.id}`"


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
    """The payload does not fit the signal; nothing was sent. *meant* is what was probably meant, if somebody knows."""

    code: ClassVar[str] = "SD964"
    exit_code: ClassVar[int] = 2

    def __init__(self, signal: str, problems: tuple[str, ...], meant: str = "", *, is_given: bool = True) -> None:
        super().__init__(signal, problems, meant)
        self.signal, self.problems, self.meant, self.is_given = signal, problems, meant, is_given

    def __str__(self) -> str:
        return f"the payload does not fit signal `{self.signal}`: {'; '.join(self.problems)}"

    @property
    def help(self) -> str:
        return self.meant if self.is_given else "it is sent without a payload; `--payload JSON` gives one"


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


class ComesTooEarly(SagadslError):
    """Only steps that count from the beginning of their wait will wait for this signal; nothing was sent."""

    code: ClassVar[str] = "SD967"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str, signal: str) -> None:
        super().__init__(id, signal)
        self.id, self.signal = id, signal

    def __str__(self) -> str:
        return (
            f"too early: not taken. No step of saga `{self.id}` waits for signal `{self.signal}` now, and a step that "
            "will wait for it counts only what comes after its wait has begun (`since: now`)"
        )

    @property
    def help(self) -> str:
        return f"send it again when the wait has begun: `sagadsl signal {self.id} --list` shows what the saga waits for"


class SignalRefused(SagadslError):
    """The saga has refused a signal, for a reason that only the saga knows."""

    code: ClassVar[str] = "SD966"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str, signal: str, reason: str) -> None:
        super().__init__(id, signal, reason)
        self.id, self.signal, self.reason = id, signal, reason

    def __str__(self) -> str:
        return f"saga `{self.id}` has refused signal `{self.signal}`: {self.reason}"


class QueryRefused(SagadslError):
    """A saga does not answer a query: its definition has no such query, or it cannot be computed now."""

    code: ClassVar[str] = "SD969"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str, query: str, reason: str) -> None:
        super().__init__(id, query, reason)
        self.id, self.query, self.reason = id, query, reason

    def __str__(self) -> str:
        return f"saga `{self.id}` does not answer query `{self.query}`: {self.reason}"


@contextmanager
def known(client: Client, id: str) -> Iterator[None]:
    """Raise ``SagaNotFound`` or ``SagaOver`` in place of the SDK's error."""
    try:
        yield
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND or error.message.startswith("Namespace "):
            raise
        if "completed" in error.message or "closing" in error.message:  # the server says the latter of an update
            raise SagaOver(id) from None
        raise SagaNotFound(id, client.namespace) from None
