"""What is kept of plugins between two runs of the command line, and what makes it worthless.

Each test installs a plugin that leaves a trace when it is imported, and counts the traces.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.packages import install
from tests.patience import PATIENCE

DEFINITION = """
sagadsl: 1
name: example
steps:
  - {id: pay, activity: acme.pay, input: {amount: AMOUNT}, compensation: none}
"""
MODULE = """
import pathlib
pathlib.Path(__file__).with_name("trace").open("a").write("imported\\n")
from sagadsl import activity

@activity
def pay(amount: TYPE) -> dict:
    return {}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of Python's path with one plugin in it, a definition, and a cache."""

    folder: Path

    def install(self, type_: str = "int", version: str = "1.0") -> None:
        for old in self.folder.glob("site/*.dist-info"):
            for file in old.iterdir():
                file.unlink()
            old.rmdir()
        install(self.folder / "site", "acme-pay", "acme.pay = acme_pay:pay", version=version)
        self.write(type_)

    def write(self, type_: str) -> None:
        (self.folder / "site" / "acme_pay.py").write_text(MODULE.replace("TYPE", type_))

    def validate(self, amount: str = "5", **environment: str) -> subprocess.CompletedProcess[str]:
        file = self.folder / "example.saga.yaml"
        file.write_text(DEFINITION.replace("AMOUNT", amount))
        command = [str(Path(sys.executable).with_name("sagadsl")), "validate", "--format", "concise", str(file)]
        env = {
            **os.environ,
            "PYTHONPATH": str(self.folder / "site"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        }
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)

    @property
    def imports(self) -> int:
        trace = self.folder / "site" / "trace"
        return len(trace.read_text().splitlines()) if trace.exists() else 0

    @property
    def kept(self) -> list[Path]:
        return list((self.folder / "cache").rglob("plugins-*.json"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path)
    found.install()
    (tmp_path / "site" / "trace").touch()  # so that the folder itself does not change any more
    return found


def test_the_second_run_imports_no_plugin_and_finds_the_same(place: Place) -> None:
    """Types are checked from what was kept."""
    first, second = place.validate("five"), place.validate("five")

    assert place.imports == 1
    assert first.returncode == second.returncode == 1
    assert "SD4" in first.stdout
    assert first.stdout.splitlines()[:-1] == second.stdout.splitlines()[:-1]


def test_a_changed_file_is_read_again(place: Place) -> None:
    """A signature lives as long as no file has changed that it may depend on."""
    assert place.validate("five").returncode == 1
    place.write("str")

    assert place.validate("five").returncode == 0
    assert place.imports == 2


def test_another_version_is_read_again(place: Place) -> None:
    """What pip does to a folder shows in the folder."""
    assert place.validate("five").returncode == 1
    place.install("str", version="1.1")

    assert place.validate("five").returncode == 0


def test_a_plugin_that_was_removed_is_unknown(place: Place) -> None:
    """What is kept never outlives the plugin."""
    assert place.validate().returncode == 0
    for file in place.folder.glob("site/*.dist-info/entry_points.txt"):
        file.unlink()
        file.parent.joinpath("METADATA").unlink()
        file.parent.rmdir()

    assert "acme.pay" in place.validate().stdout


def test_it_can_be_switched_off(place: Place) -> None:
    """``SAGADSL_CACHE=off``: for plugins whose types depend on more than files."""
    place.validate(SAGADSL_CACHE="off")
    place.validate(SAGADSL_CACHE="off")

    assert place.imports == 2
    assert place.kept == []


@pytest.mark.parametrize("junk", ["", "{", "[]", '{"format": 1}', '{"format": 1, "paths": 1, "offers": 2}', "\x00"])
def test_a_damaged_cache_is_made_anew(place: Place, junk: str) -> None:
    """Whatever cannot be read counts as not being there."""
    place.validate()
    (kept,) = place.kept
    kept.write_text(junk)

    assert place.validate("five").returncode == 1
    assert place.validate("five").returncode == 1
    assert place.imports == 2


def test_a_damaged_signature_is_read_again(place: Place) -> None:
    """The file is data from outside: other fields than ours make no traceback."""
    place.validate()
    (kept,) = place.kept
    kept.write_text(kept.read_text().replace('"input_schema"', '"strange"'))
    answer = place.validate("five")

    assert (answer.returncode, "Traceback" in answer.stderr) == (1, False)
    assert place.imports == 2


def test_a_folder_that_cannot_be_written_does_no_harm(place: Place) -> None:
    """A file stands where the folder should be."""
    (place.folder / "cache").write_text("not a folder")

    assert place.validate("five").returncode == 1
    assert place.validate().returncode == 0


def test_a_broken_plugin_is_reported_every_time(place: Place) -> None:
    """A failure is never kept."""
    (place.folder / "site" / "acme_pay.py").write_text("raise RuntimeError('no')")

    assert [place.validate().returncode for _ in range(2)] == [3, 3]


def test_runs_at_once_do_not_spoil_each_other(place: Place) -> None:
    """The file is replaced as a whole."""
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(place.validate("five").returncode)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert codes == [1] * 4
    assert place.validate("five").returncode == 1
