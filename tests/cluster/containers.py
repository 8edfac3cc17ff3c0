"""Containers without an engine: each has the files of this machine with the image's over them, and its own place there.

`apart` runs a module of ours in namespaces of its own (mounts, network, processes), as root: names of services are
hosts, ports are free, and nothing of it is left in the end. There `Image` and `Container` do what an engine does with a
Dockerfile, a command, an environment, a user, mounts and a read-only root.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cli.shell import environment
from tests.needs import need
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
Command = Sequence[str]


def apart(module: str, folder: Path, *words: str) -> Any:
    """Run a module in namespaces of its own, and return what it prints, as JSON."""
    (unshare,) = need("containers")
    ran = subprocess.run(
        [unshare, "-mnp", "--fork", "--kill-child", "--mount-proc", sys.executable, "-m", module, str(folder), *words],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=6 * PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-6000:]
    return json.loads(ran.stdout)


def network(folder: Path, *hosts: str) -> None:
    """Give this namespace its loopback, on which all these hosts are."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    hosts_file = folder / "hosts"
    hosts_file.write_text(f"127.0.0.1 localhost {' '.join(hosts)}\n")
    subprocess.run(["mount", "--bind", str(hosts_file), "/etc/hosts"], check=True)


@dataclass(slots=True)
class Image:
    """What `deploy/Dockerfile` says, as files over this machine's: its packages are those of this Python.

    Attributes:
        root: The root of its containers.
    """

    root: Path
    user: int
    workdir: str
    entrypoint: Command
    default: Command

    @classmethod
    def built(cls, folder: Path) -> Image:
        said: dict[str, list[str]] = {}
        for line in DOCKERFILE.read_text().splitlines():
            word, _, rest = line.partition(" ")
            if word.isupper():
                said.setdefault(word, []).append(rest)
        root = _overlay(folder)
        for each in said["COPY"]:
            source, target = each.split()
            if source != ".":  # the sources themselves: they are installed in this Python
                place = root / target.lstrip("/")
                place.mkdir(parents=True, exist_ok=True)
                for path in ROOT.glob(source):
                    shutil.copy(path, place)
        _let_all_enter(root, Path(sys.executable), Path(sys.executable).resolve(), ROOT)
        shutil.copy("/etc/hosts", root / "etc" / "hosts")
        (user,) = said["USER"]
        return cls(root, int(user), said["WORKDIR"][0], json.loads(said["ENTRYPOINT"][0]), json.loads(said["CMD"][0]))


@dataclass(slots=True)
class Container:
    """One that runs, and what it has written."""

    name: str
    image: Image
    command: Command
    env: Mapping[str, str]
    log: Path
    secrets: Mapping[str, str] = field(default_factory=dict)
    read_only: bool = False
    _process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        for path, text in self.secrets.items():
            place = self.image.root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        if self.read_only:  # what is mounted below, as /tmp, stays as it is
            subprocess.run(["mount", "-o", "remount,bind,ro", str(self.image.root)], check=True)
        with self.log.open("wb") as output:
            self._process = self._popen([*self.image.entrypoint, *(self.command or self.image.default)], output)

    def executes(self, command: Command) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as a probe does."""
        with self.log.with_suffix(".probe").open("w+b") as output:
            code = self._popen(command, output).wait(PATIENCE)
            output.seek(0)
            return subprocess.CompletedProcess(command, code, output.read().decode())

    def stop(self, grace: float) -> int:
        """End it as an engine does, and return its exit code; it is killed when the time is over."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds, while this container runs."""
        assert self._process is not None
        until(holds, lambda: self._process is None or self._process.poll() is None, self.log)

    def _popen(self, command: Command, output: Any) -> subprocess.Popen[bytes]:
        root, user, workdir = str(self.image.root), self.image.user, self.image.workdir

        def enter() -> None:
            os.chroot(root)
            os.chdir(workdir)
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)

        env = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1", **self.env}
        return subprocess.Popen(
            [str(BIN / command[0]) if (BIN / command[0]).exists() else command[0], *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            preexec_fn=enter,  # noqa: PLW1509 # no threads here
        )


def until(holds: Callable[[], bool], runs: Callable[[], bool], log: Path) -> None:
    """Wait until something holds; what ends meanwhile has failed."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert runs(), log.read_text(errors="replace")[-3000:]
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
        time.sleep(0.2)


def _overlay(folder: Path) -> Path:
    """Return a root that looks like this machine's; what is written there stays in memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)
    upper, work, root = (folder / name for name in ("upper", "work", "root"))
    for each in (upper, work, root):
        each.mkdir()
    options = f"lowerdir=/,upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(root)], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=True)
    subprocess.run(["mount", "--rbind", "/dev", str(root / "dev")], check=True)
    for name in ("run", "tmp"):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", str(root / name)], check=True)
    if str(ROOT).startswith("/tmp/"):  # a checkout below the folder that a container has for itself
        place = root / str(ROOT).lstrip("/")
        place.mkdir(parents=True)
        subprocess.run(["mount", "--bind", str(ROOT), str(place)], check=True)
    return root


def _let_all_enter(root: Path, *places: Path) -> None:
    """The image's user is not root, and this Python or this checkout may be below root's home."""
    for place in places:
        for parent in place.parents:
            inside = root / str(parent).lstrip("/")
            if inside.stat().st_mode & 0o005 != 0o005:
                inside.chmod(inside.stat().st_mode | 0o055)
