"""Gives errors of other people's code as text, whatever their own `str` does.

When an error's `str` raises a second error, the second one must not take the place of the first.
"""

from __future__ import annotations

_DEPTH = 3


def text_of(value: object, depth: int = _DEPTH) -> str:
    """Return `str(value)`; if that fails, describe the failure."""
    try:
        return str(value)
    except BaseException as error:  # noqa: BLE001 # somebody else's `__str__`: it may even leave
        return f"its text cannot be made: {described(error, depth - 1)}"


def described(error: BaseException, depth: int = _DEPTH) -> str:
    """Return the type of an error, and its text if it has one."""
    text = text_of(error, depth) if depth > 0 else ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
