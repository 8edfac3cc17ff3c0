"""What a record of a call means, and what a saga is told of it. Knows no database.

One row a key remembers what became of the call. It is written in the transaction of the effect, so that both are
there or neither is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sagadsl.authoring import Permanent, Transient, Unknown

TABLE = "sagadsl_calls"
BATCH = 500
"""Rows that `forget` removes in one transaction: nobody waits long for it."""

DONE = "done"
UNDONE = "undone"
REFUSED = "refused"
"""Undone before it was done: a tombstone, at which a late attempt ends."""


@dataclass(frozen=True, slots=True)
class KeptCall:
    """A call that was done, as its undo gets to see it.

    Attributes:
        asked: Its input as JSON data: what `once` was given as *asked*.
        answer: What it has answered, as JSON data.
    """

    key: str
    asked: Any
    answer: Any


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What came of an undo; a repeated one is told the same.

    Attributes:
        undone: False if the call had done nothing. From now on it is refused.
        answer: What the function has answered that took the effect back, as JSON data; None if there was none.
    """

    undone: bool
    answer: Any = None


@dataclass(frozen=True, slots=True)
class CallRecord:
    """The row of a key; *asked*, *answer* and *undo_answer* are JSON texts."""

    key: str
    name: str
    state: str
    asked: str
    answer: str | None
    undo_answer: str | None


class _SomethingElseHappened(Unknown):
    """Under this key another call is on record: asking again is pointless, and that call may have to be undone."""

    retryable = False


def row_of(key: str, name: str, state: str, asked: str) -> dict[str, str]:
    """Return the columns of a new row."""
    return {"id": row_id(key), "key": key, "name": name, "state": state, "asked": asked, "changed_at": now()}


def row_id(key: str) -> str:
    """Return the primary key: of one length, and the same in databases to which `a` and `A` are equal."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def now() -> str:
    """Return the moment, UTC, so that texts sort as moments do."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def first_answer(record: CallRecord, name: str, asked: str) -> str:
    """Return what was answered when this call was done.

    Raises:
        Permanent: It was undone, before it was done or after.
        Unknown: Under this key, something else was asked.
    """
    _same_activity(record, name)
    if record.state != DONE:
        raise Permanent(
            f"`{name}` comes too late: its key `{record.key}` was already undone, so it is not done any more",
            type="AlreadyUndone",
        )
    if record.asked != asked:
        raise _SomethingElseHappened(
            f"`{name}` was done under the key `{record.key}` with another input; give another key to another call",
            type="KeyReused",
        )
    assert record.answer is not None  # written in the same transaction
    return record.answer


def undone_before(record: CallRecord, name: str) -> TakenBack | None:
    """Return what an earlier undo was told; None if the call is done, and has to be undone now."""
    _same_activity(record, name)
    if record.state == DONE:
        return None
    return TakenBack(record.state == UNDONE, unpacked(record.undo_answer) if record.undo_answer else None)


def kept_call(record: CallRecord) -> KeptCall:
    """Return what the undo gets to see."""
    return KeptCall(record.key, json.loads(record.asked), json.loads(record.answer or "null"))


def _same_activity(record: CallRecord, name: str) -> None:
    if record.name != name:
        raise _SomethingElseHappened(
            f"the key `{record.key}` belongs to a call of `{record.name}`, not of `{name}`", type="KeyReused"
        )


def packed(value: Any) -> str:
    """Return *value* (JSON data, a pydantic model, a dataclass) as a JSON text that is the same for equal values.

    It is so in each process: sets are written in the order of their members' JSON.

    Raises:
        TypeError: It cannot become JSON.
    """
    from pydantic_core import PydanticSerializationError, to_json  # noqa: PLC0415 # this module stays light

    from sagadsl.once.sets import as_text, in_order  # noqa: PLC0415 # it needs pydantic

    try:
        data = json.loads(to_json(value))
    except PydanticSerializationError as error:
        raise TypeError(
            f"a call keeps its input and its answer as JSON, and this cannot become JSON: {error}"
        ) from None
    return as_text(in_order(value, data))


def unpacked(text: str, type_: Any = None) -> Any:
    """Return what *text* holds: JSON data, or a *type_*, which may be whatever pydantic can read."""
    if type_ is None:
        return json.loads(text)
    from pydantic import TypeAdapter  # noqa: PLC0415 # this module stays light

    return TypeAdapter(type_).validate_json(text)


def unconfirmed(error: BaseException) -> Unknown:
    """Say that the commit was sent and that nobody knows whether it took."""
    return Unknown(f"the database did not confirm the commit: {_first_line(error)}", type="OutcomeUnknown")


def unavailable(error: BaseException) -> Transient:
    """Say that the database was lost, locked or not there, before the commit: nothing has happened."""
    said = _first_line(error)
    if TABLE in said:
        said += f"; the table `{TABLE}` is made by a migration of your project (docs/once.md)"
    return Transient(f"the database cannot be used: {said}", type="DatabaseUnavailable")


def refused(error: BaseException) -> Transient:
    """Say that a statement was refused, without its text, which quotes rows: nothing has happened."""
    if TABLE in _first_line(error):
        return unavailable(error)
    return Transient(
        f"the database refused a statement: {type(error).__name__}; catch it in the function to say no for good",
        type="DatabaseRefused",
    )


def ended_early(name: str) -> RuntimeError:
    """Return the error for a function that commits or rolls back by itself."""
    return RuntimeError(f"the function of `{name}` ended the transaction; leave that to `once` and `undo`")


def without_transactions() -> RuntimeError:
    """Return the error for a database connection with which an effect and its record could not be one."""
    return RuntimeError(
        "the connection commits each statement by itself (AUTOCOMMIT), so an effect and its record would not be one; "
        'give `once` sessions of an engine without it: `engine.execution_options(isolation_level="READ COMMITTED")`, '
        "or for SQLite `SERIALIZABLE`"
    )


def until(older_than: timedelta) -> str:
    """Return the moment before which `forget` removes rows."""
    if older_than < timedelta(0):
        raise ValueError(f"rows are removed when they are older than {older_than}: that is in the future")
    return (datetime.now(UTC) - older_than).isoformat(timespec="microseconds")


def belongs_to(key: str, open_sagas: Collection[str]) -> bool:
    """Whether *key* is of one of these sagas, or of a child saga below it: their ids are followed by `/` or `~`.

    Of a child whose id was too long, the key has only the beginning of the parent's id. If several ids begin so, it
    belongs to each of them. Of a child with an id that was chosen, the key does not tell the parent at all: such a
    child has to be named among these sagas itself, as long as its parent is open.
    """
    if any(key[:at] in open_sagas for at, sign in enumerate(key) if sign in "/~"):
        return True
    from sagadsl.language.paths import beginnings_of_cut_ids  # noqa: PLC0415 # this module stays light

    begins = beginnings_of_cut_ids(key)
    return bool(begins) and any(each.startswith(begins) for each in open_sagas)


def _first_line(error: BaseException) -> str:
    """Return what the database said: what follows quotes statements and rows."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
