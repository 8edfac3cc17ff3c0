"""`fulfil_order`: loop, approval, money, a child saga and a point of no return."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.temporal import client as sagas
from tests.conftest import Server
from tests.definitions.conftest import Bank, Shop
from tests.definitions.hosting import Act, Hosted, play, play_in_skipped_time

pytestmark = pytest.mark.temporal

ORDER = {
    "order": "o-1",
    "account": "alice",
    "shop_account": "shop",
    "lines": [{"sku": "book", "quantity": 2, "price": 40}, {"sku": "pen", "quantity": 1, "price": 5}],
}
ALARMED = ["release_stock", "release_stock", "alarm"]


def _answers(**payload: Any) -> Act:
    async def act(made: Hosted, saga: str) -> None:
        await made.until(saga, "approve/approval", "running")
        await sagas.signal(made.client, saga, "approval", payload)

    return act


def test_a_small_order_needs_no_approval(bank: Bank, shop: Shop, server: Server) -> None:
    """What is not wanted is skipped: the approval, and the letter to a customer without an address."""
    bank.open(alice=100, shop=0)
    played = play(server.address, "fulfil-order", ORDER)

    assert played.ended.status == "completed"
    assert [played.step(path)["status"] for path in ("approve", "tell_customer")] == ["skipped", "skipped"]
    assert bank.balances() == {"alice": 55, "shop": 45}
    assert shop.lines[2:] == ["pack", "print_label", "hand_over", "send_invoice"]
    assert sorted(str(each["sku"]) for each in shop.data("reserve_stock")) == ["book", "pen"]
    assert played.ended.output == {"tracking": shop.data("print_label")[0]["tracking"], "amount": 45}


def test_a_large_order_goes_on_when_somebody_approves(bank: Bank, shop: Shop, server: Server) -> None:
    """R59: by signal; the customer is told."""
    bank.open(alice=100, shop=0)
    order = {**ORDER, "approval_above": 10, "email": "ada@example.com"}
    played = play(server.address, "fulfil-order", order, act=_answers(approved=True, by="eve"))

    assert played.ended.status == "completed"
    assert bank.balances() == {"alice": 55, "shop": 45}
    assert shop.data("notify") == [{"to": "ada@example.com"}]


def test_an_order_that_is_refused_releases_its_stock(bank: Bank, shop: Shop, server: Server) -> None:
    """`fail` undoes; the alarm comes after the undo."""
    bank.open(alice=100, shop=0)
    order = {**ORDER, "approval_above": 10}
    played = play(server.address, "fulfil-order", order, act=_answers(approved=False, by="eve"))

    assert (played.ended.status, played.error) == ("compensated", "OrderRefused")
    assert played.ended.error is not None
    assert "eve has refused order o-1" in played.ended.error[1]
    assert shop.in_force == ["alarm"]
    assert shop.lines[-3:] == ALARMED
    assert bank.balances() == {"alice": 100, "shop": 0}


def test_an_order_that_nobody_decides_about_is_given_up_after_two_days(bank: Bank, shop: Shop) -> None:
    """R7: one record for each line of the order; SignalTimeout."""
    bank.open(alice=100, shop=0)
    played = play_in_skipped_time("fulfil-order", {**ORDER, "approval_above": 10})

    assert (played.ended.status, played.error) == ("compensated", "SignalTimeout")
    assert played.report["undone"] == ["reserve[1]/reserve_line", "reserve[0]/reserve_line"]
    assert shop.in_force == ["alarm"]
    assert shop.data("alarm") == [{"text": "Order o-1 failed: SignalTimeout"}]


def test_an_order_that_cannot_be_paid_releases_its_stock(bank: Bank, shop: Shop, server: Server) -> None:
    bank.open(alice=1, shop=0)
    played = play(server.address, "fulfil-order", ORDER)

    assert (played.ended.status, played.error) == ("compensated", "InsufficientFunds")
    assert shop.lines[-3:] == ALARMED
    assert bank.balances() == {"alice": 1, "shop": 0}


def test_a_child_that_fails_undoes_itself_before_the_rest_is_undone(bank: Bank, shop: Shop, server: Server) -> None:
    """R46: the label is refused, the child unpacks, the money goes back, the stock is released, the alarm rings."""
    bank.open(alice=100, shop=0)
    played = play(server.address, "fulfil-order", {**ORDER, "fail_at": "label"})

    assert (played.ended.status, played.error) == ("compensated", "NoCarrier")
    assert shop.lines[2:] == ["pack", "unpack", *ALARMED]
    assert played.report["undone"] == ["earn", "charge", "reserve[1]/reserve_line", "reserve[0]/reserve_line"]
    assert bank.balances() == {"alice": 100, "shop": 0}


def test_a_carrier_that_refuses_sends_the_child_back_as_a_whole(bank: Bank, shop: Shop, server: Server) -> None:
    """R43, R46: a pivot that said no is no pivot yet; `compensation: auto` runs the child's own, newest first."""
    bank.open(alice=100, shop=0)
    played = play(server.address, "fulfil-order", {**ORDER, "fail_at": "hand_over"})

    assert (played.ended.status, played.error) == ("compensated", "CarrierRefused")
    assert shop.lines[2:] == ["pack", "print_label", "void_label", "unpack", *ALARMED]
    assert played.report["undone"][0] == "prepare"
    assert shop.in_force == ["alarm"]
    assert bank.balances() == {"alice": 100, "shop": 0}


def test_a_parcel_can_be_prepared_alone(shop: Shop, server: Server) -> None:
    """`prepare_parcel` is a saga like any other."""
    good = play(server.address, "prepare-parcel", {"order": "o-1"})
    assert good.ended.output == {
        "parcel": shop.data("pack")[0]["parcel"],
        "tracking": shop.data("print_label")[0]["tracking"],
    }

    bad = play(server.address, "prepare-parcel", {"order": "o-2", "fail": True})
    assert (bad.ended.status, bad.error, bad.report["undone"]) == ("compensated", "NoCarrier", ["pack"])
    assert shop.lines == ["pack", "print_label", "pack", "unpack"]
