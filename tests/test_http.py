"""``http.request`` against a server of this process, on the loopback interface."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sagadsl import Permanent, Transient, Unknown
from sagadsl.activities import exchange, http, reach, replies
from sagadsl.authoring import Failure, InvalidInput
from sagadsl.language.analysis.known import Signature
from sagadsl.plugins.catalogue import Catalogue
from sagadsl.plugins.problems import PluginBroken
from tests.built_in import called

_RELEASE = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    """Answers by path: ``/status/404``, ``/echo``, ``/slow``, ``/drop``, ``/big``, ``/moved``, ``/text``."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, dict[str, str], str]] = []  # noqa: RUF012 # cleared by the fixture

    def log_message(self, *_arguments: Any) -> None: ...

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen.append((self.command, self.path, headers, body))
        path = self.path.partition("?")[0].split("/")
        match path[1]:
            case "status":
                extra = {"retry-after": path[3]} if len(path) > 3 else {}
                self._answer(int(path[2]), b'{"error": "no"}', **extra)
            case "echo":
                self._answer(200, json.dumps({"headers": headers, "body": body}).encode())
            case "slow":
                _RELEASE.wait(10)
                self._answer(200, b"{}")
            case "drop":
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            case "big":
                self._answer(200, b"x" * (exchange.MAX_RESPONSE_BYTES + 1), kind="text/plain")
            case "moved":
                self._answer(302, b"", location="http://127.0.0.1:9/elsewhere", **{"set-cookie": "a=b"})
            case "text":
                self._answer(200, "grüß".encode("latin-1"), kind="text/plain; charset=latin-1")
            case "":  # as a proxy is asked
                self._answer(200, b"{}")
            case "liar":
                self._answer(200, b"not json")

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # the library's names

    def _answer(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture(scope="module")
def _site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        _RELEASE.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def site(_site: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", reach.SECRETS, reach.HOSTS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(reach.NETWORKS, "127.0.0.0/8")
    _Handler.seen.clear()
    return _site


def _send(written: Any = None, **call: Any) -> Any:
    """Send a request whose definition has *written* what is told here, or all of it."""
    return asyncio.run(called(http.request, call, written, idempotency_key="order-7/pay/do"))


def _error(**call: Any) -> Failure:
    with pytest.raises(Failure) as raised:
        _send(**call)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None or raised.value.__suppress_context__
    return raised.value


def _kind(error: Failure) -> tuple[str, bool, bool]:
    """Return type, whether it is tried again, and whether nobody knows what happened."""
    return error.type, error.retryable, error.effect_unknown


def test_a_post_sends_json_and_the_key_and_returns_json(site: str) -> None:
    """R49: the step's key makes the call safe to repeat."""
    result = _send(url=f"{site}/echo", method="POST", json={"amount": 3}, query={"a": [1, "x y"]})
    assert (result["status"], result["text"], json.loads(result["json"]["body"])) == (200, None, {"amount": 3})
    assert result["headers"] == {"content-type": "application/json"}
    method, path, headers, _ = _Handler.seen[0]
    assert (method, path) == ("POST", "/echo?a=1&a=x+y")
    assert (headers["idempotency-key"], headers["content-type"]) == ("order-7/pay/do", "application/json")


def test_a_call_in_a_trace_sends_it_along(site: str) -> None:
    """What the definition sets stays; without a trace, nothing is sent."""
    from opentelemetry import trace
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

    span = NonRecordingSpan(SpanContext(0xA, 0xB, is_remote=False, trace_flags=TraceFlags(1)))
    with trace.use_span(span):
        sent = _send(url=f"{site}/echo")["json"]["headers"]
        own = _send(url=f"{site}/echo", headers={"Traceparent": "mine"})["json"]["headers"]
    without = _send(url=f"{site}/echo")["json"]["headers"]

    assert sent["traceparent"] == f"00-{0xA:032x}-{0xB:016x}-01"
    assert own["traceparent"] == "mine"
    assert "traceparent" not in without


def test_the_query_is_added_to_the_one_that_the_url_has(site: str) -> None:
    """The library puts its parameters in the place of the url's own: the page asked for would be the first one."""
    _send(url=f"{site}/echo?page=2&flag&at=%2F+b", query={"size": 5, "page": "3&x"})
    _send(url=f"{site}/echo?page=2", query={})
    assert [path for _, path, _, _ in _Handler.seen] == [
        "/echo?page=2&flag&at=%2F+b&size=5&page=3%26x",
        "/echo?page=2",
    ]


def test_the_key_s_header_is_the_definition_s_choice(site: str) -> None:
    """R49: another name, none, or one's own value; a mere read carries none."""
    _send(url=f"{site}/echo", method="POST", text="hi", idempotency_key_header="X-Request-Key")
    _send(url=f"{site}/echo", method="POST", idempotency_key_header=None)
    _send(url=f"{site}/echo", method="POST", headers={"idempotency-key": "mine"})
    _send(url=f"{site}/echo")
    own, none, mine, read = (headers for _, _, headers, _ in _Handler.seen)
    assert (own["x-request-key"], own["content-type"]) == ("order-7/pay/do", "text/plain; charset=utf-8")
    assert "idempotency-key" not in {**none, **read}
    assert mine["idempotency-key"] == "mine"


def test_a_body_that_is_no_json_is_text(site: str) -> None:
    """The content type decides, and a lie about it costs nothing."""
    result = _send(url=f"{site}/text")
    assert (result["text"], result["json"]) == ("grüß", None)
    assert _send(url=f"{site}/liar")["text"] == "not json"


@pytest.mark.parametrize(
    ("status", "method", "kind"),
    [
        (404, "POST", ("Http404", False, False)),
        (409, "GET", ("Http409", False, False)),
        (408, "POST", ("Http408", True, False)),
        (429, "POST", ("Http429", True, False)),
        (503, "POST", ("Http503", True, False)),
        (500, "POST", ("Http500", True, True)),
        (504, "PUT", ("Http504", True, True)),
        (500, "GET", ("Http500", True, False)),
        (599, "GET", ("Http599", True, False)),
    ],
)
def test_a_status_says_whether_to_try_again_and_whether_it_happened(
    site: str, status: int, method: str, kind: tuple[str, bool, bool]
) -> None:
    """R5, R55: 4xx is a no; a server in trouble may have done it before the trouble began."""
    error = _error(url=f"{site}/status/{status}", method=method)
    assert _kind(error) == kind
    assert error.message.startswith(f"{method} {site}/status/{status}: status {status}")
    assert error.details[0]["status"] == status
    assert error.details[0]["body"] == '{"error": "no"}'


def test_retry_after_sets_the_pause(site: str) -> None:
    """Retry-After, in seconds or as a date; nonsense is ignored, and a day is the most."""
    assert _error(url=f"{site}/status/429/7").retry_after == timedelta(seconds=7)
    assert _error(url=f"{site}/status/503/999999999").retry_after == timedelta(days=1)
    assert _error(url=f"{site}/status/503/soon").retry_after is None
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 100))
    pause = _error(url=f"{site}/status/429/{date.replace(' ', '%20')}").retry_after
    assert pause is None  # the path keeps the escapes, so that this is nonsense, too
    parsed = replies.retry_after(date)
    assert parsed is not None
    assert timedelta(seconds=60) < parsed <= timedelta(seconds=100)


