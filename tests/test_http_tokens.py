"""``auth: {oauth2: …}`` of ``http.request``: client credentials against a token endpoint of this process."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from sagadsl.activities import http, reach, tokens
from sagadsl.authoring import Failure, InvalidInput
from tests.built_in import called, permit
from tests.web import Answer, Web, web


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    permit(monkeypatch, "127.0.0.0/8", CLIENT_SECRET="hush:42 &")
    with web() as made:
        made.says("POST /token", _granted("t-1"), _granted("t-2"), _granted("t-3"))
        made.says("POST /pay", Answer(200, {"paid": True}))
        yield made


def _granted(token: str, **more: Any) -> Answer:
    return Answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": 3600, **more})


def _auth(site: Web, **more: Any) -> dict[str, Any]:
    grant = {"token_url": f"{site.url}/token", "client_id": "shop", "client_secret": {"secret": "CLIENT_SECRET"}}
    return {"oauth2": grant | more}


def _call(site: Web, **more: Any) -> dict[str, Any]:
    return {"url": f"{site.url}/pay", "method": "POST", "auth": _auth(site), **more}


def _send(call: dict[str, Any], written: dict[str, Any] | None = None) -> Any:
    return asyncio.run(called(http.request, call, written))


def _error(call: dict[str, Any], written: dict[str, Any] | None = None) -> Failure:
    with pytest.raises(Failure) as raised:
        _send(call, written)
    return raised.value


def _kind(error: Failure) -> tuple[str, bool, bool]:
    return error.type, error.retryable, error.effect_unknown


def _sent(site: Web) -> list[str]:
    return [each.headers["authorization"] for each in site.of("POST /pay")]


def test_a_token_is_fetched_with_the_credentials_and_sent(site: Web) -> None:
    grant = _auth(site, scope=["pay", "read"], audience="https://api.example.com")
    assert _send(_call(site, auth=grant))["json"] == {"paid": True}
    (asked,) = site.of("POST /token")
    assert parse_qs(asked.body) == {
        "grant_type": ["client_credentials"],
        "scope": ["pay read"],
        "audience": ["https://api.example.com"],
    }
    # RFC 6749, 2.3.1: both are form-encoded before they become one text
    assert base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")).decode() == "shop:hush%3A42+%26"
    assert _sent(site) == ["Bearer t-1"]


def test_an_endpoint_may_want_the_credentials_in_the_body(site: Web) -> None:
    _send(_call(site, auth=_auth(site, client_auth="body", client_secret="${secret:CLIENT_SECRET}")))
    (asked,) = site.of("POST /token")
    fields = parse_qs(asked.body)
    assert (fields["client_id"], fields["client_secret"]) == (["shop"], ["hush:42 &"])
    assert "authorization" not in asked.headers


def test_a_token_is_kept_until_shortly_before_its_end(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(tokens, "monotonic", lambda: now[0])
    for passed in (0, 3530, 3550):
        now[0] = 1000.0 + passed
        _send(_call(site))
    assert _sent(site) == ["Bearer t-1", "Bearer t-1", "Bearer t-2"]


@pytest.mark.parametrize(
    ("told", "kept"), [(100, 80), (0, 0), (None, 300), ("600", 540), (-1, 300), ("soon", 300), (1e30, 300)]
)
def test_how_long_a_token_is_kept_follows_what_the_endpoint_tells(told: Any, kept: float) -> None:
    assert tokens._life(told) == kept


def test_another_grant_has_another_token(site: Web) -> None:
    _send(_call(site))
    _send(_call(site, auth=_auth(site, scope="refund")))
    _send(_call(site))
    assert _sent(site) == ["Bearer t-1", "Bearer t-2", "Bearer t-1"]


def test_calls_at_the_same_time_share_one_fetch(site: Web) -> None:
    async def three() -> None:
        await asyncio.gather(*(called(http.request, _call(site)) for _ in range(3)))

    asyncio.run(three())
    assert len(site.of("POST /token")) == 1
    assert _sent(site) == ["Bearer t-1"] * 3


def test_a_call_that_is_cancelled_takes_no_token_from_the_others(site: Web) -> None:
    async def one_of_two() -> Any:
        first = asyncio.create_task(called(http.request, _call(site)))
        second = asyncio.create_task(called(http.request, _call(site)))
        await asyncio.sleep(0)  # both wait for the token now
        first.cancel()
        return await second

    assert asyncio.run(one_of_two())["status"] == 200
    assert _sent(site) == ["Bearer t-1"]


def test_a_token_that_is_not_accepted_is_replaced_once(site: Web) -> None:
    """A 401 says that nothing was done, so that the request may be sent again."""
    site.says("POST /pay", Answer(401), Answer(200, {"paid": True}), Answer(401))
    assert _send(_call(site))["json"] == {"paid": True}
    assert _sent(site) == ["Bearer t-1", "Bearer t-2"]
    assert _kind(_error(_call(site))) == ("Http401", False, False)
    assert _sent(site)[2:] == ["Bearer t-2", "Bearer t-3"]
    keys = {each.headers["idempotency-key"] for each in site.of("POST /pay")}
    assert keys == {"saga/step/do"}


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (
            Answer(400, {"error": "invalid_client", "error_description": "no such client"}),
            ("TokenRefused", False, False),
            "status 400 invalid_client: no such client",
        ),
        (Answer(401, {"error": "invalid_client"}), ("TokenRefused", False, False), "status 401 invalid_client"),
        (Answer(400, {"error": "x", "error_description": "hush:42 &"}), ("TokenRefused", False, False), "x: ***"),
        (Answer(302, b"", {"location": "/other"}), ("TokenRefused", False, False), "status 302"),
        (Answer(200, b"<html>"), ("TokenRefused", False, False), "the reply has no `access_token`"),
        (Answer(200, {"access_token": "a\nb"}), ("TokenRefused", False, False), "has no `access_token`"),
        (
            Answer(200, {"access_token": "a", "token_type": "mac"}),
            ("TokenRefused", False, False),
            "of another type than `Bearer`",
        ),
        (Answer(503), ("TokenUnavailable", True, False), "status 503"),
        (Answer(429), ("TokenUnavailable", True, False), "status 429"),
        (Answer(200, b"x" * 1_100_000), ("HttpResponseTooLarge", False, False), "more than 1048576 bytes"),
    ],
)
def test_without_a_token_nothing_was_done(site: Web, answer: Answer, kind: tuple[str, bool, bool], says: str) -> None:
    """R5: the call itself was not sent; whether to try again depends on whose fault it is."""
    site.says("POST /token", answer)
    error = _error(_call(site))
    assert _kind(error) == kind
    assert says in error.message
    assert "hush" not in f"{error} {error.details}"
    assert site.of("POST /pay") == []


def test_a_token_endpoint_that_does_not_answer_may_be_asked_again(site: Web) -> None:
    call = _call(site, auth=_auth(site, token_url="http://127.0.0.1:9/token"))
    assert _kind(_error(call)) == ("TokenUnavailable", True, False)


def test_an_error_is_not_kept(site: Web) -> None:
    site.says("POST /token", Answer(503), _granted("t-9"))
    _error(_call(site))
    _send(_call(site))
    assert _sent(site) == ["Bearer t-9"]


def test_no_token_and_no_secret_is_in_a_result_an_error_or_a_log(site: Web, caplog: pytest.LogCaptureFixture) -> None:
    """R18: even when the server repeats it."""
    site.says("POST /pay", Answer(200, {"saw": "Bearer t-1"}), Answer(500, {"saw": "t-1"}))
    with caplog.at_level(logging.DEBUG):
        result = _send(_call(site))
        error = _error(_call(site))
    assert result["json"] == {"saw": "Bearer ***"}
    everything = f"{result} {error} {error.details} {caplog.text}"
    assert "t-1" not in everything
    assert "hush" not in everything
    grant = tokens.Grant("u", "c", "hush", "", "", "basic", ("hush",))
    assert "hush" not in repr(grant)


def test_the_token_endpoint_is_reached_by_the_same_rules(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an inner address, nor a host that the operator has not named."""
    inner = _call(site, auth=_auth(site, token_url="http://10.0.0.1/token"))
    assert _kind(_error(inner)) == ("HttpForbidden", False, False)
    monkeypatch.setenv(reach.HOSTS, "127.0.0.1")
    other = _call(site, auth=_auth(site, token_url="http://login.example.com/token"))
    assert _kind(_error(other)) == ("HttpForbidden", False, False)
    assert site.asked == []


