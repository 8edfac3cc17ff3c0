"""How an activity of this shop does and undoes: by its key, refusing on request. Knows no particular activity."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field
from sagadsl import Context, Permanent

from sagadsl_shop import effects


class Refusable(BaseModel, extra="forbid"):
    """An input that can ask for a refusal, to see what the saga does then."""

    fail: Annotated[bool, Field(description="true: refuse for good, so that the saga compensates")] = False


class Undo(BaseModel, extra="forbid"):
    """Which call to undo."""

    key: Annotated[str, Field(min_length=1, description="Idempotency key of the call to undo")]


class Undone(BaseModel):
    """What came of an undo."""

    undone: Annotated[bool, Field(description="false: there was nothing to undo")]


def act(name: str, ctx: Context, inp: Refusable, refusal: str, **data: Any) -> dict[str, Any]:
    """Do *name* once under the context's key, or refuse with error type *refusal*."""
    if inp.fail:
        raise Permanent(f"{name} was asked to fail", type=refusal)
    try:
        return effects.do(name, ctx.idempotency_key, data)
    except effects.AlreadyUndone as error:
        raise Permanent(f"{name} has been undone before it came", type="AlreadyUndone") from error


def take_back(name: str, inp: Undo) -> Undone:
    """Undo the call whose key *inp* names."""
    return Undone(**effects.undo(name, inp.key))


def short(key: str, prefix: str) -> str:
    """Return a readable reference that is always the same for one key."""
    return f"{prefix}-{sum(key.encode()) % 10_000:04}"
