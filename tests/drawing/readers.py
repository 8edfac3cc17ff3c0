"""The programs that read what we draw: Mermaid in a browser, Graphviz in Node. Each is one pinned package of npm."""

from __future__ import annotations

import fcntl
import subprocess
import tarfile
from pathlib import Path

from tests.needs import built, need

BUILD = Path(__file__).parents[2] / "build" / "drawing"
MERMAID, GRAPHVIZ = "mermaid@11.17.2", "@hpcc-js/wasm-graphviz@1.29.2"


def unpacked(package: str) -> Path:
    """Return the folder of a package of npm. It is downloaded once, and nothing that it needs comes with it."""
    npm = need("npm")
    target = BUILD / package.replace("/", "-").replace("@", "-").strip("-")
    target.mkdir(parents=True, exist_ok=True)
    with (target / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / "package").exists():
            command = (*npm, "pack", package, "--silent", "--pack-destination", str(target))
            built("npm", subprocess.run(command, cwd=target, capture_output=True, text=True, timeout=100, check=False))
            (archive,) = target.glob("*.tgz")
            with tarfile.open(archive) as packed:
                packed.extractall(target / "new", filter="data")
            (target / "new" / "package").rename(target / "package")
    return target / "package"
