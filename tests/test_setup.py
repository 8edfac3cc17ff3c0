"""`make setup` on machines that lack something: each is told in one line what, and what was half made is made anew."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOWHERE = "http://127.0.0.1:9/simple"  # nobody listens there
PACKAGE = f"six==1.17.0 --hash=sha256:{'0' * 64}\n"


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder with what `make setup` reads, and an empty lock file."""

    folder: Path

    def python(self, what: str) -> str:
        """Make a Python that does *what* before it runs a script."""
        path = self.folder / "bin" / "python3"
        path.parent.mkdir(exist_ok=True)
        run = "import runpy; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -c "import sys; {what}; {run}" "$@"\n')
        path.chmod(0o755)
        return str(path)

    def setup(self, python: str = sys.executable) -> tuple[int, str]:
        """Say `make .venv/.ready`: what every other target begins with."""
        settings = {"PIP_INDEX_URL": NOWHERE, "PIP_RETRIES": "1", "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""}
        env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        command = ["make", "--no-print-directory", ".venv/.ready", f"PYTHON={python}", "LOCAL="]
        ran = subprocess.run(
            command, cwd=self.folder, env=env | settings, capture_output=True, text=True, timeout=110, check=False
        )
        return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder = tmp_path / "a checkout"
    for name in ("Makefile", "tools/environment.py", "examples/bank/pyproject.toml", "examples/shop/pyproject.toml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "requirements.lock").touch()
    return Checkout(folder)


def test_an_old_python_is_told_before_anything_is_made(checkout: Checkout) -> None:
    code, out = checkout.setup(checkout.python("sys.version_info = (3, 9, 2, 'final', 0)"))

    assert code == 2
    assert out.startswith(f"error: {Path(sys.executable).name} is 3.9.2; sagadsl needs 3.11 or later: ")
    assert not (checkout.folder / ".venv").exists()


def test_a_python_without_venv_is_told_what_to_install(checkout: Checkout) -> None:
    """As Debian has it: there is `venv`, and no `ensurepip`."""
    code, out = checkout.setup(checkout.python("sys.modules['ensurepip'] = None"))

    assert code == 2
    first = out.splitlines()[0]
    assert first.startswith(
        f"error: {Path(sys.executable).name} makes no virtual environments (import of ensurepip halted"
    )
    assert first.endswith(": `apt-get install python3-venv`")
    assert not (checkout.folder / ".venv").exists()


def test_no_python_is_told(checkout: Checkout) -> None:
    code, out = checkout.setup("python3.99")

    assert code == 2
    assert out.splitlines()[0] == "error: there is no python3.99; sagadsl needs Python 3.11 or later"


def test_without_a_network_one_line_says_so_and_what_is_half_made_or_moved_is_made_anew(checkout: Checkout) -> None:
    lock, half_made = checkout.folder / "requirements.lock", checkout.folder / ".venv" / "half-made"
    lock.write_text(PACKAGE)
    code, out = checkout.setup()
    half_made.touch()

    problem = "error: six==1.17.0 could not be installed from the package index (no network: its host does not answer)"
    assert code == 2
    assert [line for line in out.splitlines() if not line.startswith("make")] == [
        "installing 1 packages into .venv; the first time takes minutes",
        f"{problem}; all that pip said: build/setup.log",
    ]
    assert "Connection refused" in (checkout.folder / "build" / "setup.log").read_text()

    lock.write_text("")
    assert checkout.setup()[0] == 0
    assert not half_made.exists()
    assert checkout.setup() == (0, "make: '.venv/.ready' is up to date.\n")

    # What was moved is made anew, too: its commands name the place where it was made.
    moved = Checkout(checkout.folder.rename(checkout.folder.with_name("elsewhere")))

    assert moved.setup()[1].startswith("installing 0 packages")
    assert str(moved.folder) in (moved.folder / ".venv" / "bin" / "pip").read_text()
