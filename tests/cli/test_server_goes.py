"""The server goes away while a service starts: exit 3 and a line that says so, wherever it was."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.cli.shell import SAGADSL, environment
from tests.conftest import Server
from tests.patience import PATIENCE


@contextmanager
def _until(answers: int, address: str) -> Iterator[str]:
    """Stand before a server that goes away, for good, after so many pieces of its answers."""
    host, _, port = address.rpartition(":")
    open_: list[socket.socket] = []
    left = [answers]
    gone = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def go() -> None:
        gone.set()
        for each in (listener, *open_):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def pass_on(source: socket.socket, target: socket.socket, counts: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if counts:
                    left[0] -= 1
                    if left[0] < 0:
                        go()
                        return
                target.sendall(data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                behind = socket.create_connection((host, int(port)))
                open_.extend((client, behind))
                if gone.is_set():
                    go()
                    return
                threading.Thread(target=pass_on, args=(client, behind, False), daemon=True).start()
                threading.Thread(target=pass_on, args=(behind, client, True), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        go()


def _ended(command: str, answers: int, address: str, folder: Path) -> tuple[int, str]:
    """Run a service before such a server; one that gets ready first is ended."""
    with (
        _until(answers, address) as before,
        subprocess.Popen(
            [*SAGADSL, *command.split(), "--address", before],
            cwd=folder,
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr is not None
        patience = threading.Timer(80, process.terminate)  # for a worker that had found all in order before
        patience.start()
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("gateway at "):
                process.terminate()
        patience.cancel()
        return process.wait(PATIENCE), "".join(said)


@pytest.mark.temporal
@pytest.mark.parametrize("command", ["worker --task-queue away", "serve --bind 127.0.0.1:0"])
def test_a_server_that_goes_away_at_the_start_is_no_mistake_of_ours(
    command: str, server: Server, tmp_path: Path
) -> None:
    """The SDK gives up a worker that it cannot check after a while; it was told as an internal error, exit 70."""
    ended: dict[int, tuple[int, str]] = {}

    def play(answers: int) -> None:
        ended[answers] = _ended(command, answers, server.address, tmp_path)

    plays = [threading.Thread(target=play, args=(answers,)) for answers in (0, 1, 2, 3)]
    for each in plays:
        each.start()
    for each in plays:
        each.join()

    assert set(ended) == {0, 1, 2, 3}
    for code, said in ended.values():
        assert code == 3 or "gateway at " in said or "ready" in said, said
        assert "SD900" not in said
        assert "Traceback" not in said
        if code == 3:
            assert "error[SD901]" in said
            assert "ready" not in said  # it was told before anything was asked of the server
    assert 3 in {code for code, _ in ended.values()}
