"""Sagas that make the calls that come with sagadsl, on a real server, and what their histories must not have."""

from __future__ import annotations

import base64
from typing import Any

from sagadsl.plugins.catalogue import Catalogue
from tests.temporal.play import replay, stage


def served(*names: str) -> dict[str, Any]:
    """Return what makes the worker of a stage serve these activities."""
    return {"catalogue": Catalogue.discover(), "names": [*names]}


async def recorded(address: str, definition: dict[str, Any], name: str, input_: Any = None) -> tuple[str, str, str]:
    """Return how a saga that calls *name* ended, why, and all of its history."""
    async with stage(address, **served(name)) as made:
        started = await made.start(definition, input_)
        ended = await made.end(started)
        await replay(made.client, started.id)
        history = await made.client.get_workflow_handle(started.id).fetch_history()
        return ended.status, str(ended.error), history.to_json()


def assert_not_in(history: str, secret: str) -> None:
    """Assert that a history has no trace of a secret, neither as text nor inside a payload."""
    assert secret not in history
    for cut in (0, 1, 2):  # a payload has base64 of it, from any of three beginnings
        assert base64.b64encode(secret[cut:].encode()).decode().rstrip("=")[:-2] not in history
