"""Activities that are methods of an object with state: the object lives as long as its worker."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel
from sagadsl import Context, activity

from sagadsl_shop import effects


class State(BaseModel):
    """What the greeter keeps."""

    message: str
    number: int


class Line(BaseModel):
    """A line of text."""

    text: str


@dataclass(frozen=True, slots=True)
class Greeter:
    """Greets; has a message and a number of its own."""

    message: str
    number: int

    @activity(idempotent=True)
    def compose(self, name: str, times: int) -> Line:
        """Compose a greeting for *name*, so many times over. Takes two parameters."""
        return Line(text=", ".join([f"hello {name}"] * times))

    @activity(idempotent=True)
    def state(self) -> State:
        """Return what the greeter keeps. Takes no parameters."""
        return State(message=self.message, number=self.number)

    @activity(idempotent=True)
    def print_line(self, text: str, ctx: Context) -> Line:
        """Print a line of text, once."""
        effects.do("print", ctx.idempotency_key, {"text": text})
        return Line(text=text)


GREETER = Greeter("from the worker", 42)
