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
