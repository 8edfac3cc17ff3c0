"""The ferry as activities of a saga. Checking a definition imports this module, so Django comes with the first call."""

from __future__ import annotations

from pydantic import BaseModel, Field
from sagadsl import Context, activity, once


class SellIn(BaseModel, extra="forbid"):
    """Who travels, and when."""

    voyage: str = Field(min_length=1, max_length=100)
    passenger: str = Field(min_length=1, max_length=100)


class Sold(BaseModel):
    """The ticket."""

    ticket: int
    voyage: str


class TakeBackIn(BaseModel, extra="forbid"):
    """Which call to undo."""

    key: str | None = Field(default=None, description="its idempotency key; left out: that of the step")


class TicketTakenBack(BaseModel):
    """What came of it."""

    undone: bool = Field(description="false: there was nothing to undo, and from now on the call is refused")


@activity(
    name="ferry.sell_ticket", compensated_by="ferry.take_back_ticket", errors=["NoPlace", *once.ERRORS], idempotent=True
)
def sell_ticket(inp: SellIn, ctx: Context) -> Sold:
    """Sell a place on a voyage."""
    from sagadsl_ferry import tickets  # noqa: PLC0415 # see the top

    return Sold.model_validate(tickets.sell(ctx.idempotency_key, inp.voyage, inp.passenger))


@activity(name="ferry.take_back_ticket", errors=["KeyReused"], idempotent=True)
def take_back_ticket(inp: TakeBackIn, ctx: Context) -> TicketTakenBack:
    """Take the ticket back that the call with this key has sold, or make sure that it sells none."""
    from sagadsl_ferry import tickets  # noqa: PLC0415 # see the top

    return TicketTakenBack(undone=tickets.take_back(inp.key or ctx.step_idempotency_key).undone)
