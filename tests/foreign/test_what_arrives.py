"""What workers in other languages return and report arrives as ``docs/other-languages.md`` says: measured each time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import Server
from tests.foreign import measured, page

pytestmark = [pytest.mark.temporal, pytest.mark.timeout(1200)]  # the first build takes minutes


@pytest.mark.parametrize("language", measured.LANGUAGES)
def test_it_arrives_as_it_was_measured(server: Server, language: str) -> None:
    """R5: what an SDK reports for a function that has returned, or was stopped, is no "nothing has happened"."""
    found = asyncio.run(measured.measure(server.address, language))

    assert _without_version(found) == _without_version(measured.read()[language])


def test_the_page_tells_what_was_measured() -> None:
    text = page.PAGE.read_text("utf-8")

    assert text == page.with_tables(text, measured.read())


def _without_version(found: dict[str, Any]) -> dict[str, Any]:
    """Leave out the version: the SDK's is pinned, and that of Node and Java is whatever the machine has."""
    return {key: value for key, value in found.items() if key != "sdk"}
