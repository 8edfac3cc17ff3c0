"""N17: an import may do anything, and the process is as it was afterwards."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from sagadsl.plugins.isolation import contained


def test_folder_signals_and_streams_are_put_back(tmp_path: Path) -> None:
    before = Path.cwd(), signal.getsignal(signal.SIGINT), sys.stdin, sys.stdout, sys.stderr

    def load() -> None:
        os.chdir(tmp_path)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        sys.stdout = sys.stderr = sys.stdin = None  # type: ignore[assignment]
        sys.exit(3)

    with pytest.raises(SystemExit), contained():
        load()
    assert (Path.cwd(), signal.getsignal(signal.SIGINT), sys.stdin, sys.stdout, sys.stderr) == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()).isdisjoint({signal.SIGINT, signal.SIGTERM})


def test_what_is_printed_meanwhile_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with contained():
        print("hello")
    print("bye")

    assert capsys.readouterr() == ("bye\n", "hello\n")


def test_a_thread_may_import_too(tmp_path: Path) -> None:
    """Python lets only the main thread set handlers."""
    ended: list[Path] = []

    def load() -> None:
        with contained():
            os.chdir(tmp_path)
        ended.append(Path.cwd())

    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    assert ended == [Path.cwd()]
