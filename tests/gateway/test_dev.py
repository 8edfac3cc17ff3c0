"""``sagadsl dev``: everything in one terminal, changes taken over, state kept over a restart."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.cli.shell import SAGADSL, environment, inside
from tests.cli.shop import lay_out
from tests.gateway.house import House
from tests.needs import need
from tests.patience import PATIENCE


@dataclass(frozen=True, slots=True)
class Terminal:
    """A `sagadsl dev` that runs."""

    process: subprocess.Popen[bytes]
    log: Path

    def until(self, says: str, since: int = 0) -> str:
        """Wait until it *says* something, after its first *since* characters."""
        deadline = time.monotonic() + PATIENCE
        while says not in (text := self.log.read_text()[since:]):
            assert self.process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.05)
        return text

    def change(self, what: Callable[[], Any], says: str) -> None:
        """Do something, and wait until it has been taken in."""
        before = len(self.log.read_text())
        what()
        self.until(says, before)


@contextmanager
def _dev(folder: Path, says: str = "worker is ready") -> Iterator[tuple[House, Terminal]]:
    log = folder / "dev.log"
    with (
        log.open("w") as written,
        subprocess.Popen([*SAGADSL, "dev"], cwd=folder, env=environment(), stderr=written) as process,
    ):
        try:
            terminal = Terminal(process, log)
            text = terminal.until(says)
            url = re.search(r"page +(http://\S+)/", text)
            assert url is not None
            yield House(url[1], folder, ""), terminal
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(PATIENCE)
        assert code == 0, log.read_text()


def _edit(path: Path, old: str, new: str) -> Callable[[], Any]:
    return lambda: path.write_text(path.read_text().replace(old, new))


def _run(house: House, **values: Any) -> Any:
    answer = house.ask("POST", "/sagas/order?wait=true", {"order": "1", **values})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_changes_are_taken_over_and_mistakes_are_told(tmp_path: Path) -> None:
    """A definition, an activity, a new activity that a definition names, a mistake and its correction."""
    lay_out(tmp_path)
    definition, activities = tmp_path / "order.saga.yaml", tmp_path / "shop_activities.py"
    with _dev(tmp_path) as (house, terminal):
        assert _run(house)["output"] == {"tracking": "t_1"}
        terminal.change(_edit(definition, "1.0.0", "2.0.0"), "worker is ready")
        assert house.ask("GET", "/definitions/order").json()["version"] == "2.0.0"
        terminal.change(_edit(activities, 'f"t_{order}"', 'f"T_{order}"'), "worker is ready")
        assert _run(house)["output"] == {"tracking": "T_1"}
        terminal.change(_edit(definition, "activity: ship", "activity: send"), "the earlier version stays")
        assert "error[SD401]" in terminal.log.read_text()
        assert _run(house)["output"] == {"tracking": "T_1"}
        terminal.change(_edit(activities, "async def ship", "async def send"), "worker is ready")
        assert _run(house)["output"] == {"tracking": "T_1"}


BREAKS_WHILE_CHECKED = """
import sys
from pathlib import Path
if "validate" in sys.argv and not (marker := Path("broken")).exists():
    marker.touch()
    definition = Path("order.saga.yaml")
    definition.write_text(definition.read_text().replace("activity: ship", "activity: send"))
