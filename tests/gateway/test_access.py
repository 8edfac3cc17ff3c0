"""Who may: tokens from a file and of an identity provider, rights by saga, names and origins, limits."""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sagadsl.gateway.access import HOLD_SECONDS, SignedTokens, TokenFile, TokensLost
from tests.cli.shell import inside
from tests.conftest import Server
from tests.gateway.house import House, fresh, serve, shop, worker
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal

PAGE = tuple(
    f"/page/{name}.js"
    for name in (
        "app",
        "api",
        "detail",
        "dom",
        "fields",
        "form",
        "incidents",
        "inputs",
        "jobs",
        "json",
        "list",
        "parts",
        "picture",
        "takeup",
        "timeline",
        "change",
    )
)
OPEN = ("/healthz", "/readyz", "/", "/page/style.css", "/page/picture.css", *PAGE)
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
        ("GET", f"/sagas/{saga}/picture", "read"),
        ("GET", f"/sagas/{saga}/explanation", "read"),
        ("GET", f"/sagas/{saga}/queries/progress", "read"),
        ("GET", f"/sagas/{saga}/signals", "read"),
        ("POST", f"/sagas/{saga}/signals/approve", "operate"),
        *(("POST", f"/sagas/{saga}/{verb}", "operate") for verb in _VERBS),
        ("POST", f"/sagas/{saga}/forget", "forget"),
        ("GET", "/sagas", "any"),
        ("GET", "/counts", "any"),
        ("GET", "/incidents", "any"),
        ("GET", "/jobs", "any"),
        ("POST", "/jobs", "any"),
        ("GET", f"/jobs/{saga}", "any"),
        ("GET", f"/jobs/{saga}/events", "any"),
        ("POST", f"/jobs/{saga}/cancel", "any"),
        ("POST", "/codec/encode", "payloads"),
        ("POST", "/codec/decode", "payloads"),
        ("GET", "/definitions", "any"),
        ("GET", "/definitions/order", "known"),
        ("GET", "/definitions/order/graph", "known"),
        ("GET", "/definitions/order/picture", "known"),
        ("GET", "/me", "any"),
        ("GET", "/openapi.json", "any"),
        ("GET", "/metrics", "all"),
    ]


_VERBS = (
    *("cancel", "retry", "complete", "skip", "abort", "pause", "resume"),
    *("migrate", "reset", "redrive", "recover", "terminate"),
)


def test_every_route_is_in_the_table_of_this_test(guarded: Guarded) -> None:
    """A route that somebody adds must not be forgotten here: the application itself is asked for its routes."""
    from sagadsl.gateway.app import application
    from sagadsl.gateway.requests import Gateway

    known = {path for _, path, _ in _routes("{id}")} | set(OPEN)
    gateway = Gateway(*[None] * 8)  # type: ignore[arg-type] # only its routes are looked at
    gateway.options = type("Options", (), {"origins": ()})()  # type: ignore[assignment]
    paths = {getattr(route, "path", "") for route in application(gateway).routes}
    named = {
        path.replace("{name}", "order").replace("{signal}", "approve").replace("{query}", "progress") for path in paths
    }

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
        "forget": {"chief": 403, "starter": 404, "stranger": 404, "reader": 403},
        "known": {"stranger": 404},
        "payloads": {"chief": 403, "starter": 403, "stranger": 403, "reader": 403},
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


