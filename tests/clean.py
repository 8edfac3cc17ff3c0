"""An environment in which somebody has installed sagadsl from its wheel, and nothing else: as a user has it.

There is no network in tests. What the wheel needs is linked from the environment of the tests, and nothing that it
does not need.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from tests.cli.shell import Ran, environment
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[1]


def build(folder: Path, *targets: str) -> list[Path]:
    """Build the *targets* (``wheel``, ``sdist``) of this checkout into *folder*, as a release does."""
    wanted = [word for target in targets for word in ("-t", target)]
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), *wanted]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return sorted(folder.iterdir())


def closure(*names: str) -> Mapping[str, Distribution]:
    """Return the installed distributions that these requirements need, themselves included."""
    todo, seen = [Requirement(name) for name in names], set[tuple[str, frozenset[str]]]()
    found: dict[str, Distribution] = {}
    while todo:
        wanted = todo.pop()
        key = wanted.name.lower(), frozenset(wanted.extras)
        if key in seen:
            continue
        seen.add(key)
        found[key[0]] = distribution(wanted.name)
        for text in found[key[0]].requires or ():
            inner = Requirement(text)
            if inner.marker is None or any(inner.marker.evaluate({"extra": each}) for each in ("", *wanted.extras)):
                todo.append(inner)
    return found


@dataclass(frozen=True, slots=True)
class Clean:
    """A virtual environment without anything of this checkout."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, wheel: Path, *also: str, extras: Sequence[str] = ()) -> Clean:
        """Install *wheel* with *extras*, and the packages *also*, into a new environment."""
        uv("venv", "--quiet", "--python", sys.executable, folder)
        clean = cls(folder)
        wanted = f"sagadsl[{','.join(extras)}]" if extras else "sagadsl"
        for name, each in closure(wanted, *also).items():
            if name != "sagadsl":
                clean._link(each)
        clean.install(wheel)
        return clean

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self, *what: str | Path) -> None:
        """Install packages of this machine."""
        uv(
            "pip",
            "install",
            "--quiet",
            "--python",
            self.python,
            "--offline",
            "--no-deps",
            "--no-build-isolation",
            *what,
        )

    def run(self, *command: str | Path, cwd: Path, stdin: str = "") -> Ran:
        """Run a program of the environment."""
        program, *arguments = map(str, command)
        ended = subprocess.run(
            [str(self.folder / "bin" / program), *arguments],
            cwd=cwd,
            input=stdin,
            env=environment(PATH=f"{self.folder / 'bin'}{os.pathsep}{os.defpath}", PYTHONPATH=""),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Ran(ended.returncode, ended.stdout, ended.stderr)

    def _link(self, package: Distribution) -> None:
        site = self.folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
        for name in _at_the_top(package):
            target = Path(str(package.locate_file(name)))
            if target.exists() and not os.path.lexists(site / name):
                (site / name).symlink_to(target)
        scripts = Path(sysconfig.get_path("scripts"))
        for point in package.entry_points:
            if point.group == "console_scripts":
                module, _, function = point.value.partition(":")
                text = f"#!{self.python}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
                script = self.folder / "bin" / point.name
                script.write_text(text)
                script.chmod(0o755)
        for file in package.files or ():
            inside = Path(str(package.locate_file(file))).resolve()
            if inside.parent == scripts.resolve() and not (self.folder / "bin" / inside.name).exists():
                (self.folder / "bin" / inside.name).symlink_to(inside)


def _at_the_top(package: Distribution) -> Iterator[str]:
    names = {file.parts[0] for file in package.files or () if ".." not in file.parts}
    yield from sorted(names - {"__pycache__"})


def uv(*arguments: str | Path) -> None:
    """Run uv without a network."""
    command = [str(Path(sys.executable).with_name("uv")), "--no-cache", *map(str, arguments)]
    ended = subprocess.run(
        command, env=environment(UV_OFFLINE="1"), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 0, ended.stderr
