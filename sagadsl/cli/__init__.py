"""The command line: parses, calls, prints, and gives the exit code. Knows no rule about sagas."""

from __future__ import annotations

import gc
from typing import NoReturn

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line of this process and end the process."""
    gc.set_threshold(100_000)  # before all imports: most objects of a command live as long as the command
    from sagadsl.cli.entry import main as enter

    enter()
