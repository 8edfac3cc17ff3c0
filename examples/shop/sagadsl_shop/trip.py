"""A trip: a flight, a hotel and a car, each booked and cancelled by its key."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field
from sagadsl import Context, activity

from sagadsl_shop.acting import Refusable, Undo, Undone, act, short, take_back


class Booking(Refusable):
    """What to book, and for whom."""

    traveller: Annotated[str, Field(min_length=1, examples=["ada"])]
    destination: Annotated[str, Field(min_length=1, examples=["Lisbon"])]


class Booked(BaseModel):
    """A booking that stands."""

    reference: Annotated[str, Field(description="Short name of the booking, for people")]
    traveller: str
    destination: str


@activity(compensated_by="trip.cancel_flight", errors=["NoSeats", "AlreadyUndone"], idempotent=True)
def book_flight(inp: Booking, ctx: Context) -> Booked:
    """Book a seat."""
    return _book("flight", "NoSeats", inp, ctx)


@activity(compensated_by="trip.cancel_hotel", errors=["NoRooms", "AlreadyUndone"], idempotent=True)
def book_hotel(inp: Booking, ctx: Context) -> Booked:
    """Book a room."""
    return _book("hotel", "NoRooms", inp, ctx)


@activity(compensated_by="trip.cancel_car", errors=["NoCars", "AlreadyUndone"], idempotent=True)
def book_car(inp: Booking, ctx: Context) -> Booked:
    """Book a car."""
    return _book("car", "NoCars", inp, ctx)


@activity(idempotent=True)
def cancel_flight(inp: Undo) -> Undone:
    """Give the seat back."""
    return take_back("cancel_flight", inp)


@activity(idempotent=True)
def cancel_hotel(inp: Undo) -> Undone:
    """Give the room back."""
    return take_back("cancel_hotel", inp)


@activity(idempotent=True)
def cancel_car(inp: Undo) -> Undone:
    """Give the car back."""
    return take_back("cancel_car", inp)


def _book(what: str, refusal: str, inp: Booking, ctx: Context) -> Booked:
    reference = short(ctx.idempotency_key, what)
    details = {"reference": reference, "traveller": inp.traveller, "destination": inp.destination}
    return Booked(**act(f"book_{what}", ctx, inp, refusal, **details))
