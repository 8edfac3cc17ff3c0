"""A saga on the screen: lines where nobody can look at a terminal, a list in place where somebody does."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sagadsl.cli.live import Lines, fitting
from sagadsl.immutable import replace
from sagadsl.status.lines import PendingAttempt, StatusRow
from sagadsl.temporal.read.following import Picture
from tests.cli.shell import SAGADSL, environment, inside
from tests.cli.shop import lay_out
from tests.patience import PATIENCE


def _picture(*steps: tuple[str, str], attempts: dict[str, PendingAttempt] | None = None, **more: Any) -> Picture:
    began = {"started_at": "2026-01-01T00:00:00Z", "ended_at": "2026-01-01T00:00:01Z"}
    listed = [
        {"path": path, "activity": f"acme.{path}", "status": status, **({} if status == "pending" else began)}
        for path, status in steps
    ]
    return Picture({"id": "o-1", "status": "running", "steps": listed, **more}, attempts or {})


def _lines(*pictures: Picture, capsys: pytest.CaptureFixture[str]) -> tuple[list[str], list[str]]:
    written: list[str] = []
    view = Lines(lambda row, line: written.append(line), "", "no worker")
    for picture in pictures:
        view.show(picture)
    return written, capsys.readouterr().err.splitlines()


def test_every_change_is_one_line_and_nothing_is_said_twice(capsys: pytest.CaptureFixture[str]) -> None:
    written, said = _lines(
        _picture(("pay", "pending"), ("ship", "pending")),
        _picture(("pay", "running"), ("ship", "pending")),
        _picture(("pay", "running"), ("ship", "pending")),
        _picture(("pay", "running"), ("ship", "pending"), attempts={"pay": PendingAttempt(2, "Busy: later")}),
        _picture(("pay", "completed"), ("ship", "running")),
        capsys=capsys,
    )
    assert written == [
        " ▶ pay   acme.pay     1.0s",
        " ▶ pay   acme.pay     1.0s  attempt 2: Busy: later",
        " ✓ pay   acme.pay     1.0s",
        " ▶ ship  acme.ship    1.0s",
    ]
    assert said == []


def test_what_a_saga_waits_for_is_said_once_each_time_it_begins(capsys: pytest.CaptureFixture[str]) -> None:
    waiting, going = _picture(waiting_for={"go": ["wait"]}), _picture()
    _, said = _lines(waiting, waiting, going, waiting, Picture(has_worker=False), capsys=capsys)
    line = "waits for signal `go`: sagadsl signal o-1 go --payload JSON"
    assert said == [line, line, "no worker"]


def _row(number: int, state: str = "completed") -> StatusRow:
    return StatusRow(f"s{number}", "✓", state, f"s{number}", "acme.do")


def test_a_list_longer_than_the_terminal_keeps_what_came_last() -> None:
    done, ahead = [_row(number) for number in range(50)], [_row(number, "pending") for number in range(50, 60)]
    more, *shown = fitting([*done, *ahead], 10)
    assert more == (None, [" … 51 more lines"])
    assert [row for row, _ in shown] == done[-9:]
    assert [row for row, _ in fitting(done[:5], 10)] == done[:5]
    assert fitting(ahead, 5)[0] == (None, [" … 6 more lines"])
    assert [row for row, _ in fitting(ahead, 5)[1:]] == ahead[:4]


def test_on_a_narrow_terminal_a_row_takes_several_lines_and_fewer_rows_fit() -> None:
    rows = [replace(_row(number), note="Busy: the carrier is busy") for number in range(4)]
    (_, first), *others = fitting(rows, 5, 30)
    assert first == [" … 2 more lines"]
    assert [(row, len(lines)) for row, lines in others] == [(rows[2], 2), (rows[3], 2)]


@pytest.mark.temporal
def test_at_a_terminal_a_paused_saga_waits_for_its_operator_and_the_list_changes_in_place(tmp_path: Path) -> None:
    """R22: the server would go with the command, so that it stays while somebody is there."""
    folder = lay_out(tmp_path)
    broken = folder / "broken"
    broken.touch()
    values = ("--set", "order=1", "--set", "how=fail", "--set", f"broken={broken}", "--id", "o-1")
    terminal, other_side = pty.openpty()
    command = [*SAGADSL, "run", "order.saga.yaml", *values]
    env = environment(TERM="xterm-256color", COLUMNS="120", LINES="30")
    with subprocess.Popen(
        command, cwd=folder, env=env, stdin=other_side, stdout=other_side, stderr=other_side, start_new_session=True
    ) as process:
        os.close(other_side)
        shown = read_terminal(terminal, lambda text: "give up" in text)
        found = re.search(r"sagadsl skip o-1 \S+ --address (\S+)", shown)
        assert found is not None, shown
        assert inside("skip", "o-1", "charge.compensation", "--address", found[1], "--why", "a test").code == 0
        shown += read_terminal(terminal, lambda text: False)
        assert process.wait(PATIENCE) == 11
    os.close(terminal)
    assert "\x1b[?25l" in shown  # the cursor goes ...
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # ... and comes back
    last = shown[shown.rindex("\x1b[?25h") :].removeprefix("\x1b[?25h").splitlines()
    assert last[0].startswith("✗ failed after ")
    assert last[2].startswith("   NOT undone: charge (skipped): ")


def read_terminal(terminal: int, enough: Callable[[str], bool]) -> str:
    """Return what a command writes to a terminal until it is enough, or the other side has gone."""
    text, deadline = "", time.monotonic() + PATIENCE
    while not enough(text):
        assert time.monotonic() < deadline, text
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux says so when the other side has gone
            break
        if not data:
            break
        text += data.decode(errors="replace")
    return text
