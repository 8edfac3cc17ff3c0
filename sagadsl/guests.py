"""Running somebody else's import without letting it change the process that it is a guest of (P04).

A module may do anything when it is imported: change the folder, block signals or take their handlers, replace
standard output or print to it. Afterwards all of that is as it was before; what it prints goes to stderr.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD)


@contextmanager
def contained() -> Iterator[None]:
    """Put folder, signals and standard streams back when the block has ended, however it ends."""
    folder = _folder()
    streams = sys.stdin, sys.stdout, sys.stderr
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                if handler is not None and signal.getsignal(number) is not handler:
                    signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if folder and _folder() != folder:
            os.chdir(folder)


def _folder() -> str:
    with suppress(OSError):
        return os.getcwd()
    return ""
