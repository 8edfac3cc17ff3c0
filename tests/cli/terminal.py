"""A terminal of a test's own, in which a command runs as a person starts it."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.cli.shell import SAGADSL


@contextmanager
def at_terminal(
    words: Sequence[str], folder: Path, env: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a command of sagadsl in a terminal; give its process, and the side at which the person sits."""
    with in_terminal([*SAGADSL, *words], folder, env) as both:
        yield both


@contextmanager
def in_terminal(
    command: Sequence[str], folder: Path, env: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run any command in the same way."""
    terminal, other_side = pty.openpty()
    with subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdin=other_side,
        stdout=other_side,
        stderr=other_side,
        start_new_session=True,
        preexec_fn=own_terminal,  # noqa: PLW1509 # it makes one system call
    ) as process:
        os.close(other_side)
        yield process, terminal
    os.close(terminal)


def own_terminal() -> None:
    """Make standard input the terminal from which a Ctrl-C comes."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
