"""Certificates and API keys that are replaced while workers and a gateway run: no saga is lost, nothing restarts."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from sagadsl.temporal.link.api_key_setting import ApiKeySource
from sagadsl.temporal.link.renewal import COMMAND_SECONDS, remembering
from sagadsl.temporal.link.shown import SettingsUnusable
from tests.cli.shell import inside
from tests.cli.shop import lay_out
from tests.cli.workers import Worker, running
from tests.gateway.house import fresh, queue_of, serve
from tests.patience import PATIENCE
from tests.secured.authority import Authority, Pair
from tests.secured.server import Secured, secured

pytestmark = pytest.mark.temporal

USED = "has changed, and is used from now on"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lay_out(tmp_path)
    return tmp_path


def _until(holds: Callable[[], bool], said: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, said()
        time.sleep(0.1)


def _own(pair: Pair, folder: Path) -> Pair:
    """Return files of our own with a pair, which others do not see change."""
    own = Pair(folder / "own.pem", folder / "own.key")
    own.replace(pair)
    return own


def _completes(folder: Path, options: list[str]) -> None:
    queue = ("--task-queue", queue_of(folder))
    ran = inside("run", "order", "-i", '{"order": "1"}', "--id", fresh(), *queue, *options, "-q", cwd=folder)
    assert (ran.code, ran.out) == (0, '{\n  "tracking": "t_1"\n}\n'), ran


def _says(worker: Worker, text: str, times: int = 1) -> Callable[[], bool]:
    return lambda: sum(text in line for line in worker.lines) >= times


def test_certificates_of_another_authority_take_over_under_a_running_saga(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The server closes connections all the time, and in the end it knows only the new authority."""
    with secured(tmp_path_factory.mktemp("renewed"), mutual=True) as server:
        new, last = Authority(folder, "new"), Authority(folder, "last")
        own, renewed = _own(server.client, folder), new.pair("renewed")
        options = server.options(tls_cert_path=str(own.cert), tls_key_path=str(own.key))
        place = server.options(address=None, tls_cert_path=str(own.cert), tls_key_path=str(own.key))
        queue = ("--task-queue", queue_of(folder))
        with (
            running(folder, ".", *queue, *options) as worker,
            serve(folder, server.address, *place) as house,
        ):
            worker.wait_for("ready")
            waits = house.start(wait=True)
            house.until(waits, lambda status: bool(status["waiting_for"]))
            # the server looks at the first one to see whether the file has changed
            server.trusted.write_bytes(new.file.read_bytes() + server.authority.file.read_bytes())
            _until(lambda: _takes(server, renewed), lambda: server.log.read_text()[-1000:])
            own.replace(renewed)
            _until(_says(worker, f"the certificate {USED}"), lambda: worker.lines)
            _until(lambda: any(USED in line for line in house.lines), lambda: list(house.lines))
            server.trusted.write_bytes(last.file.read_bytes() + new.file.read_bytes())
            _until(lambda: not _takes(server, server.client), lambda: server.log.read_text()[-1000:])

            _completes(folder, options)
            assert house.ask("POST", f"/sagas/{waits}/signals/approve", {}).status_code == 202
            result = house.ask("GET", f"/sagas/{waits}/result?wait=60s")
            assert (result.status_code, result.json()["status"]) == (200, "completed"), result.text


def _takes(server: Secured, pair: Pair) -> bool:
    return inside("list", *server.options(tls_cert_path=str(pair.cert), tls_key_path=str(pair.key))).code == 0


