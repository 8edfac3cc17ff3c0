"""One gateway, and one worker behind it, for all tests that want nothing of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import chromium
from tests.conftest import Server
from tests.gateway.house import House, serve, shop, window, worker
from tests.needs import missing
from tests.patience import PATIENCE


@pytest.fixture(scope="session")
def house(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway on loopback that wants no token, and a worker."""
    folder = shop(tmp_path_factory.mktemp("gateway"))
    with worker(folder, server.address), serve(folder, server.address, "--rate", "10000") as house:
        yield house


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium. As long as it runs, this thread is inside an event loop, and no other test may run one."""
    try:
        expect.set_options(timeout=PATIENCE * 1000)
        with chromium.started() as browser:
            yield browser
    except chromium.Unavailable as unavailable:
        missing("chromium", str(unavailable))


@pytest.fixture
def page(browser: Browser, house: House) -> Iterator[Page]:
    """A window on the gateway; whatever the page complains of fails the test."""
    yield from window(browser, house.url)
