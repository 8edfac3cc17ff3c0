"""``grpc.request`` in a real run: what is undone after which code, and no secret in a history."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from sagadsl.activities import grpc_types
from tests.built_in import permit
from tests.conftest import Server
from tests.engine.scenes import saga
from tests.grpc_server import SERVICE, Shop, shop
from tests.temporal.built_in import assert_not_in, recorded


@pytest.fixture
def payments(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    permit(monkeypatch, TOKEN="hush-hush")
    grpc_types._reflected.clear()
    with shop() as made:
        yield made


def _call(payments: Shop, card: str, **more: Any) -> dict[str, Any]:
    call = {
        "target": payments.target,
        "service": SERVICE,
        "method": "Charge",
        "message": {"cardNumber": card, "amount": "{{ input.amount }}"},
        "metadata": {"authorization": "Bearer ${secret:TOKEN}"},
        "tls": False,
    }
    return {"activity": "grpc.request", "input": call, **more}


def _play(address: str, definition: dict[str, Any]) -> tuple[str, str, str]:
    return asyncio.run(recorded(address, definition, "grpc.request", {"amount": "9007199254740993"}))


@pytest.mark.parametrize(("code", "undone"), [("FAILED_PRECONDITION", 0), ("UNAVAILABLE", 1)])
def test_a_code_decides_whether_the_step_is_undone(server: Server, payments: Shop, code: str, undone: int) -> None:
    """R3, R5: a definite no leaves nothing; after UNAVAILABLE nobody knows."""
    payments.codes.append(code)
    step = {"id": "pay", **_call(payments, "card-1"), "retry": "none", "compensation": _call(payments, "undo")}
    status, why, _ = _play(server.address, saga(step))
    assert (status, code in why) == ("compensated", True)
    assert [request.card_number for _, request, _ in payments.seen] == ["card-1", *["undo"] * undone]


def test_numbers_stay_exact_and_no_secret_is_in_a_history(server: Server, payments: Shop) -> None:
    """R18, R49: also when the server repeats the secret; both attempts have the same key."""
    payments.codes.append("ABORTED")
    step = {"id": "pay", **_call(payments, "card-1"), "compensation": "none"}
    definition = saga(step, {"id": "no", "fail": {"type": "No", "message": "{{ steps.pay.output.message.amount }}"}})
    _, why, history = _play(server.address, definition)
    assert "9007199254740993" in why
    first, second = (metadata for _, _, metadata in payments.seen)
    assert first["authorization"] == second["authorization"] == "Bearer hush-hush"
    assert first["idempotency-key"] == second["idempotency-key"]
    assert_not_in(history, "hush-hush")
