"""Takes sagadsl from the sources of an older release: ``python older.py FOLDER MODULE [ARGUMENT...]`` runs a module so.

What measures is always of this release; only what is measured is older.
"""

from __future__ import annotations

import runpy
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

HERE = Path(__file__).parents[1]
_SOURCES = ("sagadsl", "schemas", "docs/diagnostics")


@contextmanager
def unpacked(revision: str) -> Iterator[Path]:
    """Give a folder with sagadsl's sources at a revision of git.

    Raises:
        SystemExit: Git does not know the revision.
    """
    command = ["git", "-C", str(HERE), "archive", revision, *_SOURCES]
    made = subprocess.run(command, capture_output=True, check=False)
    if made.returncode:
        said = made.stderr.decode(errors="replace").strip()
        sys.exit(f"the sources of `{revision}` cannot be had: {said}; name a commit, a tag or a branch")
    with tempfile.TemporaryDirectory(prefix="sagadsl-older-") as folder:
        with tarfile.open(fileobj=BytesIO(made.stdout)) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder)


def command(folder: Path, module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of the benchmarks with the sagadsl in *folder*."""
    return [sys.executable, str(Path(__file__)), str(folder), module, *arguments]


if __name__ == "__main__":
    sources, chosen, *rest = sys.argv[1:]
    sys.path[:1] = [sources, str(HERE)]
    sys.argv = [chosen, *rest]
    runpy.run_module(chosen, run_name="__main__", alter_sys=True)
