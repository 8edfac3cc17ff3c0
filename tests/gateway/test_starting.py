"""``POST /sagas/{name}``: once for each key, and nothing for a mistake."""

from __future__ import annotations

import asyncio
import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from temporalio.client import Client

from sagadsl.gateway.starting import fingerprint
from tests.gateway.house import House, fresh

pytestmark = pytest.mark.temporal


def test_a_saga_is_started_and_the_answer_says_where_to_look(house: House) -> None:
    """202 at once, with Location and Retry-After; the seed's "answers at once, then the front end polls"."""
    answer = house.ask("POST", "/sagas/order", {"order": "7"})

    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "1")
    saga = answer.json()["id"]
    assert answer.headers["Location"] == f"/sagas/{saga}"
    assert answer.json()["links"] == {
        "status": f"/sagas/{saga}",
        "result": f"/sagas/{saga}/result",
        "events": f"/sagas/{saga}/events",
    }
    ended = house.ask("GET", f"/sagas/{saga}/result?wait=20s")
    assert (ended.status_code, ended.json()["status"], ended.json()["output"]) == (
        200,
        "completed",
        {"tracking": "t_7"},
    )


def test_whoever_waits_gets_the_result_in_one_call(house: House) -> None:
    """``wait=true``: of a saga that completes, and of one that fails and is undone."""
    done = house.ask("POST", "/sagas/order?wait=true", {"order": "8"})
    undone = house.ask("POST", "/sagas/order?wait=30s", {"order": "8", "how": "fail"})

    assert (done.status_code, done.json()["output"]) == (200, {"tracking": "t_8"})
    assert (undone.status_code, undone.json()["status"]) == (200, "compensated")
    assert undone.json()["error"]["type"] == "AddressInvalid"
    assert undone.json()["report"]["undone"] == ["charge"]


def test_whoever_does_not_want_to_wait_longer_is_told_that_it_runs(house: House) -> None:
    answer = house.ask("POST", "/sagas/order?wait=1s", {"order": "9", "wait": True})

    assert answer.status_code == 202
    house.ask("POST", f"/sagas/{answer.json()['id']}/cancel")


def test_the_same_key_is_the_same_run(house: House) -> None:
    """Also after it has ended, and also when it has failed: never a second one."""
    key = str(uuid.uuid4())
    first = house.ask("POST", "/sagas/order?wait=true", {"order": "1", "how": "fail"}, Idempotency_Key=key)
    again = house.ask("POST", "/sagas/order", {"how": "fail", "order": "1"}, Idempotency_Key=key)

    assert first.json()["status"] == "compensated"
    assert (again.status_code, again.json()["repeated"]) == (202, True)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.json()["id"], again.json()["run_id"]) == (first.json()["id"], first.json()["run_id"])


def test_the_same_key_many_times_at_once_is_one_run(house: House) -> None:
    """B25: 25 starts at once."""
    key = str(uuid.uuid4())

    def once(_: int) -> httpx2.Response:
        return house.ask("POST", "/sagas/order", {"order": "1"}, Idempotency_Key=key)

    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(once, range(25)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["run_id"] for answer in answers}) == 1
    assert [answer.json()["repeated"] for answer in answers].count(False) == 1


def test_a_key_for_another_input_is_refused(house: House) -> None:
    """B26: a client that forgets to take a new key learns of it, and nothing is started."""
    key = str(uuid.uuid4())
    house.ask("POST", "/sagas/order", {"order": "1"}, Idempotency_Key=key)
    other = house.ask("POST", "/sagas/order", {"order": "2"}, Idempotency_Key=key)

    assert (other.status_code, other.json()["code"]) == (409, "SD952")
    assert other.headers["Content-Type"] == "application/problem+json"


def test_equal_numbers_are_the_same_request() -> None:
    """B26: what another client writes as `30.0` is no other input than `30`; `true` is."""
    made = [fingerprint("order", {"lines": [{"price": price}]}) for price in (30, 30.0, 30.5, "30", 1, True)]

    assert made[0] == made[1]
    assert len(set(made)) == 5


