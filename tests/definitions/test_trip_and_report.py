"""`book_trip`: three bookings at once; `poll_until_ready`: a report that takes its time."""

from __future__ import annotations

import pytest
from sagadsl_shop import effects

from sagadsl.temporal import client as sagas
from tests.conftest import Server
from tests.definitions.conftest import Shop
from tests.definitions.hosting import Hosted, play, play_in_skipped_time

pytestmark = pytest.mark.temporal

TRIP = {"traveller": "ada", "destination": "Lisbon"}
REFUSALS = {"flight": "NoSeats", "hotel": "NoRooms", "car": "NoCars"}


def test_a_trip_is_booked_in_all_its_parts(shop: Shop, server: Server) -> None:
    played = play(server.address, "book-trip", TRIP)

    assert played.ended.status == "completed"
    assert sorted(shop.in_force) == ["book_car", "book_flight", "book_hotel"]
    references = {data["reference"] for name in REFUSALS for data in shop.data(f"book_{name}")}
    assert set(played.ended.output.values()) == references


@pytest.mark.parametrize("refused", REFUSALS)
def test_a_trip_without_one_of_its_parts_is_cancelled_in_reverse_order(
    refused: str, shop: Shop, server: Server
) -> None:
    """R10, R11, R12, R38: what was booked is undone in the reverse order of start, after all three have settled."""
    played = play(server.address, "book-trip", {**TRIP, "fail_at": refused})

    assert (played.ended.status, played.error) == ("compensated", REFUSALS[refused])
    assert shop.in_force == []
    undone = [name.removeprefix("cancel_") for name in shop.lines if name.startswith("cancel_")]
    booked = {name.removeprefix("book_") for name in shop.lines if name.startswith("book_")}
    assert set(undone) == booked <= set(REFUSALS) - {refused}
    assert undone == [name for name in ("car", "hotel", "flight") if name in booked]
    assert played.report["undone"] == [f"book/{name}" for name in undone]


def test_a_report_is_asked_for_until_it_is_ready(shop: Shop, server: Server) -> None:
    played = play(server.address, "poll-until-ready", {"subject": "sales", "not_ready": 3, "every": "10ms"})

    assert played.ended.output == {"text": "all about sales", "questions": 4}
    assert shop.lines == ["order_report", *["report_status"] * 4]


def test_a_report_that_never_comes_is_cancelled(shop: Shop) -> None:
    """RepeatExhausted after sixty questions."""
    played = play_in_skipped_time("poll-until-ready", {"subject": "sales", "not_ready": 100, "every": "5s"})

    assert (played.ended.status, played.error) == ("compensated", "RepeatExhausted")
    assert shop.lines == ["order_report", *["report_status"] * 60, "cancel_report"]


def test_nobody_waits_for_a_report_that_is_cancelled(shop: Shop, server: Server) -> None:
    """R25, R26: a cancel between two questions."""

    async def act(made: Hosted, saga: str) -> None:
        await made.until(saga, "poll[0]/ask", "completed")
        await sagas.cancel(made.client, saga)

    played = play(server.address, "poll-until-ready", {"subject": "sales", "not_ready": 9, "every": "1h"}, act=act)

    assert played.ended.status == "cancelled"
    assert shop.lines == ["order_report", "report_status", "cancel_report"]
    assert effects.read()[-1].key == f"{played.ended.id}/order/do"
