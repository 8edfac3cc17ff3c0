"""Between a saga and the ledger: the database of this process, and errors in a saga's words. No bank rule is here.

What a saga has to know of an error is whether something may have happened (R5). A refusal and a lost database say
no, a commit without an answer says maybe. The key makes all of them safe to try again and to undo.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from sagadsl import Permanent, Transient, Unknown
from sqlalchemy import Engine, exc

from sagadsl_bank import database, ledger
from sagadsl_bank.errors import BankError, KeyReused, NoBank, OutcomeUnknown, UnsupportedDatabase
from sagadsl_bank.ledger import Kind, Receipt, Reversal, Standing


def move(key: str, kind: Kind, account: str, amount: int) -> Receipt:
    """Do one movement in the bank of this process."""
    with _in_words_of_a_saga():
        return ledger.move(_bank(), key, kind, account, amount)


def undo(key: str, kind: Kind) -> Reversal:
    """Undo one movement in the bank of this process, or make sure it never happens."""
    with _in_words_of_a_saga():
        return ledger.undo(_bank(), key, kind)


def standing(account: str) -> Standing:
    """An account in the bank of this process."""
    with _in_words_of_a_saga():
        return ledger.standing(_bank(), account)


class _SomethingElseHappened(Unknown):
    """Under this key another movement is on record: asking again is pointless, but there may be something to undo."""

    retryable = False


@contextmanager
def _in_words_of_a_saga() -> Iterator[None]:
    try:
        yield
    except KeyReused as error:
        raise _SomethingElseHappened(str(error), type="KeyReused") from error
    except BankError as refusal:
        raise Permanent(str(refusal), type=type(refusal).__name__) from refusal
    except OutcomeUnknown as error:
        raise Unknown(str(error), type="OutcomeUnknown") from error
    except (NoBank, UnsupportedDatabase) as error:
        raise Transient(str(error), type=type(error).__name__) from error
    except (exc.DBAPIError, exc.TimeoutError) as error:
        # Before the commit, so nothing has happened. SQLAlchemy's text quotes the statement: too much for a history.
        reason = database.reason(error) if isinstance(error, exc.DBAPIError) else str(error)
        raise Transient(f"the bank's database cannot be used: {reason}", type="DatabaseUnavailable") from None


def _bank() -> Engine:
    return _opened(database.url_from_environment(), os.getpid())


@cache
def _opened(url: str, _process: int) -> Engine:
    """One engine a process: a connection that a fork shares with its parent is broken for both."""
    engine = database.connect(url)
    database.require(engine)
    return engine
