"""Commands of sagadsl, each in a process of its own.

So a question sees the activities as they are on the disk now, nothing that a definition or an activity does can
harm the server or write into its streams, and a call that takes too long can be ended with all that it has begun.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sagadsl.immutable import Immutable

SECONDS = 180
"""How long a command may take."""

_AT_ONCE = 2
_TAIL = 4_000


class CommandEnd(Immutable):
    """What a command has said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Its JSON document; ``None`` if it has written none."""
        try:
            return json.loads(self.out)
        except ValueError:
            return None

    @property
    def complaint(self) -> str:
        """The end of what it has written for people."""
        return self.err[-_TAIL:].strip()


class Commands:
    """Runs commands in a folder, few at once."""

    def __init__(self, folder: Path, variables: Mapping[str, str], seconds: float = SECONDS) -> None:
        self._folder, self._seconds = folder, seconds
        self._environment = {**os.environ, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8", **variables}
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def run(self, words: Sequence[str], stdin: str = "") -> CommandEnd:
        """Run one command to its end. Raises ``TimeoutError``; being cancelled ends the command, too."""
        async with self._turn:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "sagadsl", *words),  # -P: no module of the folder counts as one of ours
                cwd=self._folder,
                env=self._environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(self._seconds):
                    out, err = await process.communicate(stdin.encode())
            finally:
                if process.returncode is None:
                    _end(process.pid)
                    await asyncio.shield(process.wait())
        return CommandEnd(process.returncode or 0, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def _end(pid: int) -> None:
    """End a process, and all that it has begun: it leads a session of its own."""
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGTERM)
