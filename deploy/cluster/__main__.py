"""``make cluster``: PostgreSQL, the Temporal server on it, two workers, the gateway, on this machine; and their end."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from deploy.cluster import parts
from deploy.cluster.parts import Cluster
from deploy.cluster.processes import Failed, State

ROOT = Path(__file__).parents[2]
WORKERS = ("worker-1", "worker-2")


def main() -> int:
    asked = _arguments()
    folder = asked.folder.resolve()
    cluster = Cluster(folder, (asked.binaries or folder / "bin").resolve(), asked.definitions.resolve())
    cluster.folder.mkdir(parents=True, exist_ok=True)
    state = State.read(cluster.folder)
    if asked.what == "build":
        return _build(cluster)
    if asked.what == "up":
        return _up(cluster, state, server_only=asked.server_only)
    if asked.what == "down":
        return _down(cluster, state, wipe=asked.wipe)
    return _status(state)


def _arguments() -> argparse.Namespace:
    asked = argparse.ArgumentParser(prog="python -m deploy.cluster", description=__doc__)
    asked.add_argument("what", choices=["build", "up", "down", "status"])
    asked.add_argument("--folder", type=Path, default=ROOT / "build" / "cluster", help="data, logs, state")
    asked.add_argument("--binaries", type=Path, help="where the server is built; below the folder if left out")
    asked.add_argument("--definitions", type=Path, default=ROOT / "definitions", help="what is served")
    asked.add_argument("--wipe", action="store_true", help="with `down`: remove the data, too")
    asked.add_argument("--server-only", action="store_true", help="with `up`: PostgreSQL and Temporal, nothing of ours")
    return asked.parse_args()


def _build(cluster: Cluster) -> int:
    """Build the Temporal server alone."""
    try:
        parts.build(cluster)
    except Failed as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    return 0


def _up(cluster: Cluster, state: State, *, server_only: bool) -> int:
    """Begin what does not run. What fails ends what this call has begun."""
    begun: list[str] = []
    steps: list[tuple[str, Callable[[], None]]] = [
        ("postgres", partial(parts.postgres, cluster, state)),
        ("temporal", partial(parts.temporal, cluster, state)),
    ]
    if not server_only:
        steps += ((name, partial(parts.worker, cluster, state, name)) for name in WORKERS)
        steps.append(("gateway", partial(parts.gateway, cluster, state)))
    try:
        parts.build(cluster)
        for name, begin in steps:
            if state.runs(name):
                print(f"  {name:<10} runs already (pid {state.processes[name].pid})", flush=True)
                continue
            begun.append(name)
            begin()
            print(f"  {name:<10} pid {state.processes[name].pid}", flush=True)
    except Failed as failed:
        print(f"error: {failed}", file=sys.stderr)
        for name in reversed(begun):
            state.end(name, _how(name))
        return 1
    print(f"\nTemporal  127.0.0.1:{state.ports['frontend']}")
    if not server_only:
        print(f"page      http://127.0.0.1:{state.ports['gateway']}/")
    print(f"logs      {cluster.folder}/logs\nend it with `make cluster-down`")
    return 0


def _down(cluster: Cluster, state: State, *, wipe: bool) -> int:
    """End all of it: first who uses the server, then the server, then its database."""
    for name in ("gateway", *reversed(WORKERS), "temporal", "postgres"):
        if state.end(name, _how(name)):
            print(f"  {name:<10} ended", flush=True)
    if wipe:
        for path in ("postgres", "postgresql", "logs"):
            shutil.rmtree(cluster.folder / path, ignore_errors=True)
        for path in ("state.json", "password", "server.yaml", "schemas"):
            (cluster.folder / path).unlink(missing_ok=True)
        print("  data removed")
    return 0


def _how(name: str) -> signal.Signals:
    """PostgreSQL takes SIGTERM for "when everybody has left", and SIGINT for "now, in order"."""
    return signal.SIGINT if name == "postgres" else signal.SIGTERM


def _status(state: State) -> int:
    for name, process in state.processes.items():
        print(f"  {name:<10} {'runs' if process.is_alive() else 'has ended'} (pid {process.pid})")
    return 0 if state.processes and all(each.is_alive() for each in state.processes.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
