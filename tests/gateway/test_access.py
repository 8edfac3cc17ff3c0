"""Who may: tokens from a file and of an identity provider, rights by saga, names and origins, limits."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.cli.shell import inside
from tests.conftest import Server
from tests.gateway.house import House, fresh, serve, shop, worker

pytestmark = pytest.mark.temporal

PAGE = tuple(f"/page/{name}.js" for name in ("app", "api", "detail", "dom", "fields", "form", "graph", "json", "list"))
OPEN = ("/healthz", "/readyz", "/", "/page/style.css", *PAGE)
ISSUER, AUDIENCE = "https://id.example", "sagadsl"


def _token(path: Path, name: str, *rights: str) -> str:
    """Make a token as people do, and add its entry to the file."""
    made = inside("token", name, *rights)
    assert made.code == 0, made.err
    with path.open("a") as file:
        file.write(made.out)
    return made.err.strip().rpartition(" ")[2]


@dataclass(frozen=True, slots=True)
class Guarded:
    """A gateway that wants a token, and some tokens.

    Attributes:
        stranger: May do everything, with sagas of another name.
    """

    house: House
    tokens: Path
    chief: str
    starter: str
    reader: str
    stranger: str
    key: ec.EllipticCurvePrivateKey

    def signed(self, **claims: Any) -> str:
        """Return a token of the identity provider."""
        now = int(time.time())
        usual = {"sub": "ann@example", "iss": ISSUER, "aud": AUDIENCE, "exp": now + 60}
        return jwt.encode({**usual, **claims}, self.key, algorithm="ES256", headers={"kid": "k1"})


@pytest.fixture(scope="module")
def provider() -> Iterator[tuple[str, ec.EllipticCurvePrivateKey]]:
    """An identity provider: one key, published as a JWKS."""
    key = ec.generate_private_key(ec.SECP256R1())
    published = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    body = json.dumps({"keys": [{**published, "kid": "k1", "use": "sig", "alg": "ES256"}]}).encode()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Keys) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/keys", key
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def guarded(
    server: Server, tmp_path_factory: pytest.TempPathFactory, provider: tuple[str, ec.EllipticCurvePrivateKey]
) -> Iterator[Guarded]:
    """A gateway with tokens, and a worker."""
    folder = shop(tmp_path_factory.mktemp("guarded"))
    tokens = folder / "tokens.yaml"
    tokens.write_text("tokens:\n")
    made = [
        _token(tokens, "chief", "--start", "*", "--read", "*", "--operate", "*"),
        _token(tokens, "starter", "--start", "ord*"),
        _token(tokens, "reader", "--read", "order"),
        _token(tokens, "stranger", "--start", "other", "--read", "other-*", "--operate", "other"),
    ]
    url, key = provider
    options = ("--tokens", str(tokens), "--jwks", url, "--issuer", ISSUER, "--audience", AUDIENCE)
    with worker(folder, server.address), serve(folder, server.address, *options) as house:
        yield Guarded(house, tokens, *made, key)


def _routes(saga: str) -> list[tuple[str, str, str]]:
    """Return every route that is not open to all: method, path, and what it takes."""
    return [
        ("POST", "/sagas/order", "start"),
        ("GET", f"/sagas/{saga}", "read"),
        ("GET", f"/sagas/{saga}/result", "read"),
        ("GET", f"/sagas/{saga}/events", "read"),
        ("GET", f"/sagas/{saga}/trace", "read"),
        ("GET", f"/sagas/{saga}/graph", "read"),
        ("GET", f"/sagas/{saga}/explanation", "read"),
        ("POST", f"/sagas/{saga}/signals/approve", "operate"),
        *(("POST", f"/sagas/{saga}/{verb}", "operate") for verb in _VERBS),
        ("GET", "/sagas", "any"),
        ("GET", "/counts", "any"),
        ("GET", "/definitions", "any"),
        ("GET", "/definitions/order", "known"),
        ("GET", "/definitions/order/graph", "known"),
        ("GET", "/me", "any"),
        ("GET", "/openapi.json", "any"),
        ("GET", "/metrics", "all"),
    ]


_VERBS = ("cancel", "retry", "skip", "abort", "pause", "resume")


def test_every_route_is_in_the_table_of_this_test(guarded: Guarded) -> None:
    """A route that somebody adds must not be forgotten here: the application itself is asked for its routes."""
    from sagadsl.gateway.app import application
    from sagadsl.gateway.edge import Gateway

    known = {path for _, path, _ in _routes("{id}")} | set(OPEN)
    gateway = Gateway(*[None] * 8)  # type: ignore[arg-type] # only its routes are looked at
    gateway.options = type("Options", (), {"origins": ()})()  # type: ignore[assignment]
    paths = {getattr(route, "path", "") for route in application(gateway).routes}
    named = {path.replace("{name}", "order").replace("{signal}", "approve") for path in paths}

    assert named == known


def test_without_a_token_and_with_a_wrong_one_nothing_is_answered(guarded: Guarded) -> None:
    for method, path, _ in _routes(fresh()):
        without = guarded.house.ask(method, path)
        wrong = guarded.house.ask(method, path, token="sagadsl_wrong")
        basic = guarded.house.ask(method, path, Authorization="Basic YTpi")
        for answer in (without, wrong, basic):
            assert (answer.status_code, answer.json()["code"]) == (401, "SD942"), path
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    for path in OPEN:
        assert guarded.house.ask("GET", path).status_code == 200, path


def test_with_too_little_right_nothing_is_done(guarded: Guarded) -> None:
    """Who may read and no more is refused; who may not know of a saga does not find it."""
    house = guarded.house
    started = house.ask("POST", "/sagas/order", {"order": "1", "wait": True}, token=guarded.starter)
    assert started.status_code == 202
    saga = started.json()["id"]
    expected = {
        "start": {"reader": 403, "stranger": 404},
        "read": {"starter": 404, "stranger": 404},
        "operate": {"starter": 404, "stranger": 404, "reader": 403},
        "known": {"stranger": 404},
        "all": {"starter": 403, "stranger": 403, "reader": 403},
        "any": {},
    }
    for method, path, scope in _routes(saga):
        for who, status in expected[scope].items():
            answer = house.ask(method, path, {} if method == "POST" else None, token=getattr(guarded, who))
            assert answer.status_code == status, (method, path, who, answer.text)
    stood = house.ask("GET", f"/sagas/{saga}", token=guarded.reader).json()
    assert (stood["status"], stood["actions"]) == ("running", [])
    done = house.ask("POST", f"/sagas/{saga}/cancel", {"why": "over"}, token=guarded.chief)
    assert done.status_code == 202


def test_lists_show_no_more_than_one_may_read(guarded: Guarded) -> None:
    saga = guarded.house.ask("POST", "/sagas/order?wait=true", {"order": "1"}, token=guarded.chief).json()["id"]
    deadline = time.monotonic() + 20
    while not (seen := guarded.house.ask("GET", f"/sagas?id={saga}", token=guarded.reader).json()["sagas"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)

    assert [each["id"] for each in seen] == [saga]
    for who in (guarded.stranger, guarded.starter):
        assert guarded.house.ask("GET", f"/sagas?id={saga}", token=who).json()["sagas"] == []
        assert guarded.house.ask("GET", f"/sagas?id={saga}&name=order", token=who).json()["sagas"] == []
        counts = guarded.house.ask("GET", f"/counts?id={saga}", token=who).json()["counts"]
        assert set(counts.values()) == {0}
    assert guarded.house.ask("GET", "/definitions", token=guarded.stranger).json() == {"definitions": []}
    described = guarded.house.ask("GET", "/openapi.json", token=guarded.stranger).json()
    assert "/sagas/order" not in described["paths"]


def test_the_token_says_who_it_was_and_the_body_cannot(guarded: Guarded) -> None:
    """An operator's name in the saga's history is that of the token."""
    house = guarded.house
    saga = house.ask("POST", "/sagas/order", {"order": "1", "wait": True}, token=guarded.chief).json()["id"]
    forged = house.ask("POST", f"/sagas/{saga}/cancel", {"by": "somebody else"}, token=guarded.chief)
    house.ask("POST", f"/sagas/{saga}/cancel", {"why": "enough"}, token=guarded.chief)
    found = house.ask("GET", f"/sagas/{saga}/result?wait=20s", token=guarded.chief)
    stood = house.ask("GET", f"/sagas/{saga}", token=guarded.chief).json()

    assert forged.status_code == 422
    assert found.json()["status"] == "cancelled"
    assert [(each["by"], each["why"]) for each in stood["actions"]] == [("chief", "enough")]
    assert any('"who": "chief"' in line and '"why": "enough"' in line for line in house.audit(saga))


def test_keys_of_different_callers_do_not_meet(guarded: Guarded) -> None:
    key = str(uuid.uuid4())
    one = guarded.house.ask("POST", "/sagas/order", {"order": "1"}, token=guarded.chief, Idempotency_Key=key)
    other = guarded.house.ask("POST", "/sagas/order", {"order": "1"}, token=guarded.starter, Idempotency_Key=key)

    assert one.json()["id"] != other.json()["id"]


def test_a_token_is_in_no_log_and_the_file_has_only_its_digest(guarded: Guarded) -> None:
    guarded.house.ask("GET", "/sagas", token=guarded.chief)
    log = "\n".join(guarded.house.lines)

    assert guarded.chief not in log
    assert guarded.chief not in guarded.tokens.read_text()


def test_a_file_that_has_changed_is_read_again(guarded: Guarded) -> None:
    """A token that is taken out is worth nothing from the next request on; a file half written changes nothing."""
    house, before = guarded.house, guarded.tokens.read_text()
    new = _token(guarded.tokens, "new", "--read", "order")
    assert house.ask("GET", "/me", token=new).json()["name"] == "new"
    guarded.tokens.write_text("tokens: [")
    assert house.ask("GET", "/me", token=new).status_code == 200
    guarded.tokens.write_text(before)
    assert house.ask("GET", "/me", token=new).status_code == 401
    assert house.ask("GET", "/me", token=guarded.chief).status_code == 200


def test_a_signed_token_has_the_rights_that_it_claims(guarded: Guarded) -> None:
    reading = guarded.signed(scope="openid sagadsl:read:ord*")
    both = guarded.signed(sagadsl=["sagadsl:start:order", "sagadsl:read:order"])

    assert guarded.house.ask("GET", "/me", token=reading).json() == {
        "name": "ann@example",
        "is_known": True,
        "rights": {"start": [], "read": ["ord*"], "operate": []},
        "web_ui": "",
    }
    assert guarded.house.ask("POST", "/sagas/order", {"order": "1"}, token=reading).status_code == 403
    assert guarded.house.ask("POST", "/sagas/order", {"order": "1"}, token=both).status_code == 202


def test_a_signed_token_that_is_not_for_us_is_worth_nothing(guarded: Guarded) -> None:
    """Another issuer, another audience, too old, no end, another key, no signature, a symmetric one."""
    other = ec.generate_private_key(ec.SECP256R1())
    claims = {"sub": "x", "iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 60, "scope": "sagadsl:read:*"}
    forged = [
        guarded.signed(iss="https://other.example"),
        guarded.signed(aud="other"),
        guarded.signed(exp=int(time.time()) - 3600),
        jwt.encode({k: v for k, v in claims.items() if k != "exp"}, guarded.key, "ES256", headers={"kid": "k1"}),
        jwt.encode(claims, other, "ES256", headers={"kid": "k1"}),
        jwt.encode(claims, other, "ES256", headers={"kid": "k2"}),
        jwt.encode(claims, None, "none", headers={"kid": "k1"}),
        jwt.encode(claims, "x" * 64, "HS256", headers={"kid": "k1"}),
        "a.b.c",
    ]
    for token in forged:
        assert guarded.house.ask("GET", "/me", token=token).status_code == 401, token


def test_a_page_of_another_site_reaches_nothing(house: House) -> None:
    """Neither by a name that it has made lead to loopback, nor by a request from its page."""
    rebound = house.ask("GET", "/sagas", Host="evil.example")
    posted = house.ask("POST", "/sagas/order", {"order": "1"}, Origin="https://evil.example")
    own = house.ask("GET", "/me", Origin=house.url)
    allowed = house.ask("OPTIONS", "/sagas", Origin="https://evil.example", Access_Control_Request_Method="POST")

    assert (rebound.status_code, rebound.json()["code"]) == (421, "SD944")
    assert (posted.status_code, posted.json()["code"]) == (403, "SD944")
    assert own.status_code == 200
    assert "access-control-allow-origin" not in allowed.headers


def test_pages_of_an_origin_that_is_named_may_call(house: House) -> None:
    origin = "https://shop.example"
    with serve(house.folder, house.address, "--cors-origin", origin) as other:
        before = other.ask("OPTIONS", "/sagas/order", Origin=origin, Access_Control_Request_Method="POST")
        answer = other.ask("GET", "/definitions", Origin=origin)

    assert before.headers["access-control-allow-origin"] == origin
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin)


def test_too_many_requests_are_told_when_to_come_again(house: House) -> None:
    with serve(house.folder, house.address, "--rate", "2", "--waiting", "1") as other:
        answers = [other.ask("GET", "/me") for _ in range(6)]
        refused = answers[-1]

    assert {answer.status_code for answer in answers} == {200, 429}
    assert (refused.json()["code"], refused.headers["Retry-After"]) == ("SD945", "1")


def test_too_many_who_wait_are_told_so(house: House) -> None:
    saga = house.start(wait=True)
    with serve(house.folder, house.address, "--waiting", "1") as other:
        revision = other.ask("GET", f"/sagas/{saga}").json()["revision"]
        first = Thread(target=other.ask, args=("GET", f"/sagas/{saga}?wait=3s&since={revision}"))
        first.start()
        time.sleep(0.5)
        second = other.ask("GET", f"/sagas/{saga}?wait=3s&since={revision}")
        first.join()
    house.ask("POST", f"/sagas/{saga}/cancel")

    assert (second.status_code, second.json()["code"]) == (429, "SD945")


def test_every_answer_keeps_browsers_strict(house: House) -> None:
    page, data = house.ask("GET", "/"), house.ask("GET", "/sagas/none")

    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert data.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    for answer in (page, data):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "server" not in answer.headers


def test_an_address_that_others_reach_wants_to_know_who_asks(house: House) -> None:
    """Nothing listens before that is sure."""
    refused = inside("serve", ".", "--bind", "0.0.0.0:0", "--address", house.address, cwd=house.folder)

    assert refused.code == 2
    assert "give `--tokens FILE` or `--jwks URL`" in refused.err


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "it is no mapping with a list `tokens`"),
        ("tokens: [{name: a, name: b}]", "line 1 is not the YAML that is read here: see `sagadsl explain SD003`"),
        ("tokens: [x]", "`tokens[0]` is no mapping of `name`, `sha256` and `allow`"),
        ("tokens: [{sha256: a, allow: {}}]", "`tokens[0]` has no `name`"),
        ("tokens: [{name: a, sha256: zz, allow: {}}]", "`sha256` of `tokens[0]` is no SHA-256"),
        (f"tokens: [{{name: a, sha256: '{'0' * 64}', allow: {{read: x}}}}]", '`read` of `tokens[0]` is "x"'),
        (f"tokens: [{{name: a, sha256: '{'0' * 64}', allow: {{write: [x]}}}}]", "`allow` of `tokens[0]`"),
    ],
)
def test_a_file_of_tokens_with_a_mistake_is_refused(house: House, tmp_path: Path, content: str, why: str) -> None:
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text(content)
    refused = inside(
        "serve", ".", "--tokens", tokens, "--bind", "127.0.0.1:0", "--address", house.address, cwd=house.folder
    )

    assert refused.code == 2
    assert "error[SD941]" in refused.err
    assert why in refused.err


def test_a_token_that_may_do_nothing_is_not_made() -> None:
    assert inside("token", "nobody").code == 2
