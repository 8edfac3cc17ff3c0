"""The command line: parses, calls, prints, and gives the exit code. Knows no rule about sagas."""

from sagadsl.cli.entry import main

__all__ = ["main"]
