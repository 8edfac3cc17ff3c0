"""`sagadsl validate` as whole processes: one file, a hundred, a thousand."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DEFINITIONS = Path(__file__).parents[1] / "definitions"
COMMAND = [sys.executable, "-m", "sagadsl", "--quiet", "validate"]


def _timed(*arguments: str, cache: str = "on") -> float:
    # Whoever installs a package has its bytecode, whatever this shell says of writing it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["SAGADSL_CACHE"] = cache
    began = time.perf_counter()
    subprocess.run([*COMMAND, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - began


def _folder(files: int, folder: Path) -> Path:
    """Fill a folder with copies of a shipped definition, each a saga of its own."""
    text = (DEFINITIONS / "transfer_money.saga.yaml").read_text(encoding="utf-8")
    for number in range(files):
        copy = text.replace("name: transfer-money", f"name: transfer-money-{number}")
        (folder / f"t{number}.saga.yaml").write_text(copy, encoding="utf-8")
    return folder


def main() -> list[dict[str, Any]]:
    rows = []
    print("| `sagadsl validate` | seconds, whole process | at best |\n|---|---|---|")
    one = str(DEFINITIONS / "transfer_money.saga.yaml")
    cases = [
        ("one file that has not changed", [one], 9, "on"),
        ("one file, nothing kept", [one], 9, "off"),
        ("one file, nothing kept, `--no-plugins`", ["--no-plugins", one], 9, "off"),
    ]
    folders = []
    for files, runs in ((100, 3), (1_000, 3)):
        folder = Path(tempfile.mkdtemp())
        folders.append(folder)
        paths = [str(_folder(files, folder))]
        cases.append((f"{files:,} files, nothing kept", paths, runs, "off"))
        cases.append((f"{files:,} files that have not changed", paths, runs, "on"))
    for name, arguments, runs, cache in cases:
        _timed(*arguments, cache=cache)
        seconds = [_timed(*arguments, cache=cache) for _ in range(runs)]
        rows.append({"what": name, "seconds": statistics.median(seconds), "best": min(seconds)})
        print(f"| {name} | {statistics.median(seconds):.2f} | {min(seconds):.2f} |", flush=True)
    for folder in folders:
        shutil.rmtree(folder)
    return rows
