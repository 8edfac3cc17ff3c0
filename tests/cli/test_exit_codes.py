"""The exit code of a command that has talked to a server."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.shell import environment
from tests.conftest import Server

pytestmark = pytest.mark.temporal

REPETITIONS = 60

# What takes long, the imports, is done once; each repetition is a process of its own all the same.
PROGRAM = """
import json, os, sys
from sagadsl.cli import main, operate
from sagadsl.temporal import client
from sagadsl.temporal.link import connection, settings
assert "temporalio" in sys.modules
codes = []
for number in range({repetitions}):
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        sys.argv = ["sagadsl", "cancel", f"nobody-{{number}}", "--address", {address!r}]
        main()
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(codes))
"""


def test_exit_codes_survive_the_end_of_the_process(server: Server) -> None:
    """sdk-python#300: without care about one process in five dies of a signal instead."""
    program = PROGRAM.format(repetitions=REPETITIONS, address=server.address)
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, timeout=100, check=True
    )
    assert json.loads(ended.stdout) == [2] * REPETITIONS
