"""The programs of ``examples`` in other languages, built under ``build/`` when their source has changed since."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.needs import Command, built, need

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "foreign"
BUILT_BY = {"go": "go", "node": "npm", "java": "maven"}
"""What builds the programs of a language."""
RUN_BY = {"node": "node", "java": "java"}
"""What runs them, where they do not run by themselves."""


@dataclass(frozen=True, slots=True)
class Programs:
    """How to call what was built.

    Attributes:
        measured: Serves what the page on other languages is made of, see ``tests.foreign.measured``.
    """

    worker: tuple[str, ...]
    client: tuple[str, ...]
    measured: tuple[str, ...]


@cache
def programs(language: str) -> Programs:
    """Build the programs of ``examples/LANGUAGE-worker``, and return how to call them."""
    tool, run = need(BUILT_BY[language]), need(RUN_BY[language]) if language in RUN_BY else ()
    source, target = ROOT / "examples" / f"{language}-worker", BUILD / language
    with _built_once(source, target) as stale:
        if stale:
            _BUILDERS[language](tool, source, target)
    return _CALLED[language](run, target)


@contextmanager
def _built_once(source: Path, target: Path) -> Iterator[bool]:
    """Say whether *target* has to be built from *source*: by one process at a time, and once for each source."""
    target.mkdir(parents=True, exist_ok=True)
    stamp = target / "source.sha256"
    with (target / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        digest = _digest(source)
        stale = not stamp.exists() or stamp.read_text() != digest
        yield stale
        if stale:
            stamp.write_text(digest)


def _digest(source: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(source.rglob("*")):
        if path.is_file() and "node_modules" not in path.parts:
            found.update(f"{path.relative_to(source)}\n".encode() + path.read_bytes())
    return found.hexdigest()


def _go(tool: Command, source: Path, target: Path) -> None:
    _run("go", *tool, "build", "-o", f"{target}/", "./worker", "./client", "./measured", cwd=source)


def _node(tool: Command, source: Path, target: Path) -> None:
    for path in source.iterdir():
        if path.is_file():
            shutil.copy(path, target)
    _run("npm", *tool, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=target)


def _java(tool: Command, source: Path, target: Path) -> None:
    _run("maven", *tool, "-q", "-B", f"-Dto={target}", "compile", cwd=source)


_BUILDERS = {"go": _go, "node": _node, "java": _java}


def _run(what: str, *command: str, cwd: Path) -> None:
    env: Mapping[str, str] = {**os.environ, "NO_COLOR": "1"}
    built(what, subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=900, check=False))


def _go_called(_run: Command, target: Path) -> Programs:
    worker, client, measured = ((str(target / name),) for name in ("worker", "client", "measured"))
    return Programs(worker, client, measured)


def _node_called(node: Command, target: Path) -> Programs:
    worker, client, measured = ((*node, str(target / f"{name}.js")) for name in ("worker", "client", "measured"))
    return Programs(worker, client, measured)


def _java_called(java: Command, target: Path) -> Programs:
    # The heap's limit and the simple compiler: a small program that starts quickly, beside many others.
    options = ("-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{target}/classes:{target}/lib/*")
    worker, client, measured = (
        (*java, *options, f"com.example.partner.{name}") for name in ("PartnerWorker", "PartnerClient", "Measured")
    )
    return Programs(worker, client, measured)


_CALLED = {"go": _go_called, "node": _node_called, "java": _java_called}