def test_a_token_goes_only_where_its_secret_may_go(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who chooses the url must not get what the secret buys."""
    monkeypatch.setenv(reach.SECRETS, "CLIENT_SECRET@127.0.0.1")
    elsewhere = _call(site, url=site.url.replace("127.0.0.1", "127.0.0.2") + "/pay")
    assert "permits for `127.0.0.2`" in str(_error(elsewhere))
    monkeypatch.setenv(reach.SECRETS, "CLIENT_SECRET")
    monkeypatch.setenv(reach.HOSTS, "127.0.0.1")
    call = _call(site)
    assert "the host for secret `CLIENT_SECRET` comes from data" in str(_error(call, call | {"url": "{{ input.url }}"}))
    from_data = call | {"auth": _auth(site, token_url="{{ input.url }}")}
    assert "write the host into `auth/oauth2/token_url`" in str(_error(call, from_data))
    assert site.asked == []
    assert _send(call)["status"] == 200


def test_data_names_no_client_secret(site: Web) -> None:
    written = _call(site, auth=_auth(site, client_secret="{{ input.secret }}"))
    error = _error(_call(site), written)
    assert "the secret `CLIENT_SECRET` in `auth/oauth2/client_secret` comes from data" in str(error)
    assert site.asked == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"client_secret": "hush"}, "client_secret"),
        ({"client_secret": "x ${secret:CLIENT_SECRET}"}, "client_secret"),
        ({"token_url": "ftp://x"}, "token_url"),
        ({"client_auth": "jwt"}, "client_auth"),
        ({"realm": "x"}, "`auth.oauth2.realm` is not known"),
    ],
)
def test_wrong_credentials_are_refused_before_anything_is_sent(site: Web, change: dict[str, Any], says: str) -> None:
    """A client secret that is written out would be in every history."""
    with pytest.raises(InvalidInput) as refused:
        _send(_call(site, auth=_auth(site, **change)))
    assert says in str(refused.value)
    assert site.asked == []


def test_a_request_shows_who_it_is_in_one_way(site: Web) -> None:
    with pytest.raises(InvalidInput, match="either `auth` or the header `Authorization`"):
        _send(_call(site, headers={"authorization": "Basic eA=="}))
