"""One gateway, and one worker behind it, for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import Server
from tests.gateway.house import House, serve, shop, worker
from tests.needs import need


@pytest.fixture(scope="package")
def house(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway on loopback that wants no token, and a worker."""
    folder = shop(tmp_path_factory.mktemp("gateway"))
    with worker(folder, server.address), serve(folder, server.address, "--rate", "10000") as house:
        yield house


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A real Chromium."""
    (program,) = need("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
