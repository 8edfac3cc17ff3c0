"""Screens of 80 and 40 columns: a command to copy is never cut, and the terminal itself breaks its line."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.cli.screens import seen
from tests.cli.shell import SAGADSL, environment, ready, sagadsl
from tests.cli.shop import lay_out
from tests.cli.terminal import at_terminal
from tests.cli.test_live import read_terminal
from tests.conftest import Server
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal


@pytest.mark.parametrize("columns", [80, 40])
def test_ctrl_c_leaves_whole_commands_and_no_remains(tmp_path: Path, server: Server, columns: int) -> None:
    """R22. The list is drawn in place; what stands below it can be copied in one piece, also while it changes."""
    folder = lay_out(tmp_path)
    saga = f"a-saga-with-an-id-as-long-as-ids-are-{os.urandom(8).hex()}"
    served = ("--task-queue", saga, "--address", server.address)
    values = ("--set", "order=1", "--set", "wait=true", "--id", saga)
    with ready([*SAGADSL, "worker", ".", *served], folder):
        env = environment(TERM="xterm-256color", COLUMNS=str(columns), LINES="30")
        words = ("run", "order.saga.yaml", *values, *served)
        with at_terminal(words, folder, env) as (process, terminal):
            command = f"sagadsl signal {saga} approve --payload JSON --address {server.address}"
            shown = read_terminal(terminal, lambda text: text.count(command) > 1)  # in one piece, and drawn over
            os.write(terminal, b"\x03")
            shown += read_terminal(terminal, lambda text: False)
            assert process.wait(PATIENCE) == 130
        assert sagadsl("cancel", saga, "--address", server.address).code == 0

    address = f"--address {server.address}"
    below = shown[shown.rindex("\x1b[?25h") :]
    assert f"sagadsl signal {saga} approve --payload JSON {address}" in below, shown
    assert f"sagadsl status {saga} {address}" in shown
    assert f"sagadsl result {saga} {address}" in shown
    assert "^C" not in shown
    lines = seen(shown, columns)
    assert [line.split()[1] for line in lines if re.match(r" [✓▶·] ", line)] == ["charge", "approval", "ship"], shown
    assert "".join(lines).count(command) == 1, shown
