"""``poll`` of ``http.request``: a request that is accepted first, and done later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from sagadsl import Context
from sagadsl.activities import http, polling
from sagadsl.authoring import Failure, InvalidInput
from tests.built_in import called, permit
from tests.web import Answer, Web, web

SOON = {"every": "100ms", "at_most": "20s"}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    permit(monkeypatch, "127.0.0.0/8", TOKEN="hush-hush")
    with web() as made:
        made.says("POST /vm", Answer(202, None, {"location": "/vm/7"}))
        yield made


class Beats(list[Any]):
    """What the worker keeps of heartbeats."""


def _send(site: Web, beats: Beats | None = None, before: tuple[Any, ...] = (), **more: Any) -> Any:
    call = {"url": f"{site.url}/vm", "method": "POST", "json": {"size": 1}, "poll": SOON, **more}
    send = (Beats() if beats is None else beats).append
    return asyncio.run(called(http.request, call, heartbeat_details=before, send_heartbeat=send))


def _error(site: Web, **more: Any) -> Failure:
    with pytest.raises(Failure) as raised:
        _send(site, **more)
    assert raised.value.__cause__ is None
    return raised.value


def _kind(error: Failure) -> tuple[str, bool, bool]:
    return error.type, error.retryable, error.effect_unknown


FAILED = ("HttpOperationFailed", False, False)
LOST_FOR_GOOD = ("HttpPollLost", False, True)
LOST = ("HttpPollLost", True, True)
TOO_LONG = ("HttpPollTimeout", False, True)


def test_what_is_accepted_is_asked_about_until_it_is_done(site: Web) -> None:
    """202 and Location: 202 means that it goes on."""
    site.says("GET /vm/7", Answer(202), Answer(202), Answer(200, {"id": 7}))
    result = _send(site)
    assert (result["status"], result["json"]) == (200, {"id": 7})
    assert [each.method for each in site.asked] == ["POST", "GET", "GET", "GET"]


def test_what_is_done_at_once_is_not_asked_about(site: Web) -> None:
    """201 with a Location names what was made, not an operation."""
    for answer in (Answer(200, {"id": 7}), Answer(201, {"id": 7}, {"location": "/vm/7"})):
        site.says("POST /vm", answer)
        assert _send(site)["json"] == {"id": 7}
    assert site.of("GET /vm/7") == []


def test_without_poll_an_accepted_request_is_a_result(site: Web) -> None:
    assert (_send(site, poll=None)["status"], len(site.asked)) == (202, 1)


@pytest.mark.parametrize("header", ["operation-location", "azure-asyncoperation"])
def test_an_operation_says_in_its_field_how_it_stands(site: Web, header: str) -> None:
    """200 alone does not mean that it is done: nothing is called done falsely."""
    site.says("POST /vm", Answer(201, {"id": 7}, {header: f"{site.url}/op/1", "location": "/vm/7"}))
    site.says(
        "GET /op/1",
        Answer(200, {"status": "NotStarted"}),
        Answer(200, {"status": "Running"}),
        Answer(200, {"status": "Succeeded", "id": 7}),
    )
    assert _send(site)["json"] == {"status": "Succeeded", "id": 7}
    site.says("GET /op/1", Answer(200, {"status": "Running"}), Answer(200, {"status": "Failed", "why": "full"}))
    error = _error(site)
    assert _kind(error) == FAILED
    assert error.details[0]["body"] == '{"status": "Failed", "why": "full"}'


def test_the_definition_says_which_field_means_what(site: Web) -> None:
    poll = SOON | {"address": "links.self", "field": "job.state", "done": ["READY"], "failed": ["BROKEN"]}
    site.says("POST /vm", Answer(200, {"job": {"state": "NEW"}, "links": {"self": "/jobs/1"}}))
    site.says("GET /jobs/1", Answer(200, {"job": {"state": "NEW"}}), Answer(200, {"job": {"state": "READY"}}))
    assert _send(site, poll=poll)["json"] == {"job": {"state": "READY"}}
    site.says("GET /jobs/1", Answer(200, {"job": {"state": "BROKEN"}}))
    assert _kind(_error(site, poll=poll)) == FAILED
    site.says("POST /vm", Answer(200, {"job": {"state": "READY"}}))
    assert _send(site, poll=poll)["status"] == 200
    site.says("POST /vm", Answer(200, {"job": {"state": "BROKEN"}}))
    assert _kind(_error(site, poll=poll)) == FAILED


def test_a_field_may_be_true_or_false(site: Web) -> None:
    """`true` is not `1`."""
    site.says("GET /vm/7", Answer(200, {"done": 1}), Answer(200, {"done": False}), Answer(200, {"done": True}))
    assert _send(site, poll=SOON | {"field": "done", "done": [True]})["json"] == {"done": True}
    assert len(site.of("GET /vm/7")) == 3


def test_a_status_may_mean_that_it_has_failed(site: Web) -> None:
    site.says("GET /vm/7", Answer(409, {"why": "full"}))
    assert _kind(_error(site, poll=SOON | {"failed_statuses": [409]})) == FAILED


@pytest.mark.parametrize("answer", [Answer(404), Answer(410), Answer(401), Answer(302, b"", {"location": "/x"})])
def test_an_answer_that_says_nothing_leaves_it_unknown(site: Web, answer: Answer) -> None:
    """R5: it was accepted, so that no error of the question is a clean no."""
    site.says("GET /vm/7", answer)
    assert _kind(_error(site)) == LOST


def test_a_reply_without_the_field_leaves_it_unknown(site: Web) -> None:
    site.says("GET /vm/7", Answer(202, {}), Answer(200, {"other": 1}))
    assert _kind(_error(site, poll=SOON | {"field": "state"})) == LOST
    assert len(site.of("GET /vm/7")) == 2


@pytest.mark.parametrize("answer", [Answer(500), Answer(503), Answer(429), Answer(408)])
def test_a_server_in_trouble_is_asked_again(site: Web, answer: Answer) -> None:
    site.says("GET /vm/7", answer, answer, Answer(200, {"id": 7}))
    assert _send(site)["json"] == {"id": 7}


def test_polled_into_a_timeout_is_unknown_and_not_sent_again(site: Web) -> None:
    """R5: counted from the acceptance, so that another attempt does not begin anew."""
    site.says("GET /vm/7", Answer(202))
    error = _error(site, poll={"every": "100ms", "at_most": "300ms"})
    assert _kind(error) == TOO_LONG
    assert "not done within 300ms" in error.message
    long_ago = {"poll": f"{site.url}/vm/7", "since": 1.0, "field": ""}
    before = len(site.asked)
    assert _kind(_error(site, before=(long_ago,))) == TOO_LONG
    assert [each.method for each in site.asked[before:]] == ["GET"]  # asked once more before it gives up


def test_a_later_attempt_goes_on_asking(site: Web) -> None:
    """The address is in the heartbeat; nothing secret is."""
    site.says("POST /vm", Answer(202, None, {"operation-location": f"{site.url}/op/1"}))
    site.says("GET /op/1", Answer(200, {"status": "Running"}), Answer(200, {"status": "Succeeded"}))
    beats = Beats()
    headers = {"X-Key": "${secret:TOKEN}"}
    _send(site, beats, headers=headers)
    assert {each["poll"] for each in beats} == {f"{site.url}/op/1"}
    assert "hush" not in str(beats)
    site.asked.clear()
    result = _send(site, before=(beats[-1],), headers=headers)
    assert result["json"] == {"status": "Succeeded"}
    assert [(each.method, each.path) for each in site.asked] == [("GET", "/op/1")]


def test_a_long_pause_has_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause may be longer than the heartbeat timeout."""
    monkeypatch.setattr(polling, "_BEAT", 0.001)
    monkeypatch.setattr(polling, "monotonic", iter(range(100)).__next__)
    beats = Beats()
    place = polling.Accepted("http://127.0.0.1/op", 1.0, "")
    asyncio.run(polling._rest(5.0, place, Context(send_heartbeat=beats.append)))
    assert len(beats) == 4


