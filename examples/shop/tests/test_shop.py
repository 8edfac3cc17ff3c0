"""The shop's activities leave each effect once, and each undo once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sagadsl.authoring import Context, Permanent

from sagadsl_shop import effects, hello, shop, trip
from sagadsl_shop.acting import Undo

ADA = trip.Booking(traveller="ada", destination="Lisbon")


@pytest.fixture(params=["memory", "file"], autouse=True)
def log(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty log, of either kind."""
    effects.forget()
    if request.param == "file":
        monkeypatch.setenv(effects.LOG, str(tmp_path / "log.jsonl"))
    else:
        monkeypatch.delenv(effects.LOG, raising=False)
    yield
    effects.forget()


def _names() -> list[str]:
    return [effect.name for effect in effects.read()]


def test_a_second_attempt_gives_the_same_answer_and_no_second_effect() -> None:
    """R49."""
    ctx = Context(idempotency_key="s/hotel/do")

    assert trip.book_hotel(ADA, ctx) == trip.book_hotel(ADA, ctx)
    assert _names() == ["book_hotel"]


def test_an_undo_takes_back_once_and_says_whether_there_was_anything() -> None:
    """R1."""
    trip.book_car(ADA, Context(idempotency_key="s/car/do"))

    first, again = (trip.cancel_car(Undo(key="s/car/do")) for _ in range(2))

    assert first == again
    assert first.undone
    assert _names() == ["book_car", "cancel_car"]


def test_an_undo_that_comes_first_keeps_the_step_from_happening() -> None:
    """An attempt that everybody gave up on may still arrive (R5)."""
    assert not trip.cancel_flight(Undo(key="s/flight/do")).undone
    with pytest.raises(Permanent) as refused:
        trip.book_flight(ADA, Context(idempotency_key="s/flight/do"))

    assert refused.value.type == "AlreadyUndone"
    assert _names() == ["cancel_flight"]


def test_a_refusal_on_request_leaves_nothing_behind() -> None:
    with pytest.raises(Permanent) as refused:
        shop.reserve_stock(shop.Stock(sku="book-1", quantity=1, fail=True), Context())

    assert refused.value.type == "OutOfStock"
    assert _names() == []


def test_the_probe_knows_whether_the_parcel_is_gone() -> None:
    """R43."""
    assert not shop.was_handed_over("s/hand_over/do")
    shop.hand_over(shop.HandOver(tracking="t"), Context(idempotency_key="s/hand_over/do"))
    assert shop.was_handed_over("s/hand_over/do")


def test_a_report_is_ready_after_as_many_questions_as_were_ordered() -> None:
    ticket = shop.order_report(shop.Report(subject="sales", not_ready=2), Context(idempotency_key="s/order/do")).ticket

    ready = [shop.report_status(ticket, Context(idempotency_key=f"s/ask[{n}]/do")).ready for n in range(3)]

    assert ready == [False, False, True]
    assert shop.fetch_report(ticket).text == "all about sales"


def test_a_ticket_that_nobody_has_is_refused() -> None:
    with pytest.raises(Permanent, match="no report under ticket `lost`"):
        shop.fetch_report("lost")


def test_the_greeter_keeps_its_state_over_its_activities() -> None:
    assert hello.GREETER.compose("ada", 2).text == "hello ada, hello ada"
    assert hello.GREETER.state() == hello.State(message="from the worker", number=42)
    assert hello.GREETER.print_line("x", Context(idempotency_key="s/print/do")).text == "x"
    assert _names() == ["print"]


def test_every_offered_name_can_be_loaded_and_described() -> None:
    """Also the alias, and the methods of an object."""
    from sagadsl.plugins import catalogue

    offered = catalogue.Catalogue.discover()
    mine = [name for name in offered.names if name.split(".")[0] in ("hello", "trip", "shop")]

    assert {"hello.print", "hello.say", "trip.book_car", "shop.alarm"} <= set(mine)
    assert [name for name in mine if not isinstance(offered.load(name), catalogue.Plugin)] == []
