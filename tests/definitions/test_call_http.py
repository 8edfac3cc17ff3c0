"""`call_http` against a service on this machine."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from sagadsl.language.expressions.filters import NAMESPACE
from tests.conftest import Server
from tests.definitions.hosting import Played, play

pytestmark = pytest.mark.temporal


@dataclass
class Service:
    """Items that can be created, confirmed and deleted.

    Attributes:
        confirms: What it answers to a confirmation.
        ailing: How many requests to create something are answered with 503 first.
        calls: What was asked of it, in order.
        keys: The idempotency keys that came along.
    """

    address: str = ""
    confirms: str = "confirmed"
    ailing: int = 0
    calls: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    items: dict[str, object] = field(default_factory=dict)

    def answer(self, call: str, body: object) -> tuple[int, object]:
        match call.split("/"):
            case ["PUT ", "items", _] if self.ailing:
                self.ailing -= 1
                return 503, {"problem": "not now"}
            case ["PUT ", "items", id_]:
                self.items[id_] = body
                return 201, None
            case ["POST ", "items", id_, "confirm"] if id_ in self.items:
                return 200, {"status": self.confirms}
            case ["DELETE ", "items", id_] if self.items.pop(id_, None) is not None:
                return 204, None
        return 404, {"problem": "unknown"}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("SAGADSL_HTTP_NETWORKS", "127.0.0.0/8")
    made = Service()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            call = f"{self.command} {self.path}"
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            made.calls.append(call)
            made.keys.append(self.headers.get("Idempotency-Key"))
            status, body = made.answer(call, json.loads(sent) if sent else None)
            text = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_PUT = do_DELETE = _serve

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = Thread(target=http.serve_forever)
        thread.start()
        made.address = f"http://127.0.0.1:{http.server_address[1]}"
        yield made
        http.shutdown()
        thread.join()


def test_something_is_created_and_confirmed(service: Service, server: Server) -> None:
    played = play(server.address, "call-http", {"base_url": service.address, "item": {"name": "pen"}})

    id_ = _id(played)
    assert (played.ended.status, played.ended.output) == ("completed", {"id": id_})
    assert service.calls == [f"PUT /items/{id_}", f"POST /items/{id_}/confirm"]
    assert service.keys == [f"{played.ended.id}/create/do", f"{played.ended.id}/confirm/do"]
    assert service.items == {id_: {"name": "pen"}}


def test_what_is_not_confirmed_is_deleted_again(service: Service, server: Server) -> None:
    """`failed_if`: an answer that means no."""
    service.confirms = "refused"
    played = play(server.address, "call-http", {"base_url": service.address, "item": 1})

    assert (played.ended.status, played.error) == ("compensated", "NotConfirmed")
    id_ = _id(played)
    assert service.calls == [f"PUT /items/{id_}", f"POST /items/{id_}/confirm", f"DELETE /items/{id_}"]
    assert service.keys[-1] == f"{played.ended.id}/create/undo"
    assert service.items == {}


def test_a_service_that_is_ailing_is_asked_again_with_the_same_key(service: Service, server: Server) -> None:
    """R49."""
    service.ailing = 1
    played = play(server.address, "call-http", {"base_url": service.address, "item": 1})

    assert played.ended.status == "completed"
    assert service.calls[:2] == [f"PUT /items/{_id(played)}"] * 2
    assert service.keys[0] == service.keys[1]


def test_what_was_never_created_is_not_deleted(service: Service, server: Server) -> None:
    """R3: the service said no."""
    played = play(server.address, "call-http", {"base_url": f"{service.address}/elsewhere", "item": 1})

    assert (played.ended.status, played.error) == ("compensated", "Http404")
    assert service.calls == [f"PUT /elsewhere/items/{_id(played)}"]


def _id(played: Played) -> str:
    """The id of the item: made of the saga's own, so that it is known without an answer."""
    return str(uuid.uuid5(NAMESPACE, played.ended.id))
