"""Pages that lead through a terminal session: their files, their commands, and what they are shown to print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
_FILE = re.compile(r"`([\w.-]+\.\w+)`[^`\n]*:\n\n```\w+\n(.*?)^```$", re.M | re.S)
_VARYING = (
    (re.compile(r"\b([a-z]+)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), r"\1-ID"),
    (re.compile(r"http://127\.0\.0\.1:\d+/"), "http://HOST/"),
    (re.compile(r"\d+(\.\d+)?( ?m?s)\b"), r"N\2"),
    (re.compile(r"\d+ activities are installed"), "N activities are installed"),
)


def files(text: str) -> dict[str, str]:
    """Return each file that a page shows after a line that ends in its name and a colon."""
    return dict(_FILE.findall(text))


def sessions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a page with what it is shown to print."""
    for kind, block in _FENCE.findall(text):
        if kind == "console":
            for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
                command, _, output = part.partition("\n")
                yield command, output


def said(command: str, folder: Path) -> str:
    """Run a command as in a terminal of its own, and return what it writes."""
    binaries = str(Path(sys.executable).parent)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("TEMPORAL_", "SAGADSL_"))}
    environment |= {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1", "COLUMNS": "100"}
    return subprocess.run(
        command, shell=True, cwd=folder, env=environment, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ).stdout  # fmt: skip


def masked(text: str) -> list[str]:
    """Return the lines of a screen without what differs between runs; that a step has begun may be missed."""
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return [line.rstrip() for line in text.splitlines() if not re.search(r" ▶ |undoing", line)]
