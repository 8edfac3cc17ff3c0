"""What a worker's log says of attempts that failed: one line, with the place of an error that nobody meant."""

from __future__ import annotations

import re
import signal
import subprocess
import uuid
from pathlib import Path

import pytest

from tests.cli.shell import SAGADSL, environment, sagadsl
from tests.conftest import Server

ACTIVITIES = '''
import sys
from sagadsl import Permanent, Transient, activity

class Busy(Exception): ...

@activity
def later() -> None:
    """Meant: it is tried again."""
    raise Transient("not\\nnow")

@activity
def no() -> None:
    """Meant: a business no is not even told."""
    raise Permanent("no", type="Declined")

@activity(errors=["Busy"])
def busy() -> None:
    """Declared."""
    raise Busy("come back")

@activity
def slip() -> None:
    """A mistake."""
    return 1 / 0

@activity
def leave() -> None:
    """What would end the worker."""
    sys.exit("bye")
'''
DEFINITION = "sagadsl: 1\nname: fails\nsteps:\n" + "".join(
    f"  - {{id: {name}, activity: {name}, retry: {{maximum_attempts: 2, initial_interval: 10ms}}, on_error: continue, "
    "compensation: none}\n"
    for name in ("later", "no", "busy", "slip", "leave")
)


@pytest.mark.temporal
@pytest.mark.parametrize("debug", [False, True], ids=["as usual", "with --debug"])
def test_an_attempt_that_failed_is_one_line(tmp_path: Path, server: Server, debug: bool) -> None:
    """It was twenty lines, of frames that are ours and the SDK's."""
    (tmp_path / "failing.py").write_text(ACTIVITIES)
    (tmp_path / "fails.saga.yaml").write_text(DEFINITION)
    (tmp_path / "sagadsl.toml").write_text('modules = ["failing"]\nplugins = {allow = []}\n')
    queue, saga = f"log-{uuid.uuid4()}", f"s-{uuid.uuid4()}"
    options = ("--task-queue", queue, "--address", server.address)
    command = [*SAGADSL, "worker", *options, *(["--debug"] if debug else [])]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        ran = sagadsl("run", "fails.saga.yaml", "--id", saga, "-q", *options, cwd=tmp_path)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        said = process.stderr.read()
    assert ran.code == 0, ran.err

    logged = [line.partition("temporalio.activity: ")[2] for line in said.splitlines() if "temporalio.activity" in line]
    expected = {
        "later": "Transient: not",
        "busy": "Busy: come back",
        "slip": "failing.py:25 in slip: ZeroDivisionError: ",
        "leave": "failing.py:30 in leave: SystemExit: bye",
    }
    assert [re.sub(r"division .*", "", line) for line in logged] == [
        f"{name}, step {name} of saga {saga}, attempt {attempt}: {what}"
        for name, what in expected.items()
        for attempt in (1, 2)
    ]
    stacks = said.count("Traceback (most recent call last)")
    assert stacks == (8 if debug else 0), said
    assert ('failing.py", line 25, in slip' in said) is debug
    assert ('failing.py", line 10, in later' in said) is debug
    assert "site-packages" not in said
