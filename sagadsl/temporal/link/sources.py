"""Reads what must not stand in a setting: a file that holds it, or a command that prints it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from sagadsl.errors import reason_of

_COMMAND_SECONDS = 30.0
_LONGEST = 64_000
"""Bytes of a file: a secret is shorter, and a device would never end."""


class SourceUnusable(Exception):
    """It gives nothing; the message says why, and never holds what was read."""


def from_file(path: str) -> bytes:
    """Return what a file holds. Raises ``SourceUnusable``."""
    try:
        with Path(path).open("rb") as file:
            return file.read(_LONGEST)
    except OSError as error:
        raise SourceUnusable(f"`{path}` cannot be read: {reason_of(error)}") from None


def from_command(words: Sequence[str], what: str) -> bytes:
    """Return what a command prints; *what* it should print is for the message. Raises ``SourceUnusable``."""
    try:
        ended = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_COMMAND_SECONDS, check=False
        )
    except (OSError, ValueError) as error:
        raise SourceUnusable(f"`{words[0]}` cannot be run: {error}") from None
    except subprocess.TimeoutExpired:
        raise SourceUnusable(f"`{words[0]}` gave no {what} within {_COMMAND_SECONDS:.0f} seconds") from None
    if ended.returncode:  # what it says may quote a secret, and this message is logged
        raise SourceUnusable(f"`{words[0]}` ended with code {ended.returncode}; run it by hand to see why")
    return ended.stdout
