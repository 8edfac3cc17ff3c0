"""What a command says that talks to a program over its standard streams, when a person has started it in a terminal."""

from __future__ import annotations

import os
import signal
import sys

from sagadsl.cli import screen
from sagadsl.cli.interrupts import INTERRUPTED


def greet(what: str, client: str, page: str, command: str) -> None:
    """Tell a person on stderr what has begun, who is meant to start it, and how to end it; nothing to a program.

    From now on, Ctrl-C ends the process at once.

    Args:
        what: What the command is: ``the server for language models``.
        client: Who starts it otherwise.
        page: The page of the documentation that says how to set it up.
        command: The command as the client's settings have it.
    """
    signal.signal(signal.SIGINT, _end)
    if not sys.stdin.isatty():
        return
    screen.note(f"this is {what}; it waits on stdin for {client}, which starts it by itself")
    screen.note(f"its settings name the command `{command}`; `sagadsl explain {page}` has them to copy")
    screen.note("Ctrl-D ends it, or Ctrl-C")


def _end(*_: object) -> None:
    """End the process: a thread waits for the next line of stdin, and an exception would wait for that thread."""
    os._exit(INTERRUPTED)
