"""An order: stock, parcels, the carrier, messages, and a report that takes its time."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field
from sagadsl import Context, Permanent, activity

from sagadsl_shop import effects
from sagadsl_shop.acting import Refusable, Undo, Undone, act, short, take_back

Sku = Annotated[str, Field(min_length=1, description="Article", examples=["book-1"])]
Order = Annotated[str, Field(min_length=1, description="Number of the order", examples=["o-1"])]


class Stock(Refusable):
    """How much of what to keep."""

    sku: Sku
    quantity: Annotated[int, Field(ge=1)]


class Reserved(BaseModel):
    """Stock that nobody else can have."""

    sku: str
    quantity: int


class Parcel(Refusable):
    """What belongs to one order."""

    order: Order


class Packed(BaseModel):
    """A parcel."""

    parcel: str


class Labelled(BaseModel):
    """A label on a parcel."""

    tracking: str


class HandOver(Refusable):
    """Which parcel goes to the carrier."""

    tracking: Annotated[str, Field(min_length=1)]


class HandedOver(BaseModel):
    """The carrier has it."""

    tracking: str


class Message(Refusable):
    """A message to somebody."""

    to: Annotated[str, Field(min_length=1, examples=["ada@example.com"])]
    text: str


class Sent(BaseModel):
    """A message is on its way."""

    to: str


class Report(Refusable):
    """Which report to prepare, and how many questions about it are answered with "not yet"."""

    subject: Annotated[str, Field(min_length=1)]
    not_ready: Annotated[int, Field(ge=0, le=1000)] = 0


class Ticket(BaseModel):
    """Where to ask for the report."""

    ticket: str


class Progress(BaseModel):
    """How far the report is."""

    ready: bool
    asked: Annotated[int, Field(description="How often this ticket was asked for, this time included")]


class Text(BaseModel):
    """A report."""

    text: str


@activity(compensated_by="shop.release_stock", errors=["OutOfStock", "AlreadyUndone"], idempotent=True)
def reserve_stock(inp: Stock, ctx: Context) -> Reserved:
    """Keep stock for an order."""
    return Reserved(**act("reserve_stock", ctx, inp, "OutOfStock", sku=inp.sku, quantity=inp.quantity))


@activity(idempotent=True)
def release_stock(inp: Undo) -> Undone:
    """Let others have the stock again."""
    return take_back("release_stock", inp)


@activity(compensated_by="shop.unpack", errors=["CannotPack", "AlreadyUndone"], idempotent=True)
def pack(inp: Parcel, ctx: Context) -> Packed:
    """Put an order into a parcel."""
    return Packed(**act("pack", ctx, inp, "CannotPack", parcel=short(ctx.idempotency_key, "parcel")))


@activity(idempotent=True)
def unpack(inp: Undo) -> Undone:
    """Take the parcel apart again."""
    return take_back("unpack", inp)


@activity(compensated_by="shop.void_label", errors=["NoCarrier", "AlreadyUndone"], idempotent=True)
def print_label(inp: Parcel, ctx: Context) -> Labelled:
    """Print the carrier's label."""
    return Labelled(**act("print_label", ctx, inp, "NoCarrier", tracking=short(ctx.idempotency_key, "track")))


@activity(idempotent=True)
def void_label(inp: Undo) -> Undone:
    """Make the label worthless."""
    return take_back("void_label", inp)


@activity(errors=["CarrierRefused"], idempotent=True)
def hand_over(inp: HandOver, ctx: Context) -> HandedOver:
    """Give the parcel to the carrier. Nobody gets it back from there."""
    return HandedOver(**act("hand_over", ctx, inp, "CarrierRefused", tracking=inp.tracking))


@activity(idempotent=True)
def was_handed_over(key: str) -> bool:
    """Whether the carrier has the parcel that was handed over under *key*."""
    return effects.happened(key)


@activity(errors=["MailboxFull"], idempotent=True)
def send_invoice(inp: Message, ctx: Context) -> Sent:
    """Send an invoice."""
    return Sent(**act("send_invoice", ctx, inp, "MailboxFull", to=inp.to))


@activity(errors=["MailboxFull"], idempotent=True)
def notify(inp: Message, ctx: Context) -> Sent:
    """Tell somebody something."""
    return Sent(**act("notify", ctx, inp, "MailboxFull", to=inp.to))


@activity(idempotent=True)
def alarm(text: str, ctx: Context) -> None:
    """Wake the people in charge."""
    effects.do("alarm", ctx.idempotency_key, {"text": text})


@activity(compensated_by="shop.cancel_report", errors=["UnknownSubject", "AlreadyUndone"], idempotent=True)
def order_report(inp: Report, ctx: Context) -> Ticket:
    """Have a report prepared; it takes its time."""
    act("order_report", ctx, inp, "UnknownSubject", subject=inp.subject, not_ready=inp.not_ready)
    return Ticket(ticket=ctx.idempotency_key)


@activity(idempotent=True)
def cancel_report(inp: Undo) -> Undone:
    """Let the report be."""
    return take_back("cancel_report", inp)


@activity(errors=["UnknownTicket"], idempotent=True)
def report_status(ticket: str, ctx: Context) -> Progress:
    """Ask how far a report is."""
    order = _ordered(ticket)
    effects.do("report_status", ctx.idempotency_key, {"ticket": ticket})
    asked = sum(1 for each in effects.read() if each.name == "report_status" and each.data["ticket"] == ticket)
    return Progress(ready=asked > order.data["not_ready"], asked=asked)


@activity(errors=["UnknownTicket"], idempotent=True)
def fetch_report(ticket: str) -> Text:
    """Return the report."""
    return Text(text=f"all about {_ordered(ticket).data['subject']}")


def _ordered(ticket: str) -> effects.Effect:
    found = next((each for each in effects.read() if each.key == ticket and each.name == "order_report"), None)
    if found is None:
        raise Permanent(f"there is no report under ticket `{ticket}`", type="UnknownTicket")
    return found
