"""Ctrl-C where asyncio's loops take no handlers of signals, as on Windows; and what does not begin there at all."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from sagadsl.cli import interrupts
from tests.cli.shell import inside
from tests.patience import PATIENCE


def test_a_loop_that_takes_no_handlers_hears_of_ctrl_c_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    async def stopped() -> bool:
        def refuse(*_: object) -> None:
            raise NotImplementedError

        monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", refuse)
        stop = asyncio.Event()
        interrupts.on_stop(stop.set)
        signal.raise_signal(signal.SIGINT)
        await asyncio.wait_for(stop.wait(), PATIENCE)
        return True

    try:
        assert asyncio.run(stopped())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("command", [("dev", "."), ("worker", ".", "--processes", "2", "--address", "127.0.0.1:1")])
def test_what_stands_on_unix_says_so_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "nap.saga.yaml").write_text("sagadsl: 1\nname: nap\nsteps: [{id: a, sleep: 1s}]\n", encoding="utf-8")
    monkeypatch.setattr(interrupts, "_IS_POSIX", False)
    ran = inside(*command, cwd=tmp_path)

    assert "needs Linux or macOS; on Windows, use WSL" in ran.err
    assert ran.code == 2
