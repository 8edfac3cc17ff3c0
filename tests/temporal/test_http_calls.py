"""``http.request`` in a real run: tokens are in no history, and what is accepted is asked about by a later attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from sagadsl.temporal.client import Started
from tests.built_in import permit
from tests.conftest import Server
from tests.engine.scenes import saga
from tests.temporal.built_in import assert_not_in, recorded, served
from tests.temporal.play import Stage, stage
from tests.web import Answer, Web, web

BUILT_IN = served("http.request")


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    permit(monkeypatch, CLIENT_SECRET="hush-hush")
    with web() as made:
        made.says("POST /token", Answer(200, {"access_token": "token-of-ours"}))
        made.says("POST /vm", Answer(202, None, {"location": "/vm/7"}))
        made.says("DELETE /vm/7", Answer(200))
        yield made


def _make(site: Web, **poll: Any) -> dict[str, Any]:
    grant = {"token_url": f"{site.url}/token", "client_id": "shop", "client_secret": "${secret:CLIENT_SECRET}"}
    asks = {"every": "100ms", "at_most": "5m", **poll}
    return {
        "id": "make",
        "activity": "http.request",
        "retry": {"initial_interval": "100ms", "maximum_attempts": 5},
        "timeouts": {"start_to_close": "1m", "heartbeat": "20s"},
        "input": {"url": f"{site.url}/vm", "method": "POST", "auth": {"oauth2": grant}, "poll": asks},
        "compensation": {"activity": "http.request", "input": {"url": f"{site.url}/vm/7", "method": "DELETE"}},
    }


def _play(address: str, definition: dict[str, Any]) -> tuple[str, str, str]:
    return asyncio.run(recorded(address, definition, "http.request"))


async def _asking(made: Stage, site: Web) -> Started:
    """Start a saga, and wait until its step has asked twice how the operation stands."""
    started = await made.start(saga(_make(site)))
    await asyncio.to_thread(site.until, "GET /vm/7", 2)
    return started


def test_neither_token_nor_client_secret_is_in_a_history(server: Server, site: Web) -> None:
    """R18: also when the server repeats the token."""
    site.says("GET /vm/7", Answer(202), Answer(200, {"saw": "Bearer token-of-ours"}))
    status, _, history = _play(server.address, saga(_make(site)))
    assert status == "completed"
    assert {each.headers["authorization"] for each in site.of("GET /vm/7")} == {"Bearer token-of-ours"}
    for secret in ("token-of-ours", "hush-hush"):
        assert_not_in(history, secret)


@pytest.mark.parametrize(
    ("answer", "error", "undone"),
    [
        (Answer(202), "HttpPollTimeout", 1),  # nobody knows
        (Answer(404), "HttpPollLost", 1),
        (Answer(200, {"status": "Failed"}), "HttpOperationFailed", 0),  # the operation says so itself
    ],
)
def test_the_step_is_undone_unless_the_operation_says_that_it_has_failed(
    server: Server, site: Web, answer: Answer, error: str, undone: int
) -> None:
    """R3, R5: accepted is not done, and not known to be undone either."""
    site.says("GET /vm/7", answer)
    rule = {"field": "status"} if answer.status == 200 else {}
    definition = saga(_make(site, at_most="300ms", **rule) | {"retry": "none"})
    status, why, _ = _play(server.address, definition)
    assert (status, error in why) == ("compensated", True)
    assert len(site.of("DELETE /vm/7")) == undone


def test_another_worker_goes_on_asking_and_does_not_send_again(server: Server, site: Web) -> None:
    """The first worker ends while it waits; the request was sent once."""
    site.says("GET /vm/7", Answer(202))

    async def two_workers() -> str:
        async with stage(server.address, **BUILT_IN) as first:
            started = await _asking(first, site)
        site.says("GET /vm/7", Answer(200, {"id": 7}))
        async with stage(server.address, queue=first.queue, **BUILT_IN) as second:
            return (await second.end(started)).status

    assert asyncio.run(two_workers()) == "completed"
    assert len(site.of("POST /vm")) == 1


def test_a_cancel_ends_the_asking_and_undoes_what_may_have_been_done(server: Server, site: Web) -> None:
    """R5, R25: it was accepted, and nobody waits for its end any more."""
    site.says("GET /vm/7", Answer(202))

    async def cancelled() -> str:
        async with stage(server.address, **BUILT_IN) as made:
            started = await _asking(made, site)
            await made.client.get_workflow_handle(started.id).cancel()
            return (await made.end(started)).status

    assert asyncio.run(cancelled()) == "cancelled"
    assert (len(site.of("POST /vm")), len(site.of("DELETE /vm/7"))) == (1, 1)


def test_a_local_activity_may_ask_too(server: Server, site: Web) -> None:
    """It has no heartbeats, so that only its own attempt goes on asking."""
    site.says("GET /vm/7", Answer(202), Answer(200, {"id": 7}))
    step = _make(site) | {"local": True, "timeouts": {"start_to_close": "30s"}}
    status, _, _ = _play(server.address, saga(step))
    assert (status, len(site.of("POST /vm"))) == ("completed", 1)
