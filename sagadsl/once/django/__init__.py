"""`once` and `undo` for Django: the record of a call and its effect in one transaction of one database.

Put `sagadsl.once.django` into `INSTALLED_APPS` and run `manage.py migrate`. Activities are plain functions (`def`): a
worker runs them in threads, as Django wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from typing import Any, TypeVar, overload

from sagadsl.once import records
from sagadsl.once.records import DONE, REFUSED, UNDONE, CallRecord, KeptCall, TakenBack
from sagadsl.plugins.problems import PluginNeedsExtra

if find_spec("django") is None:
    raise PluginNeedsExtra("django", "pip install 'sagadsl[django]'")

from django.db import connections, transaction
from django.db.utils import DEFAULT_DB_ALIAS, Error, IntegrityError, InterfaceError, OperationalError

_Out = TypeVar("_Out")


@overload
def once(
    key: str,
    do: Callable[[], Any],
    *,
    name: str,
    asked: Any,
    returns: type[_Out],
    using: str = DEFAULT_DB_ALIAS,
) -> _Out: ...


@overload
def once(key: str, do: Callable[[], Any], *, name: str, asked: Any, using: str = DEFAULT_DB_ALIAS) -> Any: ...


def once(
    key: str,
    do: Callable[[], Any],
    *,
    name: str,
    asked: Any,
    returns: type[Any] | None = None,
    using: str = DEFAULT_DB_ALIAS,
) -> Any:
    """Let *do* have its effect once for this key, and give its first answer to every repetition.

    Whatever *do* raises takes everything back, the record too, so that the same call may come again.

    Args:
        key: The idempotency key of the call, `ctx.idempotency_key`.
        name: Of the activity: a key belongs to one.
        asked: What the call was asked to do, kept as JSON, and shown to its undo. The same key with something else is
            an error.
        returns: Type of the answer, for pydantic to read; JSON data if left out.
        using: Alias of the database, which has to be that of the effect.

    Raises:
        Permanent: `AlreadyUndone`: the undo was here before.
        Unknown: `KeyReused`: the key belongs to another call. `OutcomeUnknown`: the commit was not confirmed.
        Transient: `DatabaseUnavailable`, `DatabaseRefused`: nothing has happened.
        RuntimeError: A transaction has begun before; the record has to be in one with the effect alone.
    """
    wanted = records.packed(asked)
    with _transaction(using):
        known = _claim(records.row_of(key, name, DONE, wanted), using)
        if known is None:
            answer = _changed(key, "answer", do(), DONE, using)
        else:
            answer = records.first_answer(known, name, wanted)
    return records.unpacked(answer, returns)


def undo(key: str, take_back: Callable[[KeptCall], Any], *, name: str, using: str = DEFAULT_DB_ALIAS) -> TakenBack:
    """Let *take_back* undo the call of this key, once; a call that never came is refused from now on.

    Args:
        key: The idempotency key of the call that is undone, `ctx.step_idempotency_key` in a compensation.
        name: Of the activity that is undone.
        using: Alias of the database, as for `once`.

    Raises:
        Unknown, Transient: As `once` does. What *take_back* raises leaves the call done.
    """
    with _transaction(using):
        known = _claim(records.row_of(key, name, REFUSED, "null"), using)
        if known is None:
            return TakenBack(False)
        if (before := records.undone_before(known, name)) is not None:
            return before
        answer = _changed(key, "undo_answer", take_back(records.kept_call(known)), UNDONE, using)
    return TakenBack(True, records.unpacked(answer))


def forget(*, older_than: timedelta, open_sagas: Collection[str], using: str = DEFAULT_DB_ALIAS) -> int:
    """Remove records that nothing has changed for that long, and say how many they were.

    Args:
        older_than: Longer than any attempt can be late, and than a saga that has ended may be started or reset again.
        open_sagas: Ids of the sagas that are open, and of those children of theirs that have ended and whose ids were
            chosen (`workflow_id`); docs/once.md lists both. Their records stay: without its record, an undo would find
            nothing to undo.
        using: Alias of the database.
    """
    before, last, removed = records.until(older_than), "", 0
    open_ = frozenset(open_sagas)
    while True:
        with _transaction(using):
            old = _calls(using).filter(changed_at__lt=before)
            found = list(old.filter(id__gt=last).order_by("id").values_list("id", "key")[: records.BATCH])
            if not found:
                return removed
            last = found[-1][0]
            over = [id_ for id_, key in found if not records.belongs_to(key, open_)]
            old.filter(id__in=over).delete()
        removed += len(over)


@contextmanager
def _transaction(using: str) -> Iterator[None]:
    """One transaction: all of it or, after any exception, nothing."""
    connection = connections[using]
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()  # a database that was restarted costs one attempt, not all
    at_the_end = False
    try:
        with transaction.atomic(using=using, durable=True):
            yield
            at_the_end = True
    except Error as error:
        if at_the_end:
            raise records.unconfirmed(_origin(error)) from None
        is_lost = isinstance(error, OperationalError | InterfaceError)
        raise (records.unavailable if is_lost else records.refused)(_origin(error)) from None
    except Exception as error:
        if at_the_end:  # a function of `on_commit`: the effect is there
            raise records.unconfirmed(error) from None
        raise
    finally:
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def _origin(error: BaseException) -> BaseException:
    """Return the driver's own error."""
    return error.__cause__ or error


def _claim(row: dict[str, str], using: str) -> CallRecord | None:
    """Write the row of a key, and return None; or return the one that is there.

    It comes first, since it is also the lock: where another transaction is just writing the same key, this waits for
    its end. In SQLite, a transaction that reads before it writes could not even wait.
    """
    try:
        with transaction.atomic(using=using):
            _calls(using).create(**row)
    except IntegrityError:
        found = _calls(using).select_for_update().filter(id=row["id"])
        known = found.values_list(*CallRecord.__dataclass_fields__).first()
        if known is None:
            raise records.unavailable(
                RuntimeError("the record of the key was just changed by another transaction")
            ) from None
        return CallRecord(*known)
    return None


def _changed(key: str, column: str, answer: Any, state: str, using: str) -> str:
    text = records.packed(answer)
    change = {column: text, "state": state, "changed_at": records.now()}
    _calls(using).filter(id=records.row_id(key)).update(**change)
    return text


def _calls(using: str) -> Any:
    from sagadsl.once.django.models import OnceCall  # noqa: PLC0415 # models can be imported when all apps are there

    return OnceCall.objects.using(using)