def test_a_job_asks_no_saga_that_its_caller_may_not_operate(guarded: Guarded) -> None:
    """By choice they are left out, by name the job is refused; the job itself is its maker's."""
    house = guarded.house
    saga = house.ask("POST", "/sagas/order", {"order": "1", "wait": True}, token=guarded.chief).json()["id"]
    by_name, by_id = {"verb": "cancel", "name": "order"}, {"verb": "cancel", "sagas": [{"id": saga}]}
    deadline = time.monotonic() + PATIENCE
    while not house.ask("POST", "/jobs", by_name | {"dry_run": True}, token=guarded.chief).json()["count"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for who, status in ((guarded.reader, 403), (guarded.starter, 404), (guarded.stranger, 404)):
        chosen = house.ask("POST", "/jobs", by_name, token=who)
        assert (chosen.status_code, chosen.json()["count"], "id" in chosen.json()) == (200, 0, False)
        assert house.ask("POST", "/jobs", by_id, token=who).status_code == status
    assert house.ask("GET", f"/sagas/{saga}", token=guarded.chief).json()["status"] == "running"
    job = house.ask("POST", "/jobs", by_id | {"with": {"why": "over"}}, token=guarded.chief).json()["id"]
    while job not in _jobs(house, guarded.chief):  # the index lags
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for who in (guarded.reader, guarded.starter, guarded.stranger):
        assert _jobs(house, who) == []
        assert house.ask("GET", f"/jobs/{job}", token=who).status_code == 404
        assert house.ask("POST", f"/jobs/{job}/cancel", token=who).status_code == 404
    spoofed = house.ask("POST", "/jobs", by_id | {"with": {"by": "somebody else"}}, token=guarded.chief)
    assert spoofed.status_code == 422
    assert house.ask("GET", f"/jobs/{job}", token=guarded.chief).json()["who"] == "chief"


def _jobs(house: House, token: str) -> list[str]:
    """Return the ids of the jobs that a caller may see."""
    return [each["id"] for each in house.ask("GET", "/jobs", token=token).json()["jobs"]]


def test_lists_show_no_more_than_one_may_read(guarded: Guarded) -> None:
    saga = guarded.house.ask("POST", "/sagas/order?wait=true", {"order": "1"}, token=guarded.chief).json()["id"]
    deadline = time.monotonic() + PATIENCE
    while not (seen := guarded.house.ask("GET", f"/sagas?id={saga}", token=guarded.reader).json()["sagas"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)

    assert [each["id"] for each in seen] == [saga]
    for who in (guarded.stranger, guarded.starter):
        assert guarded.house.ask("GET", f"/sagas?id={saga}", token=who).json()["sagas"] == []
        assert guarded.house.ask("GET", f"/sagas?id={saga}&name=order", token=who).json()["sagas"] == []
        counts = guarded.house.ask("GET", f"/counts?id={saga}", token=who).json()["counts"]
        assert set(counts.values()) == {0}
        assert guarded.house.ask("GET", "/incidents", token=who).json()["groups"] == []
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
        "rights": {"start": [], "read": ["ord*"], "operate": [], "forget": [], "payloads": []},
        "web_ui": "",
    }
    assert guarded.house.ask("POST", "/sagas/order", {"order": "1"}, token=reading).status_code == 403
    assert guarded.house.ask("POST", "/sagas/order", {"order": "1"}, token=both).status_code == 202


def test_a_signed_token_may_decode_if_it_claims_that_right(guarded: Guarded) -> None:
    """Here nothing is encrypted, so whoever may ask hears of no codec."""
    decoding, reading = guarded.signed(scope="sagadsl:payloads:decode"), guarded.signed(scope="sagadsl:read:*")

    def status(doing: str, token: str) -> int:
        return guarded.house.ask("POST", f"/codec/{doing}", {"payloads": []}, token=token).status_code

    assert [status("decode", decoding), status("encode", decoding), status("decode", reading)] == [404, 403, 403]


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
        answers = [other.ask("GET", "/me")]
        while (
            answers[-1].status_code == 200
        ):  # however slow this machine is, it asks faster than twice a second at last
            answers.append(other.ask("GET", "/me"))
        refused = answers[-1]

    assert {answer.status_code for answer in answers} == {200, 429}
    assert (refused.json()["code"], refused.headers["Retry-After"]) == ("SD945", "1")


def test_too_many_who_wait_are_told_so(house: House) -> None:
    saga = house.start(wait=True)
    with (
        serve(house.folder, house.address, "--waiting", "1") as other,
        httpx2.stream("GET", f"{other.url}/sagas/{saga}/events", timeout=PATIENCE) as first,
    ):
        lines = first.iter_lines()  # the stream ends with it
        next(lines)
        for _ in range(100):  # as long as the saga still changes, the answer is there at once and takes no seat
            revision = other.ask("GET", f"/sagas/{saga}").json()["revision"]
            second = other.ask("GET", f"/sagas/{saga}?wait=3s&since={revision}")
            if second.status_code != 200 or second.json()["revision"] == revision:
                break
    house.ask("POST", f"/sagas/{saga}/cancel")

    assert (second.status_code, second.json().get("code")) == (429, "SD945")


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
        ("", "it is not a mapping with a list `tokens`"),
        ("tokens: [{name: a, name: b}]", "line 1 is not valid YAML here: see `sagadsl explain SD003`"),
        ("tokens: [x]", "`tokens[0]` is not a mapping of `name`, `sha256` and `allow`"),
        ("tokens: [{sha256: a, allow: {}}]", "`tokens[0]` has no `name`"),
        ("tokens: [{name: a, sha256: zz, allow: {}}]", "`sha256` of `tokens[0]` is not a SHA-256"),
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


@pytest.mark.parametrize("how", ["deleted", "a mistake", "not to be read"])
def test_tokens_of_a_file_that_cannot_be_read_do_not_hold_for_ever(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """A minute, in case somebody is writing it; told at once, and once."""
    path, now = tmp_path / "tokens.yaml", [0.0]
    path.write_text("tokens:\n")
    token = _token(path, "shop", "--read", "*")
    file, kept = TokenFile(path, clock=lambda: now[0]), path.read_text()

    def who() -> str:
        found = asyncio.run(file.who(token))
        return found.name if found else ""

    assert (who(), file.check(), caplog.messages) == ("shop", True, [])
    now[0] = 1000.0
    assert who() == "shop"
    if how == "deleted":
        path.unlink()
    elif how == "a mistake":
        path.write_text("tokens: [")
    else:
        path.unlink()
        path.mkdir()
    now[0] += HOLD_SECONDS - 1
    assert [who(), who()] == ["shop", "shop"]
    assert not file.check()
    now[0] += 2
    for _ in range(2):
        with pytest.raises(TokensLost):
            who()
    if how == "not to be read":
        path.rmdir()
    path.write_text(kept)
    assert who() == "shop"
    logged = caplog.messages
    assert [each.rpartition("; ")[2].split()[0] for each in logged[:2]] == ["the", "no"]
    assert len(logged) == 3
    assert logged[2].endswith("can be used again")
    assert token not in "".join(logged)


def test_a_token_that_is_taken_out_is_gone_although_size_and_time_of_the_file_are_as_before(tmp_path: Path) -> None:
    """`rsync -t` and `cp -p` keep the time."""
    path, other = tmp_path / "tokens.yaml", tmp_path / "other.yaml"
    for each in (path, other):
        each.write_text("tokens:\n")
    token = _token(path, "shop", "--read", "*")
    _token(other, "shop", "--read", "*")
    os.utime(path, (1, 1))
    os.utime(other, (1, 1))
    file = TokenFile(path)
    assert asyncio.run(file.who(token)) is not None
    other.rename(path)
    assert asyncio.run(file.who(token)) is None


def test_a_gateway_whose_tokens_have_gone_says_so(guarded: Guarded, tmp_path: Path) -> None:
    """While the minute lasts, in its log and its metrics; nothing in an answer."""
    tokens = tmp_path / "tokens.yaml"
    tokens.write_text(guarded.tokens.read_text())
    house = guarded.house
    with serve(house.folder, house.address, "--tokens", str(tokens)) as other:
        assert "tokens_usable 1.0" in other.ask("GET", "/metrics", token=guarded.chief).text
        tokens.unlink()
        assert "tokens_usable 0.0" in other.ask("GET", "/metrics", token=guarded.chief).text
        assert other.ask("GET", "/readyz").status_code == 200
        logged = [line for line in other.lines if "the tokens read before hold for" in line]
    assert len(logged) == 1


def test_a_provider_is_not_asked_for_each_token_that_somebody_makes_up(
    provider: tuple[str, ec.EllipticCurvePrivateKey], caplog: pytest.LogCaptureFixture
) -> None:
    """One that does not answer is no reason to take a token, or to say that it is worth nothing."""
    url, key = provider
    now, asked = [0.0], [0]
    authenticator = SignedTokens(url, ISSUER, AUDIENCE, clock=lambda: now[0])
    source = authenticator._source.get_signing_keys

    def counted(*, refresh: bool) -> Any:
        asked[0] += 1
        return source(refresh=refresh)

    authenticator._source.get_signing_keys = counted
    claims = {"sub": "ann", "iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600}
    good = jwt.encode(claims, key, "ES256", headers={"kid": "k1"})
    for number in range(20):
        assert asyncio.run(authenticator.who(jwt.encode(claims, key, "ES256", headers={"kid": f"x{number}"}))) is None
    found = asyncio.run(authenticator.who(good))
    assert found is not None
    assert (found.name, found.realm, asked) == ("ann", ISSUER, [1])
    authenticator._source.uri = "http://127.0.0.1:9/keys"
    now[0] = 800.0
    assert asyncio.run(authenticator.who(good)) is not None
    now[0] = 1000.0
    with pytest.raises(TokensLost):
        asyncio.run(authenticator.who(good))
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("name", ["a\nb", "", "x" * 256, "a\u2028b"])
def test_a_signed_name_that_could_be_taken_for_another_one_is_none(guarded: Guarded, name: str) -> None:
    assert guarded.house.ask("GET", "/me", token=guarded.signed(sub=name, scope="sagadsl:read:*")).status_code == 401


def test_a_name_of_the_provider_is_not_that_of_the_file(guarded: Guarded) -> None:
    """Keys of both do not meet, and the audit says who vouches."""
    key, rights = str(uuid.uuid4()), ["sagadsl:start:order", "sagadsl:read:order"]
    other = guarded.signed(sub="chief", sagadsl=rights)
    one = guarded.house.ask("POST", "/sagas/order", {"order": "1"}, token=guarded.chief, Idempotency_Key=key)
    two = guarded.house.ask("POST", "/sagas/order", {"order": "1"}, token=other, Idempotency_Key=key)

    assert one.json()["id"] != two.json()["id"]
    assert f'"issuer": "{ISSUER}"' in guarded.house.audit(two.json()["id"])[0]
    assert "issuer" not in guarded.house.audit(one.json()["id"])[0]


def test_who_may_only_start_learns_nothing_of_the_runs_of_others(guarded: Guarded) -> None:
    """Not by an id that it chooses, be it taken or free; its own runs it may wait for, by its own keys."""
    house = guarded.house
    saga = house.ask("POST", "/sagas/order?wait=true", {"order": "1"}, token=guarded.chief, Workflow_Id=fresh()).json()[
        "id"
    ]
    for id_ in (saga, fresh()):
        for query in ("", "?wait=5s"):
            for body in ({"order": "1"}, {"order": "2"}):
                answer = house.ask("POST", f"/sagas/order{query}", body, token=guarded.starter, Workflow_Id=id_)
                assert (answer.status_code, answer.json()["code"]) == (403, "SD943")
                assert answer.json()["help"] == "send an `Idempotency-Key`"
                assert id_ not in answer.text
    key = str(uuid.uuid4())
    first = house.ask("POST", "/sagas/order?wait=20s", {"order": "7"}, token=guarded.starter, Idempotency_Key=key)
    again = house.ask("POST", "/sagas/order?wait=20s", {"order": "7"}, token=guarded.starter, Idempotency_Key=key)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()


def test_what_one_may_not_start_is_described_as_nothing_that_can_be_started(guarded: Guarded) -> None:
    described = {
        who: "/sagas/order" in guarded.house.ask("GET", "/openapi.json", token=getattr(guarded, who)).json()["paths"]
        for who in ("chief", "starter", "reader", "stranger")
    }
    assert described == {"chief": True, "starter": True, "reader": False, "stranger": False}


def test_a_wrong_method_does_not_tell_which_sagas_there_are(guarded: Guarded) -> None:
    """It is answered before anybody has shown a token."""
    logged = {
        (name, who): guarded.house.ask("PUT", f"/sagas/{name}", token=token)
        for name in ("order", "nothing")
        for who, token in {"": "", "stranger": guarded.stranger, "chief": guarded.chief}.items()
    }

    assert {each.status_code for each in logged.values()} == {405}
    allowed = {key: each.headers["Allow"] for key, each in logged.items()}
    assert allowed.pop(("order", "chief")) == "POST"
    assert set(allowed.values()) == {"GET, HEAD"}


def test_a_stream_ends_when_its_token_does(guarded: Guarded) -> None:
    """It would go on for as long as the saga does."""
    house, before = guarded.house, guarded.tokens.read_text()
    new = _token(guarded.tokens, "guest", "--read", "order")
    saga = house.ask("POST", "/sagas/order", {"order": "1", "wait": True}, token=guarded.chief).json()["id"]
    kinds: list[str] = []
    headers = {"Authorization": f"Bearer {new}"}
    with httpx2.stream("GET", f"{house.url}/sagas/{saga}/events", headers=headers, timeout=PATIENCE) as stream:
        for line in stream.iter_lines():
            if line.startswith("event: "):
                kinds.append(line.removeprefix("event: "))
                guarded.tokens.write_text(before)
    house.ask("POST", f"/sagas/{saga}/cancel", token=guarded.chief)

    assert set(kinds[:-1]) == {"status"}
    assert kinds[-1] == "leave"


def test_a_stream_and_a_start_that_find_no_seat_are_told_so_before_anything_is_done(house: House) -> None:
    """A stream broke off with 200; a saga was started by a request that was refused."""
    saga = house.start(wait=True)
    id_ = fresh()
    with serve(house.folder, house.address, "--waiting", "1") as other:
        url = f"{other.url}/sagas/{saga}/events"
        with httpx2.stream("GET", url, timeout=PATIENCE) as first:
            lines = first.iter_lines()
            next(lines)
            stream = other.ask("GET", f"/sagas/{saga}/events")
            start = other.ask("POST", "/sagas/order?wait=5s", {"order": "1"}, Workflow_Id=id_)
        for _ in range(100):  # the seat is free as soon as the gateway knows that nobody reads
            with httpx2.stream("GET", url, timeout=PATIENCE) as again:
                if again.status_code == 200:
                    break
            time.sleep(0.1)
        assert "Traceback" not in "\n".join(other.lines)
    house.ask("POST", f"/sagas/{saga}/cancel")

    for answer in (stream, start):
        assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (429, "SD945", "1")
    assert house.ask("GET", f"/sagas/{id_}").status_code == 404
    assert again.status_code == 200
