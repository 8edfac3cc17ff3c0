"""Servers for programs, started in a terminal: they say what they wait for, and end with Ctrl-D."""

from __future__ import annotations

import os
import pty
import subprocess
import termios
from pathlib import Path

import pytest

from tests.cli.shell import SAGADSL, environment
from tests.cli.terminal import own_terminal
from tests.cli.test_live import read_terminal
from tests.patience import PATIENCE

ASKED = (
    b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", '
    b'"capabilities": {}, "clientInfo": {"name": "x", "version": "1"}, "processId": null, "rootUri": null}}'
)
FIRST = {"mcp": ASKED + b"\n", "lsp": b"Content-Length: %d\r\n\r\n%s\n" % (len(ASKED), ASKED)}


@pytest.mark.parametrize(("command", "page"), [("mcp", "agents#setting-it-up"), ("lsp", "editor")])
@pytest.mark.parametrize("end", [b"\x04", b"\x03"], ids=["ctrl-d", "ctrl-c"])
def test_who_starts_it_by_hand_is_told_what_it_is(tmp_path: Path, command: str, page: str, end: bytes) -> None:
    terminal, other_side = pty.openpty()
    modes = termios.tcgetattr(other_side)
    modes[0] &= ~termios.ICRNL  # a carriage return reaches the command as it is
    termios.tcsetattr(other_side, termios.TCSANOW, modes)
    with subprocess.Popen(
        [*SAGADSL, command],
        cwd=tmp_path,
        env=environment(TERM="xterm-256color"),
        stdin=other_side,
        stdout=subprocess.PIPE,
        stderr=other_side,
        start_new_session=True,
        preexec_fn=own_terminal,  # noqa: PLW1509 # it makes one system call
    ) as process:
        os.close(other_side)
        shown = read_terminal(terminal, lambda text: "Ctrl-D ends it" in text)
        assert process.stdout is not None
        os.write(terminal, FIRST[command])  # once it has answered, it waits for the next line
        answer = b""
        while b'"result"' not in answer:
            some = process.stdout.read1()
            assert some, answer
            answer += some
        os.write(terminal, end)
        assert process.wait(PATIENCE) in (0, 130)
    os.close(terminal)
    assert "it waits on stdin for" in shown
    assert f"sagadsl explain {page}" in shown


@pytest.mark.parametrize("command", ["mcp", "lsp"])
def test_a_program_is_told_nothing(tmp_path: Path, command: str) -> None:
    ran = subprocess.run(
        [*SAGADSL, command],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
