"""Requests that cost a gateway much and their senders little: nobody else waits for them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from sagadsl.gateway.requests import GatewayOptions
from tests.conftest import Server
from tests.gateway.house import House, fresh, serve
from tests.language.test_effort import formula, nested

pytestmark = pytest.mark.temporal

TEXT = """\
sagadsl: 1
name: NAME
version: "1"
input: INPUT
steps:
  - {id: wait, wait_for: {signal: go, timeout: 1h, payload: INPUT}}
"""


@pytest.fixture(scope="module")
def house(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A gateway whose definitions take nested data, lists of different things, and anything; there is no worker."""
    folder = tmp_path_factory.mktemp("hostile")
    different = {"type": "array", "uniqueItems": True}
    schemas: dict[str, Any] = {"nested": formula(), "different": different, "anything": {}}
    for name, schema in schemas.items():
        text = TEXT.replace("NAME", name).replace("INPUT", json.dumps(schema))
        (folder / f"{name}.saga.yaml").write_text(text)
    with serve(folder, server.address, "--rate", "10000") as house:
        yield house


@contextmanager
def _answered_before(house: House, slow: threading.Thread) -> Iterator[None]:
    """Hold that others are answered while the *slow* request is still being."""
    slow.start()
    yield
    for _ in range(10):
        assert house.ask("GET", "/healthz").status_code == 200
    is_served = slow.is_alive()
    slow.join(100)
    assert is_served, "the slow request was over before the others were answered"


def test_a_check_that_takes_long_holds_up_nobody_else(house: House) -> None:
    """Nested data that doubles the work at each level; refused in the end, and the gateway answers meanwhile."""
    answers: list[httpx2.Response] = []
    body = nested(40, "x")
    slow = threading.Thread(
        target=lambda: answers.append(house.ask("POST", "/sagas/nested", body, timeout=100, Workflow_Id=fresh()))
    )

    with _answered_before(house, slow):
        pass

    (answer,) = answers
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {
            "path": "input",
            "reason": "`input` would take too long to be checked: "
            "more than 500,000 rules of the schema apply to it and to its parts",
        }
    ]


def test_a_payload_whose_check_takes_long_holds_up_nobody_else(house: House) -> None:
    answers: list[httpx2.Response] = []
    id_ = house.ask("POST", "/sagas/nested", 1, Workflow_Id=fresh()).json()["id"]
    body = nested(40, "x")
    slow = threading.Thread(
        target=lambda: answers.append(house.ask("POST", f"/sagas/{id_}/signals/go", body, timeout=100))
    )

    with _answered_before(house, slow):
        pass

    assert [each.status_code for each in answers] == [422]


def test_a_list_of_many_different_things_is_taken(house: House) -> None:
    """Each of 20,000 objects was compared with each other one."""
    answer = house.ask("POST", "/sagas/different", [{"n": n} for n in range(20_000)], Workflow_Id=fresh())
    assert answer.status_code == 202, answer.text
    answer = house.ask("POST", "/sagas/different", [{"n": 1}, {"n": 2}, {"n": 1.0}], Workflow_Id=fresh())
    assert answer.status_code == 422
    assert "the same element twice" in answer.text


BODIES = {
    "deep": lambda depth: "[" * depth + "]" * depth,
    "deep objects": lambda depth: '{"a":' * depth + "1" + "}" * depth,
    "long number": lambda digits: "1" * digits,
    "fine number": lambda digits: "0." + "1" * digits,
    "tiny number": lambda digits: f"1e-{'9' * min(digits, 50)}",
    "huge exponent": lambda digits: f"1e{'9' * min(digits, 50)}",
}


@pytest.mark.parametrize("size", [90, 300, 320, 480, 700, 900, 990, 1_000, 5_000, 400_000])
@pytest.mark.parametrize("kind", BODIES)
def test_no_body_is_a_mistake_of_the_gateway(house: House, kind: str, size: int) -> None:
    """Deeper, longer, larger than anything that JSON is used for: taken, or refused with a reason."""
    body = BODIES[kind](size)
    with httpx2.Client(base_url=house.url, timeout=100) as client:
        for saga in ("anything", "nested", "different"):
            headers = {"Content-Type": "application/json", "Workflow-Id": fresh()}
            answer = client.post(f"/sagas/{saga}", content=body, headers=headers)
            assert answer.status_code in (202, 400, 413, 422), (saga, answer.status_code, answer.text)
    assert not [line for line in house.lines if "Traceback" in line], list(house.lines)[-30:]


def test_a_body_that_is_too_large_is_refused_before_it_is_read(house: House) -> None:
    answer = house.ask("POST", "/sagas/anything", "x" * GatewayOptions().max_body)
    assert (answer.status_code, answer.json()["code"]) == (413, "SD946")
