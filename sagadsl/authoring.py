"""What authors of activities write with: the decorator, the context, the errors.

Knows nothing of Temporal and imports nothing heavy: importing a plugin must stay cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    import logging

MARK = "__sagadsl_activity__"
"""Attribute under which the decorator leaves the :class:`Spec` on a function."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Spec:
    """What the decorator was told.

    Attributes:
        name: The activity's own name; ``None`` is the function's name. An entry point's name wins over both.
        errors: Error types that the activity raises on purpose.
        compensated_by: Name of the activity that undoes this one.
        timeouts: Advised timeouts by Temporal's names, e.g. ``{"start_to_close": "30s"}``.
        examples: Inputs for the documentation.
        idempotent: Repeating it with the same key does no harm; ``None`` says nothing.
    """

    name: str | None = None
    errors: tuple[str, ...] = ()
    compensated_by: str | None = None
    timeouts: Mapping[str, str] = field(default_factory=dict)
    examples: tuple[Any, ...] = ()
    idempotent: bool | None = None


@overload
def activity(function: _Function, /) -> _Function: ...


@overload
def activity(
    *,
    name: str | None = None,
    errors: Sequence[str] = (),
    compensated_by: str | None = None,
    default_timeout: str | None = None,
    timeouts: Mapping[str, str] | None = None,
    examples: Sequence[Any] = (),
    idempotent: bool | None = None,
) -> Callable[[_Function], _Function]: ...


def activity(
    function: _Function | None = None,
    /,
    *,
    name: str | None = None,
    errors: Sequence[str] = (),
    compensated_by: str | None = None,
    default_timeout: str | None = None,
    timeouts: Mapping[str, str] | None = None,
    examples: Sequence[Any] = (),
    idempotent: bool | None = None,
) -> _Function | Callable[[_Function], _Function]:
    """Make a function (``def`` or ``async def``) or a method an activity; it stays callable as before.

    A single parameter typed as a pydantic model, dataclass, ``TypedDict`` or ``dict`` is the
    whole input. Otherwise the input is an object whose keys are the parameters. A parameter
    typed :class:`Context` receives the context. The docstring is the description.

    Args:
        name: Name of the activity where no entry point names it; the function's name if left out.
        errors: Error types it raises on purpose, so that definitions can be checked against them.
        compensated_by: Name of the activity that undoes it.
        default_timeout: Short for ``timeouts={"start_to_close": …}``.
        timeouts: Advised timeouts, e.g. ``{"start_to_close": "30s", "heartbeat": "10s"}``.
        examples: Inputs, for the documentation.
        idempotent: Repeating it with the same idempotency key does no harm.
    """
    if isinstance(errors, str):
        raise TypeError(f"errors of an activity is a list of names, not the text `{errors}`")
    if default_timeout is not None and timeouts is not None:
        raise TypeError("an activity takes either default_timeout or timeouts")
    advised = {"start_to_close": default_timeout} if default_timeout is not None else dict(timeouts or {})
    spec = Spec(name, tuple(errors), compensated_by, advised, tuple(examples), idempotent)

    def mark(marked: _Function) -> _Function:
        if isinstance(marked, type) or not callable(marked):
            raise TypeError(f"@activity stands on functions and methods, not on `{marked!r}`")
        setattr(marked, MARK, spec)
        return marked

    return mark if function is None else mark(function)


def _logger() -> logging.Logger:
    import logging  # noqa: PLC0415 # 3 ms that who only looks at a plugin's mark need not pay

    return logging.getLogger("sagadsl.activity")


def _not_running(*_details: Any) -> None:
    """Stand in for the worker: nobody listens to a heartbeat outside of one."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Context:
    """What an activity can know about the call it serves. Build one yourself to test a function.

    Attributes:
        idempotency_key: Of this call; the same at every attempt, reset and repetition.
        attempt: Counts from 1.
        saga_id: The saga's workflow id.
        step: Path of the step, e.g. ``book/flight``; also when this call undoes it.
        activity: Name under which it was called.
        step_idempotency_key: Of the forward call; differs from ``idempotency_key`` in a compensation.
        is_compensation: This call undoes ``step``.
        heartbeat_details: What the newest heartbeat of an earlier attempt carried.
        secrets: Names of secrets that the definition itself has written into the input, as ``${secret:NAME}``, by
            where they stand, keys joined by ``/``. What came out of data is not among them, so look up no other ones.
        secrets_host: Host of the input's ``url``, with its port, if the definition writes it out and names a secret.
        secrets_hosts: The same of the input's other addresses, such as that of a token endpoint, by their place.
        logger: Adds the saga and the activity to every line.
    """

    idempotency_key: str = "saga/step/do"
    attempt: int = 1
    saga_id: str = "saga"
    step: str = "step"
    activity: str = ""
    step_idempotency_key: str = "saga/step/do"
    is_compensation: bool = False
    heartbeat_details: tuple[Any, ...] = ()
    secrets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    secrets_host: str = ""
    secrets_hosts: Mapping[str, str] = field(default_factory=dict)
    logger: logging.Logger | logging.LoggerAdapter[Any] = field(default_factory=_logger)
    send_heartbeat: Callable[..., None] = field(default=_not_running, repr=False)
    is_cancelled: Callable[[], bool] = field(default=_never, repr=False)

    def heartbeat(self, *details: Any) -> None:
        """Say that the activity is alive; *details* reach a later attempt. Cancellation arrives only this way (R37)."""
        self.send_heartbeat(*details)

    @property
    def cancelled(self) -> bool:
        """Whether somebody has asked this activity to stop."""
        return self.is_cancelled()


class Failure(Exception):
    """An activity's error, with what the saga has to know about it. Raise one of its three kinds.

    A subclass names an error type: ``class CardDeclined(Permanent)``.

    Attributes:
        message: One sentence; ends up in the history, so no secrets.
        details: JSON values that explain the error.
        type: The error type that definitions match; the class's name if left out.
        retry_after: Pause before the next attempt, instead of the retry policy's.
        retryable: Whether another attempt makes sense.
        effect_unknown: The effect may have happened, so that the step has to be undone (R5).
    """

    retryable: bool = True
    effect_unknown: bool = False
    # for subclasses whose own `__init__` does not call this one
    message: str = ""
    details: tuple[Any, ...] = ()
    type: str = ""
    retry_after: timedelta | None = None

    def __init__(
        self, message: str, *details: Any, type: str | None = None, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message, *details)
        self.message = message
        self.details = details
        self.type = type or self.__class__.__name__
        self.retry_after = retry_after

    def __str__(self) -> str:
        return str(self.message) if self.message else super().__str__()


class Permanent(Failure):
    """A definite no: nothing has happened, and trying again makes no sense."""

    retryable = False


class Transient(Failure):
    """Not now: nothing has happened, and trying again may help."""


class Unknown(Failure):
    """Nobody can say whether it happened: tried again with the same key, and undone in the end (R5)."""

    effect_unknown = True


class InvalidInput(Permanent):
    """The input does not fit the activity; found before the function ran."""


class InvalidOutput(Unknown):
    """The result cannot become JSON. The function has run, so its effect stands."""

    retryable = False
