"""What the bank refuses, each with its own type: the type's name is what a saga's `errors` and `on_error` see.

Knows nothing of databases or sagas. A refusal is final for the call that got it, and has changed nothing.
"""

from __future__ import annotations

LARGEST = 2**53 - 1
"""No balance or amount may be larger: it is the largest integer that every JSON reader keeps exact."""


class BankError(Exception):
    """A refusal: asking again the same way gets the same answer, and nothing was changed."""


class InsufficientFunds(BankError):
    """The account does not hold what is to be taken from it."""

    def __init__(self, account: str, balance: int, amount: int) -> None:
        super().__init__(account, balance, amount)  # all of args, so that it survives pickling
        self.account, self.balance, self.amount = account, balance, amount

    def __str__(self) -> str:
        return f"account `{self.account}` holds {self.balance}, {self.amount} cannot be taken from it"


class AccountClosed(BankError):
    """The account takes no new business."""

    def __init__(self, account: str) -> None:
        super().__init__(account)
        self.account = account

    def __str__(self) -> str:
        return f"account `{self.account}` is closed"


class UnknownAccount(BankError):
    """No account of that name was ever opened."""

    def __init__(self, account: str) -> None:
        super().__init__(account)
        self.account = account

    def __str__(self) -> str:
        return f"there is no account `{self.account}`"


class AccountExists(BankError):
    """An open account of that name is there already, opened by another call."""

    def __init__(self, account: str) -> None:
        super().__init__(account)
        self.account = account

    def __str__(self) -> str:
        return f"account `{self.account}` is already open"


class AccountNotEmpty(BankError):
    """An account that holds money cannot be closed."""

    def __init__(self, account: str, balance: int) -> None:
        super().__init__(account, balance)
        self.account, self.balance = account, balance

    def __str__(self) -> str:
        return f"account `{self.account}` still holds {self.balance}; empty it before closing it"


class BalanceTooLarge(BankError):
    """The balance would no longer be an integer that every JSON reader keeps exact."""

    def __init__(self, account: str, amount: int) -> None:
        super().__init__(account, amount)
        self.account, self.amount = account, amount

    def __str__(self) -> str:
        return f"account `{self.account}` cannot take {self.amount} more: no balance may exceed 2^53 - 1"


class AlreadyUndone(BankError):
    """The movement arrives after its own undo, which must win."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"the movement with key `{self.key}` was already undone, so it cannot be done any more"


class KeyReused(BankError):
    """One key, two different movements: one of the two callers has a bug."""

    def __init__(self, key: str, before: str, now: str) -> None:
        super().__init__(key, before, now)
        self.key, self.before, self.now = key, before, now

    def __str__(self) -> str:
        return f"key `{self.key}` belongs to `{self.before}`, it cannot be used for `{self.now}`"


class OutcomeUnknown(Exception):
    """The commit was sent and no answer came: the movement may have happened. Ask again with the same key.

    Not a `BankError`: a refusal says that nothing changed, and this cannot say so.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the database did not confirm the commit: {self.reason}"


class NoBank(Exception):
    """The database holds no bank (yet), or is not the one that was meant."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url

    def __str__(self) -> str:
        return f"no bank in `{self.url}`; run `bank init`, or point SAGADSL_BANK_URL at the right database"


class UnsupportedDatabase(Exception):
    """The database cannot give the guarantees the bank needs, or is none at all."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def __str__(self) -> str:
        return f"cannot keep a bank in `{self.url}`: {self.reason}"
