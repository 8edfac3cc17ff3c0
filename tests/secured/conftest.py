"""One server of each kind for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.secured.server import Secured, secured


@pytest.fixture(scope="session")
def wants_certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("certificates"), mutual=True) as server:
        yield server


@pytest.fixture(scope="session")
def wants_keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("keys"), mutual=False) as server:
        yield server
