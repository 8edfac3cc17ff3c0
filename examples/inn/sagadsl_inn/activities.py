"""The inn as activities of a saga. Checking a definition imports this module, so its database comes later."""

from __future__ import annotations

from pydantic import BaseModel, Field
from sagadsl import Context, activity, once


class BookIn(BaseModel, extra="forbid"):
    """Who comes."""

    guest: str = Field(min_length=1)


class Booked(BaseModel):
    """The room."""

    room: int
    guest: str


class GiveBackIn(BaseModel, extra="forbid"):
    """Which call to undo."""

    key: str | None = Field(default=None, description="its idempotency key; left out: that of the step")


class GivenBack(BaseModel):
    """What came of it."""

    undone: bool = Field(description="false: there was nothing to undo, and from now on the call is refused")


@activity(name="inn.book_room", compensated_by="inn.give_back_room", errors=["NoRoom", *once.ERRORS], idempotent=True)
def book_room(inp: BookIn, ctx: Context) -> Booked:
    """Book a room."""
    from sagadsl_inn import rooms  # noqa: PLC0415 # see the top

    return Booked.model_validate(rooms.book(rooms.sessions_of_this_process(), ctx.idempotency_key, inp.guest))


@activity(name="inn.give_back_room", errors=["KeyReused"], idempotent=True)
def give_back_room(inp: GiveBackIn, ctx: Context) -> GivenBack:
    """Give the room back that the call with this key has booked, or make sure that it books none."""
    from sagadsl_inn import rooms  # noqa: PLC0415 # see the top

    key = inp.key or ctx.step_idempotency_key
    return GivenBack(undone=rooms.give_back(rooms.sessions_of_this_process(), key).undone)