"""
"""For a module of activities: as soon as a check has read the definition, and imports them, the file gets a mistake."""


def test_a_mistake_that_comes_while_a_change_is_taken_over_leaves_the_worker(tmp_path: Path) -> None:
    """What was right when it was checked is wrong when the new worker reads it: the one before goes on."""
    lay_out(tmp_path)
    definition, activities = tmp_path / "order.saga.yaml", tmp_path / "shop_activities.py"
    with _dev(tmp_path) as (house, terminal):
        since = len(terminal.log.read_text())
        source = activities.read_text().replace('f"t_{order}"', 'f"T_{order}"')
        terminal.change(lambda: activities.write_text(source + BREAKS_WHILE_CHECKED), "worker: error[SD401]")
        terminal.until("changed: order.saga.yaml", since)
        said = terminal.log.read_text()[since:]
        assert ("the earlier version stays" in said, "has ended" in said) == (True, False)
        assert _run(house)["output"] == {"tracking": "t_1"}
        terminal.change(_edit(definition, "activity: send", "activity: ship"), "all is right again; worker is ready")
        assert _run(house)["output"] == {"tracking": "T_1"}


def test_it_says_that_no_worker_runs_while_there_is_no_version_without_mistake(tmp_path: Path) -> None:
    lay_out(tmp_path)
    definition = tmp_path / "order.saga.yaml"
    _edit(definition, "activity: ship", "activity: send")()
    with _dev(tmp_path, "no worker runs") as (house, terminal):
        terminal.change(_edit(definition, "1.0.0", "2.0.0"), "no worker runs; one starts when this is mended")
        assert "the earlier version stays" not in terminal.log.read_text()
        terminal.change(_edit(definition, "activity: send", "activity: ship"), "all is right again; worker is ready")
        assert _run(house)["output"] == {"tracking": "t_1"}


def test_it_says_that_no_worker_runs_after_one_has_died(tmp_path: Path) -> None:
    """An activity ends the process that runs it: a mistake after that does not let "the earlier version" stay."""
    lay_out(tmp_path)
    definition, activities = tmp_path / "order.saga.yaml", tmp_path / "shop_activities.py"
    _edit(activities, 'return {"charge_id"', 'import os; os._exit(9)\n    return {"charge_id"')()
    with _dev(tmp_path) as (house, terminal):
        terminal.change(house.start, "the worker has ended; it starts again when something changes")
        terminal.change(_edit(definition, "activity: ship", "activity: send"), "no worker runs; one starts when this")
        assert "the earlier version stays" not in terminal.log.read_text()


def _command_of(pid: int) -> bytes:
    """Return the command of a process; nothing when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_nothing_of_it_is_left_when_it_is_killed(tmp_path: Path) -> None:
    """A worker that stayed would go on with what it once read, beside that of the next `sagadsl dev`."""
    need("linux")
    lay_out(tmp_path)
    log = tmp_path / "dev.log"
    with (
        log.open("w") as written,
        subprocess.Popen([*SAGADSL, "dev"], cwd=tmp_path, env=environment(), stderr=written) as process,
    ):
        Terminal(process, log).until("worker is ready")
        begun = [int(each) for each in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        commands = [_command_of(each) for each in begun]
        process.kill()
    assert any(b"sagadsl worker" in each for each in commands), commands
    assert any(b"start-dev" in each for each in commands), commands
    deadline = time.monotonic() + PATIENCE
    while left := [each for each in begun if _command_of(each)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_what_the_project_does_not_trust_is_neither_served_nor_taken_over(tmp_path: Path) -> None:
    lay_out(tmp_path)
    assert inside("keygen", "a.pem", cwd=tmp_path).code == 0
    with (tmp_path / "sagadsl.toml").open("a") as settings:
        settings.write('[trust]\nkeys = ["a.pem.pub"]\n')
    refused = subprocess.run([*SAGADSL, "dev"], cwd=tmp_path, env=environment(), capture_output=True, check=False)
    assert (refused.returncode, b"SD991" in refused.stderr) == (3, True)
    sign = ("sign", "order.saga.yaml", "--key", "a.pem")
    assert inside(*sign, cwd=tmp_path).code == 0
    with _dev(tmp_path) as (house, terminal):
        terminal.change(_edit(tmp_path / "order.saga.yaml", "1.0.0", "2.0.0"), "the earlier version stays")
        assert "SD991" in terminal.log.read_text()
        assert house.ask("GET", "/definitions/order").json()["version"] == "1.0.0"
        assert _run(house)["output"] == {"tracking": "t_1"}
        terminal.change(lambda: inside(*sign, cwd=tmp_path), "worker is ready")
        assert house.ask("GET", "/definitions/order").json()["version"] == "2.0.0"
        assert _run(house)["output"] == {"tracking": "t_1"}


def test_what_the_project_trusts_changes_at_once(tmp_path: Path) -> None:
    """A `[trust]` that comes while it runs holds; one that cannot be used is told, and changes nothing."""
    lay_out(tmp_path)
    assert inside("keygen", "a.pem", cwd=tmp_path).code == 0
    settings, definition = tmp_path / "sagadsl.toml", tmp_path / "order.saga.yaml"
    before = settings.read_text()

    def trusting(keys: str) -> Callable[[], Any]:
        return lambda: settings.write_text(f"{before}[trust]\nkeys = {keys}\n")

    with _dev(tmp_path) as (house, terminal):
        for keys, code in (('["a.pem.pub"]', "SD991"), ("[]", "SD913"), ('["none.pub"]', "SD990")):
            since = len(terminal.log.read_text())
            terminal.change(trusting(keys), "the earlier version stays")
            assert f"[{code}]" in terminal.log.read_text()[since:]
        terminal.change(trusting('["a.pem.pub"]'), "the earlier version stays")
        terminal.change(_edit(definition, "1.0.0", "2.0.0"), "the earlier version stays")
        assert house.ask("GET", "/definitions/order").json()["version"] == "1.0.0"
        terminal.change(lambda: settings.write_text(before), "worker is ready")
        assert house.ask("GET", "/definitions/order").json()["version"] == "2.0.0"


def test_sagas_are_kept_over_a_restart_and_one_folder_has_one_server(tmp_path: Path) -> None:
    """A saga that waits goes on in the next session; while one runs, another one is refused."""
    lay_out(tmp_path)
    with _dev(tmp_path) as (house, _):
        waiting = house.start(wait=True)
        house.until(waiting, lambda status: bool(status.get("waiting_for")))
        other = inside("dev", cwd=tmp_path)
        assert (other.code, "SD956" in other.err) == (3, True)
    with _dev(tmp_path) as (house, _):
        house.ask("POST", f"/sagas/{waiting}/signals/approve")
        ended = house.ask("GET", f"/sagas/{waiting}/result?wait=30s").json()

    assert (ended["status"], ended["output"]) == ("completed", {"tracking": "t_1"})
    state = tmp_path / ".sagadsl"
    assert (state / ".gitignore").read_text() == "*\n"
    assert [each.name for each in [state, *state.glob("sagas.db*")] if each.stat().st_mode & 0o077] == []


def test_ports_that_are_taken_are_replaced(tmp_path: Path) -> None:
    """Two projects side by side: each has addresses of its own, and each is told what they are."""
    first, second = tmp_path / "first", tmp_path / "second"
    for each in (first, second):
        each.mkdir()
        lay_out(each)
    with _dev(first) as (one, _), _dev(second) as (other, _):
        assert one.url != other.url
        assert httpx2.get(f"{one.url}/healthz").status_code == httpx2.get(f"{other.url}/healthz").status_code == 200
