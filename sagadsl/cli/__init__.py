"""The command line: parses, calls, prints, and gives the exit code. Knows no rule about sagas."""

from __future__ import annotations

import gc
from typing import NoReturn

from sagadsl.later import OWN_THRESHOLD

__all__ = ["main"]


def main() -> NoReturn:
    """Run the command line of this process and end the process."""
    gc.set_threshold(OWN_THRESHOLD)  # before all imports
    from sagadsl.cli.entry import main as enter

    enter()
