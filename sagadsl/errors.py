"""What a *caller* did wrong, or what the machine lacks. Mistakes inside a definition are findings."""

from __future__ import annotations

from typing import ClassVar


class SagadslError(Exception):
    """Base of everything raised on purpose.

    Attributes:
        code: Stable code, listed with its explanation in the documentation.
        exit_code: What the command line returns for it.
        help: What to do about it; may be empty.
    """

    code: ClassVar[str] = "SD900"
    exit_code: ClassVar[int] = 70

    @property
    def help(self) -> str:
        return ""


def reason_of(error: BaseException) -> str:
    """Return why the system has refused something, as a clause: it begins its sentences with a capital."""
    reason = str(getattr(error, "strerror", None) or error)
    return reason[:1].lower() + reason[1:] if not reason[:2].isupper() else reason


class NeedsExtra(SagadslError):
    """The packages that come with an extra are wanted, and not installed."""

    code = "SD955"
    exit_code = 3

    def __init__(self, missing: str, extra: str = "gateway") -> None:
        super().__init__(missing, extra)
        self.missing, self.extra = missing, extra

    def __str__(self) -> str:
        return f"this command needs the package `{self.missing}`, which is not installed"

    @property
    def help(self) -> str:
        return f"pip install 'sagadsl[{self.extra}]'"


class Worded(SagadslError):
    """One that is no more than its words.

    Attributes:
        message: What is wrong, and what was found.
        remedy: What to do about it; may be empty.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message, self.remedy = message, remedy

    def __str__(self) -> str:
        return self.message

    @property
    def help(self) -> str:
        return self.remedy
