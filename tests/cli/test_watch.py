"""`sagadsl validate --watch`: each change of a file is followed by a report, until Ctrl-C."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.shell import SAGADSL, environment, inside
from tests.patience import PATIENCE

GOOD = """\
sagadsl: 1
name: good
version: "1"
steps:
  - id: look
    activity: acme.look
    compensation: none
"""
BAD = GOOD.replace("activity:", "activty:")


@dataclass(frozen=True, slots=True)
class Watching:
    """A running `validate --watch`, with what it has written up to now."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text(encoding="utf-8")

    def shows(self, is_so: Callable[[], bool]) -> None:
        """Wait until it is so."""
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            assert self.process.poll() is None, self.out + self.err
            assert time.monotonic() < deadline, self.out + self.err
            time.sleep(0.05)

    def last_is(self, text: str) -> None:
        """Wait until the report that was written last contains *text*."""
        self.shows(lambda: text in "".join(self.out.splitlines()[-1:]))


@contextmanager
def _watching(folder: Path, said: Path, *arguments: str) -> Iterator[Watching]:
    """Run it until the end of the block; then Ctrl-C ends it, well."""
    said.mkdir()
    command = [*SAGADSL, "validate", "--watch", *arguments]
    with (
        (said / "out").open("wb") as out,
        (said / "err").open("wb") as err,
        subprocess.Popen(command, cwd=folder, env=environment(), stdout=out, stderr=err) as process,
    ):
        watching = Watching(process, said)
        try:
            watching.shows(lambda: "Ctrl-C ends" in watching.err)
            yield watching
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0, watching.err
            assert "Traceback" not in watching.err
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "good.saga.yaml").write_text(GOOD, encoding="utf-8")
    return folder


def test_each_change_is_followed_by_a_report(folder: Path, tmp_path: Path) -> None:
    file = folder / "good.saga.yaml"
    with _watching(folder, tmp_path / "said", "--no-plugins") as watching:
        watching.last_is("✓ 1 saga, 1 step, 1 activity — ok")
        file.write_text(BAD, encoding="utf-8")
        watching.last_is("1 error in 1 file")
        file.write_text(GOOD, encoding="utf-8")
        watching.last_is("✓ 1 saga")
        assert "error[SD104]: unknown key `activty`" in watching.out
        assert "changed: good.saga.yaml" in watching.err


def test_files_and_folders_that_come_and_go_are_seen(folder: Path, tmp_path: Path) -> None:
    with _watching(folder, tmp_path / "said", "--no-plugins") as watching:
        watching.last_is("✓ 1 saga")
        (folder / "inner").mkdir()
        (folder / "inner" / "other.saga.yaml").write_text(GOOD.replace("good", "other"), encoding="utf-8")
        watching.last_is("✓ 2 sagas")
        (folder / "inner" / "other.saga.yaml").unlink()
        watching.last_is("✓ 1 saga")
        (folder / "good.saga.yaml").unlink()
        watching.shows(lambda: "there is no *.saga.yaml in this folder or below" in watching.out)


def test_an_activity_that_changes_is_imported_again(folder: Path, tmp_path: Path) -> None:
    activities = folder / "activities.py"
    source = 'from sagadsl import activity\n\n\n@activity(name="acme.{}")\ndef look() -> str:\n    return ""\n'
    activities.write_text(source.format("other"), encoding="utf-8")
    with _watching(folder, tmp_path / "said", "-m", "activities", "--format", "concise", "good.saga.yaml") as watching:
        watching.last_is("1 error in 1 file")
        assert "SD401" in watching.out
        activities.write_text(source.format("look"), encoding="utf-8")
        watching.last_is("✓ 1 saga")


def test_options_hold_for_each_report(folder: Path, tmp_path: Path) -> None:
    (folder / "good.saga.yaml").write_text(BAD, encoding="utf-8")
    with _watching(folder, tmp_path / "said", "--no-plugins", "--ignore", "SD104", "good.saga.yaml") as watching:
        watching.last_is("✓ 1 file — ok")
        (folder / "other.saga.yaml").write_text(BAD, encoding="utf-8")
        watching.shows(lambda: watching.out.count("✓ 1 file — ok") > 1)
        assert "SD104" not in watching.out


def test_a_terminal_shows_only_the_newest_report(folder: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*SAGADSL, "validate", "--watch", "--no-plugins"]
    with subprocess.Popen(command, cwd=folder, env=environment(), stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        try:
            _read_until(ours, b"Ctrl-C ends")
            (folder / "good.saga.yaml").write_text(BAD, encoding="utf-8")
            shown = _read_until(ours, b"1 error in 1 file")
            assert b"\x1b[2J" in shown.partition(b"1 error")[0]
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
            os.close(ours)


def _read_until(terminal: int, wanted: bytes) -> bytes:
    shown = b""
    while wanted not in shown:
        assert select.select([terminal], [], [], PATIENCE)[0], shown
        shown += os.read(terminal, 4096)
    return shown


@pytest.mark.parametrize(
    ("arguments", "why"),
    [(["-"], "standard input does not change"), (["--format", "json"], "one report after the other")],
)
def test_what_cannot_be_watched_is_refused(folder: Path, arguments: list[str], why: str) -> None:
    ran = inside("validate", "--watch", *arguments, cwd=folder)

    assert ran.code == 2
    assert why in ran.err


def test_without_watchfiles_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    ran = inside("validate", "--watch", cwd=folder)

    assert ran.code == 3
    assert "pip install 'sagadsl[dev]'" in ran.err
