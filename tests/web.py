"""A web server of this process, on the loopback interface, that answers by a script and remembers what it was asked."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.patience import PATIENCE


@dataclass(frozen=True)
class Answer:
    """What the server says; ``body`` is JSON, or bytes."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """What the server was asked; names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Web:
    """The server.

    Attributes:
        answers: By ``METHOD /path``, in order; the last one is given again and again.
    """

    url: str = ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def says(self, what: str, *answers: Answer) -> None:
        self.answers[what] = list(answers)

    def of(self, what: str) -> list[Asked]:
        """Return what was asked at an address, in order."""
        return [each for each in list(self.asked) if f"{each.method} {each.path}" == what]

    def until(self, what: str, count: int) -> None:
        """Wait until an address was asked that often."""
        with self.news:
            assert self.news.wait_for(lambda: len(self.of(what)) >= count, timeout=PATIENCE)


@contextlib.contextmanager
def web() -> Iterator[Web]:
    made = Web()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_arguments: Any) -> None: ...

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            what = f"{self.command} {self.path}"
            with made.news:
                made.asked.append(Asked(self.command, self.path, {n.lower(): v for n, v in self.headers.items()}, body))
                left = made.answers.get(what, [Answer(404)])
                answer = left.pop(0) if len(left) > 1 else left[0]
                made.news.notify_all()
            raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            kinds = {"content-type": "application/json", "content-length": str(len(raw))}
            for name, value in {**kinds, **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_DELETE = _serve

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        made.url = f"http://127.0.0.1:{server.server_port}"
        yield made
        server.shutdown()
        thread.join()