def test_the_definition_says_which_statuses_are_fine(site: str) -> None:
    """`expect`: numbers and classes; an unexpected success has happened all the same."""
    assert _send(url=f"{site}/status/404", expect=["2xx", 404])["status"] == 404
    assert _send(url=f"{site}/status/404", expect="4xx")["json"] == {"error": "no"}
    assert _kind(_error(url=f"{site}/echo", method="POST", expect=201)) == ("Http200", False, True)
    assert _kind(_error(url=f"{site}/echo", expect=[201])) == ("Http200", False, False)


def test_redirects_are_not_followed(site: str) -> None:
    """Nothing is sent where nobody meant it; cookies are in no result."""
    error = _error(url=f"{site}/moved")
    assert _kind(error) == ("Http302", False, False)
    assert error.details[0]["headers"] == {
        "content-type": "application/json",
        "location": "http://127.0.0.1:9/elsewhere",
    }
    assert len(_Handler.seen) == 1


def test_a_connection_that_was_never_made_is_a_sure_no(monkeypatch: pytest.MonkeyPatch) -> None:
    """R5: the request was not sent."""
    monkeypatch.setenv(reach.NETWORKS, "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        error = _error(url=f"http://127.0.0.1:{port}/x?token=1", method="POST")
    assert _kind(error) == ("HttpConnectionError", True, False)
    assert isinstance(error, Transient)
    assert "token" not in error.message


def test_no_answer_after_a_post_is_unknown_and_after_a_read_is_not(site: str) -> None:
    """R5: who waited in vain does not know; a read has nothing to undo."""
    assert _kind(_error(url=f"{site}/slow", method="POST", timeout="300ms")) == ("HttpTimeout", True, True)
    assert _kind(_error(url=f"{site}/slow", timeout="300ms")) == ("HttpTimeout", True, False)
    assert _kind(_error(url=f"{site}/drop", method="POST")) == ("HttpConnectionError", True, True)
    assert isinstance(_error(url=f"{site}/drop", method="POST"), Unknown)


def test_a_reply_that_is_too_long_is_not_asked_for_again(site: str) -> None:
    """R52: bounded while reading."""
    assert _kind(_error(url=f"{site}/big", method="POST")) == ("HttpResponseTooLarge", False, True)
    assert _kind(_error(url=f"{site}/big")) == ("HttpResponseTooLarge", False, False)


def test_a_secret_is_sent_and_appears_nowhere_else(
    site: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """R18: result, error and log carry stars, even when the server repeats it."""
    monkeypatch.setenv(reach.SECRETS, "TOKEN@127.0.0.1, OTHER@127.0.0.1")
    monkeypatch.setenv("TOKEN", 'hush"42')
    headers = {"Authorization": "Bearer ${secret:TOKEN}", "X-Key": {"secret": "TOKEN"}}
    with caplog.at_level(logging.DEBUG):
        result = _send(url=f"{site}/echo", method="POST", headers=headers)
        error = _error(url=f"{site}/echo", headers=headers, expect=500)
    sent = _Handler.seen[0][2]
    assert (sent["authorization"], sent["x-key"]) == ('Bearer hush"42', 'hush"42')
    assert result["json"]["headers"]["authorization"] == "Bearer ***"
    everything = f"{result} {error} {error.details} {caplog.text}"
    assert "hush" not in everything
    assert "***" in str(error.details)


def test_a_secret_with_an_impossible_character_is_refused_without_showing_it(
    site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The HTTP library's own message would show the header."""
    monkeypatch.setenv(reach.SECRETS, "TOKEN@127.0.0.1")
    monkeypatch.setenv("TOKEN", "hush\r\nX-Evil: 1")
    error = _error(url=f"{site}/echo", headers={"X-Key": {"secret": "TOKEN"}})
    assert str(error) == "header `X-Key` holds a character that HTTP does not carry"


@pytest.mark.parametrize(
    ("listed", "value", "says"),
    [
        (None, "hush", "secret `TOKEN` is not among those"),
        ("OTHER", "hush", "secret `TOKEN` is not among those"),
        ("TOKEN@api.example.com", "hush", "secret `TOKEN` is not among those"),
        ("TOKEN@127.0.0.1", "", "secret `TOKEN` is not set"),
        ("TOKEN", "hush", f"{reach.SECRETS} of the worker does not say where secret `TOKEN` may go"),
    ],
)
def test_only_listed_secrets_are_looked_up(
    site: str, monkeypatch: pytest.MonkeyPatch, listed: str | None, value: str, says: str
) -> None:
    """A definition cannot read the worker's environment."""
    if listed is not None:
        monkeypatch.setenv(reach.SECRETS, listed)
    monkeypatch.setenv("TOKEN", value)
    error = _error(url=f"{site}/echo", headers={"X-Key": "${secret:TOKEN}"})
    assert str(error).startswith(says)
    assert _kind(error) == ("HttpForbidden", False, False)
    assert _Handler.seen == []


def test_a_secret_may_stand_in_a_file(site: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As containers get them; it is read for each call, so that it may be replaced."""
    monkeypatch.setenv(reach.SECRETS, "TOKEN@127.0.0.1")
    monkeypatch.delenv("TOKEN", raising=False)
    monkeypatch.setenv("TOKEN_FILE", str(tmp_path / "token"))
    headers = {"X-Key": "${secret:TOKEN}"}
    error = _error(url=f"{site}/echo", headers=headers)
    assert str(error) == "the file that `TOKEN_FILE` of the worker names cannot be read: no such file or directory"
    assert _kind(error) == ("HttpForbidden", False, False)
    for value in ("hush", "hush too"):
        (tmp_path / "token").write_text(f"{value}\n")
        assert _send(url=f"{site}/echo", headers=headers)["json"]["headers"]["x-key"] == "***"
    assert [headers["x-key"] for _, _, headers, _ in _Handler.seen] == ["hush", "hush too"]
    error = _error(url=f"{site}/echo", headers={"X-Key": "${secret:TOKEN_FILE}"})
    assert str(error).startswith("secret `TOKEN_FILE` is not among those")


def test_a_secret_may_be_bound_to_its_host(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrusted definition cannot send it elsewhere."""
    monkeypatch.setenv(reach.SECRETS, "TOKEN@127.0.0.1")
    monkeypatch.setenv("TOKEN", "hush")
    _send(url=f"{site}/echo", headers={"X-Key": "${secret:TOKEN}"})
    assert _Handler.seen[0][2]["x-key"] == "hush"


def test_a_secret_for_any_permitted_host_goes_where_the_definition_writes_it(
    site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An input that chooses the host does not choose who gets the secret."""
    monkeypatch.setenv(reach.SECRETS, "TOKEN")
    monkeypatch.setenv(reach.HOSTS, "127.0.0.1")
    monkeypatch.setenv("TOKEN", "hush")
    headers = {"X-Key": "${secret:TOKEN}"}
    _send({"url": f"{site}/{{{{ input.path }}}}", "headers": headers}, url=f"{site}/echo", headers=headers)
    assert _Handler.seen[0][2]["x-key"] == "hush"
    for written in ("{{ input.url }}", "http://{{ input.host }}/echo", "http://127.0.0.1{{ input.rest }}"):
        error = _error(written={"url": written, "headers": headers}, url=f"{site}/echo", headers=headers)
        assert str(error).startswith("the host for secret `TOKEN` comes from data, not from the definition")
    assert len(_Handler.seen) == 1


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("{{ input.key }}", "${secret:TOKEN}"),
        ("{{ input.key }}", {"secret": "TOKEN"}),
        ("Bearer ${secret:OTHER} {{ input.key }}", "Bearer ${secret:OTHER} ${secret:TOKEN}"),
        ({"secret": "{{ input.key }}"}, {"secret": "TOKEN"}),
        ("${secret:{{ input.key }}}", "${secret:TOKEN}"),
    ],
)
def test_data_names_no_secret(site: str, monkeypatch: pytest.MonkeyPatch, written: Any, sent: Any) -> None:
    """R18: only the definition's own text does, at the same place."""
    monkeypatch.setenv(reach.SECRETS, "TOKEN@127.0.0.1, OTHER@127.0.0.1")
    monkeypatch.setenv("TOKEN", "hush")
    monkeypatch.setenv("OTHER", "hush too")
    elsewhere = {"X-Other": "${secret:TOKEN}"}
    written = {"url": site, "headers": {"X-Key": written} | elsewhere}
    error = _error(written=written, url=f"{site}/echo", headers={"X-Key": sent} | elsewhere)
    assert str(error).startswith("the secret `TOKEN` in `headers/X-Key` comes from data, not from the definition")
    assert (_kind(error), _Handler.seen) == (("HttpForbidden", False, False), [])


@pytest.mark.parametrize(
    "name", ["Content-Length", "Host", "transfer-encoding", "Connection", "TE", "Proxy-Authorization"]
)
@pytest.mark.parametrize("key", ["headers", "idempotency_key_header"])
def test_headers_of_the_connection_are_the_worker_s(site: str, name: str, key: str) -> None:
    """Two requests in one, another host behind the same name, an answer that never comes."""
    error = _error(url=f"{site}/echo", method="POST", text="a", **{key: {name: "0"} if key == "headers" else name})
    assert str(error) == f"header `{name}` says how the message travels, and is written by the worker: leave it out"
    assert (_kind(error), _Handler.seen) == (("InvalidInput", False, False), [])


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]"),
        *("0.0.0.0", "10.0.0.1", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "[fe80::1]"),
        *("[fd00::1]", "[64:ff9b::a00:1]", "[2002:a00:1::1]", "224.0.0.1", "255.255.255.255"),
    ],
)
def test_no_request_reaches_what_is_not_public(site: str, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """This machine, its network, what a cloud tells its machines; however the address is written."""
    monkeypatch.delenv(reach.NETWORKS)
    error = _error(url=f"http://{host}:{site.rpartition(':')[2]}/echo")
    assert "is no public address; SAGADSL_HTTP_NETWORKS of the worker can permit it" in str(error)
    assert (_kind(error), _Handler.seen) == (("HttpForbidden", False, False), [])


def test_the_address_counts_and_not_the_name(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns a name chooses its addresses; also of a host that the operator has named."""
    port = int(site.rpartition(":")[2])
    answers = [[(2, 1, 6, "", ("127.0.0.1", port))]]

    async def getaddrinfo(_loop: Any, host: str, *_: Any, **__: Any) -> Any:
        return answers[0] if host == "api.example.com" else [(2, 1, 6, "", (host, port))]

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.getaddrinfo", getaddrinfo)
    url = f"http://api.example.com:{port}/echo"
    assert _send(url=url)["status"] == 200
    assert _Handler.seen[0][2]["host"] == f"api.example.com:{port}"
    monkeypatch.delenv(reach.NETWORKS)
    for hosts in ("", "*.example.com, api.example.com"):
        if hosts:
            monkeypatch.setenv(reach.HOSTS, hosts)
        error = _error(url=url)
        assert str(error).startswith("`api.example.com` leads to `127.0.0.1`, which is no public address")
    answers[0] = [(2, 1, 6, "", ("10.0.0.1", port)), *answers[0]]
    monkeypatch.setenv(reach.NETWORKS, "192.168.0.0/16, 127.0.0.1")
    assert _send(url=url)["status"] == 200


def test_an_operator_permits_what_is_not_public(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that is named, `localhost` that is named, or a network."""
    port = site.rpartition(":")[2]
    monkeypatch.delenv(reach.NETWORKS)
    monkeypatch.setenv(reach.HOSTS, "127.0.0.1, localhost")
    assert _send(url=f"{site}/echo")["status"] == 200
    assert _send(url=f"http://localhost:{port}/echo")["status"] == 200
    monkeypatch.setenv(reach.NETWORKS, "nonsense")
    monkeypatch.delenv(reach.HOSTS)
    assert "`nonsense`, which is no network" in str(_error(url=f"{site}/echo"))


def test_the_worker_s_own_proxy_may_be_inside(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator has named it; what goes through it must not name an inner address either."""
    monkeypatch.delenv(reach.NETWORKS)
    monkeypatch.setenv("http_proxy", site)
    _send(url="http://api.example.com/echo")
    assert _Handler.seen[0][1] == "http://api.example.com/echo"
    assert _kind(_error(url="http://10.0.0.1/echo")) == ("HttpForbidden", False, False)


def test_the_worker_s_operator_can_limit_the_hosts(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Definitions are untrusted."""
    monkeypatch.setenv(reach.HOSTS, "api.example.com, *.example.org")
    error = _error(url=f"{site}/echo")
    assert (_kind(error), "host `127.0.0.1`" in str(error)) == (("HttpForbidden", False, False), True)
    monkeypatch.setenv(reach.HOSTS, "127.0.0.1")
    assert _send(url=f"{site}/echo")["status"] == 200
    assert reach.matches("a.example.org", None, "*.example.org")
    assert not reach.matches("example.org", None, "*.example.org")
    assert not reach.matches("evil-example.org", None, "*.example.org")
    assert reach.matches("api", 81, "api:81")
    assert not reach.matches("api", 82, "api:81")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"url": "ftp://x"}, "field `url`"),
        ({"url": "http://x", "method": "post"}, "field `method`"),
        ({"url": "http://x", "timeout": 30}, "field `timeout`"),
        ({"url": "http://x", "timeout": "soon"}, "field `timeout`"),
        ({"url": "http://x", "json": 1, "text": "a"}, "either `json` or `text`"),
        ({"url": "http://x", "expect": "9xx"}, "field `expect"),
        ({"url": "http://x", "verify": False}, "field `verify` is not known"),
        ({}, "field `url` is missing"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_is_sent(call: dict[str, Any], says: str) -> None:
    """R18: typed like every activity."""
    with pytest.raises(InvalidInput) as refused:
        _send(**call)
    assert says in str(refused.value)


@pytest.mark.parametrize("url", ["http://user:hush@127.0.0.1/", "http://[", "http://x:99999999/", "http:///path"])
def test_a_url_that_cannot_be_meant_is_refused(site: str, url: str) -> None:
    """Credentials in a url would be in the history for ever."""
    error = _error(url=url)
    assert isinstance(error, Permanent)
    assert "hush" not in str(error)


def test_http_request_is_installed_with_its_types() -> None:
    """Built in, and described like any other plugin."""
    signature = Catalogue.discover().signature("http.request")
    assert isinstance(signature, Signature)
    assert signature.input_schema is not None
    assert {"url", "json", "headers", "timeout"} <= set(signature.input_schema["properties"])
    assert signature.output_schema is not None
    assert set(signature.output_schema["properties"]) == {"status", "headers", "json", "text"}
    assert {"Http404", "Http503", "HttpTimeout"} <= set(signature.errors)


def test_without_the_extra_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing extra prints the pip command, and breaks nothing else."""
    monkeypatch.setitem(sys.modules, "httpx2", None)
    monkeypatch.delitem(sys.modules, "sagadsl.activities.http")
    broken = Catalogue.discover().load("http.request")
    assert isinstance(broken, PluginBroken)
    assert broken.help == "run `pip install 'sagadsl[http]'`"
    assert str(broken).endswith("httpx2 is not installed; run `pip install 'sagadsl[http]'`")
