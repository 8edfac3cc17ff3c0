"""``validate --watch``: checks again whenever a file changes, until somebody ends it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from sagadsl.cli import screen
from sagadsl.cli.files import STDIN
from sagadsl.cli.streams import out
from sagadsl.cli.watched import STEP, matters, named, need_watchfiles, roots

WATCHED_FORMS = ("text", "concise")
"""The forms that people read one after the other."""

_FIRST_LOOK = 100
"""Milliseconds after which the first check begins: what changes from then on is seen."""

_CLEAR = "\x1b[2J\x1b[3J\x1b[H"


def watch(paths: Sequence[str], arguments: Sequence[str]) -> int:
    """Run ``sagadsl validate`` with *arguments*, and again after each change of what *paths* mean.

    Each check is a process of its own: this one would not import changed activities again.
    Returns 0 when Ctrl-C ends it. Raises ``NeedsExtra`` without watchfiles.
    """
    assert STDIN not in paths
    need_watchfiles()
    from watchfiles import watch as changes_of

    screen.session().wrote_result = True
    what = ", ".join(paths) or "."
    is_first = True
    try:
        for changes in changes_of(
            *roots(paths), watch_filter=matters, step=STEP, rust_timeout=_FIRST_LOOK, yield_on_timeout=True
        ):
            if not changes and not is_first:
                continue
            is_first = False
            _clear()
            if changes:
                screen.note(f"changed: {named(changes)}")
            _check(arguments)
            screen.note(f"watching {what}; Ctrl-C ends")
    except KeyboardInterrupt:
        pass
    return 0


def _clear() -> None:
    if out().isatty():
        print(_CLEAR, end="", file=out(), flush=True)


def _check(arguments: Sequence[str]) -> None:
    command = [sys.executable, "-m", "sagadsl", "validate", *arguments]
    # the terminal's Ctrl-C reaches this process alone, which then ends the check
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=out(),
        env={**os.environ, "SAGADSL_VALIDATE_WATCH": ""},
        start_new_session=True,
    ) as check:
        try:
            check.wait()
        except KeyboardInterrupt:
            check.kill()
            raise