def test_retry_after_sets_the_pause(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the accepting reply, and of each answer."""
    pauses: list[float] = []

    async def rest(seconds: float, *_: Any) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(polling, "_rest", rest)
    site.says("POST /vm", Answer(202, None, {"location": "/vm/7", "retry-after": "7"}))
    site.says("GET /vm/7", Answer(202, None, {"retry-after": "5"}), Answer(202), Answer(200))
    _send(site, poll={"every": "3s", "at_most": "1h"})
    assert pauses == [7.0, 5.0, 3.0]


def test_only_what_shows_who_asks_goes_along(site: Web) -> None:
    """The question has no body, no key and no conditions of the request."""
    site.says("GET /vm/7", Answer(200))
    headers = {"X-Key": "${secret:TOKEN}", "If-Match": "a", "Content-Type": "application/json", "X-Tenant": "t"}
    _send(site, headers=headers)
    (asked,) = site.of("GET /vm/7")
    assert (asked.headers["x-key"], asked.headers["x-tenant"]) == ("hush-hush", "t")
    assert {"if-match", "content-type", "idempotency-key"} & set(asked.headers) == set()


def test_the_token_goes_along_and_is_renewed(site: Web) -> None:
    grant = {"token_url": f"{site.url}/token", "client_id": "shop", "client_secret": {"secret": "TOKEN"}}
    site.says("POST /token", *(Answer(200, {"access_token": f"t-{number}"}) for number in (1, 2)))
    site.says("GET /vm/7", Answer(202), Answer(401), Answer(200))
    _send(site, auth={"oauth2": grant})
    assert [each.headers["authorization"] for each in site.of("GET /vm/7")] == [
        "Bearer t-1",
        "Bearer t-1",
        "Bearer t-2",
    ]


def test_a_token_that_is_refused_while_it_waits_leaves_it_unknown(site: Web) -> None:
    """R5: fetching a token fails cleanly, but the request was accepted before."""
    grant = {"token_url": f"{site.url}/token", "client_id": "shop", "client_secret": {"secret": "TOKEN"}}
    site.says("POST /token", Answer(200, {"access_token": "t-1"}), Answer(400, {"error": "invalid_client"}))
    site.says("GET /vm/7", Answer(401))
    error = _error(site, auth={"oauth2": grant})
    assert _kind(error) == LOST_FOR_GOOD
    assert "the request was accepted; then: no access token" in error.message


def test_a_secret_that_is_gone_at_a_later_attempt_leaves_it_unknown(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKEN")
    before = ({"poll": f"{site.url}/vm/7", "since": 1.0, "field": ""},)
    error = _error(site, before=before, headers={"X-Key": "${secret:TOKEN}"})
    assert _kind(error) == LOST_FOR_GOOD
    assert site.asked == []


def test_another_origin_is_asked_only_if_the_definition_names_it_and_gets_no_credentials(site: Web) -> None:
    """A server that is asked must not learn the secrets of another one."""
    with web() as other:
        other.says("GET /op/1", Answer(202), Answer(200))
        site.says("POST /vm", Answer(202, None, {"location": f"{other.url}/op/1"}))
        headers = {"X-Key": "${secret:TOKEN}"}
        error = _error(site, headers=headers)
        assert _kind(error) == ("HttpForbidden", False, True)
        assert other.asked == []
        _send(site, headers=headers, poll=SOON | {"origins": [other.url]})
        assert ["x-key" in each.headers for each in other.asked] == [False, False]


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("http://10.0.0.1/op", ("HttpForbidden", False, True)),
        ("http://user:x@127.0.0.1/op", ("HttpForbidden", False, True)),
        ("http://[", LOST_FOR_GOOD),
        ("file:///etc/passwd", ("HttpForbidden", False, True)),
        ("/op?key=hush-hush", LOST_FOR_GOOD),
    ],
)
def test_an_address_that_must_not_be_asked_leaves_it_unknown(
    site: Web, location: str, kind: tuple[str, bool, bool]
) -> None:
    site.says("POST /vm", Answer(202, None, {"location": location}))
    poll = SOON | {"origins": ["http://10.0.0.1"]}
    error = _error(site, headers={"X-Key": "${secret:TOKEN}"}, poll=poll)
    assert _kind(error) == kind
    assert [each.method for each in site.asked] == ["POST"]
    assert "hush" not in str(error)


def test_an_accepted_request_without_an_address_is_unknown(site: Web) -> None:
    """Nobody can say how it ends, and sending it again tells nobody either."""
    site.says("POST /vm", Answer(202))
    error = _error(site)
    assert _kind(error) == LOST_FOR_GOOD
    assert "its reply has no header Operation-Location or Location" in error.message
    assert "no field `self`" in _error(site, poll=SOON | {"address": "self"}).message


@pytest.mark.parametrize(
    "wrong",
    [{"every": 2}, {"until": "{{ x }}"}, {"done": []}, {"origins": ["https://a/b"]}, {"field": "a..b"}],
)
def test_a_wrong_poll_is_refused_before_anything_is_sent(site: Web, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="field `poll"):
        _send(site, poll=wrong)
    assert site.asked == []
