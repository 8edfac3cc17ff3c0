"""The server that `sagadsl run` brings along."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from sagadsl.temporal.link.connection import connect
from sagadsl.temporal.link.embedded import ServerNotStarted, find_binary, serve
from sagadsl.temporal.link.server_process import SEARCH_ATTRIBUTES, begin
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal


def _is_alive(pid: int) -> bool:
    """Tell whether *pid* runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_server_serves_for_the_length_of_its_block(tmp_path: Path) -> None:
    """The embedded server, with the attributes by which sagas are listed, and a Web UI."""

    async def scenario() -> tuple[int, str, set[str]]:
        async with serve(database=tmp_path / "saga.db") as server:
            client = await connect(server.settings)
            attributes = await client.count_workflows("SagaName='x' AND SagaStatus='running' AND SagaVersion='1'")
            assert attributes.count == 0
            with await asyncio.to_thread(urllib.request.urlopen, server.ui_url) as page:
                return server.pid, page.read().decode()[:15].lower(), set(SEARCH_ATTRIBUTES)

    pid, page, _ = asyncio.run(scenario())
    assert page == "<!doctype html>"
    assert not _is_alive(pid)
    assert (tmp_path / "saga.db").stat().st_size > 0


def test_the_server_outlives_ctrl_c_and_not_its_parent() -> None:
    """Ctrl-C reaches every process of the terminal's group: the server is in another; and no orphan stays."""
    program = (
        "import asyncio, sys\n"
        "from sagadsl.temporal.link.embedded import serve\n"
        "async def main():\n"
        "    async with serve() as server:\n"
        "        print(server.pid, flush=True)\n"
        "        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert os.getpgid(pid) != os.getpgid(parent.pid)
        assert _is_alive(pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    if sys.platform == "linux":
        deadline = time.monotonic() + PATIENCE
        while _is_alive(pid):
            assert time.monotonic() < deadline, f"process {pid} is still there"
            time.sleep(0.05)


def test_a_server_that_has_begun_before_is_taken_and_can_be_ended_without_being_waited_for() -> None:
    binary = asyncio.run(find_binary())

    async def scenario() -> int:
        begun = begin(binary)
        async with serve(begun=begun) as server:
            assert (server.pid, server.address) == (begun.process.pid, begun.address)
            await connect(server.settings)
        return server.pid

    assert not _is_alive(asyncio.run(scenario()))
    in_vain = begin(binary)
    in_vain.end()
    in_vain.end()
    assert in_vain.process.wait(PATIENCE) == -signal.SIGKILL


def test_a_port_in_use_is_an_error_that_names_it() -> None:
    async def scenario(port: int) -> None:
        async with serve(port=port):
            pass

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        with pytest.raises(ServerNotStarted, match=f"does not start: port {port} is in use") as failed:
            asyncio.run(scenario(port))
    assert failed.value.exit_code == 3


def test_a_command_that_is_not_temporal_s_is_an_error_with_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impostor = tmp_path / "temporal"
    impostor.write_text("#!/bin/sh\necho 'no such thing' >&2\nexit 3\n", encoding="utf-8")
    impostor.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    async def scenario() -> None:
        async with serve():
            pass

    assert asyncio.run(find_binary()) == str(impostor)
    with pytest.raises(ServerNotStarted, match="does not start: no such thing") as failed:
        asyncio.run(scenario())
    assert failed.value.binary == str(impostor)


@pytest.mark.parametrize(
    "words",
    [
        'echo \'{"level":"FATAL","message":"listen tcp 127.0.0.1:1: bind: address already in use"}\'',
        "printf 'panic: no port\\n\\ngoroutine 1:\\n main.go\\n' >&2",
        "true",
    ],
    ids=["the Web UI's", "a panic", "nothing"],
)
@pytest.mark.parametrize("early", [False, True], ids=["begun within", "begun before"])
def test_a_port_lost_between_looking_and_binding_is_no_error(
    words: str, early: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many servers that start at once draw the same free ports; the one that loses says so in several ways."""
    real = asyncio.run(find_binary())
    loser = tmp_path / "temporal"
    lost = tmp_path / "lost"
    loser.write_text(
        f"#!/bin/sh\nif [ ! -e '{lost}' ]; then touch '{lost}'; {words}; exit 1; fi\nexec '{real}' \"$@\"\n",
        encoding="utf-8",
    )
    loser.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    async def scenario() -> None:
        async with serve(begun=begin(str(loser)) if early else None) as server:
            await connect(server.settings)

    asyncio.run(scenario())
    assert lost.exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ('echo Temporal Server 1; echo \'{"level":"FATAL","message":"no disk"}\'', "no disk"),
        ("printf 'panic: no port\\n\\ngoroutine 1:\\n main.go\\n' >&2", "panic: no port"),
        ("true", "it ended with exit code 4"),
    ],
)
def test_a_server_that_ends_at_once_is_told_with_its_own_words(
    words: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impostor = tmp_path / "temporal"
    impostor.write_text(f"#!/bin/sh\n{words}\nexit 4\n", encoding="utf-8")
    impostor.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    async def scenario() -> None:
        async with serve():
            pass

    with pytest.raises(ServerNotStarted) as failed:
        asyncio.run(scenario())
    assert failed.value.reason == reason
