"""The inn and the ferry, whose activities are made with `sagadsl.once`: how they begin, and what their books say."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa

from tests.patience import PATIENCE

EXAMPLES = Path(__file__).parents[2] / "examples"
PATH = os.pathsep.join(str(EXAMPLES / name) for name in ("inn", "ferry"))
VOYAGE = "friday"
ROOMS = 25
PLACES = 60
"""Few enough that a long run refuses some for want of room."""


def settings(folder: Path, inn_url: str = "") -> dict[str, str]:
    """Return what workers have to know of both; the inn's database may be another one than a file."""
    return {
        "SAGADSL_INN_URL": inn_url or f"sqlite:///{folder}/inn.db",
        "SAGADSL_FERRY_FILE": str(folder / "ferry.db"),
        "DJANGO_SETTINGS_MODULE": "sagadsl_ferry.settings",
    }


def open_both(env: Mapping[str, str]) -> None:
    """Make their tables, with rooms and places."""
    for package, *words in (
        ("sagadsl_inn", "open", str(ROOMS)),
        ("sagadsl_ferry", "migrate", "-v", "0"),
        ("sagadsl_ferry", "open", VOYAGE, str(PLACES)),
    ):
        asked = _ask(package, words, env)
        assert asked.returncode == 0, asked.stderr


def states(env: Mapping[str, str]) -> dict[str, str]:
    """Return what became of each key, at the inn and on the ferry."""
    found: dict[str, str] = {}
    for url in (env["SAGADSL_INN_URL"], f"sqlite:///{env['SAGADSL_FERRY_FILE']}"):
        engine = sa.create_engine(url)
        with engine.connect() as db:
            rows = db.execute(sa.text("SELECT key, state FROM sagadsl_calls"))
            found.update((row.key, row.state) for row in rows)
        engine.dispose()
    return found


def problems(env: Mapping[str, str]) -> list[str]:
    """Return what their books do not agree on."""
    found: list[str] = []
    for package in ("sagadsl_inn", "sagadsl_ferry"):
        checked = _ask(package, ["check"], env)
        *lines, last = checked.stdout.splitlines() or [""]
        found += [f"{package}: {line.removeprefix('problem: ')}" for line in lines]
        if f"{len(lines)} problems; keys: " not in last:
            found.append(f"{package} does not say what is in its books: {checked.stderr}")
    return found


def _ask(package: str, words: list[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Ask in a process of its own: neither is installed here, and Django knows one project in each process."""
    command = [sys.executable, "-m", package, *words]
    environment = {**os.environ, **env, "PYTHONPATH": PATH}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE)