def test_a_pair_that_is_half_written_changes_nothing_until_it_is_whole(
    folder: Path, wants_certificates: Secured
) -> None:
    own, next_ = _own(wants_certificates.client, folder), wants_certificates.authority.pair("next")
    options = wants_certificates.options(tls_cert_path=str(own.cert), tls_key_path=str(own.key))
    with running(folder, ".", "--task-queue", queue_of(folder), *options) as worker:
        worker.wait_for("ready")
        own.cert.write_bytes(next_.cert.read_bytes())
        _until(_says(worker, "no connection with the changed certificate: "), lambda: worker.lines)
        _completes(folder, wants_certificates.options())
        own.cert.unlink()
        _until(_says(worker, "credentials cannot be read again: "), lambda: worker.lines)
        own.replace(next_)
        _until(_says(worker, f"the certificate {USED}"), lambda: worker.lines)
        _completes(folder, options)
    assert not any("Traceback" in line for line in worker.lines)


def test_a_new_api_key_is_used_when_the_old_one_is_worth_nothing_any_more(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The server in the end knows only what has signed the new key."""
    with secured(tmp_path_factory.mktemp("signed"), mutual=False) as server:
        file, old = folder / "api.key", server.provider.api_key()
        file.write_text(old)
        options = [*server.options(api_key=None), "--api-key-from", f"file:{file}"]
        with running(folder, ".", "--task-queue", queue_of(folder), *options) as worker:
            worker.wait_for("ready")
            server.provider.renew()
            new = server.provider.api_key()
            _until(lambda: _knows(server, new), lambda: server.log.read_text()[-1000:])
            file.write_text(new)
            _until(_says(worker, f"the API key {USED}"), lambda: worker.lines)
            server.provider.forget()
            _until(lambda: not _knows(server, old), lambda: server.log.read_text()[-1000:])
            _completes(folder, options)
        assert old not in "\n".join(worker.lines)
        assert new not in "\n".join(worker.lines)


def _knows(server: Secured, key: str) -> bool:
    return inside("list", *server.options(api_key=key)).code == 0


def test_a_command_is_asked_for_the_key_once_a_minute(tmp_path: Path) -> None:
    """Each look at the credentials would begin a process, at a vault for instance."""
    now, key = 0.0, tmp_path / "api.key"
    read = remembering(lambda: now)
    command = ApiKeySource("command", ("cat", str(key)), "--api-key-from")
    file = ApiKeySource("file", (str(key),), "--api-key-from")
    key.write_text("first")
    assert (read(command), read(file)) == ("first", "first")
    key.write_text("second")
    now = COMMAND_SECONDS - 1
    assert (read(command), read(file)) == ("first", "second")
    now = COMMAND_SECONDS
    assert read(command) == "second"


def test_a_command_that_fails_is_run_once_a_minute_too(tmp_path: Path) -> None:
    now, ran = 0.0, tmp_path / "ran"
    read = remembering(lambda: now)
    command = ApiKeySource("command", ("sh", "-c", f"echo >> {ran}; exit 3"), "--api-key-from")
    for _ in range(3):
        with pytest.raises(SettingsUnusable, match="ended with code 3"):
            read(command)
    assert ran.read_text() == "\n"
    now = COMMAND_SECONDS
    with pytest.raises(SettingsUnusable):
        read(command)
    assert ran.read_text() == "\n\n"


def test_a_worker_whose_key_is_over_says_so_once_and_goes_on_with_a_new_one(folder: Path, wants_keys: Secured) -> None:
    file = folder / "api.key"
    file.write_text(wants_keys.provider.api_key())
    options = [*wants_keys.options(api_key=None), "--api-key-from", f"file:{file}"]
    with running(folder, ".", "--task-queue", queue_of(folder), *options) as worker:
        worker.wait_for("ready")
        file.write_text(wants_keys.provider.api_key(lasts=timedelta(hours=-1)))
        refused = "Temporal refuses the credentials of this worker in namespace `default`: the API key has expired ("
        _until(_says(worker, refused), lambda: worker.lines)
        file.write_text(wants_keys.provider.api_key())
        _until(_says(worker, "the credentials are in order again"), lambda: worker.lines)
        _completes(folder, options)
    assert sum(refused in line for line in worker.lines) == 1
