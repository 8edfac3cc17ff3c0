"""Secrets in a real run: what the definition writes is looked up, what comes out of data is not."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.built_in import permit
from tests.conftest import Server
from tests.engine.scenes import saga
from tests.temporal.built_in import recorded

SENT: list[dict[str, str]] = []


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_arguments: Any) -> None: ...

    def do_GET(self) -> None:
        SENT.append({name.lower(): value for name, value in self.headers.items()})
        body = json.dumps(self.headers.get("x-key")).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    permit(monkeypatch, TOKEN="hush-hush")
    SENT.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _fetch(id_: str, site: str, key: Any, **more: Any) -> dict[str, Any]:
    call = {"activity": "http.request", "retry": "none", "input": {"url": site, "headers": {"X-Key": key}}}
    return {"id": id_, **call, "compensation": "none", **more}


@pytest.mark.parametrize("local", [False, True])
def test_a_secret_that_the_definition_names_is_sent_and_is_in_no_history(
    server: Server, site: str, local: bool
) -> None:
    """R18: by its step, and by the compensation that is sent its step's input."""
    undo = {"activity": "http.request"}
    first = _fetch("a", site, "Bearer ${secret:TOKEN}", local=local, compensation=undo)
    definition = saga(first, {"id": "no", "fail": {"type": "No", "message": "no"}})

    status, _, history = asyncio.run(recorded(server.address, definition, "http.request", {}))

    assert status == "compensated"
    assert [each["x-key"] for each in SENT] == ["Bearer hush-hush"] * 2
    assert "hush" not in history
    assert "aHVzaC" not in history  # as payloads are written


@pytest.mark.parametrize("key", ["${secret:TOKEN}", {"secret": "TOKEN"}])
def test_a_secret_that_an_input_names_is_not_looked_up(server: Server, site: str, key: Any) -> None:
    """Neither from the saga's input nor from what a step gave."""
    from_input = saga(_fetch("a", site, "{{ input.key }}"))
    from_output = saga({"id": "s", "set": {"key": "{{ input.key }}"}}, _fetch("a", site, "{{ steps.s.output.key }}"))
    for definition in (from_input, from_output):
        status, error, history = asyncio.run(recorded(server.address, definition, "http.request", {"key": key}))
        assert (status, SENT) == ("compensated", [])
        assert "comes from data, not from the definition" in error
        assert "hush" not in history
