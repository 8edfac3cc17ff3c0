"""A gateway as people have it: the shop's definitions, a worker process, and `sagadsl serve` in another one."""

from __future__ import annotations

import re
import ssl
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
from playwright.sync_api import Browser, Page

from tests.cli.shell import SAGADSL, environment, ready
from tests.cli.shop import lay_out, lay_out_trips
from tests.patience import PATIENCE


@dataclass(frozen=True, slots=True)
class House:
    """A gateway that runs.

    Attributes:
        lines: What it has written to stderr so far, one line each.
        trusts: The authority of its certificate, if it has one.
    """

    url: str
    folder: Path
    address: str
    lines: list[str] = field(default_factory=list)
    trusts: Path | None = None

    @property
    def queue(self) -> str:
        """The task queue of its worker, unless the test says otherwise."""
        return queue_of(self.folder)

    def ask(
        self, method: str, path: str, body: Any = None, *, token: str = "", timeout: float = PATIENCE, **headers: str
    ) -> httpx2.Response:
        """Send one request; underscores in names of headers are hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            named["Authorization"] = f"Bearer {token}"
        with self.client(timeout) as client:
            return client.request(method, path, json=body, headers=named)

    def client(self, timeout: float = PATIENCE) -> httpx2.Client:
        """Return a client of this gateway."""
        return httpx2.Client(base_url=self.url, timeout=timeout, verify=_verifying(self.trusts))

    def start(self, **values: Any) -> str:
        """Start the shop's saga and return its id."""
        answer = self.ask("POST", "/sagas/order", {"order": "1", **values}, Workflow_Id=fresh())
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def until(self, saga: str, holds: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        """Wait, by long polls, until the status of a saga *holds*, as its worker tells it."""
        revision, deadline = "", time.monotonic() + PATIENCE
        while True:
            answer = self.ask("GET", f"/sagas/{saga}?wait=5s&since={revision}")
            assert answer.status_code == 200, answer.text
            found: Mapping[str, Any] = answer.json()
            if found.get("source") != "history" and holds(found):
                return found
            assert time.monotonic() < deadline, found
            revision = found["revision"]

    def audit(self, saga: str) -> list[str]:
        """Return the audit lines about a saga."""
        return [line for line in self.lines if "sagadsl.audit" in line and saga in line]


def fresh() -> str:
    """Return an id that nobody has used."""
    return f"g-{uuid.uuid4()}"


def queue_of(folder: Path) -> str:
    """Return the task queue of what runs in a folder: no worker draws the tasks of another folder's sagas."""
    return f"gateway-{uuid.uuid5(uuid.NAMESPACE_URL, folder.as_uri())}"


@contextmanager
def worker(folder: Path, address: str, *options: str) -> Iterator[None]:
    """Run a worker process that serves the shop."""
    command = [*SAGADSL, "worker", ".", "--task-queue", queue_of(folder), "--address", address, *options]
    with ready(command, folder):
        yield


@contextmanager
def serve(
    folder: Path, address: str, *options: str, descriptors: int = 0, trusts: Path | None = None, **env: str
) -> Iterator[House]:
    """Run `sagadsl serve` on a free port of loopback, unless *options* say otherwise; with so many *descriptors*."""
    places = ("--bind", "127.0.0.1:0", "--task-queue", queue_of(folder), "--address", address)
    command = [*SAGADSL, "serve", ".", *places, *options]
    if descriptors:
        command = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command]
    log = folder / f"gateway-{uuid.uuid4().hex[:8]}.log"
    with (
        log.open("w") as written,
        subprocess.Popen(command, cwd=folder, env=environment(**env), stderr=written) as process,
    ):
        try:
            yield House(_address(log, process, trusts), folder, address, _Lines(log), trusts)
        finally:
            process.terminate()
            code = process.wait(PATIENCE)
        assert code == 0, log.read_text()


class _Lines(list[str]):
    """The lines of a file as it is at the moment."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def __iter__(self) -> Iterator[str]:
        return iter(self._path.read_text().splitlines())


def _verifying(trusts: Path | None) -> ssl.SSLContext:
    return _trusting() if trusts is None else ssl.create_default_context(cafile=str(trusts))


@cache
def _trusting() -> ssl.SSLContext:
    """Return what the client would make for each request: it reads all authorities, longer than a request takes."""
    return ssl.create_default_context()


def _address(log: Path, process: subprocess.Popen[bytes], trusts: Path | None) -> str:
    deadline = time.monotonic() + PATIENCE
    while True:
        found = re.search(r"gateway at (https?://\S+?)/\s", log.read_text())
        if found:
            _wait_until_it_answers(found[1], trusts)
            return found[1]
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def _wait_until_it_answers(url: str, trusts: Path | None) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(httpx2.TransportError):
            if httpx2.get(f"{url}/healthz", verify=_verifying(trusts)).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


def trips(folder: Path) -> Path:
    """Write the shop with its trips into *folder*, and return it."""
    return lay_out_trips(folder)


def shop(folder: Path) -> Path:
    """Write the shop into *folder*, and return it."""
    return lay_out(folder)


def window(browser: Browser, url: str, width: int = 1200, theme: str = "light") -> Iterator[Page]:
    """Open a window on a gateway; whatever the page complains of fails the test."""
    complaints: list[str] = []
    context = browser.new_context(
        base_url=url, viewport={"width": width, "height": 900}, color_scheme="dark" if theme == "dark" else "light"
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    yield page
    context.close()
    told = [each for each in complaints if "Failed to load resource" not in each]
    assert not told, told