def test_an_id_of_ones_own_is_taken_once(house: House) -> None:
    """The same request again is the same run; another one is a conflict."""
    saga = fresh()
    first = house.ask("POST", "/sagas/order", {"order": "1"}, Workflow_Id=saga)
    again = house.ask("POST", "/sagas/order", {"order": "1"}, Workflow_Id=saga)
    other = house.ask("POST", "/sagas/order", {"order": "2"}, Workflow_Id=saga)

    assert (first.status_code, first.json()["id"], again.json()["run_id"]) == (202, saga, first.json()["run_id"])
    assert (other.status_code, other.json()["code"]) == (409, "SD922")


def test_an_id_of_a_workflow_that_is_no_saga_is_taken_too(house: House) -> None:
    saga = fresh()

    async def start() -> None:
        client = await Client.connect(house.address)
        await client.start_workflow("Other", id=saga, task_queue="nobody")

    asyncio.run(start())
    answer = house.ask("POST", "/sagas/order", {"order": "1"}, Workflow_Id=saga)

    assert answer.status_code == 409
    assert house.ask("GET", f"/sagas/{saga}").status_code == 404


def test_an_input_that_does_not_fit_names_each_place_and_reason(house: House) -> None:
    answer = house.ask("POST", "/sagas/order", {"order": 7, "how": "fast"})

    assert (answer.status_code, answer.json()["code"]) == (422, "SD921")
    assert answer.json()["errors"] == [
        {"path": "input.how", "reason": 'must be one of `ok`, `fail`, `flaky`, `slow`, got `"fast"`'},
        {"path": "input.order", "reason": "must be text, got `7`"},
    ]


def test_without_a_body_what_is_missing_is_named(house: House) -> None:
    answer = house.ask("POST", "/sagas/order")

    assert answer.json()["errors"] == [{"path": "input", "reason": "`order` is missing"}]


def test_a_saga_that_is_not_offered_is_not_found(house: House) -> None:
    answer = house.ask("POST", "/sagas/ordre", {})

    assert (answer.status_code, answer.json()["code"], answer.json()["help"]) == (404, "SD950", "did you mean `order`?")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Workflow-Id": "a/b"}, "SD951"),
        ({"Workflow-Id": "x" * 201}, "SD951"),
        ({"Idempotency-Key": ""}, "SD951"),
    ],
)
def test_a_key_or_id_that_cannot_be_one_is_refused(house: House, headers: dict[str, str], code: str) -> None:
    answer = house.ask("POST", "/sagas/order", {"order": "1"}, **headers)

    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    ("content", "media", "status", "code"),
    [
        (b"{", "application/json", 400, "SD948"),
        (b'{"order": NaN}', "application/json", 400, "SD948"),
        (b'{"order": 1e999}', "application/json", 400, "SD948"),
        (b'{"order": 1' + b"0" * 400 + b"}", "application/json", 400, "SD948"),
        (b'{"order": "1", "order": "2"}', "application/json", 400, "SD948"),
        (b'{"order": "\\ud800"}', "application/json", 400, "SD948"),
        (b"[" * 50_000, "application/json", 400, "SD948"),
        (b"\xff", "application/json", 400, "SD948"),
        (b"[" * 100_000, "application/json", 400, "SD948"),
        (b"order=1", "application/x-www-form-urlencoded", 415, "SD948"),
        (json.dumps({"order": "x" * 1_100_000}).encode(), "application/json", 413, "SD946"),
    ],
)
def test_a_body_that_cannot_be_taken_is_refused(
    house: House, content: bytes, media: str, status: int, code: str
) -> None:
    answer = httpx2.post(f"{house.url}/sagas/order", content=content, headers={"Content-Type": media})

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_body_without_a_length_is_cut_off_at_the_limit(house: House) -> None:
    """A client that sends for ever does not fill the memory."""

    def endless() -> object:
        for _ in range(2000):
            yield b"x" * 1000

    answer = httpx2.post(f"{house.url}/sagas/order", content=endless(), headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (413, "SD946")


@pytest.mark.parametrize(
    "query", ["wait=soon", "wait=2m", "wait=1", "wait=0.5s", "wait=-1s", "wiat=1s", "wait=1s&wait=2s"]
)
def test_a_parameter_that_cannot_be_read_is_refused(house: House, query: str) -> None:
    answer = house.ask("POST", f"/sagas/order?{query}", {"order": "1"})

    assert (answer.status_code, answer.json()["code"]) == (400, "SD947")
