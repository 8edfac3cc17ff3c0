"""A bank and a shop of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sagadsl_bank import audit, database, ledger
from sagadsl_shop import effects
from sqlalchemy import Engine


@dataclass(frozen=True, slots=True)
class Bank:
    """The bank that the activities of this process move money in."""

    engine: Engine

    def open(self, **accounts: int) -> None:
        """Open accounts with their first money."""
        for name, amount in accounts.items():
            ledger.open_account(self.engine, f"init/{name}/open", name)
            if amount:
                ledger.deposit(self.engine, f"init/{name}/deposit", name, amount)

    def balances(self) -> dict[str, int]:
        return {each.account: each.balance for each in audit.balances(self.engine)}

    def undone(self) -> list[str]:
        """Return the kinds of the movements that were undone, in the order of their undoing."""
        entries = [each for each in audit.history(self.engine) if each.undone_at is not None]
        return [each.kind for each in sorted(entries, key=lambda each: each.undone_at or "")]

    def problems(self) -> tuple[str, ...]:
        return audit.check(self.engine).problems


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bank]:
    url = f"sqlite:///{tmp_path / 'bank.db'}"
    monkeypatch.setenv("SAGADSL_BANK_URL", url)
    engine = database.connect(url)
    database.create(engine)
    made = Bank(engine)
    yield made
    assert made.problems() == ()
    engine.dispose()


@dataclass(frozen=True, slots=True)
class Shop:
    """The log of what the activities of this process have done."""

    @property
    def lines(self) -> list[str]:
        """Names of the effects, in order; those that undo too."""
        return [effect.name for effect in effects.read()]

    @property
    def in_force(self) -> list[str]:
        """Names of the effects that nobody has undone."""
        return [each.name for each in effects.read() if not each.undoes and effects.happened(each.key)]

    def data(self, name: str) -> list[dict[str, object]]:
        """Return what is noted with the effects of one name."""
        return [effect.data for effect in effects.read() if effect.name == name]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv(effects.LOG, str(tmp_path / "shop.jsonl"))
    return Shop()
